"""The key that signs heads: made at the first start, kept sealed under the KMS, and the public
halves by which heads are checked.

A public key found here is as good as the KMS: its row opens only under it. Whoever wants to trust
less pins the public key that `sotto audit keys` printed.
"""

from __future__ import annotations

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signaling.clock import Clock
from signaling.compliance.audit.entry import SignedHead, key_name, sign
from signaling.ids import Entropy
from signaling.keys.port import INSTALLATION, Sealer, bind
from signaling.storage.port import Conflict, Meta

KIND = "audit_signer"
SCOPE = "audit_signer"


class Pair(msgspec.Struct, frozen=True):
    private: bytes
    created: float


class Signers:
    """All signing keys of the installation; the last one signs."""

    def __init__(self, meta: Meta, sealer: Sealer, clock: Clock, entropy: Entropy) -> None:
        self._meta = meta
        self._sealer = sealer
        self._clock = clock
        self._entropy = entropy
        self._current: Ed25519PrivateKey | None = None
        self._name = ""

    async def start(self) -> None:
        """Loads the current key, or makes the first."""
        pairs = await self._load()
        if not pairs:
            await self._add(1)
            pairs = await self._load()
        self._use(pairs[-1])

    async def rotate(self) -> str:
        """A new key signs from here on; the name of it. Other processes take it at their start."""
        await self._add(len(await self._load()) + 1)
        await self.start()
        return self._name

    async def public_keys(self) -> dict[str, bytes]:
        """By name. Raises IntegrityError when a row was not made here."""
        halves = [_private(pair).public_key().public_bytes_raw() for pair in await self._load()]
        return {key_name(public): public for public in halves}

    def sign(self, app: str, seq: int, chain: bytes) -> SignedHead:
        if self._current is None:
            raise RuntimeError("the signing key is not loaded")
        return sign(SignedHead(app, seq, chain, self._clock.unix(), self._name), self._current)

    def sign_text(self, purpose: str, text: bytes) -> tuple[str, bytes]:
        """The name of the key, and a signature that counts for this purpose alone."""
        if self._current is None:
            raise RuntimeError("the signing key is not loaded")
        return self._name, self._current.sign(purpose.encode() + b"\0" + text)

    def _use(self, pair: Pair) -> None:
        self._current = _private(pair)
        self._name = key_name(self._current.public_key().public_bytes_raw())

    async def _load(self) -> list[Pair]:
        found: list[Pair] = []
        for document in await self._meta.scan(INSTALLATION, KIND, limit=1000):
            aad = bind(INSTALLATION, KIND, document.key)
            plain = await self._sealer.open(INSTALLATION, aad, document.value)
            found.append(msgspec.msgpack.decode(plain, type=Pair))
        return found

    async def _add(self, number: int) -> None:
        """Another process that was faster has made it for both."""
        key = f"{number:06}"
        plain = msgspec.msgpack.encode(Pair(self._entropy.token(32), self._clock.unix()))
        aad = bind(INSTALLATION, KIND, key)
        sealed = await self._sealer.seal(INSTALLATION, SCOPE, aad, plain)
        try:
            await self._meta.put(INSTALLATION, KIND, key, sealed, expect=0)
        except Conflict:
            return


def _private(pair: Pair) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(pair.private)
