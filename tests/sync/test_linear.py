"""The search for an order explains what is right, and refuses histories that were planted."""

from __future__ import annotations

import itertools
import random
from collections.abc import Hashable, Sequence
from typing import Any

import pytest

from tests.sync.linear import NEVER, Call, Model, NotLinearizable, Undecided, explain
from tests.sync.models import Give, Look, Marker, Ownership, Read, Said, Take

ANA, BEN, CY = "ana", "ben", "cy"


def call(asked: Hashable, answer: Any, began: float, ended: float = NEVER) -> Call:
    return Call("a device", asked, answer, began, ended)


def unknown(asked: Hashable, began: float) -> Call:
    return call(asked, None, began)


def owners(*names: str) -> frozenset[str]:
    return frozenset(names)


RIGHT: dict[str, tuple[Model, list[Call]]] = {
    "nothing happened": (Marker(), []),
    "one after the other": (Marker(), [call(Read(3), 3, 0, 1), call(Look(), 3, 2, 3)]),
    "an older mark changes nothing": (
        Marker(), [call(Read(5), 5, 0, 1), call(Read(2), 5, 2, 3), call(Look(), 5, 4, 5)],
    ),
    "a look beside a mark sees it or not": (
        Marker(), [call(Read(3), 3, 0, 9), call(Look(), 0, 1, 2), call(Look(), 3, 3, 4)],
    ),
    "a look that began as a mark ended is beside it": (
        Marker(), [call(Read(3), 3, 0, 1), call(Look(), 0, 1, 2)],
    ),
    "what had no answer happened": (Marker(), [unknown(Read(4), 0), call(Look(), 4, 1, 2)]),
    "what had no answer never happened": (Marker(), [unknown(Read(4), 0), call(Look(), 0, 1, 2)]),
    "what had no answer happened late": (
        Marker(), [unknown(Read(4), 0), call(Look(), 0, 1, 2), call(Look(), 4, 3, 4)],
    ),
    "ownership is passed on": (
        Ownership(ANA),
        [
            call(Give(ANA, BEN), Said.DONE, 0, 1), call(Take(ANA, ANA), Said.DONE, 2, 3),
            call(Look(), owners(BEN), 4, 5), call(Take(BEN, BEN), Said.LAST, 6, 7),
            call(Give(ANA, CY), Said.REFUSED, 6, 7), call(Take(CY, CY), Said.DONE, 6, 7),
        ],
    ),
    "of two owners who step down at once one stays": (
        Ownership(ANA, BEN),
        [
            call(Take(ANA, ANA), Said.LAST, 0, 9), call(Take(BEN, BEN), Said.DONE, 0, 9),
            call(Look(), owners(ANA), 10, 11),
        ],
    ),
    "a gift that changes nothing now may come later, where it does": (
        Ownership(ANA, BEN),
        [
            call(Give(ANA, BEN), Said.DONE, 0, 9), call(Take(BEN, BEN), Said.DONE, 1, 2),
            call(Look(), owners(ANA), 3, 4), call(Look(), owners(ANA, BEN), 10, 11),
        ],
    ),
    "of two who had no answer each may have happened": (
        Ownership(ANA),
        [
            unknown(Give(ANA, BEN), 0), unknown(Give(ANA, BEN), 1), unknown(Take(BEN, ANA), 2),
            call(Look(), owners(ANA, BEN), 3, 4), call(Look(), owners(BEN), 5, 6),
            call(Take(BEN, BEN), Said.LAST, 7, 8),
        ],
    ),
}  # fmt: skip

WRONG: dict[str, tuple[Model, list[Call]]] = {
    "an acknowledged mark went back": (
        Marker(), [call(Read(5), 5, 0, 1), call(Look(), 5, 2, 3), call(Look(), 4, 4, 5)],
    ),
    "an acknowledged mark was lost": (Marker(), [call(Read(5), 5, 0, 1), call(Look(), 0, 2, 3)]),
    "an older mark took a newer one's place": (
        Marker(), [call(Read(5), 5, 0, 1), call(Read(2), 2, 2, 3)],
    ),
    "two looks see one mark the wrong way round": (
        Marker(), [call(Read(3), 3, 0, 9), call(Look(), 3, 1, 2), call(Look(), 0, 3, 4)],
    ),
    "a mark without an answer came and went": (
        Marker(), [unknown(Read(4), 0), call(Look(), 4, 1, 2), call(Look(), 0, 3, 4)],
    ),
    "a mark that nobody made": (Marker(), [unknown(Read(4), 0), call(Look(), 3, 1, 2)]),
    "a mark was seen before it was made": (
        Marker(), [call(Look(), 4, 0, 1), unknown(Read(4), 2)],
    ),
    "both of two owners stepped down": (
        Ownership(ANA, BEN),
        [call(Take(ANA, ANA), Said.DONE, 0, 9), call(Take(BEN, BEN), Said.DONE, 0, 9)],
    ),
    "who was no owner any more gave": (
        Ownership(ANA, BEN),
        [
            call(Take(BEN, ANA), Said.DONE, 0, 1), call(Give(ANA, CY), Said.DONE, 2, 3),
            call(Look(), owners(BEN, CY), 4, 5),
        ],
    ),
    "each took the other's ownership": (
        Ownership(ANA, BEN),
        [call(Take(ANA, BEN), Said.DONE, 0, 9), call(Take(BEN, ANA), Said.DONE, 0, 9)],
    ),
    "two looks see two gifts in two orders": (
        Ownership(ANA),
        [
            call(Give(ANA, BEN), Said.DONE, 0, 9), call(Give(ANA, CY), Said.DONE, 0, 9),
            call(Look(), owners(ANA, BEN), 1, 2), call(Look(), owners(ANA, CY), 3, 4),
        ],
    ),
    "one gift without an answer explains one, not two": (
        Ownership(ANA),
        [
            unknown(Give(ANA, BEN), 0), call(Look(), owners(ANA, BEN), 1, 2),
            call(Take(BEN, BEN), Said.DONE, 3, 4), call(Look(), owners(ANA), 5, 6),
            call(Look(), owners(ANA, BEN), 7, 8),
        ],
    ),
    "an owner was refused": (Ownership(ANA), [call(Give(ANA, BEN), Said.REFUSED, 0, 1)]),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_has_an_order(name: str) -> None:
    model, calls = RIGHT[name]
    order = explain(model, calls)
    assert follows(model, order)
    assert {id(one) for one in calls if one.known} <= {id(one) for one in order}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused(name: str) -> None:
    model, calls = WRONG[name]
    with pytest.raises(NotLinearizable) as found:
        explain(model, calls)
    assert follows(model, found.value.order)
    assert found.value.stuck, "it says what cannot follow"


def follows(model: Model, order: Sequence[Call]) -> bool:
    state = model.initial
    for one in order:
        state = model.step(state, one)
        if state is None:
            return False
    return all(not later.ended < one.began for one, later in itertools.combinations(order, 2))


def by_trying_all(model: Model, calls: Sequence[Call]) -> bool:
    """The definition itself: any choice of those without an answer, in any order."""
    known = [one for one in calls if one.known]
    rest = [one for one in calls if not one.known]
    chosen = itertools.chain.from_iterable(
        itertools.combinations(rest, size) for size in range(len(rest) + 1)
    )
    return any(
        follows(model, order)
        for some in chosen
        for order in itertools.permutations([*known, *some])
    )


def drawn(source: random.Random) -> tuple[Model, list[Call]]:
    """Few calls, few names, any answers: about half of these have an order."""
    of_marks = source.random() < 0.5
    calls = []
    for _ in range(source.randint(1, 5)):
        began = source.randint(0, 6)
        ended = NEVER if source.random() < 0.25 else began + source.randint(0, 4)
        if of_marks:
            asked: Hashable = source.choice([Look(), Read(1), Read(2)])
            answer: Any = source.randint(0, 2)
        else:
            one, other = source.choice([ANA, BEN]), source.choice([ANA, BEN])
            asked = source.choice([Look(), Give(one, other), Take(one, other)])
            answer = source.choice([Said.DONE, Said.DONE, Said.REFUSED, Said.LAST])
            if isinstance(asked, Look):
                answer = source.choice([owners(ANA), owners(BEN), owners(ANA, BEN)])
        if ended == NEVER and isinstance(asked, Look):
            continue
        calls.append(call(asked, None if ended == NEVER else answer, began, ended))
    return (Marker() if of_marks else Ownership(ANA)), calls


def test_it_agrees_with_trying_every_order() -> None:
    source, verdicts = random.Random(7), []
    for _ in range(4000):
        model, calls = drawn(source)
        try:
            explain(model, calls)
        except NotLinearizable:
            verdicts.append(False)
        else:
            verdicts.append(True)
        assert verdicts[-1] == by_trying_all(model, calls), calls
    assert 500 < sum(verdicts) < 3500


def test_long_histories_are_decided() -> None:
    """As a run leaves them: some calls beside each other, some unanswered; and a wrong answer at
    the very end, for which everything must be tried."""
    source, state, now = random.Random(7), owners(ANA), 0.0
    model, calls = Ownership(ANA), []
    for turn in range(200):
        who, other = source.sample([ANA, BEN, CY], 2)
        asked = source.choice([Look(), Give(who, other), Take(who, who), Take(who, other)])
        said = next(
            answer
            for answer in (*Said, state)
            if model.step(state, call(asked, answer, 0, 0)) is not None
        )
        after = model.step(state, call(asked, said, 0, 0))
        assert after is not None
        lost = turn % 40 == 0 and not isinstance(asked, Look)
        if not lost or source.random() < 0.5:
            state = after
        now += 1
        began, ended = now - source.uniform(0, 3), now + source.uniform(0, 3)
        calls.append(unknown(asked, began) if lost else call(asked, said, began, ended))
    calls.append(call(Look(), state, now + 10, now + 11))
    assert follows(model, explain(model, calls))
    nobody = call(Look(), owners(), now + 12, now + 13)
    with pytest.raises(NotLinearizable):
        explain(model, [*calls, nobody])


def test_a_search_that_is_given_up_says_nothing() -> None:
    model, calls = RIGHT["ownership is passed on"]
    with pytest.raises(Undecided):
        explain(model, calls, most=1)
