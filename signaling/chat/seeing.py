"""The one rule of who sees how somebody is, and what there is to see. Pure.

Whatever shows presence asks here: REST, the sync partition and frames, who is in a room, webhooks
and routes. No role stands above it. Who hides a thing does not see it of others; whom an account
blocks sees nothing of it; invisible looks like offline, and hidden like one who was never there.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from signaling.chat.account_ops import Visibility
from signaling.chat.account_state import AccountState, Preferences
from signaling.chat.attendance import Attending
from signaling.chat.sealing import from_ms


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

    def differs(self, before: Shown) -> bool:
        """Whether it is news. That somebody was seen a moment later is none."""
        hidden = (self.seen_at is None) != (before.seen_at is None)
        return hidden or replace(self, seen_at=before.seen_at) != before


class Viewer(Struct, frozen=True, kw_only=True):
    """Who looks. `wishes`: what they show themselves. `account` empty: anybody."""

    account: str = ""
    wishes: Preferences = Preferences()


ANYBODY = Viewer()


def may_see(theirs: Visibility, ours: Visibility, *, shares: bool) -> bool:
    """`theirs`: what is shown of the thing, `ours`: what the viewer shows of it. `shares`: they are
    in a room together.
    """
    if ours is Visibility.NOBODY:
        return False
    return theirs is Visibility.EVERYONE or (theirs is Visibility.CONTACTS and shares)


class Facts(Struct, frozen=True, kw_only=True):
    """Everything about one account at `now` (Unix seconds), before anybody's wishes."""

    account: str
    own: AccountState
    status: Status
    attending: Attending
    now: float

    @property
    def state(self) -> State:
        """As the account itself has it."""
        said, at = self.status.state, self.attending
        if said is State.INVISIBLE:
            return State.INVISIBLE
        if not at.there:
            return State.OFFLINE
        if said is State.OFFLINE:
            # It was said of the devices of that time: a socket that opened since is another word.
            return State.ONLINE if at.opened > _unix(self.status.seen_at) else State.OFFLINE
        return State.AWAY if said is State.ONLINE and at.idle else said

    @property
    def _seen_at(self) -> datetime | None:
        """Of one who is invisible no socket counts: it would show them."""
        said, seen = self.status.seen_at, self.attending.seen
        if self.status.state is State.INVISIBLE or seen <= _unix(said):
            return said
        return from_ms(int(seen * 1000))

    def names(self, viewer: Viewer, *, shares: bool) -> bool:
        """Whether they may be named among those who are in a room, by whatever device."""
        said = self.status.state
        if viewer.account == self.account:
            return True
        if self.own.blocks(viewer.account) or said is State.INVISIBLE:
            return False
        if said is State.OFFLINE and self.state is State.OFFLINE:
            return False
        return may_see(self.own.preferences.presence, viewer.wishes.presence, shares=shares)

    def shown(self, viewer: Viewer, *, shares: bool) -> Shown:
        """`shares`: the two are in a room together."""
        own = bool(viewer.account) and viewer.account == self.account
        if not own and self.own.blocks(viewer.account):
            return Shown(account=self.account)
        theirs, ours = self.own.preferences, viewer.wishes

        def may(one: Visibility, other: Visibility) -> bool:
            return own or may_see(one, other, shares=shares)

        state = self.state if may(theirs.presence, ours.presence) else State.OFFLINE
        if state is State.INVISIBLE and not own:
            state = State.OFFLINE
        status = self.status
        holds = status.until is None or status.until.timestamp() > self.now
        says = holds and may(theirs.status, ours.status)
        return Shown(
            account=self.account,
            state=state,
            text=status.text if says else "",
            emoji=status.emoji if says else "",
            until=status.until if says else None,
            seen_at=self._seen_at if may(theirs.last_seen, ours.last_seen) else None,
        )


def _unix(at: datetime | None) -> float:
    return 0.0 if at is None else at.timestamp()
