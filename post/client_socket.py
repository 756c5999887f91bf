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
        self.start_request()

    def start_request(self) -> None:
        """Begin anew: nothing of the next request is read by a thread, nor answered."""
        self._read_since: float | None = None
        self._read_bytes = 0
        self.has_answered = False

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

    def send(self, data: Any, flags: int = 0) -> int:
        """Send, or keep, all of it."""
        self.sendall(data, flags)
        return len(data)

    def sendall(self, data: Any, _flags: int = 0) -> None:
        """
        Send what the kernel takes, and keep the rest for the main loop.

        Raises:
            BrokenPipeError: The client has gone, or the main loop has answered in the thread's place.
        """
        with self._sender:
            if self._cut_by not in (None, threading.get_ident()):
                raise BrokenPipeError(errno.EPIPE, "the answer came too late")
            self.has_answered = True
            self._unsent.append(memoryview(data))
            self._send_unsent()

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a part of a file: the few that are served this way (the documentation's) are small."""
        file.seek(offset)
        data = file.read(-1 if count is None else count)
        return self.send(data)

    def send_rest(self) -> bool:
        """Send what the kernel takes of what was kept; return whether that was all."""
        with self._sender:
            self._send_unsent()
            return not self._unsent

    def _send_unsent(self) -> None:
        while self._unsent:
            data = self._unsent[0]
            try:
                sent = super().send(data)
            except BlockingIOError:
                return
            if sent < len(data):
                self._unsent[0] = data[sent:]
            else:
                self._unsent.popleft()

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
            self._cut_by = threading.get_ident()
            return not self.has_answered
