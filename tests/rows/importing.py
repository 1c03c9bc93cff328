"""An administrator imports an archive over HTTP, in pieces, and waits for what becomes of it."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.rows.rightful import Person

OCTETS = {"Content-Type": "application/offset+octet-stream"}


async def sent(who: Person, ident: str, data: bytes, offset: int = 0) -> Any:
    return await who.there.send(
        "PATCH", f"/api/v1/imports/{ident}/archive", data=data,
        headers={**OCTETS, "Upload-Offset": str(offset), "Authorization": f"Bearer {who.token}"},
    )  # fmt: skip


async def uploaded(who: Person, kind: str, data: bytes, **more: Any) -> str:
    """The import's id; its archive goes in two pieces."""
    made = await who.must("POST", "/imports", {"format": kind, "size": len(data), **more})
    half = len(data) // 2
    for offset, piece in ((0, data[:half]), (half, data[half:])):
        answer = await sent(who, made["id"], piece, offset)
        assert answer.status == 204, answer.text
        assert answer.headers["Upload-Offset"] == str(offset + len(piece))
    return str(made["id"])


async def reached(who: Person, ident: str, *states: str, seconds: float = 180) -> Any:
    """The import, as soon as it is in one of these states."""
    async with asyncio.timeout(seconds):
        while True:
            found = await who.must("GET", f"/imports/{ident}")
            if found["state"] in states:
                return found
            assert found["state"] not in ("refused", "cancelled", "done"), found
            await asyncio.sleep(0.05)


async def imported(
    who: Person, kind: str, data: bytes, people: dict[str, str] | None = None, **more: Any
) -> Any:
    ident = await uploaded(who, kind, data, **more)
    await reached(who, ident, "ready")
    await who.must("POST", f"/imports/{ident}/start", {"people": people or {}})
    return await reached(who, ident, "done")


async def another_device(who: Person) -> Person:
    token = await who.there.sign_in(who.login)
    return Person(who.there, token, who.login, who.id)


async def rooms(who: Person) -> dict[str, Any]:
    """By name, those that were imported."""
    found = await who.must("GET", "/rooms", params={"limit": "100"})
    return {room["name"]: room for room in found["items"] if "imported.from" in room["custom"]}


async def messages(who: Person, room: str) -> list[Any]:
    """All of them, the oldest first."""
    found: list[Any] = []
    cursor = ""
    while True:
        params = {"limit": "100", **({"cursor": cursor} if cursor else {})}
        page = await who.must("GET", f"/rooms/{room}/messages", params=params)
        found += page["items"]
        cursor = page["next_cursor"] or ""
        if not cursor:
            return found[::-1]


async def threaded(who: Person, room: str, root: str) -> list[Any]:
    """Replies, the oldest first."""
    params = {"parent": root, "limit": "100"}
    return list((await who.must("GET", f"/rooms/{room}/messages", params=params))["items"])


async def file(who: Person, ref: Any) -> bytes:
    """What its bytes are, with the key that is in the message."""
    made = await who.must("POST", f"/files/{ref['id']}/links", {"key": ref["key"]})
    async with who.there.client.get(made["url"]) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()
