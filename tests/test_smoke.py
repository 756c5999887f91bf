def test_a_post_is_created_and_read(client, as_user):
    r = client.post("/api/v1/posts", json={"title": "t", "content": "c"}, headers=as_user("ana"))
    assert r.status_code == 201, r.data
    assert client.get(r.headers["Location"]).json["data"]["No"] >= 1
