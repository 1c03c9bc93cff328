"""Rooms with calls behind the real framework of the API: people with several devices, a media
server that says what a test says, and what each account's devices and phones were told.

A token is a name, or a name and a device: `bob`, `bob/laptop`.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
from aiohttp.test_utils import TestServer
from msgspec.structs import replace

from signaling.accounts.principal import Principal
from signaling.accounts.sessions.calls import CallTokens, IssuedCall
from signaling.bus.port import Bus
from signaling.calls.port import CallNotice
from signaling.calls.verbs import Present
from signaling.chat.ports import Calling, Hint
from signaling.compose.calling import make_ringing
from signaling.http.api.operation import Operation
from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import APP, NAMES, Answer, House, Served


@dataclass
class Phones:
    """Push: what would have been sent, by account."""

    notices: dict[str, list[CallNotice]] = field(default_factory=lambda: defaultdict(list))

    async def notify(self, app: str, account: str, notice: CallNotice) -> None:
        self.notices[account].append(notice)


@dataclass
class Sfu:
    """The media server, from where calls stand."""

    rooms: dict[str, dict[str, str]] = field(default_factory=dict)
    removed: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str | None, str]] = field(default_factory=list)
    looked_at: list[tuple[str | None, str]] = field(default_factory=list)

    def close(self, room: str) -> None:
        self.rooms.pop(room, None)

    def remove(self, room: str, account: str) -> None:
        self.removed.append((room, account))

    def here(self) -> Mapping[str, Mapping[str, str]]:
        return self.rooms

    async def leave(self, app: str, account: str | None, room: str) -> None:
        self.left.append((account, room))

    async def look(self, app: str, account: str | None, room: str) -> None:
        self.looked_at.append((account, room))


class Tokens:
    """Gives a token for a room that says whose it is."""

    async def issue(self, principal: Principal, room: str, name: str = "") -> IssuedCall:
        identity = f"{principal.account}:{principal.device}"
        return IssuedCall(id="1", token=f"{room} {name}", identity=identity, expires_in=60, turn=[])


class CallHouse(House):
    """One process."""

    def __init__(self, ground: Ground, bus: Bus | None = None) -> None:
        super().__init__(ground, bus)
        self.phones, self.sfu = Phones(), Sfu()
        core = self.chatting.core
        self.ringing = make_ringing(core, self.chatting, self.registry, lambda: None)
        self.calls = self.ringing.calls
        self.calls.following.notifier = self.phones
        self.calls.following.media = self.calls.following.leaving = self.sfu
        self.told: dict[str, list[Calling]] = defaultdict(list)
        for name in (*NAMES, "root", "guest"):
            self.chatting.accounts.watch(APP, name, self._hears(name))

    def _hears(self, name: str) -> Any:
        def hear(hint: Hint) -> None:
            if isinstance(hint, Calling):
                self.told[name].append(hint)

        return hear

    def events(self, name: str) -> list[tuple[str, str]]:
        return [(hint.event, hint.account) for hint in self.told[name]]

    def principal(self, name: str) -> Principal:
        account, _, device = name.partition("/")
        found = super().principal(account)
        return replace(found, device=f"{account}-{device}") if device else found

    def operations(self) -> list[Operation]:
        tokens = cast("CallTokens", Tokens())
        return [*super().operations(), *self.ringing.operations(tokens, lambda request: "ws://x")]

    # What happens by itself

    async def pass_time(self, seconds: float) -> None:
        self.ground.clock.advance(seconds)
        await self.ringing.keeper.tick(APP)

    async def come(self, room: str, *names: str) -> None:
        """`bob/laptop` is in the call of this room from now on."""
        here = self.sfu.rooms.setdefault(room, {})
        came = {}
        for name in names:
            principal = self.principal(name)
            here[f"PA_{name}"] = account = principal.account or ""
            came[account] = principal.device or ""
        await self.calls.heard(APP, room, Present(who=dict(here), came=came))

    async def go(self, room: str, *names: str, clean: bool = True) -> None:
        here = self.sfu.rooms.get(room, {})
        for name in names:
            here.pop(f"PA_{name}", None)
        await self.calls.heard(APP, room, Present(who=dict(here), clean=clean))


@dataclass
class Calls(Served):
    """`ring` and the like are said in the words of the API."""

    house: CallHouse

    async def act(self, who: str, room: str, verb: str = "", **wish: Any) -> Answer:
        path = f"/rooms/{room}/call" + (f"/{verb}" if verb else "")
        return await self.ask(who, "POST", path, wish)

    async def good(self, who: str, room: str, verb: str = "", **wish: Any) -> dict[str, Any]:
        answer = await self.act(who, room, verb, **wish)
        assert answer.status == 200, answer.body
        return cast("dict[str, Any]", answer.body)

    async def call(self, who: str, room: str) -> dict[str, Any]:
        answer = await self.ask(who, "GET", f"/rooms/{room}/call")
        assert answer.status == 200, answer.body
        return cast("dict[str, Any]", answer.body)

    async def history(self, who: str, query: str = "") -> list[dict[str, Any]]:
        answer = await self.ask(who, "GET", f"/calls{query}")
        assert answer.status == 200, answer.body
        return cast("list[dict[str, Any]]", answer.body["items"])

    async def timeline(self, who: str, room: str) -> list[dict[str, Any]]:
        """What its messages say of calls, the oldest first."""
        answer = await self.ask(who, "GET", f"/rooms/{room}/messages")
        assert answer.status == 200, answer.body
        return [m["call"] for m in reversed(answer.body["items"]) if "call" in m]

    async def direct(self, one: str = "ann", other: str = "bob") -> str:
        answer = await self.ask(one, "POST", "/rooms", {"kind": "direct", "members": [other]})
        assert answer.status in (200, 201), answer.body
        return str(answer.body["id"])


@contextlib.asynccontextmanager
async def calling(ground: Ground, bus: Bus | None = None) -> AsyncIterator[Calls]:
    house = CallHouse(ground, bus)
    server = TestServer(house.application())
    await server.start_server(access_log=None)
    try:
        async with aiohttp.ClientSession() as session:
            yield Calls(house, session, str(server.make_url("")).rstrip("/"))
    finally:
        await server.close()
        await house.calls.idle()
        await house.chatting.close()


__all__ = ["APP", "CallHouse", "Calls", "calling"]
