"""Opaque tokens: `cs_` and 76 characters, which hold an id, 200 random bits and a tag.

    prefix  base64url( subject 16 | random 25 | tag 16 )      57 bytes, so no padding and one form

The tag is HMAC-SHA256 over prefix, subject and random bits under a key of the app, cut to 128 bits:
a forged, truncated or other app's token falls before the store is asked. The subject finds the
record; the record has the token's hash, never the token. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import uuid
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from signaling.errors import Code, Refused
from signaling.ids import Entropy

RANDOM_BYTES = 25
SUBJECT_BYTES = 16
TAG_BYTES = 16
_BODY = re.compile(r"[A-Za-z0-9_-]{76}", re.ASCII)

TagKeys = Callable[[str], Sequence[bytes]]
"""The tag keys of an app, the newest first; older ones are accepted while a change travels."""


class Prefix(StrEnum):
    """The kind of a token, for secret scanners and for us: one kind is never taken for another."""

    SESSION = "cs_"
    REFRESH = "cr_"
    TICKET = "ct_"
    CODE = "cc_"
    DEVICE_CODE = "cd_"
    CLIENT_SECRET = "cx_"  # noqa: S105 - the prefix of a kind
    ACCESS_MANAGER = "am_"
    BOT = "bot_"
    WEBHOOK = "whsec_"


class Token(msgspec.Struct, frozen=True):
    """`id` is a hash: it stands in records, logs and revocations. Only `text` opens anything."""

    prefix: Prefix
    subject: str
    id: str
    text: str

    def __repr__(self) -> str:
        return f"Token({self.prefix}***, id={self.id})"


def token_id(text: str) -> str:
    """128 bits of SHA-256: the token has 200 random bits, so nobody finds another for it."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _tag(key: bytes, prefix: str, body: bytes) -> bytes:
    return hmac.digest(key, prefix.encode() + body, "sha256")[:TAG_BYTES]


def mint(keys: TagKeys, app: str, prefix: Prefix, subject: str, entropy: Entropy) -> Token:
    """A new token for the record `subject` (a UUID)."""
    body = uuid.UUID(subject).bytes + entropy.token(RANDOM_BYTES)
    sealed = body + _tag(keys(app)[0], prefix, body)
    text = prefix + base64.urlsafe_b64encode(sealed).decode()
    return Token(prefix, subject, token_id(text), text)


def refused() -> Refused:
    return Refused(Code.TOKEN_INVALID, 401, "The token is not valid.")


def prefix_of(text: str) -> Prefix | None:
    """The kind that a text claims to be; nothing of it is checked yet."""
    head, found, _ = text.partition("_")
    try:
        return Prefix(head + found)
    except ValueError:
        return None


def read(keys: TagKeys, app: str, text: str, *expected: Prefix) -> Token:
    """Raises Refused (401) for everything that this app did not mint as one of these kinds."""
    prefix = prefix_of(text)
    if prefix is None or prefix not in expected:
        raise refused()
    if _BODY.fullmatch(text, len(prefix)) is None:
        raise refused()
    sealed = base64.urlsafe_b64decode(text[len(prefix) :])
    body, tag = sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]
    # Every key is tried, so that the time says nothing about which one fits.
    matches = [hmac.compare_digest(_tag(key, prefix, body), tag) for key in keys(app)]
    if not any(matches):
        raise refused()
    return Token(prefix, str(uuid.UUID(bytes=body[:SUBJECT_BYTES])), token_id(text), text)


def derived_keys(blind: Callable[[str, str], str]) -> TagKeys:
    """Tag keys out of the key management's keyed digest, remembered for each app."""
    known: dict[str, tuple[bytes, ...]] = {}

    def keys(app: str) -> Sequence[bytes]:
        found = known.get(app)
        if found is None:
            text = blind(app, "sotto token tag 1")
            found = known[app] = (hashlib.sha256(text.encode()).digest(),)
        return found

    return keys
