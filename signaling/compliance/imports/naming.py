"""Our ids for what an archive names: always the same ones for the same, and nobody can guess them.

So whatever is imported twice is found again. They follow from the app's secret digest, what wrote
the archive, the label that the administrator gave, and the foreign id. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from signaling.chat.room import IMPORTS
from signaling.compliance.imports.port import Format

# No account has such an id: those are UUIDs.
PLACEHOLDER = "imported:"


class Naming:
    """Of one import. `blind` is `Sealer.blind` of its app."""

    def __init__(self, blind: Callable[[str], str], kind: Format, label: str) -> None:
        # A digest of the secret one: messages are many, and asked about several times each.
        self._secret = hashlib.sha256(blind(f"import:{kind.value}:{label}").encode()).digest()

    def _digest(self, *parts: str) -> bytes:
        said = "".join(f"{len(part)}:{part}" for part in parts)
        return hashlib.blake2b(said.encode(), key=self._secret, digest_size=32).digest()

    def room(self, place: str) -> str:
        return uuid(self._digest("room", place))

    def message(self, place: str, message: str) -> str:
        """Its time is no time: so it is always found by its row, however often it is looked for."""
        return uuid(self._digest("message", place, message))

    def person(self, person: str) -> str:
        return PLACEHOLDER + self._digest("person", person).hex()[:24]

    def file(self, archive: str, place: str, message: str, file: str) -> str:
        return uuid(self._digest("file", archive, place, message, file))

    def ident(self, archive: str, place: str) -> str:
        """Under which a room's log counts what this archive brought: a repetition is none."""
        return IMPORTS + self._digest("ident", archive, place).hex()[:32]


def uuid(noise: bytes) -> str:
    """A UUIDv7 (RFC 9562 section 5.7) of 1970."""
    data = bytearray(bytes(6) + noise[:10])
    data[6] = 0x70 | (data[6] & 0x0F)
    data[8] = 0x80 | (data[8] & 0x3F)
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
