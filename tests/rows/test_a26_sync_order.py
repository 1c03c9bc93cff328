"""Rows A24, A26 to A28: one order for all, whoever reads slowly, leaves, floods or was away."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import zlib
from collections.abc import AsyncIterator
from typing import Any

from sotto_client import Backoff, Client, Local
from tests.rows.house import House, Visit, closed, visiting
from tests.rows.peer import Peer, posted, posts, seated
from tests.rows.rightful import Person, people, until
from tests.seeds import run_seed
from tests.sync.relay import Relay

BODY = {
    "isRecoveryModeEnabled", "message", "logURL", "tryAgain", "shouldClientReset", "action",
}  # fmt: skip


async def one_room(there: Visit) -> tuple[Person, Person, str, str]:
    ann, bob = await people(there, 2)
    room = await ann.room(bob)
    return ann, bob, room, f"room:{room}"


@contextlib.asynccontextmanager
async def device(who: Person, relay: Relay) -> AsyncIterator[Client]:
    """Impatient, over a line of its own."""

    async def token() -> str:
        return who.token

    made = Client(
        f"https://localhost:{relay.port}", Local(":memory:"), token, http=who.there.client,
        backoff=Backoff(lambda: 0.5, first=0.05),
    )  # fmt: skip
    async with made:
        yield made


def act(client: Client, room: str, dice: random.Random, number: int) -> None:
    """One edit of what everybody edits: posts, texts, reactions, pins, the room's topic."""
    here = client.room(room)
    known = [one.id for one in here.messages()]
    if number < 3 or dice.random() < 0.3 or not known:
        here.post(f"{client.account} {number}")
        return
    target = dice.choice(known)
    choice = dice.randrange(5)
    if choice == 0:
        here.edit(target, f"edited {number} by {client.account}")
    elif choice == 1:
        here.delete(target)
    elif choice == 2:
        here.react(target, dice.choice("ab"), on=dice.random() < 0.7)
    elif choice == 3:
        client.make(here.path, {"type": "pin", "id": target, "on": dice.random() < 0.7})
    else:
        client.make(here.path, {"type": "set", "topic": f"{number} {client.account}"})


def shown(client: Client, room: str) -> tuple[Any, ...]:
    view = client.room(room).view()
    return view.messages, view.state.topic, sorted(view.state.pinned())


async def test_a24_three_devices_apart_come_to_one_end(wide: House) -> None:
    """Last writer for scalars, delete wins, lists in the order of seq: on all and over REST."""
    dice = random.Random(run_seed())
    async with visiting(wide) as there, contextlib.AsyncExitStack() as stack:
        ann, bob, room, _ = await one_room(there)
        relays = [Relay(wide.facts["https"]) for _ in range(3)]
        for relay in relays:
            await relay.start()
            stack.push_async_callback(relay.stop)
        clients = [
            await stack.enter_async_context(device(who, relay))
            for who, relay in zip((ann, ann, bob), relays, strict=True)
        ]
        for client in clients:
            await client.room(room).synced()
        for number in range(90):
            act(dice.choice(clients), room, dice, number)
            if number % 15 == 7:
                for relay in relays:
                    relay.closed = dice.random() < 0.5
                    relay.cut()
            if number % 5 == 0:
                await there.ask("GET", "/session")  # the loop gets a turn
        for relay in relays:
            relay.closed = False
        for client in (*clients, *clients):
            await client.room(room).synced()
        first, *others = [shown(client, room) for client in clients]
        assert all(other == first for other in others)
        stands = await bob.must("GET", f"/rooms/{room}")
        assert (stands["topic"], sorted(stands["pins"])) == first[1:]
        listed = await bob.must("GET", f"/rooms/{room}/messages", params={"limit": "100"})
        server = {m["id"]: m.get("body", {}).get("text") for m in listed["items"]}
        ours = {m.id: getattr(m.body, "text", None) for m in first[0]}
        assert ours == server
        assert [m.id for m in first[0]] == [m["id"] for m in reversed(listed["items"])]
        log = await bob.log(room)
        assert [entry["seq"] for entry in log] == list(range(1, len(log) + 1))
        # Every change of every device once, whatever was cut in between.
        stamps = [(entry["ident"], entry["version"]) for entry in log]
        assert len(set(stamps)) == len(stamps)
        assert sum(entry["op"]["type"] != "member" for entry in log) == 91


async def test_a26_batches_come_in_order_packed_and_say_what_is_left(there: Visit) -> None:
    ann, bob, _, path = await one_room(there)
    async with seated(ann, bob) as (writer, reader):
        await writer.bind(path)
        for first in range(1, 1201, 100):
            await writer.upload(*posts(first, first + 99))
            await writer.acknowledged(first + 99)
        frames = [await reader.bind(path, compress=True)]
        while frames[-1].get("bootstrap") == "more":
            frames.append(await reader.next("download"))
        changes = []
        for frame in frames:
            packed = zlib.decompress(base64.b64decode(frame["packed"]))
            assert len(packed) > 2 * len(frame["packed"])
            changes += json.loads(packed)
        seqs = [change["seq"] for change in changes]
        assert seqs == list(range(1, len(seqs) + 1)) and len(seqs) > 1200
        left = [frame["downloadable_bytes"] for frame in frames]
        assert len(frames) >= 3 and left == sorted(left, reverse=True) and left[-1] == 0
        assert [frame["from"] for frame in frames[1:]] == [frame["to"] for frame in frames[:-1]]


async def test_a26_a_slow_reader_misses_nothing_and_nothing_comes_twice(there: Visit) -> None:
    """Half a megabyte comes while it reads nothing: twice of what is sent ahead of a reader."""
    ann, bob, _, path = await one_room(there)
    async with seated(ann, bob) as (writer, slow):
        await writer.bind(path)
        at = (await slow.bind(path))["to"]
        for first in range(1, 121, 10):
            changes = [posted(n, f"{n} " + "x" * 5000) for n in range(first, first + 10)]
            await writer.upload(*changes)
            await writer.acknowledged(first + 9)
        seqs: list[int] = []
        while len(seqs) < 120:
            frame = await slow.next("download")
            assert frame["from"] == at
            at = frame["to"]
            seqs += [change["seq"] for change in frame["changes"]]
        assert seqs == list(range(seqs[0], seqs[0] + 120)) and seqs[-1] == at


async def test_a27_nothing_comes_after_unbound_and_the_number_is_free(there: Visit) -> None:
    ann, bob, room, path = await one_room(there)
    async with seated(ann, bob) as (writer, reader):
        await writer.bind(path)
        await reader.bind(path)
        # Until then uploads are taken, also when nobody waits for what becomes of them.
        await reader.upload(posted(1, "last words"))
        await reader.send("unbind", session=1)
        while (frame := await reader.next())["type"] != "unbound":
            assert frame["type"] == "download"
        await writer.upload(posted(1))
        await writer.acknowledged(1)
        await ann.post(room, "over REST")
        await reader.alive()
        assert (await reader.bind(path, 1))["bootstrap"] == "last"

        async def integrated() -> bool:
            return "last words" in await ann.texts(room)

        await until(integrated)
        for number in (1, 1, 77):
            await reader.send("unbind", session=number)
        assert (await reader.next("unbound"))["session"] == 1
        await reader.error(106, 1)
        await reader.error(106, 77)
        await reader.upload(posted(2), session=77)
        await reader.error(106, 77)
        await reader.alive()


async def test_a28_a_mark_is_answered_when_everything_was_sent(there: Visit) -> None:
    ann, bob, _, path = await one_room(there)
    async with seated(ann, bob) as (writer, reader):
        await writer.bind(path)
        for first in range(1, 701, 100):
            await writer.upload(*posts(first, first + 99))
        head = (await writer.acknowledged(700))["to"]
        await reader.begin(path)
        ident, salt = reader.idents[1]
        await reader.send("ident", session=1, client_file_ident=ident, client_file_ident_salt=salt)
        await reader.send("mark", session=1, request=77)
        at = 0
        while (frame := await reader.next())["type"] == "download":
            at = frame["to"]
        assert (frame["type"], frame["request"]) == ("mark", 77)
        assert at == head


async def error_of(peer: Peer) -> dict[str, Any]:
    frame = await peer.next("error")
    assert set(frame["body"]) == BODY
    return frame


async def test_a28_unknown_messages_are_102_and_a_flood_is_104(there: Visit) -> None:
    (ann,) = await people(there, 1)
    async with seated(ann, ann) as (peer, other):
        await peer.raw("teleport")
        frame = await error_of(peer)
        assert (frame["code"], frame["session"]) == (102, 0)
        await peer.alive()
        await peer.raw("bind", session="one", path="account")
        assert (await error_of(peer))["code"] == 103
        with contextlib.suppress(ConnectionError):
            for number in range(3000):
                await other.send("ping", id=number)
        while (frame := await other.next())["type"] == "pong":
            continue
        assert frame["code"] == 104
        assert await closed(other.socket) == 1008
