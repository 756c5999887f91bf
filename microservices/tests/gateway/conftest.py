"""A gateway with the platform's own document, in front of functions and a service that show what they get."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import urllib3

from microservices.local.lambda_host import Function, LambdaHost
from microservices.tests.running import PATIENCE_SECONDS, PROJECT, running_gateway

NAMES = {"auth": "echo", "users": "echo", "notifications": "echo", "authorizer": "policy"}


def function(name: str, handler: str, logs: Path, **settings: Any) -> Function:
    given = {"memory_size": 256, "timeout_seconds": 2.0, "environment": {}, **settings}
    return Function(
        name=name, handler=f"microservices.tests.functions.{handler}", log=logs / name, root=PROJECT, **given
    )


@pytest.fixture(scope="session")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Lambda host whose functions have the deployed names."""
    logs = tmp_path_factory.mktemp("functions")
    host = LambdaHost([function(f"microservices-{name}", handler, logs) for name, handler in NAMES.items()])
    thread = threading.Thread(target=host.serve, daemon=True)
    thread.start()
    yield host.url
    host.close()
    thread.join()


class ShowRequest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        shown = {"method": self.command, "path": self.path, "headers": self.headers.items(), "body": body.decode()}
        content = json.dumps(shown).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Two", "a")
        self.send_header("X-Two", "b")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="session")
def upstream() -> Iterator[str]:
    """URL of an HTTP service that answers with the request as it came."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), ShowRequest)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@dataclass
class Asker:
    """A client of one gateway."""

    url: str
    pool: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(retries=False, timeout=PATIENCE_SECONDS)
    )

    def __call__(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        return self.pool.request(method, self.url + path, **options)

    def event(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The event that a request became."""
        answer = self(method, path, **options)
        assert answer.status == 200, answer.data
        return answer.json()["event"]


@pytest.fixture(scope="session")
def ask(functions: str, upstream: str) -> Iterator[Asker]:
    """A client of the gateway; ``ask.url`` ends with ``/api``."""
    with running_gateway(functions, products_url=upstream) as url:
        yield Asker(url)
