"""A front for a service that does not serve the site yet: the built files, and all else from the service."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; manifest-src 'self'"
)


@contextmanager
def front(dist: Path, port: int, upstream: str, **config: Any) -> Iterator[None]:
    """Serve ``dist`` on ``port``; what begins with /api, /dev or /feed is answered by ``upstream``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path.startswith(("/api", "/dev", "/feed", "/health")):
                drop = ("host", "connection", "accept-encoding")
                headers = {name: value for name, value in self.headers.items() if name.lower() not in drop}
                upstream_answer = requests.request(
                    self.command, upstream + self.path, headers=headers, data=body, timeout=60, allow_redirects=False
                )
                kept = {
                    name: value
                    for name, value in upstream_answer.headers.items()
                    if name.lower() not in ("content-length", "connection", "transfer-encoding", "server", "date")
                }
                self.send(upstream_answer.status_code, kept, upstream_answer.content)
                return
            file = dist / self.path.partition("?")[0].lstrip("/")
            if file.is_file() and file.name != "index.html":
                self.send(200, {"Content-Type": TYPES.get(file.suffix, "text/plain")}, file.read_bytes())
                return
            page = (dist / "index.html").read_text()
            page = page.replace('id="board-config">{}<', f'id="board-config">{json.dumps(config)}<')
            headers = {"Content-Type": TYPES[".html"], "Content-Security-Policy": POLICY}
            self.send(200, headers, page.encode())

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD" and status != 304:
                self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
