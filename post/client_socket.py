"""A client's socket, for which no thread waits longer than it may."""

import errno
import select
import socket
import threading
import time
from collections import deque
from typing import Any

READ_SECONDS = 10  # that a thread waits for a request's body
READ_BYTES_PER_SECOND = 100 * 1024  # and a second more for each so many bytes of it
TOGETHER_MAX_BYTES = 64 * 1024  # more is not worth a copy


class ClientTooSlow(ConnectionResetError):
    """The client is not waited for any longer: gunicorn and the application take it as one that went away."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the client sends too slowly")


class ClientSocket(socket.socket):
    """
    A client's socket that never blocks.

    A thread that sends goes on at once: what the kernel does not take is kept, and sent by the worker's
    main loop. One that receives waits for a client that keeps to the least rate, and for no other.
    """

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        super().setblocking(False)
        self._unsent: deque[memoryview] = deque()
        self._sender = threading.Lock()  # its owner sends: the thread, or the main loop that has lost patience with it
        self._cut_by: int | None = None
        self.is_answered_for = False  # by the main loop, in place of the thread
        self.start_request()

    def start_request(self) -> None:
        """Begin anew: nothing of the next request is read by a thread, nor answered."""
        self.began = time.monotonic()
        self.environ: dict[str, Any] = {}  # of the request, once it is known
        self._read_since: float | None = None
        self._read_bytes = 0
        self.has_answered = False
        self._head = b""  # of an answer, while nothing else of it has been sent

    def close(self) -> None:
        """Close it, and forget the request, which knows its socket."""
        self.environ = {}
        super().close()

    def setblocking(self, _flag: bool) -> None:
        """Do nothing: gunicorn asks for it before and after each request."""

    def settimeout(self, _seconds: float | None) -> None:
        """Do nothing: ``recv`` has its own limit."""

    def recv_now(self, size: int) -> bytes:
        """
        Return what has come, at most so many bytes; nothing at the end of what the client sends.

        Raises:
            BlockingIOError: Nothing has come.
            OSError: The connection is broken.
        """
        return super().recv(size)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """
        Wait until something comes.

        Raises:
            ClientTooSlow: The client is behind the least rate.
        """
        while True:
            try:
                data = super().recv(size, flags)
            except BlockingIOError:
                self._wait_to_read()
            else:
                self._read_bytes += len(data)
                return data

    def _wait_to_read(self) -> None:
        now = time.monotonic()
        if self._read_since is None:
            self._read_since = now
        left = self._read_since + READ_SECONDS + self._read_bytes / READ_BYTES_PER_SECOND - now
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        if left <= 0 or not poll.poll(left * 1000):
            raise ClientTooSlow

    def send(self, data: Any, _flags: int = 0) -> int:
        """Send at once, or keep, all of it: gunicorn's ``100 Continue``."""
        with self._sender:
            self._refuse_if_cut()
            self._send_or_keep(data)
        return len(data)

    def sendall(self, data: Any, _flags: int = 0) -> None:
        """
        Send what the kernel takes, and keep the rest for the main loop.

        The first of an answer, its head, is held until more comes: one packet, and one turn of the kernel, for both.

        Raises:
            BrokenPipeError: The client has gone, or the main loop has answered in the thread's place.
        """
        with self._sender:
            self._refuse_if_cut()
            if not self.has_answered:
                self.has_answered, self._head = True, data
                return
            if self._head:
                head, self._head = self._head, b""
                if len(data) > TOGETHER_MAX_BYTES:
                    self._send_or_keep(head)
                else:
                    data = head + data
            self._send_or_keep(data)

    def flush(self) -> None:
        """Send the head, where the answer is no more than that."""
        with self._sender:
            if self._head:
                head, self._head = self._head, b""
                self._send_or_keep(head)

    def _refuse_if_cut(self) -> None:
        if self._cut_by is not None and self._cut_by != threading.get_ident():
            raise BrokenPipeError(errno.EPIPE, "the answer came too late")

    def _send_or_keep(self, data: bytes) -> None:
        try:
            sent = 0 if self._unsent else super().send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._unsent.append(memoryview(data)[sent:])

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a part of a file: the few that are served this way (the documentation's) are small."""
        file.seek(offset)
        data = file.read(-1 if count is None else count)
        self.sendall(data)
        return len(data)

    def send_rest(self) -> bool:
        """Send what the kernel takes of what was kept; return whether that was all."""
        while self._unsent:
            data = self._unsent[0]
            try:
                sent = super().send(data)
            except BlockingIOError:
                break
            if sent < len(data):
                self._unsent[0] = data[sent:]
            else:
                self._unsent.popleft()
        return not self._unsent

    @property
    def has_unsent(self) -> bool:
        """Whether the kernel has not taken all of the answer."""
        return bool(self._unsent)

    @property
    def unsent_bytes(self) -> int:
        """How much is kept."""
        return sum(map(len, self._unsent))

    @property
    def is_cut(self) -> bool:
        """Whether the thread that handles the request may send no more."""
        return self._cut_by is not None

    def cut(self) -> bool:
        """Let none but this thread send from now on; return whether the other one has sent nothing."""
        with self._sender:
            self.is_answered_for = bool(self._head) or not self.has_answered
            self._cut_by, self._head, self.has_answered = threading.get_ident(), b"", True
            return self.is_answered_for
