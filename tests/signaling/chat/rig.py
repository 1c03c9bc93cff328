"""Rooms behind the real framework of the API, on any store, with people who are signed in by name.

`House` is one process; two of them on one ground are two processes. `Person` speaks HTTP.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import msgspec
from aiohttp import web

from signaling.access.door import Door
from signaling.access.grants import Grants
from signaling.access.keysets import KeySets
from signaling.accounts.principal import Kind, Principal, Role, Via
from signaling.accounts.sessions.revocation import Revocations
from signaling.accounts.sessions.scopes import ALL
from signaling.accounts.signin import AccountView
from signaling.bus.local import LocalBus
from signaling.bus.port import Bus
from signaling.compliance.audit.port import MemoryAudit
from signaling.compose.chat import Chatting, make_chat
from signaling.compose.core import Core
from signaling.config import Config
from signaling.errors import Code, Refused
from signaling.http.api.operation import Operation
from signaling.ids import SeededIds, SystemEntropy
from tests.signaling.access.rig import Ground
from tests.signaling.http.api.behind import answering, application, ports_of

APP = "default"
NAMES = ("ann", "bob", "cy", "dora", "eve")
_TURNS = itertools.count(1)


class Registry:
    """Everybody of `NAMES`, the administrator `root`, and a guest of one room."""

    def __init__(self) -> None:
        self.rooms: dict[str, str] = {}
        self.administrators, self.disabled, self.gone = {"root"}, set[str](), set[str]()

    async def view(self, app: str, account: str) -> AccountView | None:
        if account not in (*NAMES, "root", "guest") or account in self.gone:
            return None
        kind = Kind.GUEST if account == "guest" else Kind.ACCOUNT
        return AccountView(
            app=app, id=account, login=account, name=account.title(), kind=kind,
            roles=self.roles(account), disabled=account in self.disabled, second_factor=False,
            changed=0, room=self.rooms.get(account, ""),
        )  # fmt: skip

    def roles(self, account: str) -> frozenset[Role]:
        return frozenset({Role.ADMINISTRATOR if account in self.administrators else Role.MEMBER})

    async def guest_left(self, app: str, account: str) -> None:
        return None


@dataclass
class Answer:
    status: int
    body: Any
    headers: Any

    @property
    def code(self) -> str:
        return str(self.body["code"])


class House:
    """One process."""

    def __init__(self, ground: Ground, bus: Bus | None = None) -> None:
        clock = ground.clock
        self.ground, self.clock, self.audit = ground, clock, MemoryAudit()
        self.bus = bus or LocalBus(clock)
        self.registry = Registry()
        ids = SeededIds(clock, next(_TURNS))
        absent = cast(Any, None)
        core = Core(
            Config(), Path(), clock, ids, SystemEntropy(), ground.store, self.bus, ground.sealer,
            absent, cast(Any, self.audit), absent,
        )  # fmt: skip
        self.chatting: Chatting = make_chat(core, self.registry)
        self.chat = self.chatting.chat
        revocations = Revocations(ground.store, self.bus, ids)
        self.keysets = KeySets(ground.store, ground.sealer, clock, ids, SystemEntropy())
        self.grants = Grants(ground.store, ground.sealer, clock, SystemEntropy(), revocations, None)
        self.door = Door(self.grants, self.chatting.people, clock)
        self.scopes = ALL

    async def authenticate(self, request: web.Request) -> Principal:
        _, _, text = request.headers.get("Authorization", "").partition(" ")
        if not text:
            return Principal(app=APP)
        if text.startswith("am_"):
            return await self.door.plane(request, APP, text)
        return self.principal(text)

    def principal(self, name: str) -> Principal:
        if name not in (*NAMES, "root", "guest"):
            raise Refused(Code.TOKEN_INVALID, 401, "The token is not valid.")
        roles = self.registry.roles(name)
        kind = Kind.GUEST if name == "guest" else Kind.ACCOUNT
        return Principal(
            app=APP, kind=kind, account=name, device=f"{name}-phone", via=Via.BEARER, roles=roles,
            scopes=self.scopes, authenticated_at=self.clock.unix(),
        )  # fmt: skip

    def application(self) -> web.Application:
        store = self.ground.store
        ports = ports_of(APP, self, self.audit, store, self.clock, factor=100_000.0)
        return application(self.operations(), ports)

    def operations(self) -> list[Operation]:
        return self.chatting.operations(self.door)


@dataclass
class Person:
    name: str
    served: Served

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.served.ask(self.name, method, path, body, **more)

    async def post(self, room: str, text: str, **more: Any) -> dict[str, Any]:
        answer = await self.ask("POST", f"/rooms/{room}/messages", {"text": text, **more})
        assert answer.status == 201, answer.body
        return cast("dict[str, Any]", answer.body)

    async def texts(self, room: str, query: str = "") -> list[str]:
        """What can be read in a room, the oldest first."""
        answer = await self.ask("GET", f"/rooms/{room}/messages{query}")
        assert answer.status == 200, answer.body
        return [m["body"]["text"] for m in reversed(answer.body["items"]) if m.get("body")]


@dataclass
class Served:
    house: House
    session: aiohttp.ClientSession
    base: str
    people: dict[str, Person] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Person:
        if name not in (*NAMES, "root", "guest"):
            raise AttributeError(name)
        return self.people.setdefault(name, Person(name, self))

    async def ask(
        self, who: str, method: str, path: str, body: Any = None, **headers: str
    ) -> Answer:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if who:
            fields["Authorization"] = f"Bearer {who}"
        data = None
        if body is not None:
            data = msgspec.json.encode(body)
            fields["Content-Type"] = "application/json"
        url = f"{self.base}/api/v1{path}"
        async with self.session.request(method, url, data=data, headers=fields) as answer:
            raw = await answer.read()
            is_json = "json" in answer.headers.get("Content-Type", "") and "nd" not in (
                answer.headers.get("Content-Type", "")
            )
            shown = msgspec.json.decode(raw) if raw and is_json else raw
            return Answer(answer.status, shown, answer.headers)

    async def room(self, *members: str, by: str = "ann", **more: Any) -> str:
        """A room of `by` with these members."""
        body = {"kind": "group", "name": "Tea", "members": list(members), **more}
        answer = await self.ask(by, "POST", "/rooms", body)
        assert answer.status == 201, answer.body
        return str(answer.body["id"])


@contextlib.asynccontextmanager
async def serving(
    ground: Ground, bus: Bus | None = None, house: House | None = None
) -> AsyncIterator[Served]:
    house = house or House(ground, bus)
    try:
        async with answering(house.application()) as (session, url):
            yield Served(house, session, url)
    finally:
        await house.chatting.close()
