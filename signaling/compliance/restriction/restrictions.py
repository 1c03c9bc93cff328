"""Who had processing restricted, and who objected to what (GDPR 18, 21).

Restricted is not erased: what somebody wrote stays where it was, readable where it was said. It is
found by nobody else's search, wakes no device, leaves by no webhook or route, and is in no export
of a room. All of that asks `withheld`, which answers from memory: other processes hear of a change
within `EVERY` seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from signaling.chat.account_ops import Prefer, Visibility
from signaling.chat.accounts import Accounts
from signaling.clock import Clock
from signaling.compliance.consent.ledger import Basis, Consents
from signaling.errors import ClientError, Code, Unavailable
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Table

log = logging.getLogger(__name__)

KIND = "compliance.processing"
RESTRICTED = "restricted"
EVERY = 5.0
PAGE = 500
MOST = 100

# What the server itself does for others' convenience: an objection turns it off at once.
OPTIONAL = {
    "read_receipts": Prefer(read_receipts=False, delivered_receipts=False),
    "typing": Prefer(typing=False),
    "presence": Prefer(presence=Visibility.NOBODY, last_seen=Visibility.NOBODY),
}
# What the server asks `objects` about by itself.
HONOURED = frozenset({"statistics"})
# GDPR 21 (1): the bases that can be objected to.
OBJECTED = frozenset({Basis.PUBLIC_TASK, Basis.LEGITIMATE_INTERESTS})


Told = Callable[[str, str, bool], Awaitable[None]]
"""An account of an app: its processing is about to be restricted, or not to be any more."""


class Objection(Struct, frozen=True):
    purpose: str
    at: float


class Processing(Struct, frozen=True, kw_only=True):
    """Of one account. `restricted` since when, `by` whom: an id; the account itself or staff."""

    restricted: float | None = None
    by: str = ""
    objections: tuple[Objection, ...] = ()


class Restrictions:
    """One for each process. Also an `Eraser`."""

    name = "restrictions"

    def __init__(
        self, store: Store, sealer: Sealer, clock: Clock, accounts: Accounts, consents: Consents
    ) -> None:
        self._rows = Table(
            store, KIND, Processing, sealer, lambda app, key, value: f"account:{key}",
            lambda value: () if value.restricted is None else (RESTRICTED,),
        )  # fmt: skip
        self._meta, self._clock = store.meta, clock
        self._accounts, self._consents = accounts, consents
        self._known: dict[str, set[str]] = {}
        self.told: Told = _nobody

    # Whose

    def withheld(self, app: str, account: str) -> bool:
        return account in self._known.get(app, ())

    async def load(self, app: str) -> None:
        """Ids alone, without opening a row."""
        found: set[str] = set()
        after = ""
        while page := await self._meta.scan(app, KIND, term=RESTRICTED, after=after, limit=PAGE):
            found.update(document.key for document in page)
            after = page[-1].key
        self._known[app] = found

    async def run(self, app: str) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.load(app)
            except Unavailable as error:
                log.warning("who had processing restricted could not be read: %s", error.message)
            await asyncio.sleep(EVERY)

    # One person

    async def of(self, app: str, account: str) -> Processing:
        row = await self._rows.get(app, account)
        return Processing() if row is None else row.value

    async def restrict(self, app: str, account: str, by: str) -> Processing:
        """Repeating it changes nothing. Recipients hear of it first (GDPR 19)."""
        now = self._clock.unix()
        if (await self.of(app, account)).restricted is None:
            await self.told(app, account, True)

        def change(old: Processing) -> Processing:
            return old if old.restricted is not None else replace(old, restricted=now, by=by)

        return await self._change(app, account, change)

    async def lift(self, app: str, account: str) -> Processing:
        if (await self.of(app, account)).restricted is not None:
            await self.told(app, account, False)
        return await self._change(app, account, lambda old: replace(old, restricted=None, by=""))

    async def object(self, app: str, account: str, purpose: str) -> Processing:
        """Raises 422 for what nobody declared, 409 for what rests on another basis."""
        if purpose not in OPTIONAL and purpose not in HONOURED:
            await self._may_object(app, purpose)
        now = self._clock.unix()

        def change(old: Processing) -> Processing:
            if any(one.purpose == purpose for one in old.objections):
                return old
            if len(old.objections) >= MOST:
                raise ClientError(Code.CONFLICT, 409, "You objected to enough.")
            return replace(old, objections=(*old.objections, Objection(purpose, now)))

        changed = await self._change(app, account, change)
        if purpose in OPTIONAL:
            await self._accounts.amend(app, account, [OPTIONAL[purpose]])
        return changed

    async def _may_object(self, app: str, purpose: str) -> None:
        basis = (await self._consents.purpose(app, purpose)).basis
        if basis is Basis.CONSENT:
            message = "This rests on your consent: withdraw that."
            raise ClientError(Code.CONFLICT, 409, message)
        if basis not in OBJECTED:
            message = f"This rests on {basis.value}, to which nobody objects (GDPR 21)."
            raise ClientError(Code.CONFLICT, 409, message)

    async def withdraw(self, app: str, account: str, purpose: str) -> Processing:
        """The objection; what it turned off is one's own to turn on again."""

        def change(old: Processing) -> Processing:
            kept = tuple(one for one in old.objections if one.purpose != purpose)
            return replace(old, objections=kept)

        return await self._change(app, account, change)

    async def objects(self, app: str, account: str, purpose: str) -> bool:
        """For whoever does something for a purpose that can be objected to."""
        processing = await self.of(app, account)
        return any(one.purpose == purpose for one in processing.objections)

    async def _change(
        self, app: str, account: str, change: Callable[[Processing], Processing]
    ) -> Processing:
        while True:
            row = await self._rows.get(app, account)
            try:
                if row is None:
                    made = await self._rows.create(app, account, change(Processing()))
                else:
                    made = await self._rows.replace(app, row, change(row.value))
            except Conflict:
                continue
            break
        known = self._known.setdefault(app, set())
        if made.value.restricted is None:
            known.discard(account)
        else:
            known.add(account)
        return made.value

    async def erase(
        self, app: str, *, room: str = "", account: str = "", messages: Sequence[str] = ()
    ) -> int:
        """An `erasure.port.Eraser`."""
        if not account:
            return 0
        self._known.get(app, set()).discard(account)
        return int(await self._rows.delete(app, account))


async def _nobody(app: str, account: str, on: bool) -> None:
    """Was told anything."""
