"""The certificate that an erasure ends with: what was removed, when, and until when a process may
still have had a key in memory. Signed with the audit's key (Ed25519, RFC 8032).

It names a room or a message by its id, which leads nowhere any more, and a person by a digest that
only this installation can make. Pure, but for the signer that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from signaling.compliance.erasure.port import Job, Kind

PURPOSE = "sotto erasure certificate"

Sign = Callable[[str, bytes], tuple[str, bytes]]
"""Purpose and text; the name of the key and the signature."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """`counts` by what was removed. Every process has forgotten the destroyed keys by
    `keys_forgotten_at`; archives that hold the key table from before `finished_at` open until they
    are deleted, those of data alone do not.
    """

    id: str
    app: str
    kind: Kind
    subject: str
    asked_at: datetime
    finished_at: datetime
    keys_forgotten_at: datetime
    counts: dict[str, int]


def certify(
    app: str, job: Job, subject: str, now: float, cache_seconds: float, sign: Sign
) -> tuple[bytes, str, bytes]:
    """The text, the name of the key, the signature over exactly this text."""
    made = Certificate(
        id=job.id, app=app, kind=job.kind, subject=subject, asked_at=_time(job.asked),
        finished_at=_time(now), keys_forgotten_at=_time(now + cache_seconds),
        counts=dict(sorted(job.counts.items())),
    )  # fmt: skip
    text = msgspec.json.encode(made)
    return text, *sign(PURPOSE, text)


def holds(text: bytes, signature: bytes, public: bytes) -> bool:
    """Whether this installation's key signed exactly this certificate."""
    try:
        key = Ed25519PublicKey.from_public_bytes(public)
        key.verify(signature, PURPOSE.encode() + b"\0" + text)
    except (InvalidSignature, ValueError):
        return False
    return True


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)
