"""Finds what was changed, removed, reordered or cut off in an audit log. Pure: ops go in, findings
come out.

Two chains hold a log: every op's own link to the one before it, which says where something
changed, and the signed heads, which say so even when all links were computed anew. What stands
after the last signed head rests on the links alone and is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from signaling.compliance.audit.entry import SignedHead, count_of, decode_head, is_signed
from signaling.storage.port import GENESIS, Head, Op, digest_of, link


@dataclass(frozen=True)
class Finding:
    """`kind`: changed, erased, missing, order, signature, mismatch, truncated, floor."""

    kind: str
    seq: int
    text: str


class _Link(NamedTuple):
    seq: int
    ident: str
    version: int
    digest: bytes
    records: int


@dataclass
class Verifier:
    """Feed all ops above the floor in the order in which the log gives them, then `finish`.

    `floor` is the signed head up to which retention has removed records; None: nothing was removed.
    `anchor` is the newest signed head known from elsewhere: the log must contain what it covers.
    """

    app: str
    public: Mapping[str, bytes]
    floor: SignedHead | None = None
    anchor: SignedHead | None = None
    findings: list[Finding] = field(default_factory=list)
    records: int = 0
    heads: int = 0
    signed_to: int = 0

    def __post_init__(self) -> None:
        self._seq, self._stored, self._strict = 0, GENESIS, GENESIS
        self._since: list[_Link] = []
        self._chains: dict[int, bytes] = {0: GENESIS}
        if self.floor is not None:
            self._begin(self.floor)

    def _begin(self, floor: SignedHead) -> None:
        if floor.app != self.app or not self._known(floor):
            self._find(
                "floor", floor.seq, "the head at which retention stopped is not signed by us"
            )
        self._seq, self._stored, self._strict = floor.seq, floor.chain, floor.chain
        self._chains = {floor.seq: floor.chain}
        self.signed_to = floor.seq

    def feed(self, op: Op) -> None:
        if op.seq != self._seq + 1:
            self._gap(op)
        self._link(op)
        if op.erased:
            self._find("erased", op.seq, "its body was erased, which no audit record may be")
        elif count := count_of(op.body):
            self.records += count
        else:
            self._head(op)

    def finish(self, head: Head) -> list[Finding]:
        """`head` as the store tells it."""
        if head.seq > self._seq:
            self._find("missing", head.seq, f"the log ends at {self._seq} and should at {head.seq}")
        if head.seq == self._seq and head.chain != self._stored:
            self._find("changed", head.seq, "the log's head does not follow from its last record")
        anchor = self.anchor
        if anchor is None:
            return self.findings
        if anchor.app != self.app or not self._known(anchor):
            self._find("signature", anchor.seq, "the head kept aside is not signed by us")
        elif anchor.seq > self._seq:
            text = f"a signed head covers {anchor.seq} entries, the log ends at {self._seq}"
            self._find("truncated", self._seq, text)
        return self.findings

    @property
    def unsigned(self) -> int:
        """Records after the last signed head."""
        return sum(item.records for item in self._since if item.seq > self.signed_to)

    def _gap(self, op: Op) -> None:
        if op.seq <= self._seq:
            self._find("order", op.seq, f"it comes after {self._seq}")
        else:
            text = f"{op.seq - self._seq - 1} entries from {self._seq + 1} on are not there"
            self._find("missing", self._seq + 1, text)
        self._seq = op.seq - 1

    def _link(self, op: Op) -> None:
        digest = digest_of(op)
        if link(self._stored, op.ident, op.version, digest) != op.chain:
            self._find("changed", op.seq, "it does not follow from the record before it")
        self._stored = op.chain
        self._strict = link(self._strict, op.ident, op.version, digest)
        self._seq = op.seq
        self._chains[op.seq] = self._strict
        records = 0 if op.erased else count_of(op.body)
        self._since.append(_Link(op.seq, op.ident, op.version, digest, records))
        anchor = self.anchor
        if anchor is not None and anchor.seq == op.seq and anchor.chain != self._strict:
            self._find("mismatch", op.seq, "the log is not the one that the head vouches for")

    def _head(self, op: Op) -> None:
        try:
            head: SignedHead | None = decode_head(op.body)
        except msgspec.DecodeError:
            head = None
        if head is None or head.app != self.app or not self._known(head):
            self._find("signature", op.seq, "a head that no key of ours has signed")
            return
        self.heads += 1
        if head.seq >= op.seq or head.seq not in self._chains:
            # A head of another process that was appended late: what it covers is behind us.
            if head.seq > self.signed_to:
                self._find("mismatch", op.seq, f"a head for {head.seq}, which it cannot cover")
            return
        if self._chains[head.seq] != head.chain:
            text = f"entries {self.signed_to + 1} to {head.seq} are not those that were signed"
            self._find("mismatch", head.seq, text)
        self._resume(head)

    def _resume(self, head: SignedHead) -> None:
        """From a signed head on, so that one change is found once."""
        if head.seq < self.signed_to:
            return
        self._since = [later for later in self._since if later.seq > head.seq]
        self._chains = {head.seq: head.chain}
        chain = head.chain
        for later in self._since:
            chain = link(chain, later.ident, later.version, later.digest)
            self._chains[later.seq] = chain
        self._strict = chain
        self.signed_to = head.seq

    def _known(self, head: SignedHead) -> bool:
        public = self.public.get(head.key)
        return public is not None and is_signed(head, public)

    def _find(self, kind: str, seq: int, text: str) -> None:
        self.findings.append(Finding(kind, seq, text))
