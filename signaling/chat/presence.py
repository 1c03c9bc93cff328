"""Who is there, what they say of themselves, who writes: each as far as its owner shows it.

Whether somebody is there is the bus's, and lapses; the status is a row; typing is told and kept
nowhere. Who hides a thing does not see it of others. Driven by REST and sync.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from signaling.access.permissions import Operation
from signaling.bus.port import Bus
from signaling.chat.account_ops import Visibility
from signaling.chat.accounts import Accounts
from signaling.chat.hub import Hub
from signaling.chat.people import People
from signaling.chat.ports import Actor, Typing
from signaling.chat.sealing import from_ms
from signaling.chat.service import Chat
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Table

KIND = "chat.status"
LAPSE = 90.0
MOST_TYPING = 30


class State(StrEnum):
    ONLINE = "online"
    AWAY = "away"
    BUSY = "busy"
    INVISIBLE = "invisible"
    OFFLINE = "offline"


class Status(Struct, frozen=True, kw_only=True):
    """What somebody says of themselves, until `until`."""

    state: State = State.ONLINE
    text: str = ""
    emoji: str = ""
    until: datetime | None = None
    seen_at: datetime | None = None


class Shown(Struct, frozen=True, kw_only=True):
    """As much of it as the asker may see."""

    account: str
    state: State = State.OFFLINE
    text: str = ""
    emoji: str = ""
    until: datetime | None = None
    seen_at: datetime | None = None


class Told(Protocol):
    """Of what somebody says of themselves now, as far as anybody may see it."""

    async def __call__(self, app: str, shown: Shown) -> None: ...


class Presences:
    """One for each process. `told` are hooks."""

    def __init__(
        self, store: Store, sealer: Sealer, bus: Bus, chat: Chat, people: People,
        accounts: Accounts, hub: Hub,
    ) -> None:  # fmt: skip
        self._rows: Table[Status] = Table(
            store, KIND, Status, sealer, lambda app, key, value: f"account:{key}"
        )
        self._sealer, self._bus, self._chat = sealer, bus, chat
        self._people, self._accounts, self._hub = people, accounts, hub
        self.told: list[Told] = []

    async def typing(self, actor: Actor, name: str, seconds: int, parent: str | None) -> None:
        await self._chat.room_for(actor, name, Operation.TYPING)
        if not (await self._accounts.state_of(actor.app, actor.account)).preferences.typing:
            return
        told = Typing(account=actor.account, seconds=min(seconds, MOST_TYPING), parent=parent)
        await self._hub.tell(actor.app, name, told)

    async def say(
        self, actor: Actor, state: State, text: str, emoji: str, until: datetime | None
    ) -> None:
        """Also a heartbeat: there for `LAPSE` seconds more."""
        now = self._chat.clock.unix()
        status = Status(
            state=state, text=text, emoji=emoji, until=until, seen_at=from_ms(int(now * 1000))
        )
        there = state not in (State.INVISIBLE, State.OFFLINE)
        key = self._key(actor.app, actor.account)
        await self._bus.presence_set(key, actor.device or "device", LAPSE if there else 0)
        while True:
            row = await self._rows.get(actor.app, actor.account)
            try:
                if row is None:
                    await self._rows.create(actor.app, actor.account, status)
                else:
                    await self._rows.replace(actor.app, row, status)
            except Conflict:
                continue
            if row is None or replace(row.value, seen_at=status.seen_at) != status:
                await self._tell(actor, status)
            return

    async def _tell(self, actor: Actor, status: Status) -> None:
        if not self.told:
            return
        wish = (await self._accounts.state_of(actor.app, actor.account)).preferences
        shows, says = (seen is Visibility.EVERYONE for seen in (wish.presence, wish.status))
        if not shows and not says:
            return
        hidden = not shows or status.state is State.INVISIBLE
        shown = Shown(
            account=actor.account, state=State.OFFLINE if hidden else status.state,
            text=status.text if says else "", emoji=status.emoji if says else "",
            until=status.until if says else None,
        )  # fmt: skip
        for hook in self.told:
            await hook(actor.app, shown)

    async def forget(self, app: str, account: str) -> bool:
        """The account was erased."""
        return await self._rows.delete(app, account)

    async def of(self, actor: Actor, account: str) -> Shown:
        """Of an account that is not there the same as of one that hides everything."""
        state = await self._accounts.state_of(actor.app, account)
        mine = (await self._accounts.state_of(actor.app, actor.account)).preferences
        wish, own = state.preferences, account == actor.account
        if not own and state.blocks(actor.account):
            return Shown(account=account)
        shares = own or await self._people.share(actor.app, actor.account, account)

        def shown(theirs: Visibility, ours: Visibility) -> bool:
            if own:
                return True
            if ours is Visibility.NOBODY:
                return False
            return theirs is Visibility.EVERYONE or (theirs is Visibility.CONTACTS and shares)

        row = await self._rows.get(actor.app, account)
        status = Status() if row is None else row.value
        now = self._chat.clock.unix()
        there = bool(await self._bus.presence_list(self._key(actor.app, account)))
        said = status.until is None or status.until.timestamp() > now
        says = said and shown(wish.status, mine.status)
        return Shown(
            account=account,
            state=status.state if there and shown(wish.presence, mine.presence) else State.OFFLINE,
            text=status.text if says else "",
            emoji=status.emoji if says else "",
            until=status.until if says else None,
            seen_at=status.seen_at if shown(wish.last_seen, mine.last_seen) else None,
        )

    def _key(self, app: str, account: str) -> str:
        return f"{app}:status:{self._sealer.blind(app, f'status:{account}')}"
