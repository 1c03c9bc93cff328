"""What others are still to be told of a row: written with the act, in one document, and so as
durable as the act on every store.

    act and words in one write -> the words are told -> taken out of the row
    farewell -> the row goes -> the farewell is told -> it goes too

Whoever dies in between leaves words that `run` finds, here or in another process, and tells as they
stand: at least once, under the ids that they have. A row that never went has no farewell told.
Knows nothing of who listens: `listen` says what there is to tell of an act, and how.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from signaling.clock import Clock
from signaling.errors import ClientError, Unavailable
from signaling.keys.port import KeyDestroyed, Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Missing, Row, Table

log = logging.getLogger(__name__)

UNTOLD = "untold"
"""The term of rows that have words."""
SWEEP_SECONDS = 60.0
AGAIN_SECONDS = 1.0
# Whoever wrote a farewell and did not remove the row by then has died, or was refused.
ABANDONED = 3600.0
PAGE = 100


class Owing(Struct, frozen=True, kw_only=True):
    """A row's value. `untold` are words in the order of what happened."""

    untold: tuple[bytes, ...] = ()


T = TypeVar("T", bound=Owing)
Words = Callable[[str, str, T | None, T | None], tuple[bytes, ...]]
"""Of an app's row by its key: as it was and as it is; None where it is not."""
Tell = Callable[[str, bytes], Awaitable[None]]
"""Durable when it returns."""


class Farewell(Struct, frozen=True, kw_only=True):
    """What is told once the row of this `kind` and `key` is gone."""

    kind: str
    key: str
    words: tuple[bytes, ...]
    begun: float


def untold_terms(value: Owing) -> tuple[str, ...]:
    return (UNTOLD,) if value.untold else ()


class Untold(Generic[T]):
    """Of one table, whose rows have the terms of `untold_terms`. One for each process; `run` it."""

    def __init__(self, store: Store, sealer: Sealer, kind: str, table: Table[T]) -> None:
        self._kind, self._table = kind, table
        self._farewells = Table(
            store, "farewell", Farewell, sealer, terms=lambda farewell: (farewell.kind,)
        )
        self._words: Words[T] | None = None
        self._due: dict[tuple[str, str], None] = {}
        self._wake, self._gate = asyncio.Event(), asyncio.Lock()
        self._swept = float("-inf")

    def listen(self, words: Words[T], tell: Tell, clock: Clock) -> None:
        """Until somebody does, nothing is noted and nothing told."""
        self._words, self._tell, self._clock = words, tell, clock

    # The act

    def noted(self, app: str, key: str, before: T | None, after: T) -> T:
        """`after` with the words of this act, which is about to be written."""
        said = () if self._words is None else self._words(app, key, before, after)
        kept = () if before is None else before.untold
        return replace(after, untold=(*kept, *said))

    def nudge(self, app: str, key: str) -> None:
        """It was written, or the row is gone: told soon."""
        if self._words is not None:
            self._due[(app, key)] = None
            self._wake.set()

    async def parting(self, app: str, key: str) -> None:
        """The row is about to go. Once more is the same farewell."""
        if self._words is None:
            return
        async with self._gate:
            row = await self._row(app, key)
            if row is None:
                return
            before = row.value.untold
            if before:
                with contextlib.suppress(Unavailable, ClientError, Conflict):
                    await self._told(app, key, before)
                    before = ()
            if words := (*before, *self._words(app, key, row.value, None)):
                await self._bid(app, key, words)

    async def _bid(self, app: str, key: str, words: tuple[bytes, ...]) -> None:
        begun = self._clock.unix()
        made = Farewell(kind=self._kind, key=key, words=words, begun=begun)
        place = f"{self._kind}:{key}"
        try:
            await self._farewells.create(app, place, made)
        except Conflict:
            with contextlib.suppress(Missing):
                await self._farewells.change(app, place, lambda old: replace(old, begun=begun))

    # The telling

    async def run(self, app: str) -> None:
        """Until it is cancelled."""
        while True:
            wait = SWEEP_SECONDS
            try:
                await self.round(app)
            except (Unavailable, ClientError, Conflict) as error:
                log.info("what happened is told later: %s", type(error).__name__)
                wait = AGAIN_SECONDS
            except Exception:
                log.exception("what happened is told later")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            self._wake.clear()

    async def round(self, app: str) -> None:
        """All that is known, and now and then all that there is."""
        now = self._clock.monotonic()
        if now >= self._swept + SWEEP_SECONDS:
            await self._sweep(app)
            self._swept = now
        while self._due:
            place = next(iter(self._due))
            del self._due[place]
            try:
                async with self._gate:
                    await self._settle(*place)
            except BaseException:
                self._due[place] = None
                raise

    async def _sweep(self, app: str) -> None:
        after = ""
        while rows := await self._table.readable(app, term=UNTOLD, after=after, limit=PAGE):
            self._due.update(((app, row.key), None) for row in rows)
            after = rows[-1].key
        after = ""
        while farewells := await self._farewells.scan(app, term=self._kind, after=after):
            self._due.update(((app, one.value.key), None) for one in farewells)
            after = farewells[-1].key

    async def _row(self, app: str, key: str) -> Row[T] | None:
        try:
            return await self._table.get(app, key)
        except KeyDestroyed:
            return None  # nobody will ever read it

    async def _settle(self, app: str, key: str) -> None:
        row = await self._row(app, key)
        if row is not None and row.value.untold:
            await self._told(app, key, row.value.untold)
        farewell = await self._farewells.get(app, f"{self._kind}:{key}")
        if farewell is None:
            return
        if row is None:
            for words in farewell.value.words:
                await self._tell(app, words)
        elif farewell.value.begun + ABANDONED >= self._clock.unix():
            return
        with contextlib.suppress(Conflict):  # somebody begins anew
            await self._farewells.delete(app, farewell.key, expect=farewell.version)

    async def _told(self, app: str, key: str, told: tuple[bytes, ...]) -> None:
        for words in told:
            await self._tell(app, words)

        def without(value: T) -> T:
            left = tuple(words for words in value.untold if words not in told)
            return replace(value, untold=left)

        with contextlib.suppress(Missing):
            await self._table.change(app, key, without)
