"""How a listening socket is left without a reset for anyone whom the kernel has let in."""

import ctypes
import select
import socket
import struct
import sys
from typing import Any

HANDSHAKE_MS = 100  # in which a client that was let in before completes its connection

# From <asm-generic/socket.h> and <linux/filter.h>; Python has no names for them.
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_LOAD_BYTE, _JUMP_IF_SET, _RETURN = 0x30, 0x45, 0x06
_FLAGS_AT, _SYN = 13, 0x02  # RFC 9293, section 3.1
# Drop whatever asks for a new connection, and take the rest, such as the end of a handshake.
_DROP_SYN = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in [
        (_LOAD_BYTE, 0, 0, _FLAGS_AT),
        (_JUMP_IF_SET, 0, 1, _SYN),
        (_RETURN, 0, 0, 0),
        (_RETURN, 0, 0, 0xFFFFFFFF),
    ]
)


def ignore_new(listener: Any) -> None:
    """
    Let nobody else in: a client then asks again, in a second, and is refused once the socket is closed.

    Otherwise one may be let in between the last ``accept`` and the closing, which resets it.
    """
    if _is_tcp_on_linux(listener):
        filter_ = ctypes.create_string_buffer(_DROP_SYN, len(_DROP_SYN))
        program = struct.pack("HP", len(_DROP_SYN) // 8, ctypes.addressof(filter_))
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def heed_new(listener: Any) -> None:
    """Undo that: the socket is the master's too, and of the workers that come after."""
    if _is_tcp_on_linux(listener):
        # There is no need to know whether there is a filter: without one this says ENOENT.
        try:
            listener.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        except FileNotFoundError:
            return


def is_anyone_in(listener: Any) -> bool:
    """Return whether a client waits to be accepted, or comes while it completes its handshake."""
    poll = select.poll()
    poll.register(listener.fileno(), select.POLLIN)
    return bool(poll.poll(HANDSHAKE_MS))


def _is_tcp_on_linux(listener: Any) -> bool:
    return sys.platform == "linux" and listener.family in (socket.AF_INET, socket.AF_INET6)
