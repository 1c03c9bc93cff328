"""Rows A17 to A28: sessions on partitions, over a real socket, without chat's rights.

Long because the rows are one protocol, and what a test sends is read best beside the others.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from signaling.ids import SeededEntropy
from signaling.sync import hub
from signaling.sync.binding import Paths
from signaling.sync.hub import Hub
from signaling.sync.idents import Idents
from tests.signaling.sessions.house import ALICE, APP, BOB
from tests.signaling.sync.conftest import Doorstep
from tests.signaling.sync.documented import checked
from tests.signaling.sync.partitions import PlainRooms, actor_of, topic

ROOM = "0192aaaa-0000-7000-8000-00000000aaaa"
PATH = f"room:{ROOM}"


def blind(app: str, text: str) -> str:
    return hashlib.sha256(f"{app}:{text}".encode()).hexdigest()[:43]


def post(version: int, text: str = "hello", clock: int = 5) -> dict[str, Any]:
    name = str(uuid.UUID(int=(version << 80) | (7 << 76) | (2 << 62) | hash(text) & 0xFFFF))
    body = {"format": "m.plain.v1", "text": text}
    return {
        "version": version,
        "clock": clock,
        "op": {"type": "post", "id": name, "body": body},
    }


@dataclass
class Peer:
    """One socket with at most a few sessions."""

    socket: Any
    idents: dict[int, tuple[str, str]] = field(default_factory=dict)

    async def send(self, type: str, **fields: Any) -> None:  # noqa: A002 - the wire's word
        await self.socket.send_json(checked({"type": type, **fields}, sender="client"))

    async def raw(self, **fields: Any) -> None:
        await self.socket.send_json(fields)

    async def next(self, kind: str = "") -> dict[str, Any]:
        frame = checked(await self.socket.receive_json(timeout=30), sender="server")
        assert not kind or frame["type"] == kind, frame
        return frame

    async def error(self, code: int) -> dict[str, Any]:
        frame = await self.next("error")
        assert frame["code"] == code, frame
        return frame

    async def bind(self, number: int = 1, path: str = PATH, **cursors: Any) -> dict[str, Any]:
        """Bound and identified; the first download."""
        await self.send("bind", session=number, path=path, need_client_file_ident=True)
        given = await self.next("ident")
        self.idents[number] = (given["client_file_ident"], given["client_file_ident_salt"])
        return await self.identify(number, **cursors)

    async def identify(self, number: int = 1, **cursors: Any) -> dict[str, Any]:
        ident, salt = self.idents[number]
        await self.send(
            "ident", session=number, client_file_ident=ident, client_file_ident_salt=salt, **cursors
        )
        return await self.next()

    async def resume(self, other: Peer, number: int = 1, **cursors: Any) -> dict[str, Any]:
        self.idents[number] = other.idents[number]
        await self.send("bind", session=number, path=PATH)
        return await self.identify(number, **cursors)


@dataclass
class Site:
    step: Doorstep
    rooms: PlainRooms
    hub: Hub
    peers: list[Peer] = field(default_factory=list)

    async def peer(self, account: str = ALICE) -> Peer:
        made = Peer(await self.step.open(await self.step.house.sign_in(account)))
        self.peers.append(made)
        return made


@pytest.fixture
async def site(step: Doorstep) -> AsyncIterator[Site]:
    rooms = PlainRooms(step.house.store, step.house.bus)
    hub = Hub(
        Paths(rooms, rooms, rooms, actor_of),
        Idents(blind, SeededEntropy()),
        step.house.revocations.register,
        step.house.bus,
        step.house.clock,
    )
    hub.register(step.door.registry)
    yield Site(step, rooms, hub)
    hub.close()


async def test_a17_two_partitions_on_one_socket(site: Site) -> None:
    alice = await site.peer()
    await alice.bind(1)
    await alice.bind(2, "account")
    await alice.send("upload", session=1, changes=[post(1)])
    await alice.send(
        "upload",
        session=2,
        changes=[{"version": 1, "clock": 1, "op": {"type": "block", "account": BOB}}],
    )
    got = [await alice.next("download"), await alice.next("download")]
    assert sorted(frame["session"] for frame in got) == [1, 2]


async def test_a17_what_a_bind_is_refused_with(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = await site.peer()
    await alice.send("bind", session=1, path="account", need_client_file_ident=True)
    await alice.next("ident")
    await alice.send("bind", session=1, path="account")
    assert (await alice.error(107))["session"] == 1
    await alice.send("bind", session=2, path="nowhere")
    await alice.error(204)
    site.rooms.barred.add(ALICE)
    await alice.send("bind", session=3, path=PATH)
    assert (await alice.error(206))["status"] == 403
    site.rooms.barred.clear()
    monkeypatch.setattr(hub, "MOST_SESSIONS", 3)
    for number in range(10, 13):
        await alice.send("bind", session=number, path="account")
    await alice.error(224)


async def test_a19_ten_thousand_idents_differ_and_have_salts_of_their_own() -> None:
    idents = Idents(blind, SeededEntropy())
    made = {idents.new(APP, ROOM, ALICE) for _ in range(10_000)}
    assert len({ident for ident, _ in made}) == 10_000
    assert all(0 < int(ident) < 2**63 for ident, _ in made)


async def test_a20_an_ident_holds_for_its_partition_and_its_account_alone(site: Site) -> None:
    alice, bob = await site.peer(), await site.peer(BOB)
    await alice.bind()
    await bob.send("bind", session=1, path=PATH)
    bob.idents[1] = alice.idents[1]
    assert (await bob.identify())["code"] == 223
    again = await site.peer()
    ident, salt = alice.idents[1]
    again.idents[1] = (ident, "x" + salt[1:])
    await again.send("bind", session=1, path=PATH)
    found = await again.identify()
    assert (found["code"], found["body"]["shouldClientReset"]) == (208, True)
    await again.send("bind", session=1, path="account")
    again.idents[1] = (ident, salt)
    assert (await again.identify())["code"] == 208


async def test_a21_only_what_is_new_arrives(site: Site) -> None:
    alice, bob = await site.peer(), await site.peer(BOB)
    await alice.bind()
    await alice.send("upload", session=1, changes=[post(n) for n in range(1, 101)])
    acked = await alice.next("download")
    assert acked["upload_client_version"] == 100
    first = await bob.bind()
    assert (first["bootstrap"], first["to"], len(first["changes"])) == ("last", 100, 100)
    await bob.socket.close()
    await alice.send("upload", session=1, changes=[post(n) for n in range(101, 104)])
    await alice.next("download")
    again = await site.peer(BOB)
    got = await again.resume(bob, download_server_version=100, chain=first["chain"])
    assert "bootstrap" not in got
    assert [change["version"] for change in got["changes"]] == [101, 102, 103]


@pytest.mark.parametrize(
    ("cursors", "code"),
    [
        ({"download_server_version": 9}, 209),
        ({"download_server_version": 2, "chain": "A" * 43}, 211),
        ({"download_server_version": 3, "chain": "A" * 43}, 211),
        ({"download_server_version": 3, "upload_client_version": 7}, 210),
    ],
)
async def test_a21_a_file_from_another_history_begins_anew(
    site: Site, cursors: dict[str, Any], code: int
) -> None:
    alice = await site.peer()
    await alice.bind()
    await alice.send("upload", session=1, changes=[post(n) for n in range(1, 4)])
    await alice.next("download")
    again = await site.peer()
    found = await again.resume(alice, **cursors)
    assert found["code"] == code and found["body"]["shouldClientReset"]
    assert found["body"]["action"] == "ClientReset"


@pytest.mark.parametrize("version", [-1, 2**63, 1.5, "1", True])
async def test_a21_a_cursor_that_is_none_is_error_103(site: Site, version: Any) -> None:
    alice = await site.peer()
    await alice.bind()
    ident, salt = alice.idents[1]
    await alice.raw(
        type="ident",
        session=1,
        client_file_ident=ident,
        client_file_ident_salt=salt,
        download_server_version=version,
    )
    await alice.error(103)


async def test_a21_a_file_below_the_floor_begins_anew_and_is_given_what_is_left(site: Site) -> None:
    alice = await site.peer()
    first = await alice.bind()
    await alice.send("upload", session=1, changes=[post(n) for n in range(1, 11)])
    acked = await alice.next("download")
    await site.rooms.store.log.purge(APP, ROOM, 6)
    again = await site.peer()
    found = await again.resume(alice, download_server_version=5, chain=acked["chain"])
    assert (found["code"], found["name"]) == (222, "client_file_expired")
    await again.send("bind", session=1, path=PATH)
    got = await again.identify(upload_client_version=10)
    assert (got["from"], got["to"], got["floor"], got["bootstrap"]) == (6, 10, 6, "last")
    assert got["upload_client_version"] == 10 and "state" in got
    assert first["to"] == 0


async def test_a22_upload_before_ident_and_a_second_ident_are_error_109(site: Site) -> None:
    alice = await site.peer()
    await alice.send("bind", session=1, path=PATH, need_client_file_ident=True)
    await alice.next("ident")
    await alice.send("upload", session=1, changes=[post(1)])
    await alice.error(109)
    await alice.bind(2)
    assert (await alice.identify(2))["code"] == 109


async def test_a23_an_upload_is_applied_once_and_its_author_gets_its_place_only(site: Site) -> None:
    alice, bob = await site.peer(), await site.peer(BOB)
    await alice.bind()
    await bob.bind()
    for _ in range(3):
        await alice.send("upload", session=1, changes=[post(1), post(2)])
    own = await alice.next("download")
    assert own["upload_client_version"] == 2
    assert [(c["version"], "op" in c) for c in own["changes"]] == [(1, False), (2, False)]
    seen = await bob.next("download")
    assert [(c["version"], c["op"]["type"]) for c in seen["changes"]] == [(1, "post"), (2, "post")]
    assert seen["changes"][0]["account"] == ALICE
    assert (await site.rooms.head(APP, ROOM)).seq == 2


async def test_a23_a_version_that_skips_one_is_error_210(site: Site) -> None:
    alice = await site.peer()
    await alice.bind()
    await alice.send("upload", session=1, changes=[post(1), post(3)])
    await alice.error(210)
    assert (await site.rooms.head(APP, ROOM)).seq == 0


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"version": 1, "clock": 1, "op": {"type": "post"}},
        {"version": 1, "clock": 1, "op": {"type": "void", "code": "x"}},
        {"version": 0, "clock": 1, "op": {"type": "mode"}},
        {"version": 1, "clock": -1, "op": {"type": "mode"}},
        {"version": 1, "clock": 1, "op": {"type": "mode"}, "account": BOB},
        {"version": 1, "clock": 1, "op": {"type": "mode", "ident": "5"}},
        [],
        7,
    ],
    ids=str,
)
async def test_a23_what_is_no_change_is_error_212_and_ends_the_session(
    site: Site, change: Any
) -> None:
    alice = await site.peer()
    await alice.bind()
    await alice.raw(type="upload", session=1, changes=[post(1), change])
    await alice.error(212)
    assert (await site.rooms.head(APP, ROOM)).seq == 0
    await alice.send("ping", id=1)
    await alice.next("pong")


async def test_a23_what_one_may_not_keeps_its_place_and_comes_back_as_231(site: Site) -> None:
    site.rooms.forbidden = "mode"
    alice = await site.peer()
    await alice.bind()
    refused = {"version": 2, "clock": 9, "op": {"type": "mode", "mode": "e2ee"}}
    await alice.send("upload", session=1, changes=[post(1), refused, post(3)])
    frames = [await alice.next(), await alice.next()]
    notice = next(frame for frame in frames if frame["type"] == "error")
    download = next(frame for frame in frames if frame["type"] == "download")
    assert notice["code"] == 231
    assert notice["body"]["rejectedUpdates"] == [
        {"client_version": 2, "code": "not_permitted", "reason": "No."}
    ]
    assert [c.get("op", {}).get("type") for c in download["changes"]] == [None, "void", None]


async def test_a26_a_long_log_comes_in_batches_in_order_and_packed_when_asked(site: Site) -> None:
    alice, bob = await site.peer(), await site.peer(BOB)
    await alice.bind()
    for start in range(1, 1400, 100):
        changes = [post(n, "x" * 50) for n in range(start, start + 100)]
        await alice.send("upload", session=1, changes=changes)
        await alice.next("download")
    frames = [await bob.bind(compress=True)]
    while frames[-1].get("bootstrap") == "more":
        frames.append(await bob.next("download"))
    changes = []
    for frame in frames:
        packed = zlib.decompress(base64.b64decode(frame["packed"]))
        assert len(packed) > 3 * len(frame["packed"])
        changes += json.loads(packed)
    assert [change["seq"] for change in changes] == list(range(1, 1401))
    left = [frame["downloadable_bytes"] for frame in frames]
    assert left == sorted(left, reverse=True) and left[-1] == 0 and len(frames) == 3
    assert [frame["from"] for frame in frames[1:]] == [frame["to"] for frame in frames[:-1]]


async def test_a26_a_bootstrap_may_be_a_window(site: Site) -> None:
    alice, bob = await site.peer(), await site.peer(BOB)
    await alice.bind()
    await alice.send("upload", session=1, changes=[post(n) for n in range(1, 101)])
    await alice.next("download")
    got = await bob.bind(window=10)
    assert (got["from"], got["to"], len(got["changes"])) == (90, 100, 10)


async def test_a27_nothing_comes_after_unbound_and_the_number_is_free(site: Site) -> None:
    alice, bob = await site.peer(), await site.peer(BOB)
    await alice.bind()
    await bob.bind()
    await bob.send("unbind", session=1)
    assert await bob.next() == {"type": "unbound", "session": 1}
    await alice.send("upload", session=1, changes=[post(1)])
    await alice.next("download")
    await bob.send("ping", id=3)
    await bob.next("pong")
    assert (await bob.bind(1))["to"] == 1
    await bob.send("unbind", session=1)
    await bob.next("unbound")
    await bob.send("upload", session=1, changes=[post(1)])
    await bob.error(106)


async def test_a28_a_mark_is_answered_when_everything_was_sent(site: Site) -> None:
    alice, bob = await site.peer(), await site.peer(BOB)
    await alice.bind()
    for start in range(1, 1100, 100):
        changes = [post(n) for n in range(start, start + 100)]
        await alice.send("upload", session=1, changes=changes)
        await alice.next("download")
    await bob.send("bind", session=1, path=PATH, need_client_file_ident=True)
    given = await bob.next("ident")
    await bob.send(
        "ident",
        session=1,
        client_file_ident=given["client_file_ident"],
        client_file_ident_salt=given["client_file_ident_salt"],
    )
    await bob.send("mark", session=1, request=77)
    last = {}
    while (frame := await bob.next())["type"] == "download":
        last = frame
    assert (frame["type"], frame["request"], last["to"]) == ("mark", 77, 1100)
    await bob.send("mark", session=1, request=78)
    assert (await bob.next("mark"))["request"] == 78


async def test_who_may_no_longer_read_is_told_228(site: Site) -> None:
    alice, bob = await site.peer(), await site.peer(BOB)
    await alice.bind()
    await bob.bind()
    site.rooms.barred.add(BOB)
    await site.rooms.bus.publish(topic(APP, ROOM), b"rights")
    assert (await bob.error(228))["status"] == 403
    await alice.send("upload", session=1, changes=[post(1)])
    await alice.next("download")
    await bob.send("ping", id=3)
    await bob.next("pong")


async def test_a_file_that_is_bound_again_leaves_its_older_session(site: Site) -> None:
    alice, again = await site.peer(), await site.peer()
    await alice.bind()
    await again.resume(alice)
    found = await alice.error(200)
    assert found["body"]["tryAgain"] and found["body"]["action"] == "Transient"
    await again.send("upload", session=1, changes=[post(1)])
    assert (await again.next("download"))["upload_client_version"] == 1


async def test_no_hint_is_needed_for_an_acknowledgement(site: Site) -> None:
    alice = await site.peer()

    async def lost(topic: str, payload: bytes) -> None:
        return None

    site.rooms.bus.publish = lost  # type: ignore[method-assign]
    await alice.bind()
    await alice.send("upload", session=1, changes=[post(1)])
    assert (await alice.next("download"))["upload_client_version"] == 1


async def test_a_restored_store_ends_its_sessions_so_that_they_begin_anew(site: Site) -> None:
    alice = await site.peer()
    await alice.bind()
    await alice.send("upload", session=1, changes=[post(n) for n in range(1, 6)])
    await alice.next("download")
    rooms: Any = site.rooms.store.log
    rooms._rooms.clear()
    await site.hub.poll()
    await alice.error(209)
    await alice.send("bind", session=1, path=PATH)
    begun = await alice.identify(upload_client_version=5)
    assert (begun["bootstrap"], begun["to"], begun["upload_client_version"]) == ("last", 0, 0)
