"""A check that its process did not end: who asks next begins it again, once no other has it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from signaling.files.completing import Completing
from signaling.files.port import State
from signaling.files.register import changed
from tests.signaling.files.rig import There, people
from tests.signaling.files.test_endured import Killed, send


@dataclass
class Scanner:
    """Speaks clamd's INSTREAM, and finds nothing, as soon as it is `awake`."""

    port: int = 0
    awake: bool = False
    asked: int = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\0")
            while size := int.from_bytes(await reader.readexactly(4), "big"):
                await reader.readexactly(size)
            self.asked += 1
            if self.awake:
                writer.write(b"stream: OK\0")
                await writer.drain()
            else:
                await reader.read()
        writer.close()


@contextlib.asynccontextmanager
async def scanning() -> AsyncIterator[Scanner]:
    scanner = Scanner()
    server = await asyncio.start_server(scanner.answer, "127.0.0.1", 0)
    scanner.port = server.sockets[0].getsockname()[1]
    try:
        yield scanner
    finally:
        server.close()


async def test_a_check_in_whose_middle_the_server_was_killed_begins_again_at_once(
    tmp_path: Path,
) -> None:
    data = b"kept until somebody has looked"
    server = Killed(tmp_path)
    async with scanning() as scanner:
        wanted = f"files.scanner=clamd://127.0.0.1:{scanner.port}"
        async with server.running(wanted):
            token = await server.owner()
            _, room = await server.ask("POST", "/rooms", {"name": "lobby"}, token)
            wish = {"room": room["id"], "size": len(data), "name": "a.txt"}
            ident = (await server.ask("POST", "/files", wish, token))[1]["id"]
            assert await send(server, token, ident, 0, data) == 204
            at = f"/files/{ident}/complete"
            asking = asyncio.create_task(server.ask("POST", at, token=token))
            async with asyncio.timeout(60):
                while not scanner.asked:
                    await asyncio.sleep(0.01)
            server.kill()
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await asking
        scanner.awake = True
        async with server.running(wanted):
            status, done = await server.ask("POST", at, token=token)
            assert (status, done.get("state"), done.get("scanned")) == (200, "ready", True)


async def claimed(there: There) -> str:
    """A file on which another process says that it works."""
    data = b"somebody looks at it"
    ident = str((await there.ana.create(len(data), name="a.txt"))["id"])
    await there.ana.patch(ident, 0, data)
    register = there.files.parts.register
    row = await register.get(there.app, ident)
    row = await there.files.uploaded(there.app, ident, row)
    until = there.files.parts.clock.unix() + 100
    await register.files.replace(there.app, row, changed(row.value, claim=until, worker="other"))
    return ident


async def test_what_another_process_may_be_checking_is_left_to_it(tmp_path: Path) -> None:
    async with people(tmp_path) as there:
        files, ident = there.files, await claimed(there)
        files.completing = Completing(replace(files.parts, alone=False))
        refused = await there.ana.complete(ident)
        assert (refused.status, refused.code) == (409, "file_not_ready")
        clock = files.parts.clock
        unix = clock.unix
        clock.unix = lambda: unix() + 101
        row = await files.completing.task(there.app, ident)
        clock.unix = unix
        assert row.value.state is State.READY


async def test_where_no_other_process_can_be_a_claim_of_one_is_void(tmp_path: Path) -> None:
    async with people(tmp_path) as there:
        done = await there.ana.complete(await claimed(there))
        assert (done.status, done.json["state"]) == (200, "ready")
