"""A socket that will mostly be idle keeps a small TLS buffer.

asyncio keeps one read buffer for each TLS connection, sized for uploads (`signaling.http.tls`). A
sync socket reads short frames: 4 KiB cost it more calls for a long one and save 12 KiB while idle.
asyncio has no public way to say so; where its insides differ, nothing is changed.
"""

from __future__ import annotations

import asyncio
from typing import Any

BUFFER = 4096


def slim(transport: asyncio.Transport) -> None:
    """Between two reads, which is whenever a task runs."""
    protocol: Any = getattr(transport, "_ssl_protocol", None)
    if len(getattr(protocol, "_ssl_buffer", b"")) <= BUFFER:
        return
    buffer = bytearray(BUFFER)
    protocol.max_size = BUFFER
    if hasattr(protocol, "_ssl_buffer_len"):  # newer Pythons keep the length beside it
        protocol._ssl_buffer_len = BUFFER
    protocol._ssl_buffer = buffer
    protocol._ssl_buffer_view = memoryview(buffer)
