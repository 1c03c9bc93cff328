"""What leaves the server because something happened, and what programs post.

Long because each system that a route leads to is a real one, started by its test.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from tests.features.raising import PATIENCE
from tests.features.town import Annex, Person, Phone, Place, Shown, Town, until
from tests.signaling.delivery.house import Receiver
from tests.signaling.delivery.systems import objects, rabbitmq, sqs
from tests.signaling.delivery.test_routes import texts
from tests.signaling.delivery.test_webhooks import verified
from tests.signaling.files.s3_server import ACCESS, SECRET

POSTS = {"events": ["message.posted"]}
Came = Callable[[], Awaitable[list[dict[str, Any]]]]


def of(sink: Receiver, room: str) -> list[dict[str, Any]]:
    """What a receiver was told of one room."""
    return [event for event in sink.events if event["data"].get("room") == room]


async def heard(sink: Receiver, room: str, wanted: list[str]) -> None:
    async def all_of_it() -> bool:
        return texts(of(sink, room)) == wanted

    await until(all_of_it)


async def test_incoming_webhooks(town: Town, shown: Shown) -> None:
    ann, bob, owner = town.ann, town.bob, town.owner
    room = await ann.room(bob)
    wish = {"room": room, "name": "Build"}
    shown.refused(await bob.ask("POST", "/incoming-webhooks", wish), 403, "not_permitted")
    made = await owner.must("POST", "/incoming-webhooks", wish)
    path = made["url"].partition("/api/v1")[2]
    async with bob.phone(room) as phone:
        async with phone.away():
            for body in ({"text": "**green**"}, {"text": "old", "username": "x", "icon": "y"}):
                answer = await town.there.ask("POST", path, body)
                assert (answer.status, answer.text) == (200, "ok")
            shown.allowed()
        assert phone.texts(room) == ["**green**", "old"]
        assert {one.account for one in phone.messages(room)} == {made["bot"]}
        shown.offline()
    await owner.must("DELETE", f"/incoming-webhooks/{made['id']}")
    shown.refused(await town.there.ask("POST", path, {"text": "late"}), 404, "not_found")
    closed = {"room": await owner.room(mode="e2ee"), "name": "x"}
    answer = await owner.ask("POST", "/incoming-webhooks", closed)
    shown.refused(answer, 422, "plaintext_refused")


async def test_outgoing_webhooks(town: Town, shown: Shown) -> None:
    """Standard Webhooks, CloudEvents: signed, in order, again when the receiver was away."""
    ann, bob, owner = town.ann, town.bob, town.owner
    room = await ann.room(bob)
    wish = {"url": town.sink.url, "room": room, "filter": POSTS}
    shown.refused(await ann.ask("POST", "/webhooks", wish), 403, "not_permitted")
    made = await owner.must("POST", "/webhooks", wish)
    async with bob.phone(room) as phone:
        async with phone.away():
            town.sink.statuses += [503]
            await ann.post(room, "one", custom={"ticket": 7})
            phone.client.room(room).post("from the tunnel")
            await heard(town.sink, room, ["one"])
        # What the device wrote while it was away goes out when it is back.
        await heard(town.sink, room, ["one", "from the tunnel"])
        assert phone.texts(room) == ["one", "from the tunnel"]
        shown.offline()
    headers, body = next(one for one in town.sink.requests if room.encode() in one[1])
    assert verified(headers, body, made["secret"]) and not verified(headers, b"x", made["secret"])
    assert headers["content-type"].startswith("application/cloudevents+json")
    event = json.loads(body)
    assert (event["specversion"], event["type"]) == ("1.0", "sotto.message.posted")
    assert event["data"]["account"] == ann.id and event["data"]["op"]["custom"] == {"ticket": 7}
    shown.allowed()
    at = f"/webhooks/{made['id']}"
    shown.refused(await bob.ask("GET", at), 403, "not_permitted")
    await owner.must("DELETE", at)
    shown.refused(await owner.ask("GET", at), 404, "not_found")


async def test_webhook_filters(town: Town, shown: Shown) -> None:
    ann, bob, owner = town.ann, town.bob, town.owner
    room, other = await ann.room(bob), await ann.room(bob)
    chosen = {**POSTS, "accounts": [bob.id], "custom": {"urgent": True}}
    made = await owner.must("POST", "/webhooks", {"url": town.sink.url, "filter": chosen})
    async with bob.phone(room, other) as phone:
        async with phone.away():
            phone.client.room(room).post("urgent", custom={"urgent": True})
            phone.client.room(room).post("not urgent")
            phone.client.room(other).post("there too", custom={"urgent": True})
            await ann.post(room, "not bob's", custom={"urgent": True})
        await heard(town.sink, other, ["there too"])
        await heard(town.sink, room, ["urgent"])
        shown.offline()
        await bob.post(room, "again", custom={"urgent": True})
        await heard(town.sink, room, ["urgent", "again"])
        shown.allowed()
    wish = {"url": town.sink.url, "filter": {"events": ["nothing.of.that"]}}
    shown.refused(await owner.ask("POST", "/webhooks", wish), 422, "fields_invalid")
    await owner.must("DELETE", f"/webhooks/{made['id']}")


async def test_dead_letters_and_replay(town: Town, shown: Shown) -> None:
    """Who fails for as long as the operator allows is disabled; what waited is kept, and shown."""
    ann, bob, owner = town.ann, town.bob, town.owner
    room = await ann.room(bob)
    wish = {"url": town.sink.url, "room": room, "filter": POSTS}
    at = f"/webhooks/{(await owner.must('POST', '/webhooks', wish))['id']}"

    async def failing() -> bool:
        return (await owner.must("GET", at))["failing_since"] is not None

    async def aside() -> bool:
        return len((await owner.must("GET", f"{at}/dead-letters"))["items"]) == 1

    async with bob.phone(room) as phone:
        town.sink.status = 503
        try:
            async with phone.away():
                phone.client.room(room).post("from the tunnel")
            await until(failing)
            town.house.move_on(PATIENCE + 1)
            await until(aside)
        finally:
            town.sink.status = 200
        assert not (await owner.must("GET", at))["enabled"] and of(town.sink, room) == []
        shown.refused(await bob.ask("POST", f"{at}/replay"), 403, "not_permitted")
        await owner.must("PATCH", at, {"enabled": True})
        assert (await owner.must("POST", f"{at}/replay"))["count"] == 1
        await heard(town.sink, room, ["from the tunnel"])
        shown.offline()
        shown.allowed()
    await owner.must("DELETE", at)
    shown.refused(await owner.ask("GET", f"{at}/dead-letters"), 404, "not_found")


async def _routed(place: Place, shown: Shown, to: dict[str, Any], came: Came) -> None:
    """In order, what a device wrote while it was offline too; for administrators alone."""
    ann, bob = await place.pair()
    room = await ann.room(bob)
    wish = {"to": to, "room": room, "filter": POSTS, "batch": 10}
    shown.refused(await ann.ask("POST", "/routes", wish), 403, "not_permitted")
    made = await place.owner.must("POST", "/routes", wish)
    wanted = [f"m{n}" for n in range(5)]

    async def arrived() -> bool:
        events = [event for event in await came() if event["data"].get("room") == room]
        return texts(events) == wanted

    async with bob.phone(room) as phone:
        async with phone.away():
            for text in wanted:
                await ann.post(room, text)
            phone.client.room(room).post("from the tunnel")
            await until(arrived)
            shown.allowed()
        wanted = [*wanted, "from the tunnel"]
        await until(arrived)
        assert phone.texts(room) == wanted
        shown.offline()
    shown_again = await place.owner.must("GET", f"/routes/{made['id']}")
    assert SECRET not in json.dumps(shown_again), "what opens it is never shown"
    private = {"to": {"type": "https", "url": "https://10.0.0.1/"}}
    shown.refused(await place.owner.ask("POST", "/routes", private), 422, "fields_invalid")
    await place.owner.must("DELETE", f"/routes/{made['id']}")


async def test_route_to_https(annex: Annex, shown: Shown) -> None:
    async def came() -> list[dict[str, Any]]:
        return annex.sink.events

    await _routed(annex, shown, {"type": "https", "url": annex.sink.url}, came)
    kinds = {headers["content-type"] for headers, _ in annex.sink.requests}
    assert kinds == {"application/cloudevents-batch+json; charset=utf-8"}


async def test_route_to_s3(annex: Annex, bucket: Any, shown: Shown) -> None:
    endpoint, folder = bucket
    relay = annex.relays["s3"]
    relay.target = int(endpoint.rpartition(":")[2])
    to = {
        "type": "s3", "endpoint": f"http://127.0.0.1:{relay.port}", "bucket": folder.name,
        "prefix": "chat/", "access_key": ACCESS, "secret_key": SECRET,
    }  # fmt: skip

    async def came() -> list[dict[str, Any]]:
        return await asyncio.to_thread(objects, folder / "chat")

    await _routed(annex, shown, to, came)


async def test_route_to_amqp(annex: Annex, shown: Shown) -> None:
    relay = annex.relays["amqp"]
    async with rabbitmq(annex.folder / "rabbit") as rabbit:
        relay.target = rabbit.port
        to = {
            "type": "amqp", "host": "127.0.0.1", "port": relay.port, "tls": False,
            "user": "guest", "password": "guest", "routing_key": "events",
        }  # fmt: skip
        await _routed(annex, shown, to, rabbit.events)


async def test_route_to_sqs(annex: Annex, shown: Shown) -> None:
    relay = annex.relays["sqs"]
    taken: list[dict[str, Any]] = []
    async with sqs() as queue:
        relay.target = queue.port

        async def came() -> list[dict[str, Any]]:
            await asyncio.to_thread(queue.take, taken)
            return taken

        url = queue.url.replace(str(queue.port), str(relay.port))
        to = {"type": "sqs", "queue_url": url, "access_key": ACCESS, "secret_key": SECRET}
        await _routed(annex, shown, to, came)


async def test_route_to_syslog(annex: Annex, shown: Shown) -> None:
    await annex.rsyslog.start()
    relay = annex.relays["syslog"]
    relay.target = annex.rsyslog.port

    async def came() -> list[dict[str, Any]]:
        return [one for one in annex.rsyslog.received() if "specversion" in one]

    to = {"type": "syslog", "host": "127.0.0.1", "port": relay.port, "overlap_seconds": 60.0}
    await _routed(annex, shown, to, came)


async def test_route_to_kafka(annex: Annex, shown: Shown) -> None:
    kafka = annex.kafka
    await asyncio.to_thread(kafka.start)
    await kafka.declare("events")

    async def came() -> list[dict[str, Any]]:
        return [json.loads(record.value) for record in await kafka.take("events")]

    servers = [f"127.0.0.1:{kafka.port}"]
    to = {"type": "kafka", "servers": servers, "topic": "events", "tls": False}
    await _routed(annex, shown, to, came)
    kafka.kill()


async def test_bots_with_scoped_tokens(town: Town, shown: Shown) -> None:
    ann, bob, owner = town.ann, town.bob, town.owner
    shown.refused(await bob.ask("POST", "/bots", {"name": "Mine"}), 403, "not_permitted")
    made = await owner.must("POST", "/bots", {"name": "Helper"})
    at = f"/bots/{made['id']}/tokens"
    scopes = ["rooms:read", "messages:read", "messages:write"]
    writes = await owner.must("POST", at, {"scopes": scopes})
    reads = await owner.must("POST", at, {"scopes": ["rooms:read", "messages:read"]})
    bot, reader = (Person(town.there, one["token"], "", made["id"]) for one in (writes, reads))
    room = await ann.room(bob)
    shown.refused(await bot.ask("GET", f"/rooms/{room}"), 404, "room_not_found")
    await ann.must("PUT", f"/rooms/{room}/members/{made['id']}", {})
    async with bob.phone(room) as phone:
        async with phone.away():
            await bot.post(room, "beep")
            assert await reader.texts(room) == ["beep"]
            shown.allowed()
        (seen,) = phone.messages(room)
        assert (seen.account, phone.texts(room)) == (made["id"], ["beep"])
        shown.offline()
    for answer in (
        await reader.ask("POST", f"/rooms/{room}/messages", {"text": "boop"}),
        await bot.ask("PATCH", "/account", {"name": "Somebody"}),
    ):
        shown.refused(answer, 403, "insufficient_scope")
    await owner.must("DELETE", f"{at}/{writes['id']}")
    late = await bot.ask("POST", f"/rooms/{room}/messages", {"text": "late"})
    shown.refused(late, 401, "token_invalid")


async def test_ssrf_guard(town: Town, shown: Shown) -> None:
    owner = town.owner
    for url in (
        "https://127.0.0.1:9/", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data",
        "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://2130706433/", "https://0x7f.1/",
        "http://localhost:9/", "http://1.1.1.1/", "file:///etc/passwd", "gopher://x/",
    ):  # fmt: skip
        shown.refused(await owner.ask("POST", "/webhooks", {"url": url}), 422, "fields_invalid")
    bob, at = town.bob, "/push/subscriptions"
    inside = {**town.browser().wish(), "endpoint": "https://192.168.0.1/push"}
    shown.refused(await bob.ask("POST", at, inside), 422, "fields_invalid")
    await _opened(town, shown)


async def test_egress_allow(town: Town, shown: Shown) -> None:
    """This port and no other; and nothing over HTTP changes what is allowed."""
    owner = town.owner
    next_door = {"url": "http://127.0.0.1:9/"}
    shown.refused(await owner.ask("POST", "/webhooks", next_door), 422, "fields_invalid")
    for method, path in (("GET", "/egress"), ("PUT", "/egress/allow"), ("PATCH", "/egress")):
        answer = await owner.ask(method, path, {} if method != "GET" else None)
        shown.refused(answer, 404, "not_found")
    document = await town.there.send("GET", "/api/openapi.json")
    assert not [path for path in document.body["paths"] if "egress" in path]
    await _opened(town, shown)


async def _opened(town: Town, shown: Shown) -> None:
    """What the operator allowed is reached, with what a device wrote while it was offline."""
    ann, bob, owner = town.ann, town.bob, town.owner
    room = await ann.room(bob)
    wish = {"url": town.sink.url, "room": room, "filter": POSTS}
    made = await owner.must("POST", "/webhooks", wish)
    tested = await owner.must("POST", f"/webhooks/{made['id']}/test")
    assert tested["delivered"], tested
    shown.allowed()
    async with bob.phone(room) as phone:
        await _wrote(phone, room)
        await heard(town.sink, room, ["from the tunnel"])
        shown.offline()
    await owner.must("DELETE", f"/webhooks/{made['id']}")


async def _wrote(phone: Phone, room: str) -> None:
    async with phone.away():
        phone.client.room(room).post("from the tunnel")
