"""A house of sessions for tests: a store, a bus, a clock that stands still, accounts in a dict."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from signaling.accounts.principal import Kind, Principal, Role
from signaling.accounts.sessions.port import Revocation
from signaling.accounts.sessions.records import Lifetimes
from signaling.accounts.sessions.revocation import Revocations
from signaling.accounts.sessions.service import SessionService, table
from signaling.accounts.sessions.tickets import Tickets
from signaling.accounts.sessions.tokens import TagKeys
from signaling.accounts.signin import AccountView, SignedIn
from signaling.bus.local import LocalBus
from signaling.bus.port import Bus
from signaling.clock import FakeClock
from signaling.ids import SeededEntropy, SeededIds
from signaling.storage.embedded.store import EmbeddedStore
from signaling.storage.memory import MemoryStore
from signaling.storage.port import Store

APP = "default"
ALICE = "0192aaaa-0000-7000-8000-000000000001"
BOB = "0192aaaa-0000-7000-8000-000000000002"


def tag_keys(app: str) -> list[bytes]:
    return [b"tag key of " + app.encode()]


def account(name: str, *roles: Role, kind: Kind = Kind.ACCOUNT) -> AccountView:
    return AccountView(
        app=APP,
        id=name,
        login=name[:8],
        name=name[:8],
        kind=kind,
        roles=frozenset(roles or (Role.MEMBER,)),
        disabled=False,
        second_factor=False,
        changed=1,
    )


class Accounts:
    """A `Directory` over a dict."""

    def __init__(self) -> None:
        self.views = {ALICE: account(ALICE), BOB: account(BOB)}
        self.left: list[str] = []

    async def view(self, app: str, account: str) -> AccountView | None:
        return self.views.get(account) if app == APP else None

    async def guest_left(self, app: str, account: str) -> None:
        self.left.append(account)

    def change(self, name: str, *, disabled: bool = False, roles: frozenset[Role]) -> None:
        before = self.views[name]
        self.views[name] = msgspec.structs.replace(before, disabled=disabled, roles=roles)


@dataclass
class Held:
    """A `Holder` that writes down what it is told."""

    principal: Principal
    endings: list[Revocation] = field(default_factory=list)
    changes: list[Principal] = field(default_factory=list)
    unsure_times: int = 0

    def ended(self, revocation: Revocation) -> None:
        self.endings.append(revocation)

    def changed(self, principal: Principal) -> None:
        self.changes.append(principal)
        self.principal = principal

    def unsure(self) -> None:
        self.unsure_times += 1


class House:
    """Everything of sessions, over one store and one bus."""

    def __init__(
        self,
        store: Store | None = None,
        bus: Bus | None = None,
        clock: FakeClock | None = None,
        *,
        lifetimes: Lifetimes | None = None,
        keys: TagKeys = tag_keys,
        seed: int = 1,
    ) -> None:
        self.clock = clock or FakeClock()
        self.store: Store = store or MemoryStore(self.clock)
        self.bus: Bus = bus or LocalBus(self.clock)
        self.accounts = Accounts()
        self.ids = SeededIds(self.clock, seed)
        self.entropy = SeededEntropy(seed)
        self.revocations = Revocations(self.store, self.bus, self.ids)
        self.service = SessionService(
            table(self.store, None),
            self.accounts,
            self.revocations,
            keys,
            self.clock,
            self.ids,
            self.entropy,
            lifetimes or Lifetimes(),
        )
        self.tickets = Tickets(self.store, self.service, self.ids)

    def signed(self, name: str = ALICE, kind: Kind = Kind.ACCOUNT, **more: object) -> SignedIn:
        values: dict[str, object] = {
            "app": APP,
            "account": name,
            "kind": kind,
            "roles": frozenset({Role.MEMBER}),
            "amr": ("pwd",),
            "mfa": False,
            "at": self.clock.unix(),
            "device": self.ids.new(),
        }
        return SignedIn(**{**values, **more})  # type: ignore[arg-type]  # as the test says

    async def sign_in(self, name: str = ALICE, kind: Kind = Kind.ACCOUNT, **more: object) -> str:
        """The token of a new session."""
        opened = await self.service.open(self.signed(name, kind, **more), cookie=False)
        assert opened.access_token is not None
        return opened.access_token


@asynccontextmanager
async def a_store(kind: str, folder: Path, clock: FakeClock) -> AsyncIterator[Store]:
    if kind == "memory":
        yield MemoryStore(clock)
        return
    store = EmbeddedStore(folder, clock)
    try:
        yield store
    finally:
        await store.close()
