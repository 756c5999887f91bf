"""A deleted post erased for good: its number stays taken, and nothing of it is left in any place."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3
import pytest
from PIL import Image
from sqlalchemy import func, inspect, select, text

from post.components import components
from post.errors import StorageUnavailable
from post.models import ErasedObject, Like, LogEntry, Media, Pin, Post, Report, SearchGram, SearchTitle, db
from post.services import purging
from tests.answers import UNKNOWN_ID, fault
from tests.conftest import at_once, wrong_in
from tests.redis_replicas import PATIENT, own_redis
from tests.servers import moto_server
from tests.test_media import PNG, media_url, multipart

API = "/api/v1"
POSTS = f"{API}/posts"
REGION = "ap-northeast-2"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@pytest.fixture
def purge(client, as_user):
    """Erase a post as an admin; returns the answer."""
    return lambda post_id, **body: client.delete(
        f"{API}/admin/posts/{post_id}", headers=as_user("root"), **({"json": body} if body else {})
    )


@pytest.fixture
def make_deleted(client, make_post, as_user):
    """Make a post with an image that its author has deleted; returns its id."""

    def make(**fields: str) -> str:
        post_id = make_post(author="ana", **fields)
        image = multipart(('name="file"; filename="a.png"', PNG))
        assert client.post(media_url(post_id), headers=as_user("ana"), **image).status_code == 201
        assert client.delete(f"{POSTS}/{post_id}", headers=as_user("ana")).status_code == 200
        return post_id

    return make


@pytest.fixture
def deeds(rows):
    """The log's actions on a post."""
    query = select(LogEntry.action).order_by(LogEntry.No)
    return lambda post_id: [row.action for row in rows(query.where(LogEntry.post_id == post_id))]


class Cdn:
    """CloudFront, that is away for a while; notes what it was to forget, and whether the storage still had it."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.forgotten: list[str] = []
        self.too_early: list[str] = []

    def forget(self, keys) -> None:
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable
        self.forgotten += keys
        self.too_early += [key for key in keys if components().image_storage.read(key) is not None]


class AwayStorage:
    """A storage that removes nothing for a while."""

    def __init__(self, storage: Any, failures: int) -> None:
        self._storage, self._failures = storage, failures

    def delete(self, keys) -> None:
        if self._failures:
            self._failures -= 1
            raise StorageUnavailable
        self._storage.delete(keys)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


@pytest.fixture
def use(app, monkeypatch):
    """Give the service other components."""

    def change(**changes: Any) -> None:
        monkeypatch.setitem(app.extensions, "post", replace(app.extensions["post"], **changes))

    return change


@pytest.fixture
def keys_of(app):
    """The keys of a post's objects, and which of them are stored."""

    def find(post_id: str) -> set[str]:
        with app.app_context():
            rows = db.session.execute(select(Media.object_key, Media.thumbnail_key).where(Media.post_id == post_id))
            return {key for row in rows for key in row}

    return find


@pytest.fixture
def is_stored(app):
    def look(key: str) -> bool:
        with app.app_context():
            return components().image_storage.read(key) is not None

    return look


# Nothing is left


def dump_of(service) -> bytes:
    """Every value of every table of a service's database, also of what no model knows."""
    parts: list[bytes] = []
    with service.app_context(), db.engine.connect() as connection:
        quote = connection.dialect.identifier_preparer.quote
        for table in inspect(connection).get_table_names():
            for row in connection.execute(text(f"SELECT * FROM {quote(table)}")):
                parts += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    return b"\n".join(parts)


def dump_of_redis(client) -> bytes:
    parts: list[bytes] = []
    for key in client.scan_iter():
        value = client.hgetall(key) if client.type(key) == b"hash" else client.get(key)
        parts += [key, repr(value).encode() if isinstance(value, dict) else value]
    return b"\n".join(parts)


def left_of(words: list[str], content: bytes) -> set[str]:
    """The words that are in a dump, letter case ignored, plain or as JSON escapes them."""
    lower = content.decode(errors="replace").lower()
    return {word for word in words if word.lower() in lower or json.dumps(word)[1:-1].lower() in lower}


def picture(color: str) -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(output, "PNG")
    return output.getvalue()


@contextmanager
def site(make_app, folder, **settings: str) -> Iterator[tuple[Any, Any, Any]]:
    """A service with a bucket, a distribution, and Redis; yields it, a client of AWS for a name, one of Redis."""
    with moto_server() as url, own_redis(folder) as redis:

        def aws(name: str) -> Any:
            keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
            return boto3.client(name, region_name=REGION, endpoint_url=url, **keys)

        aws("s3").create_bucket(Bucket="images", CreateBucketConfiguration={"LocationConstraint": REGION})
        origin = {"Id": "o", "DomainName": "images.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
        behavior = {"TargetOriginId": "o", "ViewerProtocolPolicy": "https-only"}
        config = {
            "CallerReference": "1",
            "Comment": "",
            "Enabled": True,
            "DefaultCacheBehavior": behavior,
            "Origins": {"Quantity": 1, "Items": [origin]},
        }
        made = aws("cloudfront").create_distribution(DistributionConfig=config)["Distribution"]
        own = {"S3_BUCKET_NAME": "images", "S3_FOLDER_PREFIX": "p", "CLOUDFRONT_DOMAIN": "d1.cloudfront.net"}
        own |= {"CLOUDFRONT_DISTRIBUTION_ID": made["Id"], "REDIS_URL": redis.url, **PATIENT, **KEYS}
        own |= {"AWS_ENDPOINT_URL_S3": url, "AWS_ENDPOINT_URL_CLOUDFRONT": url}
        service = make_app(**own | settings)
        try:
            yield service, aws, redis.client()
        finally:
            with service.app_context():
                db.engine.dispose()


WORDS = {
    "title": "Zebrafinch 수수께끼제목",
    "content": "Xylophone 비밀스러운내용",
    "edited": "Quokka 두번째제목",
    "name": "Yarrowname",
    "first file": "Wombatfile",
    "second file": "코알라그림",
    "report": "Jackalreport 신고글",
}


def live(client, as_user, tmp_words: dict[str, str]) -> tuple[str, list[str], dict[str, str]]:
    """Write a post with all that a post may have; returns its id, its objects' keys, and its author's headers."""
    author = as_user(tmp_words["name"])
    body = {"title": tmp_words["title"], "content": tmp_words["content"], "category": "여행"}
    written = client.post(POSTS, json=body, headers=author | {"Idempotency-Key": "once"})
    post_id = written.json["data"]["id"]
    for name, color in ((tmp_words["first file"], "red"), (tmp_words["second file"], "blue")):
        image = {"file": (io.BytesIO(picture(color)), f"{name}.png")}
        assert client.post(media_url(post_id), data=image, headers=author).status_code == 201
    client.patch(f"{POSTS}/{post_id}", json={"title": tmp_words["edited"]}, headers=author)
    client.put(f"{POSTS}/{post_id}/like", headers=as_user("bo"))
    for path in (f"{POSTS}/{post_id}", f"{POSTS}?q=quokka", f"{API}/categories"):
        assert client.get(path).status_code == 200
    media = client.get(f"{POSTS}/{post_id}").json["data"]["media_files"]
    keys = [image[name].rpartition("/")[2] for image in media for name in ("url", "thumbnail_url")]
    return post_id, keys, author


def test_nothing_of_an_erased_post_is_left_anywhere(app, make_app, database_url, as_user, user_id, tmp_path, *, caplog):
    caplog.set_level(logging.INFO)
    with site(make_app, tmp_path, DATABASE_URL=database_url) as (service, aws, redis):
        client = service.test_client()
        other = client.post(POSTS, json={"title": "남은 글", "content": "내용"}, headers=as_user("bo")).json["data"]
        post_id, keys, author = live(client, as_user, WORDS)
        with service.app_context():
            number = db.session.scalar(select(Post.No).where(Post.id == post_id))
            db.session.add(Report(post_id=post_id, user_id=user_id("bo"), reason="spam", text=WORDS["report"]))
            db.session.add(Pin(post_id=post_id, scope="all"))
            db.session.commit()
        searched = [word for text_ in WORDS.values() for word in text_.split()]
        before = left_of([*searched, *keys], dump_of(service))
        client.delete(f"{POSTS}/{post_id}", headers=author)

        answer = client.delete(f"{API}/admin/posts/{post_id}", json={"reason": "불법"}, headers=as_user("root"))

        assert answer.json["data"] == {"id": post_id, "status": "purged", "images_removed": True}
        assert before == {*searched, *keys}  # so that the dump has what it is searched for
        assert left_of([*searched, *keys], dump_of(service)) == set()
        assert aws("s3").list_objects_v2(Bucket="images")["KeyCount"] == 0
        assert left_of([*searched, *keys], dump_of_redis(redis)) == set()
        assert left_of(searched, caplog.text.encode()) == set()
        paths = invalidated(aws("cloudfront"), service)
        assert sorted(paths) == sorted(f"/p/{key}" for key in keys)
        with service.app_context():
            for table in (SearchGram, SearchTitle):
                assert db.session.scalar(select(func.count()).where(table.No == number)) == 0
            for table in (Like, Media, Report, Pin):
                assert db.session.scalar(select(func.count()).where(table.post_id == post_id)) == 0
        assert client.get(f"{POSTS}/{other['id']}").json["data"]["title"] == "남은 글"
        repeated = {"title": WORDS["title"], "content": WORDS["content"], "category": "여행"}
        again = client.post(POSTS, json=repeated, headers=author | {"Idempotency-Key": "once"})
        assert fault(again) == (409, "idempotency_conflict")
    assert wrong_in(app) == []


def invalidated(cloudfront, service) -> list[str]:
    distribution = service.extensions["post"].settings.cloudfront_distribution_id
    listed = cloudfront.list_invalidations(DistributionId=distribution)["InvalidationList"]["Items"]
    found = [cloudfront.get_invalidation(DistributionId=distribution, Id=item["Id"]) for item in listed]
    return [path for one in found for path in one["Invalidation"]["InvalidationBatch"]["Paths"]["Items"]]


# Erased things


def test_its_row_keeps_the_number_alone(client, as_user, purge, make_deleted, row, *, deeds, user_id, rows):
    post_id = make_deleted()
    before = row(post_id)

    answer = purge(post_id, reason="불법")

    assert answer.status_code == 200
    post = row(post_id)
    assert (post.No, post.status, post.deleted_by) == (before.No, "deleted", "author")
    assert (post.title, post.content, post.username) == ("", "", "")
    assert (post.user_id, post.category, post.category_id, post.hidden_by) == (None,) * 4
    assert (post.view_count, post.like_count, post.comment_count, post.media_count, post.report_count) == (0,) * 5
    assert post.purged_at is not None
    assert deeds(post_id) == ["purge"]
    query = select(LogEntry.actor, LogEntry.user_id, LogEntry.reason, LogEntry.state_before, LogEntry.state_after)
    (entry,) = rows(query)
    assert entry[:3] == (user_id("root"), user_id("ana"), "불법")
    assert [json.loads(state) for state in entry[3:]] == [
        {"status": "deleted", "deleted_by": "author"},
        {"status": "purged"},
    ]
    newer = client.post(POSTS, json={"title": "새 글", "content": "내용"}, headers=as_user("ana")).json["data"]
    assert newer["No"] > before.No


def test_the_highest_number_is_not_used_again(client, as_user, purge, make_deleted, row):
    numbers = [row(post_id).No for post_id in [make_deleted(), make_deleted()] if purge(post_id)]

    newest = client.post(POSTS, json={"title": "새 글", "content": "내용"}, headers=as_user("ana")).json["data"]

    assert newest["No"] not in numbers


@pytest.mark.parametrize("who", ["nobody", "ana", "root"])
def test_an_erased_post_is_there_for_nobody(client, as_user, purge, make_deleted, who):
    post_id = make_deleted()
    purge(post_id)
    headers = as_user(who)

    answers = [client.get(f"{POSTS}/{post_id}", headers=headers)]
    if who != "nobody":
        answers += [
            client.patch(f"{POSTS}/{post_id}", json={"status": "visible"}, headers=headers),
            client.delete(f"{POSTS}/{post_id}", headers=headers),
            client.put(f"{POSTS}/{post_id}/like", headers=headers),
            client.post(media_url(post_id), headers=headers, **multipart(('name="file"; filename="a.png"', PNG))),
        ]

    assert {fault(answer) for answer in answers} == {(404, "post_not_found")}


def test_a_post_that_an_earlier_release_has_deleted_is_erased_too(purge, make_post, row, wrong):
    post_id = make_post(author="ana", status="deleted")
    assert row(post_id).deleted_at is None

    assert purge(post_id).status_code == 200

    assert row(post_id).title == ""
    assert wrong() == []


def test_a_category_whose_posts_are_erased_can_be_deleted(client, as_user, purge, make_deleted):
    post_id = make_deleted(category="여행")
    (category,) = [one for one in client.get(f"{API}/categories").json["data"] if one["name"] == "여행"]
    url = f"{API}/categories/{category['id']}"
    refused = client.delete(url, headers=as_user("root"))

    purge(post_id)

    assert fault(refused) == (409, "category_in_use")
    assert client.delete(url, headers=as_user("root")).status_code == 200


def test_a_title_that_the_index_has_by_mistake_is_erased_from_it(app, purge, make_deleted, row, stored):
    post_id = make_deleted()
    with app.app_context():
        db.session.add(SearchTitle(No=row(post_id).No, title_key="제목"))
        db.session.add(SearchGram(gram=ord("제") << 21 | ord("목"), No=row(post_id).No))
        db.session.commit()

    purge(post_id)

    assert stored(select(func.count()).select_from(SearchGram)) == 0
    assert stored(select(func.count()).select_from(SearchTitle)) == 0


# What is refused


@pytest.mark.parametrize("status", ["visible", "hidden"])
def test_only_a_deleted_post_is_erased(purge, make_post, row, deeds, status):
    post_id = make_post(author="ana", status=status)

    assert fault(purge(post_id)) == (409, "post_not_deleted")
    assert (row(post_id).title, deeds(post_id)) == ("제목", [])


def test_what_is_not_there_is_not_found(purge, make_deleted, deeds):
    post_id = make_deleted()
    purge(post_id)

    assert fault(purge(post_id)) == fault(purge(UNKNOWN_ID)) == (404, "post_not_found")
    assert fault(purge("null")) == (400, "invalid_post_id")
    assert deeds(post_id) == ["purge"]


@pytest.mark.parametrize("who", ["nobody", "ana"])
def test_only_admins_erase(client, as_user, make_deleted, row, who):
    post_id = make_deleted()

    answer = client.delete(f"{API}/admin/posts/{post_id}", headers=as_user(who))

    assert fault(answer) == ((401, "token_missing") if who == "nobody" else (403, "forbidden"))
    assert row(post_id).title == "제목"


# Storage and CloudFront


def test_the_storage_forgets_before_cloudfront_does(purge, make_deleted, keys_of, is_stored, use):
    cdn = Cdn()
    use(image_cdn=cdn)
    post_id = make_deleted()
    keys = keys_of(post_id)

    purge(post_id)

    assert (set(cdn.forgotten), cdn.too_early) == (keys, [])
    assert not any(map(is_stored, keys))


@pytest.mark.parametrize("away", ["storage", "cloudfront"])
@pytest.mark.parametrize("how", ["again", "prune"])
def test_what_could_not_be_removed_is_removed_later(
    app, purge, make_deleted, keys_of, is_stored, *, use, row, stored, caplog, deeds, away, how
):
    cdn = Cdn(failures=away == "cloudfront")
    storage = app.extensions["post"].image_storage
    use(image_cdn=cdn, image_storage=AwayStorage(storage, failures=away == "storage"))
    post_id = make_deleted()
    keys = keys_of(post_id)

    first = purge(post_id)
    left = {key for key in keys if is_stored(key)}
    if how == "again":
        later = purge(post_id)
        assert later.json["data"] == {"id": post_id, "status": "purged", "images_removed": True}
    else:
        app.test_cli_runner().invoke(args=["images", "prune"], catch_exceptions=False)

    assert (first.status_code, first.json["data"]["images_removed"]) == (200, False)
    assert row(post_id).title == ""
    assert [record for record in caplog.records if record.message == "images_not_purged"]
    assert left == (keys if away == "storage" else set())
    assert not any(map(is_stored, keys))
    assert set(cdn.forgotten) == keys
    assert stored(select(func.count()).select_from(ErasedObject)) == 0
    assert fault(purge(post_id)) == (404, "post_not_found")
    assert deeds(post_id) == ["purge"]


def test_a_process_that_ends_in_between_loses_nothing(app, purge, make_deleted, keys_of, is_stored):
    post_id = make_deleted()
    keys = keys_of(post_id)
    with app.app_context():
        purging._erase(post_id, "root", None)  # and no more

    answer = purge(post_id)

    assert answer.json["data"]["images_removed"] is True
    assert not any(map(is_stored, keys))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"CLOUDFRONT_DISTRIBUTION_ID": "e1 2"}, "CLOUDFRONT_DISTRIBUTION_ID: must be the id of a distribution"),
        ({"CLOUDFRONT_DISTRIBUTION_ID": "E1A2B3C4D5E6F7"}, "CLOUDFRONT_DOMAIN: must be set if CLOUDFRONT_DISTRIB"),
    ],
)
def test_a_distribution_is_checked_at_the_start(make_app, settings, message):
    with pytest.raises(Exception, match=message):
        make_app(**settings)


# At the same time


def test_many_at_once_erase_it_once(app, as_user, make_deleted, deeds):
    post_id, headers = make_deleted(), as_user("root")

    answers = at_once([lambda: app.test_client().delete(f"{API}/admin/posts/{post_id}", headers=headers)] * 8)

    assert {answer.status_code for answer in answers} <= {200, 404}
    assert 200 in {answer.status_code for answer in answers}
    assert deeds(post_id) == ["purge"]


def test_a_post_is_either_erased_or_restored(app, as_user, make_deleted, row, *, deeds, wrong):
    headers, ids = as_user("root"), [make_deleted(title=f"제목 {number}") for number in range(6)]
    calls = [
        call
        for post_id in ids
        for call in (
            lambda post_id=post_id: app.test_client().delete(f"{API}/admin/posts/{post_id}", headers=headers),
            lambda post_id=post_id: app.test_client().patch(
                f"{POSTS}/{post_id}", json={"status": "visible"}, headers=headers
            ),
        )
    ]

    answers = at_once(calls)

    for place, post_id in enumerate(ids):
        erased, restored = (answer.status_code for answer in answers[2 * place : 2 * place + 2])
        assert (erased, restored) in {(200, 404), (409, 200)}
        assert (row(post_id).title == "") == (erased == 200)
        assert deeds(post_id) == ["purge" if erased == 200 else "restore"]
    assert wrong() == []


def test_the_answers_kept_for_a_post_are_found_by_an_index(app, make_deleted, database):
    explain = "EXPLAIN QUERY PLAN" if database == "sqlite" else "EXPLAIN FORMAT=TRADITIONAL"
    statement = "UPDATE idempotency_keys SET request_hash = '' WHERE post_id = 'x'"

    with app.app_context():
        (step,) = db.session.connection().exec_driver_sql(f"{explain} {statement}").mappings().all()

    assert "ix_idempotency_keys_post_id" in (step.get("detail") or step["key"])
