"""The two kinds of entry in an app's audit log, as bytes. Pure.

`R` and a sealed record; `H` and a signed head, which vouches for the chain up to itself. A record
is sealed with the data key of scope `audit` and bound to its place (writer and number), the chain
runs over the sealed bytes: so verifying needs no key but the public one.
"""

from __future__ import annotations

import hashlib

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from signaling.compliance.audit.port import AuditEvent, Result, cleaned
from signaling.keys.port import bind

ROOM = "\x00audit"
"""The log's name in every app; no room of people can have it."""

SCOPE = "audit"
KIND = "audit"
RECORD, HEAD = b"R", b"H"


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event as it is kept: cleaned, with an id by which receivers know a duplicate."""

    id: str
    at: float
    app: str
    actor: str
    action: str
    target: str = ""
    result: Result = "allowed"
    code: str = ""
    request_id: str = ""
    token_id: str = ""
    address: str = ""
    details: dict[str, str] = {}


class SignedHead(msgspec.Struct, frozen=True, array_like=True):
    """`chain` after the op `seq` of this app's log, with an Ed25519 signature (RFC 8032)."""

    app: str
    seq: int
    chain: bytes
    at: float
    key: str
    signature: bytes = b""


_RECORDS = msgspec.msgpack.Decoder(Record)
_HEADS = msgspec.msgpack.Decoder(SignedHead)
_ENCODER = msgspec.msgpack.Encoder()


def make(event: AuditEvent, ident: str) -> Record:
    kept = cleaned(event)
    return Record(
        id=ident,
        at=kept.at,
        app=kept.app,
        actor=kept.actor,
        action=kept.action,
        target=kept.target,
        result=kept.result,
        code=kept.code,
        request_id=kept.request_id,
        token_id=kept.token_id,
        address=kept.address,
        details=kept.details,
    )


def encode_record(record: Record) -> bytes:
    return _ENCODER.encode(record)


def decode_record(data: bytes) -> Record:
    return _RECORDS.decode(data)


def place(app: str, writer: str, number: int) -> bytes:
    """What a sealed record is bound to."""
    return bind(app, KIND, f"{writer}/{number}")


def encode_head(head: SignedHead) -> bytes:
    return HEAD + _ENCODER.encode(head)


def decode_head(body: bytes) -> SignedHead:
    """Raises msgspec.DecodeError for what is no head."""
    if body[:1] != HEAD:
        raise msgspec.DecodeError("not a head")
    return _HEADS.decode(body[1:])


def signed_bytes(head: SignedHead) -> bytes:
    return b"sotto audit head\0" + _ENCODER.encode(msgspec.structs.replace(head, signature=b""))


def sign(head: SignedHead, private: Ed25519PrivateKey) -> SignedHead:
    return msgspec.structs.replace(head, signature=private.sign(signed_bytes(head)))


def is_signed(head: SignedHead, public: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(head.signature, signed_bytes(head))
    except (InvalidSignature, ValueError):
        return False
    return head.key == key_name(public)


def key_name(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:32]
