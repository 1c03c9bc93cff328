"""Apple's push service: HTTP/2 with a token that the operator's key signs.

One connection to each of its two environments. What Apple's servers see is what `content` allows:
without a preview an alert names only what kind of thing happened, and the app words it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Struct

from signaling.clock import Clock
from signaling.delivery.notify import SILENT
from signaling.delivery.port import Dead, Delivered, Gone, Outcome, Retry
from signaling.delivery.push.http2 import Http2, Http2Failed, Open, Reply
from signaling.delivery.push.model import ApnsEnvironment, Parcel, Subscription
from signaling.delivery.push.ways import wait_of
from signaling.delivery.push.webpush import sign_es256
from signaling.egress import EgressFailed, EgressRefused
from signaling.secret import Secret

# Apple takes tokens of 20 to 60 minutes: younger changes and older tokens are refused.
TOKEN_SECONDS = 3000.0
COLLAPSE_BYTES = 64
# 400 and 410: the token is no device of this app.
GONE = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken"})
STALE = frozenset({"ExpiredProviderToken"})
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ApnsKey(Struct, frozen=True):
    """As Apple's developer pages give it out; `topic` is the app's bundle id."""

    key_id: str
    team: str
    topic: str
    pem: Secret


class ProviderToken:
    """Signed again when it is old (RFC 7519)."""

    def __init__(self, key: ApnsKey, clock: Clock) -> None:
        """Raises ValueError for what is no P-256 key in PEM."""
        loaded = load_pem_private_key(key.pem.reveal().encode(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey) or loaded.curve.name != "secp256r1":
            raise ValueError("the key is no P-256 key")
        self._signer, self._key, self._clock = loaded, key, clock
        self._made, self._text = 0.0, ""

    def current(self) -> str:
        now = self._clock.unix()
        if not self._text or self._made + TOKEN_SECONDS <= now or self._made > now:
            header = {"alg": "ES256", "kid": self._key.key_id}
            claims = {"iss": self._key.team, "iat": int(now)}
            self._made, self._text = now, sign_es256(self._signer, header, claims)
        return self._text

    def forget(self, text: str) -> None:
        """It was refused; unless another took its place already."""
        if text == self._text:
            self._text = ""


class Apns:
    """A `Way`."""

    def __init__(
        self,
        key: ApnsKey,
        urls: Mapping[ApnsEnvironment, str],
        open_to: Callable[[str], Open],
        clock: Clock,
    ) -> None:
        """`open_to` a URL, guarded. Raises ValueError for a key that cannot be used."""
        self._topic, self._clock = key.topic, clock
        self._token = ProviderToken(key, clock)
        self._to = {
            environment: Http2(open_to(url), urlsplit(url).netloc)
            for environment, url in urls.items()
        }

    async def send(self, one: Subscription, parcel: Parcel, ident: str, ttl: int) -> Outcome:
        token = self._token.current()
        expires = int(self._clock.unix()) + ttl if ttl > 0 else 0
        fields = headers(one, parcel, ident, self._topic, expires)
        fields["authorization"] = f"bearer {token}"
        body = json.dumps(payload(one, parcel), ensure_ascii=False, separators=(",", ":")).encode()
        try:
            reply = await self._to[one.environment].post(f"/3/device/{one.token}", fields, body)
        except EgressRefused as error:
            return Dead(f"APNs may not be called: {error}")
        except (EgressFailed, Http2Failed) as error:
            return Retry(0.0, f"APNs: {error}")
        return self._outcome(reply, token)

    def _outcome(self, reply: Reply, token: str) -> Outcome:
        if reply.status == 200:
            return Delivered()
        why = reason(reply.body)
        said = f"APNs answered {reply.status} {why}".rstrip()
        if reply.status == 410 or why in GONE:
            return Gone(said)
        if why in STALE:
            self._token.forget(token)
            return Retry(0.0, said)
        if reply.status in (403, 408, 429) or reply.status >= 500:
            # 403: the operator's key or topic, which can be mended.
            return Retry(wait_of(reply.headers, self._clock.unix()), said)
        return Dead(said)

    async def close(self) -> None:
        for way in self._to.values():
            await way.close()


def headers(
    one: Subscription, parcel: Parcel, ident: str, topic: str, expires: int
) -> dict[str, str]:
    """A notification that shows nothing must have priority 5."""
    silent = parcel.kind in SILENT or not parcel.shown
    kind = "voip" if one.voip else "background" if silent else "alert"
    urgent = parcel.urgency == "high" or (kind == "alert" and parcel.urgency == "normal")
    found = {
        "apns-topic": f"{topic}.voip" if one.voip else topic,
        "apns-push-type": kind,
        "apns-expiration": str(expires),
        "apns-priority": "10" if urgent and kind != "background" else "5",
        "apns-collapse-id": parcel.tag[:COLLAPSE_BYTES],
    }
    if _UUID.fullmatch(ident):
        found["apns-id"] = ident
    return found


def payload(one: Subscription, parcel: Parcel) -> dict[str, Any]:
    """Ours beside Apple's. The app's extension may word an alert anew (`mutable-content`)."""
    said = {"sotto": json.loads(parcel.content)}
    if one.voip:
        return {"aps": {}, **said}
    if parcel.kind in SILENT or not parcel.shown:
        return {"aps": {"content-available": 1}, **said}
    alert: dict[str, Any] = {"loc-key": f"sotto.{parcel.kind}"}
    if parcel.text:
        alert = {"title": parcel.title, "body": parcel.text}
    aps: dict[str, Any] = {
        "alert": alert, "sound": "default", "mutable-content": 1, "thread-id": parcel.tag,
        "category": f"sotto.{parcel.kind}",
    }  # fmt: skip
    if parcel.kind in ("call", "mention"):
        aps["interruption-level"] = "time-sensitive"
    return {"aps": aps, **said}


def reason(body: bytes) -> str:
    try:
        found = json.loads(body).get("reason", "")
    except (ValueError, AttributeError):
        return ""
    return found if isinstance(found, str) and found.isalpha() and len(found) < 64 else ""
