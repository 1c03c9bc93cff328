"""WebSocket messages as a server writes them, straight to a transport (RFC 6455 section 5.2). Pure.

aiohttp's own writer would do, at the price of a coroutine for each message: what goes to many
sockets, or to one that nothing waits for, is written with this instead.
"""

from __future__ import annotations

# FIN, and the opcode.
_TEXT, _BINARY, _CLOSE = 0x81, 0x82, 0x88
# What a control frame has room for, without the code (section 5.5).
_REASON_BYTES = 123


def text_frame(data: bytes) -> bytes:
    """`data` is UTF-8."""
    return _frame(_TEXT, data)


def binary_frame(data: bytes) -> bytes:
    return _frame(_BINARY, data)


def close_frame(code: int, reason: str) -> bytes:
    """Section 5.5.1. A longer reason is cut between two characters: half of one fails the peer."""
    said = reason.encode()[:_REASON_BYTES].decode(errors="ignore").encode()
    return _frame(_CLOSE, code.to_bytes(2, "big") + said)


def _frame(first: int, data: bytes) -> bytes:
    """A whole message; a server does not mask."""
    size = len(data)
    if size < 126:
        return bytes((first, size)) + data
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + data
    return bytes((first, 127)) + size.to_bytes(8, "big") + data
