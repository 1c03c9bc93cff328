"""Who has read what: cursors that only rise, and counts that can always come to zero.

A count is of messages beyond one's cursor, looked up anew each time, so nothing can be stuck: a
cursor at the head leaves nothing to count. Messages of one's own, silent, deleted, expired or of
blocked people do not count. Replies count in their thread, a call that nobody took for those whom
it rang. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping

from msgspec import Struct
from msgspec.structs import replace

from signaling.chat.account_state import AccountState
from signaling.chat.ops import CallOp, CallState, Delete, Entry, Erase, Post
from signaling.chat.reduce import may_end
from signaling.chat.room import time_of

# What is counted exactly; more is shown as "1,000+".
MOST = 1000
# As many threads as what is counted can be in.
MOST_THREADS = MOST
# Nobody took it, or the caller gave up before.
_MISSED = (CallState.MISSED, CallState.CANCELLED)


class Cursor(Struct, frozen=True, kw_only=True):
    """Of one account in one room, all seqs: `read` of the room's own timeline, `threads` by the
    message that they hang on, `all` of both; `marked`: somebody wants to come back to it.
    """

    account: str
    room: str
    read: int = 0
    all: int = 0
    delivered: int = 0
    threads: dict[str, int] = {}
    marked: bool = False

    def at(self, parent: str | None) -> int:
        own = self.read if parent is None else self.threads.get(parent, 0)
        return max(own, self.all)


class Counts(Struct, frozen=True, kw_only=True):
    """`more`: there are more than were counted. `threads` by the message they hang on."""

    messages: int = 0
    mentions: int = 0
    threads: dict[str, int] = {}
    more: bool = False
    marked: bool = False


class _Post(Struct):
    """A message, or a missed call of `account`, which counts for `rung` only."""

    seq: int
    account: str | None
    parent: str | None
    mentions: frozenset[str]
    everybody: bool
    silent: bool
    expires: float
    rung: frozenset[str] | None = None


class Tail:
    """The newest messages of a room, as far as counting goes. `start` is where it begins."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.seq = start
        self._posts: OrderedDict[str, _Post] = OrderedDict()

    def note(self, entry: Entry) -> None:
        op = entry.op
        self.seq = max(self.seq, entry.seq)
        if isinstance(op, Post):
            if op.id not in self._posts:
                named = op.mentions
                self._posts[op.id] = _Post(
                    entry.seq, entry.account, op.parent,
                    frozenset(named.accounts if named else ()), bool(named and named.room),
                    op.silent, entry.expires_at.timestamp() if entry.expires_at else 0.0,
                )  # fmt: skip
        elif isinstance(op, CallOp):
            self._call(entry.seq, op)
        elif isinstance(op, Delete):
            found = self._posts.get(op.id)
            if found and may_end(entry, found.account):
                del self._posts[op.id]
        elif isinstance(op, Erase):
            for ident in op.ids:
                self._posts.pop(ident, None)
        while len(self._posts) > MOST:
            _, dropped = self._posts.popitem(last=False)
            self.start = max(self.start, dropped.seq)

    def _call(self, seq: int, op: CallOp) -> None:
        """Its first account called."""
        if op.state in _MISSED and op.accounts and op.id not in self._posts:
            caller, *rung = op.accounts
            self._posts[op.id] = _Post(
                seq, caller, None, frozenset(), False, False, 0.0, frozenset(rung)
            )

    def threads(self) -> set[str]:
        """In which there is something that is counted, by the message they hang on."""
        return {post.parent for post in self._posts.values() if post.parent is not None}

    def count(self, cursor: Cursor, me: AccountState, now: float, since: int = 0) -> Counts:
        messages = mentions = 0
        threads: dict[str, int] = {}
        for ident, post in reversed(self._posts.items()):
            if post.seq <= max(cursor.at(post.parent), since) or not _counts(post, cursor, me, now):
                continue
            if me.hides(cursor.room, ident, post.seq):
                continue
            mentions += post.everybody or cursor.account in post.mentions
            if post.parent is None:
                messages += 1
            else:
                threads[post.parent] = threads.get(post.parent, 0) + 1
        return Counts(
            messages=messages, mentions=mentions, threads=threads,
            more=max(cursor.read, cursor.all, since) < self.start, marked=cursor.marked,
        )  # fmt: skip


def _counts(post: _Post, cursor: Cursor, me: AccountState, now: float) -> bool:
    if post.account == cursor.account or post.silent:
        return False
    if post.rung is not None and cursor.account not in post.rung:
        return False
    if post.expires and post.expires <= now:
        return False
    return post.account is None or not me.blocks(post.account)


def moved(
    cursor: Cursor,
    seq: int,
    parent: str | None,
    *,
    everything: bool = False,
    counted: Collection[str] = (),
) -> Cursor:
    """A maximum; reading also takes the mark away. `counted`: the tail's threads."""
    if everything:
        return replace(
            cursor, all=max(cursor.all, seq), delivered=max(cursor.delivered, seq), marked=False
        )
    delivered = max(cursor.delivered, seq)
    if parent is None:
        return replace(cursor, read=max(cursor.read, seq), delivered=delivered, marked=False)
    threads = {**cursor.threads, parent: max(cursor.threads.get(parent, 0), seq)}
    threads = bounded(threads, cursor.all, counted)
    return replace(cursor, threads=threads, delivered=delivered)


def bounded(
    threads: Mapping[str, int], floor: int, counted: Collection[str] = ()
) -> dict[str, int]:
    """The threads that say more than `all` does. Of too many those in which nothing is counted go,
    the oldest first: all others fit.
    """
    kept = {ident: seq for ident, seq in threads.items() if seq > floor}
    if len(kept) <= MOST_THREADS:
        return kept
    worth = sorted(kept, key=lambda one: (one in counted, kept[one], time_of(one)))
    return {ident: kept[ident] for ident in worth[-MOST_THREADS:]}
