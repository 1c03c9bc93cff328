"""A socket of somebody's with sync sessions on it; every frame is held to the AsyncAPI document."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.rows.rightful import Person
from tests.signaling.sync.documented import checked

# What comes unasked and is no answer.
HINTS = ("ping", "cursor", "typing", "call", "here", "presence")


def posted(version: int, text: str = "hello") -> dict[str, Any]:
    """The change that posts it, with an id of now."""
    value = (time.time_ns() // 1_000_000) << 80 | uuid.uuid4().int & (1 << 74) - 1
    name = str(uuid.UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 7 << 76 | 2 << 62))
    body = {"format": "m.plain.v1", "text": text}
    clock = time.time_ns() // 1_000_000
    return {"version": version, "clock": clock, "op": {"type": "post", "id": name, "body": body}}


def posts(first: int, last: int) -> list[dict[str, Any]]:
    return [posted(version, f"m{version}") for version in range(first, last + 1)]


@dataclass
class Peer:
    """By session number: `idents`, its file once it was bound with a new one; `cursors`, how far it
    came, with the chain there, which a download that brings nothing leaves out.
    """

    socket: Any
    idents: dict[int, tuple[str, str]] = field(default_factory=dict)
    cursors: dict[int, dict[str, Any]] = field(default_factory=dict)

    async def send(self, type: str, **fields: Any) -> None:  # noqa: A002 - the wire's word
        await self.socket.send_json(checked({"type": type, **fields}, sender="client"))

    async def raw(self, type: str, **fields: Any) -> None:  # noqa: A002 - the wire's word
        """Of a client that keeps to nothing."""
        await self.socket.send_json({"type": type, **fields})

    async def next(self, kind: str = "") -> dict[str, Any]:
        """The next frame that is no hint."""
        while True:
            frame = checked(await self.socket.receive_json(timeout=60), sender="server")
            if frame["type"] == "ping":
                await self.send("pong", id=frame["id"])
            if frame["type"] == "download" and frame["chain"]:
                at = {"download_server_version": frame["to"], "chain": frame["chain"]}
                self.cursors[frame["session"]] = at
            if frame["type"] not in HINTS:
                assert not kind or frame["type"] == kind, frame
                return frame

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Every frame, hints as well, up to the first that is wanted."""
        found: list[dict[str, Any]] = []
        while not found or not wanted(found[-1]):
            frame = checked(await self.socket.receive_json(timeout=60), sender="server")
            if frame["type"] == "ping":
                await self.send("pong", id=frame["id"])
            found.append(frame)
        return found

    async def error(self, code: int, session: int = 1) -> dict[str, Any]:
        frame = await self.next("error")
        assert (frame["code"], frame["session"]) == (code, session), frame
        return frame

    async def alive(self) -> None:
        """The socket goes on, and nothing else was on its way."""
        await self.send("ping", id=99)
        assert (await self.next())["type"] == "pong"

    async def drained(self) -> list[dict[str, Any]]:
        """What was on its way, up to the answer to a ping."""
        await self.send("ping", id=98)
        found = []
        while (frame := await self.next())["type"] != "pong":
            found.append(frame)
        return found

    async def begin(self, path: str, number: int = 1) -> None:
        """Bound, with a new ident."""
        await self.send("bind", session=number, path=path, need_client_file_ident=True)
        given = await self.next("ident")
        self.idents[number] = (given["client_file_ident"], given["client_file_ident_salt"])

    async def identify(self, number: int = 1, **cursors: Any) -> dict[str, Any]:
        ident, salt = self.idents[number]
        await self.send(
            "ident", session=number, client_file_ident=ident, client_file_ident_salt=salt, **cursors
        )
        return await self.next()

    async def bind(self, path: str, number: int = 1, **cursors: Any) -> dict[str, Any]:
        """Bound and identified: the first download."""
        await self.begin(path, number)
        return await self.identify(number, **cursors)

    async def resume(self, path: str, file: tuple[str, str], **cursors: Any) -> dict[str, Any]:
        """As the device that has this file, on session 1."""
        self.idents[1] = file
        await self.send("bind", session=1, path=path)
        return await self.identify(1, **cursors)

    async def upload(self, *changes: Any, session: int = 1) -> None:
        await self.send("upload", session=session, changes=list(changes))

    async def acknowledged(self, version: int, session: int = 1) -> dict[str, Any]:
        """The download that says so."""
        while True:
            frame = await self.next("download")
            if frame["session"] == session and frame["upload_client_version"] >= version:
                return frame

    async def texts(self, count: int) -> list[str]:
        """So many posts of others as they come, in the order of their places."""
        found: list[str] = []
        while len(found) < count:
            changes = (await self.next("download")).get("changes", [])
            found += [c["op"]["body"]["text"] for c in changes if c["op"]["type"] == "post"]
        return found


@contextlib.asynccontextmanager
async def seated(*people: Person) -> AsyncIterator[list[Peer]]:
    """A socket for each, in their order; somebody named twice has two devices."""
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(one.there.socket(one.token)) for one in people]
        yield [Peer(socket) for socket in opened]
