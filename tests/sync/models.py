"""What is right, one call after the other: how far an account has read, and who owns a room.

Models for `linear.explain`: what a room answers when nobody else asks meanwhile, in terms of
docs/concepts (a marker never goes back; a room keeps an owner; only owners make and unmake owners).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tests.sync.linear import Call


@dataclass(frozen=True)
class Read:
    """Mark what is read, up to the message at this place; answered with the marker after it."""

    upto: int


@dataclass(frozen=True)
class Look:
    """Answered with what is there: the marker, or the owners."""


class Marker:
    """Of one account in one room: the state is how many messages it has read."""

    initial = 0

    def step(self, state: int, call: Call) -> int | None:
        after = max(state, call.asked.upto) if isinstance(call.asked, Read) else state
        return after if not call.known or call.answer == after else None

    def is_idle(self, call: Call) -> bool:
        return isinstance(call.asked, Look)


class Said(StrEnum):
    """How a room answers a change of who owns it."""

    DONE = "done"
    REFUSED = "refused"
    LAST = "it is the last owner"


@dataclass(frozen=True)
class Give:
    """`giver` makes somebody an owner."""

    giver: str
    to: str


@dataclass(frozen=True)
class Take:
    """`taker` makes an owner a plain member: another, or itself, which is stepping down."""

    taker: str
    of: str


Owners = frozenset[str]


class Ownership:
    """Of one room with several members: the state is who owns it."""

    def __init__(self, *first: str) -> None:
        self.initial = frozenset(first)

    def step(self, state: Owners, call: Call) -> Owners | None:
        if isinstance(call.asked, Look):
            return state if call.answer == state else None
        said, after = _judged(state, call.asked)
        return after if not call.known or call.answer == said else None

    def is_idle(self, call: Call) -> bool:
        return isinstance(call.asked, Look) or call.answer is not Said.DONE


def _judged(owners: Owners, asked: object) -> tuple[Said, Owners]:
    if isinstance(asked, Give):
        if asked.giver not in owners:
            return Said.REFUSED, owners
        return Said.DONE, owners | {asked.to}
    assert isinstance(asked, Take)
    if asked.taker not in owners:
        # Who is no owner may say of itself what it is already.
        return (Said.DONE if asked.taker == asked.of else Said.REFUSED), owners
    if owners == {asked.of}:
        return Said.LAST, owners
    return Said.DONE, owners - {asked.of}
