"""Clients mask every frame of a WebSocket; who does not is cut off (RFC 6455 section 5.1). Pure.

aiohttp's reader takes frames without a mask and has no setting for it. `Masked` stands before that
reader and looks at nothing but the heads of frames; everything else stays the reader's.
"""

from __future__ import annotations

from typing import Protocol

# The head of a frame that no endpoint may send (section 5.2): every reserved bit, an opcode that
# does not exist. The reader answers it as it answers every fault: 1002, after what came before.
FAULT = b"\xff\x80"
_MASK = 0x80
_MASK_BYTES = 4


class Reader(Protocol):
    """aiohttp's, as a connection sees it: whether it has ended, and what it left."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]: ...
    def feed_eof(self) -> None: ...


class Masked:
    """States: reading -> refused. Owned by the connection, one for each socket."""

    __slots__ = ("_begun", "_left", "_reader", "_refused")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._left = 0
        """Bytes of the frame under way that have not come."""
        self._begun = b""
        """A head that has not come whole: kept from the reader until it is known to be good."""
        self._refused = False

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        if self._refused:
            return True, b""
        if self._begun:
            data, self._begun = self._begun + data, b""
        at, end = self._left, len(data)
        while at + 1 < end:
            if not data[at + 1] & _MASK:
                self._refused = True
                return self._reader.feed_data(data[:at] + FAULT)
            frame = _frame_bytes(data, at)
            if not frame:
                break
            at += frame
        if at < end:
            self._begun, data = data[at:], data[:at]
        self._left = max(0, at - end)
        return self._reader.feed_data(data) if data else (False, b"")

    def feed_eof(self) -> None:
        self._reader.feed_eof()


def _frame_bytes(data: bytes, at: int) -> int:
    """Of the whole masked frame whose head is there, or 0 where its length is not there yet."""
    short = data[at + 1] & ~_MASK
    wide = {126: 2, 127: 8}.get(short, 0)
    start = at + 2 + wide
    if start > len(data):
        return 0
    size = int.from_bytes(data[at + 2 : start], "big") if wide else short
    return 2 + wide + _MASK_BYTES + size
