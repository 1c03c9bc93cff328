"""Section 1.D: the acceptance matrix of the Access Manager, case by case and cell by cell."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.rows.house import Visit, closed
from tests.rows.pam import bind, is_error
from tests.signaling.access import oracle
from tests.signaling.access.cells import every_cell
from tests.signaling.access.words import ROOM, SERVICE, members, refusal, said
from tests.slack import within


async def test_s1d_every_cell_both_ways(there: Visit) -> None:
    """By name and by pattern with what is needed alone; refused with everything but that."""
    assert await every_cell(await there.signer()) >= 3 * len(oracle.MATRIX)


async def test_s1d_all_users_and_all_channels_are_off_by_default(there: Visit) -> None:
    client = await there.signer()
    for operation, kind in oracle.EVERYTHING.items():
        every = await client.granted({"patterns": {kind: {".*": 32}}})
        assert (await client.check(every, operation)).status == 403


async def test_s1d_unsubscribe_and_time_need_nothing_and_where_now_is_for_oneself(
    there: Visit,
) -> None:
    client = await there.signer()
    for operation in oracle.NOTHING:
        assert (await client.check(None, operation)).status == 200
    token = await client.granted({**ROOM, "uuid": "ada"})
    assert (await client.check(token, "where_now", uuids=["ada"], uuid="ada")).status == 200
    assert (await client.check(token, "where_now", uuids=["bob"], uuid="ada")).status == 403


REFUSED: dict[str, Any] = {
    "nothing granted": {},
    "empty sides": {"resources": {}, "patterns": {}},
    "write on a uuid": {"resources": {"uuids": {"ada": 2}}},
    "join on a group": {"resources": {"groups": {"team": 128}}},
    "a bit that is none": {"resources": {"channels": {"room": 16}}},
    "an invalid expression": {"patterns": {"channels": {"(": 1}}},
    "a repetition that re2 refuses": {"patterns": {"channels": {"a{1001}": 1}}},
    "above 4 KiB": {"patterns": {"channels": {"a" * 4097: 1}}},
    "a list in meta": {**ROOM, "meta": {"k": [1]}},
    "an object in meta": {**ROOM, "meta": {"k": {"x": 1}}},
}


@pytest.mark.parametrize("case", REFUSED)
async def test_s1d_grants_that_are_400(there: Visit, case: str) -> None:
    client = await there.signer()
    answer = await client.signed("POST", "/grant", {"ttl": 5, "permissions": REFUSED[case]})
    assert answer.status == 400
    assert members(answer)["error"]["source"] == "grant"


async def test_s1d_ttl_has_bounds(there: Visit) -> None:
    client = await there.signer()
    for ttl in (None, 0, 43201, "text"):
        body = {"permissions": ROOM} if ttl is None else {"ttl": ttl, "permissions": ROOM}
        answer = await client.signed("POST", "/grant", body)
        assert answer.status == 400
        details = "Range should be 1 to 43200 minute(s)."
        assert members(answer) == refusal("ttl", "grant", "ttl", "body", details, 400)
    for ttl in (1, 43200):
        assert (
            await client.signed("POST", "/grant", {"ttl": ttl, "permissions": ROOM})
        ).status == 200


async def test_s1d_an_exponential_pattern_answers_at_once(there: Visit) -> None:
    client = await there.signer()
    token = await client.granted({"patterns": {"channels": {"^(a+)+$": 2}}})
    assert (await client.check(token, "publish", channels=["a" * 200])).status == 200
    took = []
    for _ in range(5):
        began = time.monotonic()
        assert (await client.check(token, "publish", channels=["a" * 200 + "!"])).status == 403
        took.append(time.monotonic() - began)
    within(1, took)


async def test_s1d_patterns_match_whole_names_and_unite_with_resources(there: Visit) -> None:
    client = await there.signer()
    token = await client.granted({"patterns": {"channels": {"room-": 1}}})
    assert (await client.check(token, "subscribe", channels=["x-room-1"])).status == 403
    assert (await client.check(token, "subscribe", channels=["room-1"])).status == 403
    assert (await client.check(token, "subscribe", channels=["room-"])).status == 200
    both = {"resources": {"channels": {"room-1": 1}}, "patterns": {"channels": {"room-.*": 2}}}
    token = await client.granted(both)
    for operation, name, status in (
        ("subscribe", "room-1", 200), ("publish", "room-1", 200),
        ("publish", "room-2", 200), ("subscribe", "room-2", 403),
    ):  # fmt: skip
        assert (await client.check(token, operation, channels=[name])).status == status


async def test_s1d_without_the_secret_nobody_grants(there: Visit) -> None:
    client = await there.signer()
    path = f"/v3/pam/{client.keyset.subscribe_key}/grant"
    assert (await client.send("POST", path, data=b"{}")).status == 403
    body = {"ttl": 5, "permissions": ROOM}
    assert (await client.signed("POST", "/grant", body, secret="sec_wrong")).status == 403


async def test_s1d_a_token_bound_to_a_uuid_is_for_it_alone(there: Visit) -> None:
    client = await there.signer()
    token = await client.granted({**ROOM, "uuid": "ada"})
    for uuid in (None, "bob"):
        answer = await client.check(token, "publish", channels=["room"], uuid=uuid)
        assert (answer.status, members(answer)) == (403, said("Forbidden", channels=["room"]))
    assert (await client.check(token, "publish", channels=["room"], uuid="ada")).status == 200


async def test_s1d_a_refusal_names_every_refused_name_and_no_other(there: Visit) -> None:
    client = await there.signer()
    token = await client.granted({"resources": {"channels": {"a": 1}, "groups": {"g": 1}}})
    answer = await client.check(
        token, "subscribe", channels=["a", "not-permitted-channel", "b"], groups=["g", "h"]
    )
    wanted = said("Forbidden", channels=["not-permitted-channel", "b"], channel_groups=["h"])
    assert (answer.status, members(answer)) == (403, wanted)
    answer = await client.check(token, "get_user", uuids=["ada"])
    assert members(answer) == said("Forbidden", uuids=["ada"])
    async with there.socket(await client.granted({"resources": {"channels": {"a": 1}}})) as socket:
        frame = await bind(socket, 1, token, channels=["a", "b"], groups=["g", "h"])
        assert is_error(frame, 206, 1, "Forbidden: b, h")


async def test_s1d_b26_what_is_revoked_ends_within_a_second(there: Visit) -> None:
    """On a sync socket that is open, and for the next request."""
    client = await there.signer()
    other = await client.granted(ROOM)
    took, refused = [], []
    for _ in range(20):
        token = await client.granted(ROOM)
        async with there.socket(other) as socket:
            assert (await bind(socket, 1, token, channels=["room"]))["type"] == "bound"
            assert (await client.check(token, "publish", channels=["room"])).status == 200
            began = time.monotonic()
            done = asyncio.create_task(client.signed("DELETE", f"/grant/{token}"))
            frame = await socket.receive_json(timeout=30)
            assert is_error(frame, 228, 1, "Token is revoked")
            took.append(time.monotonic() - began)
            assert await closed(socket) == 4403
            assert (await done).status == 200
            answer = await client.check(token, "publish", channels=["room"])
            assert (answer.status, members(answer)) == (403, said("Token is revoked"))
            refused.append(time.monotonic() - began)
    within(1, took)
    within(1, refused)
    again = await client.signed("DELETE", f"/grant/{token}")
    assert (again.status, again.body) == (
        200, {"data": {"message": "Success"}, "service": SERVICE, "status": 200},
    )  # fmt: skip
    for name in ("room", "nowhere"):
        answer = await client.check(token, "publish", channels=[name])
        assert (answer.status, members(answer)) == (403, said("Token is revoked"))


async def test_s1d_what_does_not_exist_is_refused_alike(there: Visit) -> None:
    client = await there.signer()
    keeper = await client.granted({"resources": {"groups": {"team": 5}}})
    made = await there.send(
        "POST", "/api/v1/access/groups/team", json={"add": ["secret"]},
        headers={"Authorization": f"Bearer {keeper}"},
    )  # fmt: skip
    assert made.status == 200, made.text
    token = await client.granted(ROOM)
    for operation, kind, names in (
        ("history", "channels", ("secret", "nothing")),
        ("subscribe_group", "groups", ("team", "none")),
    ):
        found = []
        for name in names:
            answer = await client.check(token, operation, **{kind: [name]})
            text = answer.text.replace(answer.body["request_id"], "")
            found.append((answer.status, text.replace(name, "?")))
        assert found[0] == found[1]
