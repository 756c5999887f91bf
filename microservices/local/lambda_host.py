"""
The Lambda host: AWS's own runtime client in child processes, against a Runtime API of this process.

``POST /2015-03-31/functions/{name}/invocations`` invokes as AWS does, so boto3 works against it. Each child has a
Runtime API on a port of its own, and runs one event at a time. Left out: versions, aliases, layers, extensions,
asynchronous invocation, a frozen environment between events, and the memory limit.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any
from uuid import uuid4

import orjson

from .terraform import deployed

ROOT = Path(__file__).parents[1]
REGION = "us-east-1"
ACCOUNT = "000000000000"
MAX_CHILDREN = min(4, (os.cpu_count() or 1) + 1)  # a child waits for its tables a good part of its time
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
INVOCATIONS_PER_CHILD = 1_000

INVOKE = re.compile(r"/2015-03-31/functions/([\w-]+)/invocations")
RESULT = re.compile(r"/2018-06-01/runtime/invocation/([\w-]+)/(response|error)")
NEXT = "/2018-06-01/runtime/invocation/next"
INIT_ERROR = "/2018-06-01/runtime/init/error"


@dataclass(frozen=True)
class Function:
    """One function as it is deployed."""

    name: str
    handler: str
    memory_size: int
    timeout_seconds: float
    environment: dict[str, str]
    log: Path
    root: Path = ROOT
    interpreter: str = sys.executable


@dataclass
class Invocation:
    """One event on its way through a child."""

    payload: bytes
    trace: str
    deadline: float | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    done: threading.Event = field(default_factory=threading.Event)
    result: bytes = b""
    is_error: bool = False
    child: "Child | None" = None

    def finish(self, result: bytes, *, is_error: bool) -> None:
        """Hand the result to whoever invoked; a second one changes nothing."""
        if not self.done.is_set():
            self.result, self.is_error = result, is_error
            self.done.set()

    def fail(self, kind: str, message: str) -> None:
        """Finish with an error of the platform, in AWS's words."""
        self.finish(json.dumps({"errorType": kind, "errorMessage": message}).encode(), is_error=True)


class OneSendHandler(BaseHTTPRequestHandler):
    """HTTP/1.1 that sends head and body at once: two sends cost 40 ms each by delayed acknowledgements."""

    protocol_version = "HTTP/1.1"
    server_version = "lambda-host"

    def setup(self) -> None:
        """Switch Nagle's algorithm off."""
        self.request.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        super().setup()

    def body(self) -> bytes:
        """Body of the request, chunked or not."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send a whole answer."""
        lines = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.wfile.write(f"HTTP/1.1 {status} -\r\n{head}\r\n".encode() + body)

    def log_message(self, *_arguments: Any) -> None:
        """Log nothing: the functions' own logs are what counts."""


class QuietServer(ThreadingHTTPServer):
    """A server whose threads end with the process, and whose clients may go away."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a connection that its client broke."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Child:
    """One process that runs a function's events, and the Runtime API that it talks to."""

    def __init__(self, pool: "Pool") -> None:
        self.pool = pool
        self.current: Invocation | None = None
        self.taken = 0
        self.is_alive = True
        self.was_ready = False
        self.init_error: bytes | None = None
        self._api = QuietServer(("127.0.0.1", 0), RuntimeApi)
        self._api.child = self  # type: ignore[attr-defined]  # how a handler finds its child
        threading.Thread(target=self._api.serve_forever, daemon=True).start()
        self._process = self._start()
        threading.Thread(target=self._wait, daemon=True).start()

    @property
    def function(self) -> Function:
        """The function that the child runs."""
        return self.pool.function

    def kill(self) -> None:
        """End the process at once; ``_wait`` does the rest."""
        self._process.kill()

    def next(self) -> Invocation | None:
        """Wait for the child's next event; None where the child has to end."""
        if self.taken == INVOCATIONS_PER_CHILD:
            self.kill()
            return None
        self.current = self.pool.take(self)
        if self.current is not None:
            self.taken += 1
            self.current.child = self
            self.current.deadline = time.time() + self.function.timeout_seconds
        return self.current

    def finish(self, invocation_id: str, result: bytes, *, is_error: bool) -> bool:
        """Take a result from the child; False where it is of no event that the child has."""
        invocation = self.current
        if invocation is None or invocation.id != invocation_id:
            return False
        self.current = None
        self.pool.expect(self)
        if len(result) > MAX_PAYLOAD_BYTES:
            invocation.fail("Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed size")
        invocation.finish(result, is_error=is_error)
        return True

    def _start(self) -> "subprocess.Popen[bytes]":
        function = self.function
        function.log.parent.mkdir(parents=True, exist_ok=True)
        with function.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - a Python and a handler that is deployed
                [function.interpreter, "-m", "awslambdaric", function.handler],
                cwd=function.root,
                env=child_environment(function, f"127.0.0.1:{self._api.server_address[1]}"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait(self) -> None:
        """Clean up after the process, however it ended."""
        status = self._process.wait()
        failed = self.pool.left_by(self)
        if failed is not None and self.init_error:
            failed.finish(self.init_error, is_error=True)
        elif failed is not None:
            message = f"RequestId: {failed.id} Error: Runtime exited with error: {exit_words(status)}"
            failed.fail("Runtime.ExitError", message)
        self._api.shutdown()
        self._api.server_close()


class Pool:
    """The children of one function: as many as there are events at once, up to a limit."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self._changed = threading.Condition()
        self._waiting: deque[Invocation] = deque()
        self._children: set[Child] = set()
        self._idle: set[Child] = set()  # those that wait for an event, or will ask for one at once
        self._starting = 0

    def invoke(self, payload: bytes, trace: str) -> Invocation:
        """
        Run one event.

        Args:
            payload: The event, as JSON.
            trace: Value of ``X-Amzn-Trace-Id``.

        Returns:
            The invocation, finished.
        """
        invocation = Invocation(payload, trace)
        with self._changed:
            self._waiting.append(invocation)
            self._changed.notify()
            self._grow()
        while not invocation.done.wait(self._patience(invocation)):
            if invocation.child and invocation.deadline and time.time() >= invocation.deadline:
                seconds = f"{self.function.timeout_seconds:.2f}"
                message = f"RequestId: {invocation.id} Error: Task timed out after {seconds} seconds"
                invocation.fail("Sandbox.Timedout", message)
                invocation.child.kill()
        return invocation

    def take(self, child: Child) -> Invocation | None:
        """
        Wait for an event.

        Args:
            child: The child that asks.

        Returns:
            The event that has waited longest; None where the child has died meanwhile.
        """
        with self._changed:
            if child.is_alive and not child.was_ready:
                child.was_ready = True
                self._starting -= 1
            self._idle.add(child)
            self._changed.wait_for(lambda: self._waiting or not child.is_alive)
            self._idle.discard(child)
            return self._waiting.popleft() if child.is_alive else None

    def expect(self, child: Child) -> None:
        """
        Keep the next event for a child that has a result, so that no other child is started for it.

        Args:
            child: The child, whose result is not answered yet.
        """
        with self._changed:
            if child.is_alive:
                self._idle.add(child)

    def left_by(self, child: Child) -> Invocation | None:
        """
        Take a dead child out.

        Args:
            child: The child.

        Returns:
            The event that it leaves without a result: its own, or the next one where it died before it was ready.
        """
        with self._changed:
            child.is_alive = False
            self._children.discard(child)
            self._idle.discard(child)
            left = child.current
            if not child.was_ready:
                self._starting -= 1
                left = self._waiting.popleft() if self._waiting else None
            self._grow()
            self._changed.notify_all()
        return left

    def close(self) -> None:
        """Kill every child."""
        with self._changed:
            children = list(self._children)
        for child in children:
            child.kill()

    def _grow(self) -> None:
        wanted = len(self._waiting) - len(self._idle) - self._starting
        for _ in range(min(wanted, MAX_CHILDREN - len(self._children))):
            self._starting += 1
            self._children.add(Child(self))

    def _patience(self, invocation: Invocation) -> float:
        """Seconds to wait before the deadline is looked at again."""
        return 0.2 if invocation.deadline is None else max(0.0, invocation.deadline - time.time())


class RuntimeApi(OneSendHandler):
    """AWS's Runtime API for one child, version 2018-06-01."""

    def do_GET(self) -> None:
        """Give the child its next event."""
        if self.path != NEXT:
            self.answer(404, b"{}")
            return
        child: Child = self.server.child  # type: ignore[attr-defined]  # set by the child
        invocation = child.next()
        if invocation is None or invocation.deadline is None:
            self.close_connection = True
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": function_arn(child.function.name),
            "Lambda-Runtime-Trace-Id": invocation.trace,
        }
        self.answer(200, invocation.payload, headers)

    def do_POST(self) -> None:
        """Take a result, or an error, from the child."""
        child: Child = self.server.child  # type: ignore[attr-defined]  # set by the child
        body = self.body()
        found = RESULT.fullmatch(self.path)
        if found:
            taken = child.finish(found[1], body, is_error=found[2] == "error")
            self.answer(202 if taken else 400, b'{"status":"OK"}' if taken else b"{}")
        elif self.path == INIT_ERROR:
            child.init_error = body
            self.answer(202, b'{"status":"OK"}')
        else:
            self.answer(404, b"{}")


class InvokeApi(OneSendHandler):
    """The part of Lambda's own API that runs functions."""

    def do_POST(self) -> None:
        """Invoke a function and wait for its result."""
        body = self.body()
        found = INVOKE.fullmatch(self.path)
        pool: Pool | None = self.server.pools.get(found[1] if found else "")  # type: ignore[attr-defined]  # set by main
        if pool is None:
            self._refuse(404, "ResourceNotFoundException", f"Function not found: {self.path}")
        elif self.headers.get("X-Amz-Invocation-Type", "RequestResponse") != "RequestResponse":
            self._refuse(400, "InvalidParameterValueException", "Only RequestResponse is run here")
        elif len(body) > MAX_PAYLOAD_BYTES:
            self._refuse(413, "RequestTooLargeException", f"Request must be smaller than {MAX_PAYLOAD_BYTES} bytes")
        elif not is_json(body):
            self._refuse(400, "InvalidRequestContentException", "Could not parse request body into json")
        else:
            invocation = pool.invoke(body or b"{}", self.headers.get("X-Amzn-Trace-Id", ""))
            headers = {"X-Amz-Executed-Version": "$LATEST", "x-amzn-RequestId": invocation.id}
            if invocation.is_error:
                headers["X-Amz-Function-Error"] = "Unhandled"
            self.answer(200, invocation.result, headers)

    def _refuse(self, status: int, kind: str, message: str) -> None:
        self.answer(status, json.dumps({"Type": "User", "message": message}).encode(), {"x-amzn-ErrorType": kind})


def is_json(body: bytes) -> bool:
    """
    Check that a payload is JSON.

    Args:
        body: The payload; an empty one stands for ``{}``.

    Returns:
        True where it can be parsed.
    """
    try:
        orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        return False
    return True


def function_arn(name: str) -> str:
    """ARN of a function."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def exit_words(status: int) -> str:
    """Say in AWS's words how a process ended."""
    if status < 0:
        return f"signal: {signal.Signals(-status).name}"
    return f"exit status {status}"


def child_environment(function: Function, runtime_api: str) -> dict[str, str]:
    """
    Environment of a child: what AWS sets, what is deployed, where the stand-ins are, and what the local run chose.

    Args:
        function: The function.
        runtime_api: Host and port of its Runtime API.

    Returns:
        The variables.
    """
    inherited = ("PATH", "LANG", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "VIRTUAL_ENV")
    chosen = ("LOG_LEVEL", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TIMEOUT")  # for the whole local run
    return {
        **{name: os.environ[name] for name in inherited if name in os.environ},
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "LAMBDA_TASK_ROOT": str(function.root),
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
        "_HANDLER": function.handler,
        **function.environment,
        **{name: os.environ[name] for name in chosen if name in os.environ},
    }


def deployed_functions(logs: Path) -> list[Function]:
    """
    Read the functions from the Terraform files.

    Args:
        logs: Folder of the log groups.

    Returns:
        The functions as they are deployed.
    """
    prefix = deployed().local("name")
    return [
        Function(
            name=f"{prefix}-{key}",
            handler=settings["handler"],
            memory_size=settings["memory_size"],
            timeout_seconds=float(settings["timeout"]),
            environment={name: str(value) for name, value in settings["environment"].items()},
            log=logs / "aws" / "lambda" / f"{prefix}-{key}",
        )
        for key, settings in deployed().local("lambdas").items()
    ]


class LambdaHost:
    """The server of ``Invoke`` with a pool for each function."""

    def __init__(self, functions: list[Function], port: int = 0) -> None:
        self._pools = {function.name: Pool(function) for function in functions}
        self._server = QuietServer(("127.0.0.1", port), InvokeApi)
        self._server.pools = self._pools  # type: ignore[attr-defined]  # how a handler finds them
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def serve(self) -> None:
        """Serve until ``close`` is called from another thread."""
        self._server.serve_forever()

    def close(self) -> None:
        """Stop, and kill every child."""
        self._server.shutdown()
        for pool in self._pools.values():
            pool.close()
        self._server.server_close()


def main(port: str, logs: str) -> None:
    """Serve until SIGTERM."""
    host = LambdaHost(deployed_functions(Path(logs)), int(port))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=host.close).start())
    host.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
