"""Requests and answers as the gateway's parts hand them on."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qsl

Headers = list[tuple[str, str]]

TRACE_HEADER = "X-Amzn-Trace-Id"
TRACE_ROOT = re.compile(r"Root=(1-[0-9a-f]{8}-[0-9a-f]{24})(;|$)")


def header(headers: Headers, name: str) -> str | None:
    """
    Find a header.

    Args:
        headers: Names and values, in the order in which they came.
        name: Name of the header, in any case.

    Returns:
        Its last value, as in an event's ``headers``, or None where it is absent.
    """
    values = [value for key, value in headers if key.lower() == name.lower()]
    return values[-1] if values else None


def with_header(headers: Headers, name: str, value: str) -> Headers:
    """
    Set a header in place of every one of its name.

    Args:
        headers: Names and values.
        name: Name of the header, in any case.
        value: Its one value.

    Returns:
        The other headers, and this one.
    """
    return [(key, old) for key, old in headers if key.lower() != name.lower()] + [(name, value)]


def trace_of(headers: Headers) -> str:
    """
    Choose the trace that a request belongs to.

    Args:
        headers: Headers of the request.

    Returns:
        Value of ``X-Amzn-Trace-Id``: the caller's where it names a root, else a new root.
    """
    given = header(headers, TRACE_HEADER) or ""
    if TRACE_ROOT.search(given):
        return given
    return f"Root=1-{int(time.time()):08x}-{token_hex(12)}"


@dataclass
class Request:
    """
    One request behind the edge: its path has no ``/api``, and its body is read when it is wanted.

    Attributes:
        resource: Template of its route, once that is found.
    """

    method: str
    path: str
    query: str
    headers: Headers
    source_ip: str
    protocol: str
    request_id: str
    read_body: Callable[[], bytes]
    received_at: float = field(default_factory=time.time)
    resource: str | None = None

    def header(self, name: str) -> str | None:
        """The last value of a header, or None."""
        return header(self.headers, name)

    def arguments(self) -> list[tuple[str, str]]:
        """Names and values of the query string, decoded."""
        return parse_qsl(self.query, keep_blank_values=True)


@dataclass
class Response:
    """One answer; its body is complete."""

    status: int
    headers: Headers
    body: bytes


class Refused(Exception):
    """An answer of the gateway itself, by the name that the document's gateway responses have for it."""

    def __init__(self, kind: str, status: int, message: str, context: dict[str, Any] | None = None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.status = status
        self.context = {
            **(context or {}),
            "error": {"message": message, "messageString": json.dumps(message), "responseType": kind},
        }
