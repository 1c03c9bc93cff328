"""A small authenticator in software: ES256 keys, a counter, and the lies that tests want told.

Makes what `PublicKeyCredential.toJSON()` gives (WebAuthn Level 3 sections 5.1, 6.1 and 6.5).
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Credential:
    id: bytes
    key: ec.EllipticCurvePrivateKey
    user: bytes
    count: int = 0


@dataclass
class Authenticator:
    """`counts`: a security key with a counter; otherwise a synchronised passkey, which has none."""

    origin: str = "http://localhost"
    verifies_user: bool = True
    counts: bool = False
    held: list[Credential] = field(default_factory=list)

    def create(self, options: dict[str, Any], **lies: Any) -> dict[str, Any]:
        key = ec.generate_private_key(ec.SECP256R1())
        made = Credential(secrets.token_bytes(16), key, unb64(options["user"]["id"]))
        self.held.append(made)
        numbers = key.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        attested = bytes(16) + len(made.id).to_bytes(2, "big") + made.id + cose
        rp = lies.get("rp", options["rp"]["id"])
        data = self._data(rp, made, lies, extra=attested)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", options["challenge"], lies)
        response = {
            "clientDataJSON": b64(client),
            "attestationObject": b64(attestation),
            "transports": ["internal", "hybrid", "telepathy"],
        }
        return self._credential(made, response)

    def get(self, options: dict[str, Any], which: int = -1, **lies: Any) -> dict[str, Any]:
        made = self.held[which]
        if self.counts:
            made.count += 1
        data = self._data(lies.get("rp", options["rpId"]), made, lies)
        client = self._client("webauthn.get", options["challenge"], lies)
        signature = lies.get("key", made.key).sign(
            data + sha256(client).digest(), ec.ECDSA(SHA256())
        )
        response = {
            "clientDataJSON": b64(client),
            "authenticatorData": b64(data),
            "signature": b64(signature),
            "userHandle": b64(lies.get("user", made.user)),
        }
        return self._credential(made, response)

    def _data(self, rp: str, made: Credential, lies: dict[str, Any], extra: bytes = b"") -> bytes:
        flags = lies.get("present", PRESENT) | (VERIFIED if self.verifies_user else 0)
        flags |= 0 if self.counts else ELIGIBLE | BACKED_UP
        flags |= ATTESTED if extra else 0
        count = lies.get("count", made.count)
        counted: bytes = count.to_bytes(4, "big")
        return sha256(rp.encode()).digest() + bytes([flags]) + counted + extra

    def _client(self, kind: str, challenge: str, lies: dict[str, Any]) -> bytes:
        return json.dumps({
            "type": lies.get("type", kind),
            "challenge": lies.get("challenge", challenge),
            "origin": lies.get("origin", self.origin),
            "crossOrigin": False,
        }).encode()  # fmt: skip

    def _credential(self, made: Credential, response: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": b64(made.id),
            "rawId": b64(made.id),
            "type": "public-key",
            "response": response,
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
        }
