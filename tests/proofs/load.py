"""Clients that write all the time through kills, and remember what they were told.

Each owns what it changes, so what it was told is what must be found. A request without an answer
may or may not have happened: it is sent again, as clients do, and must not happen twice. Driven by
the test of kills.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.proofs.server import Answered, Api
from tests.signaling.accounts.rig import PASSWORD, secret_of


class Ended(Exception):  # noqa: N818 - names what happened
    """The load is over; whatever was under way has no answer."""


@dataclass
class Told:
    """What one client knows."""

    names: list[str] = field(default_factory=list)  # sent, in order
    sure_of: int = -1  # the last of them that was acknowledged
    invitations: dict[str, str] = field(default_factory=dict)  # id -> secret
    withdrawn: set[str] = field(default_factory=set)
    joined: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    rooms: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # room -> key, answer
    ended: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)  # ids of acknowledged durable acts


@dataclass
class Client:
    """One of them. `up` is set while a server is there to be asked."""

    number: int
    api: Api
    up: asyncio.Event
    over: asyncio.Event
    owner: str
    token: str
    device: str
    access: str
    random: random.Random
    told: Told = field(default_factory=Told)
    again: Counter[str] = field(default_factory=Counter)
    counted: int = 0

    async def run(self) -> None:
        acts = (self.rename, self.invite, self.join, self.withdraw, self.group, self.sign_out)
        try:
            while not self.over.is_set():
                await self.random.choice(acts)()
        except Ended:
            return

    def next(self) -> int:
        self.counted += 1
        return self.counted

    async def insist(
        self, method: str, path: str, body: Any, token: str, durable: bool = True, **headers: str
    ) -> Answered:
        """The same request until there is an answer."""
        while True:
            await self.up.wait()
            if self.over.is_set():
                raise Ended
            try:
                answer = await self.api.send(method, f"/api/v1{path}", body, token, headers=headers)
            except (aiohttp.ClientError, OSError):
                self.again[path.partition("?")[0].split("/")[1]] += 1
                await asyncio.sleep(0.01)
                continue
            if answer.status == 503:  # it is just going down, or coming up
                await asyncio.sleep(0.05)
                continue
            if durable and answer.status < 300:
                self.told.requests.append(answer.headers["X-Request-Id"])
            return answer

    async def rename(self) -> None:
        name = f"{self.number}-{self.next()}"
        self.told.names.append(name)
        answer = await self.insist("PATCH", "/account", {"name": name}, self.token)
        assert answer.status == 200, answer.raw
        self.told.sure_of = len(self.told.names) - 1

    async def invite(self) -> None:
        wish = {"roles": ["member"], "label": f"{self.number}"}
        answer = await self.insist("POST", "/invitations", wish, self.owner)
        assert answer.status == 201, answer.raw
        self.told.invitations[answer.body["id"]] = secret_of(answer.body["url"])

    async def join(self) -> None:
        """An invitation that is good once makes one account, however often it is tried."""
        if not self.told.invitations:
            await self.invite()
        _, secret = self.told.invitations.popitem()
        login = f"load.{self.number}.{self.next()}"
        self.told.unsure.add(login)
        body = {"login": login, "password": PASSWORD, "link": secret}
        before = self.again.total()
        answer = await self.insist("POST", "/sign-up", body, "")
        if answer.status != 200:
            # Only when an earlier try took effect without an answer.
            assert answer.code in ("link_invalid", "login_taken"), answer.raw
            assert self.again.total() > before, answer.raw
            signed = {"login": login, "password": PASSWORD}
            answer = await self.insist("POST", "/sign-in/password", signed, "")
            if answer.status == 401:
                return  # it died between taking the link and making the account: tests of accounts
        self.told.joined.add(login)

    async def withdraw(self) -> None:
        if not self.told.invitations:
            await self.invite()
        link, _ = self.told.invitations.popitem()
        answer = await self.insist("DELETE", f"/invitations/{link}", None, self.owner)
        assert answer.status in (204, 404), answer.raw
        self.told.withdrawn.add(link)

    async def group(self) -> None:
        """With an Idempotency-Key: sent once more, it is answered from what was kept; what the dead
        process had begun is run by the next one, at once.
        """
        room, key = f"room-{self.number}-{self.next()}", f"key-{self.number}-{self.counted}"
        path = f"/access/groups/load-{self.number}"
        body, header = {"add": [room]}, {"Idempotency-Key": key}
        answer = await self.insist("POST", path, body, self.access, durable=False, **header)
        assert answer.status == 200, answer.raw
        self.told.rooms[room] = (key, answer.raw)

    async def sign_out(self) -> None:
        """From a known device: strangers may try five times in a quarter of an hour."""
        body = {
            "login": f"person.{self.number}", "password": PASSWORD, "device_token": self.device,
        }  # fmt: skip
        answer = await self.insist("POST", "/sign-in/password", body, "")
        if answer.status == 429:  # five at once from this device too, and chance may want more
            return
        assert answer.status == 200, answer.raw
        token = answer.body["access_token"]
        answer = await self.insist("DELETE", "/session", None, token)
        assert answer.status in (204, 401), answer.raw
        self.told.ended.append(token)
