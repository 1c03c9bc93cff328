"""A whole server, people who are signed in on it, and the few words that files need."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.signaling.accounts.rig import PASSWORD, secret_of
from tests.signaling.house import Running, serving

QUICK = {
    "accounts.hash_memory_kib": "19456",
    "accounts.hash_passes": "1",
    "api.rate_factor": "1000",
}
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}


@dataclass
class Answer:
    """A response, read."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])


@dataclass
class Person:
    """Somebody who is signed in, and asks."""

    house: Running
    token: str
    room: str = ""

    async def ask(
        self, method: str, path: str, body: Any = None, data: Any = None, **headers: str
    ) -> Answer:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            fields["Authorization"] = f"Bearer {self.token}"
        url = f"{self.house.http}/api/v1{path}"
        if isinstance(data, bytes):
            data = io.BytesIO(data)
        async with self.house.client.request(
            method, url, json=body, data=data, headers=fields
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def create(self, data_size: int, **wish: Any) -> Any:
        made = await self.ask("POST", "/files", {"room": self.room, "size": data_size, **wish})
        assert made.status == 201, made.body
        return made.json

    async def patch(self, ident: str, offset: int, data: bytes, **headers: str) -> Answer:
        fields = {**BYTES, "Upload-Offset": str(offset), **headers}
        return await self.ask(
            "PATCH", f"/uploads/{ident}", data=data,
            **{name.replace("-", "_"): value for name, value in fields.items()},
        )  # fmt: skip

    async def head(self, ident: str) -> Answer:
        return await self.ask("HEAD", f"/uploads/{ident}", Tus_Resumable="1.0.0")

    async def complete(self, ident: str) -> Answer:
        return await self.ask("POST", f"/files/{ident}/complete")

    async def send(self, data: bytes, name: str = "a.bin", **wish: Any) -> Any:
        """All the way: what the server then says of the file."""
        made = await self.create(len(data), name=name, **wish)
        if data:
            patched = await self.patch(made["id"], 0, data)
            assert patched.status == 204, patched.body
        done = await self.complete(made["id"])
        assert done.status == 200, done.body
        return done.json

    async def link(self, ident: str, **wish: Any) -> Answer:
        return await self.ask("POST", f"/files/{ident}/links", wish)

    async def fetch(
        self, ident: str, fields: Mapping[str, str] | None = None, **wish: Any
    ) -> Answer:
        made = await self.link(ident, **wish)
        assert made.status == 200, made.body
        return await get(self.house, made.json["url"], fields)


async def get(
    house: Running, url: str, fields: Mapping[str, str] | None = None, method: str = "GET"
) -> Answer:
    """Without any credential, as a browser fetches from another origin."""
    async with house.client.request(method, url, headers=fields or {}) as answer:
        return Answer(answer.status, answer.headers, await answer.read())


async def owner_of(house: Running) -> Person:
    assert house.app.setup_link is not None
    body = {"login": "root.ana", "password": PASSWORD, "link": secret_of(house.app.setup_link)}
    answer = await Person(house, "").ask("POST", "/sign-up", body)
    assert answer.status == 200, answer.body
    return Person(house, answer.json["access_token"])


async def join(owner: Person, login: str, role: str = "member") -> Person:
    made = await owner.ask("POST", "/invitations", {"roles": [role]})
    body = {"login": login, "password": PASSWORD, "link": secret_of(made.json["url"])}
    answer = await Person(owner.house, "").ask("POST", "/sign-up", body)
    assert answer.status == 200, answer.body
    return Person(owner.house, answer.json["access_token"])


@dataclass
class There:
    """One server with three people: the first is its owner."""

    house: Running
    root: Person
    ana: Person
    bob: Person

    @property
    def room(self) -> str:
        return self.ana.room

    @property
    def files(self) -> Any:
        return self.house.app._filing.files

    @property
    def app(self) -> str:
        return str(self.house.app.core.app)

    def audited(self) -> Any:
        return self.house.app.core.audit

    async def post(self, ident: str, message: str = "m1", room: str = "") -> None:
        """What chat does when a message that holds the file is in the log."""
        await self.files.posted(self.app, room or self.room, message, [ident])

    async def account_of(self, person: Person) -> str:
        return str((await person.ask("GET", "/account")).json["id"])


@contextlib.asynccontextmanager
async def people(state: Path, **settings: str) -> AsyncIterator[There]:
    flags = {**QUICK, **{name.replace("__", "."): value for name, value in settings.items()}}
    async with serving(state, flags) as house:
        root = await owner_of(house)
        made = There(house, root, await join(root, "some.ana"), await join(root, "some.bob"))
        members = [await made.account_of(person) for person in (made.ana, made.bob)]
        answer = await root.ask("POST", "/rooms", {"name": "lobby", "members": members})
        assert answer.status == 201, answer.body
        for person in (root, made.ana, made.bob):
            person.room = answer.json["id"]
        yield made


def metadata(**found: str) -> str:
    return ",".join(
        f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in found.items()
    )


def every_byte(root: Path) -> bytes:
    """All files below a directory, one after another: for looking for what must not be there."""
    return b"\0".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())
