"""Whether one order explains what several clients were told: linearizability, by search.

Wing and Gong's search over which call took effect next, with Lowe's memory of what was tried
(G. Lowe, "Testing for linearizability", 2017), as Porcupine does it. A call without an answer may
have taken effect at any time after it began, or never. Pure; `models` says what is right.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

NEVER = math.inf
MOST_STEPS = 2_000_000
"""Of one history; beyond, nothing is said about it."""


@dataclass(frozen=True)
class Call:
    """`ended` is NEVER, and `answer` nothing, where its outcome is unknown."""

    who: str
    asked: Hashable
    answer: Any
    began: float
    ended: float

    @property
    def known(self) -> bool:
        return self.ended != NEVER


class Model(Protocol):
    """What is right, one call after the other. States are hashable and never change."""

    initial: Any

    def step(self, state: Any, call: Call) -> Any:
        """The state after it, None when its answer cannot be had in this state. Where the outcome
        is unknown: the state after it took effect, the same one if it would have been refused."""

    def is_idle(self, call: Call) -> bool:
        """Whether with this answer it changes nothing, in any state."""


class NotLinearizable(AssertionError):  # noqa: N818 - names what was found
    """`order` is the longest that explains anything, `stuck` what then cannot follow."""

    def __init__(self, order: Sequence[Call], stuck: Sequence[Call]) -> None:
        shown = "\n".join([*map(told, order[-8:]), "no order has next:", *map(told, stuck)])
        super().__init__(f"no order explains this, after {len(order)} calls:\n{shown}")
        self.order, self.stuck = list(order), list(stuck)


class Undecided(AssertionError):  # noqa: N818 - names what happened
    """The search was given up."""


def told(call: Call) -> str:
    """One line."""
    answer = f"{call.answer!r} at {call.ended:.3f}" if call.known else "unknown"
    return f"  {call.began:.3f} {call.who}: {call.asked!r} -> {answer}"


class _Entry:
    """The beginning of a call, or its end: then `begins` is None. Linked in order of time."""

    __slots__ = ("before", "begins", "end", "next", "number")

    def __init__(self, number: int, begins: Call | None) -> None:
        self.number, self.begins = number, begins
        self.end: _Entry | None = None
        self.before: _Entry | None = None
        self.next: _Entry | None = None

    def leave(self) -> None:
        assert self.before is not None
        self.before.next = self.next
        if self.next is not None:
            self.next.before = self.before

    def come_back(self) -> None:
        assert self.before is not None
        self.before.next = self
        if self.next is not None:
            self.next.before = self


def _linked(calls: Sequence[Call]) -> _Entry:
    """The head, which is neither. What began when another ended counts as beside it."""
    head = _Entry(-1, None)
    begun = [_Entry(number, call) for number, call in enumerate(calls)]
    times = [(call.began, 0, number) for number, call in enumerate(calls)]
    times += [(call.ended, 1, number) for number, call in enumerate(calls) if call.known]
    last = head
    for _, is_end, number in sorted(times):
        entry = begun[number]
        if is_end:
            entry.end = entry = _Entry(number, None)
        last.next, entry.before, last = entry, last, entry
    return head


def _twins(calls: Sequence[Call]) -> dict[int, int]:
    """Of calls that asked the same and had no answer, the one before each: they cannot be told
    apart, so the earlier is taken first."""
    newest: dict[Hashable, int] = {}
    found = {}
    for number, call in sorted(enumerate(calls), key=lambda one: one[1].began):
        if not call.known:
            if call.asked in newest:
                found[number] = newest[call.asked]
            newest[call.asked] = number
    return found


def explain(model: Model, calls: Sequence[Call], most: int = MOST_STEPS) -> list[Call]:
    """An order that explains every answer. Raises NotLinearizable, or Undecided after `most`
    steps."""
    search = _Search(model, calls)
    search.run(most)
    return search.order()


class _Search:
    """States: searching -> explained or refused. `taken` are bits of calls in the order so far.

    What is idle and true now is taken at once: if it can stand later, it can stand here. The rest
    is chosen, and chosen otherwise where that ends in nothing.
    """

    def __init__(self, model: Model, calls: Sequence[Call]) -> None:
        self._model, self._calls = model, calls
        self._head, self._twins = _linked(calls), _twins(calls)
        self._left = sum(call.known for call in calls)
        self._state, self._taken = model.initial, 0
        self._path: list[tuple[_Entry, Any, bool]] = []
        self._tried: set[tuple[int, Any]] = set()
        self._longest: list[Call] = []
        self._stuck: list[Call] = []

    def order(self) -> list[Call]:
        return [self._calls[entry.number] for entry, _, _ in self._path]

    def run(self, most: int) -> None:
        self._settle()
        entry = self._head.next
        for _ in range(most):
            if not self._left:
                return
            assert entry is not None, "an end stands behind each beginning"
            if entry.begins is None:
                entry = self._back()
            elif self._choose(entry, entry.begins):
                entry = self._head.next
            else:
                entry = entry.next
        raise Undecided(f"after {most} steps over {len(self._calls)} calls")

    def _choose(self, entry: _Entry, call: Call) -> bool:
        """Whether it may be next, and nothing was tried yet that comes to the same."""
        twin = self._twins.get(entry.number)
        if twin is not None and not self._taken >> twin & 1:
            return False
        after = self._model.step(self._state, call)
        if after is None or (not call.known and after == self._state):
            return False
        self._push(entry, after, chosen=True)
        self._settle()
        place = (self._taken, self._state)
        if place in self._tried:
            self._pop()
            return False
        self._tried.add(place)
        return True

    def _settle(self) -> None:
        entry = self._head.next
        while entry is not None and entry.begins is not None:
            call = entry.begins
            idle = call.known and self._model.is_idle(call)
            if idle and self._model.step(self._state, call) is not None:
                self._push(entry, self._state, chosen=False)
            entry = entry.next

    def _push(self, entry: _Entry, after: Any, *, chosen: bool) -> None:
        self._path.append((entry, self._state, chosen))
        self._taken |= 1 << entry.number
        self._state = after
        if entry.end is not None:
            entry.end.leave()
            self._left -= 1
        entry.leave()

    def _pop(self) -> _Entry | None:
        """The last choice and what followed from it are undone."""
        while self._path:
            entry, self._state, chosen = self._path.pop()
            self._taken &= ~(1 << entry.number)
            entry.come_back()
            if entry.end is not None:
                entry.end.come_back()
                self._left += 1
            if chosen:
                return entry
        return None

    def _back(self) -> _Entry | None:
        """A call ended that is not in the order: the last choice was wrong."""
        if len(self._path) >= len(self._longest):
            self._longest, self._stuck = self.order(), self._waiting()
        entry = self._pop()
        if entry is None:
            raise NotLinearizable(self._longest, self._stuck)
        return entry.next

    def _waiting(self) -> list[Call]:
        """What had begun before the first end that is left."""
        found, entry = [], self._head.next
        while entry is not None and entry.begins is not None:
            found.append(entry.begins)
            entry = entry.next
        return found
