"""Removes what rooms keep no longer: the log is cut before the first op that is young enough.

Never beyond an op of somebody whose messages are held, and not at all in a room that is. The row of
the room is written before the log is cut, so nothing of what the room is gets lost. Every process
may sweep at the same time: removing twice is once. `run` belongs to the composition root.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from msgspec import Struct

from signaling.chat.ops import Entry, Post, Set
from signaling.chat.reduce import subject_of
from signaling.chat.room import STATE_OPS, Room
from signaling.chat.sealing import to_ms
from signaling.chat.service import Chat
from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.compliance.holds.holds import Holds
from signaling.compliance.retention.policy import Policies, Policy, shortest
from signaling.errors import ClientError, Unavailable
from signaling.files.service import Files
from signaling.storage.port import Conflict

log = logging.getLogger(__name__)

PAGE = 500
# What another process changed is noticed at the latest after so long.
LOOK_AGAIN = 3600.0
ACTOR = "system:retention"


class Cut(Struct, frozen=True):
    """The log can go up to `upto`. The next op is from `due`, if there is one that nobody holds."""

    upto: int
    messages: tuple[str, ...]
    due: float | None


class Due(Struct, frozen=True):
    """What of a room would go now; nothing of one that is `held`."""

    room: str
    messages: int
    files: int
    held: bool


class Sweep:
    """One for each process."""

    def __init__(
        self, chat: Chat, files: Files, policies: Policies, holds: Holds, audit: Audit, clock: Clock
    ) -> None:
        self._chat, self._files, self._policies = chat, files, policies
        self._holds, self._audit, self._clock = holds, audit, clock
        self._due: dict[tuple[str, str], float] = {}
        self._cutting: dict[tuple[str, str], Cut] = {}
        self._life: dict[tuple[str, str], int] = {}
        policies.changed.append(self._due.clear)
        holds.changed.append(self._due.clear)

    async def committed(self, app: str, room: str, entries: Sequence[Entry]) -> None:
        """A hook of the log: what came is due in its time; another rule is looked at again."""
        place = (app, room)
        life = self._life.get(place)
        if any(isinstance(entry.op, Set) for entry in entries):
            self._due.pop(place, None)
        elif life is not None and place in self._due:
            self._due[place] = min(self._due[place], self._clock.unix() + life)

    async def run(self, app: str, seconds: float) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.round(app)
            except (Unavailable, ClientError, Conflict) as error:
                log.warning("retention: not everything was swept: %s", type(error).__name__)
            await asyncio.sleep(seconds)

    async def round(self, app: str) -> int:
        """How many messages went."""
        removed, now = 0, self._clock.unix()
        async for ident in self._chat.rooms.every(app):
            if self._due.get((app, ident), 0.0) > now:
                continue
            room = await self._chat.rooms.find_there(app, ident)
            if room is None or room.transient:
                continue
            try:
                removed += await self._room(app, room)
            except BaseException:
                self._due.pop((app, ident), None)  # cut short: due in the next round
                raise
        return removed

    async def dry_run(self, app: str, whole: Policy) -> list[Due]:
        """What a round would remove now if this were the app's rule, by room; all of it stays."""
        found: list[Due] = []
        async for ident in self._chat.rooms.every(app):
            room = await self._chat.rooms.find_there(app, ident)
            if room is None or room.transient:
                continue
            own = room.state.settings.retention
            policy = await self._policies.effective(app, ident, own, whole)
            due = await self._would(app, room, policy)
            if due.messages or due.files:
                found.append(due)
        return found

    async def _would(self, app: str, room: Room, policy: Policy) -> Due:
        now, register, files = self._clock.unix(), self._files.parts.register, set[str]()
        messages = set[str]()
        if policy.messages is not None:
            messages = set((await self._find(app, room, now - policy.messages)).messages)
        for reference in await register.of_room(app, room.id):
            row = await register.files.get(app, reference.file)
            if row is None:
                continue
            old = policy.files is not None and row.value.created <= now - policy.files
            kept = old and await self._holds.of_account(app, row.value.owner)
            if reference.message in messages or (old and not kept):
                files.add(reference.file)
        held = bool(await self._holds.of_room(app, room.id))
        return Due(room.id, len(messages), len(files), held)

    async def _room(self, app: str, room: Room) -> int:
        now = self._clock.unix()
        policy = await self._policies.effective(app, room.id, room.state.settings.retention)
        place = (app, room.id)
        if await self._holds.of_room(app, room.id):
            self._due[place] = now + LOOK_AGAIN
            return 0
        self._due[place] = now + LOOK_AGAIN
        await self._finish(app, room)
        files, oldest = await self._old_files(app, room, policy)
        if policy.files is not None and oldest is not None:
            self._due[place] = min(self._due[place], oldest + policy.files)
        life = shortest(policy.messages, policy.files)
        if life is None:
            self._life.pop(place, None)
        else:
            self._life[place] = life
        if policy.messages is None:
            return 0
        cut = await self._find(app, room, now - policy.messages)
        if cut.due is not None:
            self._due[place] = min(self._due[place], cut.due + policy.messages)
        if cut.upto:
            await self._remove(app, room, cut)
        if cut.messages or files:
            self._note(app, room, len(cut.messages), files)
        return len(cut.messages)

    async def _find(self, app: str, room: Room, oldest: float) -> Cut:
        """What is older than `oldest`, as far as nobody holds it. Places that were erased have no
        time: they go with what is around them.
        """
        held: dict[str, bool] = {"": False}
        after = (await self._chat.rooms.head(room)).floor
        upto, messages = 0, list[str]()
        while stored := await room.log.read(app, room.id, after=after, limit=PAGE):
            for entry in await self._chat.sealing.envelopes(app, room.id, stored):
                after, at = entry.seq, to_ms(entry.at) / 1000
                if not at:
                    continue
                if at > oldest:
                    return Cut(upto, tuple(messages), at)
                # Of what the room is, its row keeps the outcome.
                account = "" if isinstance(entry.op, STATE_OPS) else entry.account or ""
                if account not in held:
                    held[account] = bool(await self._holds.of_account(app, account))
                if held[account]:
                    return Cut(upto, tuple(messages), None)
                upto, subject = entry.seq, subject_of(entry)
                if isinstance(entry.op, Post) and subject is not None:
                    messages.append(subject)
        return Cut(upto, tuple(messages), None)

    async def _remove(self, app: str, room: Room, cut: Cut) -> None:
        """Files first, while the log still says which message held them."""
        for message in cut.messages:
            await self._files.released(app, room.id, message)
        await self._chat.rooms.save(room)
        self._cutting[app, room.id] = cut
        await room.log.purge(app, room.id, cut.upto)
        await self._forget(app, room, cut)

    async def _finish(self, app: str, room: Room) -> None:
        """The log was cut without an answer: it does not name any more what is to be forgotten."""
        cut = self._cutting.get((app, room.id))
        if cut is not None and (await self._chat.rooms.head(room)).floor >= cut.upto:
            await self._forget(app, room, cut)
            self._note(app, room, len(cut.messages), 0)

    async def _forget(self, app: str, room: Room, cut: Cut) -> None:
        for message in cut.messages:
            await self._chat.rooms.forget_message(room, message)
        room.raise_floor(cut.upto)
        del self._cutting[app, room.id]

    async def _old_files(self, app: str, room: Room, policy: Policy) -> tuple[int, float | None]:
        """Files that may be kept for less than the messages that hold them: how many went, and
        when the oldest that stays was made.
        """
        if policy.files is None or policy.files == policy.messages:
            return 0, None
        register, gone, stays = self._files.parts.register, 0, list[float]()
        oldest = self._clock.unix() - policy.files
        for reference in await register.of_room(app, room.id):
            row = await register.files.get(app, reference.file)
            if row is None:
                continue
            if row.value.created > oldest:
                stays.append(row.value.created)
            elif not await self._holds.of_account(app, row.value.owner):
                gone += await self._files.delete(app, reference.file) > 0
        return gone, min(stays, default=None)

    def _note(self, app: str, room: Room, messages: int, files: int) -> None:
        self._audit.note(
            AuditEvent(
                at=self._clock.unix(),
                app=app,
                actor=ACTOR,
                action="retention.purge",
                target=f"room:{room.id}",
                details={"room": room.id, "count": str(messages + files)},
            )
        )
