"""Where images are kept, in files or in S3 (moto's server), and what is removed from there later."""

import hashlib
import io
import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from PIL import Image

from config import ConfigError, load_config
from post.aws import new_client
from post.errors import StorageUnavailable
from post.images import storage as image_storage
from post.images.storage import FileStorage, S3Storage, new_key
from post.models import db
from post.services import media
from tests.answers import fault
from tests.servers import free_port, moto_server

POSTS = "/api/v1/posts"
REGION = "ap-northeast-2"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
CONTENT = b"content"
PAGE = 3  # objects that moto lists at once, for S3's 1,000
both_storages = pytest.mark.parametrize("kind", ["files", "s3"])


def png() -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(output, "PNG")
    return output.getvalue()


@pytest.fixture(scope="module")
def aws():
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MOTO_S3_DEFAULT_MAX_KEYS", str(PAGE))
        with moto_server() as url:
            yield url


@pytest.fixture(scope="module")
def s3(aws):
    """A client beside the service's own."""
    client = boto3.client(
        "s3", region_name=REGION, endpoint_url=aws, aws_access_key_id="test", aws_secret_access_key="test"
    )
    yield client
    client.close()


@pytest.fixture
def bucket(s3):
    name = f"images-{uuid4().hex}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


@pytest.fixture
def make_storage(tmp_path, request):
    """Build a storage that nothing is in."""
    clients = []

    def make(kind, *, prefix="", base_url="/api/v1/images/"):
        if kind == "files":
            return FileStorage(tmp_path / "images", base_url=base_url)
        endpoint, bucket = request.getfixturevalue("aws"), request.getfixturevalue("bucket")
        clients.append(new_client("s3", load_config(KEYS), region=REGION, endpoint_url=endpoint))
        return S3Storage(clients[-1], bucket=bucket, prefix=prefix, base_url=base_url)

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def use_storage(app, make_storage, monkeypatch):
    """Give the service another storage, that nothing is in; returns it."""

    def use(kind, **how):
        storage = make_storage(kind, **how)
        monkeypatch.setitem(app.extensions, "post", replace(app.extensions["post"], image_storage=storage))
        return storage

    return use


@contextmanager
def service_of(make_app, **settings: str):
    service = make_app(**KEYS | settings)
    try:
        yield service
    finally:
        service.extensions["post"].image_storage._client.close()
        with service.app_context():
            db.engine.dispose()


@pytest.fixture
def make_service(app, make_app, database_url, aws, bucket):
    """Build a service on this half's database whose images are in a new bucket."""
    with ExitStack() as made:
        own = {"DATABASE_URL": database_url, "AWS_ENDPOINT_URL_S3": aws, "S3_BUCKET_NAME": bucket}
        yield lambda **settings: made.enter_context(service_of(make_app, **own | settings))


@pytest.fixture(scope="module", params=["no-bucket", "no-server"])
def service_without(request, make_app, database_url, aws):
    endpoint = aws if request.param == "no-bucket" else f"http://127.0.0.1:{free_port()}"
    settings = {"AWS_ENDPOINT_URL_S3": endpoint, "S3_BUCKET_NAME": "there-is-no-such-bucket"}
    with service_of(make_app, DATABASE_URL=database_url, **settings) as service:
        yield service


@pytest.fixture
def away(app, service_without):
    """A service on this half's database whose bucket is not there, or nothing at all."""
    return service_without


@pytest.fixture
def send(as_user):
    """Upload images to a post of ana's through a service."""

    def upload(service, post_id, count=1):
        data = {"files[]": [(io.BytesIO(png()), f"{number}.png") for number in range(count)]}
        return service.test_client().post(f"{POSTS}/{post_id}/media", data=data, headers=as_user("ana"))

    return upload


def keys_in(storage) -> set[str]:
    return {found.key for found in storage.objects()}


def prune(service, *options):
    return service.test_cli_runner().invoke(args=["images", "prune", *options])


def put(storage, content: bytes = CONTENT, extension: str = "png") -> str:
    key = new_key(content, extension)
    storage.put(key, content)
    return key


def key_of(url: str) -> str:
    return url.rpartition("/")[2]


# The interface, whose implementations are alike


@both_storages
def test_what_is_put_is_read(make_storage, kind):
    storage = make_storage(kind)

    key, other = put(storage), put(storage, b"other")

    assert (storage.read(key), storage.read(other)) == (CONTENT, b"other")


@both_storages
def test_what_was_never_put_is_none(make_storage, kind):
    storage = make_storage(kind)

    assert storage.read(new_key(CONTENT, "png")) is None


@both_storages
def test_what_is_deleted_is_gone_and_the_rest_stays(make_storage, kind):
    storage = make_storage(kind)
    gone, also_gone, kept = put(storage), put(storage), put(storage)

    storage.delete([gone, also_gone])

    assert storage.read(gone) is storage.read(also_gone) is None
    assert storage.read(kept) == CONTENT
    assert [found.key for found in storage.objects()] == [kept]


@both_storages
def test_what_is_not_there_is_deleted_without_a_word(make_storage, kind):
    storage = make_storage(kind)
    key = put(storage)

    storage.delete([new_key(CONTENT, "png"), key])
    storage.delete([])

    assert list(storage.objects()) == []


@both_storages
@pytest.mark.parametrize("count", [0, PAGE, PAGE + 1, 3 * PAGE])
def test_everything_is_listed_with_size_and_time(make_storage, kind, count):
    storage = make_storage(kind)

    keys = {put(storage, bytes(number)): number for number in range(count)}

    found = list(storage.objects())
    assert len(found) == count
    assert {each.key: each.size for each in found} == keys
    assert all(abs(datetime.now(UTC) - each.stored_at) < timedelta(minutes=5) for each in found)


@both_storages
def test_a_url_is_the_base_and_the_key(make_storage, kind):
    storage = make_storage(kind, base_url="https://d111111abcdef8.cloudfront.net/posts/")

    assert storage.url("key.png") == "https://d111111abcdef8.cloudfront.net/posts/key.png"


def test_many_are_deleted_in_batches(make_storage, monkeypatch):
    monkeypatch.setattr(image_storage, "DELETE_BATCH", 2)
    storage, sizes = make_storage("s3"), []
    keys = [put(storage) for _ in range(5)]
    storage._client.meta.events.register(
        "provide-client-params.s3.DeleteObjects",
        lambda params, **_: sizes.append(len(params["Delete"]["Objects"])),
    )

    storage.delete(keys)

    assert sizes == [2, 2, 1]
    assert list(storage.objects()) == []


# Files


def test_a_file_is_whole_and_synced_before_it_has_its_name(make_storage, tmp_path, monkeypatch):
    storage, folder = make_storage("files"), tmp_path / "images"
    synced = []

    def fsync(descriptor):
        sync(descriptor)
        synced.append({file.name: file.read_bytes() for file in folder.iterdir()})

    sync = os.fsync
    monkeypatch.setattr(os, "fsync", fsync)
    key = put(storage)

    before, after = synced
    assert list(before.values()) == [CONTENT]
    assert list(before) != [key]
    assert after == {key: CONTENT}


@pytest.mark.parametrize("good", [0, 1], ids=["the-file", "the-folder"])
def test_nothing_is_left_of_a_file_that_cannot_be_synced(make_storage, tmp_path, monkeypatch, good):
    storage = make_storage("files")
    monkeypatch.setattr(os, "fsync", failing_after(good, OSError(28, "No space left on device")))

    with pytest.raises(StorageUnavailable):
        put(storage)

    assert list((tmp_path / "images").iterdir()) == []


def failing_after(good: int, error: Exception):
    """A function that does nothing for so many calls and then raises."""
    calls = iter(range(good))

    def fail(*_args, **_kwargs):
        if next(calls, None) is None:
            raise error

    return fail


@pytest.mark.parametrize("action", ["put", "read", "delete", "list"])
def test_a_folder_that_cannot_be_used_is_told_as_such(tmp_path, action):
    (tmp_path / "file").write_text("")
    storage = FileStorage(tmp_path / "file", base_url="/")
    act = {
        "put": lambda: put(storage),
        "read": lambda: storage.read("x"),
        "delete": lambda: storage.delete(["x"]),
        "list": lambda: list(storage.objects()),
    }

    with pytest.raises(StorageUnavailable):
        act[action]()


# S3


@pytest.mark.parametrize(
    ("extension", "content_type"),
    [("jpg", "image/jpeg"), ("png", "image/png"), ("gif", "image/gif"), ("webp", "image/webp")],
)
def test_an_object_has_the_headers_that_cloudfront_passes_on(make_storage, s3, bucket, *, extension, content_type):
    key = put(make_storage("s3", prefix="posts/"), extension=extension)

    found = s3.get_object(Bucket=bucket, Key=f"posts/{key}")

    with found["Body"] as body:
        assert body.read() == CONTENT
    assert found["ContentType"] == content_type
    assert found["CacheControl"] == "public, max-age=31536000, immutable"
    assert found["ContentDisposition"] == "inline"


@pytest.mark.parametrize(("prefix", "folder"), [("", ""), ("/posts/images", "posts/images/")])
def test_a_service_keeps_its_objects_under_the_prefix(make_service, make_post, send, s3, bucket, *, prefix, folder):
    service = make_service(S3_FOLDER_PREFIX=prefix)

    image = send(service, make_post()).json["data"]["uploaded_files"][0]

    names = {found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert names == {folder + key_of(image["url"]), folder + key_of(image["thumbnail_url"])}


def test_an_image_lives_in_a_bucket_as_it_does_in_files(make_service, make_post, as_user, send, s3, bucket):
    service = make_service(S3_FOLDER_PREFIX="posts")
    client, post_id = service.test_client(), make_post()

    uploaded = send(service, post_id).json["data"]["uploaded_files"][0]
    shown = client.get(f"{POSTS}/{post_id}").json["data"]["media_files"]
    served = [client.get(uploaded[name]) for name in ("url", "thumbnail_url")]
    removed = client.delete(f"{POSTS}/{post_id}/media/{uploaded['id']}", headers=as_user("ana"))
    after = client.get(uploaded["url"])

    assert shown == [uploaded]
    assert uploaded["url"].startswith("http://localhost:8082/api/v1/images/")
    assert [(answer.status_code, answer.mimetype) for answer in served] == [(200, "image/png"), (200, "image/webp")]
    assert all(hashlib.sha256(answer.data).hexdigest() in answer.request.path for answer in served)
    assert removed.status_code == 200
    assert fault(after) == (404, "media_not_found")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize(("prefix", "folder"), [("", ""), ("posts", "posts/")])
def test_urls_are_on_cloudfront_where_it_serves_the_bucket(
    make_service, make_post, send, s3, bucket, *, prefix, folder
):
    service = make_service(S3_FOLDER_PREFIX=prefix, CLOUDFRONT_DOMAIN="d111111abcdef8.cloudfront.net")
    post_id = make_post()

    uploaded = send(service, post_id).json["data"]["uploaded_files"][0]

    names = {found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert {uploaded["url"], uploaded["thumbnail_url"]} == {
        f"https://d111111abcdef8.cloudfront.net/{name}" for name in names
    }
    assert all(name.startswith(folder) for name in names)
    assert service.test_client().get(f"{POSTS}/{post_id}").json["data"]["media_files"] == [uploaded]


# A storage that is away


def assert_unavailable(response) -> None:
    assert fault(response) == (503, "storage_unavailable")
    assert int(response.headers["Retry-After"]) > 0


def test_an_upload_to_a_bucket_that_is_away_is_503_and_leaves_no_row(away, make_post, send, count_media):
    response = send(away, make_post())

    assert_unavailable(response)
    assert count_media() == 0


def test_an_image_in_a_bucket_that_is_away_is_503(away, app, use_storage, make_post, send):
    use_storage("s3")
    uploaded = send(app, make_post()).json["data"]["uploaded_files"][0]

    response = away.test_client().get(uploaded["url"])

    assert_unavailable(response)


def test_posts_are_read_and_written_while_the_bucket_is_away(away, app, use_storage, make_post, as_user, send):
    use_storage("s3")
    post_id = make_post()
    send(app, post_id)
    client = away.test_client()

    read = client.get(f"{POSTS}/{post_id}")
    edited = client.patch(f"{POSTS}/{post_id}", json={"title": "새 제목"}, headers=as_user("ana"))

    assert (read.status_code, edited.status_code) == (200, 200)
    assert read.json["data"]["media_count"] == edited.json["data"]["media_count"] == 1


def test_an_image_is_removed_while_the_bucket_is_away_and_its_objects_are_left_to_be_pruned(
    away, app, use_storage, make_post, as_user, send, count_media
):
    storage, post_id = use_storage("s3"), make_post()
    uploaded = send(app, post_id).json["data"]["uploaded_files"][0]

    response = away.test_client().delete(f"{POSTS}/{post_id}/media/{uploaded['id']}", headers=as_user("ana"))

    left = keys_in(storage)
    assert response.status_code == 200
    assert count_media() == 0
    assert left == {key_of(uploaded["url"]), key_of(uploaded["thumbnail_url"])}
    assert prune(app, "--older-than", "0").output.startswith("Removed 2 objects")
    assert keys_in(storage) == set()


def test_pruning_a_bucket_that_is_away_ends_with_a_line(away):
    result = prune(away)

    assert result.exit_code == 1
    assert result.output == "Error: The storage of images is not available. Please try again later.\n"


@both_storages
@pytest.mark.parametrize("good", [0, 1, 2, 3], ids=["first", "first-thumbnail", "second", "second-thumbnail"])
def test_an_upload_of_which_an_object_cannot_be_stored_leaves_nothing(
    app, use_storage, make_post, send, count_media, row, monkeypatch, *, kind, good
):
    storage, post_id = use_storage(kind), make_post()
    before = row(post_id).updated_at
    if kind == "files":  # which syncs twice for each
        monkeypatch.setattr(os, "fsync", failing_after(2 * good, OSError(28, "No space left on device")))
    else:
        error = EndpointConnectionError(endpoint_url="http://s3.example")
        storage._client.meta.events.register("before-send.s3.PutObject", failing_after(good, error))

    response = send(app, post_id, count=2)

    assert_unavailable(response)
    assert keys_in(storage) == set()
    assert count_media() == 0
    assert row(post_id).updated_at == before


# Pruning


@both_storages
def test_what_no_post_has_is_pruned_and_the_rest_is_left(app, use_storage, make_post, send, as_user, kind):
    storage, visible, deleted = use_storage(kind), make_post(), make_post()
    kept = send(app, visible).json["data"]["uploaded_files"] + send(app, deleted).json["data"]["uploaded_files"]
    app.test_client().delete(f"{POSTS}/{deleted}", headers=as_user("ana"))
    for size in (10, 300):
        put(storage, b"x" * size)

    result = prune(app, "--older-than", "0")

    assert result.exit_code == 0
    assert result.output == "Removed 2 objects (310 bytes), left 4.\n"
    assert keys_in(storage) == {key_of(image[name]) for image in kept for name in ("url", "thumbnail_url")}


@pytest.mark.parametrize("command", [("images", "prune"), ("users", "list-deactivated"), ("idempotency", "prune")])
def test_a_command_makes_no_database_to_work_on(app, make_app, tmp_path, command):
    """On an empty one, every stored image would be nobody's."""
    app = make_app(DATABASE_URL=f"sqlite:///{tmp_path}/other.sqlite3")
    (tmp_path / "other.sqlite3").unlink()

    result = app.test_cli_runner().invoke(args=list(command))

    assert result.exit_code == 1
    assert result.output.startswith("Error: DATABASE_URL: cannot use the database: its schema is not")


@both_storages
def test_what_is_younger_than_a_day_may_be_an_upload_that_is_under_way(app, use_storage, kind):
    storage = use_storage(kind)
    key = put(storage)

    result = prune(app)

    assert result.output == "Removed 0 objects (0 bytes), left 1.\n"
    assert keys_in(storage) == {key}


@pytest.mark.parametrize(
    ("hours_old", "options", "removed"),
    [(23.9, [], 0), (24.1, [], 1), (1.9, ["--older-than", "2"], 0), (0.6, ["--older-than", "0.5"], 1)],
)
def test_the_age_is_in_hours_and_a_day_by_default(app, use_storage, tmp_path, *, hours_old, options, removed):
    storage = use_storage("files")
    grow_old(tmp_path / "images" / put(storage), hours_old)

    result = prune(app, *options)

    assert result.output == f"Removed {removed} objects ({removed * len(CONTENT)} bytes), left {1 - removed}.\n"
    assert len(keys_in(storage)) == 1 - removed


def grow_old(file, hours: float) -> None:
    stored_at = time.time() - hours * 3600
    os.utime(file, (stored_at, stored_at))


@pytest.mark.parametrize("hours", ["-1", "soon"])
def test_an_age_that_is_none_is_refused(app, use_storage, hours):
    storage = use_storage("files")
    key = put(storage)

    result = prune(app, "--older-than", hours)

    assert result.exit_code == 2
    assert keys_in(storage) == {key}


@both_storages
def test_a_storage_that_nothing_was_ever_put_into_is_pruned(app, use_storage, kind):
    use_storage(kind)

    result = prune(app, "--older-than", "0")

    assert result.output == "Removed 0 objects (0 bytes), left 0.\n"


@both_storages
def test_more_is_pruned_than_is_listed_or_deleted_at_once(app, use_storage, make_post, send, monkeypatch, kind):
    monkeypatch.setattr(media, "PRUNE_BATCH", 4)
    monkeypatch.setattr(image_storage, "DELETE_BATCH", 2)
    storage = use_storage(kind)
    orphans = {put(storage) for _ in range(7)}
    send(app, make_post())
    kept = keys_in(storage) - orphans
    orphans |= {put(storage) for _ in range(7)}

    result = prune(app, "--older-than", "0")

    assert result.output == f"Removed 14 objects ({14 * len(CONTENT)} bytes), left 2.\n"
    assert keys_in(storage) == kept


@pytest.mark.parametrize(
    ("hours_old", "report"),
    [(23.9, "Removed 0 objects (0 bytes), left 2.\n"), (24.1, "Removed 1 objects (4 bytes), left 1.\n")],
)
def test_what_a_crash_has_left_half_written_is_pruned(app, use_storage, tmp_path, *, hours_old, report):
    key = put(use_storage("files"))
    unfinished = tmp_path / "images" / ".x.tmp"
    unfinished.write_bytes(b"half")
    grow_old(unfinished, hours_old)

    result = prune(app)

    left = {file.name for file in (tmp_path / "images").iterdir()}
    assert result.output == report
    assert left == ({key, ".x.tmp"} if hours_old < 24 else {key})


def test_files_of_others_are_left_alone(app, use_storage, tmp_path):
    put(use_storage("files"))
    others = {".keep", "README.txt", "x.tmp", f"{new_key(CONTENT, 'png')}.bak"}
    for name in others:
        (tmp_path / "images" / name).write_bytes(CONTENT)

    result = prune(app, "--older-than", "0")

    assert result.output == f"Removed 1 objects ({len(CONTENT)} bytes), left 0.\n"
    assert {file.name for file in (tmp_path / "images").iterdir()} == others


@pytest.mark.parametrize(
    ("prefix", "others"),
    [
        ("", ["README.txt", "other/{key}", "{key}.bak"]),
        ("posts/", ["{key}", "posts-old/{key}", "posts/sub/{key}", "posts/", "posts/README.txt", "other/posts/{key}"]),
    ],
    ids=["whole-bucket", "prefix"],
)
def test_objects_of_others_are_left_alone(app, use_storage, s3, bucket, *, prefix, others):
    names = {name.format(key=new_key(CONTENT, "png")) for name in others}
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=CONTENT)
    put(use_storage("s3", prefix=prefix))

    result = prune(app, "--older-than", "0")

    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    assert result.output == f"Removed 1 objects ({len(CONTENT)} bytes), left 0.\n"
    assert {found["Key"] for page in pages for found in page["Contents"]} == names


# Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("s3_bucket_name", None),
        ("s3_region", "ap-northeast-2"),
        ("s3_folder_prefix", ""),
        ("cloudfront_domain", None),
        ("aws_endpoint_url_s3", None),
        ("aws_access_key_id", None),
        ("aws_secret_access_key", None),
    ],
)
@pytest.mark.parametrize("env", ["absent", "empty"])
def test_an_unset_variable_takes_its_default(name, value, env):
    settings = load_config({name.upper(): ""} if env == "empty" else {})

    assert getattr(settings, name) == value


@pytest.mark.parametrize(
    ("given", "prefix"), [("posts", "posts/"), ("/posts/", "posts/"), ("a/b", "a/b/"), ("//a//b//", "a/b/"), ("/", "")]
)
def test_a_prefix_is_a_folder_however_it_is_written(given, prefix):
    assert load_config({"S3_FOLDER_PREFIX": given}).s3_folder_prefix == prefix


BAD = {
    "S3_BUCKET_NAME": ["a", "ab", "Bucket", "a_b", "-abc", "abc-", "a/b", "s3://bucket", "a b", "a" * 64],
    "S3_REGION": ["seoul", "ap-northeast", "AP-NORTHEAST-2", "ap_northeast_2", "ap-northeast-2a", "../x"],
    "S3_FOLDER_PREFIX": ["a b", "../x", "a/../b", "a/./b", "a?b", "가", "a\\b", "a%2fb"],
    "CLOUDFRONT_DOMAIN": ["https://d1.cloudfront.net", "d1.cloudfront.net/", "cloudfront", "d 1.net", "d1.net:443"],
    "AWS_ENDPOINT_URL_S3": ["localhost:4566", "ftp://h", "//h"],
}


@pytest.mark.parametrize(("variable", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_wrong_value_is_refused_by_its_variable(variable, value):
    with pytest.raises(ConfigError) as refused:
        load_config({"S3_BUCKET_NAME": "bucket", variable: value})

    assert str(refused.value).startswith(f"{variable}: must be ")
    assert len(str(refused.value).splitlines()) == 1


def test_a_cloudfront_domain_without_a_bucket_is_refused():
    with pytest.raises(ConfigError, match=r"\AS3_BUCKET_NAME: must be set if CLOUDFRONT_DOMAIN is"):
        load_config({"CLOUDFRONT_DOMAIN": "d111111abcdef8.cloudfront.net"})


@pytest.mark.parametrize("name", KEYS)
def test_half_of_a_key_is_refused_without_showing_it(name):
    with pytest.raises(ConfigError) as refused:
        load_config({name: "s3cret-half"})

    assert str(refused.value).startswith("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: must be set together")
    assert "s3cret" not in str(refused.value)


def test_settings_never_show_their_secrets():
    names = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "SECRET_KEY"}
    settings = load_config({name: f"s3cret-{name}" for name in names})

    assert "s3cret" not in repr(settings) + str(settings)
    assert settings.aws_secret_access_key == "s3cret-AWS_SECRET_ACCESS_KEY"


def test_what_the_sdk_refuses_is_told_in_a_line(make_app, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_PROFILE", "nobody-has-this")

    with pytest.raises(ConfigError, match=r"^AWS: .*nobody-has-this"):
        make_app(S3_BUCKET_NAME="images", DATABASE_URL=f"sqlite:///{tmp_path}/a.sqlite3")


# URLs of images


PRODUCTION = {
    "FLASK_ENV": "production",
    "SECRET_KEY": "a-secret-of-the-tests-and-no-other",
    "COGNITO_USER_POOL_ID": "ap-northeast-2_a",
    "COGNITO_REGION": "ap-northeast-2",
    "COGNITO_CLIENT_ID": "a",
}
OURS = "/api/v1/images/"
BUCKET = {"S3_BUCKET_NAME": "images"}


@pytest.mark.parametrize(
    ("settings", "base"),
    [
        ({}, f"http://localhost:8082{OURS}"),
        ({"PORT": "9000"}, f"http://localhost:9000{OURS}"),
        ({"PUBLIC_URL": "https://api.example.com"}, f"https://api.example.com{OURS}"),
        ({"PUBLIC_URL": "https://api.example.com/"}, f"https://api.example.com{OURS}"),
        (PRODUCTION, OURS),
        ({**PRODUCTION, "PUBLIC_URL": "https://api.example.com"}, f"https://api.example.com{OURS}"),
        ({**BUCKET, "PUBLIC_URL": "https://api.example.com"}, f"https://api.example.com{OURS}"),
        (
            {**BUCKET, "PUBLIC_URL": "https://api.example.com", "CLOUDFRONT_DOMAIN": "d1.cloudfront.net"},
            "https://d1.cloudfront.net/",
        ),
    ],
    ids=["development", "port", "public", "slash", "production", "public-in-production", "bucket", "cloudfront"],
)
def test_urls_of_images_are_absolute_but_in_production_without_a_base(make_app, database_url, settings, base):
    service = make_app(**{**KEYS, "DATABASE_URL": database_url, **settings})

    storage = service.extensions["post"].image_storage

    assert storage.url("x.png") == f"{base}x.png"
    if settings.get("S3_BUCKET_NAME"):
        storage._client.close()
    with service.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("value", ["api.example.com", "ftp://x", "http://", "//x"])
def test_a_public_url_is_an_http_url(value):
    with pytest.raises(ConfigError, match=r"^PUBLIC_URL: must be a URL"):
        load_config({"PUBLIC_URL": value})


def test_a_tag_ends_when_the_base_of_urls_changes(client, make_app, database_url, make_post):
    url = f"{POSTS}/{make_post()}"
    client.get(url)
    moved = make_app(DATABASE_URL=database_url, PUBLIC_URL="https://api.example.com")

    for path in (url, POSTS):
        tag = client.get(path).headers["ETag"]
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
        assert moved.test_client().get(path, headers={"If-None-Match": tag}).status_code == 200
    with moved.app_context():
        db.engine.dispose()
