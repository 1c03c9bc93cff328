"""Time-based one-time passwords, RFC 6238: six digits, 30 seconds, one step of skew (pure).

A code is accepted once: its step must be later than the last one that was used (section 5.2).
"""

from __future__ import annotations

import base64
import hmac
import io

import pyotp
import segno

PERIOD = 30
DIGITS = 6
SKEW = 1  # steps; section 6 of the RFC recommends one
SECRET_BYTES = 20  # RFC 4226 section 4, R6: 160 bits are recommended


def encode_secret(random: bytes) -> str:
    return base64.b32encode(random).decode()


def uri(secret: str, login: str, issuer: str) -> str:
    """What authenticator apps read: `otpauth://totp/...`."""
    return pyotp.TOTP(secret, digits=DIGITS, interval=PERIOD).provisioning_uri(
        name=login, issuer_name=issuer
    )


def picture(text: str) -> str:
    """The QR code as an SVG document."""
    out = io.BytesIO()
    segno.make(text, error="m").save(out, kind="svg", scale=4, xmldecl=False)
    return out.getvalue().decode()


def parse(code: str) -> str | None:
    """The six digits, or None when this can be no code. Spaces are how apps show them."""
    digits = code.replace(" ", "")
    return digits if len(digits) == DIGITS and digits.isascii() and digits.isdigit() else None


def check(secret: str, code: str, now: float, last_step: int) -> int | None:
    """The step that the code belongs to, to be stored as the last one; None when it is wrong.

    Every step in reach is computed whatever the code is, so that time tells nothing.
    """
    totp = pyotp.TOTP(secret, digits=DIGITS, interval=PERIOD)
    current = int(now) // PERIOD
    found: int | None = None
    for step in range(max(0, current - SKEW), current + SKEW + 1):
        right = hmac.compare_digest(totp.generate_otp(step), code)
        if right and step > last_step and found is None:
            found = step
    return found
