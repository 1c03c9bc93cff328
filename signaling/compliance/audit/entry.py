"""The kinds of entry in an app's audit log, as bytes. Pure.

`R` and a sealed record; `B`, how many, and several records sealed together, which is what a busy
server writes; `H` and a signed head, which vouches for the chain up to itself. Records are sealed
with the data key of scope `audit` and bound to their place (writer, number and, in a batch, how
many), the chain runs over the sealed bytes: so verifying needs no key but the public one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from signaling.compliance.audit.port import (
    AuditEvent,
    Result,
    are_clean,
    clean_details,
    clean_text,
    truncated,
)
from signaling.ids import Ids
from signaling.keys.port import bind

ROOM = "\x00audit"
"""The log's name in every app; no room of people can have it."""

SCOPE = "audit"
KIND = "audit"
RECORD, BATCH, HEAD = b"R", b"B", b"H"

MOST = 64
"""Records of a batch: sealing, chaining and storing one costs little beside its records then, and
what is damaged hides no more than these from readers."""
MOST_BYTES = 256 * 1024
_COUNT = 2


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
_BATCHES = msgspec.msgpack.Decoder(list[Record])
_HEADS = msgspec.msgpack.Decoder(SignedHead)
_ENCODER = msgspec.msgpack.Encoder()


def make(event: AuditEvent, ident: str) -> Record:
    return Record(
        id=ident,
        at=event.at,
        app=event.app,
        actor=clean_text(event.actor),
        action=clean_text(event.action),
        target=clean_text(event.target),
        result=event.result,
        code=clean_text(event.code),
        request_id=clean_text(event.request_id),
        token_id=clean_text(event.token_id),
        address=truncated(event.address),
        details=clean_details(event.details),
    )


def make_all(events: Sequence[AuditEvent], ids: Ids) -> list[Record]:
    """Each with an id of its own. Where nothing needs cleaning, nearly always, in one go."""
    if not are_clean(events):
        return [make(event, ids.new()) for event in events]
    return [
        Record(
            id=ids.new(),
            at=event.at,
            app=event.app,
            actor=event.actor,
            action=event.action,
            target=event.target,
            result=event.result,
            code=event.code,
            request_id=event.request_id,
            token_id=event.token_id,
            address=truncated(event.address),
            details=event.details,
        )
        for event in events
    ]


def packed(records: Sequence[Record]) -> Iterator[tuple[int, bytes]]:
    """What is sealed of one record or of several, and how many: parts that the store takes as one
    entry each.
    """
    data = _ENCODER.encode(records[0] if len(records) == 1 else records)
    if len(records) == 1 or len(data) <= MOST_BYTES:
        yield len(records), data
    else:
        half = len(records) // 2
        yield from packed(records[:half])
        yield from packed(records[half:])


def body(count: int, sealed: bytes) -> bytes:
    """The entry of so many records."""
    if count == 1:
        return RECORD + sealed
    return BATCH + count.to_bytes(_COUNT, "big") + sealed


def count_of(body: bytes) -> int:
    """How many records an entry says that it has; 0 for what is not of records."""
    if body[:1] == BATCH:
        return int.from_bytes(body[1 : 1 + _COUNT], "big")
    return 1 if body[:1] == RECORD else 0


def sealed_of(body: bytes) -> bytes:
    return body[1 + _COUNT :] if body[:1] == BATCH else body[1:]


def opened(plain: bytes, count: int) -> list[Record]:
    """Raises msgspec.DecodeError for what are not so many records."""
    if count == 1:
        return [_RECORDS.decode(plain)]
    records = _BATCHES.decode(plain)
    if len(records) != count:
        raise msgspec.DecodeError("not as many records as the entry says")
    return records


def place(app: str, writer: str, number: int, count: int = 1) -> bytes:
    """What sealed records are bound to."""
    name = f"{writer}/{number}"
    return bind(app, KIND, name if count == 1 else f"{name}/{count}")


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
