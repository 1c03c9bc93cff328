"""A relay that stops in the middle of one request, so that a test decides what happens there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from tests.signaling.delivery.systems import Relay

Begins = Callable[[bytes], bool]
APPLICATION_DATA = 0x17


def says(text: str) -> Begins:
    """A request in the clear with a message of that text, be it JSON within JSON or not."""
    plain = f'"text":"{text}"'.encode()
    inner = plain.replace(b'"', rb"\"")
    return lambda sent: plain in sent or inner in sent


def is_more_than_a_handshake(sent: bytes) -> bool:
    """RFC 8446 section 5.1: a record of application data that is too large for a Finished."""
    while len(sent) >= 5:
        size = int.from_bytes(sent[3:5], "big")
        if sent[0] == APPLICATION_DATA and size > 300:
            return True
        sent = sent[5 + size :]
    return False


@dataclass
class Holder(Relay):
    """Once armed it passes on a connection's bytes until `begins` says so of them. From then on no
    answer goes back; with `half`, the second half of those bytes and what follows stays here too.
    """

    begins: Begins = field(kw_only=True)
    half: bool = False
    armed: bool = False
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    answered: int = 0
    kept: int = 0

    def arm(self) -> None:
        self.armed = True

    async def release(self) -> None:
        """After the kill: what is kept is gone, and requests pass again."""
        await self.down()
        self.armed = False
        self.stopped.clear()
        await self.up()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.leads:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        self.open |= {writer, back}
        await asyncio.gather(self._ask(reader, back), self._answer(there, writer))
        self.open -= {writer, back}

    async def _ask(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        sent = b""
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.stopped.is_set() and self.half:
                    self.kept += len(data)
                    continue
                sent += data
                if self.armed and not self.stopped.is_set() and self.begins(sent):
                    self.stopped.set()  # before the bytes go: no answer can pass
                    if self.half:
                        self.kept += len(data) - len(data) // 2
                        data = data[: len(data) // 2]
                back.write(data)
                await back.drain()
        back.close()

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await there.read(65536):
                if self.stopped.is_set():
                    self.kept += 0 if self.half else len(data)
                    continue
                self.answered += len(data)
                writer.write(data)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def holding(
    target: int, begins: Begins, *, half: bool = False, port: int = 0
) -> AsyncIterator[Holder]:
    holder = Holder(target, begins=begins, half=half)
    holder.port = port or holder.port
    await holder.up()
    try:
        yield holder
    finally:
        await holder.down()
        if holder.server is not None:
            holder.server.close()
        await asyncio.sleep(0)
