"""A client's connection, and how much of its next request has come."""

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn

from post.client_socket import ClientSocket

HEAD_MAX_BYTES = 64 * 1024  # of a request's line and header fields together
BODY_BUFFERED_BYTES = 64 * 1024  # of a body, that are there before a thread is taken
RECEIVE_BYTES = 16 * 1024

# Gunicorn's parser refuses any other line as soon as it sees it (RFC 9112, section 3).
_REQUEST_LINE = re.compile(rb"[^ ]+ [^ ]+ HTTP/1\.\d")
_LENGTH_MAX_DIGITS = 18


class Arrival(Enum):
    """How far a request has come."""

    AWAITED = auto()
    COMPLETE = auto()  # as far as a thread needs it
    BEGUN = auto()  # the body's rest is left to the thread
    OVERSIZED = auto()
    GONE = auto()  # the client, with nothing to answer


_AWAITED, _COMPLETE = Arrival.AWAITED, Arrival.COMPLETE  # which are asked for at each request


class _Request(Request):  # type: ignore[misc]  # gunicorn ships no types
    def should_close(self) -> bool:
        """Also where the answer comes before the body has: a client is told to ask no more on this connection."""
        return bool(super().should_close()) or (self.unreader.has_rest and self._is_unread())

    def _is_unread(self) -> bool:
        reader = self.body.reader
        unread = getattr(reader, "length", None)
        if unread is None:  # chunked: its parser ends with the body
            return reader.parser is not None
        return bool(unread) and unread > len(self.unreader.buf.getbuffer())


class _Parser(RequestParser):  # type: ignore[misc]  # gunicorn ships no types
    mesg_class = _Request


class Connection(TConn):  # type: ignore[misc]  # gunicorn ships no types
    """
    A connection whose requests are received without waiting, before a thread takes them.

    Args:
        cfg: Gunicorn's settings.
        accepted: The socket.
        client: The client's address.
        server: The listener's address.
        linger: Called to close it once the client has read its answer.
    """

    def __init__(
        self, cfg: Any, accepted: Any, client: Any, server: Any, *, linger: Callable[["Connection"], None]
    ) -> None:
        super().__init__(cfg, ClientSocket(accepted), client, server)
        self.parser = _Parser(cfg, self.sock, client)
        self.parser.unreader.has_rest = False  # of a body, which has not been received
        self.initialized = True  # for gunicorn: it is neither to wait for the first byte nor to make a parser
        self._linger = linger
        self._received = bytearray()
        self._enough = 0  # how many bytes a thread needs; known once the head is there
        self.has_place = False  # among those whose thread reads a body's rest
        self.left_at: Arrival | None = None  # by a thread that has looked at what has come
        self.discarded_bytes = 0
        self.future: Any = None

    @property
    def has_head(self) -> bool:
        """Whether the head of the request that is awaited has come."""
        return self._enough > 0

    def is_large(self) -> bool:
        """Whether the body of the request that is awaited is more than is received before a thread is taken."""
        return self.has_head and bool(self.parser.unreader.has_rest)

    def await_no_more(self) -> None:
        """Leave all of the body that has not come to the thread."""
        self._enough = len(self._received)

    def close(self, graceful: bool = False) -> None:
        """Close it; gracefully is left to the main loop, which gunicorn would stop for up to two seconds."""
        if graceful:
            self._linger(self)
        else:
            super().close()

    def peek_environ(self) -> dict[str, Any]:
        """Return what a head that no thread has parsed tells, in the names of WSGI; empty where it has not come."""
        self.receive()
        head, ended, _ = (bytes(self._received) or self.parser.unreader.buf.getvalue()).partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        method, _, rest = line.partition(" ")
        if not (ended and rest):
            return {}
        named = (field.partition(":") for field in fields)
        return {
            "REQUEST_METHOD": method,
            "RAW_URI": rest.partition(" ")[0],
            "REMOTE_ADDR": self.client[0],
            **{f"HTTP_{name.upper().replace('-', '_')}": value.strip() for name, _, value in named},
        }

    def receive(self) -> Arrival:
        """Take what has come of a request; give it to the parser once that is enough for a thread."""
        unreader, received = self.parser.unreader, self._received
        if unreader.buf.tell():  # of a request that came with the one before
            received += unreader.take_buffered()
        while (arrival := self._arrival() if received else _AWAITED) is _AWAITED:
            try:
                data = self.sock.recv_now(RECEIVE_BYTES)
            except BlockingIOError:
                return _AWAITED
            except OSError:
                return Arrival.GONE
            if not data:  # the parser, or the application, sees the end too
                arrival = Arrival.COMPLETE if received else Arrival.GONE
                break
            received += data
        unreader.buf.write(received)
        received.clear()
        self._enough = 0
        return arrival

    def _arrival(self) -> Arrival:
        received = self._received
        if not self._enough:
            end = received.find(b"\r\n\r\n")
            if (len(received) if end < 0 else end) > HEAD_MAX_BYTES:
                return Arrival.OVERSIZED
            if end < 0:
                return Arrival.COMPLETE if self._is_refused() else _AWAITED
            buffered, self.parser.unreader.has_rest = _body_of(received, end)
            self._enough = end + 4 + buffered
        if len(received) < self._enough:
            return _AWAITED
        return Arrival.BEGUN if self.parser.unreader.has_rest else _COMPLETE

    def _is_refused(self) -> bool:
        """Whether the parser refuses what there is of the head, whatever follows."""
        if self._received.count(b"\n") != self._received.count(b"\r\n"):
            return True
        line, ended, _ = self._received.removeprefix(b"\r\n").partition(b"\r\n")
        if len(line) > (self.cfg.limit_request_line or HEAD_MAX_BYTES) + len(b"\r\n"):
            return True
        return bool(ended) and not _REQUEST_LINE.fullmatch(line)


def _body_of(request: bytearray, head_end: int) -> tuple[int, bool]:
    """Return how many bytes of the body to wait for, and whether the rest is the thread's."""
    fields = bytes(request[:head_end]).lower()
    if b"\r\ntransfer-encoding:" in fields or b"\r\nexpect:" in fields:
        return 0, True
    digits = fields.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0].strip(b" \t")
    if not digits.isdigit():  # there is none, or the parser refuses it
        return 0, False
    length = int(digits[:_LENGTH_MAX_DIGITS])
    return min(length, BODY_BUFFERED_BYTES), length > BODY_BUFFERED_BYTES
