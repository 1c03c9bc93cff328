"""The Access Manager of one process, or of two on one store; HTTP in front; a clock to move."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

from signaling.access import operations, signature, signed
from signaling.access.door import Door
from signaling.access.grants import Grants
from signaling.access.groups import Groups
from signaling.access.keysets import KeySet, KeySets
from signaling.access.roles import Standing
from signaling.accounts.principal import Kind, Principal, Role, Via
from signaling.accounts.sessions.revocation import Revocations
from signaling.accounts.sessions.scopes import ALL
from signaling.accounts.signin import Directory
from signaling.bus.port import Bus
from signaling.clock import Clock, FakeClock
from signaling.compliance.audit.port import MemoryAudit
from signaling.config import Limits
from signaling.errors import Code, Refused
from signaling.http.api.operation import Operation
from signaling.ids import SeededIds, SystemEntropy
from signaling.keys.envelope import Envelope
from signaling.keys.masters import Masters
from signaling.keys.providers.local import LocalKms
from signaling.keys.table import KeyTable
from signaling.storage.port import Store
from tests.signaling.http.api.behind import answering, application, ports_of
from tests.signaling.storage.places import Place

APP = "default"
PEOPLE: dict[str, dict[str, Any]] = {
    "root": {"roles": frozenset({Role.ADMINISTRATOR}), "scopes": ALL},
    "stale": {"roles": frozenset({Role.OWNER}), "scopes": ALL, "authenticated_at": 0.0},
    "ann": {"roles": frozenset({Role.MEMBER}), "scopes": ALL},
    "narrow": {"roles": frozenset({Role.MEMBER}), "scopes": frozenset({"messages:read"})},
    "unscoped": {"roles": frozenset({Role.ADMINISTRATOR}), "scopes": frozenset({"rooms:read"})},
}


class Rooms:
    """Ann is a member of one room."""

    async def of(self, principal: Principal) -> Mapping[str, Standing]:
        return {"anns": Standing.MEMBER} if principal.account == "ann" else {}


@dataclass
class Ground:
    """What processes share: a store, its keys, the time."""

    store: Store
    sealer: Envelope
    clock: FakeClock


@dataclass
class Process:
    """One process: its own caches, and its own end of the bus."""

    ground: Ground
    bus: Bus
    seed: int = 1
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    shared: Revocations | None = None
    directory: Directory | None = None

    def __post_init__(self) -> None:
        store, sealer, clock = self.ground.store, self.ground.sealer, self.ground.clock
        ids = SeededIds(clock, self.seed)
        self.clock = clock
        self.revocations = self.shared or Revocations(store, self.bus, ids)
        self.keysets = KeySets(store, sealer, clock, ids, SystemEntropy())
        self.grants = Grants(
            store, sealer, clock, SystemEntropy(), self.revocations, self.directory
        )
        self.revocations.listen(self.grants.hear)
        self.groups = Groups(store, sealer)
        self.door = Door(self.grants, Rooms(), clock)

    async def authenticate(self, request: web.Request) -> Principal:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return Principal(app=APP)
        if text.startswith("am_"):
            return await self.door.plane(request, APP, text)
        if text not in PEOPLE:
            raise Refused(Code.TOKEN_INVALID, 401, "The token is not valid.")
        return Principal(
            app=APP, kind=Kind.ACCOUNT, account=text, device=f"{text}-phone", via=Via.BEARER,
            **{"authenticated_at": self.clock.unix(), **PEOPLE[text]},
        )  # fmt: skip

    def operations(self) -> list[Operation]:
        deps = signed.Deps(self.grants, self.keysets, self.clock, Limits())
        ours = operations.Deps(self.door, self.grants, self.groups, self.keysets)
        return [*signed.operations(deps), *operations.operations(ours)]

    def application(self) -> web.Application:
        ports = ports_of(
            APP, self, self.audit, self.ground.store, self.clock,
            friends=["https://friend.example"],
        )  # fmt: skip
        return application(self.operations(), ports)


@dataclass
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str]
    text: str


@dataclass
class Signer:
    """Signs as PubNub's libraries do."""

    session: aiohttp.ClientSession
    base: str
    clock: Clock
    keyset: KeySet

    async def send(self, method: str, path: str, **more: Any) -> Answer:
        url = URL(self.base + path, encoded=True)
        async with self.session.request(method, url, **more) as answer:
            text = await answer.text()
            is_json = "json" in answer.headers.get("Content-Type", "")
            body = msgspec.json.decode(text) if text and is_json else text
            return Answer(answer.status, body, answer.headers, text)

    def target(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        secret: str | None = None,
        publish: str | None = None,
        timestamp: float | None = None,
        **query: str,
    ) -> str:
        at = self.clock.unix() if timestamp is None else timestamp
        query = {"timestamp": str(int(at)), **query}
        written = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        request = signature.read(method, f"{path}?{written}", body)
        made = signature.sign(
            request, publish or self.keyset.publish_key, secret or self.keyset.secrets[-1].text
        )
        return f"{path}?{written}&signature={made}"

    async def signed(self, method: str, tail: str, body: Any = None, **query: Any) -> Answer:
        """`tail` behind /v3/pam/{subkey}."""
        headers = query.pop("headers", None)
        raw = (
            b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        )
        subkey = query.pop("subkey", self.keyset.subscribe_key)
        target = self.target(method, f"/v3/pam/{subkey}{tail}", raw, **query)
        return await self.send(method, target, data=raw or None, headers=headers)

    async def granted(self, permissions: Mapping[str, Any], ttl: int = 60) -> str:
        # Two equal grants in one second are two, so each has a nonce.
        nonce = SystemEntropy().token(8).hex()
        body = {"ttl": ttl, "permissions": permissions}
        answer = await self.signed("POST", "/grant", body, nonce=nonce)
        assert answer.status == 200, answer.text
        token: str = answer.body["data"]["token"]
        return token

    async def check(self, token: str | None, operation: str, **ask: Any) -> Answer:
        uuid = ask.pop("uuid", None)
        query = "" if uuid is None else f"?uuid={quote(uuid, safe='')}"
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await self.send(
            "POST", f"/api/v1/access/check{query}",
            data=msgspec.json.encode({"operation": operation, **ask}),
            headers={"Content-Type": "application/json", **headers},
        )  # fmt: skip


@dataclass
class Client(Signer):
    """... to a server in this process."""

    process: Process


@contextlib.asynccontextmanager
async def ground(place: Place, directory: Path) -> AsyncIterator[Ground]:
    """A store of that place, with keys in files."""
    clock, entropy, audit = FakeClock(), SystemEntropy(), MemoryAudit()
    store = await place.open(clock)
    try:
        table = KeyTable(store.meta)
        masters = Masters(table, {"local": LocalKms(directory / "keys", entropy)}, audit, clock)
        await masters.ensure("local")
        sealer = Envelope(table, masters, audit, clock, entropy)
        await sealer.start()
        yield Ground(store, sealer, clock)
        await masters.close()
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def serving(process: Process, keyset: KeySet | None = None) -> AsyncIterator[Client]:
    async with answering(process.application()) as (session, url):
        made = keyset or await process.keysets.create(APP, "tests")
        yield Client(session, url, process.clock, made, process)
