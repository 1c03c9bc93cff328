"""The reducer: golden cases, and that no order of arrival makes a difference."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.chat.bodies import Plain
from signaling.chat.ops import (
    ClientOp,
    Close,
    Delete,
    Edit,
    Entry,
    Erase,
    Member,
    Op,
    Part,
    Pin,
    Poll,
    Post,
    React,
    Set,
    Vote,
)
from signaling.chat.reduce import Messages, fold
from tests.signaling.chat.entries import CLOCK, Case, cases, entry, ident_of

PEOPLE = ("ann", "bob", "cy")


@pytest.mark.parametrize(("name", "case"), cases(), ids=lambda x: x if isinstance(x, str) else "")
def test_golden_case(name: str, case: Case) -> None:
    assert msgspec.json.decode(msgspec.json.encode(fold(case.entries))) == case.view


@pytest.mark.parametrize(("name", "case"), cases(), ids=lambda x: x if isinstance(x, str) else "")
def test_golden_case_in_other_orders_and_twice(name: str, case: Case) -> None:
    expected = list(Messages(case.entries))
    for seed in range(20):
        shuffled = case.entries * 2
        random.Random(seed).shuffle(shuffled)
        assert list(Messages(shuffled)) == expected
        assert fold(shuffled) == fold(case.entries)


_IDS = st.integers(1, 3).map(ident_of)
_BODIES = st.sampled_from("abc").map(lambda text: Plain(text=text))
_OPS: st.SearchStrategy[Op] = st.one_of(
    st.builds(Post, id=_IDS, body=_BODIES, parent=st.none() | _IDS,
              poll=st.none() | st.builds(Poll, options=st.just(3), multiple=st.booleans())),
    st.builds(Edit, id=_IDS, body=_BODIES),
    st.builds(Delete, id=_IDS),
    st.builds(React, id=_IDS, emoji=st.sampled_from(("+1", "-1")), on=st.booleans()),
    st.builds(Pin, id=_IDS, on=st.booleans()),
    st.builds(Vote, id=_IDS, choices=st.lists(st.integers(0, 3), max_size=2).map(tuple)),
    st.builds(Close, id=_IDS),
    st.builds(Set, name=st.sampled_from("xyz")),
    st.builds(Member, account=st.sampled_from(PEOPLE), part=st.sampled_from(list(Part))),
    st.builds(Erase, seqs=st.lists(st.integers(1, 20), max_size=3).map(tuple),
              ids=st.lists(_IDS, max_size=1).map(tuple)),
)  # fmt: skip


@st.composite
def logs(draw: st.DrawFn) -> list[Entry]:
    """A log whose clocks run as they like."""
    made = []
    for seq, op in enumerate(draw(st.lists(_OPS, max_size=20)), start=1):
        account = draw(st.sampled_from(PEOPLE))
        part = draw(st.sampled_from((Part.MEMBER, Part.MODERATOR)))
        made.append(entry(seq, account, op, clock=CLOCK + draw(st.integers(0, 5)), part=part))
    return made


@settings(max_examples=300, deadline=None)
@given(log=logs(), order=st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_view(log: list[Entry], order: random.Random) -> None:
    shuffled = list(log)
    order.shuffle(shuffled)
    assert fold(shuffled) == fold(log)


@settings(max_examples=200, deadline=None)
@given(log=logs(), cut=st.integers(0, 20))
def test_one_at_a_time_is_the_same_as_all_at_once(log: list[Entry], cut: int) -> None:
    later = Messages(log[cut:])
    for earlier in log[:cut]:
        later.add(earlier)
    assert list(later) == list(Messages(log))


@settings(max_examples=200, deadline=None)
@given(log=logs())
def test_what_was_erased_before_reading_looks_as_if_erased_after(log: list[Entry]) -> None:
    """A device that had the ops and one that never saw them come to the same."""
    gone = {seq for e in log if isinstance(e.op, Erase) for seq in e.op.seqs}
    seen = [e for e in log if e.seq not in gone or isinstance(e.op, Erase)]
    assert list(Messages(seen)) == list(Messages(log))


def test_a_poll_that_closes_at_a_time_without_a_zone_is_no_op() -> None:
    """It could not be compared with the time of a vote: every reader of the room would stumble."""
    name = ident_of(1)
    said = {"type": "post", "id": name, "body": {"format": "m.plain.v1", "text": "When?"}}
    poll = {"options": 2, "closes_at": "2026-01-01T00:00:00"}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**said, "poll": poll}, ClientOp)
    poll["closes_at"] = "2026-01-01T00:00:00+02:00"
    assert isinstance(msgspec.convert({**said, "poll": poll}, ClientOp), Post)
