"""Ports for servers that tests start: each is drawn once at a time, on the whole machine."""

import os
import secrets
import socket
from collections import deque

LOWEST, HIGHEST = 10_000, 32_000  # below those that the system gives to connections (ip(7): ip_local_port_range)
KEPT_MAX = 200  # claims of a process, each a descriptor

_claims = deque[int]()


def free_port() -> int:
    """Return a port that nobody uses, and that no other test will draw for long."""
    return free_ports(1)


def free_ports(number: int) -> int:
    """Return the first of some ports in a row, as ``free_port`` returns one."""
    while True:
        first = LOWEST + secrets.randbelow(HIGHEST - LOWEST - number)
        claims = [_claim(port) for port in range(first, first + number)]
        _claims.extend(claim for claim in claims if claim is not None)
        while len(_claims) > KEPT_MAX:
            os.close(_claims.popleft())
        if None not in claims:
            return first


def _claim(port: int) -> int | None:
    """
    Return a descriptor that keeps a port from all other processes that call this, or None if the port is taken.

    A port that was tried alone could be drawn by two before either listens, or while a server is started again. The
    claim is a socket by an abstract name (unix(7)): the system drops it with the process, however that ends.
    """
    with socket.socket(socket.AF_UNIX) as claim, socket.socket() as listener:
        try:
            claim.bind(f"\0post-service-test-port-{port}")
            listener.bind(("0.0.0.0", port))
        except OSError:
            return None
        return claim.detach()
