"""JSON from another service, within limits of time and size."""

import json
import time
from typing import Any

import requests


def fetch_json(url: str, *, timeout_seconds: tuple[float, float], total_seconds: float, max_bytes: int) -> Any:
    """
    Fetch a JSON document.

    Args:
        url: Its address.
        timeout_seconds: To connect, and for each piece.
        total_seconds: For all of it.
        max_bytes: Its size at most.

    Raises:
        requests.RequestException: It did not arrive in time, or the answer is an error.
        ValueError: It is not JSON, or too long.
    """
    deadline, content = time.monotonic() + total_seconds, bytearray()
    with requests.get(url, timeout=timeout_seconds, stream=True) as response:
        response.raise_for_status()
        # The library's timeouts apply to each read, and a longer piece takes many reads: an endpoint that sends a
        # byte a second would hold the thread.
        for piece in response.iter_content(1):
            content += piece
            if time.monotonic() > deadline:
                raise requests.Timeout(f"not all of it within {total_seconds} s")
            if len(content) > max_bytes:
                raise ValueError(f"longer than {max_bytes} bytes")
    return json.loads(content)
