"""Promises B22, B23 and section 1.D: every cell of operation by permission, both ways."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import pytest

from signaling.access.evaluate import ALLOWED, Ask, Granted, Nobody, Reason, evaluate
from signaling.access.explain import explain, lines
from signaling.access.grant import Grant, Permissions
from signaling.access.permissions import OPERATIONS, SCOPE, VALID, Kind, Operation
from tests.signaling.access import oracle

NOW = 1_800_000_000.0
NAMES = {"channels": ["room-1"], "groups": ["team"], "uuids": ["ada"]}


def granted(
    resources: oracle.Grant | None = None,
    patterns: oracle.Grant | None = None,
    *,
    uuid: str | None = None,
    listing: bool = False,
    ttl: int = 60,
) -> Granted:
    return Granted(
        Grant(
            ttl=ttl,
            resources=_side(resources or {}),
            patterns=_side(patterns or {}),
            uuid=uuid,
        ),
        app="default",
        keyset="keyset",
        ident="token",
        since=int(NOW),
        listing=listing,
    )


def _side(masks: oracle.Grant) -> Permissions:
    return Permissions(**{kind: dict(names) for kind, names in masks.items()})


def ask(operation: str, names: Mapping[str, list[str]] = NAMES) -> Ask:
    """Names the kinds that the matrix has for the operation."""
    kinds = {kind for kind, _ in oracle.MATRIX[operation]}
    return Ask(
        Operation(operation),
        **{kind: tuple(names[kind]) for kind in kinds},
    )


def subsets(kind: str) -> Iterator[int]:
    bits = [bit for bit in oracle.BITS.values() if oracle.SUMS[kind] // bit % 2]
    for size in range(len(bits) + 1):
        for chosen in itertools.combinations(bits, size):
            yield sum(chosen)


def test_b22_the_tables_are_the_matrix() -> None:
    listed = {*oracle.MATRIX, *oracle.NOTHING, *oracle.OWN, *oracle.EVERYTHING}
    assert listed == {operation.value for operation in Operation}
    assert OPERATIONS.keys() == SCOPE.keys() == set(Operation)
    assert {kind.value: mask for kind, mask in VALID.items()} == oracle.SUMS


@pytest.mark.parametrize("side", ["resources", "patterns"])
@pytest.mark.parametrize("operation", oracle.MATRIX)
def test_b22_every_cell(operation: str, side: str) -> None:
    """Every subset of permissions on every kind the operation names, by name and by pattern."""
    kinds = [kind for kind, _ in oracle.MATRIX[operation]]
    for masks in itertools.product(*(subsets(kind) for kind in kinds)):
        names = {
            kind: {NAMES[kind][0] if side == "resources" else ".*": mask}
            for kind, mask in zip(kinds, masks, strict=True)
        }
        sides = {"resources": names, "patterns": {}} if side == "resources" else {
            "resources": {}, "patterns": names,
        }  # fmt: skip
        refused = oracle.allowed(operation, NAMES, sides["resources"], sides["patterns"])
        holder = granted(sides["resources"], sides["patterns"])
        decision = evaluate(holder, ask(operation), (), NOW)
        assert decision.allowed is (not refused), (operation, masks)
        assert decision.channels == tuple(refused.get("channels", ()))
        assert decision.groups == tuple(refused.get("groups", ()))
        assert decision.uuids == tuple(refused.get("uuids", ()))
        explained = explain(holder, ask(operation), (), NOW)
        assert explained.allowed is decision.allowed
        assert all(part.enough for part in explained.parts) is decision.allowed
        assert lines(explained)[0].endswith("allowed") is decision.allowed


@pytest.mark.parametrize("operation", oracle.MATRIX)
def test_b22_what_is_granted_elsewhere_does_not_count(operation: str) -> None:
    """All permissions on other names and on the other kinds: still refused."""
    kinds = {kind for kind, _ in oracle.MATRIX[operation]}
    full = {
        kind: {"other": mask, **({} if kind in kinds else {NAMES[kind][0]: mask})}
        for kind, mask in oracle.SUMS.items()
    }
    patterns = {kind: {"oth.*": mask} for kind, mask in oracle.SUMS.items()}
    decision = evaluate(granted(full, patterns), ask(operation), (), NOW)
    assert decision.reason is Reason.NOT_GRANTED


@pytest.mark.parametrize("operation", [*oracle.MATRIX, *oracle.OWN, *oracle.EVERYTHING], ids=str)
@pytest.mark.parametrize(
    "reason", [Reason.MISSING, Reason.INVALID, Reason.EXPIRED, Reason.REVOKED], ids=str
)
def test_b23_nothing_without_a_good_token(operation: str, reason: Reason) -> None:
    names = {kind.value: tuple(NAMES[kind.value]) for kind in Kind}
    question = Ask(Operation(operation), **names)
    decision = evaluate(Nobody(reason), question, ("ada",), NOW)
    assert decision == (reason, *question[1:])


@pytest.mark.parametrize("operation", oracle.NOTHING)
def test_b23_leaving_and_the_time_ask_nobody(operation: str) -> None:
    question = Ask(Operation(operation), channels=("room-1",))
    assert evaluate(Nobody(), question, (), NOW) is ALLOWED
    assert evaluate(granted({"channels": {"x": 1}}), question, (), NOW) is ALLOWED


def test_b22_where_somebody_is_only_they_may_ask() -> None:
    holder = granted({"channels": {"x": 1}}, uuid="ada")
    mine = Ask(Operation.WHERE_NOW, uuids=("ada",))
    assert evaluate(holder, mine, ("ada",), NOW).allowed
    assert not evaluate(holder, Ask(Operation.WHERE_NOW, uuids=("bob",)), ("ada",), NOW).allowed
    assert not evaluate(holder, Ask(Operation.WHERE_NOW), ("ada",), NOW).allowed
    assert not evaluate(Nobody(), mine, ("ada",), NOW).allowed


@pytest.mark.parametrize(("operation", "kind"), oracle.EVERYTHING.items())
def test_b22_listing_everything_is_off_by_default(operation: str, kind: str) -> None:
    question = Ask(Operation(operation))
    every = {kind: {".*": 32}}
    assert evaluate(granted({}, every, listing=True), question, (), NOW).allowed
    assert not evaluate(granted({}, every), question, (), NOW).allowed
    other = "uuids" if kind == "channels" else "channels"
    for patterns in ({other: {".*": 32}}, {kind: {".+": 32}}, {kind: {".*": 64}}):
        assert not evaluate(granted({}, patterns, listing=True), question, (), NOW).allowed
    named = {kind: {".*": 32}}
    assert not evaluate(granted(named, {}, listing=True), question, (), NOW).allowed


def test_b22_nothing_is_allowed_by_naming_nothing() -> None:
    everything = {kind: {".*": mask} for kind, mask in oracle.SUMS.items()}
    holder = granted({}, everything)
    for operation in oracle.MATRIX:
        assert not evaluate(holder, Ask(Operation(operation)), (), NOW).allowed, operation
    half = Ask(Operation.SET_MEMBERSHIPS, channels=("room-1",))
    assert not evaluate(holder, half, (), NOW).allowed
    foreign = Ask(Operation.PUBLISH, channels=("room-1",), uuids=("ada",))
    assert evaluate(holder, foreign, (), NOW) == (Reason.NOT_GRANTED, (), (), ("ada",))


def test_b22_a_subscription_fails_whole_and_names_only_the_refused() -> None:
    holder = granted({"channels": {"a": 1, "c": 1}, "groups": {"g": 1}})
    question = Ask(Operation.SUBSCRIBE, ("a", "b", "c", "d", "b"), ("g", "h"))
    assert evaluate(holder, question, (), NOW) == (Reason.NOT_GRANTED, ("b", "d"), ("h",), ())
    assert evaluate(holder, Ask(Operation.SUBSCRIBE, ("a", "c"), ("g",)), (), NOW).allowed
    assert evaluate(holder, Ask(Operation.SUBSCRIBE, (), ("g",)), (), NOW).allowed


def test_b22_presence_is_a_channel_of_its_own() -> None:
    question = Ask(Operation.SUBSCRIBE_PRESENCE, ("room-1-pnpres",))
    assert not evaluate(granted({"channels": {"room-1": 1}}), question, (), NOW).allowed
    assert evaluate(granted({"channels": {"room-1-pnpres": 1}}), question, (), NOW).allowed
    assert evaluate(granted({}, {"channels": {"room-.*": 1}}), question, (), NOW).allowed


def test_b22_name_and_pattern_are_united() -> None:
    holder = granted({"channels": {"room-1": 1}}, {"channels": {"room-[0-9]": 2, "room-1": 8}})
    for operation, yes in (("subscribe", True), ("publish", True), ("delete_file", True)):
        assert evaluate(holder, ask(operation), (), NOW).allowed is yes
    assert not evaluate(holder, ask("set_channel"), (), NOW).allowed


def test_b22_a_pattern_must_match_the_whole_name() -> None:
    holder = granted({}, {"channels": {"room-": 1}})
    question = Ask(Operation.SUBSCRIBE, ("x-room-1",))
    assert evaluate(holder, question, (), NOW).reason is Reason.NOT_GRANTED
    assert not evaluate(holder, Ask(Operation.SUBSCRIBE, ("room-1",)), (), NOW).allowed
    assert evaluate(holder, Ask(Operation.SUBSCRIBE, ("room-",)), (), NOW).allowed


def test_b24_the_token_of_somebody_else() -> None:
    holder = granted({"channels": {"room-1": 1}}, uuid="ada")
    question = Ask(Operation.SUBSCRIBE, ("room-1",))
    assert evaluate(holder, question, ("ada",), NOW).allowed
    assert evaluate(holder, question, ("ada", "adas-phone"), NOW).allowed
    for who in ((), ("bob",), ("ADA",), ("ada ",), ("",)):
        assert evaluate(holder, question, who, NOW).reason is Reason.OTHER_UUID


def test_b26_a_token_ends_with_its_last_minute() -> None:
    holder = granted({"channels": {"room-1": 1}}, ttl=1)
    question = Ask(Operation.SUBSCRIBE, ("room-1",))
    assert evaluate(holder, question, (), NOW + 59.999).allowed
    assert evaluate(holder, question, (), NOW + 60).reason is Reason.EXPIRED


def test_b26_a_revocation_reaches_whoever_holds_the_grant() -> None:
    holder = granted({"channels": {"room-1": 1}})
    question = Ask(Operation.SUBSCRIBE, ("room-1",))
    assert evaluate(holder, question, (), NOW).allowed
    holder.fault = Reason.REVOKED
    assert evaluate(holder, question, (), NOW).reason is Reason.REVOKED


@pytest.mark.parametrize("name", ["", "a" * 257, "a\x00", "a\nb", "\ud800", "\x85"])
def test_b22_names_that_nothing_can_have_are_refused(name: str) -> None:
    holder = granted({}, {"channels": {"(?s).*": 239}})
    assert not evaluate(holder, Ask(Operation.PUBLISH, (name,)), (), NOW).allowed
    assert not evaluate(Nobody(), Ask(Operation.PUBLISH, (name,)), (), NOW).allowed
