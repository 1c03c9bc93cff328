"""The evaluation against the hand-written oracle, on grants that nobody thought of."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.access.evaluate import Ask, evaluate
from signaling.access.permissions import Operation
from tests.signaling.access import oracle
from tests.signaling.access.test_matrix import NOW, granted

NAMES = st.text(alphabet="ab-1.", min_size=1, max_size=4)
# Where Python's `re` and RE2 mean the same: the oracle matches with the former.
ATOMS = st.sampled_from(["a", "b", "-", "1", ".", r"\.", "[ab]", "[^a]", r"[a-z]", "(?:ab)"])
REPEATS = st.sampled_from(["", "*", "+", "?", "{1,2}"])
BRANCHES = st.lists(st.builds(str.__add__, ATOMS, REPEATS), min_size=1, max_size=4).map("".join)
PATTERNS = st.builds(
    lambda branches, anchored: f"^(?:{'|'.join(branches)})$" if anchored else "|".join(branches),
    st.lists(BRANCHES, min_size=1, max_size=3),
    st.booleans(),
)


def masks(names: st.SearchStrategy[str], kind: str) -> st.SearchStrategy[dict[str, int]]:
    mask = st.integers(0, 255).map(lambda bits: bits & oracle.SUMS[kind])
    return st.dictionaries(names, mask, max_size=5)


def side(names: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, dict[str, int]]]:
    return st.fixed_dictionaries({kind: masks(names, kind) for kind in oracle.SUMS})


ASKED = st.fixed_dictionaries(
    {kind: st.lists(NAMES, min_size=1, max_size=3) for kind in oracle.SUMS}
)


@settings(max_examples=150, deadline=None)
@given(
    resources=side(NAMES),
    patterns=side(PATTERNS),
    names=ASKED,
    operation=st.sampled_from(sorted(oracle.MATRIX)),
)
def test_b22_agrees_with_the_oracle(
    resources: dict[str, Any], patterns: dict[str, Any], names: dict[str, Any], operation: str
) -> None:
    holder = granted(resources, patterns)
    kinds = {kind for kind, _ in oracle.MATRIX[operation]}
    question = Ask(Operation(operation), **{kind: tuple(names[kind]) for kind in kinds})
    expected = oracle.allowed(operation, names, resources, patterns)
    # Twice: the second answer comes out of the memory of the first.
    for _ in range(2):
        decision = evaluate(holder, question, (), NOW)
        assert decision.allowed is (not expected)
        for kind in oracle.SUMS:
            refused = tuple(dict.fromkeys(expected.get(kind, ())))
            assert getattr(decision, kind) == refused
