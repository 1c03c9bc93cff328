"""A TCP proxy in front of MongoDB that breaks one chosen message at one chosen byte.

It reads the wire's framing (a message begins with its length) and looks only at whether a message
is a write command. Armed, it passes so many bytes of the next write, or of the reply to it, and
then resets both connections; or the write is done, and its reply says that no majority has it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass

import bson

WRITES = (b"\x02insert\0", b"\x02update\0", b"\x02delete\0", b"\x02findAndModify\0")


@dataclass
class Fault:
    """In the `number`th write from now, or the `number`th of one `command`: after `offset` bytes of
    it, or of its reply. With `unmet` nothing is cut: the reply has a write concern error.
    """

    offset: int
    reply: bool
    number: int = 1
    command: str = ""
    size: int = 0
    done: bool = False
    unmet: bool = False


class FaultProxy:
    """Owned by a test. `writes` counts the writes that passed."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.fault: Fault | None = None
        self.writes = 0
        self.port = 0

    async def start(self) -> None:
        """On the port of the last time, if there was one."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # transports let go of their sockets in the next turn

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Not in the task: one that is cancelled before its first step runs nothing.
        task.add_done_callback(lambda _: self._reset(writer))

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        to_server: asyncio.StreamWriter | None = None
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
            while True:
                request = await self._message(client)
                fault = self._hit(request)
                if fault is not None and not fault.reply:
                    fault.size = len(request)
                    to_server.write(request[: fault.offset])
                    await to_server.drain()
                    break
                to_server.write(request)
                await to_server.drain()
                reply = await self._message(server)
                if fault is not None and fault.unmet:
                    reply = unmet(reply)
                elif fault is not None:
                    fault.size = len(reply)
                    to_client.write(reply[: fault.offset])
                    await to_client.drain()
                    break
                to_client.write(reply)
                await to_client.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            if to_server is not None:
                self._reset(to_server)

    @staticmethod
    async def _message(reader: asyncio.StreamReader) -> bytes:
        head = await reader.readexactly(4)
        (length,) = struct.unpack("<i", head)
        return head + await reader.readexactly(length - 4)

    def _hit(self, request: bytes) -> Fault | None:
        if not any(name in request[:64] for name in WRITES):
            return None
        self.writes += 1
        fault = self.fault
        if fault is None or fault.done or fault.command.encode() not in request[:64]:
            return None
        fault.number -= 1
        if fault.number:
            return None
        fault.done = True
        return fault

    @staticmethod
    def _reset(writer: asyncio.StreamWriter) -> None:
        """With RST, so that neither side finds an orderly end."""
        raw = writer.get_extra_info("socket")
        if raw is not None and not writer.is_closing():
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()


def unmet(reply: bytes) -> bytes:
    """An OP_MSG of one document, with the error that MongoDB gives when no majority has a write."""
    document = bson.decode(reply[21:])
    error = {"code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting timed out"}
    body = bson.encode({**document, "writeConcernError": error})
    return struct.pack("<i", 21 + len(body)) + reply[4:21] + body
