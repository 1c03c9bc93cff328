"""A call of a room as it is kept: who called, who rings, who is in, who waits, how it ended. Pure.

    idle -> ringing -> up -> ended
    a callee: ringing -> accepted | rejected | busy | not_supported | timed_out | cancelled

`machine` is what changes it. Nothing leaves `ended`, and a callee has one outcome for each ring.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace


class Phase(StrEnum):
    IDLE = "idle"
    RINGING = "ringing"
    UP = "up"
    ENDED = "ended"


class Outcome(StrEnum):
    """What became of one callee. `not_supported`: a device said that it cannot, and no other
    answered; `cancelled`: whoever rang gave up, or the call ended before.
    """

    RINGING = "ringing"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    BUSY = "busy"
    NOT_SUPPORTED = "not_supported"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class End(StrEnum):
    """How a call ended; the values are those of its message in the timeline, which a call that
    nobody joined and that rang nobody (`nothing`) does not get.
    """

    ENDED = "ended"
    MISSED = "missed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    NOTHING = "nothing"


class Event(StrEnum):
    """What devices are told at once."""

    RING = "ring"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    BUSY = "busy"
    NOT_SUPPORTED = "not_supported"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    ENDED = "ended"
    KNOCK = "knock"
    ADMITTED = "admitted"
    DENIED = "denied"


class Told(NamedTuple):
    """To all devices of `to`: what happened to `account`, on which of its devices."""

    to: str
    event: Event
    account: str = ""
    device: str = ""


class Callee(Struct, frozen=True, kw_only=True):
    """`silent`: blocks the caller, who does not learn it and is answered by time alone. `unable`
    are devices that cannot take part; the others ring on.
    """

    outcome: Outcome
    by: str
    until: float
    at: float = 0.0
    device: str = ""
    silent: bool = False
    unable: tuple[str, ...] = ()


class Say(Struct, frozen=True, kw_only=True):
    """A message for the timeline that was not written yet."""

    state: str
    at: float
    accounts: tuple[str, ...] = ()
    seconds: int = 0


class Call(Struct, frozen=True, kw_only=True):
    """All times in Unix seconds, 0: not yet. `present` by participant (its account, or ""); `took`
    everybody who ever came, in order; `emptied` since when nobody is in; `idle_until` the end if
    nobody comes; `seen` when the media server last said who is in. `hides`: strangers to the call
    do not learn who is in, the timeline included.
    """

    id: str
    room: str
    caller: str
    made: float
    device: str = ""
    video: bool = False
    began_ringing: bool = False
    hides: bool = False
    callees: dict[str, Callee] = {}
    present: dict[str, str] = {}
    took: tuple[str, ...] = ()
    up: float = 0.0
    emptied: float = 0.0
    idle_until: float = 0.0
    seen: float = 0.0
    admitted: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    waiting: dict[str, float] = {}
    ended: float = 0.0
    end: End | None = None
    says: tuple[Say, ...] = ()

    @property
    def rings(self) -> list[str]:
        return [a for a, callee in self.callees.items() if callee.outcome is Outcome.RINGING]

    @property
    def answered(self) -> bool:
        accepted = any(c.outcome is Outcome.ACCEPTED for c in self.callees.values())
        return accepted or len(self.took) > 1

    @property
    def phase(self) -> Phase:
        if self.end is not None:
            return Phase.ENDED
        if self.answered:
            return Phase.UP
        if self.rings:
            return Phase.RINGING
        return Phase.UP if self.present else Phase.IDLE

    @property
    def seconds(self) -> int:
        """How long it was up, once it ended."""
        return max(0, int(self.ended - self.up)) if self.up and self.ended else 0

    @property
    def inside(self) -> list[str]:
        """The accounts that are in now, in the order of their coming."""
        here = set(self.present.values())
        return [account for account in self.took if account in here]

    @property
    def involved(self) -> set[str]:
        """In whose history it stands."""
        rung = {a for a, callee in self.callees.items() if not callee.silent}
        return ({self.caller, *self.took} | rung) - {""}

    @property
    def busy(self) -> set[str]:
        """Who is in it, or on the way in."""
        came = set(self.present.values())
        accepted = {
            a for a, c in self.callees.items()
            if c.outcome is Outcome.ACCEPTED and a not in self.took
        }  # fmt: skip
        return (came | accepted) - {""}


def without(call: Call, account: str) -> Call:
    """For an account that was erased: it took part as nobody."""

    def kept(name: str) -> bool:
        return name != account

    return replace(
        call,
        caller=call.caller if kept(call.caller) else "",
        device=call.device if kept(call.caller) else "",
        callees={
            a: replace(callee, by=callee.by if kept(callee.by) else "")
            for a, callee in call.callees.items()
            if kept(a)
        },
        present={sid: a if kept(a) else "" for sid, a in call.present.items()},
        took=tuple(filter(kept, call.took)),
        admitted=tuple(filter(kept, call.admitted)),
        denied=tuple(filter(kept, call.denied)),
        waiting={a: at for a, at in call.waiting.items() if kept(a)},
        says=tuple(replace(s, accounts=tuple(filter(kept, s.accounts))) for s in call.says),
    )
