"""A Bloom filter read from a file: membership without false negatives (pure).

The file: magic, number of hashes (u8), number of bits (u32, big endian), the bits. Written by
`build`; about 24 bits an entry give one false positive in 100,000.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from hashlib import blake2b

MAGIC = b"SOTTOBF1"
HEAD = len(MAGIC) + 5


class Bloom:
    """Immutable once made."""

    __slots__ = ("_bits", "_count", "_hashes")

    def __init__(self, bits: bytes, hashes: int) -> None:
        self._bits = bits
        self._count = len(bits) * 8
        self._hashes = hashes

    def __contains__(self, text: object) -> bool:
        bits = self._bits
        return all(
            bits[at >> 3] >> (at & 7) & 1 for at in _places(str(text), self._hashes, self._count)
        )

    @classmethod
    def loads(cls, data: bytes) -> Bloom:
        if data[: len(MAGIC)] != MAGIC or len(data) < HEAD:
            raise ValueError("not a Bloom filter of ours")
        count = int.from_bytes(data[HEAD - 4 : HEAD], "big")
        if count != (len(data) - HEAD) * 8 or count == 0:
            raise ValueError("the Bloom filter is cut short")
        return cls(data[HEAD:], data[len(MAGIC)])

    def dumps(self) -> bytes:
        return MAGIC + bytes([self._hashes]) + self._count.to_bytes(4, "big") + self._bits


def build(entries: Iterable[str], false_positives: float) -> Bloom:
    words = sorted(set(entries))
    bits = math.ceil(-len(words) * math.log(false_positives) / math.log(2) ** 2)
    size = max(1, math.ceil(bits / 8))
    hashes = max(1, round(size * 8 / max(1, len(words)) * math.log(2)))
    field = bytearray(size)
    for word in words:
        for at in _places(word, hashes, size * 8):
            field[at >> 3] |= 1 << (at & 7)
    return Bloom(bytes(field), hashes)


def _places(text: str, hashes: int, count: int) -> Iterable[int]:
    """Double hashing: two halves of one digest make as many positions as are needed."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    first, step = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big") | 1
    return ((first + turn * step) % count for turn in range(hashes))
