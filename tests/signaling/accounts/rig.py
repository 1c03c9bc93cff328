"""Accounts over a real store adapter, real keys, the local bus, cheap hashes and a moved clock."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from signaling.accounts.model import Account
from signaling.accounts.parts import Parts, Where
from signaling.accounts.passwords.blocklist import shipped
from signaling.accounts.passwords.hashing import Cost, HashPool
from signaling.accounts.principal import Kind, Principal, Role
from signaling.accounts.registry import Registry
from signaling.accounts.roles import ADMINISTERED
from signaling.accounts.service import Service
from signaling.accounts.sessions.port import Revocation
from signaling.accounts.settings import Settings
from signaling.accounts.signin import Opened, SignedIn, State
from signaling.accounts.signing import Outcome
from signaling.accounts.tables import Tables
from signaling.bus.local import LocalBus
from signaling.clock import FakeClock
from signaling.compliance.audit.port import MemoryAudit
from signaling.ids import SeededEntropy, SystemIds
from signaling.keys.envelope import Envelope
from signaling.keys.masters import Masters
from signaling.keys.providers.local import LocalKms
from signaling.keys.table import KeyTable
from signaling.storage.embedded.store import EmbeddedStore
from signaling.storage.memory import MemoryStore
from signaling.storage.port import Store

APP = "default"
PASSWORD = "plum river 4711 kite"
OTHER = "zebra under seven lamps"
CHEAP = Cost(memory_kib=64, passes=1)


@dataclass
class FakeSessions:
    """Remembers what accounts asked for."""

    opened: list[SignedIn] = field(default_factory=list)
    renewed: list[tuple[str | None, SignedIn]] = field(default_factory=list)
    ended: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    revoked: list[Revocation] = field(default_factory=list)

    async def open(self, signed: SignedIn, *, cookie: bool) -> Opened:
        self.opened.append(signed)
        return Opened(session=f"s{len(self.opened)}", expires_at=signed.at + 60, access_token="cs")

    async def again(self, principal: Principal, signed: SignedIn) -> Opened:
        self.renewed.append((principal.session, signed))
        return Opened(session=principal.session or "", expires_at=signed.at, access_token="cs")

    async def end(
        self, app: str, account: str, *, device: str | None = None, keep: str | None = None
    ) -> None:
        self.ended.append((account, device, keep))

    async def revoke(self, revocation: Revocation) -> None:
        self.revoked.append(revocation)


@dataclass
class Rig:
    """`start` before use, `close` after. `letters` are the mails that would have gone out."""

    directory: Path
    kind: str = "memory"
    settings: Settings = field(default_factory=lambda: Settings(letter_delay=0.05))
    cost: Cost = CHEAP
    mail_works: bool = True
    shared: Store | None = None  # one that another process has open too
    seed: int = 1

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.entropy = SeededEntropy(self.seed)
        self.audit = MemoryAudit()
        self.sessions = FakeSessions()
        self.bus = LocalBus(self.clock)
        self.letters: list[tuple[str, str, str]] = []

    async def start(self) -> Rig:
        self.store = self.shared or self._store()
        table = KeyTable(self.store.meta)
        kms = LocalKms(self.directory / "kms", self.entropy)
        masters = Masters(table, {"local": kms}, self.audit, self.clock)
        await masters.ensure("local")
        sealer = Envelope(table, masters, self.audit, self.clock, self.entropy)
        await sealer.start()
        self.sealer = sealer
        self.tables = Tables(self.store, sealer)
        self.hashes = HashPool(self.cost, self.entropy, workers=2, waiting=256)
        self.build()
        await self.registry.ensure_app(APP, "Kiosk")
        return self

    def _store(self) -> Store:
        if self.kind == "embedded":
            return EmbeddedStore(self.directory, self.clock)
        return MemoryStore(self.clock)

    def build(self) -> None:
        """Again after `settings` were changed."""
        self.parts = Parts(
            tables=self.tables,
            bus=self.bus,
            hashes=self.hashes,
            clock=self.clock,
            ids=SystemIds(self.clock),
            entropy=self.entropy,
            audit=self.audit,
            settings=self.settings,
            blocked=shipped(),
            mail=lambda app, address, what, detail: self.letters.append((address, what, detail)),
            mail_works=self.mail_works,
        )
        self.registry = Registry(self.tables, self.clock)
        self.service = Service(self.parts, self.registry, self.sessions, self.sessions)

    def use_store(self) -> None:
        """Again after a part of `store` was put in another's place."""
        self.tables = Tables(self.store, self.sealer)
        self.build()

    async def close(self) -> None:
        self.hashes.close()
        await self.store.close()

    def change(self, **settings: object) -> None:
        self.settings = replace(self.settings, **settings)
        self.build()

    async def owner(self, login: str = "root.ana", password: str = PASSWORD) -> Account:
        link = await self.service.joining.setup_link(APP)
        assert link is not None
        outcome = await self.service.joining.sign_up(
            APP, secret_of(link), login, password, "", where()
        )
        assert outcome.state is State.DONE
        return await self.registry.require(APP, outcome.account)

    async def invited(self, login: str, password: str = PASSWORD, *roles: Role) -> Account:
        """A member, or with these roles, through an owner's invitation."""
        outcome = await self.service.joining.sign_up(
            APP, await self.invitation(*roles), login, password, "", where()
        )
        return await self.registry.require(APP, outcome.account)

    async def invitation(self, *roles: Role, uses: int = 1) -> str:
        owner = frozenset({Role.OWNER})
        maker = await self.maker(*roles)
        link, _ = await self.service.administration.invite(
            APP, owner, maker, roles=frozenset(roles), uses=uses, lives=None, label=""
        )
        return secret_of(link)

    async def maker(self, *roles: Role) -> str:
        """The id of an account without a name, which may give these roles: nobody signs in as it,
        and it is an owner only where it must be.
        """
        least = Role.ADMINISTRATOR if ADMINISTERED.issuperset(roles) else Role.OWNER
        ident = f"maker-{least}"
        if await self.registry.get(APP, ident) is None:
            now = self.clock.unix()
            account = Account(id=ident, login="", kind=Kind.ACCOUNT, roles=(least,), created=now)
            await self.registry.create(APP, account)
        return ident

    async def people(self) -> list[Account]:
        """Who has a name to sign in with, the oldest first."""
        return [one for one in await self.registry.page(APP, "", 200) if one.login]

    async def sign_in(
        self, login: str, password: str = PASSWORD, device_token: str = "", address: str = ""
    ) -> Outcome:
        place = where(device_token, address or "203.0.113.7")
        return await self.service.signing.password(APP, login, password, place)


def where(device_token: str = "", address: str = "203.0.113.7") -> Where:
    network = re.sub(r"\.\d+$", ".0/24", address)
    return Where(address=address, network=network, device_token=device_token, device_name="laptop")


def secret_of(link: str) -> str:
    return link.partition("#")[2]
