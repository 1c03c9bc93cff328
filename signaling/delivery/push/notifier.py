"""The notifier over devices' subscriptions: who of an account's devices is told, when, and what.

Implements `notify.Notifier`. It decides when something happens; the `Sender` asks it again
(`wanted`) when a parcel goes out, which may be much later: what was read meanwhile is not sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from signaling.bus.port import Bus
from signaling.clock import Clock
from signaling.delivery.notify import SILENT, Around, Notice, NoticeKind, RoomFacts, Urgency
from signaling.delivery.port import Item, Outbox
from signaling.delivery.push.content import Content, content, encode, shows
from signaling.delivery.push.model import ITEM_KIND, Parcel, PushKind, PushSettings, Subscription
from signaling.delivery.push.quiet import quiet_until
from signaling.delivery.push.register import Register
from signaling.ids import Ids
from signaling.keys.port import Sealer

# Whoever is at another device has so long to read it there.
GRACE = 5.0
TEST_SECONDS = 300
# That something is on a screen is remembered for as long.
SHOWN_SECONDS = 7 * 86400.0
TAG_CHARACTERS = 32
# A waiting mention is not replaced by what is said after it.
MENTION = "!"
# What reading a room makes superfluous.
READABLE = frozenset({"message", "mention", "reaction", "invite"})
# Belong to one call: they go at once, and quiet hours silence them for good.
_RINGING = frozenset({"call", "over"})
_CALLING = frozenset({"call", "missed"})


Agreed = Callable[[str, str], Awaitable[bool]]
"""Whether an account of an app may be woken, where waking rests on consent."""


async def _everybody(app: str, account: str) -> bool:
    return True


class Devices:
    """One for each process. Time, ids and keys are arguments."""

    def __init__(
        self, register: Register, around: Around, outbox: Outbox, sealer: Sealer, bus: Bus,
        clock: Clock, ids: Ids, *, ttl: int, grace: float = GRACE,
    ) -> None:  # fmt: skip
        self._register, self._around, self._outbox, self._bus = register, around, outbox, bus
        self._sealer, self._clock, self._ids = sealer, clock, ids
        self._ttl, self._grace = ttl, grace
        self.agreed: Agreed = _everybody

    async def notify(self, app: str, account: str, notice: Notice) -> int:
        """See `notify.Notifier`."""
        return await self._tell(app, account, notice)

    async def _tell(self, app: str, account: str, notice: Notice, but: str = "") -> int:
        """`but`: a device that knows already."""
        if not self._register.has(app, account) or not await self.agreed(app, account):
            return 0
        if notice.sender and await self._around.blocks(app, account, notice.sender):
            return 0
        if notice.kind in _CALLING and await self._around.muted(app, account, notice.room):
            return 0
        wish = await self._register.settings(app, account)
        if not _wanted_kind(wish, notice.kind):
            return 0
        facts = await self._facts(app, notice.room)
        now = self._clock.unix()
        due = quiet_until(wish, now) if notice.kind not in ("read", "deleted") else None
        if due is not None and notice.kind in _RINGING and wish.quiet and wish.quiet.calls:
            due = None
        if due is not None and (notice.kind in _RINGING or facts.transient):
            return 0  # nothing of it would be true, or may be kept, when they wake
        return await self._put(app, account, notice, wish, facts, due or now, but)

    async def _facts(self, app: str, room: str) -> RoomFacts:
        return (await self._around.room(app, room) if room else None) or RoomFacts()

    async def _put(
        self, app: str, account: str, notice: Notice, wish: PushSettings, facts: RoomFacts,
        due: float, but: str,
    ) -> int:  # fmt: skip
        there = set(await self._around.here(app, account))
        mine = await self._register.of(app, account)
        told = [one for one in mine if takes(one, notice.kind, mine)]
        told = [one for one in told if one.whereabouts not in {*there, but}]
        if not told:
            return 0
        if there and notice.kind in READABLE:
            due = max(due, await self._moment(app, account, notice.room))
        expires = due + min(notice.ttl_s, self._ttl)
        parcel = await self._parcel(app, account, notice, wish, facts, expires)
        body = encode(parcel)
        items = [
            Item(
                app=app, lane=f"push:{one.id}", kind=ITEM_KIND, target=one.id, body=body,
                id=self._ids.new(), due=due, expires=expires,
                collapse=parcel.tag + (MENTION if notice.kind == "mention" else ""),
                room=notice.room, subject=notice.id,
            )
            for one in told
        ]  # fmt: skip
        await self._outbox.put(items, ephemeral=facts.transient)
        if notice.kind in READABLE and not facts.transient:
            key = self._shown(app, account, notice.room)
            await self._bus.cache_set(key, str(notice.seq).encode(), SHOWN_SECONDS)
        return len(items)

    async def _moment(self, app: str, account: str, room: str) -> float:
        """The end of the moment that the first message began: those after it do not prolong it."""
        key = f"{app}:push:due:{self._sealer.blind(app, f'push.due:{account}:{room}')}"
        now = self._clock.unix()
        held = await self._bus.cache_get(key)
        if held is not None and now < float(held) <= now + self._grace:
            return float(held)
        await self._bus.cache_set(key, repr(now + self._grace).encode(), self._grace)
        return now + self._grace

    async def _parcel(
        self, app: str, account: str, notice: Notice, wish: PushSettings, facts: RoomFacts,
        expires: float,
    ) -> Parcel:  # fmt: skip
        tag = self.tag(app, account, notice.collapse or notice.room)
        full = shows(facts, wished=wish.previews)
        name = await self._around.name(app, notice.sender) if full and notice.sender else ""
        said = content(notice, facts, tag, wished=wish.previews, name=name, expires=expires)
        urgency: Urgency = "high" if notice.kind in ("call", "mention") else notice.urgency
        return Parcel(
            account=account, kind=notice.kind, content=encode(said).decode(), urgency=urgency,
            tag=tag, room="" if facts.transient else notice.room, seq=notice.seq,
            parent=notice.parent, shown=said.kind != "wake",
            title=said.room_name or said.sender_name, text=said.text,
        )  # fmt: skip

    def tag(self, app: str, account: str, what: str) -> str:
        """Tells services only what replaces what: another for each account."""
        return self._sealer.blind(app, f"push.tag:{account}:{what}")[:TAG_CHARACTERS]

    def _shown(self, app: str, account: str, room: str) -> str:
        return f"{app}:push:shown:{self._sealer.blind(app, f'push.shown:{account}:{room}')}"

    async def test(self, app: str, one: Subscription) -> None:
        """Whether it arrives at all."""
        expires = self._clock.unix() + TEST_SECONDS
        tag = self.tag(app, one.account, "test")
        said = encode(Content(kind="test", tag=tag)).decode()
        parcel = Parcel(account=one.account, kind="test", content=said, urgency="high", tag=tag)
        item = Item(
            app=app, lane=f"push:{one.id}", kind=ITEM_KIND, target=one.id, body=encode(parcel),
            id=self._ids.new(), expires=expires, collapse=tag,
        )  # fmt: skip
        await self._outbox.put([item])

    # Taking back

    async def read(self, app: str, account: str, room: str, seq: int, device: str) -> int:
        """It was read on `device`: gone from the screens of the others, and from what waits."""
        key = self._shown(app, account, room)
        shown = await self._bus.cache_get(key) if self._register.has(app, account) else None
        if shown is None or int(shown) > seq:
            return 0
        await self._bus.cache_delete(key)
        notice = Notice(kind="read", room=room, seq=seq, ttl_s=self._ttl, urgency="low")
        return await self._tell(app, account, notice, device)

    async def deleted(self, app: str, account: str, room: str, message: str) -> int:
        """Its message is no more."""
        key = self._shown(app, account, room)
        if not self._register.has(app, account) or await self._bus.cache_get(key) is None:
            return 0
        notice = Notice(kind="deleted", room=room, id=message, collapse=message, urgency="low")
        return await self.notify(app, account, notice)

    async def forget(self, app: str, message: str) -> None:
        """Nothing that still waits says what it said."""
        await self._outbox.drop(app, subject=message)

    async def wanted(self, app: str, one: Subscription, parcel: Parcel) -> bool:
        """Should it still be sent?"""
        if not await self.agreed(app, parcel.account):
            return False
        if parcel.kind not in READABLE or not parcel.seq or not parcel.room:
            return True
        if not await self._around.member(app, parcel.account, parcel.room):
            return False
        upto = await self._around.read_upto(app, parcel.account, parcel.room, parcel.parent)
        if upto >= parcel.seq:
            return False
        return one.whereabouts not in await self._around.here(app, parcel.account)


def takes(one: Subscription, kind: NoticeKind, mine: list[Subscription]) -> bool:
    """Of a device with a token for ringing that one rings, and nothing else goes there."""
    if one.voip:
        return kind in ("call", "test")
    if kind == "call" and one.kind is PushKind.APNS:
        return not any(
            other.voip and other.whereabouts == one.whereabouts
            for other in mine
            if other.kind is PushKind.APNS
        )
    return one.withdrawals or kind not in SILENT


def _wanted_kind(wish: PushSettings, kind: NoticeKind) -> bool:
    wanted = {"reaction": wish.reactions, "invite": wish.invites, "call": wish.calls}
    return wanted.get(kind, True)


decode = msgspec.json.Decoder(Parcel).decode
