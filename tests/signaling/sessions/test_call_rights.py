"""A running call follows the rights of who is in it, and a call token gives what its owner may now:
in the process that hears of a change from another one, on one store and one bus.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import jwt
import pytest
from livekit.protocol import models, rtc

from signaling.accounts.principal import Principal, Role
from signaling.accounts.sessions.service import changed
from signaling.accounts.signin import AccountView
from signaling.doctor.probe import offer
from signaling.errors import Code, Refused, Unavailable
from signaling.rtc import moderation
from signaling.rtc.grants import VideoGrant
from signaling.whip.sessions import Sessions
from tests.signaling.rtc.fakes import FakeMediaServer
from tests.signaling.sessions.house import ALICE, APP, BOB, House
from tests.signaling.sessions.test_calls import Calls, calling, calls, who
from tests.signaling.sessions.test_revocation import other, until

__all__ = ["calls"]
REFRESH = "refresh_token"


async def by_role(principal: Principal, view: AccountView, room: str) -> VideoGrant:
    """A policy: auditors hear, administrators moderate."""
    speaks = Role.AUDITOR not in principal.roles
    return VideoGrant(
        room=room, room_join=True, room_admin=Role.ADMINISTRATOR in principal.roles,
        publish=speaks, publish_data=speaks, update_own_metadata=True,
    )  # fmt: skip


class Socket:
    """A participant's, read as it comes."""

    def __init__(self, calls: Calls, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.calls, self.socket = calls, socket
        self.me = calls.inside()[-1]
        self.heard: list[rtc.SignalResponse] = []
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def joined(cls, calls: Calls, token: str) -> Socket:
        return cls(calls, await calls.join(token))

    async def _read(self) -> None:
        async for message in self.socket:
            self.heard.append(rtc.SignalResponse.FromString(message.data))

    def all(self, kind: str) -> list[Any]:
        return [getattr(m, kind) for m in self.heard if m.WhichOneof("message") == kind]

    async def has(self, kind: str, count: int = 1) -> Any:
        """The newest of so many, within the promised second."""
        await until(lambda: len(self.all(kind)) >= count)
        return self.all(kind)[-1]

    async def publish(self) -> str:
        """A camera; its sid."""
        media = cast("FakeMediaServer", self.calls.rooms.services.media).media(self.me.sid)
        media.connect()
        track = rtc.AddTrackRequest(
            cid="c", type=models.TrackType.VIDEO, source=models.TrackSource.CAMERA
        )
        await self.socket.send_bytes(rtc.SignalRequest(add_track=track).SerializeToString())
        made = await self.has("track_published")
        media.publish_declared()
        return str(made.track.sid)


@dataclass
class TwoProcesses:
    """On one store and one bus; rights follow roles. Tokens come from `here`."""

    here: Calls
    there: Calls

    async def role(self, *roles: Role, disabled: bool = False) -> None:
        """Alice's, as the first process changes it."""
        house = self.here.house
        house.accounts.change(ALICE, disabled=disabled, roles=frozenset(roles))
        await house.revocations.revoke(changed(APP, account=ALICE))

    async def token(self, name: str = ALICE) -> str:
        return (await self.here.tokens.issue(await who(self.here, name), "r")).token

    def rights(self, socket: Socket) -> VideoGrant:
        """As the token says that was last pushed to this client."""
        pushed = [m.refresh_token for m in socket.heard if m.WhichOneof("message") == REFRESH]
        return self.there.rooms.claims(pushed[-1]).video


@pytest.fixture
async def two(house: House) -> AsyncIterator[TwoProcesses]:
    second = other(house)
    async with calling(house, by_role) as here, calling(second, by_role) as there:
        yield TwoProcesses(here, there)
    await second.revocations.stop()


async def test_8_3_2_a_lowered_role_takes_its_rights_from_a_running_call(two: TwoProcesses) -> None:
    """In the other process, within a second: what is published ends, everybody is told."""
    bob = await Socket.joined(two.there, await two.token(BOB))
    alice = await Socket.joined(two.there, await two.token())
    camera = await alice.publish()
    await two.role(Role.AUDITOR)
    assert (await alice.has("track_unpublished")).track_sid == camera
    assert not two.rights(alice).can_publish and not two.rights(alice).can_publish_data
    assert not alice.me.grant.can_publish and not alice.me.grant.can_publish_data
    seen = (await bob.has("update")).participants[-1]
    assert seen.identity == alice.me.identity and not seen.permission.can_publish
    # It stays in the call, and has it all back with the role.
    await two.role(Role.MEMBER)
    await until(lambda: alice.me.grant.can_publish and alice.me.grant.can_publish_data)
    await until(lambda: two.rights(alice).can_publish)
    assert not alice.me.closed and bob.me.grant.can_publish


async def test_8_3_2_moderating_goes_by_the_present_role(two: TwoProcesses) -> None:
    """Not by what the token says, in either process; and who is in the call is told."""
    await two.role(Role.ADMINISTRATOR)
    token = await two.token()
    alice = await Socket.joined(two.there, token)
    refused = (401, "unauthenticated: permissions denied")
    for lowered in (Role.MEMBER, Role.AUDITOR):
        for process in (two.here, two.there):
            assert await process.moderates(token) == (200, "")
        before = len(alice.all(REFRESH))
        await two.role(lowered)
        await alice.has(REFRESH, before + 1)
        assert not two.rights(alice).room_admin and not alice.me.grant.room_admin
        for process in (two.here, two.there):
            assert await process.moderates(token) == refused
        await two.role(Role.ADMINISTRATOR)
        await until(lambda: alice.me.grant.room_admin)
        await alice.has(REFRESH, before + 2)
        assert two.rights(alice).room_admin
    assert not alice.me.closed


async def test_a_token_of_before_gives_no_more_than_its_owner_may_now(two: TwoProcesses) -> None:
    token = await two.token()
    await two.role(Role.AUDITOR)
    late = await Socket.joined(two.there, token)
    assert not late.me.grant.can_publish and late.me.grant.can_subscribe
    await two.role(Role.MEMBER)
    await until(lambda: late.me.grant.can_publish)


async def test_what_a_moderator_took_from_one_participant_stays_taken(two: TwoProcesses) -> None:
    alice = await Socket.joined(two.there, await two.token())
    taken = alice.me.grant.to_permission()
    taken.can_publish = False
    moderation.set_permission(alice.me, taken)
    await two.role(Role.ADMINISTRATOR)
    await until(lambda: alice.me.grant.room_admin)
    assert not alice.me.grant.can_publish
    # Also for a client that joins afresh with the token that it was given meanwhile.
    again = await Socket.joined(two.there, alice.me.fresh_token())
    assert alice.me.closed and not again.me.grant.can_publish and again.me.grant.room_admin


async def test_rights_that_changed_while_the_store_was_away_follow_when_it_is_back(
    two: TwoProcesses,
) -> None:
    alice = await Socket.joined(two.there, await two.token())
    await until(lambda: alice.me.state == models.ParticipantInfo.State.JOINED)
    real, away = two.there.tokens.rows.get, True

    async def get(app: str, key: str) -> Any:
        if away:
            raise Unavailable("away")
        return await real(app, key)

    two.there.tokens.rows.get = get  # type: ignore[method-assign]  # a store that is away
    await two.role(Role.AUDITOR)
    await asyncio.sleep(0.2)
    assert alice.me.grant.can_publish and not alice.me.closed
    away = False
    await until(lambda: not alice.me.grant.can_publish, 30)


async def test_answers_about_rights_that_cross_end_with_the_newest(two: TwoProcesses) -> None:
    """Several changes at once, and a store that answers the first question last."""
    alice = await Socket.joined(two.there, await two.token())
    real, waits = two.there.tokens.rows.get, [0.3, 0.0, 0.1, 0.0]

    async def get(app: str, key: str) -> Any:
        found = await real(app, key)
        await asyncio.sleep(waits.pop(0) if waits else 0)
        return found

    two.there.tokens.rows.get = get  # type: ignore[method-assign]  # slow at first
    for role in (Role.AUDITOR, Role.MEMBER, Role.AUDITOR):
        await two.role(role)
        await asyncio.sleep(0.01)
    await until(lambda: not waits and not alice.me.grant.can_publish)
    await asyncio.sleep(0.3)
    assert not alice.me.grant.can_publish


@pytest.mark.parametrize("end", ["session", "account", "call token"])
async def test_a_token_that_is_no_longer_good_moderates_nothing(
    two: TwoProcesses, end: str
) -> None:
    """It is signed and timely; who was in the call or not, in both processes."""
    await two.role(Role.ADMINISTRATOR)
    principal = await who(two.here)
    made = await two.here.tokens.issue(principal, "r")
    others = await two.token()
    alice = await Socket.joined(two.there, made.token)
    fresh = alice.me.fresh_token()
    assert await two.there.moderates(made.token) == (200, "")
    if end == "session":
        await two.here.house.service.end_session(APP, principal.session or "")
    elif end == "account":
        await two.role(Role.ADMINISTRATOR, disabled=True)
    else:
        await two.here.tokens.take_back(principal, made.id)
    for process in (two.here, two.there):
        for token in (made.token, fresh):
            refused = (401, "unauthenticated: token was revoked")
            assert await process.moderates(token) == refused
            assert await process.validate(token) == (401, "token was revoked")
        assert (await process.moderates(others))[0] == (401 if end == "account" else 200)
    await until(lambda: alice.me.closed)


async def test_the_server_api_waits_for_a_store_that_is_away(two: TwoProcesses) -> None:
    """Nobody moderates on a guess; a token of the application's own key asks no store."""
    await two.role(Role.ADMINISTRATOR)
    token = await two.token()

    async def get(app: str, key: str) -> Any:
        raise Unavailable("the store is away")

    two.there.tokens.rows.get = get  # type: ignore[method-assign]  # a store that is away
    assert await two.there.moderates(token) == (503, "unavailable: the store is away")
    now = int(two.here.house.clock.unix())
    claims = {"iss": "devkey", "nbf": now, "exp": now + 60,
              "video": {"room": "r", "roomAdmin": True}}  # fmt: skip
    own = jwt.encode(claims, "s" * 32, algorithm="HS256")
    assert await two.there.moderates(own) == (200, "")


async def test_a_body_that_comes_slowly_is_judged_when_it_is_there(two: TwoProcesses) -> None:
    await two.role(Role.ADMINISTRATOR)
    token = await two.token()
    sent = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'{"room": '
        await sent.wait()
        yield b'"r"}'

    url = f"{two.there.url}/twirp/livekit.RoomService/ListParticipants"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    async def ask() -> int:
        async with two.there.client.post(url, data=body(), headers=headers) as answer:
            return answer.status

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0.1)
    await two.role(Role.MEMBER)
    sent.set()
    assert await asking == 401


async def test_what_one_token_opened_is_not_resumed_with_another(calls: Calls) -> None:
    """Else who takes that other back would leave somebody in the call with it."""
    principal = await who(calls)
    first, second = [await calls.tokens.issue(principal, "r") for _ in range(2)]
    alice = await Socket.joined(calls, first.token)
    for token, message in ((second.token, "leave"), (alice.me.fresh_token(), "reconnect")):
        url = f"{calls.url}/rtc?access_token={token}&protocol=17&reconnect=1&sid={alice.me.sid}"
        async with calls.client.ws_connect(url) as socket:
            answer = rtc.SignalResponse.FromString(await socket.receive_bytes(timeout=30))
            assert answer.WhichOneof("message") == message
            if message == "leave":
                assert answer.leave.action == rtc.LeaveRequest.Action.RECONNECT
    assert not alice.me.closed


async def test_who_is_in_does_not_wait_at_the_door_when_rights_change(two: TwoProcesses) -> None:
    """A lobby that was opened since is for who comes now."""
    token = await two.token()
    alice = await Socket.joined(two.there, token)
    await until(lambda: alice.me.state == models.ParticipantInfo.State.JOINED)

    async def closed(principal: Principal, view: AccountView, room: str) -> VideoGrant:
        raise Refused(Code.NOT_PERMITTED, 403, "Wait in the lobby.")

    two.there.tokens.door = closed
    await two.role(Role.AUDITOR)
    await until(lambda: not alice.me.grant.can_publish)
    assert not alice.me.closed
    assert (await two.there.validate(token))[0] == 401


async def test_whip_and_whep_refuse_a_token_that_is_no_longer_good(calls: Calls) -> None:
    """To begin with, and to touch what another token of the same device began."""
    principal, sessions = await who(calls), Sessions(calls.rooms)
    first, second = [await calls.tokens.issue(principal, "r") for _ in range(2)]
    session = await sessions.publish(first.token, "r", offer("abcd", "p" * 24))
    for made in (first, second):
        assert await sessions.find("whip", "r", session.id, made.token) is session
    await calls.tokens.take_back(principal, second.id)
    for used in (
        sessions.find("whip", "r", session.id, second.token),
        sessions.find("whip", "r", "none", second.token),
        sessions.publish(second.token, "r", offer("abcd", "p" * 24)),
        sessions.watch(second.token, "r", offer("abcd", "p" * 24), ()),
    ):
        with pytest.raises(Refused) as refused:
            await used
        assert (refused.value.status, refused.value.message) == (401, "token was revoked")
    assert await sessions.find("whip", "r", session.id, first.token) is session
    await calls.tokens.take_back(principal, first.id)
    await until(lambda: session.participant.closed)
    with pytest.raises(Refused):
        await sessions.find("whip", "r", session.id, first.token)
    assert not len(sessions)


async def test_whip_needs_the_right_to_publish_when_it_begins(two: TwoProcesses) -> None:
    token, sessions = await two.token(), Sessions(two.there.rooms)
    session = await sessions.publish(token, "r", offer("abcd", "p" * 24))
    await two.role(Role.AUDITOR)
    await until(lambda: not session.participant.grant.can_publish)
    assert not session.participant.publishing.published()
    with pytest.raises(Refused) as refused:
        await sessions.publish(token, "r", offer("abcd", "p" * 24))
    assert refused.value.status == 403
