"""The text of an access token: `am_` and 64 characters. Says nothing but when it ends.

    ends (4, Unix seconds) | random (28) | tag (16: HMAC-SHA256 of what is before, cut)

The tag is made with a key of the app, so a text that nobody issued falls before anything is looked
up, and one that ended needs no look-up either; what the token gives is in the store, under the
SHA-256 of its text. Why the grant is not inside: docs/decisions.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import NamedTuple

PREFIX = "am_"
RANDOM_BYTES = 28
_ENDS, _TAG = 4, 16
_SIZE = _ENDS + RANDOM_BYTES + _TAG
LENGTH = len(PREFIX) + _SIZE * 4 // 3


class Parsed(NamedTuple):
    """A text whose tag is ours. `ident` is its id: what is stored, audited and published."""

    ident: str
    ends: int


def make(key: bytes, ends: int, random: bytes) -> str:
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"{RANDOM_BYTES} random bytes make a token")
    body = ends.to_bytes(_ENDS, "big") + random
    return PREFIX + base64.urlsafe_b64encode(body + _tag(key, body)).decode()


def parse(key: bytes, text: str) -> Parsed | None:
    """None for anything that `make` did not make with this key, after the same work for each."""
    raw = _decode(text)
    body, tag = raw[:-_TAG], raw[-_TAG:]
    genuine = hmac.compare_digest(_tag(key, body), tag)
    ident = ident_of(text)
    if not genuine:
        return None
    return Parsed(ident, int.from_bytes(body[:_ENDS], "big"))


def ident_of(text: str) -> str:
    """Usable for any text, so that a refused one can be audited without being kept."""
    return hashlib.sha256(text[: 4 * LENGTH].encode(errors="replace")).hexdigest()


def _decode(text: str) -> bytes:
    """The bytes, or as many zeros: what is no token costs what a token costs."""
    if len(text) == LENGTH and text.startswith(PREFIX) and text.isascii():
        try:
            # 48 bytes fill 64 characters without a spare bit: one text for each token.
            return base64.b64decode(text[len(PREFIX) :], altchars=b"-_", validate=True)
        except binascii.Error:
            pass
    return bytes(_SIZE)


def _tag(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:_TAG]
