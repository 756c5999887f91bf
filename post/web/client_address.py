"""The client's address: one key of it for views, rate limits and the log."""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask

HEADER_MAX_CHARS = 4096  # read from the end, where our own proxies write: ten of them at most
KEYS_KEPT = 1024  # addresses with a cached key
# A list's last element, in reversed text: a comma in quotes is none, nor is a quote before a backslash an end. Its
# parts differ by their first characters, so it is linear; Python 3.11.2 mistakes possessive quantifiers (gh-106052).
_LAST_ELEMENT = re.compile(r'(?:[^",]|"(?:[^"]|"(?=\\))*"(?!\\))*')
# A pair of a ``Forwarded`` element (RFC 7239, section 4); also an address with colons that lacks its quotes.
_PAIR = re.compile(r'(?:^|;)\s*([^\s;=",]+)=(?:"((?:[^"\\]|\\.)*)"|([^;"]*))')
# The first 96 bits of IPv6 addresses that are an IPv4 address: compatible and mapped (RFC 4291, section 2.5.5),
# translated (RFC 2765, section 2.1), and of NAT64 (RFC 6052, section 2.1).
_IPV4_PREFIXES = {int(IPv6Address(prefix)) >> 32 for prefix in ("::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::")}


def init_client_address(app: Flask, *, hops: int, header: str) -> None:
    """
    Make ``request.remote_addr`` of an app the client's key.

    Args:
        app: The application.
        hops: As for ``client_key``.
        header: As for ``client_key``.
    """
    inner = app.wsgi_app

    def identified(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["REMOTE_ADDR"] = client_key(environ, hops=hops, header=header)
        return inner(environ, start_response)

    app.wsgi_app = identified  # type: ignore[method-assign]  # Flask's documented way


def client_key(environ: dict[str, Any], *, hops: int, header: str) -> str:
    """
    Return the key of a request's client.

    Args:
        environ: The request's WSGI environ.
        hops: Number of our own proxies; each adds the address that called it. Further entries are the client's own.
        header: Their header: ``x-forwarded-for``, ``forwarded``, or ``cloudfront-viewer-address``.

    Returns:
        An IPv4 address, or the /64 of an IPv6 one: one customer has all of it (RFC 6177, section 2). If the header has
        fewer entries than ``hops``, it is the peer's. Where a proxy hides an address, that proxy's own counts.
    """
    for node in _nodes(environ, hops, header) if hops else ():
        if (key := _address_key(node)) is not None:
            return key
    peer: str = environ.get("REMOTE_ADDR") or ""
    return _address_key(peer) or peer


def _nodes(environ: dict[str, Any], hops: int, header: str) -> list[str]:
    """Return the entries of our proxies, the client's first."""
    value: str = environ.get(f"HTTP_{header.upper().replace('-', '_')}", "")
    if len(value) > HEADER_MAX_CHARS:
        value = value[-HEADER_MAX_CHARS:].partition(",")[2]
    if header == "cloudfront-viewer-address":
        return _with_port(value.rpartition(",")[2])
    entries = _last_elements(value, hops) if header == "forwarded" else value.split(",")[-hops:]
    if len(entries) < hops:
        return []
    return [_for(entry) for entry in entries] if header == "forwarded" else entries


def _with_port(value: str) -> list[str]:
    # CloudFront writes an IPv6 address without brackets before the port.
    return [value] if "[" in value else [value.rpartition(":")[0], value]


def _last_elements(value: str, count: int) -> list[str]:
    """
    Return the last elements of a list, in order, read from its end.

    A client writes the beginning: a quote that it leaves open must not swallow what our proxies add.
    """
    elements: list[str] = []
    text, position = value[::-1], 0
    while len(elements) < count and position < len(text):
        end = _LAST_ELEMENT.match(text, position).end()  # type: ignore[union-attr]  # it matches the empty text too
        if element := text[position:end].strip():
            elements.append(element[::-1])
        position = end + 1
    return elements[::-1]


def _for(element: str) -> str:
    pairs: dict[str, str] = {name.lower(): quoted or plain for name, quoted, plain in _PAIR.findall(element)}
    return pairs.get("for", "")


@lru_cache(maxsize=KEYS_KEPT)
def _address_key(node: str) -> str | None:
    """Return the key of an address with or without brackets, zone and port; None if it is none."""
    text = node.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return str(address)
    inner = _ipv4_within(address)
    return str(inner or IPv6Network((int(address) >> 64 << 64, 64)))


def _ipv4_within(address: IPv6Address) -> IPv4Address | None:
    if address.sixtofour:  # the IPv4 address has 65,536 networks of /64 (RFC 3056, section 2)
        return address.sixtofour
    number = int(address)
    is_ipv4 = number >> 32 in _IPV4_PREFIXES and number > 1  # :: and ::1 are IPv6's own
    return IPv4Address(number & 0xFFFF_FFFF) if is_ipv4 else None
