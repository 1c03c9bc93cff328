"""The real server with two devices of one account, another person and real media (libwebrtc)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from tests.command import sotto
from tests.interop import clients
from tests.interop.peer import Peer, running
from tests.rows.house import QUICK, House, Visit, standing, visiting
from tests.signaling.sessions.test_two_servers import answered, inside
from tests.signaling.sync.documented import checked
from tests.slack import SLACK, within

SETTINGS = {
    "media.advertise": "127.0.0.1",
    "ringing.ring_seconds": "8",
    "ringing.empty_seconds": "1",
}
# aiohttp leaves closing a TLS connection to its loop, which ends with the test.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <(socket|asyncio|_SSL|function _)"
    ":pytest.PytestUnraisableExceptionWarning"
)


class OnLoopback(House):
    """`sotto dev`: the same server, whose media may be on loopback."""

    @property
    def command(self) -> list[str]:
        given = {**QUICK, **self.settings}
        ports = ("https", "http", "operator", "udp", "tcp")
        return sotto(
            "dev", f"--config={self.folder / 'sotto.toml'}", f"--ready-file={self.ready}",
            f"--state-dir={self.state}", "--no-turn", *(f"--{port}-port=0" for port in ports),
            *(f"--set={name}={value}" for name, value in given.items()),
        )  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with standing(OnLoopback(tmp_path_factory.mktemp("calls"), SETTINGS)) as made:
        yield made


@pytest.fixture
async def there(house: House) -> AsyncIterator[Visit]:
    async with visiting(house) as visit:
        yield visit


@dataclass
class Device:
    """One sign-in with its socket, bound to its account's own data. `rung` are its call frames."""

    there: Visit
    token: str
    account: str = ""
    rung: list[dict[str, Any]] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        return await self.there.ask(method, path, body, self.token)

    async def act(self, room: str, verb: str = "", **wish: Any) -> Any:
        answer = await self.ask("POST", f"/rooms/{room}/call" + (f"/{verb}" if verb else ""), wish)
        assert answer.status == 200, answer.text
        return answer.body

    async def told(self, event: str, within: float = 1.0 + SLACK) -> dict[str, Any]:
        """The first frame of that event; a second is the promise."""
        async with asyncio.timeout(within):
            while True:
                for frame in self.rung:
                    if frame["event"] == event:
                        return frame
                await asyncio.sleep(0.01)

    async def timeline(self, room: str) -> list[dict[str, Any]]:
        answer = await self.ask("GET", f"/rooms/{room}/messages")
        return [m["call"] for m in reversed(answer.body["items"]) if "call" in m]

    async def until(self, room: str, state: str, within: float = 30.0) -> dict[str, Any]:
        """The newest message of a call says so."""
        async with asyncio.timeout(within):
            while not (seen := await self.timeline(room)) or seen[-1]["state"] != state:
                await asyncio.sleep(0.05)
        return seen[-1]


@contextlib.asynccontextmanager
async def listening(there: Visit, *tokens: str) -> AsyncIterator[list[Device]]:
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for token in tokens:
            device = Device(there, token)
            device.account = str((await device.ask("GET", "/account")).body["id"])
            headers = {"Authorization": f"Bearer {token}"}
            socket = await stack.enter_async_context(
                there.client.ws_connect(
                    there.house.url + "/sync", headers=headers, protocols=("sotto.1",)
                )
            )
            await _bind(socket)
            reader = asyncio.create_task(_read(socket, device))
            stack.callback(reader.cancel)
            found.append(device)
        yield found


async def _bind(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_json(
        {"type": "bind", "session": 1, "path": "account", "need_client_file_ident": True}
    )
    while (frame := await socket.receive_json(timeout=30))["type"] != "ident":
        assert frame["type"] == "hello", frame
    ident = {key: frame[key] for key in ("client_file_ident", "client_file_ident_salt")}
    await socket.send_json({"type": "ident", "session": 1, **ident})
    while (await socket.receive_json(timeout=30))["type"] != "download":
        pass


async def _read(socket: aiohttp.ClientWebSocketResponse, device: Device) -> None:
    async for message in socket:
        frame = checked(json.loads(message.data), "server")
        if frame["type"] == "call":
            device.rung.append(frame)


async def direct(one: Device, other: Device) -> str:
    made = await one.ask("POST", "/rooms", {"kind": "direct", "members": [other.account]})
    assert made.status in (200, 201), made.text
    return str(made.body["id"])


async def group(one: Device, *others: Device, **settings: Any) -> str:
    body = {"name": "Tea", "members": [d.account for d in others], "settings": settings}
    made = await one.ask("POST", "/rooms", body)
    assert made.status == 201, made.text
    return str(made.body["id"])


async def joins(peer: Peer, house: House, joined: dict[str, Any]) -> None:
    """As a LiveKit client does, with what the API answered (in the clear on loopback)."""
    assert joined["url"] == house.url.replace("http", "ws", 1)
    url = house.plain.replace("http", "ws", 1)
    await peer.do("join", url=url, token=joined["token"])


def gone(stats: dict[str, Any]) -> bool:
    return any(event.startswith("disconnected:") for event in stats["events"])


def sees(*identities: str) -> Callable[[dict[str, Any]], bool]:
    return lambda stats: set(identities) <= set(stats["participants"])


async def test_rung_on_two_devices_answered_on_one_and_talked_until_both_hung_up(
    there: Visit, house: House, tmp_path: Path
) -> None:
    ann, _ = await there.joined()
    phone, login = await there.joined()
    laptop = await there.sign_in(login)
    async with listening(there, ann, phone, laptop) as (caller, bob, other):
        room = await direct(caller, bob)
        begun = await caller.act(room, video=True)
        for device in (bob, other):
            ring = await device.told("ring")
            assert (ring["room"], ring["caller"], ring["video"]) == (room, caller.account, True)
            assert ring["encryption"] == "none"
        taken = await other.act(room, "accept", call=ring["call"])
        assert (await bob.told("accepted"))["elsewhere"] is True
        assert (await other.told("accepted"))["elsewhere"] is False
        assert (await caller.told("accepted"))["account"] == bob.account
        assert taken["identity"].startswith(bob.account + ":")
        late = await bob.ask("POST", f"/rooms/{room}/call/accept", {})
        assert (late.status, late.body["outcome"]) == (409, "accepted")
        starting = [clients.start("libwebrtc", tmp_path, name=name) for name in ("ann", "bob")]
        async with running(*starting) as (one, two):
            await joins(one, house, begun)
            assert (await caller.until(room, "started"))["accounts"] == [caller.account]
            await joins(two, house, taken)
            await one.until(sees(taken["identity"]), 30, "bob in the call")
            await _inside(caller, room, {caller.account, bob.account})
            await one.do("publish", kind="audio")
            await two.until(lambda s: bool(s["tracks"]), 30, "ann's voice")
            await one.do("leave")
            await _inside(caller, room, {bob.account})
            await two.do("leave")
            ended = await bob.until(room, "ended")
        assert ended["accounts"] == [caller.account, bob.account]
        assert ended["encryption"] == "none"
        shown = (await bob.ask("GET", f"/calls/{begun['call']['id']}")).body
        assert (shown["state"], shown["mine"]) == ("ended", "accepted")


async def _inside(device: Device, room: str, accounts: set[str], within: float = 30.0) -> None:
    async with asyncio.timeout(within):
        while True:
            call = (await device.ask("GET", f"/rooms/{room}/call")).body
            if set(call["inside"]) == accounts:
                return
            await asyncio.sleep(0.05)


async def test_rejected_by_plain_http_without_a_session(there: Visit) -> None:
    tokens = [(await there.joined())[0] for _ in range(2)]
    async with listening(there, *tokens) as (ann, bob):
        room = await direct(ann, bob)
        await ann.act(room)
        await bob.told("ring")
        [ringing] = (await bob.ask("GET", "/calls?open=true")).body["items"]
        body = {"token": ringing["reject_token"]}
        assert (await there.ask("POST", "/calls/reject", body)).status == 204
        assert (await ann.told("rejected"))["account"] == bob.account
        await bob.told("rejected")
        assert (await there.ask("POST", "/calls/reject", body)).status == 409
        assert (await ann.timeline(room))[-1]["state"] == "rejected"


async def test_nobody_answers_until_the_time_is_out(there: Visit) -> None:
    tokens = [(await there.joined())[0] for _ in range(2)]
    async with listening(there, *tokens) as (ann, bob):
        room = await direct(ann, bob)
        await ann.act(room)
        await bob.told("ring")
        for device in (ann, bob):
            await device.told("timed_out", 30)
        assert (await bob.until(room, "missed"))["accounts"] == [ann.account, bob.account]
        unread = (await bob.ask("GET", f"/rooms/{room}/unread")).body
        assert unread["messages"] == 1
        assert (await ann.ask("GET", f"/rooms/{room}/unread")).body["messages"] == 0
        head = (await bob.ask("GET", f"/rooms/{room}")).body["head"]
        read = await bob.ask("POST", f"/rooms/{room}/read", {"seq": head})
        assert read.body["messages"] == 0


async def test_killed_while_it_rings_it_rings_on_after_the_start(tmp_path: Path) -> None:
    settings = {**SETTINGS, "ringing.ring_seconds": "60"}
    with standing(OnLoopback(tmp_path / "house", settings)) as house:
        async with visiting(house) as there:
            tokens = [(await there.joined())[0] for _ in range(2)]
            async with listening(there, *tokens) as (ann, bob):
                room = await direct(ann, bob)
                call = (await ann.act(room))["call"]["id"]
                await bob.told("ring")
        assert house.process is not None
        house.process.send_signal(signal.SIGKILL)
        house.process.wait()
        house.start()
        async with visiting(house) as there, listening(there, *tokens) as (ann, bob):
            [ringing] = (await bob.ask("GET", "/calls?open=true")).body["items"]
            assert (ringing["id"], ringing["mine"]) == (call, "ringing")
            assert (await bob.act(room, "accept", call=call))["token"]
            assert (await ann.told("accepted"))["call"] == call


async def test_removed_member_leaves_the_call_within_a_second(
    there: Visit, house: House, tmp_path: Path
) -> None:
    tokens = [(await there.joined())[0] for _ in range(2)]
    async with listening(there, *tokens) as (ann, bob):
        room = await group(ann, bob)
        starting = [clients.start("libwebrtc", tmp_path, name=name) for name in ("ann", "bob")]
        async with running(*starting) as (one, two):
            await joins(one, house, await ann.act(room))
            joined = await bob.act(room)
            await joins(two, house, joined)
            await _inside(ann, room, {ann.account, bob.account})
            spare = await bob.act(room)
            begun = time.monotonic()
            path = f"/rooms/{room}/members/{bob.account}"
            assert (await ann.ask("DELETE", path)).status == 204
            await two.until(gone, 20, "bob out of the call")
            assert time.monotonic() - begun < 1.0 + SLACK
            await _inside(ann, room, {ann.account})
            # A token that he had left opens nothing any more.
            url = f"{house.plain}/rtc/validate?access_token={spare['token']}"
            async with there.client.get(url) as answer:
                assert answer.status == 401
            ended = (await ann.ask("DELETE", f"/rooms/{room}/call")).body
            assert ended["outcome"] == "ended"
            await one.until(gone, 20, "ann out of the call that ended")


async def test_every_removed_member_is_told_to_leave_within_a_second(there: Visit) -> None:
    tokens = [(await there.joined())[0] for _ in range(6)]
    took = []
    async with listening(there, *tokens) as (ann, *others):
        room = await group(ann, *others)
        async with inside(there, (await ann.act(room))["token"]) as (stays, _):
            for one in others:
                async with inside(there, (await one.act(room))["token"]) as (socket, _):
                    begun = time.monotonic()
                    path = f"/rooms/{room}/members/{one.account}"
                    removing = asyncio.create_task(ann.ask("DELETE", path))
                    await answered(socket, "leave")
                    took.append(time.monotonic() - begun)
                    assert (await removing).status == 204
            assert not stays.closed
    within(1, took)


async def test_guest_waits_in_the_lobby_until_let_in(
    there: Visit, house: House, tmp_path: Path
) -> None:
    token, _ = await there.joined()
    async with listening(there, token) as (ann,):
        room = await group(ann, lobby="guests")
        await ann.act(room)
        async with listening(there, await there.guest(room)) as (guest,):
            waiting = await guest.act(room)
            assert waiting["token"] is None and waiting["call"]["waiting"]
            refused = await guest.ask("POST", "/calls/tokens", {"room": room})
            assert (refused.status, refused.code) == (403, "not_permitted")
            assert (await ann.told("knock"))["account"] == guest.account
            queue = (await ann.ask("GET", f"/rooms/{room}/call/lobby")).body
            assert [one["account"] for one in queue["waiting"]] == [guest.account]
            await ann.act(room, "lobby/admit", accounts=[guest.account])
            await guest.told("admitted")
            joined = await guest.act(room)
            async with running(clients.start("libwebrtc", tmp_path, name="guest")) as (peer,):
                await joins(peer, house, joined)
                await _inside(ann, room, {guest.account})
                await ann.act(room, "lobby/deny", account=guest.account)
                await peer.until(gone, 20, "the guest out of the call")


async def test_no_other_door_leads_into_the_call_of_a_room(there: Visit) -> None:
    token, _ = await there.joined()
    async with listening(there, token) as (ann,):
        room = await group(ann)
        for name, status in ((room, 403), ("standup", 200)):
            body = {"room": name, "name": "Mallory"}
            answer = await there.send("POST", "/api/join", json=body)
            assert answer.status == status, answer.text
        stranger, _ = await there.joined()
        answer = await there.ask("POST", "/calls/tokens", {"room": room}, stranger)
        assert answer.status == 403


async def test_identity_and_room_are_those_of_the_account_and_the_room(there: Visit) -> None:
    token, _ = await there.joined()
    async with listening(there, token) as (ann,):
        room = await group(ann)
        joined = await ann.act(room)
        payload = cast("str", joined["token"]).split(".")[1]
        claims = json.loads(_decoded(payload))
        assert claims["sub"] == joined["identity"] == f"{ann.account}:{claims['sotto']['device']}"
        assert claims["video"]["room"] == room and claims["sotto"]["account"] == ann.account


def _decoded(payload: str) -> bytes:
    return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
