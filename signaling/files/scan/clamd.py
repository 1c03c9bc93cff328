"""ClamAV's daemon: the INSTREAM command of clamd(8), over TCP or a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from signaling.errors import Unavailable
from signaling.files.port import Verdict

ANSWER_BYTES = 4096
RETRY_AFTER = 10


class Clamd:
    """A connection for each file. `path` for a Unix socket, else `host` and `port`."""

    def __init__(
        self, *, path: str = "", host: str = "", port: int = 0, seconds: float = 60.0
    ) -> None:
        self._path, self._host, self._port, self._seconds = path, host, port, seconds

    async def scan(self, data: AsyncIterator[bytes], size: int) -> Verdict:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._scan(data)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise Unavailable("the virus scanner does not answer", RETRY_AFTER) from error

    async def _scan(self, data: AsyncIterator[bytes]) -> Verdict:
        if self._path:
            reader, writer = await asyncio.open_unix_connection(self._path)
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            # It hangs up when it has seen enough, and its answer is there to be read.
            with contextlib.suppress(ConnectionError):
                await _send(writer, data)
            answer = await reader.read(ANSWER_BYTES)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return verdict(answer)


async def _send(writer: asyncio.StreamWriter, data: AsyncIterator[bytes]) -> None:
    writer.write(b"zINSTREAM\0")
    async for piece in data:
        writer.write(len(piece).to_bytes(4, "big") + piece)
        await writer.drain()
    writer.write(bytes(4))
    await writer.drain()


def verdict(answer: bytes) -> Verdict:
    """Raises Unavailable for what is neither yes nor no: too large for it, or an error."""
    text = answer.rstrip(b"\0\n").decode(errors="replace")
    _, _, said = text.partition(": ")
    if said == "OK":
        return Verdict()
    if said.endswith(" FOUND"):
        return Verdict(said.removesuffix(" FOUND")[:200] or "unnamed")
    raise Unavailable("the virus scanner gave no verdict", RETRY_AFTER)
