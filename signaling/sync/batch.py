"""Some ops of a partition, encoded once for all sessions that get them. Pure."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec

from signaling.storage.port import Head, link
from signaling.sync.partition import Entry
from signaling.sync.session_frames import Place

_encode = msgspec.json.Encoder().encode


def spell(chain: bytes) -> str:
    return base64.urlsafe_b64encode(chain).rstrip(b"=").decode()


def place(entry: Entry, *, bare: bool = False) -> Place:
    """`bare`: to its own author, who has the op."""
    return Place(
        seq=entry.seq,
        ident=entry.ident,
        version=entry.version,
        account=entry.account,
        at=entry.at,
        op=msgspec.UNSET if bare else entry.op,
    )


class Batch:
    """Contiguous entries; immutable once made."""

    __slots__ = ("_idents", "_tail", "chain", "entries", "first", "last", "size")

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.first = entries[0].seq if entries else 0
        self.last = entries[-1].seq if entries else 0
        self.chain = spell(entries[-1].chain) if entries else ""
        self.size = sum(len(memoryview(entry.op)) for entry in entries)
        self._idents = {entry.ident for entry in entries}
        self._tail: bytes | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def has(self, ident: str) -> bool:
        return ident in self._idents

    def changes_for(self, ident: str) -> bytes:
        """Their JSON; without the op where it is the receiver's own, unless it was altered."""
        if ident in self._idents:
            return _encode(
                [place(e, bare=e.ident == ident and not e.altered) for e in self.entries]
            )
        return self._all()

    def _all(self) -> bytes:
        return _encode([place(entry) for entry in self.entries])

    def frame(self, session: int, upload: int, before: int, floor: int) -> bytes:
        """A whole DOWNLOAD to somebody who wrote none of these and is not behind."""
        if self._tail is None:
            self._tail = b'"to":%d,"head":%d,"chain":"%s","changes":%s}' % (
                self.last,
                self.last,
                self.chain.encode(),
                self._all(),
            )
        head = b'{"type":"download","session":%d,"upload_client_version":%d,"from":%d,"floor":%d,'
        return head % (session, upload, before, floor) + self._tail

    def continues(self, chain: str, at: int, head: Head) -> bool:
        """Whether a client that has `chain` at `at` has this log's history."""
        if at == head.seq:
            return chain == spell(head.chain)
        if not self.entries or self.first != at + 1:
            return False
        first = self.entries[0]
        linked = link(_unspell(chain), first.ident, first.version, first.digest)
        return linked == first.chain


def _unspell(chain: str) -> bytes:
    return base64.urlsafe_b64decode(chain + "=" * (-len(chain) % 4))
