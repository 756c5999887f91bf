"""``is_liked`` on post objects: for callers with a token, in the same queries, and never another caller's."""

import pytest

POSTS = "/api/v1/posts"
PATHS = ["", "?view=summary", "?sort=popular", "?q=%EC%A0%9C", "?category=일반", "/my", "/my?view=summary"]


@pytest.fixture
def liked_by(client, make_post, as_user):
    """Three posts of ana's: liked by her, by bo, and by nobody; returns their ids."""
    post_ids = [make_post(author="ana", title="제목") for _ in range(3)]
    for who, post_id in zip(("ana", "bo"), post_ids, strict=False):
        assert client.put(f"{POSTS}/{post_id}/like", headers=as_user(who)).status_code == 200
    return post_ids


@pytest.fixture
def likes(client, as_user):
    """Return ``is_liked`` by id of the posts at a path, as a user is shown them; without the field None."""

    def get(path, who):
        data = client.get(f"{POSTS}{path}", headers=as_user(who)).json["data"]
        return {post["id"]: post.get("is_liked") for post in (data if isinstance(data, list) else [data])}

    return get


@pytest.mark.parametrize("path", PATHS)
def test_a_list_tells_which_posts_its_caller_likes(liked_by, likes, path):
    assert likes(path, "ana") == dict(zip(liked_by, [True, False, False], strict=True))


@pytest.mark.parametrize("path", [path for path in PATHS if not path.startswith("/my")])
def test_each_caller_is_told_of_their_own_likes_and_nobody_of_any(liked_by, likes, path):
    assert likes(path, "bo") == dict(zip(liked_by, [False, True, False], strict=True))
    assert likes(path, "root") == dict.fromkeys(liked_by, False)
    assert likes(path, "nobody") == dict.fromkeys(liked_by)


def test_a_post_tells_if_its_caller_likes_it(liked_by, likes):
    for post_id, who, expected in [
        (liked_by[0], "ana", True),
        (liked_by[0], "bo", False),
        (liked_by[0], "nobody", None),
    ]:
        assert likes(f"/{post_id}", who) == {post_id: expected}


@pytest.mark.parametrize("authorization", ["Bearer broken", "Basic YTpi"])
def test_a_bad_token_is_told_of_no_likes(liked_by, client, authorization):
    for path in (POSTS, f"{POSTS}/{liked_by[0]}"):
        response = client.get(path, headers={"Authorization": authorization})
        assert "is_liked" not in response.get_data(as_text=True)


def test_answers_to_writes_tell_it_too(client, as_user, liked_by):
    ana, new = as_user("ana"), {"title": "제목", "content": "내용", "category": "일반"}
    url = f"{POSTS}/{liked_by[0]}"

    posts = [
        client.post(POSTS, json=new, headers=ana),
        client.post(POSTS, json=new, headers=ana | {"Idempotency-Key": "a"}),
        client.patch(url, json={"title": "새"}, headers=ana),
        client.put(url, json=new, headers=ana),
        client.patch(url, json={"title": "새"}, headers=as_user("root")),
    ]

    assert [response.json["data"]["is_liked"] for response in posts] == [False, False, True, True, False]


@pytest.mark.parametrize("path", [POSTS, f"{POSTS}/my"])
def test_the_queries_of_a_list_are_as_many_as_without_a_token(client, make_post, as_user, count_queries, path):
    for _ in range(3):
        client.put(f"{POSTS}/{make_post()}/like", headers=as_user("ana"))

    with count_queries() as statements:
        client.get(path, headers=as_user("ana"))

    assert [statement.split()[0] for statement in statements if "BEGIN" not in statement] == ["SELECT"]


def test_a_tag_does_not_outlive_the_callers_like(liked_by, client, as_user):
    """The count stays: bo takes a like back, and root gives one."""
    ana, url = as_user("bo"), f"{POSTS}/{liked_by[1]}"
    client.get(url)
    tags = {path: client.get(path, headers=ana).headers["ETag"] for path in (url, POSTS)}
    known = [client.get(path, headers=ana | {"If-None-Match": tag}).status_code for path, tag in tags.items()]

    client.delete(f"{url}/like", headers=as_user("bo"))
    client.put(f"{url}/like", headers=as_user("root"))

    assert known == [304, 304]
    for path, tag in tags.items():
        response = client.get(path, headers=ana | {"If-None-Match": tag})
        assert response.status_code == 200
        assert '"is_liked":true' not in response.get_data(as_text=True)


def test_a_tag_of_one_caller_is_not_anothers(liked_by, client, as_user):
    for path in (f"{POSTS}/{liked_by[2]}", POSTS):
        client.get(path)
        tag = client.get(path, headers=as_user("bo")).headers["ETag"]
        others = [client.get(path, headers=as_user(who) | {"If-None-Match": tag}) for who in ("nobody", "ana", "root")]
        assert [response.status_code for response in others] == [200, 200, 200]
