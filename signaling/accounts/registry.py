"""Accounts and apps as rows: created once each, changed by compare and set, forgotten whole.

Decides nothing about who may ask (`roles`, `administration`). Implements `Directory` for sessions,
OAuth and the Access Manager.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import msgspec
from msgspec.structs import replace

from signaling.accounts import names
from signaling.accounts.model import Account, App, Claim, Identity, view
from signaling.accounts.principal import Kind, Role
from signaling.accounts.signin import AccountView
from signaling.accounts.tables import Tables, account_scope, app_row
from signaling.clock import Clock
from signaling.errors import ClientError, Code, Unavailable
from signaling.keys.port import bind
from signaling.storage.port import Conflict
from signaling.storage.table import Missing, Row

# A claim whose account does not exist: whoever made it died in between. Nobody takes that long.
ABANDONED = 60.0
KEPT_AFTER_LIFE = 3600.0

MayForget = Callable[[str, str], Awaitable[bool]]
Rectified = Callable[[str, str, tuple[str, ...]], Awaitable[None]]
"""An account of an app, and which of its fields are about to say something else."""


class Registry:
    """Owned by the composition root, made before sessions are."""

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self.tables = tables
        self._clock = clock
        self._decoy = Decoy(tables)
        self.may_forget: MayForget = _always
        self.rectified: Rectified = _nobody

    # Apps

    async def ensure_app(self, app: str, name: str = "") -> App:
        space, key = app_row(app)
        row = await self.tables.apps.get(space, key)
        if row is None:
            made = App(id=app, name=name, created=self._clock.unix())
            try:
                return (await self.tables.apps.create(space, key, made)).value
            except Conflict:
                return await self.ensure_app(app, name)
        return row.value

    async def rename_app(self, app: str, name: str) -> App:
        space, key = app_row(app)
        return (await self.tables.apps.change(space, key, lambda a: replace(a, name=name))).value

    async def add_owner(self, app: str, account: str) -> None:
        space, key = app_row(app)

        def add(row: App) -> App:
            return replace(row, owners=tuple(dict.fromkeys((*row.owners, account))))

        await self.tables.apps.change(space, key, add)

    async def drop_owner(self, app: str, account: str) -> None:
        """Raises ClientError 409 for the last one, also when the last two leave at once."""
        space, key = app_row(app)

        def drop(row: App) -> App:
            left = tuple(owner for owner in row.owners if owner != account)
            if not left:
                raise ClientError(Code.LAST_OWNER, 409, "Somebody must stay the owner.")
            return replace(row, owners=left)

        await self.tables.apps.change(space, key, drop)

    # Accounts

    async def create(self, app: str, account: Account, password: str | None = None) -> Account:
        """`password` is a hash. Raises ClientError 409 when the login name is taken."""
        claim = self.tables.login_key(app, names.canonical(account.login))
        if account.login:
            await self._claim(app, claim, account.id, password)
        expires = None
        if account.lives_until is not None:
            expires = account.lives_until + KEPT_AFTER_LIFE
        try:
            made = self.tables.untold.noted(app, account.id, None, account)
            row = await self.tables.accounts.create(app, account.id, made, expires=expires)
        except Exception:
            with contextlib.suppress(Exception):
                await self.tables.claims.delete(app, claim)
            raise
        return self._told(app, row.value)

    def _told(self, app: str, account: Account) -> Account:
        """As others know it."""
        if account.untold:
            self.tables.untold.nudge(app, account.id)
        return replace(account, untold=())

    async def _claim(self, app: str, key: str, account: str, password: str | None = None) -> None:
        mine = Claim(account=account, made=self._clock.unix(), password=password)
        try:
            await self.tables.claims.create(app, key, mine)
        except Conflict:
            row = await self.tables.claims.get(app, key)
            if row is None or not await self._abandoned(app, row):
                raise taken() from None
            try:
                await self.tables.claims.replace(app, row, mine)
            except Conflict:
                raise taken() from None

    async def _abandoned(self, app: str, row: Row[Claim]) -> bool:
        old = row.value.made + ABANDONED < self._clock.unix()
        return old and await self.tables.accounts.get(app, row.value.account) is None

    async def get(self, app: str, account: str) -> Account | None:
        row = await self.tables.accounts.get(app, account) if account else None
        return None if row is None else row.value

    async def require(self, app: str, account: str) -> Account:
        """Raises ClientError 404."""
        found = await self.get(app, account)
        if found is None:
            raise not_found()
        return found

    async def claim_of(self, app: str, login: str) -> Claim | None:
        """Who does not exist takes as long: a claim that is nobody's is opened instead."""
        row = await self.tables.claims.get(app, self.tables.login_key(app, names.canonical(login)))
        if row is None:
            await self._decoy.open(app)
            return None
        return row.value

    async def by_login(self, app: str, login: str) -> Account | None:
        claim = await self.claim_of(app, login)
        return None if claim is None else await self.get(app, claim.account)

    async def by_identity(self, app: str, issuer: str, subject: str) -> Account | None:
        key = self.tables.identity_key(app, issuer, subject)
        row = await self.tables.claims.get(app, key)
        return None if row is None else await self.get(app, row.value.account)

    async def set_password(
        self, app: str, account: Account, password: str, unless: str | None = None
    ) -> None:
        """A hash. With `unless`, only while that one is still the stored one (a rehash)."""

        def put(claim: Claim) -> Claim:
            if claim.account != account.id or (unless is not None and claim.password != unless):
                return claim
            return replace(claim, password=password)

        key = self.tables.login_key(app, names.canonical(account.login))
        try:
            await self.tables.claims.change(app, key, put)
        except Missing:
            raise not_found() from None
        if unless is None:
            await self.change(app, account.id, lambda row: replace(row, epoch=row.epoch + 1))

    async def claim_identity(self, app: str, issuer: str, subject: str, account: str) -> None:
        """Raises ClientError 409 when the identity belongs to another account."""
        await self._claim(app, self.tables.identity_key(app, issuer, subject), account)

    async def release_identity(self, app: str, identity: Identity) -> None:
        key = self.tables.identity_key(app, identity.issuer, identity.subject)
        await self.tables.claims.delete(app, key)

    async def change(self, app: str, account: str, change: Callable[[Account], Account]) -> Account:
        """Raises ClientError 404, and what `change` raises."""

        def noted(row: Account) -> Account:
            return self.tables.untold.noted(app, account, row, change(row))

        try:
            after = (await self.tables.accounts.change(app, account, noted)).value
        except Missing:
            raise not_found() from None
        except Conflict:
            raise Unavailable("Too many changes of this account at this moment.") from None
        return self._told(app, after)

    async def rectify(self, app: str, account: str, **fields: str) -> Account:
        """Of what people say of themselves: whoever holds it hears of it first. Raises 404."""
        found = await self.require(app, account)
        changed = tuple(name for name, value in fields.items() if getattr(found, name) != value)
        if changed:
            await self.rectified(app, account, changed)
        return await self.change(app, account, lambda row: replace(row, **fields))

    async def page(self, app: str, after: str, limit: int) -> list[Account]:
        """By id, which is by age; those whose key is locked are left out. `labels` has filters."""
        rows = await self.tables.accounts.readable(app, after=after, limit=limit)
        return [row.value for row in rows]

    async def forget(self, app: str, account: Account) -> None:
        """The row, the claim and the data key. Sessions and devices are the caller's to end.

        Written down first: what a crash interrupts, `finish_erasures` completes at the next start.
        While `may_forget` says no (a legal hold), nothing happens.
        """
        if not await self.may_forget(app, account.id):
            return
        if Role.OWNER in account.roles:
            await self.drop_owner(app, account.id)
        await self.tables.untold.parting(app, account.id)
        with contextlib.suppress(Conflict):
            begun = Claim(account=account.id, made=self._clock.unix())
            await self.tables.erasures.create(app, account.id, begun)
        if account.login:
            key = self.tables.login_key(app, names.canonical(account.login))
            await self.tables.claims.delete(app, key)
        if account.external_id:
            key = self.tables.external_key(app, account.external_id)
            await self.tables.claims.delete(app, key)
        for identity in account.identities:
            await self.release_identity(app, identity)
        await self._erase(app, account.id)
        self.tables.untold.nudge(app, account.id)

    async def _erase(self, app: str, account: str) -> None:
        await self.tables.accounts.delete(app, account)
        await self.tables.sealer.shred(app, account_scope(account))
        await self.tables.erasures.delete(app, account)

    async def finish_erasures(self, app: str) -> None:
        """Claims of such an account are free after a minute in any case."""
        while rows := await self.tables.erasures.scan(app):
            for row in rows:
                await self._erase(app, row.key)

    async def find_owner(self, app: str) -> Account | None:
        """One that may sign in, as the accounts say it; for when the app's own list is empty."""
        after = ""
        while page := await self.page(app, after, 100):
            for account in page:
                if Role.OWNER in account.roles and not account.disabled:
                    return account
            after = page[-1].id
        return None

    # Directory

    async def view(self, app: str, account: str) -> AccountView | None:
        found = await self.get(app, account)
        if found is None:
            return None
        seen = view(app, found)
        over = found.lives_until is not None and found.lives_until <= self._clock.unix()
        return replace(seen, disabled=True) if over else seen

    async def guest_left(self, app: str, account: str) -> None:
        found = await self.get(app, account)
        if found is not None and found.kind is Kind.GUEST:
            await self.forget(app, found)


class Decoy:
    """A claim of nobody, sealed once for each app and kept here: opening it costs what opening
    somebody's costs."""

    def __init__(self, tables: Tables) -> None:
        self._sealer = tables.sealer
        self._sealed: dict[str, bytes] = {}
        self._decoder = msgspec.msgpack.Decoder(Claim)

    async def open(self, app: str) -> None:
        aad = bind(app, "account_claim", "nobody")
        sealed = self._sealed.get(app)
        if sealed is None:
            claim = Claim(account="0" * 36, made=1.5, password="x" * 97)
            sealed = await self._sealer.seal(app, "meta", aad, msgspec.msgpack.encode(claim))
            self._sealed[app] = sealed
        self._decoder.decode(await self._sealer.open(app, aad, sealed))


async def _always(app: str, account: str) -> bool:
    return True


async def _nobody(app: str, account: str, fields: tuple[str, ...]) -> None:
    """Was told anything."""


def taken() -> ClientError:
    return ClientError(Code.LOGIN_TAKEN, 409, "This login name is taken.")


def not_found() -> ClientError:
    return ClientError(Code.NOT_FOUND, 404, "There is no such account.")
