"""The register of processing (GDPR 30), the privacy notice, and who agreed to what (GDPR 7).

A purpose has a legal basis and a text; another text is another version, which is asked for anew.
What an older version said stays readable. What nobody declared yet is as it was shipped.
Of each account there is one ledger, which only grows: given and withdrawn, with the version, the
digest of the text that was shown, and the session that said so. It is sealed with the account's key
and goes with the account.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from signaling.clock import Clock
from signaling.errors import ClientError, Code, FieldError
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Table

PURPOSE, LEDGER = "compliance.purpose", "compliance.consent"
NOTICE = "notice"
# One account's acts; each is some hundred bytes of a row.
MOST_ACTS = 5000
# No id of a purpose has it: an older version lies beside the newest.
AT = "@"
# Whether something rests on consent is asked for every notice: so old may the answer be.
BELIEVED_SECONDS = 5.0


class Basis(StrEnum):
    """GDPR 6 (1) a to f."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTERESTS = "vital_interests"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"


class Purpose(Struct, frozen=True, kw_only=True):
    """`text` is what people are asked or told; `sha256` is of exactly that."""

    id: str
    basis: Basis
    title: str
    text: str
    categories: tuple[str, ...] = ()
    retention: str = ""
    recipients: tuple[str, ...] = ()
    version: int = 1
    changed: float = 0.0

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


class Act(Struct, frozen=True, kw_only=True):
    """Given or withdrawn."""

    purpose: str
    version: int
    sha256: str
    given: bool
    at: float
    session: str = ""


class Ledger(Struct, frozen=True):
    acts: tuple[Act, ...] = ()

    def standing(self, purpose: Purpose) -> bool:
        """Whether the newest act agrees to the text as it is now."""
        mine = [act for act in self.acts if act.purpose == purpose.id]
        return bool(mine) and mine[-1].given and mine[-1].sha256 == purpose.sha256


class Consents:
    """One for each process. Also an `Eraser`: a ledger goes with its account."""

    name = "consents"

    def __init__(
        self, store: Store, sealer: Sealer, clock: Clock, shipped: Mapping[str, Purpose]
    ) -> None:
        """`shipped`: what the product itself processes, by id."""
        self._shipped, self._believed = shipped, dict[tuple[str, str], tuple[float, Purpose]]()
        self._purposes = Table(store, PURPOSE, Purpose, sealer)
        self._ledgers = Table(
            store, LEDGER, Ledger, sealer, lambda app, key, value: f"account:{key}"
        )
        self._clock = clock

    # Purposes

    async def purposes(self, app: str) -> list[Purpose]:
        """As they are now, by id."""
        found, after = dict(self._shipped), ""
        while page := await self._purposes.scan(app, after=after):
            found |= {row.key: row.value for row in page if AT not in row.key}
            after = page[-1].key
        return [found[ident] for ident in sorted(found)]

    async def purpose(self, app: str, ident: str) -> Purpose:
        """Raises 422: nobody agrees to what was never written down."""
        row = await self._purposes.get(app, ident)
        if row is not None:
            return row.value
        if ident not in self._shipped:
            raise unknown("There is no such purpose.")
        return self._shipped[ident]

    async def version(self, app: str, ident: str, version: int) -> Purpose:
        """What it said then, or says now. Raises 404."""
        try:
            newest = await self.purpose(app, ident)
        except ClientError:
            raise _no_version() from None
        if newest.version == version:
            return newest
        row = await self._purposes.get(app, f"{ident}{AT}{version}")
        if row is None:
            raise _no_version()
        return row.value

    async def declare(self, app: str, wish: Purpose) -> Purpose:
        """A new purpose, or the same with another text: then with the next version."""
        self._believed.pop((app, wish.id), None)
        while True:
            row = await self._purposes.get(app, wish.id)
            old = self._shipped.get(wish.id) if row is None else row.value
            made = replace(wish, version=1, changed=self._clock.unix())
            if old is not None:
                made = replace(made, version=old.version + (wish.text != old.text))
            try:
                if old is not None and made.version > old.version:
                    await self._keep(app, old)
                if row is None:
                    return (await self._purposes.create(app, wish.id, made)).value
                return (await self._purposes.replace(app, row, made)).value
            except Conflict:
                continue

    async def _keep(self, app: str, old: Purpose) -> None:
        """Before the next version takes its place; a crash between the two keeps it twice."""
        key = f"{old.id}{AT}{old.version}"
        if await self._purposes.get(app, key) is None:
            await self._purposes.create(app, key, old)

    # Who agreed

    async def ledger(self, app: str, account: str) -> Ledger:
        row = await self._ledgers.get(app, account)
        return Ledger() if row is None else row.value

    async def give(
        self, app: str, account: str, ident: str, version: int, sha256: str, session: str
    ) -> Act:
        """Raises 422 for what is not the text as it is now: it has to be read first."""
        purpose = await self.purpose(app, ident)
        if purpose.basis is not Basis.CONSENT:
            raise unknown("This purpose does not rest on consent.")
        if (version, sha256) != (purpose.version, purpose.sha256):
            raise unknown("This is not the text as it is now.")
        return await self._add(app, account, purpose, True, session)

    async def withdraw(self, app: str, account: str, ident: str, session: str) -> Act:
        purpose = await self.purpose(app, ident)
        return await self._add(app, account, purpose, False, session)

    async def _add(
        self, app: str, account: str, purpose: Purpose, given: bool, session: str
    ) -> Act:
        act = Act(
            purpose=purpose.id, version=purpose.version, sha256=purpose.sha256, given=given,
            at=self._clock.unix(), session=session,
        )  # fmt: skip
        while True:
            row = await self._ledgers.get(app, account)
            try:
                if row is None:
                    await self._ledgers.create(app, account, Ledger((act,)))
                elif len(row.value.acts) >= MOST_ACTS:
                    raise ClientError(Code.CONFLICT, 409, "You said so often enough.")
                else:
                    await self._ledgers.replace(app, row, Ledger((*row.value.acts, act)))
            except Conflict:
                continue
            return act

    async def agreed(self, app: str, account: str, ident: str) -> bool:
        """Whether it may be done: it rests on something else, or was agreed to as it is now."""
        now = self._clock.unix()
        at, purpose = self._believed.get((app, ident), (0.0, None))
        if purpose is None or not 0 <= now - at < BELIEVED_SECONDS:
            purpose = await self.purpose(app, ident)
            self._believed[app, ident] = now, purpose
        if purpose.basis is not Basis.CONSENT:
            return True
        return (await self.ledger(app, account)).standing(purpose)

    async def erase(
        self, app: str, *, room: str = "", account: str = "", messages: Sequence[str] = ()
    ) -> int:
        """An `erasure.port.Eraser`."""
        return int(bool(account) and await self._ledgers.delete(app, account))


def _no_version() -> ClientError:
    return ClientError(Code.NOT_FOUND, 404, "There is no such version.")


def unknown(message: str) -> ClientError:
    errors = [FieldError("/purpose", "unknown", message)]
    return ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)
