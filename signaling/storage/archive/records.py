"""What a store consists of, adapter by adapter the same; and the reader that checks a whole store.

Format 1. A later format adds kinds or fields; a reader refuses a format that it does not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec

from signaling.errors import ClientError, Code
from signaling.storage.apart import KEY_KINDS
from signaling.storage.port import Op as StoredOp
from signaling.storage.port import digest_of, link

FORMAT = 1


class Broken(ClientError):  # noqa: N818 - names what happened
    """The archive is not what this installation once wrote: changed, cut, foreign, or newer."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.BAD_REQUEST, 400, message)


class Part(StrEnum):
    """What an archive holds: everything, or wrapped keys and the rest apart."""

    ALL = "all"
    DATA = "data"
    KEYS = "keys"


class Record(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """One row."""


class Doc(Record, frozen=True, array_like=True, tag="d"):
    app: str
    kind: str
    key: str
    version: int
    value: bytes
    terms: tuple[str, ...]
    expires: float | None


class Room(Record, frozen=True, array_like=True, tag="r"):
    """Precedes its ops and cursors. `chain` is that of the op at the floor."""

    app: str
    room: str
    floor: int
    chain: bytes


class Op(Record, frozen=True, array_like=True, tag="o"):
    seq: int
    ident: str
    version: int
    body: bytes
    chain: bytes
    digest: bytes


class Cursor(Record, frozen=True, array_like=True, tag="c"):
    """The newest version of an ident; `seq` 0 where it is not known any more."""

    ident: str
    version: int
    seq: int


class Blob(Record, frozen=True, array_like=True, tag="b"):
    """`path` below the directory of blobs."""

    path: str
    data: bytes


class End(Record, frozen=True, array_like=True, tag="e"):
    """How many there were of each."""

    docs: int
    rooms: int
    ops: int
    cursors: int
    blobs: int

    @property
    def rows(self) -> int:
        return self.docs + self.rooms + self.ops + self.cursors + self.blobs


Any = Doc | Room | Op | Cursor | Blob | End

encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Any).decode


def decode(data: bytes) -> Any:
    try:
        record: Any = _decode(data)
    except msgspec.DecodeError as error:
        raise Broken("a record cannot be read") from error
    return record


def is_key(record: Any) -> bool:
    """Of the key table, which may need backups that live shorter."""
    return isinstance(record, Doc) and record.kind in KEY_KINDS


def wanted(record: Any, part: Part) -> bool:
    return part is Part.ALL or is_key(record) == (part is Part.KEYS)


class Checker:
    """Follows the records of a store in order and raises `Broken` where they cannot be one."""

    def __init__(self) -> None:
        self._counts: Counter[type] = Counter()
        self._seq = 0
        self._chain = b""
        self._in_room = False
        self._ended = False

    def take(self, record: Any) -> None:
        if self._ended:
            raise Broken("there is something after the end")
        if isinstance(record, End):
            if record != self.end():
                raise Broken("rows are missing")
            self._ended = True
            return
        self._counts[type(record)] += 1
        if isinstance(record, Room):
            self._in_room, self._seq, self._chain = True, record.floor, record.chain
        elif isinstance(record, Op):
            self._op(record)
        elif isinstance(record, Cursor) and not self._in_room:
            raise Broken("a cursor belongs to no room")

    def _op(self, record: Op) -> None:
        """Contiguous, chained, and bodies that are what their author wrote."""
        if not self._in_room or record.seq != self._seq + 1:
            raise Broken("a room's log has a gap")
        op = StoredOp(record.seq, record.ident, record.version, record.body, b"", record.digest)
        if link(self._chain, op.ident, op.version, digest_of(op)) != record.chain:
            raise Broken("a room's log was changed")
        self._seq, self._chain = record.seq, record.chain

    def end(self) -> End:
        return End(*(self._counts[kind] for kind in (Doc, Room, Op, Cursor, Blob)))

    def finish(self) -> End:
        if not self._ended:
            raise Broken("the end is missing")
        return self.end()


def checked(records: Iterable[Any]) -> Iterator[Any]:
    """The same records; raises `Broken` at the first that is wrong, or at a missing end."""
    checker = Checker()
    for record in records:
        checker.take(record)
        yield record
    checker.finish()
