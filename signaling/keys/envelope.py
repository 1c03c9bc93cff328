"""Envelope encryption: the `Sealer` that everybody is given.

A master key in the KMS wraps a versioned data key for each scope; data keys seal values with
AES-256-GCM. Unwrapped keys are cached for their time: through an outage of the KMS they serve on,
after it nothing opens and nothing is written (503). A damaged value raises, and the audit hears it.
"""

from __future__ import annotations

import base64
import hmac
import logging
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec.structs import replace

from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.errors import ClientError, Code, Unavailable
from signaling.ids import Entropy
from signaling.keys import header
from signaling.keys.cache import Cache
from signaling.keys.lifecycle import (
    KeySet,
    State,
    Version,
    activate,
    add,
    readable,
    shredded,
    writable,
)
from signaling.keys.masters import SYSTEM, Masters
from signaling.keys.port import INSTALLATION, Context, IntegrityError, KeyDestroyed, UnknownKey
from signaling.keys.table import MASTER_ID, KeyTable, key_id

log = logging.getLogger(__name__)

BLIND_SCOPE = "blind"
KEY_BYTES = 32
"""AES-256."""

# More versions than a key lives to have; a hint that names more is nonsense.
MAX_HINTED = 100_000


@dataclass(frozen=True)
class Policy:
    """When a data key is replaced and how long an unwrapped one is kept, in seconds."""

    cache_seconds: float = 300.0
    cache_entries: int = 50_000
    renew_seconds: float = 90 * 86400.0
    renew_uses: int = 2**30
    """Random 96-bit nonces of one key stay below 2^32 (SP 800-38D section 8.3), with room to spare
    for processes that died before they had told how many they used.
    """
    report_uses: int = 2**16


@dataclass
class DataKey:
    """An unwrapped version. Lives in the cache only."""

    id: bytes
    number: int
    cipher: AESGCM
    created: float
    uses: int
    fresh: int = 0
    """Seals by this process that the table does not count yet."""


def wrap_context(keys: KeySet, number: int) -> Context:
    return {"app": keys.app, "key": keys.id, "scope": keys.scope, "version": str(number)}


class Envelope:
    """One for each process. `start` before `blind`; `forget` when another process changed a key."""

    def __init__(
        self,
        table: KeyTable,
        masters: Masters,
        audit: Audit,
        clock: Clock,
        entropy: Entropy,
        policy: Policy | None = None,
    ) -> None:
        self._table = table
        self._masters = masters
        self._audit = audit
        self._clock = clock
        self._entropy = entropy
        self.policy = policy or Policy()
        seconds, entries = self.policy.cache_seconds, self.policy.cache_entries
        self._open: Cache[tuple[str, bytes, int], DataKey] = Cache(
            self._load, clock, seconds, entries
        )
        # Names only: were the key itself here too, the two lives would add up.
        self._active: Cache[tuple[str, str], tuple[bytes, int]] = Cache(
            self._load_active, clock, seconds, entries
        )
        self._blind_root = b""
        self._blind_keys: dict[str, bytes] = {}

    async def start(self) -> None:
        """Fetches the key of blind terms, which stays for the life of the process: without it no
        account is found. Raises Unavailable when the KMS is away.
        """
        keys = await self._ensure(INSTALLATION, BLIND_SCOPE)
        version = readable(keys.versions[0])
        self._blind_root = await self._unwrap(keys, version)

    async def seal(self, app: str, scope: str, aad: bytes, plaintext: bytes) -> bytes:
        key = await self._writing(app, scope)
        if self._worn(key):
            key = await self._renewed(app, scope, key)
        key.fresh += 1
        if key.fresh >= self.policy.report_uses:
            await self._report(app, key)
        nonce = self._entropy.token(header.NONCE_BYTES)
        bound = header.associated(app, aad, key.id, key.number)
        return header.head(key.id, key.number) + nonce + key.cipher.encrypt(nonce, plaintext, bound)

    async def open(self, app: str, aad: bytes, sealed: bytes) -> bytes:
        try:
            parts = header.parse(sealed)
        except IntegrityError:
            self._alarm(app, "", 0)
            raise
        try:
            key = await self._open.get((app, parts.key, parts.version))
        except (UnknownKey, IntegrityError):
            self._alarm(app, parts.key.hex(), parts.version)
            raise
        bound = header.associated(app, aad, parts.key, parts.version)
        try:
            return key.cipher.decrypt(parts.nonce, parts.body, bound)
        except InvalidTag:
            self._alarm(app, parts.key.hex(), parts.version)
            raise IntegrityError from None

    def blind(self, app: str, text: str) -> str:
        if not self._blind_root:
            raise Unavailable("The keys are not loaded yet.")
        key = self._blind_keys.get(app)
        if key is None:
            derive = HKDF(
                SHA256(), KEY_BYTES, salt=None, info=b"sotto blind terms\0" + app.encode()
            )
            key = self._blind_keys[app] = derive.derive(self._blind_root)
        digest = hmac.digest(key, text.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    async def shred(self, app: str, scope: str) -> None:
        if app == INSTALLATION:
            raise ValueError("the installation's own keys are not shredded")
        now, key = self._clock.unix(), key_id(app, scope).hex()

        def change(before: KeySet | None) -> KeySet:
            # A scope without a key is shredded too: nothing may be written under it later.
            return shredded(before or KeySet(id=key, app=app, scope=scope, versions=()), now)

        after = await self._table.change(app, key, change)
        self.forget(after)
        event = AuditEvent(
            at=now, app=app, actor=SYSTEM, action="keys.shred", target=f"key:{key}",
            details={"scope": scope, "count": str(len(after.versions))},
        )  # fmt: skip
        await self._audit.record(event)

    async def rotate(self, app: str, scope: str) -> KeySet:
        """A new version of the scope's data key seals from here on; the old ones only read."""
        before = await self._ensure(app, scope)
        return await self._replace(before, writable(before).number)

    async def prepare(self, keys: KeySet) -> KeySet:
        """A further version that waits to be activated."""
        made = await self._make(keys, keys.newest() + 1)

        def change(before: KeySet | None) -> KeySet:
            if before is None or before.newest() >= made.number:
                raise ClientError(Code.CONFLICT, 409, "The key was changed in the meantime.")
            return add(before, made)

        return await self._table.change(keys.app, keys.id, change)

    def forget(self, keys: KeySet) -> None:
        self.forget_named(keys.app, keys.scope, keys.id, keys.newest())

    def forget_named(self, app: str, scope: str, key: str, versions: int) -> None:
        """As a hint from another process names it."""
        if key == MASTER_ID:
            self.forget_all()
            return
        ident = bytes.fromhex(key)
        self._active.forget((app, scope))
        for number in range(1, min(versions, MAX_HINTED) + 1):
            self._open.forget((app, ident, number))

    def forget_all(self) -> None:
        """A master key changed its state: every data key is asked for again."""
        self._active.clear()
        self._open.clear()

    def sweep(self) -> None:
        self._active.sweep()
        self._open.sweep()

    @property
    def cached(self) -> int:
        return len(self._open)

    def _alarm(self, app: str, key: str, version: int) -> None:
        log.error("a sealed value does not open: it was changed or moved")
        details = {"key": key, "version": str(version)} if key else {}
        self._audit.note(
            AuditEvent(
                at=self._clock.unix(),
                app=app,
                actor=SYSTEM,
                action="keys.integrity",
                target=f"key:{key}",
                result="failed",
                code="integrity_error",
                details=details,
            )
        )

    def _worn(self, key: DataKey) -> bool:
        age = self._clock.unix() - key.created
        return age >= self.policy.renew_seconds or key.uses + key.fresh >= self.policy.renew_uses

    async def _renewed(self, app: str, scope: str, key: DataKey) -> DataKey:
        """Through an outage the old key goes on, up to twice its uses."""
        try:
            keys = await self._ensure(app, scope)
            await self._replace(keys, key.number)
            return await self._writing(app, scope)
        except Unavailable:
            if key.uses + key.fresh >= 2 * self.policy.renew_uses:
                raise
            return key

    async def _report(self, app: str, key: DataKey) -> None:
        spent, key.fresh = key.fresh, 0

        def change(before: KeySet | None) -> KeySet:
            if before is None:
                raise UnknownKey
            return replace(
                before,
                versions=tuple(
                    replace(v, uses=v.uses + spent) if v.number == key.number else v
                    for v in before.versions
                ),
            )

        try:
            after = await self._table.change(app, key.id.hex(), change)
        except Unavailable:
            key.fresh += spent
        else:
            key.uses = after.version(key.number).uses

    async def _writing(self, app: str, scope: str) -> DataKey:
        return await self._open.get((app, *await self._active.get((app, scope))))

    async def _load_active(self, where: tuple[str, str]) -> tuple[bytes, int]:
        keys = await self._ensure(*where)
        return bytes.fromhex(keys.id), writable(keys).number

    async def _load(self, where: tuple[str, bytes, int]) -> DataKey:
        app, key, number = where
        keys = await self._table.get(app, key.hex())
        if keys is None:
            raise UnknownKey
        if not keys.versions:
            raise KeyDestroyed
        version = readable(keys.version(number))
        plain = await self._unwrap(keys, version)
        known = self._fresh(where)
        return DataKey(key, number, AESGCM(plain), version.created, version.uses, known)

    def _fresh(self, where: tuple[str, bytes, int]) -> int:
        """What this process used of the key and did not report yet survives a refresh."""
        before = self._open.peek(where)
        return before.fresh if before is not None else 0

    async def _unwrap(self, keys: KeySet, version: Version) -> bytes:
        context = wrap_context(keys, version.number)
        plain = await self._masters.unwrap(version.master, version.wrapped, context)
        if len(plain) != KEY_BYTES:
            raise IntegrityError("A data key has the wrong length.")
        return plain

    async def _ensure(self, app: str, scope: str) -> KeySet:
        """The scope's keys, made at the first use."""
        key = key_id(app, scope).hex()
        found = await self._table.get(app, key)
        if found is not None:
            return found
        empty = KeySet(id=key, app=app, scope=scope, versions=())
        made = await self._make(empty, 1)
        return await self._table.change(
            app, key, lambda before: before or activate(add(empty, made), 1, made.created)
        )

    async def _make(self, keys: KeySet, number: int) -> Version:
        now = self._clock.unix()
        fresh = self._entropy.token(KEY_BYTES)
        master, wrapped = await self._masters.wrap(fresh, wrap_context(keys, number))
        return Version(
            number=number, state=State.PRE_ACTIVE, created=now, changed=now,
            wrapped=wrapped, master=master,
        )  # fmt: skip

    async def _replace(self, keys: KeySet, number: int) -> KeySet:
        """Unless another process replaced version `number` first."""
        made = await self._make(keys, keys.newest() + 1)

        def change(before: KeySet | None) -> KeySet:
            current = before or keys
            active = current.active()
            if active is None or active.number != number or current.newest() >= made.number:
                return current
            return activate(add(current, made), made.number, made.created)

        after = await self._table.change(keys.app, keys.id, change)
        self.forget(after)
        return after
