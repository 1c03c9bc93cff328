"""How people are: a device that is there makes its account so, and what it says of itself stands.

Whether somebody is there is the bus's (`attendance`), the status is a row, who sees it one rule
(`seeing`); typing is told and kept nowhere. Driven by REST and sync.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from msgspec.structs import replace

from signaling.access.permissions import Operation
from signaling.chat.accounts import Accounts
from signaling.chat.attendance import Attendance, Place
from signaling.chat.hub import Hub
from signaling.chat.moves import Move, Moves, Why
from signaling.chat.people import People
from signaling.chat.ports import Actor, Typing
from signaling.chat.sealing import from_ms
from signaling.chat.seeing import ANYBODY, Facts, Shown, State, Status, Viewer
from signaling.chat.service import Chat
from signaling.errors import ClientError, Unavailable
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Table

KIND = "chat.status"
MOST_TYPING = 30
MOST_TOLD = 20_000
"""Accounts of which it is known what was told outside; of others the next word is told again."""


class Told(Protocol):
    """Of how somebody is now, as far as anybody may see it."""

    async def __call__(self, app: str, shown: Shown) -> None: ...


class Presences:
    """One for each process. `told` are hooks; `asked` says whether any of them wants to hear of an
    account.
    """

    def __init__(
        self, store: Store, sealer: Sealer, chat: Chat, people: People, accounts: Accounts,
        hub: Hub, attendance: Attendance, moves: Moves,
    ) -> None:  # fmt: skip
        self._rows: Table[Status] = Table(
            store, KIND, Status, sealer, lambda app, key, value: f"account:{key}"
        )
        self._chat, self._people, self._accounts, self._hub = chat, people, accounts, hub
        self.attendance, self.moves = attendance, moves
        self.told: list[Told] = []
        self.asked = _any_account
        self._outside: OrderedDict[Place, Shown] = OrderedDict()
        self._telling = asyncio.Lock()
        attendance.moved = moves.devices
        accounts.minded.append(moves.said)
        people.moved = moves.room
        moves.listeners.append(self._moved)

    async def typing(self, actor: Actor, name: str, seconds: int, parent: str | None) -> None:
        await self._chat.room_for(actor, name, Operation.TYPING)
        if not (await self._accounts.state_of(actor.app, actor.account)).preferences.typing:
            return
        told = Typing(account=actor.account, seconds=min(seconds, MOST_TYPING), parent=parent)
        await self._hub.tell(actor.app, name, told)

    # Saying

    async def say(
        self, actor: Actor, state: State, text: str, emoji: str, until: datetime | None
    ) -> None:
        """Also a heartbeat, for a device without a socket: there for `attendance.LAPSE` more."""
        place = actor.app, actor.account
        there = state not in (State.INVISIBLE, State.OFFLINE)
        await self.attendance.said(place, actor.device or "device", there=there)
        said = Status(state=state, text=text, emoji=emoji, until=until)
        await self._write(place, said)
        self.moves.said(*place)
        await self.tell_outside(*place)

    async def _write(self, place: Place, said: Status) -> None:
        app, account = place
        now = from_ms(int(self._chat.clock.unix() * 1000))
        while True:
            row = await self._rows.get(app, account)
            before = Status() if row is None else row.value
            hides = State.INVISIBLE is said.state is before.state
            # Whoever stays invisible is not seen, though they say so again.
            status = replace(said, seen_at=before.seen_at if hides else now)
            try:
                if row is None:
                    await self._rows.create(app, account, status)
                else:
                    await self._rows.replace(app, row, status)
            except Conflict:
                continue
            return

    async def said(self, app: str, account: str) -> Status | None:
        """What somebody said last, as they said it: for themselves alone."""
        row = await self._rows.get(app, account)
        return None if row is None else row.value

    async def forget(self, app: str, account: str) -> bool:
        """The account was erased."""
        self._outside.pop((app, account), None)
        await self.attendance.forget((app, account))
        return await self._rows.delete(app, account)

    # Seeing

    async def facts(self, app: str, account: str) -> Facts:
        """Raises Unavailable."""
        row = await self._rows.get(app, account)
        return Facts(
            account=account,
            own=await self._accounts.state_of(app, account),
            status=Status() if row is None else row.value,
            attending=await self.attendance.of((app, account)),
            now=self._chat.clock.unix(),
        )

    async def viewer(self, app: str, account: str) -> Viewer:
        wishes = (await self._accounts.state_of(app, account)).preferences
        return Viewer(account=account, wishes=wishes)

    async def of(self, actor: Actor, account: str) -> Shown:
        """Of an account that is not there the same as of one that hides everything."""
        shares = await self._people.share(actor.app, actor.account, account)
        viewer = await self.viewer(actor.app, actor.account)
        return (await self.facts(actor.app, account)).shown(viewer, shares=shares)

    async def who(self, app: str, viewer: str, accounts: Iterable[str]) -> list[Shown]:
        """Those of them who are there, as far as this account may see it."""
        looks = await self.viewer(app, viewer)
        circle = await self._people.fellows(app, viewer)
        found = [
            (await self.facts(app, account)).shown(looks, shares=account in circle)
            for account in dict.fromkeys(accounts)
            if (await self.attendance.of((app, account))).there  # the store is asked of these alone
        ]
        return [one for one in found if one.state not in (State.OFFLINE, State.INVISIBLE)]

    # Outside

    def _moved(self, move: Move) -> None:
        if self.moves.is_own(move) and move.why is not Why.ROOM and self._wanted(*move.place):
            self.moves.spawn(self._told_outside(move))

    def _wanted(self, app: str, account: str) -> bool:
        return bool(self.told) and self.asked(app, account)

    async def _told_outside(self, move: Move) -> None:
        try:
            await self.tell_outside(*move.place)
        except (ClientError, Unavailable):
            return  # the next change tells

    async def tell_outside(self, app: str, account: str) -> None:
        """What anybody may see, when that changed; what is shown no longer is taken back."""
        if not self._wanted(app, account):
            return
        place = (app, account)
        async with self._telling:
            facts = await self.facts(app, account)
            shown = replace(facts.shown(ANYBODY, shares=False), seen_at=None)
            before = self._outside.pop(place, Shown(account=account))
            self._outside[place] = shown
            if len(self._outside) > MOST_TOLD:
                self._outside.popitem(last=False)
            for hook in self.told if shown != before else ():
                await hook(app, shown)

    def close(self) -> None:
        self.attendance.close()
        self.moves.close()


def _any_account(app: str, account: str) -> bool:
    """Where nobody says who wants to hear."""
    return True
