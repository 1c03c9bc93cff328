"""Calls by access token: the cells of hear, speak and moderate, and the end of who is in a call."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from livekit.protocol import models

from signaling.access.calls import AccessAdmission, Passes, RoomPolicy, call_grant
from signaling.access.evaluate import ALLOWED, Granted, Nobody, Reason
from signaling.access.grant import read_grant
from signaling.accounts.principal import InsufficientScope, Kind, Principal
from signaling.accounts.signin import AccountView
from signaling.bus.local import LocalBus
from signaling.clock import FakeClock
from signaling.errors import Refused
from signaling.ids import SeededIds
from signaling.rtc import Claims, Participant
from signaling.rtc.admission import Everybody
from signaling.rtc.tokens import ApiKeys, verify
from signaling.secret import Secret
from tests.signaling.access.rig import APP, Process, Rooms, ground
from tests.signaling.access.test_matrix import NOW, granted
from tests.signaling.storage.places import MemoryPlace

KEYS = ApiKeys({"key": Secret("s" * 40)})


def test_b22_the_cells_of_a_call() -> None:
    """Every subset of read, write and manage; join alone opens no call."""
    for read, write, manage, join in itertools.product((0, 1), repeat=4):
        mask = read * 1 | write * 2 | manage * 4 | join * 128
        holder = granted({"channels": {"room": mask}})
        decision, grant = call_grant(holder, "room", (), NOW)
        assert (decision is ALLOWED) == bool(read)
        assert grant.can_publish == grant.can_publish_data == bool(write)
        assert grant.room_admin == bool(manage)
        assert grant.room == "room" and grant.room_join
        assert not (grant.room_create or grant.room_list or grant.room_record or grant.hidden)
        elsewhere, nothing = call_grant(holder, "other", (), NOW)
        assert elsewhere.reason is Reason.NOT_GRANTED
        assert not nothing.can_publish and not nothing.room_admin
    decision, grant = call_grant(Nobody(), "room", (), NOW)
    assert decision.reason is Reason.MISSING
    assert not grant.can_publish and not grant.room_admin


class Anybody(Everybody):
    async def stop(self) -> None:
        """There is nothing to end."""


@dataclass
class Room:
    name: str = "room"


class Inside:
    """As much of a participant as admission sees."""

    def __init__(self, claims: Claims) -> None:
        self.claims, self.room, self.sid = claims, Room(), "PA_1"
        self.closed = False
        self.reason: Any = None

    def leave(self, reason: Any) -> None:
        self.closed, self.reason = True, reason


async def opened(process: Process, ttl: int = 60, **more: Any) -> tuple[str, Granted, Any]:
    keyset = await process.keysets.create(APP, "k")
    body = {"ttl": ttl, "permissions": {"resources": {"channels": {"room": 3}}, **more}}
    grant = read_grant(msgspec.json.encode(body))
    token = await process.grants.grant(APP, keyset, grant)
    found = await process.grants.find(APP, token)
    assert isinstance(found, Granted)
    return token, found, keyset


def inside(process: Process, found: Granted, uuid: str | None = None) -> Inside:
    passes = Passes(KEYS, process.clock, SeededIds(process.clock))
    made = passes.issue(found, "room", uuid, "")
    claims = verify(KEYS, made.token, process.clock.unix())
    assert claims.identity == made.identity
    return Inside(claims)


async def settled() -> None:
    """Tasks and short timers have run."""
    for _ in range(20):
        await asyncio.sleep(0.01)


async def test_b26_whoever_joined_leaves_when_the_token_is_revoked(tmp_path: Path) -> None:
    async with ground(MemoryPlace(), tmp_path) as base:
        process = Process(base, LocalBus(base.clock))
        register = process.revocations.register
        admission = AccessAdmission(Anybody(), process.grants, register, base.clock)
        token, found, keyset = await opened(process)
        guest = inside(process, found)
        assert guest.claims.video.can_publish and not guest.claims.video.room_admin
        await admission.check(guest.claims, "room")
        admission.joined(cast("Participant", guest))
        await settled()
        assert not guest.closed and len(register) == 1
        await process.grants.revoke(APP, keyset, token)
        await settled()
        assert guest.reason == models.DisconnectReason.PARTICIPANT_REMOVED
        admission.left(cast("Participant", guest))
        assert len(register) == 0
        with pytest.raises(Refused):
            await admission.check(guest.claims, "room")
        # The pass itself is still signed and timely: what it stands on is gone.
        late = Inside(guest.claims)
        admission.joined(cast("Participant", late))
        await settled()
        assert late.closed


async def test_b26_a_call_ends_with_the_last_minute_of_its_token(tmp_path: Path) -> None:
    async with ground(MemoryPlace(), tmp_path) as base:
        process = Process(base, LocalBus(base.clock))
        register = process.revocations.register
        admission = AccessAdmission(Anybody(), process.grants, register, base.clock)
        _, found, _ = await opened(process, ttl=1)
        base.clock.advance(59.9)
        guest = inside(process, found)
        assert guest.claims.expires_at <= found.until + 1
        admission.joined(cast("Participant", guest))
        await settled()
        assert not guest.closed
        base.clock.advance(0.1)
        await settled()
        assert guest.closed


async def test_b24_a_pass_is_for_whom_the_token_is(tmp_path: Path) -> None:
    async with ground(MemoryPlace(), tmp_path) as base:
        process = Process(base, LocalBus(base.clock))
        _, found, _ = await opened(process, uuid="ada")
        passes = Passes(KEYS, base.clock, SeededIds(base.clock))
        for uuid in (None, "bob"):
            with pytest.raises(Refused) as refused:
                passes.issue(found, "room", uuid, "")
            assert refused.value.status == 403
        with pytest.raises(Refused):
            passes.issue(found, "elsewhere", "ada", "")
        first, second = (passes.issue(found, "room", "ada", "") for _ in range(2))
        assert first.identity.startswith("ada:") and first.identity != second.identity


@pytest.mark.parametrize(
    ("account", "kind", "their_room", "room", "status"),
    [
        ("ann", Kind.ACCOUNT, "", "anns", 0),
        ("ann", Kind.ACCOUNT, "", "elsewhere", 403),
        ("gus", Kind.GUEST, "party", "party", 0),
        ("gus", Kind.GUEST, "party", "anns", 403),
        ("gus", Kind.GUEST, "", "anns", 403),
    ],
)
async def test_b22_sessions_are_asked_the_same(
    account: str, kind: Kind, their_room: str, room: str, status: int
) -> None:
    clock = FakeClock()
    scopes = frozenset({"calls:join"})
    principal = Principal(app=APP, kind=kind, account=account, scopes=scopes)
    view = AccountView(
        app=APP, id=account, login=account, name=account, kind=kind, roles=frozenset(),
        disabled=False, second_factor=False, changed=1, room=their_room,
    )  # fmt: skip
    policy = RoomPolicy(Rooms(), clock)
    if status:
        with pytest.raises(Refused) as refused:
            await policy(principal, view, room)
        assert refused.value.status == status
    else:
        grant = await policy(principal, view, room)
        assert grant.can_publish and grant.can_subscribe and not grant.room_admin
    with pytest.raises(InsufficientScope):
        await policy(msgspec.structs.replace(principal, scopes=frozenset()), view, room)
