"""Who is told of what and when, over an outbox that keeps what it gets: rings, quiet, reading.

Long because each rule is a test of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from signaling.accounts.sessions.port import Change, Revocation
from signaling.bus.local import LocalBus
from signaling.delivery.notify import Notice, RoomFacts
from signaling.delivery.port import Dead, Delivered, Gone, Item, Outcome, Retry
from signaling.delivery.push.model import Parcel, PushKind, PushSettings, Quiet, Subscription
from signaling.delivery.push.notifier import GRACE, Devices, decode
from signaling.delivery.push.register import KIND, MOST, Register
from signaling.delivery.push.sender import PushSender
from signaling.ids import SeededIds
from tests.signaling.access.rig import APP, Ground, ground
from tests.signaling.storage.places import MemoryPlace

OPEN = RoomFacts(name="Tea", open=True)


@dataclass
class Kept:
    """An outbox that sends nothing."""

    items: list[Item] = field(default_factory=list)
    ephemeral: list[bool] = field(default_factory=list)
    dropped: list[tuple[str, str, str]] = field(default_factory=list)

    async def put(self, items: Sequence[Item], *, ephemeral: bool = False) -> None:
        self.items += items
        self.ephemeral += [ephemeral] * len(items)

    async def drop(self, app: str, *, target: str = "", room: str = "", subject: str = "") -> int:
        self.dropped.append((target, room, subject))
        return 0

    def said(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(decode(item.body).content) for item in self.items]


@dataclass
class Town:
    """What the notifier asks of its neighbours, as a test has it."""

    facts: RoomFacts | None = OPEN
    blocked: set[tuple[str, str]] = field(default_factory=set)
    read: int = 0
    devices: list[str] = field(default_factory=list)
    quiet: bool = False
    stranger: bool = False

    async def room(self, app: str, room: str) -> RoomFacts | None:
        return self.facts

    async def blocks(self, app: str, account: str, other: str) -> bool:
        return (account, other) in self.blocked

    async def muted(self, app: str, account: str, room: str) -> bool:
        return self.quiet

    async def member(self, app: str, account: str, room: str) -> bool:
        return not self.stranger

    async def read_upto(self, app: str, account: str, room: str, parent: str | None) -> int:
        return self.read

    async def here(self, app: str, account: str) -> Sequence[str]:
        return self.devices

    async def name(self, app: str, account: str) -> str:
        return account.title()


@dataclass
class Service:
    """A way that answers what a test says."""

    outcomes: list[Outcome] = field(default_factory=list)
    sent: list[tuple[str, int]] = field(default_factory=list)

    async def send(self, one: Subscription, parcel: Parcel, ident: str, ttl: int) -> Outcome:
        outcome = self.outcomes.pop(0) if self.outcomes else Delivered()
        if isinstance(outcome, Delivered):
            self.sent.append((parcel.kind, ttl))
        return outcome

    async def close(self) -> None:
        return None


class Rig:
    def __init__(self, ground: Ground) -> None:
        self.ground, self.clock, self.bus = ground, ground.clock, LocalBus(ground.clock)
        self.outbox, self.town, self.service = Kept(), Town(), Service()
        self.register = self.another()
        self.over: set[str] = set()
        self.devices = Devices(
            self.register, self.town, self.outbox, ground.sealer, self.bus, ground.clock,
            SeededIds(ground.clock), ttl=86400,
        )  # fmt: skip
        self.sender = PushSender(
            self.register,
            {PushKind.FCM: self.service},
            self.devices.wanted,
            self.lives,
            ground.clock,
        )

    def another(self) -> Register:
        """Of another process."""
        return Register(self.ground.store, self.ground.sealer, self.bus, self.outbox, APP)

    async def lives(self, app: str, session: str) -> float | None:
        return None if session in self.over else self.clock.unix() + 1000

    async def device(self, name: str = "phone", **more: Any) -> Subscription:
        wish = {
            "id": f"id-{name}", "account": "bob", "session": f"s-{name}", "device": name,
            "kind": PushKind.FCM, "created": 0.0, "token": f"token-{name}", **more,
        }  # fmt: skip
        return await self.register.add(APP, Subscription(**wish), None)

    async def tell(self, kind: str = "message", **more: Any) -> int:
        wish = {"kind": kind, "room": "r1", "sender": "ann", "id": "m1", "seq": 7, **more}
        return await self.devices.notify(APP, "bob", msgspec.convert(wish, Notice))


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with ground(MemoryPlace(), tmp_path) as made:
        yield Rig(made)


async def test_every_device_but_those_that_are_here(rig: Rig) -> None:
    for name in ("phone", "tablet", "laptop"):
        await rig.device(name)
    rig.town.devices = ["laptop"]
    assert await rig.tell() == 2
    assert [item.target for item in rig.outbox.items] == ["id-phone", "id-tablet"]
    assert {item.lane for item in rig.outbox.items} == {"push:id-phone", "push:id-tablet"}
    assert await rig.devices.notify(APP, "ann", Notice(kind="message", room="r1")) == 0


async def test_who_is_at_another_device_has_a_moment_to_read_it_there(rig: Rig) -> None:
    await rig.device("phone")
    await rig.tell()
    rig.town.devices = ["laptop"]
    await rig.tell()
    now = rig.clock.unix()
    assert [item.due for item in rig.outbox.items] == [now, now + GRACE]


async def test_a_ring_goes_at_once_lives_as_long_as_it_rings_and_is_taken_back(rig: Rig) -> None:
    await rig.device("phone")
    rig.town.devices = ["laptop"]
    ring = {"collapse": "call-1", "ttl_s": 30, "id": "", "seq": 0}
    assert await rig.tell("call", **ring) == 1
    assert await rig.tell("over", **ring) == 1
    assert await rig.tell("missed", **{**ring, "ttl_s": 3600}) == 1
    call, over, missed = rig.outbox.items
    assert (call.due, call.expires) == (rig.clock.unix(), rig.clock.unix() + 30)
    assert call.collapse == over.collapse == missed.collapse != ""
    parcel = decode(call.body)
    assert parcel.urgency == "high"
    said = rig.outbox.said()[0]
    assert said["expires_at"] == int(rig.clock.unix()) + 30
    assert said["sender"] == "ann"
    rig.clock.advance(31)
    assert await rig.sender.send(APP, "id-phone", [call]) == Delivered()
    assert rig.service.sent == [], "a ring that is over is not sent"


async def test_of_blocked_people_nothing_is_heard(rig: Rig) -> None:
    await rig.device("phone")
    rig.town.blocked = {("bob", "ann")}
    for kind in ("message", "mention", "reaction", "invite", "call", "missed"):
        assert await rig.tell(kind) == 0
    rig.town.blocked = set()
    assert await rig.tell() == 1


async def test_wishes_for_reactions_invitations_and_calls(rig: Rig) -> None:
    await rig.device("phone")
    kinds = ("reaction", "invite", "call", "message")
    assert [await rig.tell(kind) for kind in kinds] == [0, 1, 1, 1]
    wish = PushSettings(reactions=True, invites=False, calls=False)
    await rig.register.set_settings(APP, "bob", wish)
    assert [await rig.tell(kind) for kind in kinds] == [1, 0, 0, 1]


async def test_a_muted_room_does_not_ring(rig: Rig) -> None:
    await rig.device("phone")
    rig.town.quiet = True
    assert [await rig.tell(kind, collapse="c") for kind in ("call", "missed")] == [0, 0]
    rig.town.quiet = False
    assert await rig.tell("call", collapse="c") == 1


async def test_in_quiet_hours_messages_wait_and_calls_do_not_ring(rig: Rig) -> None:
    """It is 08:00 UTC on 15 January 2027."""
    await rig.device("phone")
    quiet = Quiet(start="07:00", end="09:30")
    await rig.register.set_settings(APP, "bob", PushSettings(quiet=quiet))
    now = rig.clock.unix()
    assert await rig.tell() == 1
    assert rig.outbox.items[0].due == now + 5400
    assert rig.outbox.items[0].expires == now + 5400 + 86400
    assert await rig.tell("call", collapse="c", ttl_s=30) == 0
    assert await rig.tell("missed", collapse="c") == 1
    rig.town.facts = RoomFacts(transient=True)
    assert await rig.tell() == 0, "nothing of it may be kept until then"
    rig.town.facts = OPEN
    loud = msgspec.structs.replace(quiet, calls=True)
    await rig.register.set_settings(APP, "bob", PushSettings(quiet=loud))
    assert await rig.tell("call", collapse="c", ttl_s=30) == 1
    assert rig.outbox.items[-1].due == now


async def test_of_a_transient_room_nothing_is_stored(rig: Rig) -> None:
    await rig.device("phone")
    rig.town.facts = RoomFacts(name="Tea", transient=True, preview=True)
    await rig.tell(preview="the canary sings")
    await rig.tell("call", collapse="c", ttl_s=30)
    assert rig.outbox.ephemeral == [True, True]
    wake, ring = rig.outbox.said()
    assert wake == {"kind": "wake", "tag": wake["tag"]}
    assert set(ring) == {"kind", "tag", "room", "expires_at"}
    assert b"canary" not in b"".join(item.body for item in rig.outbox.items)


async def test_a_call_that_is_no_rooms_rings_without_words(rig: Rig) -> None:
    await rig.device("phone")
    rig.town.facts = None
    assert await rig.tell("call", room="hall", collapse="c", ttl_s=30, preview="x") == 1
    assert "sender" not in rig.outbox.said()[0]


async def test_notices_of_a_room_replace_each_other_and_services_cannot_compare(rig: Rig) -> None:
    await rig.device("phone")
    await rig.tell(id="m1")
    await rig.tell(id="m2")
    await rig.tell(room="r2")
    first, second, other = (item.collapse for item in rig.outbox.items)
    assert first == second != other
    assert rig.devices.tag(APP, "ann", "r1") != first, "another account's is another"
    assert "r1" not in first


async def test_reading_takes_back_once_and_not_on_the_reading_device(rig: Rig) -> None:
    await rig.device("phone")
    await rig.device("laptop")
    assert await rig.devices.read(APP, "bob", "r1", 9, "laptop") == 0, "nothing was shown"
    await rig.tell(seq=7)
    rig.outbox.items.clear()
    assert await rig.devices.read(APP, "bob", "r1", 6, "laptop") == 0, "not as far"
    assert await rig.devices.read(APP, "bob", "r1", 7, "laptop") == 1
    (item,) = rig.outbox.items
    assert (item.target, rig.outbox.said()[0]["kind"]) == ("id-phone", "read")
    assert await rig.devices.read(APP, "bob", "r1", 8, "laptop") == 0, "once"


async def test_what_was_deleted_no_longer_waits_and_leaves_the_screens(rig: Rig) -> None:
    await rig.device("phone")
    await rig.tell(id="m1")
    await rig.devices.forget(APP, "m1")
    assert await rig.devices.deleted(APP, "bob", "r1", "m1") == 1
    assert ("", "", "m1") in rig.outbox.dropped
    assert rig.outbox.said()[-1]["id"] == "m1"


# The sender


async def test_what_was_read_meanwhile_is_not_sent(rig: Rig) -> None:
    await rig.device("phone")
    await rig.tell(seq=7)
    (item,) = rig.outbox.items
    rig.town.read = 7
    assert await rig.sender.send(APP, "id-phone", [item]) == Delivered()
    assert rig.service.sent == []
    rig.town.read = 6
    rig.town.devices = ["phone"]
    await rig.sender.send(APP, "id-phone", [item])
    assert rig.service.sent == [], "it is here itself now"
    rig.town.devices, rig.town.stranger = [], True
    await rig.sender.send(APP, "id-phone", [item])
    assert rig.service.sent == [], "its owner was removed from the room"
    rig.town.stranger = False
    rig.clock.advance(100)
    await rig.sender.send(APP, "id-phone", [item])
    assert rig.service.sent == [("message", 86300)]


async def test_a_batch_is_tried_again_where_it_stopped(rig: Rig) -> None:
    await rig.device("phone")
    for seq in (1, 2, 3):
        await rig.tell(id=f"m{seq}", seq=seq)
    items = rig.outbox.items
    rig.service.outcomes = [Delivered(), Retry(5.0, "busy")]
    assert await rig.sender.send(APP, "id-phone", items) == Retry(5.0, "busy")
    assert await rig.sender.send(APP, "id-phone", items) == Delivered()
    assert len(rig.service.sent) == 3
    rig.service.outcomes = [Dead("too large")]
    await rig.tell(id="m4", seq=4)
    assert await rig.sender.send(APP, "id-phone", items[-1:]) == Dead("too large")


async def test_gone_devices_and_ended_sessions_leave_nothing(rig: Rig) -> None:
    await rig.device("phone")
    await rig.device("tablet")
    await rig.tell()
    phone, tablet = rig.outbox.items
    rig.service.outcomes = [Gone("410")]
    assert await rig.sender.send(APP, "id-phone", [phone]) == Gone("410")
    assert await rig.register.get(APP, "id-phone") is None
    rig.over.add("s-tablet")
    assert isinstance(await rig.sender.send(APP, "id-tablet", [tablet]), Gone)
    assert await rig.register.of(APP, "bob") == []
    assert not rig.register.any(APP)
    assert isinstance(await rig.sender.send(APP, "id-phone", [phone]), Gone)


async def test_a_parcel_that_cannot_be_read_is_dead_and_a_service_that_is_not_set_up_too(
    rig: Rig,
) -> None:
    await rig.device("phone")
    await rig.device("mac", kind=PushKind.APNS)
    await rig.tell()
    broken = msgspec.structs.replace(rig.outbox.items[0], body=b"{", id="x")
    assert isinstance(await rig.sender.send(APP, "id-phone", [broken]), Dead)
    assert isinstance(await rig.sender.send(APP, "id-mac", rig.outbox.items[1:]), Dead)


# The register


async def test_the_last_who_registers_a_place_has_it(rig: Rig) -> None:
    first = await rig.device("phone")
    again = await rig.device("phone", id="other-id")
    assert again.id == first.id, "the same session's again"
    theirs = await rig.device("phone", id="third", account="ann", session="s-ann")
    assert [one.id for one in await rig.register.of(APP, "ann")] == [theirs.id]
    assert await rig.register.of(APP, "bob") == []
    await asyncio.sleep(0)
    assert not rig.register.has(APP, "bob")
    assert (first.id, "", "") in rig.outbox.dropped


async def test_an_account_has_so_many_and_the_oldest_goes(rig: Rig) -> None:
    for number in range(MOST + 2):
        await rig.device(f"d{number:03}")
    mine = await rig.register.of(APP, "bob")
    assert [one.id for one in mine] == [f"id-d{number:03}" for number in range(2, MOST + 2)]


async def test_other_processes_hear_and_a_new_one_reads(rig: Rig) -> None:
    other = rig.another()
    await rig.device("phone")
    await asyncio.sleep(0)
    assert other.has(APP, "bob"), "by the bus"
    late = rig.another()
    assert not late.any(APP)
    await late.load()
    assert late.has(APP, "bob")
    await rig.register.remove(APP, "bob", "id-phone")
    await asyncio.sleep(0)
    assert not other.has(APP, "bob")
    assert not await rig.register.remove(APP, "bob", "id-phone")


async def test_a_session_takes_its_devices_with_it_an_account_all(rig: Rig) -> None:
    await rig.device("phone")
    await rig.device("tablet")
    await rig.device("theirs", account="ann")
    changed = Revocation(app=APP, account="bob", change=Change.CHANGED)
    rig.register.hear(changed)
    rig.register.hear(Revocation(app=APP, token="t", session="s-phone"))
    rig.register.hear(Revocation(app=APP, session="s-tablet", reason="signed_out"))
    await rig.register.close()
    assert [one.id for one in await rig.register.of(APP, "bob")] == ["id-phone"]
    rig.register.hear(Revocation(app=APP, account="bob", reason="removed"))
    await rig.register.close()
    assert await rig.register.of(APP, "bob") == []
    assert [one.id for one in await rig.register.of(APP, "ann")] == ["id-theirs"]
    await rig.register.set_settings(APP, "ann", PushSettings(reactions=True))
    assert await rig.register.forget(APP, "ann") == 2
    assert await rig.register.settings(APP, "ann") == PushSettings()
    assert not rig.register.any(APP)


async def test_endpoints_and_tokens_are_sealed_and_bound_to_their_row(rig: Rig) -> None:
    await rig.device("phone", token="canary-token-4711")
    await rig.register.set_settings(APP, "bob", PushSettings(time_zone="Asia/Kolkata"))
    meta = rig.ground.store.meta
    (row,) = await meta.scan(APP, KIND)
    assert b"canary" not in row.value
    assert not [term for term in row.terms if "canary" in term]
    (wish,) = await meta.scan(APP, "push.settings")
    assert b"Kolkata" not in wish.value
    await rig.ground.sealer.shred(APP, "account:bob")
    assert await rig.register.get(APP, "id-phone") is None
    assert await rig.register.of(APP, "bob") == []
    assert await rig.register.settings(APP, "bob") == PushSettings()


async def test_a_lively_room_does_not_put_it_off_for_ever(rig: Rig) -> None:
    await rig.device("phone")
    rig.town.devices = ["laptop"]
    begun = rig.clock.unix()
    for seq in range(1, 5):
        await rig.tell(seq=seq)
        rig.clock.advance(2)
    assert [item.due for item in rig.outbox.items[:3]] == [begun + GRACE] * 3
    assert rig.outbox.items[3].due == begun + 6 + GRACE, "a moment of its own, after the first"


async def test_a_waiting_mention_is_not_replaced_by_a_message(rig: Rig) -> None:
    await rig.device("phone")
    await rig.tell("mention")
    await rig.tell("message", id="m2", seq=8)
    mention, message = rig.outbox.items
    assert mention.collapse != message.collapse
    assert decode(mention.body).tag == decode(message.body).tag, "on the screen it is"
