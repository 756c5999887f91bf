"""Multipart bodies (RFC 7578): the wanted files are kept; all other parts are skipped, so that they take no memory."""

from collections.abc import Collection, Iterator
from typing import IO, NamedTuple

from werkzeug.datastructures import FileStorage, ImmutableMultiDict
from werkzeug.formparser import default_stream_factory
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData
from werkzeug.wrappers import Request

BUFFER_BYTES = 64 * 1024
HEAD_MAX_BYTES = 4 * BUFFER_BYTES  # of a part, with the bytes read beyond it
PARTS_MAX = 1000


class Parts(NamedTuple):
    """The wanted parts of a body: its files, and the names of wanted fields that are text."""

    files: ImmutableMultiDict[str, FileStorage]
    texts: set[str]


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
    for event in _events(request.stream, request.mimetype_params.get("boundary", "").encode("ascii")):
        if isinstance(event, Data):
            _write(event, sink)
        elif isinstance(event, File) and event.name in names:
            sink = default_stream_factory(request.content_length, None, None)
            files.append((event.name, FileStorage(sink, event.filename, event.name, headers=event.headers)))
        else:
            sink = None
            if isinstance(event, Field) and event.name in names:
                texts.add(event.name)
    request.files = ImmutableMultiDict(files)  # closed by Werkzeug
    return Parts(request.files, texts)


def _events(stream: IO[bytes], boundary: bytes) -> Iterator[Event]:
    if not boundary:
        raise ValueError("a multipart body has a boundary")
    decoder = MultipartDecoder(boundary, max_form_memory_size=HEAD_MAX_BYTES, max_parts=PARTS_MAX)
    while not decoder.complete:
        decoder.receive_data(stream.read(BUFFER_BYTES) or None)
        while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
            yield event


def _write(data: Data, sink: IO[bytes] | None) -> None:
    if sink is not None:
        sink.write(data.data)
        if not data.more_data:
            sink.seek(0)
