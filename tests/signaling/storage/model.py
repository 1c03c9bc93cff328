"""What a store must answer, said as plainly as possible: the machine's other side."""

from __future__ import annotations

from dataclasses import dataclass, field

from signaling.storage.port import GENESIS, NewOp, digest_of, link
from signaling.storage.port import Op as StoredOp


@dataclass
class ModelDocument:
    version: int
    value: bytes
    terms: tuple[str, ...]
    expires: float | None


@dataclass
class ModelRoom:
    """`bodies` of erased ops are None; purged ops stay here and are filtered when read."""

    ops: list[NewOp] = field(default_factory=list)
    erased: set[int] = field(default_factory=set)
    floor: int = 0

    def cursor(self, ident: str) -> int:
        return max((op.version for op in self.ops if op.ident == ident), default=0)

    def seq_of(self, ident: str, version: int) -> int:
        """Of the ident's newest op only, as the port says."""
        for place, op in enumerate(self.ops, 1):
            if op.ident == ident and op.version == version and version == self.cursor(ident):
                return place
        return 0

    def append(self, op: NewOp) -> tuple[int, bool]:
        if op.version <= self.cursor(op.ident):
            return self.seq_of(op.ident, op.version), True
        self.ops.append(op)
        return len(self.ops), False

    def chain(self, upto: int) -> bytes:
        chain = GENESIS
        for op in self.ops[:upto]:
            stored = StoredOp(1, op.ident, op.version, op.body, b"")
            chain = link(chain, op.ident, op.version, digest_of(stored))
        return chain

    def visible(self, low: int, high: int) -> list[tuple[int, str, int, bytes, bool]]:
        """Between the two, both excluded."""
        return [
            (seq, op.ident, op.version, b"" if seq in self.erased else op.body, seq in self.erased)
            for seq, op in enumerate(self.ops, 1)
            if max(low, self.floor) < seq < high
        ]


@dataclass
class Model:
    documents: dict[tuple[str, str, str], ModelDocument] = field(default_factory=dict)
    rooms: dict[tuple[str, str], ModelRoom] = field(default_factory=dict)

    def live(self, where: tuple[str, str, str], now: float) -> ModelDocument | None:
        found = self.documents.get(where)
        if found is None or (found.expires is not None and found.expires <= now):
            return None
        return found

    def room(self, app: str, room: str) -> ModelRoom:
        return self.rooms.setdefault((app, room), ModelRoom())
