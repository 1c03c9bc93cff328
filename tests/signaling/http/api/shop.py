"""A small API made for the tests: every kind of operation that the framework serves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import aiohttp
import msgspec
from aiohttp import web

from signaling.accounts.principal import Kind, Principal, Role
from signaling.clock import FakeClock
from signaling.compliance.audit.port import MemoryAudit
from signaling.errors import ClientError, Code, Refused, Unavailable
from signaling.http.api import Auth, Body, Call, Operation, Page, Query, Recording, Reply
from signaling.http.api.endpoint import Ports
from signaling.storage.memory import MemoryStore
from tests.signaling.http.api.behind import answering, application, ports_of


class NewThing(Body, frozen=True, kw_only=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=20)]
    price: Annotated[int, msgspec.Meta(ge=0)] = 0
    tags: tuple[str, ...] = ()
    extra: dict[str, Any] = msgspec.field(default_factory=dict)


class Thing(msgspec.Struct, frozen=True):
    id: str
    name: str
    price: int


class Search(Query, frozen=True, kw_only=True):
    below: Annotated[int, msgspec.Meta(ge=1)] | None = None


class Token(Body, frozen=True, kw_only=True):
    grant_type: str
    code: str = ""


PEOPLE: dict[str, dict[str, Any]] = {
    "ann": {"roles": frozenset({Role.MEMBER}), "scopes": frozenset({"things:read"})},
    "bob": {"roles": frozenset({Role.MEMBER}), "scopes": frozenset[str]()},
    "root": {"roles": frozenset({Role.ADMINISTRATOR}), "scopes": frozenset({"admin"})},
}


@dataclass
class Shop:
    """Handlers, and what stands behind them."""

    clock: FakeClock = field(default_factory=FakeClock)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    things: list[Thing] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    proved: float = 0.0

    async def authenticate(self, request: web.Request) -> Principal:
        scheme, _, name = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return Principal(app="one")
        if name == "gone":
            raise Refused(Code.TOKEN_REVOKED, 401, "The session was ended.")
        if name not in PEOPLE:
            raise Refused(Code.TOKEN_INVALID, 401, "The token is not one of ours.")
        return Principal(
            app="one",
            kind=Kind.ACCOUNT,
            account=name,
            session=f"s-{name}",
            token=f"t-{name}",
            authenticated_at=self.proved,
            **PEOPLE[name],
        )

    async def create(self, call: Call[NewThing]) -> Reply:
        thing = Thing(f"t{len(self.things)}", call.body.name, call.body.price)
        self.things.append(thing)
        call.note.target = f"thing:{thing.id}"
        return Reply(thing, etag="v1", headers=[("Location", f"/api/v1/things/{thing.id}")])

    async def list(self, call: Call[None]) -> Page:
        first = int(call.page.after) if call.page.after is not None else 0
        if call.page.before is not None:
            first = max(0, int(call.page.before) - call.page.limit)
        found = self.things[first : first + call.page.limit]
        more = first + len(found) < len(self.things)
        return Page(
            found,
            next=str(first + len(found)) if more else None,
            prev=str(first) if first > 0 else None,
        )

    def _find(self, call: Call[Any]) -> Thing:
        for thing in self.things:
            if thing.id == call.path["thing_id"]:
                return thing
        raise ClientError(Code.NOT_FOUND, 404, "There is no such thing.")

    async def get(self, call: Call[None]) -> Reply:
        thing = self._find(call)
        return Reply(thing, etag=f"v{thing.price}")

    async def change(self, call: Call[NewThing]) -> Reply:
        thing = self._find(call)
        call.expect(f"v{thing.price}")
        new = Thing(thing.id, call.body.name, call.body.price)
        self.things[self.things.index(thing)] = new
        return Reply(new, etag=f"v{new.price}")

    async def wait(self, call: Call[None]) -> None:
        await self.gate.wait()

    async def fail(self, call: Call[None]) -> None:
        raise RuntimeError("the secret is 4711")

    async def away(self, call: Call[None]) -> None:
        raise Unavailable("the store is away", 7)

    async def nothing(self, call: Call[Any]) -> None:
        return None

    async def oauth(self, call: Call[Token]) -> None:
        raise ClientError(
            Code.BAD_REQUEST, 400, "No such grant.", members={"error": "unsupported_grant_type"}
        )

    async def export(self, call: Call[None]) -> Reply:
        async def lines() -> AsyncIterator[bytes]:
            for thing in self.things:
                yield msgspec.json.encode(thing) + b"\n"

        return Reply(lines(), content_type="application/x-ndjson")


def operations(shop: Shop) -> list[Operation]:
    thing = "/things/{thing_id}"
    return [
        Operation("POST", "/things", "createThing", "Make", shop.create, NewThing, answer=Thing,
                  status=201, rate="write", recording=Recording.DURABLE),
        Operation("GET", "/things", "listThings", "List", shop.list, query=Search, answer=Thing,
                  paged=True, scope="things:read"),
        Operation("GET", thing, "getThing", "Get", shop.get, answer=Thing,
                  errors=(Code.NOT_FOUND,)),
        Operation("PUT", thing, "changeThing", "Change", shop.change, NewThing, answer=Thing,
                  if_match=True, errors=(Code.NOT_FOUND,)),
        Operation("POST", "/wait", "wait", "Wait", shop.wait, status=204),
        Operation("POST", "/fail", "fail", "Fail", shop.fail, status=204),
        Operation("GET", "/away", "away", "Away", shop.away, auth=Auth.NONE),
        Operation("POST", "/admin", "administer", "Administer", shop.nothing, auth=Auth.ROLE,
                  roles=(Role.ADMINISTRATOR,), scope="admin", reauth=True, status=204),
        Operation("POST", "/oauth/token", "token", "Token", shop.oauth, Token, auth=Auth.NONE,
                  base="", form=True, problem_type="application/json", rate="token"),
        Operation("GET", "/export", "export", "Export", shop.export, rate="export",
                  answer_type="application/x-ndjson"),
        Operation("GET", "/open", "open", "Open", shop.nothing, auth=Auth.OPTIONAL, status=204),
    ]  # fmt: skip


@dataclass
class Open:
    shop: Shop
    client: aiohttp.ClientSession
    base: str
    ports: Ports

    async def ask(
        self, method: str, path: str, who: str = "ann", **more: Any
    ) -> tuple[int, Any, Any]:
        """Status, body (JSON where it is), headers."""
        headers = {**({"Authorization": f"Bearer {who}"} if who else {}), **more.pop("headers", {})}
        url = self.base + (path if path.startswith("/oauth") else "/api/v1" + path)
        async with self.client.request(method, url, headers=headers, **more) as answer:
            text = await answer.text()
            is_json = text and "json" in answer.headers.get("Content-Type", "")
            body = (
                msgspec.json.decode(text) if is_json and "nd" not in answer.content_type else text
            )
            return answer.status, body, answer.headers


@contextlib.asynccontextmanager
async def opened(**changes: Any) -> AsyncIterator[Open]:
    shop = Shop()
    store = MemoryStore(shop.clock)
    ports = ports_of(
        "one", shop, shop.audit, store, shop.clock, factor=changes.pop("factor", 1.0),
        friends=["https://friend.example"], **changes,
    )  # fmt: skip
    async with answering(application(operations(shop), ports)) as (client, url):
        yield Open(shop, client, url, ports)
