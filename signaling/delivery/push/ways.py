"""The ways to a device, and Web Push, the first of them: one request for one parcel (RFC 8030).

A `Way` speaks one service's protocol and says what became of the parcel; whether it should still be
sent was decided before. UnifiedPush's distributors speak Web Push too.
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from signaling.clock import Clock
from signaling.delivery.port import Dead, Delivered, Gone, Outcome, Retry
from signaling.delivery.push.model import Parcel, Subscription
from signaling.delivery.push.webpush import (
    SALT_BYTES,
    Vapid,
    encrypt,
    padded,
    private_key,
)
from signaling.egress import Egress, EgressFailed, EgressRefused
from signaling.ids import Entropy

# The longest that a service's wish is followed.
MOST_WAIT = 3600.0
MOST_ANSWER = 65536
# RFC 8030 section 5.4: of the base64url alphabet.
TOPIC_CHARACTERS = 32


class Way(Protocol):
    async def send(self, one: Subscription, parcel: Parcel, ident: str, ttl: int) -> Outcome:
        """`ident` of the outbox's item; `ttl` in seconds, how long the service may keep it."""

    async def close(self) -> None: ...


def wait_of(headers: Mapping[str, str], now: float) -> float:
    """Retry-After in seconds from now (RFC 9110 section 10.2.3); 0 when it does not say."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), MOST_WAIT)
    try:
        return min(max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now), MOST_WAIT)
    except (ValueError, TypeError, OverflowError):
        return 0.0


class WebPush:
    """A `Way`."""

    def __init__(self, egress: Egress, vapid: Vapid, entropy: Entropy, clock: Clock) -> None:
        self._egress, self._vapid, self._entropy, self._clock = egress, vapid, entropy, clock

    async def send(self, one: Subscription, parcel: Parcel, ident: str, ttl: int) -> Outcome:
        try:
            answer = await self._egress.fetch(
                "POST",
                one.endpoint,
                headers=self._headers(one, parcel, ttl),
                body=self._body(one, parcel.content.encode()),
                most=MOST_ANSWER,
            )
        except EgressRefused as error:
            return Dead(f"the push service: {error}")
        except EgressFailed as error:
            return Retry(0.0, str(error))
        return self._outcome(answer.status, answer.headers)

    def _headers(self, one: Subscription, parcel: Parcel, ttl: int) -> dict[str, str]:
        return {
            "Authorization": self._vapid.authorization(one.endpoint),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(ttl),
            "Urgency": parcel.urgency,
            "Topic": parcel.tag[:TOPIC_CHARACTERS],
        }

    def _body(self, one: Subscription, plain: bytes) -> bytes:
        sender: ec.EllipticCurvePrivateKey = private_key(self._entropy.token(32))
        salt = self._entropy.token(SALT_BYTES)
        return encrypt(plain, one.p256dh, one.auth, sender, salt, padded(plain))

    def _outcome(self, status: int, headers: Mapping[str, str]) -> Outcome:
        if 200 <= status < 300:
            return Delivered()
        if status in (404, 410):
            return Gone(f"the push service answered {status}")
        if status in (401, 403):
            # Made for another key of ours: it never works again (RFC 8292 section 4.2).
            return Gone(f"the push service answered {status}")
        if status in (408, 425, 429) or status >= 500:
            return Retry(
                wait_of(headers, self._clock.unix()), f"the push service answered {status}"
            )
        return Dead(f"the push service answered {status}")

    async def close(self) -> None:
        return None
