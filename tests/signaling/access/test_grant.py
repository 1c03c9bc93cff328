"""Promises B26 and 1.D: what a grant request may say, and the exact words when it may not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.access.grant import GRANT_BYTES, Invalid, Permissions, read_grant


def body(**changes: Any) -> dict[str, Any]:
    permissions = {"resources": {"channels": {"room": 3}}, "patterns": {}, "meta": {}}
    permissions.update(changes.pop("permissions", {}))
    return {"ttl": 60, "permissions": permissions, **changes}


def read(value: Any) -> Any:
    return read_grant(json.dumps(value).encode())


def refusal(value: Any) -> tuple[str, str, str]:
    with pytest.raises(Invalid) as caught:
        if isinstance(value, bytes):
            read_grant(value)
        else:
            read(value)
    error = caught.value
    assert error.location_type == "body"
    return error.message, error.detail, error.location


@pytest.mark.parametrize("ttl", [1, 43200])
def test_b26_the_bounds_of_ttl(ttl: int) -> None:
    assert read(body(ttl=ttl)).ttl == ttl


@pytest.mark.parametrize("ttl", [0, -1, 43201, "60", "text", 1.5, 60.0, True, None, [], {}])
def test_b26_ttl_refused(ttl: Any) -> None:
    assert refusal(body(ttl=ttl)) == (
        "Invalid ttl",
        "Range should be 1 to 43200 minute(s).",
        "ttl",
    )


def test_b26_ttl_missing() -> None:
    sent = body()
    del sent["ttl"]
    assert refusal(sent)[0] == "Invalid ttl"


@pytest.mark.parametrize(
    "permissions",
    [
        {"resources": {}, "patterns": {}},
        {"resources": {"channels": {}}, "patterns": {"uuids": {}}},
    ],
)
def test_b26_at_least_one_resource_or_pattern(permissions: Any) -> None:
    assert refusal(body(permissions=permissions)) == (
        "Invalid permissions",
        "At least one resource or pattern.",
        "permissions",
    )


@pytest.mark.parametrize("kind", ["channels", "groups", "uuids"])
@pytest.mark.parametrize("side", ["resources", "patterns"])
@pytest.mark.parametrize("bit", [1, 2, 4, 8, 16, 32, 64, 128, 256, -1, 1 << 40])
def test_b26_permissions_of_each_kind(kind: str, side: str, bit: int) -> None:
    valid = {"channels": 239, "groups": 5, "uuids": 104}[kind]
    sent = body(permissions={side: {kind: {"x": bit}}})
    if bit > 0 and valid & bit == bit:
        assert getattr(getattr(read(sent), side), kind)["x"] == bit
    else:
        assert refusal(sent)[0] == "Invalid permissions"
        assert refusal(sent)[2] == f"permissions.{side}.{kind}"


@pytest.mark.parametrize("mask", [True, "3", 3.0, None, [3], {"read": True}])
def test_b26_a_mask_is_a_number(mask: Any) -> None:
    assert refusal(body(permissions={"resources": {"channels": {"x": mask}}}))[0] == (
        "Invalid permissions"
    )


def test_b26_older_words_of_pubnubs_clients() -> None:
    """Its Python client sends every uuid as a user too, and every channel as a space."""
    sent = body(
        permissions={
            "resources": {"uuids": {"ada": 32}, "users": {"ada": 64}, "spaces": {"s": 1}},
            "patterns": {"channels": {}, "users": {}, "spaces": {".*": 2}},
        }
    )
    grant = read(sent)
    assert grant.resources == Permissions(channels={"s": 1}, uuids={"ada": 96})
    assert grant.patterns == Permissions(channels={".*": 2})


@pytest.mark.parametrize("pattern", ["(", "a{1001}", "x" * 4097, ""])
def test_b26_patterns_refused(pattern: str) -> None:
    sent = body(permissions={"patterns": {"channels": {pattern: 1}}})
    word, _, location = refusal(sent)
    assert (word, location) == ("Invalid pattern", "permissions.patterns.channels")


def test_b26_the_patterns_together_are_bounded() -> None:
    many = {f"{i}[a-z]{{400}}": 1 for i in range(500)}
    assert refusal(body(permissions={"patterns": {"channels": many}}))[0] == "Invalid pattern"
    thousand = {f"room-{i}-[a-z0-9]*": 1 for i in range(1000)}
    assert (
        len(read(body(permissions={"patterns": {"channels": thousand}})).patterns.channels) == 1000
    )


@pytest.mark.parametrize("value", [[], {}, [1], {"a": 1}, 1 << 64])
def test_b26_meta_holds_scalars_only(value: Any) -> None:
    assert refusal(body(permissions={"meta": {"k": value}})) == (
        "Invalid meta",
        "Values are texts, numbers, true, false or null.",
        "meta",
    )


def test_b26_meta_that_is_fine() -> None:
    meta = {"text": "é", "whole": 5, "half": 0.5, "yes": True, "none": None, "__proto__": "x"}
    assert read(body(permissions={"meta": meta})).meta == meta


@pytest.mark.parametrize("uuid", ["", 5, "a\n", "x" * 257, ["ada"]])
def test_b26_uuid_refused(uuid: Any) -> None:
    assert refusal(body(permissions={"uuid": uuid}))[0] == "Invalid uuid"


def test_b26_uuid_may_be_missing() -> None:
    assert read(body()).uuid is None
    assert read(body(permissions={"uuid": None})).uuid is None
    assert read(body(permissions={"uuid": "ada"})).uuid == "ada"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"ttl": NaN}',
        b"\xff",
        b'{"ttl": 1, "ttl": 2}',
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b" " * (GRANT_BYTES + 1),
        b'{"ttl": 60, "permissions": {"resources": {"channels": {"a": 1, "a": 2}}}}',
        b'{"ttl": 60, "permissions": {"resources": {"channels": {"a": 1' + b"0" * 5000 + b"}}}}",
        b'{"ttl": 60, "permissions": {"resources": {"channels": {"\\ud800": 1}}}}',
        b'{"ttl": 60, "permissions": {"resources": {"things": {"a": 1}}}}',
        b'{"ttl": 60, "permissions": {"resources": {"channels": {"a": 1}}}, "admin": true}',
        b'{"ttl": 60, "permissions": {"resources": {"channels": {"a": 1}}, "roles": []}}',
        b'{"ttl": 60, "permissions": {"resources": [], "patterns": {}}}',
        b'{"ttl": 60, "permissions": []}',
    ],
)
def test_b26_broken_bodies(raw: bytes) -> None:
    message, detail, _ = refusal(raw)
    assert message.startswith("Invalid ")
    assert detail


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_grant_or_invalid(raw: bytes) -> None:
    with pytest.raises(Invalid):
        read_grant(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["ttl", "permissions", "resources", "patterns", "channels", "meta", "x"]),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_any_json_is_a_grant_or_invalid(value: Any) -> None:
    try:
        grant = read(value)
    except Invalid:
        return
    assert grant.resources or grant.patterns
