"""Multipart bodies (RFC 7578): the wanted files are kept; all other parts are skipped, so that they take no memory."""

import re
from collections.abc import Collection
from contextlib import suppress
from typing import IO, NamedTuple
from urllib.parse import unquote_to_bytes

from multipart import MultipartSegment, ParserError, ParserLimitReached, PushMultipartParser
from werkzeug.datastructures import FileStorage, ImmutableMultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import default_stream_factory
from werkzeug.wrappers import Request

BUFFER_BYTES = 64 * 1024
PARTS_MAX = 1000
HEAD_LINES_MAX = 32  # of a part: each may continue a header, which is then read again
HEADER_MAX_BYTES = 16 * 1024
# charset'language'name (RFC 5987, section 3.2.1): some clients send it, though RFC 7578 forbids it (section 4.2).
_EXTENDED_NAME = re.compile(r""";\s*filename\*\s*=\s*"?[^';"]*'[^';"]*'([^;"\s]*)""", re.IGNORECASE)


class Parts(NamedTuple):
    """The wanted parts of a body: its files, and the names of wanted fields that are text."""

    files: ImmutableMultiDict[str, FileStorage]
    texts: set[str]


class _Parser(PushMultipartParser):  # type: ignore[misc]  # the library ships no types
    """The library's parser, which leaves out the headers that it cannot read, in place of refusing the body."""

    def _on_segment_start(self) -> None:
        super()._on_segment_start()
        self._head_lines = 0

    def _on_segment_headerline(self, line: bytes) -> None:
        self._head_lines += 1
        if self._head_lines > HEAD_LINES_MAX:
            raise ParserLimitReached
        with suppress(ParserError):
            super()._on_segment_headerline(line)
        self._segment_limit = -1  # a part's Content-Length says nothing (RFC 7578, section 4.8)

    def _create_segment(self, headerlist: list[tuple[str, str]]) -> MultipartSegment:
        return MultipartSegment(headerlist)


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
    files: list[tuple[str, FileStorage]] = []
    texts: set[str] = set()
    sink: IO[bytes] | None = None
    try:
        for event in _parser(request).parse_blocking(request.stream.read, BUFFER_BYTES):
            if isinstance(event, MultipartSegment):
                name, file_name = _text(event.name or ""), _file_name(event)
                sink = None
                if name in names and file_name is not None:
                    sink = default_stream_factory(request.content_length, None, None)
                    files.append((name, FileStorage(sink, file_name, name)))
                elif name in names:
                    texts.add(name)
            elif event and sink is not None:
                sink.write(event)
    except ParserLimitReached as exc:
        raise RequestEntityTooLarge from exc
    finally:
        request.files = ImmutableMultiDict(files)  # closed by Werkzeug
    for _, file in files:
        file.stream.seek(0)
    return Parts(request.files, texts)


def _parser(request: Request) -> _Parser:
    return _Parser(
        request.mimetype_params.get("boundary", "").encode("ascii"),
        max_header_size=HEADER_MAX_BYTES,
        max_segment_count=PARTS_MAX,
        header_charset="latin-1",  # of any bytes
    )


def _file_name(part: MultipartSegment) -> str | None:
    if extended := _EXTENDED_NAME.search(part.header("Content-Disposition", "")):
        return _decode(unquote_to_bytes(extended[1]))
    return None if part.filename is None else _text(part.filename)


def _text(latin_1: str) -> str:
    return _decode(latin_1.encode("latin-1"))


def _decode(raw: bytes) -> str:
    """Return text that should be in UTF-8; older programs on Windows write Korean in CP949."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp949", "replace")
