"""A house whose operator named a mirror: the server is told of its rooms by starting it again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import bson
from pymongo import AsyncMongoClient

from signaling.config.store import Store as Settings
from signaling.secret import Secret
from signaling.storage.mongo.connect import Row, arguments
from tests.peers.mongo.stand_in import patiently
from tests.rows.house import House, Visit
from tests.rows.rightful import Person, until

QUICK = {"mirror.inbox_per_minute": "60000", "mirror.timeout_seconds": "2"}


def alone(port: int) -> Settings:
    return Settings(
        url=f"mongodb://127.0.0.1:{port}/?directConnection=true",
        insecure_without_auth=True,
        timeout_seconds=5.0,
    )


def real() -> Settings:
    """The server that `SOTTO_TEST_MONGODB` names."""
    user = os.environ.get("SOTTO_TEST_MONGODB_USER", "")
    word = os.environ.get("SOTTO_TEST_MONGODB_PASSWORD", "")
    return Settings(
        url=os.environ["SOTTO_TEST_MONGODB"], user=user, password=Secret(word) if user else None,
        ca=os.environ.get("SOTTO_TEST_MONGODB_CA", ""), timeout_seconds=5.0,
    )  # fmt: skip


@dataclass
class Mirrored:
    """`database` as other programs see it; `on` names rooms and starts the server again."""

    there: Visit
    settings: Settings
    client: AsyncMongoClient[Row]
    name: str

    def __getitem__(self, collection: str) -> Any:
        return self.client[self.name][collection]

    @property
    def house(self) -> House:
        return self.there.house

    async def on(self, *rooms: str, **more: Any) -> None:
        given = self.settings
        self.house.settings = {
            **QUICK, "mirror.url": given.url, "mirror.user": given.user, "mirror.ca": given.ca,
            "mirror.insecure_without_auth": str(given.insecure_without_auth).lower(),
            "mirror.database": self.name, "mirror.rooms": ",".join(rooms),
            **{f"mirror.{name}": str(value) for name, value in more.items()},
        }  # fmt: skip
        word = given.password.reveal() if given.password is not None else ""
        self.house.environment = {"SOTTO_MIRROR__PASSWORD": word} if word else {}
        await self.again()

    async def again(self) -> None:
        await asyncio.to_thread(self.house.stop)
        await asyncio.to_thread(self.house.start)

    async def killed(self) -> None:
        """As the kernel does it, and started again."""
        assert self.house.process is not None
        self.house.process.kill()
        await asyncio.to_thread(self.house.process.wait)
        await asyncio.to_thread(self.house.start)

    # What is in it

    async def all(self, name: str, **fields: str) -> list[Row]:
        found: list[Row] = await patiently(lambda: self[name].find(fields).to_list())
        return found

    async def one(self, name: str, ident: str) -> Row | None:
        found: Row | None = await patiently(lambda: self[name].find_one({"_id": ident}))
        return found

    async def message(self, room: str, ident: str) -> Row:
        return await self.one("messages", f"{room}/{ident}") or {}

    async def messages(self, room: str) -> list[Row]:
        return sorted(await self.all("messages", room=room), key=lambda one: one["seq"])

    async def becomes(
        self, room: str, ident: str, what: Callable[[Row], object], seconds: float = 45
    ) -> Row:
        """The message's document, as soon as it is so."""
        async with asyncio.timeout(seconds):
            while not what(found := await self.message(room, ident)):
                await asyncio.sleep(0.02)
        return found

    async def count(self, room: str, number: int, seconds: float = 120) -> None:
        async def counted() -> bool:
            return len(await self.all("messages", room=room)) == number

        await until(counted, seconds)

    async def everything(self) -> bytes:
        """All that lies in the database, as it travels."""
        names = await self.client[self.name].list_collection_names()
        found = [await self.all(name) for name in names]
        return b"".join(bson.encode(one) for rows in found for one in rows)

    # What is put into it

    async def put(self, room: str, author: str, text: str, **more: Any) -> Any:
        given = {"room": room, "author": author, "text": text, **more}
        return (await self["inbox"].insert_one(given)).inserted_id

    async def emptied(self, seconds: float = 120) -> None:
        async def is_empty() -> bool:
            return not await self.all("inbox")

        await until(is_empty, seconds)

    async def reasons(self) -> dict[str, str]:
        """Of what was quarantined, by the document's id."""
        found = await self.all("quarantine")
        return {one["document"]: one["reason"] for one in found}


@contextlib.asynccontextmanager
async def mirrored(there: Visit, settings: Settings) -> AsyncIterator[Mirrored]:
    """A database of its own, which is dropped at the end; the house goes on without a mirror."""
    client: AsyncMongoClient[Row] = AsyncMongoClient(**arguments(settings))
    name = f"mirror_{secrets.token_hex(6)}"
    try:
        yield Mirrored(there, settings, client, name)
    finally:
        there.house.settings, there.house.environment = {}, {}
        await asyncio.to_thread(there.house.stop)
        with contextlib.suppress(Exception):
            await client.drop_database(name)
        await client.close()
        await asyncio.to_thread(there.house.start)


async def bot(there: Visit, *rooms: tuple[Person, str], name: str = "Orders") -> str:
    """A bot's account, member of these rooms by their owners' wish."""
    answer = await there.ask("POST", "/bots", {"name": name}, await there.owner())
    assert answer.status == 201, answer.text
    ident = str(answer.body["id"])
    for who, room in rooms:
        await who.must("PUT", f"/rooms/{room}/members/{ident}", {"part": "member"})
    return ident


def words(count: int) -> Iterator[str]:
    return (f"canary-{n:04d}" for n in range(count))
