"""Signatures of Standard Webhooks 1.0: symmetric `v1`, HMAC-SHA256 over `id.timestamp.body`. Pure.

A secret is `whsec_` and base64 of 32 random bytes. During a rotation each request carries the
signatures of both secrets.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence

from msgspec import Struct

PREFIX = "whsec_"
SECRET_BYTES = 32


class Key(Struct, frozen=True, kw_only=True):
    """One secret; `until` is its end, once another took its place."""

    text: str
    created: float
    until: float | None = None


def secret(random: bytes) -> str:
    return PREFIX + base64.b64encode(random).decode()


def good(keys: Sequence[Key], now: float) -> list[Key]:
    """The newest first."""
    held = [key for key in keys if key.until is None or key.until > now]
    return sorted(held, key=lambda key: key.created, reverse=True)


def rotated(keys: Sequence[Key], text: str, now: float, overlap_s: float) -> tuple[Key, ...]:
    """The new one, and those before it until the overlap ends."""
    ends = now + overlap_s
    old = [
        Key(text=key.text, created=key.created, until=min(ends, key.until or ends))
        for key in good(keys, now)
        if overlap_s > 0
    ]
    return (Key(text=text, created=now), *old)


def headers(keys: Sequence[Key], ident: str, now: float, body: bytes) -> dict[str, str]:
    stamp = str(int(now))
    signed = f"{ident}.{stamp}.".encode() + body
    return {
        "webhook-id": ident,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{_sign(key, signed)}" for key in good(keys, now)),
    }


def _sign(key: Key, signed: bytes) -> str:
    raw = base64.b64decode(key.text.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(raw, signed, "sha256")).decode()
