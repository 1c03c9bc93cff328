"""Key sets: who may grant. A publish, a subscribe and a secret key; the last one signs requests.

The secret is in the store sealed, in an answer once (when it is made), and nowhere else. Rotation
adds a new one and lets the older ones live on for an overlap. Owned by the composition root; asked
by the HTTP adapter.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence

import msgspec

from signaling.access import signature
from signaling.access.signature import BadQueryError, Signed
from signaling.clock import Clock
from signaling.errors import ClientError, Code
from signaling.ids import Entropy, Ids
from signaling.keys.port import INSTALLATION, Sealer
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Missing, Row, Table

# Two at work during an overlap, and one more for who rotates again in a hurry.
MOST_SECRETS = 3
MOST_KEYSETS = 1000
MAX_OVERLAP = 30 * 24 * 3600
# A request may be dated a minute ahead and still be timely a minute later.
_NONCE_SECONDS = 2 * signature.SKEW_SECONDS + 1
_DUMMY = "sec_of_no_key_set"


class SecretKey(msgspec.Struct, frozen=True, kw_only=True):
    """`retires`: not accepted from then on; None while it is the newest."""

    id: str
    text: str
    created: float
    retires: float | None = None

    def __repr__(self) -> str:
        return f"SecretKey({self.id}, ***)"


class KeySet(msgspec.Struct, frozen=True, kw_only=True):
    """`listing`: may its tokens list all rooms or all accounts, where they hold `.*`?"""

    id: str
    name: str
    subscribe_key: str
    publish_key: str
    secrets: tuple[SecretKey, ...]
    created: float
    listing: bool = False
    enabled: bool = True

    def accepted(self, now: float) -> list[SecretKey]:
        return [s for s in self.secrets if s.retires is None or now < s.retires]


class _Place(msgspec.Struct, frozen=True):
    """Where the key set of a subscribe key is: the key comes alone in a request's path."""

    app: str
    keyset: str


class SignatureRefused(ClientError):  # noqa: N818 - names what happened
    """403, the same for an unknown key set, no signature and a wrong one."""

    def __init__(self) -> None:
        message = "Client and server produced different signatures for the same inputs."
        super().__init__(Code.SIGNATURE_INVALID, 403, message)


class Untimely(ClientError):  # noqa: N818 - names what happened
    """400: rightly signed, but more than a minute away from our clock."""

    def __init__(self) -> None:
        message = "The timestamp is more than 60 seconds away from the server's clock."
        super().__init__(Code.TIMESTAMP_SKEWED, 400, message)


class Replayed(ClientError):  # noqa: N818 - names what happened
    def __init__(self) -> None:
        message = "This request was made before. Send another nonce."
        super().__init__(Code.REQUEST_REPLAYED, 409, message)


class KeySets:
    """Everything about key sets that is kept."""

    def __init__(
        self, store: Store, sealer: Sealer, clock: Clock, ids: Ids, entropy: Entropy
    ) -> None:
        self._meta = store.meta
        self._table = Table(store, "access.keyset", KeySet, sealer)
        self._places = Table(store, "access.subscribe_key", _Place)
        self._clock, self._ids, self._entropy = clock, ids, entropy

    async def create(self, app: str, name: str, *, listing: bool = False) -> KeySet:
        """The caller shows the secret once, to whoever asked, and forgets it."""
        if len(await self._table.scan(app, limit=MOST_KEYSETS)) >= MOST_KEYSETS:
            raise ClientError(Code.CONFLICT, 409, f"An app has at most {MOST_KEYSETS} key sets.")
        now = self._clock.unix()
        made = KeySet(
            id=self._ids.new(),
            name=name,
            subscribe_key=self._key("sub_", 16),
            publish_key=self._key("pub_", 16),
            secrets=(self._secret(now),),
            created=now,
            listing=listing,
        )
        await self._table.create(app, made.id, made)
        await self._places.create(INSTALLATION, made.subscribe_key, _Place(app, made.id))
        return made

    async def get(self, app: str, ident: str) -> Row[KeySet]:
        """Raises ClientError (404)."""
        row = await self._table.get(app, ident)
        if row is None:
            raise ClientError(Code.NOT_FOUND, 404, "There is no such key set.")
        return row

    async def page(self, app: str, after: str, limit: int) -> Sequence[KeySet]:
        return [row.value for row in await self._table.scan(app, after=after, limit=limit)]

    async def change(
        self,
        app: str,
        row: Row[KeySet],
        *,
        name: str | None = None,
        listing: bool | None = None,
        enabled: bool | None = None,
    ) -> Row[KeySet]:
        """Raises ClientError (412) when somebody else changed it since `row` was read."""
        wanted = {"name": name, "listing": listing, "enabled": enabled}
        changed = {word: value for word, value in wanted.items() if value is not None}
        try:
            value = msgspec.structs.replace(row.value, **changed)
            return await self._table.replace(app, row, value)
        except Conflict:
            message = "It was changed by somebody else in the meantime."
            raise ClientError(Code.PRECONDITION_FAILED, 412, message) from None

    async def rotate(self, app: str, ident: str, overlap: float) -> tuple[KeySet, SecretKey]:
        """A new secret; those before it are accepted for `overlap` seconds more at most."""
        now = self._clock.unix()
        fresh = self._secret(now)
        ends = now + min(max(overlap, 0.0), MAX_OVERLAP)

        def change(value: KeySet) -> KeySet:
            kept = [
                msgspec.structs.replace(
                    s, retires=ends if s.retires is None else min(s.retires, ends)
                )
                for s in value.accepted(now)
            ]
            kept = [s for s in kept if s.retires is not None and s.retires > now]
            if len(kept) >= MOST_SECRETS:
                message = "Older secrets are still accepted; retire one, or wait."
                raise ClientError(Code.CONFLICT, 409, message)
            return msgspec.structs.replace(value, secrets=(*kept, fresh))

        return await self._changed(app, ident, change), fresh

    async def retire(self, app: str, ident: str, secret: str) -> KeySet:
        """An older secret is not accepted any more, from now on. The newest cannot be retired."""

        def change(value: KeySet) -> KeySet:
            kept = tuple(s for s in value.secrets if s.id != secret or s.retires is None)
            if len(kept) == len(value.secrets):
                message = "There is no older secret with this id."
                raise ClientError(Code.NOT_FOUND, 404, message)
            return msgspec.structs.replace(value, secrets=kept)

        return await self._changed(app, ident, change)

    async def _changed(self, app: str, ident: str, change: Callable[[KeySet], KeySet]) -> KeySet:
        try:
            return (await self._table.change(app, ident, change)).value
        except Missing:
            raise ClientError(Code.NOT_FOUND, 404, "There is no such key set.") from None

    async def delete(self, app: str, ident: str) -> None:
        row = await self.get(app, ident)
        await self._places.delete(INSTALLATION, row.value.subscribe_key)
        await self._table.delete(app, ident)

    async def authorise(self, request: Signed, subscribe_key: str) -> tuple[str, KeySet]:
        """The app and key set in whose name the request is signed.

        Raises SignatureRefused, Untimely, Replayed, ClientError (400); the signature comes first,
        so that who cannot sign learns nothing about clocks and nonces.
        """
        now = self._clock.unix()
        app, keyset = await self._find(subscribe_key)
        secrets = [s.text for s in keyset.accepted(now)] if keyset is not None else []
        publish = keyset.publish_key if keyset is not None else subscribe_key
        signed = signature.is_signed_by(request, publish, secrets or [_DUMMY])
        if keyset is None or not secrets or not signed:
            raise SignatureRefused
        if not signature.is_timely(request, now):
            raise Untimely
        await self._use_once(app, keyset, request, now)
        return app, keyset

    async def _find(self, subscribe_key: str) -> tuple[str, KeySet | None]:
        place = await self._places.get(INSTALLATION, subscribe_key)
        if place is None:
            return INSTALLATION, None
        row = await self._table.get(place.value.app, place.value.keyset)
        if row is None or not row.value.enabled:
            return place.value.app, None
        return place.value.app, row.value

    async def _use_once(self, app: str, keyset: KeySet, request: Signed, now: float) -> None:
        """In the store, so that another process or a restarted one refuses the second use too."""
        try:
            nonce = signature.single_use(request)
        except BadQueryError as error:
            raise ClientError(Code.BAD_REQUEST, 400, str(error)) from None
        if nonce is None:
            return
        key = hashlib.sha256(f"{keyset.id}\n{nonce}".encode()).hexdigest()
        try:
            await self._meta.put(
                app, "access.nonce", key, b"", expect=0, expires=now + _NONCE_SECONDS
            )
        except Conflict:
            raise Replayed from None

    def _secret(self, now: float) -> SecretKey:
        return SecretKey(id=self._ids.new(), text=self._key("sec_", 32), created=now)

    def _key(self, prefix: str, size: int) -> str:
        return prefix + base64.urlsafe_b64encode(self._entropy.token(size)).decode().rstrip("=")
