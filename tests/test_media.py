"""Images of posts: uploaded, shown, served and removed; what is kept in files, as it is by default."""

import hashlib
import io
import pkgutil
import re
import socket
import threading
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import pytest
import requests
from PIL import Image
from sqlalchemy import insert, select, update
from werkzeug.wrappers import Request

from post import messages
from post.errors import Overloaded
from post.images.cleaner import ImageCleaner
from post.images.storage import new_key
from post.models import Media, Post, db
from post.utils import new_id
from post.web.multipart import read_parts
from tests.answers import UNKNOWN_ID, fault, wrong_fields
from tests.conftest import at_once
from tests.image_samples import COMMENT, jpeg, segment
from tests.servers import HANG_SECONDS, free_port, running_service

POSTS = "/api/v1/posts"
IMAGES = "/api/v1/images"
MIB = 1024 * 1024
BODY_MAX = 52 * MIB
CREATED_AT = datetime(2026, 1, 2, 3, 4, 5, 678_000)  # noqa: DTZ001 - as the database gives it
LONG_AGO = datetime(2020, 1, 1)  # noqa: DTZ001 - likewise
MEDIA_FIELDS = {
    "id",
    "url",
    "thumbnail_url",
    "file_name",
    "content_type",
    "file_size",
    "width",
    "height",
    "created_at",
}
KEY = re.compile(rf"http://localhost:8082{IMAGES}/([0-9a-f]{{32}})-([0-9a-f]{{64}})\.(\w+)")
UNKNOWN_KEY = f"{'0' * 32}-{'0' * 64}.png"
BAD_IDS = ["null", "undefined", "A" * 32, "a" * 31, "a" * 33]


def encoded(image_format: str = "PNG", size: tuple[int, int] = (8, 8)) -> bytes:
    output = io.BytesIO()
    Image.new("RGB", size, "red").save(output, image_format)
    return output.getvalue()


PNG = encoded()
DAMAGED = PNG[:40]
EMPTY = b""
TEXT = b"plain text"
TOO_LARGE = PNG + bytes(5 * MIB + 1 - len(PNG))
# What is refused, and the catalogue's key of the reason. The last is found out by decoding alone.
REFUSED = {
    "empty": (EMPTY, "file_empty"),
    "too-large": (TOO_LARGE, "file_too_large"),
    "text": (TEXT, "not_an_image"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not_an_image"),
    "damaged": (DAMAGED, "image_damaged"),
}


def media_url(post_id: str) -> str:
    return f"{POSTS}/{post_id}/media"


def reason(key: str, language: str) -> str:
    return messages.text(key, language, maximum=5) if key == "file_too_large" else messages.text(key, language)


def multipart(*parts: tuple[str, bytes], end: bytes = b"--x--\r\n") -> dict:
    """A body of parts, each by the parameters of its Content-Disposition and its content."""
    written = [
        b"--x\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (parameters.encode(), content)
        for parameters, content in parts
    ]
    return {"data": b"".join(written) + end, "content_type": "multipart/form-data; boundary=x"}


@pytest.fixture
def send(app, as_user):
    """Upload contents, or pairs of content and name, as ``files[]``; or one as ``file``."""

    def upload(post_id, *contents, who="ana", language="ko", one=False):
        field = "file" if one else "files[]"
        named = [given if isinstance(given, tuple) else (given, "a.png") for given in contents]
        body = multipart(*((f'name="{field}"; filename="{name}"', content) for content, name in named))
        headers = as_user(who) | {"Accept-Language": language}
        # A client for each call: clients are not made for threads.
        return app.test_client().post(media_url(post_id), headers=headers, **body)

    return upload


@pytest.fixture
def upload(send):
    """Upload good images, in one request; returns their media files."""

    def uploaded(post_id, *contents, **how):
        response = send(post_id, *contents, **how)
        assert response.status_code == 201, response.json
        return response.json["data"]["uploaded_files"]

    return uploaded


@pytest.fixture
def make_media(app):
    """Insert rows of images whose objects nobody asks for; returns their media files as the API shows them."""

    def make(post_id, count):
        common = {"content_type": "image/png", "file_size": 70, "width": 8, "height": 9}
        rows = [common | {"id": new_id(), "file_name": f"{number}.png"} for number in range(count)]
        keys = [{"object_key": new_key(b"", "png"), "thumbnail_key": new_key(b"", "webp")} for _ in rows]
        kept = {"post_id": post_id, "created_at": CREATED_AT}
        with app.app_context():
            db.session.execute(insert(Media), [row | key | kept for row, key in zip(rows, keys, strict=True)])
            counted = {Post.media_count: Post.media_count + count, Post.updated_at: Post.updated_at}
            db.session.execute(update(Post).where(Post.id == post_id).values(counted))
            db.session.commit()
        return [
            row
            | {
                "url": f"http://localhost:8082{IMAGES}/{key['object_key']}",
                "thumbnail_url": f"http://localhost:8082{IMAGES}/{key['thumbnail_key']}",
            }
            | {"created_at": "2026-01-02T03:04:05.678Z"}
            for row, key in zip(rows, keys, strict=True)
        ]

    return make


@pytest.fixture
def stored_keys(app):
    """The keys that the rows of a post name."""

    def read(post_id):
        query = select(Media.object_key, Media.thumbnail_key).where(Media.post_id == post_id)
        with app.app_context():
            return {key for row in db.session.execute(query) for key in row}

    return read


@pytest.fixture
def files(app, instance):
    """The names of the files that are stored; there are none before the test."""
    folder = instance / "images"
    for file in folder.glob("*"):
        file.unlink()
    return lambda: {file.name for file in folder.glob("*")}


@pytest.fixture
def while_held(monkeypatch):
    """Send a request that is held where it calls a function, for the time of a block; yields its future."""

    @contextmanager
    def hold(function, send):
        reached, go_on = threading.Event(), threading.Event()
        original = pkgutil.resolve_name(function)

        def held(*args, **kwargs):
            reached.set()
            assert go_on.wait(timeout=HANG_SECONDS)
            return original(*args, **kwargs)

        monkeypatch.setattr(function, held)
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(send)
            try:
                assert reached.wait(timeout=HANG_SECONDS)
                yield sent
            finally:
                go_on.set()

    return hold


@pytest.fixture
def checked_out(app):
    """How many connections the pool has lent."""

    def count():
        with app.app_context():
            return db.engine.pool.checkedout()

    return count


# Uploading


def test_one_image_is_answered_with_its_object(client, make_post, send):
    response = send(make_post(), (encoded(size=(9, 7)), "사진.png"), one=True)

    media = response.json["data"]
    assert response.status_code == 201
    assert response.json["success"] is True
    assert media.keys() == MEDIA_FIELDS
    assert re.fullmatch(r"[0-9a-f]{32}", media["id"])
    assert KEY.fullmatch(media["url"])[3] == "png"
    assert KEY.fullmatch(media["thumbnail_url"])[3] == "webp"
    assert (media["file_name"], media["content_type"]) == ("사진.png", "image/png")
    assert (media["width"], media["height"]) == (9, 7)
    assert media["file_size"] == len(client.get(media["url"]).data)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", media["created_at"])


def test_several_images_are_answered_in_their_order(make_post, send):
    response = send(make_post(), (PNG, "1.png"), (PNG, "2.png"), (PNG, "3.png"))

    assert response.status_code == 201
    assert response.json["data"].keys() == {"uploaded_files", "failed"}
    assert [media["file_name"] for media in response.json["data"]["uploaded_files"]] == ["1.png", "2.png", "3.png"]
    assert response.json["data"]["failed"] == []


def test_files_that_are_but_one_are_answered_as_several(make_post, send):
    response = send(make_post(), PNG)

    assert len(response.json["data"]["uploaded_files"]) == 1


@pytest.mark.parametrize(
    ("image_format", "content_type", "extension"),
    [
        ("JPEG", "image/jpeg", "jpg"),
        ("PNG", "image/png", "png"),
        ("GIF", "image/gif", "gif"),
        ("WEBP", "image/webp", "webp"),
    ],
)
def test_the_type_is_the_contents_whatever_the_name_and_the_client_say(
    client, make_post, as_user, *, image_format, content_type, extension
):
    part = 'name="file"; filename="page.html"\r\nContent-Type: text/html'

    response = client.post(media_url(make_post()), headers=as_user("ana"), **multipart((part, encoded(image_format))))

    media = response.json["data"]
    image = client.get(media["url"])
    assert media["content_type"] == image.mimetype == content_type
    assert media["url"].endswith(f".{extension}")
    assert Image.open(io.BytesIO(image.data)).format == image_format


def test_of_several_the_good_are_kept_and_the_others_told(make_post, send, files):
    given = [(content, f"{name}.png") for name, (content, _) in REFUSED.items()]

    response = send(make_post(), given[0], (PNG, "good.png"), *given[1:])

    data = response.json["data"]
    assert response.status_code == 201
    assert [media["file_name"] for media in data["uploaded_files"]] == ["good.png"]
    assert len(files()) == 2
    assert sorted(data["failed"], key=lambda failure: failure["file_name"]) == sorted(
        (
            {"file_name": f"{name}.png", "code": "validation_error", "message": reason(key, "ko")}
            for name, (_, key) in REFUSED.items()
        ),
        key=lambda failure: failure["file_name"],
    )


def test_a_request_stops_at_a_file_that_is_too_complex_and_names_all_that_follow(make_post, send, files):
    complex_file = jpeg(segment(COMMENT, b"") * 3000)

    response = send(make_post(), (PNG, "1"), (complex_file, "2"), (PNG, "3"), (TEXT, "4"), (PNG, "5"))

    data = response.json["data"]
    assert [media["file_name"] for media in data["uploaded_files"]] == ["1"]
    assert [(failure["file_name"], failure["code"], failure["message"]) for failure in data["failed"]] == [
        ("2", "validation_error", reason("image_too_complex", "ko")),
        ("3", "validation_error", reason("file_not_reached", "ko")),
        ("4", "validation_error", reason("not_an_image", "ko")),
        ("5", "validation_error", reason("file_not_reached", "ko")),
    ]
    assert len(files()) == 2


@pytest.mark.parametrize("before", [0, 2])
def test_files_for_which_there_is_no_time_are_named_and_those_before_are_kept(
    make_post, send, files, monkeypatch, before
):
    clean, cleaned = ImageCleaner.clean, []

    def busy_later(*args, **options):
        cleaned.append(1)
        if len(cleaned) > before:
            raise Overloaded
        return clean(*args, **options)

    monkeypatch.setattr(ImageCleaner, "clean", busy_later)

    response = send(make_post(), *((PNG, str(number)) for number in range(4)))

    assert (len(cleaned), len(files())) == (before + 1, 2 * before)
    if not before:
        assert fault(response) == (503, "overloaded")
        return
    data = response.json["data"]
    assert [media["file_name"] for media in data["uploaded_files"]] == ["0", "1"]
    assert [(failure["file_name"], failure["code"]) for failure in data["failed"]] == [
        ("2", "overloaded"),
        ("3", "overloaded"),
    ]


def test_what_failed_is_told_in_the_callers_language(make_post, send):
    response = send(make_post(), PNG, TEXT, language="en")

    assert [failure["message"] for failure in response.json["data"]["failed"]] == [
        "The file is not a JPEG, PNG, GIF or WebP image."
    ]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_where_all_fail_the_answer_has_a_detail_for_each(make_post, send, files, count_media, language):
    response = send(make_post(), *(content for content, _ in REFUSED.values()), language=language)

    assert fault(response) == (400, "validation_error")
    assert {detail["field"]: detail["message"] for detail in response.json["error"]["details"]} == {
        f"files[{number}]": reason(key, language) for number, (_, key) in enumerate(REFUSED.values())
    }
    assert (files(), count_media()) == (set(), 0)


@pytest.mark.parametrize(("content", "key"), REFUSED.values(), ids=REFUSED.keys())
def test_one_file_that_is_refused_is_400(make_post, send, files, *, content, key):
    response = send(make_post(), content, one=True)

    assert fault(response) == (400, "validation_error")
    assert response.json["error"]["details"] == [{"field": "file", "message": reason(key, "ko")}]
    assert files() == set()


def test_a_file_of_5_mib_is_not_too_large(make_post, send):
    response = send(make_post(), PNG + bytes(5 * MIB - len(PNG)), one=True)

    assert response.status_code == 201


def test_each_copy_of_an_image_has_a_key_of_its_own_which_carries_its_hash(client, make_post, upload):
    one, other = upload(make_post(), PNG, PNG)

    urls = [media[name] for media in (one, other) for name in ("url", "thumbnail_url")]
    assert len({KEY.fullmatch(url)[1] for url in urls}) == 4
    for url in urls:
        assert KEY.fullmatch(url)[2] == hashlib.sha256(client.get(url).data).hexdigest()


# The limit


def test_beyond_ten_images_only_what_there_is_room_for_is_kept(client, make_post, make_media, send, files):
    post_id = make_post()
    make_media(post_id, 9)

    response = send(post_id, (PNG, "1.png"), (PNG, "2.png"), (PNG, "3.png"), language="en")

    data = response.json["data"]
    words = messages.text("media_limit_reached", "en")
    assert response.status_code == 201
    assert [media["file_name"] for media in data["uploaded_files"]] == ["1.png"]
    assert data["failed"] == [
        {"file_name": name, "code": "media_limit_reached", "message": words} for name in ("2.png", "3.png")
    ]
    assert client.get(f"{POSTS}/{post_id}").json["data"]["media_count"] == 10
    assert len(files()) == 2


def test_a_refused_image_takes_no_room_from_a_good_one(make_post, make_media, send):
    post_id = make_post()
    make_media(post_id, 9)

    response = send(post_id, (DAMAGED, "damaged.png"), (PNG, "good.png"), (PNG, "late.png"))

    assert response.status_code == 201
    assert [media["file_name"] for media in response.json["data"]["uploaded_files"]] == ["good.png"]
    failed = {failure["file_name"]: failure["code"] for failure in response.json["data"]["failed"]}
    assert failed == {"damaged.png": "validation_error", "late.png": "media_limit_reached"}


@pytest.mark.parametrize("count", [1, 2])
def test_an_eleventh_image_is_409(make_post, make_media, send, files, count):
    post_id = make_post()
    make_media(post_id, 10)

    response = send(post_id, *[PNG] * count, one=count == 1)

    assert fault(response) == (409, "media_limit_reached")
    assert files() == set()


def test_where_the_limit_is_not_alone_to_blame_each_file_has_a_detail(make_post, make_media, send):
    post_id = make_post()
    make_media(post_id, 10)

    response = send(post_id, TEXT, PNG)

    assert wrong_fields(response) == {"files[0]", "files[1]"}


def test_an_image_that_is_deleted_makes_room(client, make_post, make_media, as_user, send):
    post_id = make_post()
    first, *_ = make_media(post_id, 10)
    client.delete(f"{media_url(post_id)}/{first['id']}", headers=as_user("ana"))

    response = send(post_id, PNG)

    assert response.status_code == 201


def test_the_limit_is_each_posts_own(make_post, make_media, send):
    full, other = make_post(), make_post()
    make_media(full, 10)

    response = send(other, PNG)

    assert response.status_code == 201


# Who may


WHO = [
    ("visible", "ana", None),
    ("visible", "root", None),
    ("visible", "bo", (403, "forbidden")),
    ("visible", "nobody", (401, "token_missing")),
    ("hidden", "ana", None),
    ("hidden", "root", None),
    ("hidden", "bo", (404, "post_not_found")),
    ("deleted", "ana", (404, "post_not_found")),
    ("deleted", "root", (404, "post_not_found")),
    ("deleted", "bo", (404, "post_not_found")),
]


@pytest.mark.parametrize(("status", "who", "refused"), WHO)
def test_images_are_added_by_the_author_and_admins(make_post, send, files, *, status, who, refused):
    post_id = make_post(author="ana", status=status)

    response = send(post_id, PNG, who=who, one=True)

    assert refused is None or fault(response) == refused
    assert refused is not None or response.status_code == 201
    assert len(files()) == (0 if refused else 2)


@pytest.mark.parametrize(("status", "who", "refused"), WHO)
def test_images_are_removed_by_the_author_and_admins(
    client, make_post, make_media, as_user, count_media, *, status, who, refused
):
    post_id = make_post(author="ana", status=status)
    media_id = make_media(post_id, 1)[0]["id"]

    response = client.delete(f"{media_url(post_id)}/{media_id}", headers=as_user(who))

    assert refused is None or fault(response) == refused
    assert refused is not None or response.status_code == 200
    assert count_media() == (1 if refused else 0)


def test_a_post_that_never_was_gets_no_image(send):
    response = send(UNKNOWN_ID, PNG)

    assert fault(response) == (404, "post_not_found")


def test_a_deactivated_account_neither_adds_nor_removes_images(client, make_post, make_media, as_user, send):
    post_id = make_post(author="ana")
    media_id = make_media(post_id, 1)[0]["id"]
    client.post("/api/v1/users/me/deactivate", headers=as_user("ana"))

    added = send(post_id, PNG)
    removed = client.delete(f"{media_url(post_id)}/{media_id}", headers=as_user("ana"))

    assert fault(added) == fault(removed) == (403, "account_deactivated")


@pytest.mark.parametrize(
    ("who", "is_deactivated", "has_permission"), [("ana", False, True), ("root", False, True), ("ana", True, False)]
)
def test_the_permissions_tell_what_may_be_uploaded(client, as_user, *, who, is_deactivated, has_permission):
    if is_deactivated:
        client.post("/api/v1/users/me/deactivate", headers=as_user(who))

    response = client.get(f"{POSTS}/media/check-permissions", headers=as_user(who))

    assert response.status_code == 200
    assert response.json["data"] == {
        "has_permission": has_permission,
        "max_file_size": 5 * MIB,
        "allowed_image_extensions": ["jpg", "jpeg", "png", "gif", "webp"],
        "max_files": 10,
    }


def test_the_permissions_are_told_to_those_with_a_token(client):
    response = client.get(f"{POSTS}/media/check-permissions")

    assert fault(response) == (401, "token_missing")


# The order of checks


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"data": b"", "environ_overrides": {"CONTENT_LENGTH": str(60 * MIB)}}, id="too-large"),
        pytest.param({"data": b"{}", "content_type": "application/json"}, id="not-multipart"),
        pytest.param(multipart(), id="no-file"),
    ],
)
def test_the_token_is_checked_before_the_body(client, make_post, body):
    response = client.post(media_url(make_post()), **body)

    assert fault(response) == (401, "token_missing")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_the_token_is_checked_before_the_ids(client, method):
    url = media_url("null") + ("/null" if method == "DELETE" else "")

    response = client.open(url, method=method)

    assert fault(response) == (401, "token_missing")


def test_the_type_of_a_body_is_checked_before_the_id(client, as_user):
    response = client.post(media_url("null"), json={}, headers=as_user("ana"))

    assert fault(response) == (415, "unsupported_media_type")


@pytest.mark.parametrize("bad_id", BAD_IDS)
def test_a_post_id_of_another_shape_is_refused(client, as_user, send, bad_id):
    added = send(bad_id, PNG)
    removed = client.delete(f"{media_url(bad_id)}/{UNKNOWN_ID}", headers=as_user("ana"))

    assert fault(added) == fault(removed) == (400, "invalid_post_id")


@pytest.mark.parametrize("content", [EMPTY, TOO_LARGE, TEXT], ids=["empty", "too-large", "text"])
def test_what_the_file_tells_of_itself_is_checked_before_existence(send, content):
    response = send(UNKNOWN_ID, content, one=True)

    assert wrong_fields(response) == {"file"}


@pytest.mark.parametrize(
    ("who", "images", "expected"),
    [
        pytest.param("bo", 10, (403, "forbidden"), id="ownership"),
        pytest.param("ana", 10, (409, "media_limit_reached"), id="limit"),
        pytest.param("ana", 9, (400, "validation_error"), id="content"),
    ],
)
def test_ownership_is_checked_before_the_limit_and_that_before_decoding(
    make_post, make_media, send, *, who, images, expected
):
    post_id = make_post(author="ana")
    make_media(post_id, images)

    response = send(post_id, DAMAGED, who=who)

    assert fault(response) == expected


def test_existence_is_checked_before_decoding(send):
    response = send(UNKNOWN_ID, DAMAGED)

    assert fault(response) == (404, "post_not_found")


# Multipart bodies


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/x-www-form-urlencoded", "image/png", "multipart/mixed; boundary=x", "", None],
    ids=repr,
)
def test_a_body_that_is_not_multipart_is_415(client, make_post, as_user, content_type):
    body = multipart(('name="file"; filename="a.png"', PNG)) | {"content_type": content_type}

    response = client.post(media_url(make_post()), headers=as_user("ana"), **body)

    assert fault(response) == (415, "unsupported_media_type")


def test_a_compressed_upload_is_415(client, make_post, as_user):
    body = multipart(('name="file"; filename="a.png"', PNG))

    response = client.post(media_url(make_post()), headers=as_user("ana") | {"Content-Encoding": "gzip"}, **body)

    assert fault(response) == (415, "unsupported_media_type")


FILE = ('name="file"; filename="a.png"', PNG)
WITHOUT_FILE = {
    "nothing": {"data": b"", "content_type": "multipart/form-data; boundary=x"},
    "no-parts": multipart(),
    "no-boundary": multipart(FILE) | {"content_type": "multipart/form-data"},
    "another-boundary": multipart(FILE) | {"content_type": "multipart/form-data; boundary=y"},
    "boundary-not-ascii": multipart(FILE) | {"content_type": "multipart/form-data; boundary=가"},
    "cut-off-in-the-file": {**multipart(FILE), "data": multipart(FILE)["data"][:-30]},
    "cut-off-after-the-file": multipart(FILE, end=b""),
    "cut-off-in-a-header": {**multipart(FILE), "data": b'--x\r\nContent-Disposition: form-data; name="fi'},
    "another-field": multipart(('name="image"; filename="a.png"', PNG)),
    "no-name": multipart(('filename="a.png"', PNG)),
    "no-file-name": multipart(('name="file"', PNG)),
    "text-field": multipart(('name="files[]"', b"a.png")),
    "no-disposition": {**multipart(), "data": b"--x\r\n\r\nx\r\n--x--\r\n"},
}


# Of a file that is cut off Werkzeug leaves what it has read to the garbage collector.
@pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning")
@pytest.mark.parametrize("body", WITHOUT_FILE.values(), ids=WITHOUT_FILE.keys())
def test_a_body_without_a_file_is_refused_by_the_fields_name(client, make_post, as_user, files, body):
    response = client.post(media_url(make_post()), headers=as_user("ana"), **body)

    assert wrong_fields(response) == {"file"}
    assert response.json["error"]["details"][0]["message"].startswith(
        "이미지 파일이 필요합니다. `file` 또는 `files[]`로"
    )
    assert files() == set()


def test_other_fields_are_ignored(client, make_post, as_user):
    body = multipart(('name="post_id"', b"7"), ('name="thumbnail"; filename="b.txt"', TEXT), FILE)

    response = client.post(media_url(make_post()), headers=as_user("ana"), **body)

    assert response.status_code == 201


@pytest.mark.parametrize(
    ("parameter", "shown"),
    [
        ('filename="사진.png"', "사진.png"),
        ("filename*=UTF-8''%EC%82%AC%EC%A7%84.png", "사진.png"),
        ('filename="/etc/사진.png"', "사진.png"),
        ('filename="../../사진.png"', "사진.png"),
        ('filename="C:\\\\fakepath\\\\사진.png"', "사진.png"),
        ('filename="C:\\Users\\me\\a.png"', "a.png"),
        ('filename="C:\\Users\\"', ""),
        ('filename="a\\"b.png"', 'a"b.png'),
        ('filename="a%22b.png"', 'a"b.png'),
        ("filename=a.png", "a.png"),
        ("filename*=UTF-8'ko'%EC%82%AC%EC%A7%84.png; filename=x.png", "사진.png"),
        ('filename="\u202egnp.exe.png"', "gnp.exe.png"),
        ('filename="\u2066사\u2069진\u200b.png"', "사진.png"),
        ('filename="a' + "\u0301" * 31 + '.png"', ""),
        ('filename="\u1112\u1161\u11ab.png"', "한.png"),
        ('filename="a\x01\x7f\x9fb.png"', "ab.png"),
        ('filename=" a \t b.png "', "a b.png"),
        (f'filename="{"가" * 300}.png"', "가" * 255),
        ('filename=""', ""),
        ('filename="/"', ""),
        ('filename="<img src=x>.png"', "<img src=x>.png"),
    ],
    ids=[
        "korean",
        "rfc-5987",
        "absolute",
        "relative",
        "windows",
        "windows-not-escaped",
        "only-a-folder",
        "quotes-escaped",
        "quotes-encoded",
        "no-quotes",
        "both",
        "right-to-left",
        "isolates",
        "marks",
        "nfd",
        "control-characters",
        "white-space",
        "300-characters",
        "empty",
        "only-a-slash",
        "html",
    ],
)
def test_a_file_name_is_kept_as_people_may_see_it(client, make_post, as_user, *, parameter, shown):
    post_id = make_post()

    response = client.post(media_url(post_id), headers=as_user("ana"), **multipart((f'name="file"; {parameter}', PNG)))

    assert response.status_code == 201
    assert client.get(f"{POSTS}/{post_id}").json["data"]["media_files"][0]["file_name"] == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("사진.png".encode("cp949"), "사진.png"),
        (b"\xff.png", "\ufffd.png"),
        ("é.png".encode("latin-1"), None),
        (b"a\xed\xa0\x80.png", None),
        (b"", ""),
        (b"a\x00b\r.png", "ab .png"),
    ],
    ids=["cp949", "of-no-charset", "latin-1", "surrogate", "empty", "control-characters"],
)
def test_no_file_name_makes_an_image_none(client, make_post, as_user, name, shown):
    body = multipart(FILE)
    body["data"] = body["data"].replace(b"a.png", name)

    response = client.post(media_url(make_post()), headers=as_user("ana"), **body)

    assert response.status_code == 201
    assert shown in (None, response.json["data"]["file_name"])


ODD_HEADS = {
    "not-utf-8": b"X-Note: \xbb\xe7\xc1\xf8\r\nContent-Disposition: form-data; name=file; filename=a.png",
    "no-colon": b'nonsense\r\nContent-Disposition: form-data; name="file"; filename="a.png"',
    "continued": b'Content-Disposition: form-data;\r\n\tname="file";\r\n filename="a.png"',
    "upper-case": b'CONTENT-DISPOSITION: form-data; NAME="file"; FILENAME="a.png"',
    "no-space": b'Content-Disposition:form-data;name="file";filename="a.png"',
    "other-order": b'Content-Disposition: form-data; filename="a.png"; name="file"',
    "more": b'Content-Disposition: form-data; x; =; y="; name="file"; filename="a.png"; name="file"',
    "content-type": b'Content-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: \xff; a="',
    "wrong-length": b'Content-Length: 1\r\nContent-Disposition: form-data; name="file"; filename="a.png"',
    "odd-name": b'X\xff Y: z\r\n: \r\nContent-Disposition: form-data; name="file"; filename="a.png"',
}


@pytest.mark.parametrize("head", ODD_HEADS.values(), ids=ODD_HEADS)
def test_no_header_of_a_part_makes_an_image_none(client, make_post, as_user, head):
    odd = b"--x\r\nX: \xff\r\n\r\nnothing\r\n--x\r\n" + head + b"\r\n\r\n" + PNG + b"\r\n--x--"
    body = {"data": odd, "content_type": "multipart/form-data; boundary=x"}

    response = client.post(media_url(make_post()), headers=as_user("ana"), **body)

    assert response.status_code == 201, response.text


@pytest.mark.parametrize("rest", ["a" * 16_384, "\r\n a" * 32], ids=["over-16-kib", "over-32-lines"])
def test_too_long_a_head_is_413(client, make_post, as_user, rest):
    body = multipart((f'name="file"; filename="{rest}"', PNG))

    response = client.post(media_url(make_post()), headers=as_user("ana"), **body)

    assert fault(response) == (413, "payload_too_large")


class Dripping(io.RawIOBase):
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = io.BytesIO(data), size

    def read(self, _size: int = -1) -> bytes:
        return self._data.read(self._size)


CONTENTS = [b"", b"\n", b"--x\r\n", b"\r\n--X\r\n-", b"\r\n--", b"\n--x \t!", b"\r" * 200, b"\n\r\n--", b"\n--x\r"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 65_536])
def test_content_arrives_as_it_was_sent_however_it_is_cut(size):
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
    data = b"before\r\n" + b"".join(head + content + b"\r\n" for content in CONTENTS) + b"--x--after"
    environ = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": "multipart/form-data; boundary=x"}
    request = Request(environ | {"wsgi.input": Dripping(data, size), "wsgi.input_terminated": True})

    files = read_parts(request, names=["f"]).files.getlist("f")

    assert [file.read() for file in files] == CONTENTS
    request.close()


@pytest.mark.parametrize("texts", [[5_000_000], [1] * 900], ids=["a-long-one", "many"])
def test_texts_beside_a_file_are_read_past(client, make_post, as_user, texts):
    parts = [(f'name="note{number}"', b"x" * size) for number, size in enumerate(texts)]
    body = multipart(*parts, ('name="file"; filename="a.png"', PNG))

    response = client.post(media_url(make_post()), headers=as_user("ana"), **body)

    assert response.status_code == 201


def test_texts_beside_a_file_take_no_memory():
    body = multipart(*[('name="note"', bytes(400_000))] * 20, ('name="file"; filename="a.png"', PNG))
    stream = io.BytesIO(body["data"])
    request = Request.from_values(input_stream=stream, content_type=body["content_type"], method="POST")

    tracemalloc.start()
    parts = read_parts(request, names=["file"])
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    content = parts.files["file"].read()
    request.close()

    assert content == PNG
    assert peak_bytes < 2 * MIB


def test_more_than_1000_parts_are_413(client, make_post, as_user):
    body = multipart(*[('name="note"', b"x")] * 1000, ('name="file"; filename="a.png"', PNG))

    response = client.post(media_url(make_post()), headers=as_user("ana"), **body)

    assert fault(response) == (413, "payload_too_large")


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "text/plain"])
def test_a_body_that_is_declared_over_52_mib_is_413_unread_whatever_its_type(client, make_post, as_user, content_type):
    response = client.post(
        media_url(make_post()),
        data=b"",
        content_type=content_type,
        headers=as_user("ana"),
        environ_overrides={"CONTENT_LENGTH": str(BODY_MAX + 1)},
    )

    assert fault(response) == (413, "payload_too_large")


# Bodies as they come over the network, which a test client does not send


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The address of a service under gunicorn, and a post's path with headers of its author."""
    port = free_port()
    with running_service(tmp_path_factory.mktemp("service"), PORT=str(port), WEB_CONCURRENCY="1"):
        url = f"http://127.0.0.1:{port}"
        data = requests.post(f"{url}/dev/token", json={"username": "ana"}, timeout=HANG_SECONDS).json()["data"]
        token = data["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        body = {"title": "제목", "content": "내용"}
        created = requests.post(f"{url}/api/v1/posts", json=body, headers=headers, timeout=HANG_SECONDS)
        yield port, f"{created.headers['Location']}/media", headers


def in_chunks(body: bytes):
    return (body[start : start + MIB] for start in range(0, len(body), MIB))


@pytest.mark.parametrize("transfer", [bytes, in_chunks], ids=["declared", "chunked"])
@pytest.mark.parametrize(
    ("size", "expected"),
    [(BODY_MAX, (400, "validation_error")), (BODY_MAX + 1, (413, "payload_too_large"))],
    ids=["52-MiB", "a-byte-more"],
)
def test_a_body_may_have_52_mib(service, transfer, size, expected):
    port, path, headers = service
    frame = multipart(('name="file"; filename="a.png"', b""))["data"]
    body = multipart(('name="file"; filename="a.png"', bytes(size - len(frame))))
    headers = headers | {"Content-Type": body["content_type"]}

    answer = requests.post(
        f"http://127.0.0.1:{port}{path}", data=transfer(body["data"]), headers=headers, timeout=HANG_SECONDS
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == expected


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed_request"),
        (b"Transfer-Encoding: chunked\r\n\r\n-2\r\n--x\r\n0\r\n\r\n", "malformed_request"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\n--x\r\nXX0\r\n\r\n", "malformed_request"),
        (b"Transfer-Encoding: chunked\r\n\r\n5\r\n--x\r\n", "malformed_request"),
        (b"Content-Length: 500\r\n\r\n" + multipart(FILE)["data"][:-30], "validation_error"),
    ],
    ids=["no-size", "negative-size", "no-end-of-a-chunk", "cut-off-chunked", "cut-off"],
)
def test_a_body_that_breaks_http_is_refused_and_is_no_crash(service, rest, code):
    port, path, headers = service
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {headers['Authorization']}\r\n"
    head += "Content-Type: multipart/form-data; boundary=x\r\n"

    with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as peer:
        peer.sendall(head.encode() + rest)
        peer.shutdown(socket.SHUT_WR)
        answer = peer.makefile("rb").read().decode()

    assert answer.startswith("HTTP/1.1 400 ")
    assert f'"code":"{code}"' in answer
    assert ('"field":"file"' in answer) == (code == "validation_error")


def test_a_chunked_upload_is_kept(service):
    port, path, headers = service
    body = multipart(FILE)
    headers = headers | {"Content-Type": body["content_type"]}

    answer = requests.post(
        f"http://127.0.0.1:{port}{path}", data=iter([body["data"]]), headers=headers, timeout=HANG_SECONDS
    )

    assert answer.status_code == 201


# In post objects


SHOWN = {
    "get": ("GET", "/{id}", None),
    "list": ("GET", "?per_page=50", None),
    "summaries": ("GET", "?view=summary", None),
    "my": ("GET", "/my", None),
    "my-summaries": ("GET", "/my?view=summary", None),
    "put": ("PUT", "/{id}", {"title": "새 제목", "content": "내용", "category": "일반"}),
    "patch": ("PATCH", "/{id}", {"title": "새 제목"}),
}


@pytest.mark.parametrize(("method", "path", "body"), SHOWN.values(), ids=SHOWN.keys())
def test_post_objects_carry_their_images(client, make_post, make_media, as_user, *, method, path, body):
    one, other, bare = make_post(), make_post(), make_post()
    first = make_media(one, 2)
    expected = {other: make_media(other, 1), one: first + make_media(one, 2), bare: []}

    data = client.open(f"{POSTS}{path.format(id=one)}", method=method, json=body, headers=as_user("ana")).json["data"]

    posts = {post["id"]: post for post in (data if isinstance(data, list) else [data])}
    assert posts.keys() == ({one} if "{id}" in path else {one, other, bare})
    for post_id, post in posts.items():
        assert post["media_files"] == expected[post_id]
        assert post["media_count"] == len(expected[post_id])


def test_images_stand_in_the_order_of_their_upload(client, make_post, upload):
    post_id = make_post()

    uploaded = upload(post_id, (PNG, "z.png")) + upload(post_id, (encoded("GIF"), "a.gif"), (PNG, "m.png"))

    assert client.get(f"{POSTS}/{post_id}").json["data"]["media_files"] == uploaded
    assert [media["file_name"] for media in uploaded] == ["z.png", "a.gif", "m.png"]


@pytest.mark.parametrize("url", [POSTS, f"{POSTS}?view=summary", f"{POSTS}/my"])
def test_the_queries_of_a_list_do_not_grow_with_images(client, make_post, make_media, as_user, count_queries, url):
    make_media(make_post(), 1)
    with count_queries() as with_one:
        client.get(url, headers=as_user("ana"))
    for _ in range(4):
        make_media(make_post(), 3)

    with count_queries() as with_many:
        shown = client.get(url, headers=as_user("ana"))

    assert sum(post["media_count"] for post in shown.json["data"]) == 13
    assert len(with_many) == len(with_one)


def test_adding_and_removing_images_moves_updated_at(client, make_post, make_media, as_user, send, row):
    added_to, removed_from = make_post(updated_at=LONG_AGO), make_post(updated_at=LONG_AGO)
    media_id = make_media(removed_from, 1)[0]["id"]

    send(added_to, PNG)
    client.delete(f"{media_url(removed_from)}/{media_id}", headers=as_user("ana"))

    assert row(added_to).updated_at > LONG_AGO
    assert row(removed_from).updated_at > LONG_AGO


def test_a_refused_upload_leaves_updated_at(make_post, make_media, send, row):
    refused, full = make_post(updated_at=LONG_AGO), make_post(updated_at=LONG_AGO)
    make_media(full, 10)

    send(refused, DAMAGED)
    send(full, PNG)

    assert row(refused).updated_at == row(full).updated_at == LONG_AGO


# Removing


def test_a_removed_image_is_gone_from_its_post_and_from_the_storage(client, make_post, as_user, upload, files):
    post_id = make_post()
    gone, kept = upload(post_id, PNG, PNG)

    response = client.delete(f"{media_url(post_id)}/{gone['id']}", headers=as_user("ana"))

    assert response.status_code == 200
    assert response.json["data"] == {"id": gone["id"], "status": "deleted"}
    assert client.get(f"{POSTS}/{post_id}").json["data"]["media_files"] == [kept]
    assert files() == {kept[name].rpartition("/")[2] for name in ("url", "thumbnail_url")}
    assert fault(client.get(gone["url"])) == fault(client.get(gone["thumbnail_url"])) == (404, "media_not_found")


def test_an_image_is_removed_once(client, make_post, make_media, as_user):
    post_id = make_post()
    url = f"{media_url(post_id)}/{make_media(post_id, 1)[0]['id']}"
    client.delete(url, headers=as_user("ana"))

    again = client.delete(url, headers=as_user("ana"))

    assert fault(again) == (404, "media_not_found")


def test_an_image_of_another_post_is_404_and_stays(client, make_post, make_media, as_user, count_media):
    post_id, other_id = make_post(), make_post()
    media_id = make_media(other_id, 1)[0]["id"]

    response = client.delete(f"{media_url(post_id)}/{media_id}", headers=as_user("ana"))

    assert fault(response) == (404, "media_not_found")
    assert count_media() == 1


def test_the_existence_of_an_image_is_checked_before_ownership(client, make_post, as_user):
    response = client.delete(f"{media_url(make_post(author='ana'))}/{UNKNOWN_ID}", headers=as_user("bo"))

    assert fault(response) == (404, "media_not_found")


@pytest.mark.parametrize("bad_id", BAD_IDS)
def test_a_media_id_of_another_shape_is_refused_by_its_name(client, make_post, as_user, bad_id):
    response = client.delete(f"{media_url(make_post())}/{bad_id}", headers=as_user("ana"))

    assert wrong_fields(response) == {"media_id"}


def test_a_restored_post_has_its_images(client, make_post, as_user, upload):
    post_id = make_post(author="ana")
    uploaded = upload(post_id, PNG)
    client.delete(f"{POSTS}/{post_id}", headers=as_user("ana"))

    restored = client.patch(f"{POSTS}/{post_id}", json={"status": "visible"}, headers=as_user("root"))

    assert restored.json["data"]["media_files"] == uploaded
    assert client.get(uploaded[0]["url"]).status_code == client.get(uploaded[0]["thumbnail_url"]).status_code == 200


# Serving


@pytest.mark.parametrize("name", ["url", "thumbnail_url"])
def test_an_image_is_served_to_anyone_for_good_and_as_nothing_else(client, make_post, upload, name):
    url = upload(make_post(), encoded("JPEG"))[0][name]

    response = client.get(url)

    digest = hashlib.sha256(response.data).hexdigest()
    policy = dict(part.split(maxsplit=1) if " " in part else (part, "") for part in parts_of_policy(response))
    assert response.status_code == 200
    assert response.headers["Content-Type"] == ("image/jpeg" if name == "url" else "image/webp")
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["ETag"] == f'"{digest}"'
    assert digest in url
    assert response.headers["Content-Disposition"] == "inline"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.content_length == len(response.data)
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert policy["sandbox"] == ""
    assert set(policy.values()) == {"'none'", ""}


def parts_of_policy(response) -> list[str]:
    return [part.strip() for part in response.headers["Content-Security-Policy"].split(";")]


def test_a_thumbnail_is_at_most_480_pixels_wide(client, make_post, upload):
    large, small = upload(make_post(), encoded(size=(1000, 500)), encoded(size=(20, 10)))

    sizes = [Image.open(io.BytesIO(client.get(media["thumbnail_url"]).data)).size for media in (large, small)]

    assert sizes == [(480, 240), (20, 10)]


@pytest.mark.parametrize("known", ['"{}"', 'W/"{}"', '"other", "{}"', "*"])
def test_an_image_that_the_client_has_is_304_without_a_body(client, make_post, upload, known):
    url = upload(make_post(), PNG)[0]["url"]
    digest = KEY.fullmatch(url)[2]

    response = client.get(url, headers={"If-None-Match": known.format(digest)})

    assert response.status_code == 304
    assert response.data == b""
    assert response.headers["ETag"] == f'"{digest}"'
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


@pytest.fixture
def no_storage(app, monkeypatch):
    """The service without its storage: a request that needs it crashes."""
    monkeypatch.setitem(app.extensions, "post", replace(app.extensions["post"], image_storage=None))


def test_an_image_that_the_client_has_is_not_read_for_it(client, make_post, upload, request):
    url = upload(make_post(), PNG)[0]["url"]
    request.getfixturevalue("no_storage")

    response = client.get(url, headers={"If-None-Match": f'"{KEY.fullmatch(url)[2]}"'})

    assert response.status_code == 304


def test_an_image_that_the_client_has_not_is_sent(client, make_post, upload):
    url = upload(make_post(), PNG)[0]["url"]

    response = client.get(url, headers={"If-None-Match": f'"{"0" * 64}"'})

    assert response.status_code == 200
    assert response.data


def test_head_tells_what_get_would(client, make_post, upload):
    url = upload(make_post(), PNG)[0]["url"]
    got = client.get(url)

    response = client.head(url)

    told = {"Content-Type", "Content-Length", "ETag", "Cache-Control", "Content-Security-Policy"}
    assert response.status_code == 200
    assert response.data == b""
    assert {name: response.headers[name] for name in told} == {name: got.headers[name] for name in told}


def test_an_unknown_key_is_404_and_is_not_cached(client):
    response = client.get(f"{IMAGES}/{UNKNOWN_KEY}")

    assert fault(response) == (404, "media_not_found")
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "..",
        ".",
        "..%2fdev-issuer.pem",
        "%2e%2e%2fdev-issuer.pem",
        "..%5cdev-issuer.pem",
        "../dev-issuer.pem",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        f"..%2fimages%2f{UNKNOWN_KEY}",
        f"x/../{UNKNOWN_KEY}",
        f"{UNKNOWN_KEY}%00",
        f"%00{UNKNOWN_KEY}",
        f"{UNKNOWN_KEY}%0a",
        f"{UNKNOWN_KEY}/",
        UNKNOWN_KEY.upper(),
        UNKNOWN_KEY.replace(".png", ".html"),
        UNKNOWN_KEY.replace(".png", ".svg"),
        UNKNOWN_KEY.replace(".png", ""),
        "a" * 300,
        "%ff",
        "가.png",
        ".x.tmp",
    ],
)
@pytest.mark.usefixtures("no_storage")
def test_no_other_path_reaches_the_storage(client, path):
    response = client.get(f"{IMAGES}/{path}")

    assert fault(response) in {(404, "media_not_found"), (404, "not_found")}


def test_a_request_may_have_20_files(client, make_post, send):
    response = send(make_post(), *[b"no image"] * 20, PNG)

    assert fault(response) == (400, "validation_error")
    details = response.json["error"]["details"]
    assert details[20] == {"field": "files[20]", "message": "20개 이하여야 합니다."}


# At once


@pytest.mark.parametrize(
    "function",
    [
        "post.web.request_checks.read_files",
        "post.images.cleaner.ImageCleaner.clean",
        "post.images.storage.FileStorage.put",
    ],
    ids=["read", "decoded", "stored"],
)
def test_a_post_is_liked_and_edited_while_its_image_is_on_its_way(
    client, make_post, as_user, send, while_held, checked_out, function
):
    post_id = make_post()

    with while_held(function, lambda: send(post_id, PNG)) as uploading:
        lent = checked_out()
        liked = client.put(f"{POSTS}/{post_id}/like", headers=as_user("bo"))
        edited = client.patch(f"{POSTS}/{post_id}", json={"title": "새 제목"}, headers=as_user("ana"))
        is_waiting = not uploading.done()

    assert lent == 0
    assert (liked.status_code, edited.status_code, is_waiting) == (200, 200, True)
    assert uploading.result().status_code == 201


def test_the_objects_of_an_image_are_removed_after_its_row(
    client, make_post, as_user, upload, while_held, checked_out, files
):
    post_id = make_post()
    url = f"{media_url(post_id)}/{upload(post_id, PNG)[0]['id']}"
    delete = client.application.test_client().delete

    with while_held("post.images.storage.FileStorage.delete", lambda: delete(url, headers=as_user("ana"))) as deleting:
        lent = checked_out()
        shown = client.get(f"{POSTS}/{post_id}").json["data"]["media_files"]
        stored = files()

    assert (lent, shown, len(stored)) == (0, [], 2)
    assert deleting.result().status_code == 200
    assert files() == set()


def test_a_post_that_is_deleted_while_its_image_is_decoded_gets_none(
    client, make_post, as_user, send, while_held, files, count_media
):
    post_id = make_post()

    with while_held("post.images.cleaner.ImageCleaner.clean", lambda: send(post_id, PNG)) as uploading:
        client.delete(f"{POSTS}/{post_id}", headers=as_user("ana"))

    assert fault(uploading.result()) == (404, "post_not_found")
    assert (files(), count_media()) == (set(), 0)


def test_a_limit_that_is_reached_while_images_are_decoded_holds(
    client, make_post, make_media, send, while_held, files, count_media
):
    post_id = make_post()
    make_media(post_id, 8)

    with while_held(
        "post.images.cleaner.ImageCleaner.clean", lambda: send(post_id, (PNG, "1"), (PNG, "2"))
    ) as uploading:
        make_media(post_id, 1)

    data = uploading.result().json["data"]
    assert [media["file_name"] for media in data["uploaded_files"]] == ["1"]
    assert [(failure["file_name"], failure["code"]) for failure in data["failed"]] == [("2", "media_limit_reached")]
    assert count_media() == 10
    assert len(files()) == 2


def test_of_32_uploads_at_once_ten_are_kept_and_nothing_else(
    make_post, send, files, stored_keys, count_media, monkeypatch
):
    monkeypatch.setattr("post.services.uploads.UPLOAD_SECONDS", HANG_SECONDS)
    monkeypatch.setattr("post.shared.turns.PATIENCE_SECONDS", HANG_SECONDS)  # a busy machine cleans slowly
    post_id = make_post()

    answers = at_once([lambda: send(post_id, PNG, one=True)] * 32)

    assert Counter(answer.status_code for answer in answers) == {201: 10, 409: 22}
    assert {answer.json["error"]["code"] for answer in answers if answer.status_code == 409} == {"media_limit_reached"}
    assert count_media() == 10
    assert len(stored_keys(post_id)) == 20
    assert files() == stored_keys(post_id)


def test_an_image_that_is_removed_by_many_at_once_is_removed_by_one(app, make_post, make_media, as_user):
    post_id = make_post()
    url = f"{media_url(post_id)}/{make_media(post_id, 1)[0]['id']}"

    answers = at_once([lambda: app.test_client().delete(url, headers=as_user("ana"))] * 8)

    assert Counter(answer.status_code for answer in answers) == {200: 1, 404: 7}
