"""Unread counts, whatever was said and read: they are what the reducer shows beyond one's cursors,
the same for a process that followed and for one that reads the log anew, and can always be zero.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from signaling.chat.account_ops import AccountEntry, Block, Hide
from signaling.chat.account_state import AccountState
from signaling.chat.ops import (
    CallOp,
    CallState,
    Delete,
    Edit,
    Entry,
    Erase,
    Erased,
    Mentions,
    Op,
    Part,
    Post,
    React,
)
from signaling.chat.reduce import MessageView, fold
from signaling.chat.unread import MOST, Counts, Cursor, Tail, moved
from tests.signaling.chat.entries import START, entry, ident_of, plain

ME, OTHERS = "bob", ("ann", "cy")
EVERYBODY = (ME, *OTHERS)
ROOM = "0192aaaa-0000-7000-8000-00000000aaaa"
MISSED = (CallState.MISSED, CallState.CANCELLED)
EXAMPLES = settings(max_examples=400)

_PEOPLE = st.sampled_from(EVERYBODY)
_PLACES = st.integers(0, 60)
"""Of what is there, modulo how much that is."""
_MENTIONS = st.none() | st.builds(
    Mentions, accounts=st.lists(_PEOPLE, max_size=2).map(tuple), room=st.booleans()
)
_POST = st.tuples(
    st.just("post"),
    _PEOPLE,
    st.none() | _PLACES,
    _MENTIONS,
    st.sampled_from((False, False, False, True)),
    st.none() | st.integers(1, 40),
)
_DELETE = st.tuples(st.just("delete"), _PEOPLE, _PLACES, st.booleans())
_STEPS = st.one_of(
    _POST,
    _POST,
    _POST,
    st.tuples(st.just("call"), _PEOPLE, st.sampled_from(list(CallState))),
    st.tuples(st.just("edit"), _PLACES),
    st.tuples(st.just("react"), _PEOPLE, _PLACES),
    _DELETE,
    _DELETE,
    st.tuples(st.just("erase"), _PLACES),
    st.tuples(st.just("read"), _PLACES),
    st.tuples(st.just("read_thread"), _PLACES, _PLACES),
    st.tuples(st.just("read_all"), _PLACES),
    st.tuples(st.just("mark")),
    st.tuples(st.just("block"), st.sampled_from(OTHERS), st.booleans()),
    st.tuples(st.just("hide"), _PLACES),
)


@dataclass
class Story:
    """A room's log, what one has read of it, and whom and what one does not want to see."""

    log: list[Entry] = field(default_factory=list)
    posts: list[Entry] = field(default_factory=list)
    cursor: Cursor = field(default_factory=lambda: Cursor(account=ME, room=ROOM))
    me: AccountState = field(default_factory=AccountState)
    followed: Tail = field(default_factory=lambda: Tail(0))
    """Of a process that was there all the time."""

    @property
    def head(self) -> int:
        return len(self.log)

    @property
    def now(self) -> float:
        return (START + timedelta(seconds=self.head)).timestamp()

    def say(self, account: str | None, op: Op, **more: Any) -> Entry:
        said = entry(self.head + 1, account, op, **more)
        self.log.append(said)
        self.followed.note(said)
        return said

    def own(self, op: Any) -> None:
        seq = self.me.seq + 1
        self.me.apply(AccountEntry(seq=seq, ident="1", version=seq, clock=seq, at=START, op=op))

    def take(self, step: tuple[Any, ...]) -> None:
        kind, *words = step
        getattr(self, f"_{kind}")(*words)

    def _one(self, place: int) -> Entry | None:
        return self.posts[place % len(self.posts)] if self.posts else None

    def _post(
        self,
        account: str,
        parent: int | None,
        mentions: Mentions | None,
        silent: bool,
        life: int | None,
    ) -> None:
        root = None if parent is None else self._one(parent)
        post = Post(
            id=ident_of(self.head + 1), body=plain("x"), mentions=mentions, silent=silent,
            parent=None if root is None else _op(root).id,
        )  # fmt: skip
        expires = START + timedelta(seconds=self.head + life) if life else None
        self.posts.append(self.say(account, post, expires_at=expires))

    def _call(self, caller: str, end: CallState) -> None:
        others = tuple(account for account in EVERYBODY if account != caller)
        ident = ident_of(self.head + 1)
        self.say(None, CallOp(id=ident, state=CallState.STARTED, accounts=(caller,)))
        if end is not CallState.STARTED:
            self.say(None, CallOp(id=ident, state=end, accounts=(caller, *others[:1])))

    def _edit(self, place: int) -> None:
        if post := self._one(place):
            self.say(post.account, Edit(id=_op(post).id, body=plain("y")))

    def _react(self, account: str, place: int) -> None:
        if post := self._one(place):
            self.say(account, React(id=_op(post).id, emoji="+1"))

    def _delete(self, account: str, place: int, moderates: bool) -> None:
        if post := self._one(place):
            part = Part.MODERATOR if moderates else Part.MEMBER
            self.say(account, Delete(id=_op(post).id), part=part)

    def _erase(self, place: int) -> None:
        """As the server does it: told, then out of the log."""
        if post := self._one(place):
            self.posts.remove(post)
            self.say(None, Erase(seqs=(post.seq,), ids=(_op(post).id,)))
            self.log[post.seq - 1] = replace(post, op=Erased(), account=None)

    def _read(self, place: int) -> None:
        self.cursor = moved(self.cursor, place % (self.head + 1), None)

    def _read_thread(self, place: int, root: int) -> None:
        if post := self._one(root):
            self.cursor = moved(self.cursor, place % (self.head + 1), _op(post).id)

    def read(self, seq: int, parent: str | None) -> None:
        self.cursor = moved(self.cursor, seq, parent, counted=self.followed.threads())

    def _read_all(self, place: int) -> None:
        self.cursor = moved(self.cursor, place % (self.head + 1), None, everything=True)

    def _mark(self) -> None:
        self.cursor = replace(self.cursor, marked=True)

    def _block(self, account: str, on: bool) -> None:
        self.own(Block(account=account, on=on))

    def _hide(self, place: int) -> None:
        if post := self._one(place):
            self.own(Hide(room=ROOM, id=_op(post).id))

    # Counts

    def counts(self) -> Counts:
        return self.followed.count(self.cursor, self.me, self.now)

    def anew(self) -> Counts:
        """Of a process that did not follow."""
        tail = Tail(0)
        for said in self.log:
            tail.note(said)
        return tail.count(self.cursor, self.me, self.now)

    def shown(self) -> Counts:
        """What of the messages that are shown nobody would call read."""
        found = [view for view in fold(self.log).messages if self._is_news(view)]
        threads = Counter(view.parent for view in found if view.parent is not None)
        return Counts(
            messages=sum(view.parent is None for view in found),
            mentions=sum(self._names_me(view.mentions) for view in found),
            threads=dict(threads),
            marked=self.cursor.marked,
        )

    def _is_news(self, view: MessageView) -> bool:
        caller = view.account
        if view.call is not None:
            if view.call.state not in MISSED or ME not in view.call.accounts[1:]:
                return False
            caller = view.call.accounts[0]
        seen = max(
            self.cursor.all,
            self.cursor.read if view.parent is None else self.cursor.threads.get(view.parent, 0),
        )
        is_over = view.expires_at is not None and view.expires_at.timestamp() <= self.now
        is_unwanted = self.me.blocks(caller or "") or self.me.hides(ROOM, view.id, view.seq)
        is_said = view.deleted is None and not view.silent and not is_over
        return is_said and self._seq(view) > seen and caller != ME and not is_unwanted

    def _seq(self, view: MessageView) -> int:
        """A call is missed when it ends."""
        if view.call is None:
            return view.seq
        ends = [e.seq for e in self.log if isinstance(e.op, CallOp) and e.op.id == view.id]
        return max(ends)

    def _names_me(self, mentions: Mentions | None) -> bool:
        return mentions is not None and (mentions.room or ME in mentions.accounts)


def _op(said: Entry) -> Post:
    assert isinstance(said.op, Post)
    return said.op


def told(steps: list[tuple[Any, ...]]) -> Story:
    story = Story()
    for step in steps:
        story.take(step)
    return story


_STORIES = st.integers(0, 24).flatmap(lambda size: st.lists(_STEPS, min_size=size, max_size=size))
"""Of any length alike: left to themselves lists are of about five, and few of those say much."""


@EXAMPLES
@given(_STORIES)
def test_counts_are_what_is_shown_and_not_read(steps: list[tuple[Any, ...]]) -> None:
    story = Story()
    for step in steps:
        story.take(step)
        assert story.counts() == story.anew() == story.shown(), step


@EXAMPLES
@given(_STORIES)
def test_reading_everything_leaves_nothing(steps: list[tuple[Any, ...]]) -> None:
    story = told(steps)
    story.cursor = moved(story.cursor, story.head, None, everything=True)
    assert story.counts() == story.anew() == Counts()


@EXAMPLES
@given(_STORIES)
def test_reading_the_room_and_each_thread_leaves_nothing(steps: list[tuple[Any, ...]]) -> None:
    story = told(steps)
    for parent in (None, *story.counts().threads):
        before = story.counts()
        story.cursor = moved(story.cursor, story.head, parent)
        now = story.counts()
        assert now.messages <= before.messages and now.mentions <= before.mentions
        assert set(now.threads) <= set(before.threads) - {parent}
    assert story.counts() == Counts()


@EXAMPLES
@given(_STORIES, _PLACES, st.booleans())
def test_no_reading_makes_anything_unread(
    steps: list[tuple[Any, ...]], place: int, everything: bool
) -> None:
    """Also of a device that is behind another one of the same account."""
    story = told(steps)
    before = story.counts()
    story.cursor = moved(story.cursor, place % (story.head + 1), None, everything=everything)
    now = story.counts()
    assert now.messages <= before.messages and now.mentions <= before.mentions
    assert all(count <= before.threads[root] for root, count in now.threads.items())


@pytest.mark.parametrize("backwards", [False, True])
def test_however_many_threads_were_read_none_comes_back(backwards: bool) -> None:
    """As many as there can be, and as many again of which nothing is counted any more."""
    story = Story()
    roots = [ident_of(10_000 + n) for n in range(MOST)]
    for root in roots:
        story.say("ann", Post(id=ident_of(story.head + 1), body=plain("x"), parent=root))
    places = list(zip(range(1, MOST + 1), roots, strict=True))
    for seq, root in places[::-1] if backwards else places:
        story.read(seq, root)
    assert story.counts() == Counts()
    for number in range(MOST):
        story.read(story.head, ident_of(20_000 + number))
    assert story.counts() == Counts()
    assert len(story.cursor.threads) == MOST


def test_a_wrong_count_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The property fails on a tail that forgets deletions: by the same stories each time."""
    right = Tail.note

    def note(self: Tail, said: Entry) -> None:
        if not isinstance(said.op, Delete):
            right(self, said)

    monkeypatch.setattr(Tail, "note", note)
    said: Any = test_counts_are_what_is_shown_and_not_read
    same = settings(EXAMPLES, derandomize=True, database=None, phases=[Phase.generate])
    with pytest.raises(AssertionError):
        same(given(_STORIES)(said.hypothesis.inner_test))()
