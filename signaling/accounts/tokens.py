"""Secrets of this room in text: 192 random bits, URL-safe (pure, the randomness is given)."""

from __future__ import annotations

import base64

from signaling.ids import Entropy

SECRET_BYTES = 24
SECRET_CHARS = 32


def new_secret(entropy: Entropy) -> str:
    return base64.urlsafe_b64encode(entropy.token(SECRET_BYTES)).decode()


def is_secret(text: str) -> bool:
    """Could this be one? Keeps nonsense from the store."""
    return len(text) == SECRET_CHARS and text.isascii()
