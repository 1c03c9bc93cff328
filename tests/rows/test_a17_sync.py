"""Rows A17, A19 to A23: sessions on partitions, who a file is, where it goes on, what it sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.rows.house import House, Visit, closed, visiting
from tests.rows.peer import Peer, posted, posts, seated
from tests.rows.rightful import Person, people

FRAME_BYTES = 65_536
"""The largest message, as the hello says."""
RESET = {"shouldClientReset": True, "tryAgain": True, "action": "ClientReset"}


async def one_room(there: Visit) -> tuple[Person, Person, str, str]:
    """Two people, their room, and its path."""
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    return ann, bob, room, f"room:{room}"


async def test_a17_two_paths_on_one_socket(there: Visit) -> None:
    ann, bob, room, path = await one_room(there)
    async with seated(ann) as (peer,):
        await peer.bind(path, 1)
        await peer.bind("account", 2)
        await peer.upload(posted(1, "in the room"), session=1)
        block = {"version": 1, "clock": 1, "op": {"type": "block", "account": bob.id}}
        await peer.upload(block, session=2)
        told: set[int] = set()
        while told != {1, 2}:
            told.add((await peer.next("download"))["session"])
    assert await bob.texts(room) == ["in the room"]
    assert (await ann.must("GET", "/blocks"))["items"] == [{"account": bob.id}]


async def test_a17_what_a_bind_is_refused_with(there: Visit) -> None:
    ann, _, room, path = await one_room(there)
    hers = await (await people(there, 1))[0].room()
    signer = await there.signer()
    deaf = await signer.granted({"resources": {"channels": {room: 2}}})
    nowhere = "0192aaaa-0000-7000-8000-00000000aaaa"
    async with seated(ann) as (peer,):
        await peer.begin(path, 1)
        await peer.send("bind", session=1, path="account")
        await peer.error(107)
        wanted: list[tuple[dict[str, Any], int, int]] = [
            ({"path": "nowhere"}, 204, 0), ({"path": "room:../secrets"}, 204, 0),
            ({"path": f"room:{nowhere}"}, 205, 404),
            # What is somebody else's looks as if it were not there.
            ({"path": f"room:{hers}"}, 205, 404),
            ({"path": path, "token": deaf, "uuid": "device"}, 206, 403),
            ({"path": path, "token": "am_rubbish"}, 203, 403),
        ]  # fmt: skip
        for number, (wish, code, status) in enumerate(wanted, 2):
            await peer.send("bind", session=number, **wish)
            assert (await peer.error(code, number))["status"] == status, wish
        # None of them ended the socket, or what was bound before.
        assert (await peer.identify(1))["bootstrap"] == "last"


async def test_a17_a_socket_has_two_hundred_sessions_at_most(wide: House) -> None:
    async with visiting(wide) as there:
        (ann,) = await people(there, 1)
        async with seated(ann) as (peer,):
            for number in range(1, 201):
                await peer.send("bind", session=number, path="account")
            await peer.alive()
            await peer.send("bind", session=201, path="account")
            await peer.error(224, 201)
            await peer.send("unbind", session=7)
            await peer.next("unbound")
            await peer.begin("account", 201)


async def test_a19_ten_thousand_binds_give_as_many_idents(wide: House) -> None:
    """On a server that takes so many messages of one socket."""
    async with visiting(wide) as there:
        (ann,) = await people(there, 1)
        found: set[str] = set()
        salts: set[str] = set()
        async with seated(ann) as (peer,):
            for _ in range(50):
                for number in range(1, 201):
                    wish = {"session": number, "path": "account", "need_client_file_ident": True}
                    await peer.raw("bind", **wish)
                    await peer.raw("unbind", session=number)
                left = 400
                while left:
                    frame = await peer.socket.receive_json(timeout=60)
                    if frame["type"] == "ping":
                        await peer.send("pong", id=frame["id"])
                        continue
                    left -= 1
                    if frame["type"] == "ident":
                        found.add(frame["client_file_ident"])
                        salts.add(frame["client_file_ident_salt"])
        assert len(found) == len(salts) == 10_000
        assert all(0 < int(ident) < 2**63 for ident in found)
        assert min(len(salt) for salt in salts) >= 40


async def test_a20_an_ident_outlives_the_connection_and_the_server(later: House) -> None:
    async with visiting(later) as there:
        ann, _, _, path = await one_room(there)
        async with seated(ann) as (peer,):
            await peer.bind(path)
            await peer.upload(*posts(1, 3))
            before = await peer.acknowledged(3)
        file, at = peer.idents[1], peer.cursors[1]
    later.stop()
    later.start()
    async with visiting(later) as there:
        ann = Person(there, ann.token, ann.login, ann.id)
        async with seated(ann) as (peer,):
            again = await peer.resume(path, file, **at, upload_client_version=3)
            assert "bootstrap" not in again and again["upload_client_version"] == 3
            await peer.upload(posted(4))
            assert (await peer.acknowledged(4))["to"] == before["to"] + 1


async def test_a20_an_ident_holds_for_one_file_of_one_person(there: Visit) -> None:
    ann, bob, _, path = await one_room(there)
    other = f"room:{await ann.room(bob)}"
    async with seated(ann, ann, bob) as (first, again, bobs):
        await first.bind(path)
        ident, salt = first.idents[1]
        wrong = salt[:5] + ("A" if salt[5] != "A" else "B") + salt[6:]
        told = []
        for where, file in ((path, (ident, wrong)), (other, (ident, salt)), (path, ("7", salt))):
            told.append(await again.resume(where, file))
        assert [frame["code"] for frame in told] == [208, 208, 208]
        assert all(frame["body"]["shouldClientReset"] for frame in told)
        assert (await bobs.resume(path, (ident, salt)))["code"] == 223
        await bobs.alive()


async def test_a21_only_the_delta_is_sent(there: Visit) -> None:
    ann, bob, _, path = await one_room(there)
    async with seated(ann, bob) as (writer, reader):
        await writer.bind(path)
        await reader.bind(path)
        await writer.upload(*posts(1, 100))
        await writer.acknowledged(100)
        seen = await reader.next("download")
        while seen["changes"][-1]["version"] < 100:
            seen = await reader.next("download")
        file, at = reader.idents[1], reader.cursors[1]
        await reader.socket.close()
        await writer.upload(*posts(101, 103))
        await writer.acknowledged(103)
    async with seated(bob) as (again,):
        got = await again.resume(path, file, **at)
        assert "bootstrap" not in got and got["from"] == seen["to"]
        assert [change["version"] for change in got["changes"]] == [101, 102, 103]


async def test_a21_a_file_that_claims_another_history_begins_anew(there: Visit) -> None:
    ann, _, _, path = await one_room(there)
    async with seated(ann, ann) as (peer, again):
        await peer.bind(path)
        await peer.upload(*posts(1, 3))
        head = (await peer.acknowledged(3))["to"]
        lies: list[tuple[dict[str, Any], int]] = [
            ({"download_server_version": head + 9}, 209),
            ({"download_server_version": head, "chain": "A" * 43}, 211),
            ({"download_server_version": head, "upload_client_version": 7}, 210),
        ]
        await peer.socket.close()
        for claim, code in lies:
            told = await again.resume(path, peer.idents[1], **claim)
            assert told["code"] == code, claim
            assert RESET.items() <= told["body"].items()
        fresh = await again.resume(path, peer.idents[1])
        assert (fresh["bootstrap"], fresh["to"], fresh["upload_client_version"]) == (
            "last", head, 3
        )  # fmt: skip


@pytest.mark.parametrize("version", [-1, 2**63, "1", 1.5])
async def test_a21_a_cursor_that_is_none_is_error_103(there: Visit, version: Any) -> None:
    (ann,) = await people(there, 1)
    async with seated(ann) as (peer,):
        await peer.begin("account")
        ident, salt = peer.idents[1]
        await peer.raw(
            "ident", session=1, client_file_ident=ident, client_file_ident_salt=salt,
            download_server_version=version,
        )  # fmt: skip
        frame = await peer.next("error")
        assert (frame["code"], frame["name"]) == (103, "bad_syntax")


async def test_a22_what_was_done_offline_is_applied_once(there: Visit) -> None:
    """Fifty edits wait for the connection; while they go up, others' come down."""
    ann, bob, room, path = await one_room(there)
    async with seated(ann) as (phone,):
        await phone.bind(path)
        first = posted(1, "draft 0")
        await phone.upload(first)
        await phone.acknowledged(1)
        file, at = phone.idents[1], phone.cursors[1]
    edits = [
        {"version": n, "clock": first["clock"] + n, "op": {
            "type": "edit", "id": first["op"]["id"],
            "body": {"format": "m.plain.v1", "text": f"draft {n}"},
        }} for n in range(2, 52)
    ]  # fmt: skip
    for n in range(20):
        await bob.post(room, f"meanwhile {n}")
    async with seated(ann) as (phone,):
        ident, salt = file
        await phone.send("bind", session=1, path=path)
        await phone.send(
            "ident", session=1, client_file_ident=ident, client_file_ident_salt=salt, **at
        )
        # Not waiting for what comes down, and every other time twice.
        for start in range(0, 50, 10):
            for _ in range(1 + start % 20 // 10):
                await phone.upload(*edits[start : start + 10])
        down: list[Any] = []
        while not down or down[-1]["upload_client_version"] < 51:
            down.append(await phone.next("download"))
        ops = [change for frame in down for change in frame.get("changes", ())]
        others = [c["op"]["body"]["text"] for c in ops if "op" in c and c["op"]["type"] == "post"]
        assert others == [f"meanwhile {n}" for n in range(20)]
        assert [c["version"] for c in ops if "op" not in c] == list(range(2, 52))
    said = await bob.must("GET", f"/rooms/{room}/messages/{first['op']['id']}")
    assert said["body"]["text"] == "draft 51"
    made = [e for e in await bob.log(room) if e["op"]["type"] == "edit"]
    assert len(made) == 50


async def test_a22_upload_before_ident_and_a_second_ident_are_error_109(there: Visit) -> None:
    ann, bob, room, path = await one_room(there)
    async with seated(ann) as (peer,):
        await peer.begin(path, 1)
        await peer.upload(posted(1), session=1)
        await peer.error(109, 1)
        await peer.bind(path, 2)
        assert (await peer.identify(2))["code"] == 109
        await peer.alive()
    assert await bob.texts(room) == []


async def test_a23_an_upload_is_applied_once_and_never_comes_back_to_its_author(
    there: Visit,
) -> None:
    ann, bob, room, path = await one_room(there)
    async with seated(ann, bob) as (writer, reader):
        await writer.bind(path)
        await reader.bind(path)
        changes = posts(1, 2)
        for _ in range(3):
            await writer.upload(*changes)
        assert await reader.texts(2) == ["m1", "m2"]
        await reader.alive()
        own = [c for frame in await writer.drained() for c in frame.get("changes", ())]
        # Its places alone, so that the device knows where its own stands.
        assert [(c["version"], "op" in c) for c in own] == [(1, False), (2, False)]
    assert await bob.texts(room) == ["m1", "m2"]


async def refused(peer: Peer, path: str, number: int, changes: list[Any]) -> int:
    """The error that an upload gets on a session of its own."""
    await peer.bind(path, number)
    await peer.raw("upload", session=number, changes=changes)
    while (frame := await peer.next())["type"] != "error":
        assert frame["type"] == "download"
    assert frame["session"] in (number, 0), frame
    return int(frame["code"])


async def test_a23_what_is_no_change_is_refused_and_leaves_nothing(there: Visit) -> None:
    ann, bob, room, path = await one_room(there)
    good = posted(1)
    bad: list[tuple[list[Any], int]] = [
        ([good, posted(3)], 210),
        ([posted(2)], 210),
        ([good, {}], 212),
        ([good, {"version": 2, "clock": 1, "op": {"type": "post"}}], 212),
        ([good, {"version": 2, "clock": 1, "op": {"type": "void", "code": "x"}}], 212),
        ([good, {**posted(2), "account": bob.id}], 212),
        ([good, {"version": 2, "clock": -1, "op": {"type": "mode"}}], 212),
        ([good, 7], 212),
    ]
    async with seated(ann) as (peer,):
        for number, (changes, code) in enumerate(bad, 1):
            assert await refused(peer, path, number, changes) == code, changes
        await peer.alive()
    assert await bob.texts(room) == []


async def test_a23_too_large_a_frame_ends_the_socket(there: Visit) -> None:
    ann, bob, room, path = await one_room(there)
    async with seated(ann) as (peer,):
        await peer.bind(path)
        large = [posted(n, "x" * 15_000) for n in range(1, 6)]
        await peer.raw("upload", session=1, changes=large)
        # Who is still sending when it ends may miss the frame that says why.
        assert await closed(peer.socket) in (1009, 1006)
    assert await bob.texts(room) == []


async def test_a23_an_oversized_frame_is_closed_with_1009(there: Visit) -> None:
    """Of each only what says how long it is: nothing is on its way that could hide the answer."""
    ann, bob, room, path = await one_room(there)
    text, more, last = 0x01, 0x00, 0x80
    for parts in (
        [(text | last, FRAME_BYTES + 1, 0)],
        [(text | last, 2**62, 0)],
        [(text, 40_000, 40_000), (more | last, 40_000, 0)],
    ):
        async with seated(ann) as (peer,):
            await peer.bind(path)
            for first, length, sent in parts:
                peer.socket._writer.transport.write(announced(first, length) + b" " * sent)
            assert await closed(peer.socket) == 1009, parts
    async with seated(ann) as (peer,):
        await peer.bind(path)
        largest = json.dumps({"type": "ping", "id": 7}).ljust(FRAME_BYTES - 1)
        await peer.socket.send_str(largest)
        assert (await peer.next("pong"))["id"] == 7
        await peer.alive()
    assert await bob.texts(room) == []


def announced(first: int, length: int) -> bytes:
    """The head of a client's frame with a mask of zeros (RFC 6455 section 5.2)."""
    return bytes((first, 0x80 | 127)) + length.to_bytes(8, "big") + bytes(4)


async def test_a23_what_one_may_not_keeps_its_place_without_an_effect(there: Visit) -> None:
    ann, bob, room, path = await one_room(there)
    async with seated(bob) as (peer,):
        await peer.bind(path)
        encrypt = {"version": 2, "clock": 1, "op": {"type": "mode", "mode": "e2ee"}}
        await peer.upload(posted(1, "a"), encrypt, posted(3, "b"))
        frames = [await peer.next()]
        while {frame["type"] for frame in frames} != {"error", "download"}:
            frames.append(await peer.next())
        (notice,) = [frame for frame in frames if frame["type"] == "error"]
        assert notice["code"] == 231
        (rejected,) = notice["body"]["rejectedUpdates"]
        assert (rejected["client_version"], rejected["code"]) == (2, "not_permitted")
    assert await ann.texts(room) == ["a", "b"]
    assert (await ann.must("GET", f"/rooms/{room}"))["mode"] == "searchable"
