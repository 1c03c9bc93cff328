"""One room in one process: its state at the head, and what passed by since it was opened.

Driven by `rooms`. Transient rooms note what changes the room and nothing of a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import OrderedDict, deque
from collections.abc import Collection, Iterator
from datetime import datetime

from msgspec import Struct

from signaling.chat.ops import (
    Create,
    Delete,
    Entry,
    Erase,
    Member,
    Mode,
    Post,
    React,
    Set,
    ToE2ee,
)
from signaling.chat.reduce import ThreadView, subject_of
from signaling.chat.sealing import to_ms
from signaling.chat.state import RoomState, Stamp
from signaling.storage.port import Log
from signaling.storage.table import Table

# Of each room a process remembers so many messages' places, and so many of the newest entries.
MOST_POSTS = 5000
RECENT = 512
# A message whose id is further from its arrival than this is not found by time, but by its row.
LATE_MS = 20_000
# What changes the room itself.
STATE_OPS = Create | Member | Set | ToE2ee
# How idents of imports begin: nobody is notified of what they bring.
IMPORTS = "import:"
# The reason of an `erase` that takes the whole room.
ROOM = "room"


class RoomRow(Struct, frozen=True):
    state: RoomState


class About(Struct, frozen=True):
    """Of one message: the ops about it, the replies to it with their authors, those of them that
    were deleted, and its own seq if it came late or has an end. `reactions`: of each emoji of each
    account the newest op, by stamp, and its seq; `outdone` are the seqs of those before it, which
    show nothing.
    """

    seqs: tuple[int, ...] = ()
    replies: tuple[tuple[int, str], ...] = ()
    gone: tuple[int, ...] = ()
    post: int = 0
    reactions: dict[str, tuple[Stamp, int]] = {}
    outdone: tuple[int, ...] = ()

    def joined(self, other: About) -> About:
        newest, outdone = dict(self.reactions), {*self.outdone, *other.outdone}
        for whose, place in other.reactions.items():
            known = newest.get(whose, place)
            newest[whose] = max(known, place)
            if known != place:
                outdone.add(min(known, place)[1])
        return About(
            tuple(sorted({*self.seqs, *other.seqs})),
            tuple(sorted({*self.replies, *other.replies})),
            tuple(sorted({*self.gone, *other.gone})),
            self.post or other.post,
            newest,
            tuple(sorted(outdone)),
        )

    def lasting(self) -> set[int]:
        """The ops that say how the message stands."""
        return set(self.seqs).difference(self.outdone)

    def thread(self, erased: Collection[int] = ()) -> ThreadView | None:
        """Without the replies at the places that are `erased`, too."""
        left = {seq for seq, _ in self.replies}.difference(self.gone, erased)
        replies = [reply for reply in self.replies if reply[0] in left]
        if not replies:
            return None
        accounts = tuple(sorted({account for _, account in replies if account}))
        return ThreadView(replies=len(replies), last_seq=replies[-1][0], accounts=accounts)


class Known(Struct, frozen=True):
    """A message that passed by."""

    seq: int
    account: str | None
    parent: str | None
    expires: datetime | None = None


class Room:
    """One room. `turn` grows with each change of the room itself; `gate` is held while one is under
    way, so that nothing is judged by a state that is about to be another; `opening` tells this Room
    from all others of the same room. Owned by `Rooms`.
    """

    def __init__(
        self, app: str, ident: str, state: RoomState, log: Log, epoch: str, opening: str
    ) -> None:
        self.app, self.id, self.state, self.log, self.epoch = app, ident, state, log, epoch
        self.opening = opening
        self.gate = asyncio.Lock()
        self.saving = asyncio.Lock()
        self.catching = asyncio.Lock()
        self.turn = 0
        self.appending = 0
        """How many of this process are writing to its log."""
        self.noting: set[asyncio.Future[None]] = set()
        """Of what was folded here and is not yet noted by all that hangs on it."""
        self.half_noted = False
        """Of something it never will be: this Room writes no row any more."""
        self.floor = 0
        self.gone = False
        self.since = state.seq
        self.saved = state.seq
        self.version = 0
        self.looked = float("-inf")
        self.about: dict[str, About] = {}
        self.abouts: Table[About] | None = None
        """The rows of these, as `Rooms` finds them."""
        self.dirty: dict[str, About] = {}
        self.unresolved: list[Entry] = []
        self.posts: OrderedDict[str, Known] = OrderedDict()
        self.recent: deque[Entry] = deque(maxlen=RECENT)
        self.free: list[str] = []
        self.slots = 0
        self.versions: dict[str, int] = {}

    @property
    def transient(self) -> bool:
        return self.state.mode is Mode.TRANSIENT

    @contextlib.contextmanager
    def being_noted(self) -> Iterator[None]:
        """Around folding something and telling all that hangs on it: no row says that it was
        folded before that is done, so whoever opens the room after a kill does it again.
        """
        done = asyncio.get_running_loop().create_future()
        self.noting.add(done)
        try:
            yield
        except BaseException:
            self.half_noted = True
            raise
        finally:
            self.noting.discard(done)
            done.set_result(None)

    def note(self, entry: Entry) -> None:
        """The next entry of the log."""
        self.state.apply(entry)
        self.state.seq = entry.seq
        if isinstance(entry.op, STATE_OPS):
            self.turn += 1
        if isinstance(entry.op, Erase):
            self._erased(entry.op)
        if self.transient:
            return
        self.recent.append(entry)
        subject = subject_of(entry)
        if subject is None:
            return
        if isinstance(entry.op, Post):
            self._post(entry, entry.op)
        else:
            self._mark(subject, About(seqs=(entry.seq,), reactions=_reaction(entry)))
            if isinstance(entry.op, Delete):
                self.unresolved.append(entry)

    def _post(self, entry: Entry, post: Post) -> None:
        if post.id in self.posts:
            return
        self.posts[post.id] = known_by(entry, post)
        if len(self.posts) > MOST_POSTS:
            self.posts.popitem(last=False)
        if post.parent is not None:
            self._mark(post.parent, About(replies=((entry.seq, entry.account or ""),)))
        late = abs(to_ms(entry.at) - time_of(post.id)) > LATE_MS
        if late or entry.expires_at is not None:
            self._mark(post.id, About(post=entry.seq))

    def _mark(self, ident: str, about: About) -> None:
        self.about[ident] = self.about.get(ident, About()).joined(about)
        self.dirty[ident] = self.dirty.get(ident, About()).joined(about)

    def left(self, parent: str, seq: int) -> None:
        """A reply was deleted or erased."""
        self._mark(parent, About(gone=(seq,)))

    def _erased(self, op: Erase) -> None:
        """Also in a process that did not erase it, where it may have passed by."""
        self.gone = self.gone or op.reason == ROOM
        self.forget(set(op.seqs))
        for ident in op.ids:
            known = self.posts.get(ident)
            if known is not None and known.parent is not None:
                self.left(known.parent, known.seq)
        for ident in op.ids:
            self.forget_message(ident)

    def forget(self, seqs: set[int]) -> None:
        """They were erased."""
        kept = [entry for entry in self.recent if entry.seq not in seqs]
        self.recent = deque(kept, maxlen=RECENT)

    def forget_message(self, ident: str) -> None:
        for known in (self.about, self.dirty):
            known.pop(ident, None)
        self.posts.pop(ident, None)

    def raise_floor(self, floor: int) -> None:
        """What is at or below it is read no more, though it passed by here."""
        if floor <= self.floor:
            return
        self.floor = floor
        self.recent = deque((e for e in self.recent if e.seq > floor), maxlen=RECENT)
        for ident in [ident for ident, known in self.posts.items() if known.seq <= floor]:
            del self.posts[ident]

    def renew(self, state: RoomState) -> None:
        """Its row is further than what was folded here, and the log between them is gone."""
        self.state, self.since, self.saved = state, state.seq, state.seq
        self.about, self.dirty, self.unresolved = {}, {}, []
        self.posts.clear()
        self.recent.clear()
        self.turn += 1

    # Idents of REST and of the server: each has one op at a time, so that its versions rise.

    def take(self) -> tuple[str, int]:
        if self.free:
            ident = self.free.pop()
        else:
            self.slots += 1
            ident = f"rest:{self.opening}:{self.slots}"
        self.versions[ident] = self.versions.get(ident, 0) + 1
        return ident, self.versions[ident]

    def give_back(self, ident: str) -> None:
        self.free.append(ident)


def known_by(entry: Entry, post: Post) -> Known:
    return Known(entry.seq, entry.account, post.parent, entry.expires_at)


def _reaction(entry: Entry) -> dict[str, tuple[Stamp, int]]:
    """By a digest: neither name nor emoji."""
    if not isinstance(entry.op, React) or entry.account is None:
        return {}
    said = f"{len(entry.op.emoji)}:{entry.op.emoji}:{entry.account}"
    whose = hashlib.blake2b(said.encode(), digest_size=9).hexdigest()
    return {whose: (entry.stamp, entry.seq)}


def time_of(ident: str) -> int:
    """The ms in a UUIDv7 (RFC 9562 section 5.7)."""
    return int(ident[:8] + ident[9:13], 16)
