"""
Multipart bodies (RFC 7578): the wanted files are kept; all other parts are skipped, so that they take no memory.

Werkzeug's decoder refuses a body for one header that is not UTF-8, and drops the backslashes of a Windows path.
"""

import re
from collections.abc import Collection
from typing import IO, NamedTuple
from urllib.parse import unquote_to_bytes

from werkzeug.datastructures import FileStorage, ImmutableMultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import default_stream_factory
from werkzeug.wrappers import Request

BUFFER_BYTES = 64 * 1024
HEAD_MAX_BYTES = 16 * 1024  # of a part
PARTS_MAX = 1000
_PADDING_MAX = 64  # white space after a boundary
_AFTER_BOUNDARY = rb"(?:(--)|[ \t]{0,64}\r?(?=\n))"
_END_OF_HEAD = re.compile(rb"\n\r?(?=\n)")
_CONTINUED_LINE = re.compile(rb"\r?\n[ \t]+")
# A quoted value ends at a quote that no backslash escapes, or at the last one (WHATWG HTML: "Multipart form data").
_PARAMETER = re.compile(rb';[ \t]*([\w*]+)[ \t]*=[ \t]*(?:"((?:\\"|[^"])*)"|([^;]*))')


class Parts(NamedTuple):
    """The wanted parts of a body: its files, and the names of wanted fields that are text."""

    files: ImmutableMultiDict[str, FileStorage]
    texts: set[str]


class _Body:
    """A body, read part by part. Its buffer begins with the line break before what comes next."""

    def __init__(self, stream: IO[bytes], boundary: bytes) -> None:
        self._stream = stream
        self._delimiter = b"\n--" + boundary
        self._end = re.compile(re.escape(self._delimiter) + _AFTER_BOUNDARY)
        self._buffer = b"\n"

    def copy_part(self, sink: IO[bytes] | None) -> bool:
        """Read until the next delimiter, and write what comes before it; returns True if another part follows."""
        skipped = 1  # the line break is not content
        while (end := self._end.search(self._buffer)) is None:
            kept_from = max(0, len(self._buffer) - len(self._delimiter) - _PADDING_MAX - 4)
            _write(self._buffer[skipped:kept_from], sink)
            self._read_more(kept_from)
            skipped = 0 if kept_from else skipped
        _write(self._buffer[skipped : end.start()].removesuffix(b"\r"), sink)
        self._buffer = self._buffer[end.end() :]
        return end[1] is None

    def read_head(self) -> bytes:
        """Read the headers of a part."""
        while (end := _END_OF_HEAD.search(self._buffer)) is None:
            if len(self._buffer) > HEAD_MAX_BYTES:
                raise RequestEntityTooLarge
            self._read_more(0)
        head, self._buffer = self._buffer[: end.start()], self._buffer[end.end() :]
        if len(head) > HEAD_MAX_BYTES:
            raise RequestEntityTooLarge
        return head

    def _read_more(self, kept_from: int) -> None:
        more = self._stream.read(BUFFER_BYTES)
        if not more:
            raise ValueError("the body is cut off")
        self._buffer = self._buffer[kept_from:] + more


def read_parts(request: Request, *, names: Collection[str]) -> Parts:
    """
    Return the files of a request's body; they are closed with the request.

    Args:
        request: A request with a stream of limited length.
        names: The names of the wanted fields.

    Raises:
        ValueError: The body is malformed or cut off.
        RequestEntityTooLarge: It has too many parts, or one with too long a head.
    """
    boundary = request.mimetype_params.get("boundary", "").encode("ascii")
    if not boundary:
        raise ValueError("a multipart body has a boundary")
    body = _Body(request.stream, boundary)
    files: list[tuple[str, FileStorage]] = []
    texts: set[str] = set()
    sink: IO[bytes] | None = None
    parts = 0
    try:
        while body.copy_part(sink):
            parts += 1
            if parts > PARTS_MAX:
                raise RequestEntityTooLarge
            name, file_name = _names(body.read_head())
            sink = None
            if name in names and file_name is not None:
                sink = default_stream_factory(request.content_length, None, None)
                files.append((name, FileStorage(sink, file_name, name)))
            elif name in names:
                texts.add(name)
    finally:
        request.files = ImmutableMultiDict(files)  # closed by Werkzeug
    while request.stream.read(BUFFER_BYTES):  # what follows the last part counts for the body's size
        pass
    for _, file in files:
        file.stream.seek(0)
    return Parts(request.files, texts)


def _write(data: bytes, sink: IO[bytes] | None) -> None:
    if sink is not None:
        sink.write(data)


def _names(head: bytes) -> tuple[str, str | None]:
    """Return a part's name, and its file's; no other header matters."""
    for line in _CONTINUED_LINE.sub(b" ", head).split(b"\n"):
        header, _, value = line.partition(b":")
        if header.strip().lower() == b"content-disposition":
            found = {key.lower(): (quoted or plain).strip() for key, quoted, plain in _PARAMETER.findall(value)}
            if extended := found.get(b"filename*"):  # charset'language'name (RFC 5987, section 3.2.1)
                return _text(found.get(b"name", b"")), _decode(unquote_to_bytes(extended.rpartition(b"'")[2]))
            return _text(found.get(b"name", b"")), _text(found[b"filename"]) if b"filename" in found else None
    return "", None


def _text(raw: bytes) -> str:
    return _decode(raw.replace(b'\\"', b'"').replace(b"%22", b'"'))


def _decode(raw: bytes) -> str:
    """Return text that should be in UTF-8; older programs on Windows write Korean in CP949."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp949", "replace")
