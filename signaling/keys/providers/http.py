"""What the KMS providers that speak HTTP share: one session, time-outs, retries."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from signaling.config.rules import is_loopback
from signaling.errors import ConfigError, Unavailable

# Three attempts within the patience of somebody who waits for an answer.
PAUSES = (0.1, 0.4)
MAX_ANSWER = 1 << 20


class Answer(msgspec.Struct, frozen=True):
    status: int
    body: dict[str, Any]


class KmsHttp:
    """Owned by a provider. The session is made at the first call, on the running loop."""

    def __init__(self, url: str, seconds: float, authority: str = "") -> None:
        """`authority`: PEM file to believe instead of the system's. Raises ConfigError for plain
        http to anything but loopback.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ConfigError("kms", f"{parts.scheme}://{parts.hostname} must be https")
        self.url = url.rstrip("/")
        self._seconds = seconds
        self._authority = authority
        self._session: aiohttp.ClientSession | None = None

    async def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One exchange. Raises Unavailable when there is no answer that can be read."""
        try:
            async with self._open().request(
                method, self.url + path, headers=headers, data=body, allow_redirects=False
            ) as response:
                data = await _bounded(response)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"The KMS does not answer: {type(error).__name__}.", 5) from error
        try:
            return Answer(status, msgspec.json.decode(data, type=dict[str, Any]) if data else {})
        except msgspec.DecodeError:
            return Answer(status, {})

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.create_default_context(cafile=self._authority or None)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, limit=64),
                timeout=aiohttp.ClientTimeout(total=self._seconds),
                trust_env=False,
            )
        return self._session


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > MAX_ANSWER:
            raise Unavailable("The KMS says too much.", 5)
    return bytes(data)


async def patiently(attempt: Callable[[], Awaitable[Answer]]) -> Answer:
    """Again, a little later, after Unavailable; the last failure is the caller's."""
    for pause in PAUSES:
        try:
            return await attempt()
        except Unavailable:
            await asyncio.sleep(pause)
    return await attempt()
