"""One started server, the people on it with their devices, and what a test shows of a noun.

`Phone` is a device that may be away: the Python client, which keeps its copy and comes back with
its cursor. `Shown` keeps what was allowed, refused and found by a device that was offline.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sotto_client import Backoff, Client, Local
from sotto_client.model import MessageView
from sotto_client.replica import Frame
from tests.peers.kafka.broker import Broker
from tests.rows.house import Answer, House, Visit
from tests.rows.rightful import TUS
from tests.signaling.compliance.receivers import Rsyslog
from tests.signaling.delivery.house import Receiver
from tests.signaling.delivery.push.services import ApnsService, Browser, FcmService, WebPushService
from tests.signaling.delivery.systems import Relay

HINTS = ("typing", "cursor", "call")


@dataclass
class Shown:
    """Driven by a test; `said` goes into the page."""

    said: dict[str, str] = field(default_factory=dict)

    def allowed(self) -> None:
        self.said["allowed"] = "yes"

    def refused(self, answer: Answer, status: int, code: str) -> None:
        """The documented error, and nothing else."""
        assert (answer.status, answer.code) == (status, code), answer.text
        self.note(f"{status} `{code}`")

    def note(self, refusal: str) -> None:
        """A refusal that is no answer over HTTP, or not at once."""
        listed = [one for one in self.said.get("refused", "").split(", ") if one]
        if refusal not in listed:
            self.said["refused"] = ", ".join((*listed, refusal))

    def offline(self) -> None:
        """A device that was away at the time came back, and has what it should."""
        self.said["offline"] = "yes"


async def until(look: Callable[[], Awaitable[bool]], seconds: float = 120) -> None:
    """Asked again until it says yes."""
    async with asyncio.timeout(seconds):
        while not await look():
            await asyncio.sleep(0.05)


class _Hearing(Client):
    """Keeps the hints too, which a client shows and forgets."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.heard: list[Frame] = []

    async def _hear(self, frame: Frame) -> None:
        if frame["type"] in HINTS:
            self.heard.append(frame)
        await super()._hear(frame)


@dataclass
class Person:
    """An account, signed in on one device."""

    there: Visit
    token: str
    login: str
    id: str

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.there.ask(method, path, body, self.token, headers=headers)

    async def must(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = await self.ask(method, path, body, **headers)
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.text}"
        return answer.body

    async def again(self) -> Person:
        """Signed in on one more device."""
        return Person(self.there, await self.there.sign_in(self.login), self.login, self.id)

    async def room(self, *others: Person, **more: Any) -> str:
        body = {"name": "Tea", "members": [one.id for one in others], **more}
        return str((await self.must("POST", "/rooms", body))["id"])

    async def change(self, room: str, **more: Any) -> None:
        seen = await self.ask("GET", f"/rooms/{room}")
        await self.must("PATCH", f"/rooms/{room}", more, **{"If-Match": seen.headers["ETag"]})

    async def post(self, room: str, text: str = "hello", **more: Any) -> Any:
        return await self.must("POST", f"/rooms/{room}/messages", {"text": text, **more})

    async def message(self, room: str, message: str) -> Any:
        return await self.must("GET", f"/rooms/{room}/messages/{message}")

    async def texts(self, room: str) -> list[str]:
        """As a person reads them, the oldest first."""
        found = (await self.must("GET", f"/rooms/{room}/messages?limit=100"))["items"]
        return [one["body"].get("text", "") for one in reversed(found) if "body" in one]

    async def unread(self, room: str) -> Any:
        return await self.must("GET", f"/rooms/{room}/unread")

    # Files

    async def create(self, room: str, size: int, name: str = "a.bin", **more: Any) -> Answer:
        return await self.ask("POST", "/files", {"room": room, "size": size, "name": name, **more})

    async def piece(self, ident: str, offset: int, data: bytes, **headers: str) -> Answer:
        fields = {**TUS, "Upload-Offset": str(offset), "Authorization": f"Bearer {self.token}"}
        path = f"/api/v1/uploads/{ident}"
        return await self.there.send("PATCH", path, data=data, headers={**fields, **headers})

    async def send(self, room: str, data: bytes, name: str = "a.bin", **more: Any) -> Any:
        """All the way: what the server says of the file after its checks."""
        made = await self.create(room, len(data), name, **more)
        assert made.status == 201, made.text
        patched = await self.piece(made.body["id"], 0, data)
        assert patched.status == 204, patched.text
        return await self.must("POST", f"/files/{made.body['id']}/complete")

    async def attach(self, room: str, info: Mapping[str, Any], **more: Any) -> Any:
        """A message that holds the file."""
        file = {name: info[name] for name in ("id", "key", "name", "size")} | more
        body = {"format": "m.plain.v1", "text": "look", "files": [file]}
        return await self.must("POST", f"/rooms/{room}/messages", {"body": body})

    async def link(self, ident: str, **wish: Any) -> Answer:
        return await self.ask("POST", f"/files/{ident}/links", wish)

    async def fetch(self, ident: str, **wish: Any) -> tuple[bytes, Mapping[str, str]]:
        """The bytes of a form of a file, and the fields that came with them."""
        url = (await self.must("POST", f"/files/{ident}/links", wish))["url"]
        async with self.there.client.get(url) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read(), answer.headers

    # Devices

    @contextlib.asynccontextmanager
    async def phone(self, *rooms: str) -> AsyncIterator[Phone]:
        """A device that has these rooms and the account's own data."""

        async def token() -> str:
            return self.token

        url, http = self.there.house.url, self.there.client
        backoff = Backoff(lambda: 0.5, first=0.05)
        made = Phone(self, _Hearing(url, Local(":memory:"), token, http=http, backoff=backoff))
        await made.client.start()
        try:
            await made.here(*rooms)
            yield made
        finally:
            await made.client.stop()


@dataclass
class Phone:
    """States: here -> away -> here. Borrowed for a test."""

    person: Person
    client: _Hearing
    rooms: set[str] = field(default_factory=set)

    async def here(self, *rooms: str) -> None:
        """Everything that the server has is here, and nothing waits to be sent."""
        self.rooms |= set(rooms)
        await self.client.own().synced()
        for room in self.rooms:
            await self.client.room(room).synced()

    async def leave(self) -> None:
        await self.client.stop()
        assert not self.client.is_connected

    async def back(self, *rooms: str) -> None:
        """With what it kept and its cursors: nothing is fetched from the beginning."""
        await self.client.start()
        await self.here(*rooms)
        replicas = [self.client.room(room).replica for room in self.rooms]
        assert not any(one.resets for one in (*replicas, self.client.own().replica))

    @contextlib.asynccontextmanager
    async def away(self, *rooms: str) -> AsyncIterator[None]:
        """Offline for what stands in the block; then back, in these rooms too."""
        await self.leave()
        yield
        await self.back(*rooms)

    async def until(self, condition: Callable[[], bool]) -> None:
        await self.client.wait(condition, 120)

    def heard(self, kind: str, **more: Any) -> list[Frame]:
        """Hints of that type which say so, as they came."""
        hints = [one for one in self.client.heard if one["type"] == kind]
        return [one for one in hints if more.items() <= one.items()]

    def messages(self, room: str) -> list[MessageView]:
        return self.client.room(room).messages()

    def message(self, room: str, message: str) -> MessageView:
        (found,) = [one for one in self.messages(room) if one.id == message]
        return found

    def texts(self, room: str) -> list[str]:
        return [getattr(one.body, "text", "") for one in self.messages(room)]

    def state(self, room: str) -> Any:
        """Of the room: names, settings, members, pins."""
        return self.client.room(room).view().state

    def part(self, room: str, account: str) -> str:
        members = self.state(room).members
        return str(members[account].part) if account in members else "none"


@dataclass
class Place:
    """A started server and its owner, who invites whoever a test needs; it may call `sink`."""

    house: House
    there: Visit
    owner: Person
    sink: Receiver

    async def person(self, *roles: str) -> Person:
        token, login = await self.there.joined(*roles, owner=self.owner.token)
        return await self.known(token, login)

    async def pair(self) -> tuple[Person, Person]:
        return await self.person(), await self.person()

    async def known(self, token: str, login: str) -> Person:
        account = await self.there.ask("GET", "/account", token=token)
        return Person(self.there, token, login, str(account.body["id"]))

    async def asleep(self, person: Person, times: int = 1) -> None:
        """Until the server has seen the last of its devices go, which were there so many times:
        from then on they are woken. Its presence says so later: who comes back was never away."""
        auditor, _ = await self.there.joined("auditor", owner=self.owner.token)
        of = {"actor": f"account:{person.id}"}

        async def gone() -> bool:
            opened = await self.there.records(auditor, action="sync.open", **of)
            ended = await self.there.records(auditor, action="sync.close", **of)
            return len(opened) == len(ended) >= times

        await until(gone)

    def now(self, seconds: float = 0) -> datetime:
        """By the server's clock."""
        return datetime.now(UTC) + timedelta(seconds=self.house.offset + seconds)

    def soon(self, seconds: float) -> str:
        return self.now(seconds).isoformat()


@dataclass
class Town(Place):
    """Its clock can be moved on. `web` wakes browsers. Three people whom every test may use."""

    web: WebPushService
    ann: Person
    bob: Person
    cy: Person

    def browser(self) -> Browser:
        """A device that may be woken, not registered yet."""
        return self.web.browser(f"{len(self.web.browsers)}-of-the-town")


@dataclass
class Annex(Place):
    """Where others look at the time too. What routes lead to stands behind `relays`."""

    apns: ApnsService
    fcm: FcmService
    relays: dict[str, Relay]
    rsyslog: Rsyslog
    kafka: Broker
    folder: Path
