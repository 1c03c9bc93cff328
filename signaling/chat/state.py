"""What a room is, folded from its log: kind, mode, names, settings, members. Pure.

`apply` takes entries in rising seq: members and mode follow the server's order, since a clock must
not grant rights; names and settings are registers, whose highest stamp wins. The server keeps one
of each room at its head; a bootstrap carries it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from signaling.chat.ops import Create, Entry, Kind, Member, Mode, Part, Pin, Set, Settings, ToE2ee

Stamp = tuple[int, str, int]
_SETTINGS = frozenset(Settings.__struct_fields__)
# What of a room has no settings' register but is one too.
_NAMED = ("name", "topic", "avatar", "custom")
RANK = {Part.OWNER: 3, Part.MODERATOR: 2, Part.MEMBER: 1}


class MemberState(Struct, frozen=True, kw_only=True):
    """`seq` of the op that made it so; `since` of that which let the account in."""

    part: Part
    seq: int
    since: int = 0
    at: datetime | None = None


class PinState(Struct, frozen=True, kw_only=True):
    stamp: Stamp
    on: bool


class RoomState(Struct, kw_only=True, omit_defaults=True):
    """Owned by whoever folds. `stamps` are those of the registers, by field; `changed` is the seq
    of the newest op that changed the room itself.
    """

    seq: int = 0
    clock: int = 0
    kind: Kind = Kind.GROUP
    mode: Mode = Mode.SEARCHABLE
    mode_seq: int = 0
    creator: str | None = None
    created_at: datetime | None = None
    name: str = ""
    topic: str = ""
    avatar: str | None = None
    custom: dict[str, Any] = {}
    settings: Settings = Settings()
    members: dict[str, MemberState] = {}
    pins: dict[str, PinState] = {}
    changed: int = 0
    stamps: dict[str, Stamp] = {}

    def apply(self, entry: Entry) -> None:
        op = entry.op
        self.seq = max(self.seq, entry.seq)
        self.clock = max(self.clock, entry.clock)
        if isinstance(op, Member):
            self._member(op.account, op.part, entry)
        elif isinstance(op, Set):
            self._set(msgspec.structs.asdict(op), entry.stamp)
        elif isinstance(op, ToE2ee):
            self.mode, self.mode_seq = Mode.E2EE, min(self.mode_seq or entry.seq, entry.seq)
        elif isinstance(op, Create):
            self._create(op, entry)
        elif isinstance(op, Pin):
            before = self.pins.get(op.id)
            if before is None or before.stamp < entry.stamp:
                self.pins[op.id] = PinState(stamp=entry.stamp, on=op.on)
        if isinstance(op, Member | Set | ToE2ee | Create):
            self.changed = max(self.changed, entry.seq)

    def part(self, account: str) -> Part:
        found = self.members.get(account)
        return Part.NONE if found is None else found.part

    def accounts(self) -> list[str]:
        """Who is in it, sorted."""
        return sorted(a for a, m in self.members.items() if m.part in RANK)

    def pinned(self) -> list[str]:
        """The newest pin first."""
        on = [(pin.stamp, ident) for ident, pin in self.pins.items() if pin.on]
        return [ident for _, ident in sorted(on, reverse=True)]

    def owners(self) -> list[str]:
        return [a for a, m in self.members.items() if m.part is Part.OWNER]

    def compacted(self) -> RoomState:
        """Without those who left: right once nothing below `seq` can come any more."""
        members = {a: m for a, m in self.members.items() if m.part is not Part.NONE}
        return msgspec.structs.replace(self, members=members)

    def anew(self) -> RoomState:
        """For a log that begins again: all stays as it is, and whatever comes may change it."""
        members = {
            account: msgspec.structs.replace(member, seq=0, since=0)
            for account, member in self.members.items()
        }
        return msgspec.structs.replace(self, seq=0, mode_seq=0, changed=0, members=members)

    def _create(self, op: Create, entry: Entry) -> None:
        self.kind, self.creator, self.created_at = op.kind, entry.account, entry.at
        if not self.mode_seq:
            self.mode = op.mode
        said = {**msgspec.structs.asdict(op.settings), **{n: getattr(op, n) for n in _NAMED[:2]}}
        said["custom"] = op.custom
        self._set(said, entry.stamp)
        if entry.account is not None:
            part = Part.MEMBER if op.kind is Kind.DIRECT else Part.OWNER
            self._member(entry.account, part, entry)

    def _member(self, account: str, part: Part, entry: Entry) -> None:
        before = self.members.get(account)
        if before is not None and before.seq >= entry.seq:
            return
        stays = before is not None and before.part in RANK
        since = before.since if stays and before is not None else entry.seq
        self.members[account] = MemberState(part=part, seq=entry.seq, since=since, at=entry.at)

    def _set(self, said: dict[str, Any], stamp: Stamp) -> None:
        for field, value in said.items():
            if value is UNSET or self.stamps.get(field, (-1, "", 0)) >= stamp:
                continue
            self.stamps[field] = stamp
            if field in _SETTINGS:
                self.settings = msgspec.structs.replace(self.settings, **{field: value})
            else:
                setattr(self, field, value)
