"""Recovery codes: ten, 120 random bits each, single use (pure).

That many bits need no slow hash (ASVS 6.5.2 draws the line at 112): SHA-256, bound to the account.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256

COUNT = 10
BYTES = 15
GROUP = 6
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford: no i, l, o, u
CHARS = BYTES * 8 // 5
MISREAD = str.maketrans("ilo", "110")


def generate(token: Callable[[int], bytes]) -> tuple[str, ...]:
    return tuple(_spell(token(BYTES)) for _ in range(COUNT))


def _spell(random: bytes) -> str:
    number = int.from_bytes(random, "big")
    text = "".join(ALPHABET[number >> shift & 31] for shift in range(CHARS * 5 - 5, -1, -5))
    return "-".join(text[at : at + GROUP] for at in range(0, CHARS, GROUP))


def parse(code: str) -> str | None:
    """The bare characters, or None when this can be no code. Lenient about case and dashes."""
    bare = code.strip().lower().replace("-", "").replace(" ", "").translate(MISREAD)
    return bare if len(bare) == CHARS and all(char in ALPHABET for char in bare) else None


def digest(account: str, bare: str) -> str:
    return sha256(f"sotto recovery\0{account}\0{bare}".encode()).hexdigest()


def digests(account: str, codes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(digest(account, code.replace("-", "")) for code in codes)


def spend(stored: tuple[str, ...], account: str, bare: str) -> tuple[str, ...] | None:
    """What is left after using the code; None when it is not among them. Looks at all of them."""
    wanted = digest(account, bare)
    left = tuple(one for one in stored if not hmac.compare_digest(one, wanted))
    return left if len(left) < len(stored) else None
