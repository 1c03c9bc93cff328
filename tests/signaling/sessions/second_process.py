"""Another server process for tests: holds sessions open and says which of them ended, and when."""

from __future__ import annotations

import asyncio
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from signaling.accounts.principal import Via
from signaling.accounts.sessions.port import Revocation
from signaling.accounts.sessions.records import Lifetimes
from signaling.accounts.sessions.revocation import POLL_SECONDS, Revocations
from signaling.accounts.sessions.service import SessionService, table
from signaling.accounts.sessions.tokens import Prefix, read
from signaling.accounts.signin import AccountView
from signaling.bus.open import open_bus
from signaling.bus.port import Bus, Reach
from signaling.clock import SystemClock
from signaling.config.store import Bus as BusSettings
from signaling.config.store import Store as StoreSettings
from signaling.ids import SystemEntropy, SystemIds
from signaling.secret import Secret
from signaling.storage.open import open_store
from signaling.storage.port import Store
from signaling.storage.table import Table
from tests.peers.redis_server import USER, WORD
from tests.signaling.sessions.house import APP, Held, tag_keys


class Places(msgspec.Struct, frozen=True):
    """Where store and bus are, as plain texts, so that it travels to another process."""

    mongo: str
    database: str
    directory: str
    redis: str
    every: float
    """How often the log of revocations is read."""

    async def open(self, name: str) -> tuple[Store, Bus]:
        store = StoreSettings(url=self.mongo, database=self.database, insecure_without_auth=True)
        certificates = Path(self.redis) / "ca"
        port = (Path(self.redis) / "port").read_text()
        bus = BusSettings(
            url=f"rediss://localhost:{port}/0",
            user=USER,
            password=Secret(WORD),
            ca=str(certificates / "ca.pem"),
            certificate=str(certificates / "client.pem"),
            key=str(certificates / "client.key"),
        )
        opened = await open_store(store, Path(self.directory) / name), await open_bus(bus)
        async with asyncio.timeout(60):
            while opened[1].state().reach is not Reach.SHARED:
                await asyncio.sleep(0.01)
        return opened


class Stored:
    """A `Directory` whose accounts lie in the shared store."""

    def __init__(self, store: Store) -> None:
        self.rows: Table[AccountView] = Table(store, "test_account", AccountView)

    async def view(self, app: str, account: str) -> AccountView | None:
        row = await self.rows.get(app, account)
        return None if row is None else row.value

    async def guest_left(self, app: str, account: str) -> None:
        return None


class Process:
    """Sessions over a store and a bus, with the real clock."""

    def __init__(self, store: Store, bus: Bus, every: float = POLL_SECONDS) -> None:
        clock = SystemClock()
        self.store, self.bus = store, bus
        self.accounts = Stored(store)
        self.revocations = Revocations(store, bus, SystemIds(clock), every)
        self.service = SessionService(
            table(store, None), self.accounts, self.revocations, tag_keys, clock, SystemIds(clock),
            SystemEntropy(), Lifetimes(),
        )  # fmt: skip
        self.revocations.start(self.service.look_again)

    async def stop(self) -> None:
        await self.revocations.stop()
        await self.bus.close()
        await self.store.close()


class Telling(Held):
    """A holder that tells the parent."""

    pipe: Any = None

    def ended(self, revocation: Revocation) -> None:
        if not self.endings:
            self.pipe.send((self.principal.session, time.time()))
        super().ended(revocation)


async def _hold(places: Places, tokens: list[str], pipe: Connection) -> None:
    process = Process(*await places.open("second"), places.every)
    for text in tokens:
        token = read(tag_keys, APP, text, Prefix.SESSION)
        principal, _ = await process.service.look(APP, token, Via.BEARER)
        held = Telling(principal)
        held.pipe = pipe
        process.revocations.register.hold(held)
    await process.revocations.catch_up(APP)
    pipe.send(("ready", time.time()))
    while not pipe.poll():
        await asyncio.sleep(0.02)
    await process.stop()


def main(places: Places, tokens: list[str], pipe: Connection) -> None:
    asyncio.run(_hold(places, tokens, pipe))
