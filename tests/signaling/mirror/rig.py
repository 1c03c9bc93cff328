"""A writer of the mirror in this process, over rooms on a ground and a database of the stand-in."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from signaling.chat.state import RoomState
from signaling.compose.mirror import guarded
from signaling.config.mirror import Mirror
from signaling.mirror.database import MirrorDatabase
from signaling.mirror.following import Follower
from signaling.mirror.port import Document, Reason
from tests.peers.mongo.stand_in import StandIn, patiently
from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import APP, House, Served, serving


def settings_of(server: StandIn, **more: Any) -> Mirror:
    return Mirror(
        url=f"mongodb://127.0.0.1:{server.port}/",
        database=f"mirror_{secrets.token_hex(6)}",
        insecure_without_auth=True,
        **more,
    )


@dataclass
class Writer:
    """What one process has of the mirror; `told` are the rooms that it refused."""

    house: House
    database: MirrorDatabase
    bodies: bool = True
    phi: bool = False
    lost: bool = False
    told: list[tuple[str, Reason]] = field(default_factory=list)

    def __post_init__(self) -> None:
        def is_guarded(state: RoomState) -> bool:
            return guarded(state)

        self.follower = Follower(
            self.house.chat, self.database, is_guarded, self.still,
            lambda room, reason: self.told.append((room, reason)),
            bodies=self.bodies, phi=self.phi,
        )  # fmt: skip

    async def still(self) -> None:
        """Nobody else writes."""

    async def all_of(self, *rooms: str) -> None:
        for room in rooms:
            while await self.follower.follow(APP, room):
                pass

    async def messages(self, room: str) -> dict[str, Document]:
        """By id."""
        collection = self.database._database["messages"]
        found = await patiently(lambda: collection.find({"room": room}).to_list())
        return {one["id"]: one for one in found}

    async def texts(self, room: str) -> list[str | None]:
        found = sorted((await self.messages(room)).values(), key=lambda one: one["seq"])
        return [(one.get("body") or {}).get("text") for one in found]


@dataclass
class Scene:
    served: Served
    settings: Mirror
    writer: Writer
    databases: list[MirrorDatabase]

    async def another(self, **more: Any) -> Writer:
        """The process that takes over, with a memory of its own."""
        self.databases.append(MirrorDatabase(self.settings))
        return Writer(self.served.house, self.databases[-1], **more)


@contextlib.asynccontextmanager
async def scene(ground: Ground, server: StandIn) -> AsyncIterator[Scene]:
    settings = settings_of(server)
    async with serving(ground) as served:
        databases = [MirrorDatabase(settings)]
        try:
            yield Scene(served, settings, Writer(served.house, databases[0]), databases)
        finally:
            for database in databases:
                await database.close()
