"""Is it something that a push service gave out? Shapes, lengths, the curve. Pure.

Whether an endpoint's address may be called is the egress guard's to say, on registering and again
on every connection.
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from signaling.delivery.push.model import PushKind
from signaling.errors import ClientError, Code, FieldError

MAX_ENDPOINT = 2048
AUTH_BYTES = 16  # RFC 8291 section 3.2
POINT_BYTES = 65  # X9.62, uncompressed (RFC 8291 section 3.1)
MAX_TOKEN = 4096
# An APNs token is opaque and has grown before: hexadecimal, of whole bytes.
APNS = re.compile(r"(?:[0-9a-f]{2}){32,100}")
FCM = re.compile(r"[A-Za-z0-9_:.%-]{20,4096}")


def invalid(pointer: str, message: str) -> ClientError:
    errors = [FieldError(pointer, "invalid", message)]
    return ClientError(Code.FIELDS_INVALID, 422, "Some fields are not valid.", errors=errors)


def endpoint(text: str) -> str:
    """Raises ClientError (422)."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise invalid("/endpoint", "This is no URL.") from None
    printable = text.isascii() and text.isprintable() and " " not in text
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0 or not printable:
        raise invalid("/endpoint", "An https URL is needed.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise invalid("/endpoint", "A user name or a fragment has no place in it.")
    return text


def point(text: str) -> bytes:
    """Raises ClientError (422) for what is no point of P-256."""
    data = _bytes(text, "/p256dh")
    if len(data) != POINT_BYTES or data[0] != 4:
        raise invalid("/p256dh", "An uncompressed point of P-256 is needed: 65 bytes.")
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)
    except ValueError:
        raise invalid("/p256dh", "The point is not on the curve.") from None
    return data


def auth(text: str) -> bytes:
    """Raises ClientError (422)."""
    data = _bytes(text, "/auth")
    if len(data) != AUTH_BYTES:
        raise invalid("/auth", "16 bytes are needed.")
    return data


def token(kind: PushKind, text: str) -> str:
    """Raises ClientError (422)."""
    if kind is PushKind.APNS:
        text = text.lower()
    if (APNS if kind is PushKind.APNS else FCM).fullmatch(text) is None:
        raise invalid("/token", "This is no token of that service.")
    return text


def _bytes(text: str, pointer: str) -> bytes:
    """base64url as browsers give it (RFC 4648 section 5), with or without padding."""
    try:
        plain = text.rstrip("=").replace("-", "+").replace("_", "/")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid(pointer, "This is not base64url.") from None
