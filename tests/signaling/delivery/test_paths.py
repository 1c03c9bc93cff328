"""Filters by JSONPath: what they select, what is refused, and that none of them takes long."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.delivery.events import EventFilter
from signaling.delivery.paths import compiled, selects
from tests.signaling.delivery.house import Post
from tests.slack import within

EVENT: dict[str, Any] = {
    "id": "r:3", "type": "sotto.message.posted", "subject": "m1",
    "data": {
        "room": "r", "mode": "e2ee", "seq": 3, "account": "ann",
        "op": {"type": "post", "kind": "text", "custom": {"ticket": 7, "priority": "high"}},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("$", True), ("$.data.op.custom.ticket", True), ("$.data.op.custom.other", False),
        ('$[?@.op.custom.priority == "high"]', True), ('$[?@.op.custom.priority=="low"]', False),
        ("$.data.op[?@.ticket > 6 && @.ticket < 8]", True), ("$.data.op.custom[?@ == 8]", False),
        ("$..ticket", True), ("$..[?@.kind == 'text']", True), ("$[?count(@.*) > 3]", True),
        ("$[?length(@.account) == 3]", True), ("$[?!@.op]", True), ("$['data']['seq']", True),
    ],
)  # fmt: skip
def test_an_event_is_selected_by_what_it_has(path: str, wanted: bool) -> None:
    assert selects(path, EVENT) is wanted


BAD = (
    "", " ", "$ ", "data", "$.", "$[", "$[?", "@.data", "$.data | $.op", "$.data & $.op", "^.data",
    "$[?match(@.kind, '(a+)+$')]", "$[?search(@.kind, 'a')]", "$[?@.kind =~ /a/]", "$..a..b",
    "$[?@..a[?@..b]]", "$[?typeof(@.a) == 'x']", "$[?@.a == _.b]", "$[?nothing(@.a)]", "$.~a",
    "$[99999999999999999999]", "$" + "[?(" * 60,
    "$[?@.a == '\\ud800']", "\x00",
)  # fmt: skip


@pytest.mark.parametrize("path", BAD[1:], ids=range(1, len(BAD)))
def test_what_is_no_path_or_may_take_long_is_refused(path: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"jsonpath": path}, EventFilter)


def test_a_long_path_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="512"):
        msgspec.convert({"jsonpath": "$" + ".a" * 256}, EventFilter)


def test_what_is_refused_is_not_repeated() -> None:
    with pytest.raises(ValueError) as raised:
        compiled("$.canary[")
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    "path",
    ["$[?" + "(" * 200 + "@.a" + ")" * 200 + "]", "$[?" + "!" * 300 + "@.a]", "$" + "[*]" * 170],
    ids=["nested", "not", "deep"],
)
def test_a_path_may_be_as_odd_as_it_likes(path: str) -> None:
    assert selects(path, EVENT) in (True, False)


@given(st.text(max_size=64) | st.text("$@.[]?*'\"()=!<>&|, 0aé_~^#\\", max_size=64))
def test_b15_no_path_does_harm(text: str) -> None:
    try:
        compiled(text)
    except ValueError:
        return
    assert selects(text, EVENT) in (True, False)


def test_b15_no_path_takes_long() -> None:
    """Each looks again at all of it for each part of a large event."""
    many = {f"k{number}": [{"a": n} for n in range(64)] for number in range(64)}
    took = []
    for path in (
        "$..[?@.x == 1]", "$[*][*][?@[?@[?@ == 2]]]", "$[?count($..*) == 1]",
        "$[*][?count($.*[*].*) < 0]", "$[*][*][*][?@ == 99]",
    ):  # fmt: skip
        began = time.monotonic()
        assert selects(path, {"data": many}) is False
        took.append(time.monotonic() - began)
    within(0.5, took)


async def test_a_path_reads_no_body_and_erasure_is_told_whatever_it_says(post: Post) -> None:
    room = await post.served.room("bob")
    await post.webhook(filter={"jsonpath": '$[?@.op.custom.priority == "high"]'})
    await post.webhook(filter={"jsonpath": "$..text", "events": ["message.posted"]})
    high = await post.served.ann.post(room, "first", custom={"priority": "high"})
    await post.served.ann.post(room, "second", custom={"priority": "low"})
    await post.settle()
    assert post.receiver.texts == ["first"]
    at = f"/rooms/{room}/messages/{high['id']}"
    assert (await post.served.ann.ask("DELETE", at)).status in (200, 204)
    await post.settle()
    assert set(post.receiver.types) <= {"sotto.message.posted", "sotto.message.erased"}
