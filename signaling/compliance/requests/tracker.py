"""Requests about somebody's data that a person has to answer, and when (GDPR 12 (3); row C30).

    open --extend, once, before it is due--> extended
      +------------+---answer--> answered, refused     withdrawn, by who asked
                                                       (each for good, and gone after `KEPT_DAYS`)

Whoever is due soon, or was not answered in time, is told to the audit by `round`, each once, and
by everything that shows the request. `run` belongs to the composition root.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.errors import ClientError, Code, Unavailable
from signaling.ids import Ids
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import ATTEMPTS, Row, Table

log = logging.getLogger(__name__)

KIND = "compliance.request"
OPEN = "open"
DAY = 86400.0
ANSWER_DAYS = 30
EXTENSION_DAYS = 60
"""GDPR 12 (3): two months more, said within the first."""
SOON_DAYS = 7
KEPT_DAYS = 3 * 365
"""Of what is over: that it was answered in time may have to be shown."""
MOST_OPEN = 20
"""Of one account."""
EVERY = 5.0
ACTOR = "system:requests"


class Kind(StrEnum):
    """The articles 15 to 21."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    PORTABILITY = "portability"
    OBJECTION = "objection"


class State(StrEnum):
    OPEN = "open"
    EXTENDED = "extended"
    ANSWERED = "answered"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Nudge(StrEnum):
    """What the audit was reminded of."""

    SOON = "soon"
    OVERDUE = "overdue"


UNANSWERED = frozenset({State.OPEN, State.EXTENDED})


class Reminder(Struct, frozen=True):
    about: Nudge
    at: float


class Request(Struct, frozen=True, kw_only=True):
    """`account` whose data it is about, or `subject` how somebody without one signed; `by` who
    entered it. `reason` of an extension, `answer` of the end: both are for the person.
    """

    id: str
    kind: Kind
    text: str
    by: str
    received: float
    due: float
    account: str = ""
    subject: str = ""
    state: State = State.OPEN
    reason: str = ""
    answer: str = ""
    answerer: str = ""
    ended: float | None = None
    reminders: tuple[Reminder, ...] = ()

    def nudge(self, now: float) -> Nudge | None:
        """What has to be said now and was not said."""
        if self.state not in UNANSWERED:
            return None
        told = {one.about for one in self.reminders}
        if now >= self.due:
            return None if Nudge.OVERDUE in told else Nudge.OVERDUE
        soon = now >= self.due - SOON_DAYS * DAY
        return Nudge.SOON if soon and Nudge.SOON not in told else None


class Tracker:
    """One for each process. Also an `Eraser`. `hold` says whether this process reminds."""

    name = "requests"

    def __init__(
        self,
        store: Store,
        sealer: Sealer,
        clock: Clock,
        ids: Ids,
        audit: Audit,
        hold: Callable[[], Awaitable[bool]],
    ) -> None:
        self._store, self._sealer, self._clock = store, sealer, clock
        self._ids, self._audit, self._hold = ids, audit, hold

    def _table(self, app: str) -> Table[Request]:
        def terms(request: Request) -> Iterable[str]:
            yield from (OPEN,) if request.state in UNANSWERED else ()
            yield from (self._term(app, request.account),) if request.account else ()

        def scope(_: str, __: str, request: Request) -> str:
            return f"account:{request.account}" if request.account else "meta"

        return Table(self._store, KIND, Request, self._sealer, scope, terms)

    def _term(self, app: str, account: str) -> str:
        return self._sealer.blind(app, f"request:{account}")

    async def ask(
        self, app: str, kind: Kind, text: str, by: str, *, account: str = "", subject: str = "",
        received: float | None = None,
    ) -> Request:  # fmt: skip
        """Raises 409 while an account has too many that nobody answered."""
        now = self._clock.unix()
        if account:
            mine = [one for one in await self.of(app, account) if one.state in UNANSWERED]
            if len(mine) >= MOST_OPEN:
                raise ClientError(Code.CONFLICT, 409, f"{MOST_OPEN} of yours wait for an answer.")
        began = now if received is None else received
        made = Request(
            id=self._ids.new(), kind=kind, text=text, by=by, received=began,
            due=began + ANSWER_DAYS * DAY, account=account, subject=subject,
        )  # fmt: skip
        return (await self._table(app).create(app, made.id, made)).value

    async def of(self, app: str, account: str) -> list[Request]:
        """The oldest first."""
        return [row.value for row in await self._all(app, self._term(app, account))]

    async def page(self, app: str, after: str, limit: int, *, waiting: bool) -> list[Request]:
        term = OPEN if waiting else None
        rows = await self._table(app).readable(app, term=term, after=after, limit=limit)
        return [row.value for row in rows]

    async def get(self, app: str, ident: str, account: str = "") -> Request:
        """Of `account` alone, unless that is empty. Raises 404."""
        return (await self._row(app, ident, account)).value

    async def _row(self, app: str, ident: str, account: str = "") -> Row[Request]:
        row = await self._table(app).get(app, ident) if len(ident) <= 64 else None
        if row is None or (account and row.value.account != account):
            raise ClientError(Code.NOT_FOUND, 404, "There is no such request.")
        return row

    async def extend(self, app: str, ident: str, reason: str) -> Request:
        """Raises 404; 409 for one that was extended, is over, or is due already."""
        now = self._clock.unix()

        def later(old: Request) -> Request:
            if old.state is not State.OPEN or now >= old.due:
                message = "Only once, and before the first thirty days are over."
                raise ClientError(Code.CONFLICT, 409, message)
            due = old.due + EXTENSION_DAYS * DAY
            return replace(old, state=State.EXTENDED, reason=reason, due=due, reminders=())

        return await self._change(app, ident, later)

    async def end(
        self, app: str, ident: str, state: State, by: str, answer: str = "", account: str = ""
    ) -> Request:
        """Raises 404; 409 for one that is over. The same again is no error."""
        now = self._clock.unix()

        def over(old: Request) -> Request:
            if (old.state, old.answer, old.answerer) == (state, answer, by):
                return old
            if old.state not in UNANSWERED:
                raise ClientError(Code.CONFLICT, 409, f"It is over: {old.state.value}.")
            return replace(old, state=state, answer=answer, answerer=by, ended=now)

        return await self._change(app, ident, over, account)

    async def _change(
        self, app: str, ident: str, change: Callable[[Request], Request], account: str = ""
    ) -> Request:
        for _ in range(ATTEMPTS):
            row = await self._row(app, ident, account)
            made = change(row.value)
            expires = None if made.ended is None else made.ended + KEPT_DAYS * DAY
            try:
                return (await self._table(app).extend(app, row, made, expires)).value
            except Conflict:
                continue
        raise Conflict(KIND)

    # Reminding

    async def run(self, app: str) -> None:
        """Until it is cancelled."""
        while True:
            try:
                if await self._hold():
                    await self.round(app)
            except (Unavailable, ClientError, Conflict) as error:
                log.warning("reminders of requests wait: %s", type(error).__name__)
            await asyncio.sleep(EVERY)

    async def round(self, app: str) -> int:
        """How many reminders. On record first: one that is cut short is said again."""
        told = 0
        for row in await self._all(app, OPEN):
            now = self._clock.unix()
            about = row.value.nudge(now)
            if about is None:
                continue
            await self._audit.record(_event(app, row.value, about, now))
            reminders = (*row.value.reminders, Reminder(about, now))
            await self._table(app).replace(app, row, replace(row.value, reminders=reminders))
            told += 1
        return told

    async def _all(self, app: str, term: str) -> list[Row[Request]]:
        found: list[Row[Request]] = []
        while page := await self._table(app).readable(
            app, term=term, after=found[-1].key if found else "", limit=100
        ):
            found += page
        return found

    async def erase(
        self, app: str, *, room: str = "", account: str = "", messages: Sequence[str] = ()
    ) -> int:
        """An `erasure.port.Eraser`. What was asked for and done stays in the audit."""
        return await self._table(app).clear(app, self._term(app, account)) if account else 0


def _event(app: str, request: Request, about: Nudge, now: float) -> AuditEvent:
    details = {"kind": request.kind.value, "state": request.state.value}
    return AuditEvent(
        at=now, app=app, actor=ACTOR, action=f"request.{about.value}",
        target=f"request:{request.id}", details={**details, "due": str(int(request.due))},
    )  # fmt: skip
