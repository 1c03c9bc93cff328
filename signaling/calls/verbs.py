"""What may be asked of a call. Plain data; `machine.step` carries it out. Times in seconds."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from signaling.calls.call import Outcome

# What a device may say instead of accepting.
ANSWERS = (Outcome.REJECTED, Outcome.BUSY, Outcome.NOT_SUPPORTED)


class Rules(Struct, frozen=True, kw_only=True):
    """In seconds. `lease`: whoever has the call's media and says nothing for so long is gone."""

    ring: float = 45.0
    setup: float = 60.0
    empty: float = 10.0
    lobby: float = 600.0
    lease: float = 20.0


class Why(StrEnum):
    OVER = "over"
    ELSEWHERE = "elsewhere"
    NOT_RUNG = "not_rung"
    NOT_YOURS = "not_yours"
    DENIED = "denied"
    NOT_WAITING = "not_waiting"


class Late(Exception):  # noqa: N818 - names what happened
    """The verb is refused; `outcome` is what became of the callee before."""

    def __init__(self, why: Why, outcome: Outcome | None = None) -> None:
        super().__init__(why.value)
        self.why, self.outcome = why, outcome


class _Verb(Struct, frozen=True, kw_only=True):
    """Base of all verbs."""


class Ring(_Verb, frozen=True, kw_only=True):
    """`busy` are in another call, `silent` block whoever rings; `admits`: the ring of a moderator
    lets its callees past the lobby.
    """

    by: str
    accounts: tuple[str, ...]
    busy: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    admits: bool = False


class Accept(_Verb, frozen=True, kw_only=True):
    account: str
    device: str


class Reject(_Verb, frozen=True, kw_only=True):
    account: str
    device: str = ""
    why: Outcome = Outcome.REJECTED


class Cancel(_Verb, frozen=True, kw_only=True):
    """Whoever rang gives up: for some, or (`accounts` empty) for all, which ends the call unless
    somebody is in it. `manages`: a moderator, who may do so to anybody's.
    """

    by: str
    accounts: tuple[str, ...] = ()
    manages: bool = False


class Hangup(_Verb, frozen=True, kw_only=True):
    """The end for everybody."""

    by: str


class Present(_Verb, frozen=True, kw_only=True):
    """The media server's word: who is in now (participant: account), who came since the last time
    (account: device), and whether the last who left did so on purpose.
    """

    who: dict[str, str]
    came: dict[str, str] = {}
    clean: bool = False


class Gone(_Verb, frozen=True, kw_only=True):
    """No longer a member of the room."""

    account: str


class Knock(_Verb, frozen=True, kw_only=True):
    """Waits in the lobby; `moderators` are told."""

    account: str
    moderators: tuple[str, ...] = ()


class Admit(_Verb, frozen=True, kw_only=True):
    """`accounts` empty: all who wait."""

    accounts: tuple[str, ...] = ()


class Deny(_Verb, frozen=True, kw_only=True):
    account: str


class Tick(_Verb, frozen=True, kw_only=True):
    """Time passed."""


class Written(_Verb, frozen=True, kw_only=True):
    """The first `count` messages stand in the timeline."""

    count: int


Verb = (
    Ring | Accept | Reject | Cancel | Hangup | Present | Gone | Knock | Admit | Deny | Tick
    | Written
)  # fmt: skip
