"""Signed requests: PubNub's signature v2, which its server libraries make from the secret key.

    v2.<base64url, unpadded, of HMAC-SHA256(secret, METHOD \\n key \\n path \\n query \\n body)>

`key` is the publish key, `path` as it stands on the wire, `query` every parameter but `signature`,
sorted by name, values percent-encoded but for letters, digits, `_`, `.` and `-`. Pure: the time
and the raw request are arguments. A nonce is remembered elsewhere (`keysets`).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

SKEW_SECONDS = 60
SIGNATURE, TIMESTAMP, NONCE = "signature", "timestamp", "nonce"
_MAX_PARAMETERS = 32
_MAX_NONCE = 128


class BadQueryError(ValueError):
    """400: no signature could ever be right for this query."""


class Signed(NamedTuple):
    """A request as its signature sees it. `query` is without the signature."""

    method: str
    path: str
    query: tuple[tuple[str, bytes], ...]
    body: bytes
    signature: str

    def parameter(self, name: str) -> str | None:
        for found, value in self.query:
            if found == name:
                return value.decode(errors="replace")
        return None


def read(method: str, target: str, body: bytes) -> Signed:
    """`target` is the request target as received (RFC 9112 section 3.2.1). Raises BadQueryError."""
    path, _, raw = target.partition("?")
    parameters: dict[str, bytes] = {}
    parts = raw.split("&") if raw else []
    if len(parts) > _MAX_PARAMETERS:
        raise BadQueryError("There are too many parameters.")
    for part in parts:
        name, _, value = part.partition("=")
        key = _text(unquote_to_bytes(name))
        if key in parameters:
            raise BadQueryError("A parameter comes twice.")
        # Not unquote_plus: in a URL a plus is a plus (RFC 3986 section 2.2).
        parameters[key] = unquote_to_bytes(value)
    signature = _text(parameters.pop(SIGNATURE, b""))
    return Signed(method.upper(), path, tuple(sorted(parameters.items())), body, signature)


def message(request: Signed, publish_key: str) -> bytes:
    query = "&".join(f"{_encode(name.encode())}={_encode(value)}" for name, value in request.query)
    head = "\n".join((request.method, publish_key, request.path, query, ""))
    return head.encode() + request.body


def sign(request: Signed, publish_key: str, secret: str) -> str:
    digest = hmac.digest(secret.encode(), message(request, publish_key), "sha256")
    return "v2." + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def is_signed_by(request: Signed, publish_key: str, secrets: Iterable[str]) -> bool:
    """Every secret is tried, so that the time does not tell which one fitted."""
    given = request.signature.encode()
    signatures = [sign(request, publish_key, secret).encode() for secret in secrets]
    return sum(hmac.compare_digest(given, right) for right in signatures) > 0


def is_timely(request: Signed, now: float) -> bool:
    """Within a minute of our clock; seconds, as PubNub's clients write them."""
    text = request.parameter(TIMESTAMP) or ""
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        return False
    return abs(now - int(text)) <= SKEW_SECONDS


def single_use(request: Signed) -> str | None:
    """What may be used once only: the nonce, or the signature itself of what is not idempotent.

    PubNub's clients send no nonce. Their revocation may be repeated (it changes nothing more),
    their grant may not: the same one sent again would issue a second token.
    """
    nonce = request.parameter(NONCE)
    if nonce is not None:
        if not 0 < len(nonce) <= _MAX_NONCE:
            raise BadQueryError("A nonce has 1 to 128 characters.")
        return f"nonce:{nonce}"
    return f"signature:{request.signature}" if request.method == "POST" else None


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadQueryError("The query is not UTF-8.") from None


def _encode(raw: bytes) -> str:
    return quote_from_bytes(raw, safe="").replace("~", "%7E")
