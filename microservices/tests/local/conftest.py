"""Lambda hosts with functions that show what they got, or misbehave."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from microservices.local.lambda_host import Function, LambdaHost
from microservices.tests.running import PROJECT


@pytest.fixture
def start_host(tmp_path) -> Iterator[Callable[..., Any]]:
    """Start a host with one function, and get boto3's client of it."""
    started = []

    def start(handler: str, **settings: Any) -> Any:
        given = {"memory_size": 256, "timeout_seconds": 2.0, "environment": {}, "root": PROJECT, **settings}
        function = Function(
            name="f", handler=f"microservices.tests.functions.{handler}", log=tmp_path / "aws" / "lambda" / "f", **given
        )
        host = LambdaHost([function])
        thread = threading.Thread(target=host.serve, daemon=True)
        thread.start()
        started.append((host, thread))
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        client = boto3.client("lambda", endpoint_url=host.url, region_name="us-east-1", **keys)
        started[-1] += (client,)
        return client

    yield start
    for host, thread, client in started:
        client.close()
        host.close()
        thread.join()
