"""The store in dicts: for tests, and for rooms that must leave no trace.

Nothing survives the process. Every method runs without a pause, so each is atomic on the loop.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from signaling.clock import Clock, SystemClock
from signaling.ids import Entropy, SystemEntropy
from signaling.storage import checks
from signaling.storage.port import (
    GENESIS,
    Appended,
    Conflict,
    Document,
    Head,
    NewOp,
    Op,
    digest_of,
    link,
)


def first_version(entropy: Entropy) -> int:
    """Where a new document starts counting: not where its deleted namesake was.

    47 bits leave room to grow and stay exact in JavaScript, which reads versions in ETags.
    """
    return int.from_bytes(entropy.token(6), "big") >> 1 | 1


class MemoryMeta:
    """Documents in one dict per (app, kind)."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._kinds: dict[tuple[str, str], dict[str, Document]] = {}

    def _live(self, app: str, kind: str, key: str) -> Document | None:
        found = self._kinds.get((app, kind), {}).get(key)
        return found if found is not None and not self._expired(found) else None

    def _expired(self, document: Document) -> bool:
        return document.expires is not None and document.expires <= self._clock.unix()

    async def get(self, app: str, kind: str, key: str) -> Document | None:
        return self._live(app, kind, key)

    async def put(
        self,
        app: str,
        kind: str,
        key: str,
        value: bytes,
        *,
        expect: int,
        terms: Sequence[str] = (),
        expires: float | None = None,
    ) -> int:
        checks.check_put(app, kind, key, value, terms)
        found = self._live(app, kind, key)
        if (found.version if found else 0) != expect:
            raise Conflict(kind)
        version = found.version + 1 if found else first_version(self._entropy)
        document = Document(key, version, bytes(value), tuple(sorted(set(terms))), expires)
        self._kinds.setdefault((app, kind), {})[key] = document
        return version

    async def delete(self, app: str, kind: str, key: str, *, expect: int | None = None) -> bool:
        found = self._live(app, kind, key)
        if expect is not None and (found is None or found.version != expect):
            raise Conflict(kind)
        self._kinds.get((app, kind), {}).pop(key, None)
        return found is not None

    async def remove(self, app: str, kind: str, keys: Sequence[str]) -> int:
        checks.check_batch(keys)
        return sum([await self.delete(app, kind, key) for key in dict.fromkeys(keys)])

    async def scan(
        self, app: str, kind: str, *, term: str | None = None, after: str = "", limit: int = 100
    ) -> list[Document]:
        checks.check_limit(limit)
        found = [
            document
            for key, document in self._kinds.get((app, kind), {}).items()
            if key > after and not self._expired(document)
            if term is None or term in document.terms
        ]
        return sorted(found, key=lambda document: document.key)[:limit]

    def sweep(self) -> int:
        removed = 0
        for documents in self._kinds.values():
            for key in [key for key, item in documents.items() if self._expired(item)]:
                del documents[key]
                removed += 1
        return removed


@dataclass
class _Room:
    """The ops above the floor; `ops[0]` has seq floor + 1."""

    ops: list[Op] = field(default_factory=list)
    floor: int = 0
    chain: bytes = GENESIS
    turn: int = 0
    cursors: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def seq(self) -> int:
        return self.floor + len(self.ops)


class MemoryLog:
    """Op logs in lists."""

    def __init__(self) -> None:
        self._rooms: dict[tuple[str, str], _Room] = {}

    async def append(
        self,
        app: str,
        room: str,
        ops: Sequence[NewOp],
        *,
        expect: int | None = None,
        seen: int | None = None,
    ) -> list[Appended]:
        checks.check_append(app, room, ops)
        if not ops:
            return []
        here = self._rooms.setdefault((app, room), _Room())
        if expect not in (None, here.seq) and any(self._is_new(here, op) for op in ops):
            raise Conflict(room)
        if seen is not None and here.turn > seen:
            ops = list(itertools.takewhile(lambda op: not self._is_new(here, op), ops))
        return [self._add(here, op) for op in ops]

    @staticmethod
    def _is_new(room: _Room, op: NewOp) -> bool:
        return op.version > room.cursors.get(op.ident, (0, 0))[0]

    @staticmethod
    def _add(room: _Room, new: NewOp) -> Appended:
        version, seq = room.cursors.get(new.ident, (0, 0))
        if new.version <= version:
            return Appended(seq if new.version == version else 0, duplicate=True)
        op = Op(room.seq + 1, new.ident, new.version, bytes(new.body), b"")
        room.chain = link(room.chain, op.ident, op.version, digest_of(op))
        room.ops.append(msgspec.structs.replace(op, chain=room.chain))
        room.cursors[new.ident] = (new.version, op.seq)
        if new.turns:
            room.turn = op.seq
        return Appended(op.seq, chain=room.chain)

    async def read(
        self,
        app: str,
        room: str,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int,
    ) -> list[Op]:
        checks.check_limit(limit)
        here = self._rooms.get((app, room), _Room())
        low = max(after or 0, here.floor) - here.floor
        high = here.seq - here.floor if before is None else max(0, before - 1 - here.floor)
        found = here.ops[low:high]
        return found[:limit] if after is not None else found[-limit:]

    async def pick(self, app: str, room: str, seqs: Sequence[int]) -> list[Op]:
        wanted = checks.check_picked(seqs)
        here = self._rooms.get((app, room), _Room())
        return [here.ops[n - here.floor - 1] for n in wanted if here.floor < n <= here.seq]

    async def head(self, app: str, room: str) -> Head:
        here = self._rooms.get((app, room), _Room())
        return Head(here.seq, here.chain, here.floor)

    async def cursor(self, app: str, room: str, ident: str) -> int:
        here = self._rooms.get((app, room))
        return here.cursors.get(ident, (0, 0))[0] if here else 0

    async def purge(self, app: str, room: str, upto: int) -> None:
        here = self._rooms.get((app, room))
        if here is not None and upto > here.floor:
            upto = min(upto, here.seq)
            del here.ops[: upto - here.floor]
            here.floor = upto

    async def erase(self, app: str, room: str, seqs: Sequence[int]) -> None:
        here = self._rooms.get((app, room), _Room())
        for seq in seqs:
            if here.floor < seq <= here.seq:
                op = here.ops[seq - here.floor - 1]
                erased = msgspec.structs.replace(op, body=b"", digest=digest_of(op))
                here.ops[seq - here.floor - 1] = erased


class MemoryBlobs:
    """Blobs in a dict."""

    def __init__(self) -> None:
        self._blobs: dict[tuple[str, str], bytes] = {}

    async def put(self, app: str, name: str, data: bytes) -> None:
        checks.check_blob(app, name, data)
        self._blobs[app, name] = bytes(data)

    async def get(self, app: str, name: str) -> bytes | None:
        return self._blobs.get((app, name))

    async def delete(self, app: str, name: str) -> bool:
        return self._blobs.pop((app, name), None) is not None


class MemoryStore:
    """A `Store` that is always ready."""

    def __init__(self, clock: Clock | None = None, entropy: Entropy | None = None) -> None:
        self.meta = MemoryMeta(clock or SystemClock(), entropy or SystemEntropy())
        self.log = MemoryLog()
        self.blobs = MemoryBlobs()

    async def ready(self) -> None:
        return None

    async def sweep(self) -> int:
        return self.meta.sweep()

    async def close(self) -> None:
        return None
