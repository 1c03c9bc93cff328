"""Some places of a log, encoded once for all sessions that get them. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from signaling.chat.ops import Erased, Void

_encode = msgspec.json.Encoder().encode


def spell(chain: bytes) -> str:
    return base64.urlsafe_b64encode(chain).rstrip(b"=").decode()


def is_altered(op: Any) -> bool:
    """Whether the log may hold something else than its author sent: then the author gets it too."""
    return isinstance(op, Void | Erased) or bool(getattr(op, "attachments", ()))


def bare(entry: Any) -> dict[str, Any]:
    """To its own author, who has the op."""
    shown: dict[str, Any] = msgspec.structs.asdict(entry)
    del shown["op"]
    return shown


def _list(items: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]"


class Batch:
    """Contiguous entries (`chat.ops.Entry`, `AccountEntry`); immutable once made. `chain` is that
    after the last one."""

    __slots__ = (
        "_all",
        "_chain",
        "_idents",
        "_parts",
        "_spelled",
        "_tail",
        "chain",
        "entries",
        "first",
        "last",
    )

    def __init__(
        self, entries: Sequence[Any], chain: bytes, spelled: dict[int, bytes] | None = None
    ) -> None:
        """`spelled`: JSON by seq, shared with other batches of the same entries."""
        self.entries = entries
        self.first: int = entries[0].seq if entries else 0
        self.last: int = entries[-1].seq if entries else 0
        self._chain = chain
        self.chain = spell(chain)
        self._idents = {entry.ident for entry in entries}
        self._all: bytes | None = None
        self._spelled: dict[int, bytes] = {} if spelled is None else spelled
        self._tail: bytes | None = None
        self._parts: dict[int, Batch] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def after(self, seq: int) -> Batch:
        """Those beyond `seq`, which is within; made once for all who have come so far."""
        part = self._parts.get(seq)
        if part is None:
            rest = self.entries[seq - self.first + 1 :]
            part = self._parts[seq] = Batch(rest, self._chain, self._spelled)
        return part

    def has(self, ident: str) -> bool:
        return ident in self._idents

    def changes_for(self, ident: str) -> bytes:
        """Their JSON; without the op where it is the receiver's own, unless it was altered."""
        if ident in self._idents:
            return _list(
                _encode(bare(entry))
                if entry.ident == ident and not is_altered(entry.op)
                else self._spell(entry)
                for entry in self.entries
            )
        if self._all is None:
            self._all = _list(map(self._spell, self.entries))
        return self._all

    def _spell(self, entry: Any) -> bytes:
        found = self._spelled.get(entry.seq)
        if found is None:
            found = self._spelled[entry.seq] = _encode(entry)
        return found

    def frame(self, session: int, upload: int, before: int, floor: int) -> bytes:
        """A whole DOWNLOAD to somebody who wrote none of these and is not behind."""
        if self._tail is None:
            self._tail = b'"to":%d,"head":%d,"chain":"%s","changes":%s}' % (
                self.last,
                self.last,
                self.chain.encode(),
                self.changes_for(""),
            )
        head = b'{"type":"download","session":%d,"upload_client_version":%d,"from":%d,"floor":%d,'
        return head % (session, upload, before, floor) + self._tail
