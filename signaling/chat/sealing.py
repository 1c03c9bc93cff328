"""Entries of a log as they lie in the store: an envelope and a body, each AES-256-GCM sealed.

The envelope is sealed with a key of the room, the body with one of the room and its author
(storage.md 5). Such a key is random, lives 90 days, and is itself wrapped with the room's data key
and, of a body, the account's: destroying either shreds what it sealed, backups included, once no
process has it cached any more (`CACHE_SECONDS`). Bound to app, room, ident and version, which are
unique in a log and chained with the digest, so no entry can be moved or replayed.
"""

from __future__ import annotations

import functools
import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from signaling.chat.bodies import Body, Plain, Sealed
from signaling.chat.ops import Edit, Entry, Erased, Op, Part, Post, React
from signaling.clock import Clock
from signaling.ids import Entropy, Noise
from signaling.keys.port import IntegrityError, KeyDestroyed, Sealer, bind
from signaling.storage.port import Conflict, Store
from signaling.storage.port import Op as Stored
from signaling.storage.table import Table

KIND = "chat.key"
CACHE_SECONDS = 300.0
CACHED = 100_000
KEY_DAYS = 90
KNOWN_NAMES = 10_000
NONCE = 12
_ELSEWHERE = Plain()
"""Stands in the envelope where the body was."""


class Wrapped(Struct, frozen=True):
    """A key, wrapped once (envelopes) or twice (bodies)."""

    wrapped: bytes
    twice: bool = False


class Kept(Struct, frozen=True, array_like=True):
    """The body of a stored op. Without a body of its own `body_key` is empty."""

    schema: int
    envelope_key: bytes
    envelope: bytes
    body_key: bytes = b""
    body: bytes = b""


class Envelope(Struct, frozen=True, array_like=True):
    """What is in the envelope; times in ms."""

    at: int
    clock: int
    account: str | None
    part: Part
    expires: int | None
    op: Op


class AccountEnvelope(Struct, frozen=True, array_like=True):
    """Of the account partition: its ops are kept as JSON and never read by others."""

    at: int
    clock: int
    op: bytes


KEPT = msgspec.msgpack.Decoder(Kept)
_ENVELOPE = msgspec.msgpack.Decoder(Envelope)
_BODY: msgspec.msgpack.Decoder[Body] = msgspec.msgpack.Decoder(Body)
_ENCODE = msgspec.msgpack.Encoder().encode


class Key(Struct):
    """Unwrapped; lives in the cache only. None was destroyed: what it sealed is gone."""

    cipher: AESGCM | None
    until: float


class Sealing:
    """One for each process."""

    def __init__(self, store: Store, sealer: Sealer, clock: Clock, entropy: Entropy) -> None:
        self._rows: Table[Wrapped] = Table(store, KIND, Wrapped)
        self._sealer, self._clock, self._entropy = sealer, clock, entropy
        self._nonces = Noise(entropy, NONCE)
        self._keys: OrderedDict[tuple[str, bytes], Key] = OrderedDict()

    # Sealing

    async def seal(self, app: str, room: str, entry: Entry) -> bytes:
        """Raises KeyDestroyed when room or author were shredded, Unavailable without the KMS."""
        op, body = _apart(entry.op)
        envelope = Envelope(
            to_ms(entry.at), entry.clock, entry.account, entry.part,
            None if entry.expires_at is None else to_ms(entry.expires_at), op,
        )  # fmt: skip
        where = (app, room, entry.ident, entry.version)
        ident, sealed = await self._seal(where, "", b"e", _ENCODE(envelope))
        if body is None:
            return _ENCODE(Kept(1, ident, sealed))
        author = entry.account or ""
        body_ident, body_sealed = await self._seal(where, author, b"b", _ENCODE(body))
        return _ENCODE(Kept(1, ident, sealed, body_ident, body_sealed))

    async def seal_bytes(
        self, app: str, room: str, ident: str, version: int, account: str, plain: bytes
    ) -> bytes:
        """Of an account's own log: one part, sealed with the account's key."""
        where = (app, room, ident, version)
        name, sealed = await self._seal(where, account, b"a", plain)
        return _ENCODE(Kept(1, name, sealed))

    async def _seal(
        self, where: tuple[str, str, str, int], account: str, part: bytes, plain: bytes
    ) -> tuple[bytes, bytes]:
        app, room, _, _ = where
        ident = self._key_id(app, room, account)
        cipher = await self._writing(app, room, account, ident)
        nonce = self._nonces.take()
        return ident, nonce + cipher.encrypt(nonce, plain, _aad(where, part, ident))

    # Opening

    async def open(self, app: str, room: str, stored: Sequence[Stored]) -> list[Entry]:
        """Erased ops come as `erased`; of a shredded author what they said is an empty body."""
        kept = [None if op.erased else KEPT.decode(op.body) for op in stored]
        await self.prefetch(app, room, kept)
        return [self.open_now(app, room, op, k) for op, k in zip(stored, kept, strict=True)]

    async def envelopes(self, app: str, room: str, stored: Sequence[Stored]) -> list[Entry]:
        """As `open`, without bodies: what an erased author left is still told by its envelope."""
        kept = [None if op.erased else KEPT.decode(op.body) for op in stored]
        bare = [one and msgspec.structs.replace(one, body_key=b"", body=b"") for one in kept]
        await self.prefetch(app, room, bare)
        return [self.open_now(app, room, op, k) for op, k in zip(stored, bare, strict=True)]

    async def prefetch(self, app: str, room: str, kept: Iterable[Kept | None]) -> None:
        """Loads the keys that `open_now` will ask for."""
        now = self._clock.monotonic()
        wanted = set()
        for one in kept:
            if one is not None:
                wanted.add(one.envelope_key)
                if one.body_key:
                    wanted.add(one.body_key)
        for ident in wanted:
            key = self._keys.get((app, ident))
            if key is None or key.until < now:
                await self._load(app, ident)

    def said_now(self, app: str, room: str, stored: Stored, kept: Kept) -> Body | None:
        """As `open_now`, the body alone; None where its author was shredded."""
        where = (app, room, stored.ident, stored.version)
        plain = self._open(where, b"b", kept.body_key, kept.body)
        return None if plain is None else _BODY.decode(plain)

    def open_now(self, app: str, room: str, stored: Stored, kept: Kept | None = None) -> Entry:
        """Without a pause, so a thread may do it; the keys were fetched before."""
        if stored.erased:
            return emptied(stored)
        kept = kept or KEPT.decode(stored.body)
        where = (app, room, stored.ident, stored.version)
        plain = self._open(where, b"e", kept.envelope_key, kept.envelope)
        if plain is None:
            return emptied(stored)
        envelope = _ENVELOPE.decode(plain)
        op = envelope.op
        if kept.body_key:
            said = self._open(where, b"b", kept.body_key, kept.body)
            if said is None:
                return emptied(stored)
            op = msgspec.structs.replace(op, body=_BODY.decode(said))
        return Entry(
            seq=stored.seq, ident=stored.ident, version=stored.version, clock=envelope.clock,
            at=from_ms(envelope.at), account=envelope.account, part=envelope.part, op=op,
            expires_at=None if envelope.expires is None else from_ms(envelope.expires),
        )  # fmt: skip

    async def open_bytes(self, app: str, room: str, stored: Stored) -> bytes | None:
        """What `seal_bytes` sealed; None when it was erased or shredded."""
        if stored.erased:
            return None
        kept = KEPT.decode(stored.body)
        await self.prefetch(app, room, [kept])
        where = (app, room, stored.ident, stored.version)
        return self._open(where, b"a", kept.envelope_key, kept.envelope)

    def _open(
        self, where: tuple[str, str, str, int], part: bytes, ident: bytes, sealed: bytes
    ) -> bytes | None:
        key = self._keys[(where[0], ident)]
        if key.cipher is None:
            return None
        try:
            return key.cipher.decrypt(sealed[:NONCE], sealed[NONCE:], _aad(where, part, ident))
        except InvalidTag:
            raise IntegrityError from None

    # Keys

    def forget(self) -> None:
        """After a scope was shredded: nothing that it wrapped is read by this process again."""
        self._keys.clear()

    def _key_id(self, app: str, room: str, account: str) -> bytes:
        """A new key each 90 days, long before one has sealed 2^30 times."""
        return _name(app, room, account, int(self._clock.unix() // (KEY_DAYS * 86400)))

    async def _writing(self, app: str, room: str, account: str, ident: bytes) -> AESGCM:
        key = self._keys.get((app, ident))
        if key is None or key.until < self._clock.monotonic():
            key = await self._load(app, ident, (room, account))
        if key.cipher is None:
            raise KeyDestroyed
        return key.cipher

    async def _load(self, app: str, ident: bytes, make: tuple[str, str] | None = None) -> Key:
        name = ident.hex()
        row = await self._rows.get(app, name)
        if row is None and make is not None:
            value = await self._create(app, name, await self._make(app, name, *make))
        elif row is None:
            # The row is gone and with it the key: shredded, or from a backup of another day.
            return self._remember(app, ident, None)
        else:
            value = row.value
        try:
            plain = await self._sealer.open(app, bind(app, KIND, name), value.wrapped)
            if value.twice:
                plain = await self._sealer.open(app, bind(app, KIND, name, 2), plain)
        except KeyDestroyed:
            return self._remember(app, ident, None)
        return self._remember(app, ident, AESGCM(plain))

    async def _make(self, app: str, name: str, room: str, account: str) -> Wrapped:
        plain = self._entropy.token(32)
        if account:
            plain = await self._sealer.seal(
                app, f"account:{account}", bind(app, KIND, name, 2), plain
            )
        scope = f"room:{room}" if not room.startswith("@") else f"account:{room[1:]}"
        sealed = await self._sealer.seal(app, scope, bind(app, KIND, name), plain)
        return Wrapped(sealed, bool(account))

    async def _create(self, app: str, name: str, made: Wrapped) -> Wrapped:
        try:
            return (await self._rows.create(app, name, made)).value
        except Conflict:
            row = await self._rows.get(app, name)
            if row is None:
                raise KeyDestroyed from None
            return row.value

    def _remember(self, app: str, ident: bytes, cipher: AESGCM | None) -> Key:
        key = Key(cipher, self._clock.monotonic() + CACHE_SECONDS)
        self._keys[(app, ident)] = key
        if len(self._keys) > CACHED:
            self._keys.popitem(last=False)
        return key


@functools.lru_cache(KNOWN_NAMES)
def _name(app: str, room: str, account: str, period: int) -> bytes:
    said = f"{len(room)}:{room}:{account}:{period}"
    return hashlib.sha256(app.encode() + b"\0" + said.encode()).digest()[:16]


def _apart(op: Op) -> tuple[Op, Plain | Sealed | None]:
    if isinstance(op, Post | Edit):
        return msgspec.structs.replace(op, body=_ELSEWHERE), op.body
    if isinstance(op, React) and op.body is not None:
        return msgspec.structs.replace(op, body=None), op.body
    return op, None


def _aad(where: tuple[str, str, str, int], part: bytes, key: bytes) -> bytes:
    app, room, ident, version = where
    head = f"{len(app)}:{len(room)}:{len(ident)}:{version}:{app}{room}{ident}"
    return b"chat1" + part + key + head.encode()


def emptied(place: Stored | Entry) -> Entry:
    """Nothing but where it was."""
    return Entry(
        seq=place.seq, ident=place.ident, version=place.version, clock=0, at=from_ms(0),
        account=None, part=Part.NONE, op=Erased(),
    )  # fmt: skip


def to_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
