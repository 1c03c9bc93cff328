"""Section 1.D, the rows of rooms, groups and who is there: by the operation itself, both ways."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.rows.house import Visit, closed
from tests.rows.pam import bind, is_error, told
from tests.rows.rightful import ended
from tests.rows.test_1d_messages import (
    DELETE,
    EVERY,
    MANAGE,
    NOWHERE,
    READ,
    UPDATE,
    Scene,
    refused,
    scene,
)
from tests.signaling.access.rig import Signer
from tests.signaling.access.words import members, said

# Bits of the masks, beside those of `test_1d_messages`.
JOIN = 128
ON_GROUPS, ON_UUIDS = 5, 104


async def member(on: Scene, channel: int, uuid: int, whose: str = "device") -> str:
    """Of a device that would join: what it may on the room, and on itself or another."""
    given: dict[str, Any] = {"channels": {on.room: channel}, "uuids": {whose: uuid}}
    return await on.signer.granted({"resources": given})


async def devices(on: Scene) -> bool:
    found = await on.ann.must("GET", f"/rooms/{on.room}/members")
    return "device" in [one["account"] for one in found["items"]]


async def test_s1d_joining_and_leaving_need_join_there_and_update_of_oneself(there: Visit) -> None:
    on = await scene(there)
    join, leave = f"/rooms/{on.room}/join", f"/rooms/{on.room}/members/device"
    good = await member(on, JOIN, UPDATE)
    room, oneself = {"channels": [on.room]}, {"uuids": ["device"]}
    bad = [
        (await member(on, EVERY - JOIN, ON_UUIDS), room),
        (await member(on, EVERY, ON_UUIDS - UPDATE), oneself),
        (await member(on, JOIN, UPDATE, whose="another"), oneself),
        (await on.token(JOIN), oneself),
        (await on.token(JOIN, room=NOWHERE), room | oneself),
    ]
    for method, path, done, inside in (("POST", join, 200, True), ("DELETE", leave, 204, False)):
        for token, named in bad:
            answer = await on.ask(token, method, path)
            assert (answer.status, members(answer)) == (403, said("Forbidden", **named)), path
        assert (await on.ask("", method, path)).status == 401
        assert await devices(on) is not inside
        answer = await on.ask(good, method, path)
        assert answer.status == done, answer.text
        assert await devices(on) is inside


async def test_s1d_removing_a_channel_needs_delete(there: Visit) -> None:
    on = await scene(there)
    path = f"/rooms/{on.room}"
    for token in (await on.token(EVERY - DELETE), await on.token(EVERY, room=NOWHERE)):
        assert refused(await on.ask(token, "DELETE", path), on.room)
    assert (await on.ask("", "DELETE", path)).status == 401
    assert (await on.ann.ask("GET", path)).status == 200
    answer = await on.ask(await on.token(DELETE), "DELETE", path)
    assert answer.status == 202, answer.text
    await ended(there, answer.body["id"])
    assert (await on.ann.ask("GET", path)).code == "room_not_found"


async def test_s1d_a_group_is_changed_listed_and_deleted_with_manage(there: Visit) -> None:
    signer = await there.signer()
    path = "/access/groups/crew"
    good = await signer.granted({"resources": {"groups": {"crew": MANAGE}}})
    bad = await signer.granted(
        {"resources": {"groups": {"crew": READ, "other": ON_GROUPS}, "channels": {"crew": EVERY}}}
    )
    cells: list[tuple[str, Any, list[str] | None]] = [
        ("POST", {"add": ["a", "b"]}, ["a", "b"]), ("GET", None, ["a", "b"]),
        ("POST", {"remove": ["a"]}, ["b"]), ("GET", None, ["b"]), ("DELETE", None, None),
        ("GET", None, []),
    ]  # fmt: skip
    for method, body, rooms in cells:
        for token in (bad, ""):
            answer = await there.ask(method, path, body, token)
            wanted = said("Forbidden", channel_groups=["crew"])
            assert (answer.status, members(answer)) == (403, wanted), method
        answer = await there.ask(method, path, body, good)
        if rooms is None:
            assert answer.status == 204, answer.text
        else:
            assert (answer.status, answer.body["rooms"]) == (200, rooms), answer.text


async def test_s1d_subscribing_to_a_group_needs_read_of_it_and_ending_that_nothing(
    there: Visit,
) -> None:
    signer = await there.signer()
    keeper = await signer.granted({"resources": {"groups": {"readers": MANAGE}}})
    filled = await there.ask("POST", "/access/groups/readers", {"add": ["a"]}, keeper)
    assert filled.status == 200, filled.text
    good = await signer.granted({"resources": {"groups": {"readers": READ}}})
    bad = await signer.granted({"resources": {"groups": {"readers": MANAGE}, "channels": {"a": 1}}})
    async with there.socket(good) as socket:
        assert (await bind(socket, 1, good, groups=["readers"]))["channels"] == ["a"]
        frame = await bind(socket, 2, bad, groups=["readers"])
        assert is_error(frame, 206, 2, "Forbidden: readers")
        await socket.send_json({"type": "unbind", "session": 1})
        assert await told(socket) == {"type": "unbound", "session": 1}


async def here(socket: Any, channel: str, who: list[str]) -> None:
    """As soon as it is told that these are there."""
    async with asyncio.timeout(30):
        while True:
            frame = await socket.receive_json()
            if frame["type"] == "ping":
                await socket.send_json({"type": "pong", "id": frame["id"]})
                continue
            assert frame["type"] == "here" and frame["channel"] == channel, frame
            if frame["uuids"] == who:
                return


async def device(signer: Signer, room: int, presence: int) -> str:
    """`door` is a room that it may read, so that it has a session to ask in."""
    channels = {"here": room, "here-pnpres": presence, "door": READ}
    return await signer.granted({"resources": {"channels": channels}})


async def test_s1d_who_is_here_now_is_told_who_reads_the_room(there: Visit) -> None:
    signer = await there.signer()
    good = await device(signer, READ, 0)
    bad = await device(signer, EVERY - READ, EVERY)
    async with there.socket(good) as inside, there.socket(bad) as outside:
        bound = await bind(inside, 1, good, channels=["here"], uuid="ada")
        assert bound["type"] == "bound", bound
        await inside.send_json({"type": "here_now", "session": 1, "channels": ["here"]})
        await here(inside, "here", ["ada"])
        assert (await bind(outside, 1, bad, channels=["door"], uuid="bob"))["type"] == "bound"
        await outside.send_json({"type": "here_now", "session": 1, "channels": ["here"]})
        assert is_error(await told(outside), 206, 1, "Forbidden: here")


async def test_s1d_presence_has_no_state_and_no_where_now_and_accounts_are_not_asked_for(
    there: Visit,
) -> None:
    """Whatever the token gives. What is decided about them alone is in `test_1d_matrix`."""
    token, _ = await there.joined()
    signer = await there.signer()
    own = (await there.ask("GET", "/account", token=token)).body["id"]
    every = {"resources": {"channels": {"here": EVERY}, "uuids": {own: ON_UUIDS}}, "uuid": own}
    granted = await signer.granted(every)
    ask = {"type": "presence", "id": "who", "accounts": [own]}
    async with there.socket(token) as hers, there.socket(granted) as others:
        await hers.send_json(ask)
        found = await told(hers)
        assert found["type"] == "present" and own in repr(found)
        assert (await bind(others, 1, granted, channels=["here"], uuid=own))["type"] == "bound"
        await others.send_json(ask)
        answered = await told(others)
        assert (answered["type"], answered["reply_to"]) == ("error", "who"), answered
        assert answered["status"] in (401, 403) and own not in repr(answered)
        for kind in ("where_now", "get_state", "set_state"):
            await others.send_json({"type": kind, "id": kind, "session": 1, "channels": ["here"]})
            frame = await told(others)
            assert (frame["type"], frame["name"]) == ("error", "unknown_message"), frame
    # Of an account's own presence, which has a state, over HTTP.
    for method, path, body in (
        ("GET", f"/presence/{own}", None), ("PUT", "/presence", {"state": "away"}),
    ):  # fmt: skip
        answer = await there.ask(method, f"{path}?uuid={own}", body, granted)
        assert answer.status in (401, 403), (path, answer.text)
        answer = await there.ask(method, path, body, token)
        assert answer.status in (200, 204), (path, answer.text)


async def test_s1d_presence_of_a_room_needs_read_of_its_presence_channel(there: Visit) -> None:
    signer = await there.signer()
    good = await device(signer, EVERY - READ, READ)
    bad = await device(signer, EVERY, EVERY - READ)
    async with there.socket(good) as watching, there.socket(bad) as coming:
        frame = await bind(coming, 1, bad, channels=["here-pnpres"], uuid="eve")
        assert is_error(frame, 206, 1, "Forbidden: here-pnpres")
        assert await closed(coming) == 4403  # its only session was refused
        bound = await bind(watching, 1, good, channels=["here-pnpres"])
        assert bound == {"type": "bound", "session": 1, "channels": ["here-pnpres"]}
        await here(watching, "here-pnpres", [])
        async with there.socket(bad) as again:
            assert (await bind(again, 1, bad, channels=["here"], uuid="eve"))["type"] == "bound"
            await here(watching, "here-pnpres", ["eve"])
        await here(watching, "here-pnpres", [])
