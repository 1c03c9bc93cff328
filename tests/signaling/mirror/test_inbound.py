"""Documents of the inbox: whatever the bytes, they are a post or refused with a reason."""

from __future__ import annotations

import contextlib
from typing import Any

import bson
import pytest
from bson import Binary, Decimal128, Int64, MinKey, ObjectId, Regex
from bson.raw_bson import RawBSONDocument
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.chat.ops import Post
from signaling.mirror.inbound import (
    MAX_DOCUMENT,
    MAX_SOURCE,
    Malformed,
    name_of,
    quarantined,
    read,
)
from signaling.mirror.port import Reason, Waiting

ROOM = "01926f0e-7c1a-7000-8000-00000000000a"
GOOD: dict[str, Any] = {"_id": "order-1", "room": ROOM, "author": "bot-1", "text": "**Hello**"}


def encoded(**changes: Any) -> bytes:
    return bson.encode({**GOOD, **changes})


def waiting(data: bytes) -> Waiting:
    return Waiting(name=name_of(data), data=data)


def why(data: bytes) -> Reason:
    with pytest.raises(Malformed) as caught:
        read(data)
    return caught.value.reason


def test_a_document_of_the_documented_shape_is_a_post() -> None:
    more = {
        "kind": "order", "parent": ROOM, "reply_to": ROOM, "custom": {"n": Int64(7), "x.y": "z"},
        "mentions": {"accounts": ["ann"]}, "silent": True, "ttl": Int64(60),
    }  # fmt: skip
    found = read(encoded(**more))
    assert found.id == "text:order-1"
    post = found.post.post("01926f0e-7c1a-7000-8000-00000000000b")
    assert isinstance(post, Post)
    assert (post.custom, post.ttl, post.silent) == ({"n": 7, "x.y": "z"}, 60, True)
    assert type(post.custom["n"]) is int
    one = ObjectId()
    assert read(encoded(_id=one)).id == f"oid:{one}"
    assert read(encoded(_id=str(one))).id == f"text:{one}"


@pytest.mark.parametrize(
    "changes",
    [
        {"room": 5}, {"room": "elsewhere"}, {"room": {"$ne": ""}}, {"author": {"$gt": ""}},
        {"author": ""}, {"text": ""}, {"text": None}, {"text": ["a"]}, {"text": "x" * 16_001},
        {"$set": {"text": "x"}}, {"account": "ann"}, {"body": {"text": "x"}}, {"seq": 1},
        {"custom": {"a": {"$where": "1"}}}, {"custom": {"$a": 1}}, {"custom": [1]},
        {"custom": {"a": float("nan")}}, {"custom": {"a": float("inf")}},
        {"custom": {str(n): n for n in range(33)}}, {"kind": "Not A Word"}, {"ttl": 0},
        {"ttl": 1.5}, {"silent": 1}, {"mentions": {"accounts": "ann"}}, {"parent": "x"},
        {"at": bson.datetime_ms.DatetimeMS(2**62)}, {"text": Binary(b"x")},
        {"text": Regex("x")}, {"text": Decimal128("1")}, {"text": MinKey()},
        {"_id": 5}, {"_id": ""}, {"_id": "x" * 201}, {"_id": "a\0b"}, {"_id": {"$gt": ""}},
        {"_id": None}, {"_id": Binary(b"12")},
    ],
)  # fmt: skip
def test_any_other_shape_is_refused(changes: dict[str, Any]) -> None:
    assert why(encoded(**changes)) is Reason.SHAPE


def test_deep_huge_and_unreadable_ones_are_refused() -> None:
    deep: Any = "x"
    for _ in range(50):
        deep = {"a": deep}
    assert why(encoded(custom=deep)) is Reason.SHAPE
    assert why(encoded(text="x" * MAX_DOCUMENT)) is Reason.TOO_LARGE
    assert why(b"\x05\0\0\0") is Reason.UNREADABLE
    assert why(encoded()[:-1]) is Reason.UNREADABLE
    for place in (b"**Hello**", b"bot-1", b"order-1"):
        bad = place[:-1] + b"\xff"
        reason = why(encoded().replace(place, bad))
        assert reason is (Reason.SHAPE if place == b"order-1" else Reason.UNREADABLE)
    assert why(encoded(**{"x-name": 1}).replace(b"x-name", b"\xff\xfename")) is Reason.UNREADABLE


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 70), st.binary(max_size=8))
def test_no_bytes_do_more_than_be_refused(noise: bytes, at: int, bite: bytes) -> None:
    data = encoded()
    for one in (noise, data[:at] + bite + data[at + len(bite) :], data[:at]):
        with contextlib.suppress(Malformed):
            read(one)
        quarantined(Waiting(name=b"", data=one), "shape", "detail", 0.0)


def test_what_is_quarantined_is_shown_as_far_as_it_can_be() -> None:
    shown = quarantined(waiting(encoded(text=5)), "shape", "d" * 999, 1.0)
    assert shown.document == "text:order-1"
    assert shown.source is not None and '"text": 5' in shown.source
    assert len(shown.detail) == 200
    again = quarantined(waiting(encoded(text=5)), "other", "", 2.0)
    assert again.id == shown.id
    large = quarantined(waiting(encoded(text="x" * MAX_SOURCE)), "s", "", 1.0)
    assert large.source is None and large.size > MAX_SOURCE
    huge = quarantined(waiting(encoded(text="x" * MAX_DOCUMENT)), "too_large", "", 1.0)
    assert (huge.document, huge.source) == ("text:order-1", None)
    broken = encoded().replace(b"**Hello**", b"**Hell\xff**")
    source = quarantined(waiting(broken), "s", "", 1.0).source
    assert source is not None and source.isascii()


IDS: list[Any] = [
    "text", "", "a\0b", 5, Int64(2**40), 1.5, True, None, ObjectId(), Binary(b"1234"),
    Binary(b"u" * 16, 4), {"$gt": ""}, {"a": {"$ne": 1}}, ["x"], Regex("x", "i"), MinKey(),
    Decimal128("1.5"), bson.Timestamp(1, 2), bson.Code("x"), bson.Code("x", {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize("value", IDS, ids=repr)
def test_a_document_is_found_again_by_the_bytes_of_its_id(value: Any) -> None:
    data = encoded(_id=value)
    assert bson.decode(name_of(data)) == {"_id": {"$eq": bson.decode(data)["_id"]}}
    assert bytes(RawBSONDocument(name_of(data)).raw) == name_of(data)


def test_an_id_that_is_no_text_is_found_too() -> None:
    data = encoded().replace(b"order-1", b"orde\xff-1")
    assert b"orde\xff-1" in name_of(data)
