"""What schemathesis cannot read in the document: who calls, and that a cursor is one that a list gave."""

import io
import itertools
import os
from datetime import datetime

import requests
import schemathesis
from hypothesis import strategies as st
from PIL import Image

from post.paging import Cursor

KEYS = itertools.count()
directions = st.sampled_from(["next", "prev"])
numbers = st.integers(min_value=0, max_value=2**31 - 1)
cursors = st.builds(lambda direction, number: Cursor(direction, "latest", (number,)), directions, numbers)
schemathesis.openapi.format("cursor", cursors.map(Cursor.encode))

# Each time in a request is the end of a suspension, which has to be to come.
times = st.datetimes(min_value=datetime(2100, 1, 1), max_value=datetime(9000, 1, 1))  # noqa: DTZ001 - the Z follows
schemathesis.openapi.format("date-time", times.map(lambda moment: f"{moment.isoformat(timespec='milliseconds')}Z"))


def encoded(image_format: str) -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(output, image_format)
    return output.getvalue()


# Of this API's operations only uploads take bytes.
schemathesis.openapi.format("binary", st.sampled_from(["JPEG", "PNG", "GIF", "WEBP"]).map(encoded))


@schemathesis.auth(refresh_interval=None)
class Tokens:
    """The caller's token, and another's for the route after which its caller could write no more."""

    def get(self, case, _context):
        leaves = case.operation.path.endswith("/users/me/deactivate")
        return os.environ["TOKEN_OF_WHO_LEAVES" if leaves else "TOKEN"]

    def set(self, case, data, _context):
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context, case, kwargs):
    """
    Make values that are right in themselves right together.

    A cursor belongs to one order, which the document cannot say: these belong to ``latest``. A period needs the other
    one. A key that is used again gets its first answer, whose post may be deleted by then. An ``If-Match`` that is
    made up names no post's version.
    With ``ids`` goes nothing that would choose other posts.
    """
    case.headers.pop("If-Match", None)
    if case.headers and "Idempotency-Key" in case.headers and case.meta and case.meta.generation.mode.is_positive:
        case.headers["Idempotency-Key"] = f"key-{next(KEYS)}"
    query = case.query or {}
    if "cursor" in query and query.get("sort") == "popular":
        query["sort"] = "latest"
    if query.get("period") in ("day", "week", "month") and query.get("sort", "latest") == "latest":
        if "cursor" in query:
            del query["period"]
        else:
            query["sort"] = "popular"
    if "ids" in query and case.meta and case.meta.generation.mode.is_positive:
        for name in ("q", "category", "category_id", "user_id", "period", "cursor", "page"):
            query.pop(name, None)


@schemathesis.hook
def after_call(context, case, response):
    """Remove what was uploaded: a right upload to a full post is refused."""
    if case.operation.label == "POST /api/v1/posts/{post_id}/media" and response.status_code == 201:
        data = response.json()["data"]
        for media in data.get("uploaded_files", [data]):
            url = f"{response.request.url}/{media['id']}"
            headers = {"Authorization": response.request.headers["Authorization"]}
            requests.delete(url, headers=headers, timeout=10).raise_for_status()


@schemathesis.hook
def filter_case(context, case):
    """
    Leave out uploads that are not what they are taken for.

    A multipart body cannot say that a list is empty: it would lack the field. And a body is right without one of the
    two fields, where it has the other.
    """
    files = case.body.get("files[]") if isinstance(case.body, dict) else None
    is_taken_for_wrong = case.meta is not None and case.meta.generation.mode.is_negative
    return files != [] and not (is_taken_for_wrong and isinstance(files, list))
