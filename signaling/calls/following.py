"""What follows from a change of a call: media ends, devices are told, push, the timeline.

Carried out by whoever's change got through. What a crash leaves undone is found in the row by
`keeper`: its messages (`says`) and its times. Owned by `service`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from signaling.calls import tokens
from signaling.calls.call import Call, End, Event, Told
from signaling.calls.machine import due, step
from signaling.calls.port import (
    CallNotice,
    CallNoticeKind,
    Devices,
    Leaving,
    Media,
    NoLeaving,
    NoMedia,
    NoNotifier,
    Notifier,
)
from signaling.calls.records import NoCall, Records
from signaling.calls.refusals import refusal
from signaling.calls.verbs import Late, Rules, Verb, Written
from signaling.chat.ops import CallOp, CallState
from signaling.chat.ports import Calling
from signaling.chat.room import Room
from signaling.chat.service import Chat
from signaling.clock import Clock
from signaling.errors import Unavailable
from signaling.ids import is_id
from signaling.keys.port import KeyDestroyed, Sealer
from signaling.storage.table import Row

log = logging.getLogger(__name__)

DAY = 86400.0
# A missed call is worth telling for so long.
MISSED_SECONDS = 86400
# What of a callee means that it missed a call.
_MISSED = (Event.TIMED_OUT, Event.BUSY, Event.CANCELLED, Event.NOT_SUPPORTED)


@dataclass
class Following:
    """One for each process. `media`, `leaving` and `notifier` are set when there are such; `due`
    says when which call has to be looked at.
    """

    records: Records
    chat: Chat
    devices: Devices
    sealer: Sealer
    clock: Clock
    rules: Rules
    history_days: int = 30
    notifier: Notifier = field(default_factory=NoNotifier)
    media: Media = field(default_factory=NoMedia)
    leaving: Leaving = field(default_factory=NoLeaving)
    due: dict[tuple[str, str], float] = field(default_factory=dict)
    turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    writing: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def turn(self, ident: str) -> asyncio.Lock:
        """Held while a call changes and that is told, so that it is told in order."""
        return self.turns.setdefault(ident, asyncio.Lock())

    async def do(self, app: str, ident: str, verb: Verb) -> Call:
        """One verb. Raises ClientError for what comes too late, NoCall, Unavailable."""
        async with self.turn(ident):
            return await self._do(app, ident, verb)

    async def _do(self, app: str, ident: str, verb: Verb) -> Call:
        told: Sequence[Told] = ()
        before: Call | None = None
        now = self.clock.unix()

        def change(call: Call) -> Call:
            nonlocal told, before
            before = call
            after, told = step(call, verb, now, self.rules)
            return after

        try:
            row = await self.records.change(app, ident, change)
        except Late as late:
            raise refusal(late) from None
        after = row.value
        assert before is not None
        if after.end is not None and before.end is None:
            # Before anything else can run here, so that nobody who still is in begins another.
            here = self.media.here().get(after.room, {})
            self.media.close(after.room)
            if any(participant not in here for participant in before.present):
                await self.leaving.leave(app, None, after.room)
        if after != before or told:
            await self.follow(app, after, told)
        return after

    async def follow(self, app: str, call: Call, told: Iterable[Told]) -> None:
        when = due(call, self.rules)
        if when is not None:
            self.due[(app, call.id)] = when
        else:
            self.due.pop((app, call.id), None)
        for one in told:
            await self._tell(app, call, one)
        if call.says or call.end is not None:
            await self.write(app, call.id)

    # Devices

    async def _tell(self, app: str, call: Call, told: Told) -> None:
        callee = call.callees.get(told.account)
        rings = told.event is Event.RING and callee is not None
        hint = Calling(
            call=call.id, room=call.room, event=told.event.value, caller=call.caller,
            account=told.account, device=told.device, video=call.video,
            until=callee.until if rings and callee is not None else 0.0,
        )  # fmt: skip
        try:
            await self.devices.tell(app, told.to, hint)
            notice = self._notice(app, call, told)
            if notice is not None:
                await self.notifier.notify(app, told.to, notice)
        except Unavailable as error:
            log.warning("devices were not told of a call: %s", error.message)

    def _notice(self, app: str, call: Call, told: Told) -> CallNotice | None:
        """Only of what happens to the account itself."""
        callee = call.callees.get(told.account)
        if told.to != told.account or callee is None:
            return None
        kind, life, reject = CallNoticeKind.OVER, self.rules.ring, ""
        if told.event is Event.RING:
            kind = CallNoticeKind.CALL
            life = callee.until - self.clock.unix()
            reject = tokens.make(self.sealer, app, call, told.account)
        elif told.event in _MISSED:
            kind, life = CallNoticeKind.MISSED, MISSED_SECONDS
        elif told.event not in (Event.ACCEPTED, Event.REJECTED):
            return None
        return CallNotice(
            kind=kind, call=call.id, room=call.room, sender=callee.by, video=call.video,
            ttl_s=max(1, int(life)), collapse=f"call:{call.id}", reject=reject,
        )  # fmt: skip

    # The timeline

    async def write(self, app: str, ident: str) -> None:
        """What waits for the timeline goes there, in order; then an ended call is closed."""
        try:
            async with self.writing.setdefault(ident, asyncio.Lock()):
                await self._write(app, ident)
        except (Unavailable, NoCall) as error:
            log.warning("a call is not in its timeline yet: %s", type(error).__name__)

    async def _write(self, app: str, ident: str) -> None:
        row = await self.records.get(app, ident)
        if row is None:
            return
        if row.value.says:
            await self._say(app, row.value)
            verb, now = Written(count=len(row.value.says)), self.clock.unix()
            row = await self.records.change(
                app, ident, lambda call: step(call, verb, now, self.rules)[0]
            )
        over = row.value.end is not None and not row.value.says
        if over and row.expires is None:
            await self._close(app, row)

    async def _say(self, app: str, call: Call) -> None:
        room = await self.room(app, call.room)
        if room is None:
            return
        ops = [
            CallOp(
                id=call.id, state=CallState(say.state), accounts=say.accounts,
                seconds=say.seconds, encryption=room.state.settings.call_encryption,
            )
            for say in call.says
        ]  # fmt: skip
        await self.chat.say(room, *ops)

    async def _close(self, app: str, row: Row[Call]) -> None:
        room = await self.room(app, row.value.room)
        kept = room is not None and not room.transient and row.value.end is not End.NOTHING
        expires = self.clock.unix() + self.history_days * DAY if kept else None
        await self.records.close(app, row, expires)

    async def room(self, app: str, name: str) -> Room | None:
        """None for any name that is no room's id."""
        if not is_id(name):
            return None
        try:
            return await self.chat.rooms.find(app, name)
        except KeyDestroyed:
            return None
