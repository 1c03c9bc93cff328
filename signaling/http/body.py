"""Reads a request's body within a size and a time."""

from __future__ import annotations

import asyncio

from aiohttp import web

from signaling.config import Limits
from signaling.errors import ClientError, Code
from signaling.http.leaving import reading


async def read_body(request: web.Request, limits: Limits, most: int | None = None) -> bytes:
    """Raises 413, 408 or its plain cousin 400, and Left; the size is checked before anything is
    buffered.
    """
    most = limits.body_bytes if most is None else min(most, limits.body_bytes)
    too_large = ClientError(Code.TOO_LARGE, 413, f"The body may have {most} bytes.")
    if request.content_length is not None and request.content_length > most:
        raise too_large
    body = bytearray()
    with reading():
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.content.iter_chunked(16 * 1024):
                body += chunk
                if len(body) > most:
                    raise too_large
    return bytes(body)
