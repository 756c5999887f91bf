"""
A collector that takes spans and drops them: ``collector.py PORT``. The one in AWS is a process apart, too.

It reads no more of HTTP than an exporter's request needs: a collector in Go costs less than a server of Python's.
"""

import re
import sys
from socketserver import StreamRequestHandler, ThreadingTCPServer

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Drop(StreamRequestHandler):
    """OTLP over HTTP, as far as an exporter sees it."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Read spans, and acknowledge them, until the exporter is gone."""
        while self.rfile.readline():
            length = 0
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                if found := LENGTH.match(line):
                    length = int(found[1])
            self.rfile.read(length)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


class Collector(ThreadingTCPServer):
    """A thread for each connection, which an exporter keeps."""

    daemon_threads = allow_reuse_address = True
    request_queue_size = 128


if __name__ == "__main__":
    Collector(("127.0.0.1", int(sys.argv[1])), Drop).serve_forever()
