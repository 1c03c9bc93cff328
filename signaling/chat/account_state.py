"""What follows from an account's own log: drafts, saved, hidden, blocked, preferences. Pure.

Every entry of a dict is a register of its own, whose highest stamp wins; hiding is sticky. The
state stays in the account's row, so its log can be cut short at any time.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct

from signaling.chat.account_ops import (
    MOST_BLOCKED,
    MOST_DRAFTS,
    MOST_SAVED,
    AccountEntry,
    Block,
    Draft,
    Hide,
    HideUpto,
    Notify,
    NotifyOp,
    Prefer,
    Save,
    Visibility,
)
from signaling.chat.state import Stamp


class Preferences(Struct, frozen=True, kw_only=True):
    """As an account has them."""

    read_receipts: bool = True
    delivered_receipts: bool = True
    typing: bool = True
    presence: Visibility = Visibility.CONTACTS
    last_seen: Visibility = Visibility.CONTACTS
    status: Visibility = Visibility.CONTACTS
    direct_from: Visibility = Visibility.EVERYONE
    added_by: Visibility = Visibility.EVERYONE
    calls_from: Visibility = Visibility.EVERYONE
    custom: dict[str, Any] = {}


class DraftState(Struct, frozen=True, kw_only=True):
    stamp: Stamp
    draft: Draft

    @property
    def is_empty(self) -> bool:
        return self.draft.body is None


class SaveState(Struct, frozen=True, kw_only=True):
    stamp: Stamp
    save: Save

    @property
    def is_empty(self) -> bool:
        return not self.save.on


class BlockState(Struct, frozen=True, kw_only=True):
    stamp: Stamp
    on: bool

    @property
    def is_empty(self) -> bool:
        return not self.on


class NotifyState(Struct, frozen=True, kw_only=True):
    stamp: Stamp
    level: Notify


class AccountState(Struct, kw_only=True, omit_defaults=True):
    """Owned by whoever folds. `hidden` by room: single messages; `hidden_upto` all up to a seq."""

    seq: int = 0
    clock: int = 0
    drafts: dict[str, DraftState] = {}
    saved: dict[str, SaveState] = {}
    hidden: dict[str, list[str]] = {}
    hidden_upto: dict[str, int] = {}
    blocked: dict[str, BlockState] = {}
    notify: dict[str, NotifyState] = {}
    preferences: Preferences = Preferences()
    stamps: dict[str, Stamp] = {}

    def apply(self, entry: AccountEntry) -> None:
        op, stamp = entry.op, entry.stamp
        self.seq, self.clock = max(self.seq, entry.seq), max(self.clock, entry.clock)
        if isinstance(op, Draft):
            key = draft_key(op)
            if _newer(self.drafts.get(key), stamp):
                self.drafts[key] = DraftState(stamp=stamp, draft=op)
                bound(self.drafts, MOST_DRAFTS)
        elif isinstance(op, Save):
            key = save_key(op)
            if _newer(self.saved.get(key), stamp):
                self.saved[key] = SaveState(stamp=stamp, save=op)
                bound(self.saved, MOST_SAVED)
        elif isinstance(op, Hide):
            ids = self.hidden.setdefault(op.room, [])
            if op.id not in ids:
                self.hidden[op.room] = sorted([*ids, op.id])
        elif isinstance(op, HideUpto):
            self.hidden_upto[op.room] = max(self.hidden_upto.get(op.room, 0), op.seq)
        elif isinstance(op, Block):
            if _newer(self.blocked.get(op.account), stamp):
                self.blocked[op.account] = BlockState(stamp=stamp, on=op.on)
                bound(self.blocked, MOST_BLOCKED)
        elif isinstance(op, NotifyOp):
            if _newer(self.notify.get(op.room), stamp):
                self.notify[op.room] = NotifyState(stamp=stamp, level=op.level)
        elif isinstance(op, Prefer):
            self._prefer(op, stamp)

    def _prefer(self, op: Prefer, stamp: Stamp) -> None:
        for field, value in msgspec.structs.asdict(op).items():
            if value is UNSET or self.stamps.get(field, (-1, "", 0)) >= stamp:
                continue
            self.stamps[field] = stamp
            self.preferences = msgspec.structs.replace(self.preferences, **{field: value})

    def blocks(self, account: str) -> bool:
        found = self.blocked.get(account)
        return found is not None and found.on

    def hides(self, room: str, ident: str, seq: int) -> bool:
        return seq <= self.hidden_upto.get(room, 0) or ident in self.hidden.get(room, ())


def draft_key(op: Draft) -> str:
    return f"{op.room}/{op.parent or ''}"


def save_key(op: Save) -> str:
    return f"{op.room}/{op.id}"


Emptiable = TypeVar("Emptiable", DraftState, SaveState, BlockState)


def bound(held: dict[str, Emptiable], most: int) -> None:
    """What was given up stays, so that an older change cannot bring it back; of too many of these
    the oldest go. Everybody folds the same log, so everybody drops the same.
    """
    while len(held) > most:
        given_up = [key for key, one in held.items() if one.is_empty]
        if not given_up:
            return
        del held[min(given_up, key=lambda key: held[key].stamp)]


def _newer(found: DraftState | SaveState | BlockState | NotifyState | None, stamp: Stamp) -> bool:
    return found is None or found.stamp < stamp
