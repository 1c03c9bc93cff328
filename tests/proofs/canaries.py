"""Canaries: what is put into every sensitive field, and how it is looked for afterwards.

All that the tests make up begin with one mark, so that one search finds any of them, whatever field
it sat in and however it is written. What the server makes itself (tokens, secrets, codes) is learnt
from its answers and searched for one by one. Pure.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

# Small letters and digits, so that it fits logins, rooms, names and labels.
MARK = "qz7kx4mw"
# What a token ends in is random; what it begins with names its record, which is no secret.
RANDOM_END = 24


@dataclass
class Canaries:
    """`made` and `learnt` map a field to the values that it had."""

    made: dict[str, str] = field(default_factory=dict)
    learnt: dict[str, set[str]] = field(default_factory=dict)

    def new(self, what: str) -> str:
        """The canary of a field: always the same one."""
        if what not in self.made:
            tail = hashlib.sha256(what.encode()).hexdigest()[:16]
            self.made[what] = f"{MARK}{tail}"
        return self.made[what]

    def learn(self, what: str, *values: str) -> None:
        for value in values:
            if len(value) >= 8:
                self.learnt.setdefault(what, set()).add(value)

    def whose(self, near: bytes) -> str:
        """Which field the canary in these bytes belongs to, as far as it can be told."""
        for what, value in self.made.items():
            if any(form in near for _, form in forms(value.encode())):
                return what
        return "some field"

    def needles(self) -> dict[bytes, str]:
        """Every way of writing what should not be there, and what it is."""
        found: dict[bytes, str] = {}
        for what, value in self.made.items():
            found |= {form: f"{what} as {name}" for name, form in digests(value)}
        for what, values in self.learnt.items():
            for value in values:
                for text in dict.fromkeys((value, value[-RANDOM_END:])):
                    found |= {form: f"{what} as {name}" for name, form in forms(text.encode())}
                if (raw := unpacked(value)) is not None:
                    found[raw] = f"{what} as its bytes"
        return found

    def marked(self, data: bytes) -> Iterator[str]:
        for name, form in forms(MARK.encode()):
            at = data.find(form)
            if at >= 0:
                near = data[max(0, at - 96) : at + 160]
                yield f"{self.whose(near)} as {name}: {near!r}"


class Search:
    """Thousands of needles at once: a table says which three bytes any of them begins with."""

    def __init__(self, needles: Mapping[bytes, str]) -> None:
        self._table = np.zeros(1 << 24, dtype=bool)
        self._by_start: dict[bytes, list[tuple[bytes, str]]] = {}
        for needle, what in needles.items():
            self._table[int.from_bytes(needle[:3], "big")] = True
            self._by_start.setdefault(needle[:3], []).append((needle, what))

    def found(self, data: bytes) -> Iterator[str]:
        """Each needle once."""
        if len(data) < 3:
            return
        seen: set[str] = set()
        letters = np.frombuffer(data, dtype=np.uint8).astype(np.uint32)
        starts = (letters[:-2] << 16) | (letters[1:-1] << 8) | letters[2:]
        for at in np.flatnonzero(self._table[starts]).tolist():
            for needle, what in self._by_start[data[at : at + 3]]:
                if what not in seen and data.startswith(needle, at):
                    seen.add(what)
                    yield f"{what}: {data[max(0, at - 40) : at + 60]!r}"


def unpacked(value: str) -> bytes | None:
    """The random bytes that a token, a link or a seed was written from."""
    text = value.rpartition("_")[2] if value[:3].endswith("_") else value
    for decode in (base64.b32decode, base64.urlsafe_b64decode):
        try:
            raw = decode(text.encode() + b"=" * (-len(text) % 4))
        except ValueError:
            continue
        if len(raw) >= 12:
            return raw[-20:]
    return None


def forms(value: bytes) -> list[tuple[str, bytes]]:
    """However a text may be written down; the same bytes come once."""
    listed = [
        ("text", value),
        ("capitals", value.upper()),
        ("utf-16-le", value.decode().encode("utf-16-le")),
        ("utf-16-be", value.decode().encode("utf-16-be")),
        ("hex", value.hex().encode()),
        ("HEX", value.hex().upper().encode()),
        ("percent", b"".join(b"%%%02x" % byte for byte in value)),
        ("PERCENT", b"".join(b"%%%02X" % byte for byte in value)),
        ("JSON escapes", b"".join(b"\\u%04x" % byte for byte in value)),
        ("backwards", value[::-1]),
        *_aligned("base64", value, base64.b64encode, 3, 4),
        *_aligned("base64url", value, base64.urlsafe_b64encode, 3, 4),
        *_aligned("base32", value, base64.b32encode, 5, 8),
    ]
    once = {form: name for name, form in reversed(listed)}
    return [(name, form) for form, name in once.items()]


def _aligned(
    name: str, value: bytes, encode: object, group: int, letters: int
) -> Iterator[tuple[str, bytes]]:
    """Inside a longer text: what stays the same whatever stands before and after it."""
    assert callable(encode)
    for before in range(group):
        whole = encode(bytes(before) + value + bytes(group))
        first = -(-before * letters // group)
        last = (before + len(value)) * letters // group
        yield f"{name} at {before}", bytes(whole[first:last])


def digests(value: str) -> Iterator[tuple[str, bytes]]:
    """Without a key a digest of what can be guessed says it to whoever guesses."""
    for name in ("sha256", "sha1", "md5"):
        made = hashlib.new(name, value.encode(), usedforsecurity=False)
        yield name, made.digest()
        yield f"{name} in hex", made.hexdigest().encode()
        yield f"{name} in base64", base64.b64encode(made.digest())[:16]


def leaks(
    places: Mapping[str, bytes], canaries: Canaries, told: Mapping[str, Iterable[str]]
) -> list[str]:
    """Where what was found. `told`: what is said in a place on purpose."""
    search, found = Search(canaries.needles()), []
    for place, data in places.items():
        for value in told.get(place, ()):
            data = data.replace(value.encode(), b"")
        here = dict.fromkeys((*canaries.marked(data), *search.found(data)))
        found += [f"{place}: {one}" for one in here]
    return found


def count(places: Iterable[bytes]) -> int:
    return sum(len(data) for data in places)
