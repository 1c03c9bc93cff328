"""Handshakes take turns, so that a crowd that comes at once is not all that a server does.

The first step of a TLS handshake signs, a millisecond and more of the event loop, and a request
follows it. Two thousand of them ready in one step of the loop would keep everybody else's messages
waiting for seconds; a few for each step let both go on. What those who had their turn ask for next
makes later steps longer: then nobody new has a turn until it is done, or has waited long enough.
Nobody holds a turn: who stalls later in a handshake delays no one. Owned by a listener.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

AT_ONCE = 2
"""In one step of the loop, as long as steps are short."""
SHORT_SECONDS = 0.005
"""A message between people takes some ten steps of the loop on its way: it is still quick then."""
PATIENT_SECONDS = 0.01
"""However long the steps are, one has its turn after so long: of 2,000 the last after 20 s."""

Soon = Callable[[Callable[[], None]], object]


class Turns:
    """See the module. Whose turn comes after it is gone must bear that.

    `soon` calls in the next step of the loop, whose time `clock` tells, in seconds.
    """

    def __init__(self, soon: Soon, clock: Callable[[], float]) -> None:
        self._soon = soon
        self._clock = clock
        self._waiting: deque[Callable[[], None]] = deque()
        self._counting = False
        self._began = self._went = clock()
        self._taken = self._most = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, work: Callable[[], None]) -> None:
        """At once where nobody waits, else in the order of coming."""
        self._waiting.append(work)
        if not self._counting:
            self._began = self._clock()  # what was before is nobody's step
            self._step()
        elif len(self._waiting) == 1 and self._taken < self._most:
            self._go()

    def _step(self) -> None:
        now = self._clock()
        self._taken, self._most = 0, self._room(now)
        self._began, self._counting = now, True
        try:
            while self._waiting and self._taken < self._most:
                self._go()
        finally:
            # A step in which nothing was taken, and nobody waits, is the last.
            self._counting = self._taken > 0 or bool(self._waiting)
            if self._counting:
                self._soon(self._step)

    def _room(self, now: float) -> int:
        """How many have their turn in the step that begins."""
        if now - self._began <= SHORT_SECONDS:
            return AT_ONCE
        return 1 if now - self._went >= PATIENT_SECONDS else 0

    def _go(self) -> None:
        self._taken += 1
        self._went = self._clock()
        self._waiting.popleft()()
