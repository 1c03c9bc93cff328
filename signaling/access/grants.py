"""Grants that were made: from the text of a token to a holder that decisions are made about.

A token's grant is stored sealed under the token's id until it ends. This process keeps the compiled
form of those in use, and believes it for half a second before it asks the store again, so a
revocation is obeyed within a second without any bus; with one it is at once (`hear`). Owned by the
composition root.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from signaling.access import tokens
from signaling.access.evaluate import Granted, Holder, Nobody, Reason
from signaling.access.explain import words
from signaling.access.grant import Grant, Permissions
from signaling.access.keysets import KeySet
from signaling.access.permissions import VALID, Kind
from signaling.accounts.sessions.port import Revocation, Revoker
from signaling.accounts.signin import Directory
from signaling.clock import Clock
from signaling.ids import Entropy
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Missing, Table

# Of the promised second, half; the rest is for the store's answer and the refusal itself.
BELIEVED_SECONDS = 0.5
# All compiled grants of a process together, as `Granted.memory` counts.
CACHE_BYTES = 256 << 20
# What a grant without patterns takes: its names, and the objects around them.
_GRANT_BYTES = 4096
_TAG_KEY_BYTES = 32
# A disabled account may be enabled again; nothing else comes back.
_FINAL = (Reason.REVOKED, Reason.INVALID)
VERSION = 2  # of PubNub's tokens, whose contents ours have


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a token. `since` and `revoked` in Unix time."""

    grant: Grant
    keyset: str
    since: int
    listing: bool = False
    revoked: float | None = None
    whose: str = ""
    """A blinded `grant.uuid`, to find the tokens of an account by."""


class _TagKey(msgspec.Struct, frozen=True):
    key: bytes


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is told: never its text."""

    version: int
    timestamp: int
    ttl: int
    authorized_uuid: str | None
    resources: dict[str, dict[str, dict[str, bool]]]
    patterns: dict[str, dict[str, dict[str, bool]]]
    meta: dict[str, str | int | float | bool | None]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    expires: int
    revoked: bool
    grant: View


class NotRevocable(Exception):  # noqa: N818 - names what happened
    """`detail` is told to whoever asked."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class _Known:
    __slots__ = ("asked", "granted")

    def __init__(self, granted: Granted, asked: float) -> None:
        self.granted, self.asked = granted, asked


class Grants:
    """Grants by token. Every call may raise Unavailable: then nobody is let in."""

    def __init__(
        self,
        store: Store,
        sealer: Sealer,
        clock: Clock,
        entropy: Entropy,
        revoker: Revoker,
        directory: Directory | None = None,
    ) -> None:
        """`directory` knows which accounts are disabled: tokens for them give nothing meanwhile."""
        self._sealer = sealer
        self._clock, self._entropy, self._revoker = clock, entropy, revoker
        self._directory = directory
        self._tag_keys: dict[str, bytes] = {}
        self._tag_table = Table(store, "access.tag_key", _TagKey, sealer)
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._memory = 0
        self._table = Table(store, "access.grant", Stored, sealer, terms=_terms)

    async def grant(self, app: str, keyset: KeySet, grant: Grant) -> str:
        """The token, told once."""
        since = int(self._clock.unix())
        ends = since + grant.ttl * 60
        text = tokens.make(await self._tag_key(app), ends, self._entropy.token(tokens.RANDOM_BYTES))
        stored = Stored(
            grant=grant,
            keyset=keyset.id,
            since=since,
            listing=keyset.listing,
            whose="" if grant.uuid is None else self._whose(app, grant.uuid),
        )
        await self._table.create(app, tokens.ident_of(text), stored, expires=float(ends))
        return text

    async def find(self, app: str, text: str) -> Holder:
        """Never raises for a bad token: `fault` says why the holder may do nothing."""
        parsed = tokens.parse(await self._tag_key(app), text)
        if parsed is None:
            return Nobody(Reason.INVALID)
        if self._clock.unix() >= parsed.ends:
            return Nobody(Reason.EXPIRED)
        return await self._look(app, parsed.ident)

    async def again(self, app: str, ident: str) -> Holder:
        """Of a token that was found before, by its id; asks the store."""
        known = self._known.get((app, ident))
        if known is not None:
            known.asked = float("-inf")
        holder = await self._look(app, ident)
        ended = self._clock.unix() >= holder.until
        return Nobody(Reason.EXPIRED) if ended and holder.fault is None else holder

    async def _look(self, app: str, ident: str) -> Holder:
        known = self._known.get((app, ident))
        asked = self._clock.monotonic()
        if known is not None and (
            known.granted.fault in _FINAL or asked < known.asked + BELIEVED_SECONDS
        ):
            self._known.move_to_end((app, ident))
            return known.granted
        row = await self._table.get(app, ident)
        if row is None:
            self._forget((app, ident), Reason.INVALID)
            return Nobody(Reason.INVALID)
        disabled = await self._is_disabled(app, row.value.grant.uuid)
        known = self._known.get((app, ident)) or self._remember(app, ident, row.value)
        known.asked = asked
        if row.value.revoked is not None:
            known.granted.fault = Reason.REVOKED
        elif known.granted.fault not in _FINAL:
            known.granted.fault = Reason.DISABLED if disabled else None
        return known.granted

    async def _is_disabled(self, app: str, uuid: str | None) -> bool:
        """A uuid that is no account of ours is the business of whoever granted."""
        if uuid is None or self._directory is None:
            return False
        account = await self._directory.view(app, uuid)
        return account is not None and account.disabled

    def _remember(self, app: str, ident: str, stored: Stored) -> _Known:
        granted = Granted(
            stored.grant,
            app=app,
            keyset=stored.keyset,
            ident=ident,
            since=stored.since,
            listing=stored.listing,
        )
        known = self._known[(app, ident)] = _Known(granted, 0.0)
        self._memory += _GRANT_BYTES + granted.memory
        while self._memory > CACHE_BYTES and len(self._known) > 1:
            self._drop(next(iter(self._known)))
        return known

    def _forget(self, key: tuple[str, str], reason: Reason) -> None:
        known = self._drop(key)
        if known is not None:
            known.granted.fault = reason

    def _drop(self, key: tuple[str, str]) -> _Known | None:
        known = self._known.pop(key, None)
        if known is not None:
            self._memory -= _GRANT_BYTES + known.granted.memory
        return known

    async def parse(self, app: str, text: str) -> View | Reason:
        """What the token says, to whoever holds its text; a Reason when it says nothing now."""
        holder = await self.find(app, text)
        if not isinstance(holder, Granted):
            return holder.fault or Reason.INVALID
        return holder.fault or view(holder.grant, holder.since)

    async def revoke(self, app: str, keyset: KeySet, text: str) -> None:
        """From now on, everywhere within a second. Twice is once. Raises NotRevocable."""
        parsed = tokens.parse(await self._tag_key(app), text)
        if parsed is None:
            raise NotRevocable("Token is not one of this key set.")
        if self._clock.unix() >= parsed.ends:
            raise NotRevocable("Token is expired.")
        row = await self._table.get(app, parsed.ident)
        if row is None or row.value.keyset != keyset.id:
            raise NotRevocable("Token is not one of this key set.")
        await self._end(app, parsed.ident, "revoked")

    async def revoke_all(self, app: str, keyset: str) -> int:
        """Every token of a key set, for one that is deleted or disabled."""
        return await self._end_all(app, keyset, "the key set ended")

    async def revoke_of(self, app: str, uuid: str) -> int:
        """Every token for an account that is no more."""
        return await self._end_all(app, self._whose(app, uuid), "the account ended")

    def _whose(self, app: str, uuid: str) -> str:
        return self._sealer.blind(app, f"access.uuid:{uuid}")

    async def _end_all(self, app: str, term: str, reason: str) -> int:
        count, after = 0, ""
        while rows := await self._table.scan(app, term=term, after=after, limit=100):
            for row in rows:
                if row.value.revoked is None:
                    await self._end(app, row.key, reason)
                    count += 1
            after = rows[-1].key
        return count

    async def _end(self, app: str, ident: str, reason: str) -> None:
        now = self._clock.unix()

        def change(value: Stored) -> Stored:
            return value if value.revoked else msgspec.structs.replace(value, revoked=now)

        try:
            await self._table.change(app, ident, change)
        except Missing:
            return  # it ended by itself in the meantime
        await self._revoker.revoke(Revocation(app=app, token=ident, reason=reason))

    def hear(self, revocation: Revocation) -> None:
        """A listener of revocations: what this process holds compiled is refused from now on."""
        if revocation.account is not None:
            for known in self._known.values():
                if known.granted.bound == revocation.account:
                    known.asked = float("-inf")
        if revocation.token is not None:
            found = self._known.get((revocation.app, revocation.token))
            if found is not None:
                found.granted.fault = Reason.REVOKED

    async def page(self, app: str, keyset: KeySet, after: str, limit: int) -> Sequence[Listed]:
        """Those that have not ended, by id."""
        rows = await self._table.scan(app, term=keyset.id, after=after, limit=limit)
        return [
            Listed(
                id=row.key,
                expires=row.value.since + row.value.grant.ttl * 60,
                revoked=row.value.revoked is not None,
                grant=view(row.value.grant, row.value.since),
            )
            for row in rows
        ]

    async def _tag_key(self, app: str) -> bytes:
        key = self._tag_keys.get(app)
        if key is None:
            row = await self._tag_table.get(app, "current")
            if row is None:
                fresh = _TagKey(self._entropy.token(_TAG_KEY_BYTES))
                try:
                    row = await self._tag_table.create(app, "current", fresh)
                except Conflict:
                    return await self._tag_key(app)
            key = self._tag_keys[app] = row.value.key
        return key


def _terms(stored: Stored) -> tuple[str, ...]:
    return (stored.keyset, stored.whose) if stored.whose else (stored.keyset,)


def view(grant: Grant, since: int) -> View:
    return View(
        version=VERSION,
        timestamp=since,
        ttl=grant.ttl,
        authorized_uuid=grant.uuid,
        resources=_spelled(grant.resources),
        patterns=_spelled(grant.patterns),
        meta=grant.meta,
    )


def _spelled(side: Permissions) -> dict[str, dict[str, dict[str, bool]]]:
    """Each permission by its word, as PubNub's clients show a parsed token."""
    return {
        kind.value: {
            name: {word: word in words(mask) for word in words(VALID[kind])}
            for name, mask in side.of(kind).items()
        }
        for kind in Kind
    }
