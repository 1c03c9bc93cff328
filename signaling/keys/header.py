"""The bytes of a sealed value: a header in the clear, then AES-256-GCM. Pure.

    format 1 | algorithm 1 | key id 16 | key version 4 | nonce 12 | ciphertext and tag

The header up to the nonce is authenticated with the caller's data, so neither key id nor version
can be exchanged. Only algorithm 1 exists: AES-256-GCM (NIST SP 800-38D) with a random nonce.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from signaling.keys.port import IntegrityError

FORMAT = 1
AES_256_GCM = 1
_HEAD = struct.Struct(">BB16sI")
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD = _HEAD.size + NONCE_BYTES + TAG_BYTES


class Sealed(NamedTuple):
    key: bytes
    version: int
    nonce: bytes
    body: bytes


def head(key: bytes, version: int) -> bytes:
    return _HEAD.pack(FORMAT, AES_256_GCM, key, version)


def parse(sealed: bytes) -> Sealed:
    if len(sealed) < OVERHEAD:
        raise IntegrityError("A sealed value is too short.")
    form, algorithm, key, version = _HEAD.unpack_from(sealed)
    if form != FORMAT or algorithm != AES_256_GCM:
        raise IntegrityError("A sealed value has no header of ours.")
    rest = _HEAD.size + NONCE_BYTES
    return Sealed(key, version, sealed[_HEAD.size : rest], sealed[rest:])


def associated(app: str, aad: bytes, key: bytes, version: int) -> bytes:
    """What GCM authenticates beside the ciphertext."""
    name = app.encode()
    return head(key, version) + len(name).to_bytes(4, "big") + name + aad
