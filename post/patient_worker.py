"""Gunicorn's threaded worker, whose threads wait for no client."""

import resource
import socket
import sys
import time
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from gunicorn import util
from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.workers.gthread import ThreadWorker

from post.connections import Arrival, Connection
from post.waiting import Waiting

THREADS_KEPT_FREE = 2  # of a worker's, for requests that are all there
DESCRIPTORS_KEPT_FREE = 100  # for the database's connections, logs, files of uploads
UNSENT_MAX_BYTES = 32 * 1024 * 1024  # of answers that clients have not read, in a worker
DISCARD_BYTES = 64 * 1024
DISCARDED_MAX_BYTES = 64 * 1024 * 1024  # of a connection that ends: more than a body may have
DISCARDS_A_TURN = 16
LOOK_SECONDS = 1  # that a large body may take to begin
CHECK_SECONDS = 0.25  # between looks at who has waited too long


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """
    A worker whose main loop receives what clients are slow to send, and sends what they are slow to read.

    Gunicorn's gives a connection to a thread at its first byte, and has the thread wait for the rest; some
    dozen clients that send a byte a second leave none for others. Here a thread takes what has come, and hands
    back what is not a whole head, and a whole body or its first 64 KiB: the main loop waits for the rest of it.
    Of the threads that read the rest of a larger body there are never so many that none is left.
    """

    receive_seconds = 10  # for a request's head and the part of its body that is waited for
    linger_seconds = 2  # for a client to read its last answer
    send_seconds = 30  # without a client's reading anything
    place_seconds = 30  # that a body waits for a thread that may read it
    request_seconds: float = 30  # from a request's arrival to its answer
    worker_connections: int
    wsgi: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.worker_connections = min(self.worker_connections, descriptors - DESCRIPTORS_KEPT_FREE)
        self._receiving = Waiting(self.receive_seconds)
        self._handled = Waiting(self.request_seconds)
        self._sending = Waiting(self.send_seconds)
        self._lingering = Waiting(self.linger_seconds)
        self._placeless = Waiting(self.place_seconds)
        self._places = self._places_in_all = max(1, self.cfg.threads - THREADS_KEPT_FREE)
        self._checked_at = 0.0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker does not speak."""
        if cfg.is_ssl or cfg.http2_cleartext != "off":
            sys.exit(f"{cls.__name__} speaks neither TLS nor HTTP/2: a load balancer before it does")
        super().check_config(cfg, log)

    def load_wsgi(self) -> None:
        """Load the application; what it is asked, a request's connection knows."""
        super().load_wsgi()
        application = self.wsgi

        def answer(environ: dict[str, Any], start_response: Any) -> Any:
            environ["gunicorn.socket"].environ = environ
            return application(environ, start_response)

        self.wsgi = answer

    # Receiving

    def accept(self, listener: Any) -> None:
        """Take a connection that waits to be accepted."""
        self.take_connection(listener)

    def take_connection(self, listener: Any) -> bool:
        """Accept a connection, where the oldest may give way for it; return whether there was one."""
        if self.nr_conns >= self.worker_connections - 1:  # gunicorn accepts none at the limit
            self._make_room()
        try:
            accepted, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        self.nr_conns += 1
        self.enqueue_req(Connection(self.cfg, accepted, address, listener.getsockname(), linger=self._linger))
        return True

    def enqueue_req(self, conn: Connection) -> None:
        """Have a thread look at what has come. Gunicorn calls this when something has, or may have."""
        conn.sock.start_request()
        self._handled.add(conn)
        conn.future = self.tpool.submit(self.handle, conn)
        conn.future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def handle(self, conn: Connection) -> bool:
        """Answer a request, in a thread; one that is not there yet is left to the main loop."""
        arrival = conn.receive()
        if arrival is Arrival.COMPLETE or (arrival is Arrival.BEGUN and conn.has_place):
            is_kept = bool(super().handle(conn))
            conn.sock.flush()
            return is_kept
        conn.left_at = arrival
        return False

    def _receive_more(self, conn: Connection, _socket: Any) -> None:
        arrival = conn.receive()
        if arrival is not Arrival.AWAITED:
            self._receiving.remove(conn)
            self.poller.unregister(conn.sock)
            self._dispatch(conn, arrival)

    def _dispatch(self, conn: Connection, arrival: Arrival) -> None:
        if arrival is Arrival.COMPLETE:
            self.enqueue_req(conn)
        elif arrival is Arrival.AWAITED:
            self._receiving.add(conn)
            self.poller.register(conn.sock, EVENT_READ, partial(self._receive_more, conn))
        elif arrival is Arrival.GONE:
            self._drop(conn)
        elif arrival is Arrival.OVERSIZED:
            self.handle_error(None, conn.sock, conn.client, LimitRequestHeaders("the head as a whole"))
            self._end(conn)
        elif self._places:
            self._take_place(conn)
        else:  # the kernel holds the client back meanwhile
            self._placeless.add(conn)

    def _take_place(self, conn: Connection) -> None:
        self._places -= 1
        conn.has_place = True
        self.enqueue_req(conn)

    # Answering

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """Go on with a connection as gunicorn does, once its answer has been sent."""
        self._handled.remove(conn)
        if conn.has_place:
            self._free_place(conn)
        if conn.sock.is_cut:
            self._end(conn)
        elif conn.left_at is not None:
            arrival, conn.left_at = conn.left_at, None
            self._dispatch(conn, arrival)
        elif conn.sock.has_unsent:
            self._sending.add(conn)
            self.poller.register(conn.sock, EVENT_WRITE, partial(self._send_more, conn, fs))
            self._bound_unsent()
        else:
            super().finish_request(conn, fs)

    def _free_place(self, conn: Connection) -> None:
        conn.has_place = False
        self._places += 1
        if waiting := self._placeless.oldest():
            self._placeless.remove(waiting)
            self._take_place(waiting)

    def _send_more(self, conn: Connection, fs: Any, _socket: Any) -> None:
        try:
            is_sent = conn.sock.send_rest()
        except OSError:
            self._drop(conn)
            return
        if not is_sent:
            self._sending.add(conn)
            return
        self._sending.remove(conn)
        self.poller.unregister(conn.sock)
        super().finish_request(conn, fs)

    def _bound_unsent(self) -> None:
        *older, _newest = self._sending.all()
        excess = sum(conn.sock.unsent_bytes for conn in self._sending.all()) - UNSENT_MAX_BYTES
        for conn in older:
            if excess <= 0:
                return
            excess -= conn.sock.unsent_bytes
            self._drop(conn)

    def _give_up(self, conn: Connection) -> None:
        """Answer in place of a thread that has not; the thread itself goes on, for nothing can end it safely."""
        waits = conn.future.cancel()
        self.log.error("Request not answered within %s s%s", self.request_seconds, ": no thread was free" * waits)
        if conn.sock.cut():
            self._write_error(conn, 503, "Service Unavailable")

    # Closing

    def _refuse(self, conn: Connection, status: int, reason: str) -> None:
        self._write_error(conn, status, reason)
        self._end(conn)

    def _write_error(self, conn: Connection, status: int, reason: str) -> None:
        conn.sock.environ = conn.sock.environ or conn.peek_environ()
        with suppress(OSError):  # the client has gone
            util.write_error(conn.sock, status, reason, "")

    def _end(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close(graceful=True)

    def _linger(self, conn: Connection) -> None:
        """
        End what is sent, and discard what comes until the client has ended too (RFC 9112, section 9.6).

        If the connection were closed at once, what the client still sends would be answered by a reset, and
        that takes from it the answer that it has not read.
        """
        try:
            conn.sock.flush()
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            conn.close()
            return
        self.nr_conns += 1  # which gunicorn has counted out
        self._lingering.add(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self._discard, conn))
        self._discard(conn, conn.sock)

    def _discard(self, conn: Connection, _socket: Any) -> None:
        for _ in range(DISCARDS_A_TURN):
            try:
                data = conn.sock.recv_now(DISCARD_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            conn.discarded_bytes += len(data)
            if not data or conn.discarded_bytes > DISCARDED_MAX_BYTES:
                self._drop(conn)
                return

    def _drop(self, conn: Connection) -> None:
        for waiting in (self._receiving, self._sending, self._lingering, self._placeless):
            waiting.remove(conn)
        with suppress(KeyError):  # one without a place is not in the poller, nor is one that has just come
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def _make_room(self) -> None:
        oldest = (waiting.oldest() for waiting in (self._lingering, self._receiving))
        if conn := next(filter(None, oldest), None):
            self._drop(conn)
        elif self.keepalived_conns:
            self._drop(self.keepalived_conns.popleft())
        elif conn := self._sending.oldest() or self._placeless.oldest():
            self._drop(conn)

    # Time

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for what happens, then see who has waited too long."""
        super().wait_for_and_dispatch_events(timeout)
        now = time.monotonic()
        if now - self._checked_at > CHECK_SECONDS:
            self._checked_at = now
            self._end_waits(now)

    def _end_waits(self, now: float) -> None:
        self._look_at_heads(now)
        for conn in self._receiving.take_expired(now):
            if conn.has_head:
                self.poller.unregister(conn.sock)
                self._refuse(conn, 408, "Request Timeout")
            else:  # as nginx does
                self._drop(conn)
        for waiting in (self._lingering, self._sending):
            for conn in waiting.take_expired(now):
                self._drop(conn)
        for conn in self._placeless.take_expired(now):
            self._refuse(conn, 503, "Service Unavailable")
        for conn in self._handled.take_expired(now):
            self._give_up(conn)

    def _look_at_heads(self, now: float) -> None:
        """
        Have threads look at large bodies that have not begun, or not enough.

        A client may wait for the refusal that it can do without sending (401, 413). Half of the places are left
        to those that do send.
        """
        for conn in filter(Connection.is_large, self._receiving.longer_than(LOOK_SECONDS, now)):
            if self._places * 2 <= self._places_in_all:
                return
            self._receiving.remove(conn)
            self.poller.unregister(conn.sock)
            conn.await_no_more()
            self._take_place(conn)
