"""Rows B15, B10: events to the operator's own systems; signed, in order, and nowhere private."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from typing import Any

import pytest

from tests.rows.house import House, Visit, visiting
from tests.rows.rightful import Person, owner, people, until
from tests.rows.sink import Sink
from tests.signaling.delivery.test_webhooks import verified

POSTS = {"events": ["message.posted"]}


def path() -> str:
    return f"/{secrets.token_hex(6)}"


async def came(sink: Sink, place: str, texts: list[str]) -> None:
    async def there() -> bool:
        return sink.texts(place) == texts

    await until(there, 120)


async def test_b15_a_receiver_that_is_down_gets_all_of_it_once_and_in_order(
    wide: House, sink: Sink
) -> None:
    """A webhook and a route in batches, signed, as CloudEvents; the secret before still counts."""
    hook, route = path(), path()
    async with visiting(wide) as there:
        root, (ann,) = await owner(there), await people(there, 1)
        room = await ann.room()
        sink.says |= {hook: (503, {}), route: (503, {"Retry-After": "1"})}
        wish = {"url": sink.url(hook), "room": room, "filter": POSTS}
        made = await root.must("POST", "/webhooks", wish)
        to = {"type": "https", "url": sink.url(route)}
        batched = await root.must(
            "POST", "/routes", {"to": to, "room": room, "filter": POSTS, "batch": 4}
        )
        said = [f"m{number}" for number in range(12)]
        for text in said[:6]:
            await ann.post(room, text)

        async def tried() -> bool:
            return min(sink.asked.get(place, 0) for place in (hook, route)) >= 2

        await until(tried)
        at = f"/webhooks/{made['id']}"
        rotated = await root.must("POST", f"{at}/rotation", {"overlap_seconds": 3600})
        for text in said[6:]:
            await ann.post(room, text)
        sink.says |= {hook: (200, {}), route: (200, {})}
        for place in (hook, route):
            await came(sink, place, said)
            ids = [event["id"] for event in sink.events(place)]
            assert len(set(ids)) == len(ids)
        for headers, body in sink.came[hook]:
            assert headers["content-type"].startswith("application/cloudevents+json")
            assert verified(headers, body, made["secret"])
            assert verified(headers, body, rotated["secret"])
        assert len(sink.came[route]) < len(said)
        for headers, body in sink.came[route]:
            assert headers["content-type"].startswith("application/cloudevents-batch+json")
            assert verified(headers, body, batched["secret"])
        assert (await root.must("GET", at))["secret"] is None


async def test_b15_more_than_a_thousand_go_at_once(wide: House, sink: Sink) -> None:
    place = path()
    async with visiting(wide) as there:
        root, (ann,) = await owner(there), await people(there, 1)
        room = await ann.room()
        to = {"type": "https", "url": sink.url(place)}
        wish = {"to": to, "room": room, "filter": POSTS, "batch": 10_000, "batch_seconds": 300}
        made = await root.must("POST", "/routes", wish)
        said = 1100
        for start in range(0, said, 20):
            await asyncio.gather(*(ann.post(room, f"m{n}") for n in range(start, start + 20)))
        await root.must("PATCH", f"/routes/{made['id']}", {"batch_seconds": 0})

        async def all_of_it() -> bool:
            return len(sink.events(place)) >= said

        await until(all_of_it, 120)
        places = [event["data"]["seq"] for event in sink.events(place)]
        assert places == sorted(set(places)) and len(places) == said
        assert len(sink.came[place]) < 4, "batches of more than a thousand"
        await root.must("DELETE", f"/routes/{made['id']}")


async def test_b10_an_envelope_decides_where_a_sealed_body_goes(wide: House, sink: Sink) -> None:
    place = path()
    async with visiting(wide) as there:
        root, (ann,) = await owner(there), await people(there, 1)
        room = await ann.room(mode="e2ee")
        to = {"type": "https", "url": sink.url(place)}
        wish = {"to": to, "room": room, "filter": {**POSTS, "custom": {"urgent": True}}}
        await root.must("POST", "/routes", wish)
        bodies = [await ann.sealed() for _ in range(2)]
        for urgent, body in zip((False, True), bodies, strict=True):
            message = {"body": body, "custom": {"urgent": urgent}}
            await ann.must("POST", f"/rooms/{room}/messages", message)

        async def arrived() -> bool:
            return bool(sink.events(place))

        await until(arrived, 120)
        (event,) = sink.events(place)
        assert event["data"]["op"]["body"] == bodies[1]


async def disabled(root: Person, at: str) -> Any:
    async def off() -> bool:
        return not (await root.must("GET", at))["enabled"]

    await until(off, 120)
    return await root.must("GET", at)


async def test_b15_gone_is_gone_and_a_redirect_never_leads_inwards(wide: House, sink: Sink) -> None:
    gone, moved = path(), path()
    sink.says |= {gone: (410, {}), moved: (307, {"Location": "http://169.254.169.254/"})}
    async with visiting(wide) as there:
        root, (ann,) = await owner(there), await people(there, 1)
        room = await ann.room()
        made = []
        for place in (gone, moved):
            to = {"type": "https", "url": sink.url(place)}
            made.append(await root.must("POST", "/routes", {"to": to, "room": room}))
        await ann.post(room, "hello")
        shown = await disabled(root, f"/routes/{made[0]['id']}")
        assert "410" in shown["reason"]

        async def twice() -> bool:
            return sink.asked.get(moved, 0) >= 2

        await until(twice, 120)
        assert sink.events(moved) == [], "it is tried again where it was, and there alone"
        tried = await root.must("POST", f"/routes/{made[1]['id']}/test")
        assert not tried["delivered"] and "307" in tried["reason"]
        await root.must("DELETE", f"/routes/{made[1]['id']}")


async def test_b15_three_redirects_are_followed_and_no_more(wide: House, sink: Sink) -> None:
    """With method and body, under the same signature; 302 would lose both, and is refused."""
    places = [path() for _ in range(5)]
    for place, onward in itertools.pairwise(places):
        sink.says[place] = (307, {"Location": onward})
    lost = path()
    sink.says[lost] = (302, {"Location": places[4]})
    async with visiting(wide) as there:
        root, (ann,) = await owner(there), await people(there, 1)
        room = await ann.room()
        to = {"type": "https", "url": sink.url(places[1])}
        made = await root.must("POST", "/routes", {"to": to, "room": room, "filter": POSTS})
        await ann.post(room, "hello")
        await came(sink, places[4], ["hello"])
        (headers, body) = sink.came[places[4]][0]
        assert verified(headers, body, made["secret"])
        for place, reason in ((places[0], "too many redirects"), (lost, "307 and 308 only")):
            to = {"type": "https", "url": sink.url(place)}
            other = await root.must("POST", "/routes", {"to": to, "room": room, "filter": POSTS})
            tried = await root.must("POST", f"/routes/{other['id']}/test")
            assert not tried["delivered"] and reason in tried["reason"], tried
            await root.must("DELETE", f"/routes/{other['id']}")
        assert sink.texts(places[4]) == ["hello"]
        await root.must("DELETE", f"/routes/{made['id']}")


async def test_b15_a_path_chooses_by_the_envelope_and_never_by_what_was_said(
    wide: House, sink: Sink
) -> None:
    """RFC 9535, in an encrypted room too; one that is none is 422."""
    places = [path() for _ in range(3)]
    wanted = ('$[?@.op.custom.priority == "high"]', "$..text", "$.data[?@.kind == 'note']")
    async with visiting(wide) as there:
        root, (ann,) = await owner(there), await people(there, 1)
        room, sealed = await ann.room(), await ann.room(mode="e2ee")
        made = []
        for place, chosen in zip(places, wanted, strict=True):
            to = {"type": "https", "url": sink.url(place)}
            wish = {"to": to, "filter": {**POSTS, "jsonpath": chosen}}
            made.append(await root.must("POST", "/routes", wish))
            assert made[-1]["filter"]["jsonpath"] == chosen
        await ann.post(room, "plain")
        await ann.post(room, "urgent", custom={"priority": "high"})
        await ann.post(room, "note", kind="note")
        body = {"body": await ann.sealed(), "custom": {"priority": "high"}}
        await ann.must("POST", f"/rooms/{sealed}/messages", body)

        async def arrived() -> bool:
            return len(sink.events(places[0])) >= 2 and len(sink.events(places[2])) >= 1

        await until(arrived, 120)
        rooms = [event["data"]["room"] for event in sink.events(places[0])]
        assert sorted(rooms) == sorted([room, sealed])
        assert sink.events(places[1]) == [], "what was said is not looked at"
        assert sink.texts(places[2]) == ["note"]
        at = f"/routes/{made[0]['id']}"
        for wrong in ("$[", "$[?match(@.a, '(a+)+$')]", "$..a..b", "$" + ".a" * 256, 7):
            change = {"filter": {"jsonpath": wrong}}
            assert (await root.ask("PATCH", at, change)).status == 422, wrong
            refused = await root.ask("POST", "/webhooks", {"url": sink.url(places[0]), **change})
            assert (refused.status, refused.code) == (422, "fields_invalid"), wrong
        for one in made:
            await root.must("DELETE", f"/routes/{one['id']}")


PRIVATE = (
    "http://1.1.1.1/in", "https://127.0.0.1/in", "https://127.1/in", "https://0x7f000001/in",
    "https://2130706433/in", "https://[::ffff:127.0.0.1]/in", "https://[::1]/", "https://10.0.0.1/",
    "https://169.254.169.254/latest", "https://192.168.1.1/", "https://100.64.0.1/",
    "https://[fd00::1]/", "https://[64:ff9b::7f00:1]/", "https://localhost/",
    "https://user:pw@1.1.1.1/", "ftp://1.1.1.1/", "file:///etc/passwd", "https://", "1.1.1.1",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["webhooks", "routes"])
async def test_b15_what_is_private_or_plain_is_422(there: Visit, kind: str) -> None:
    root, (ann,) = await owner(there), await people(there, 1)
    room = await ann.room()
    for url in PRIVATE:
        wish: Any = {"url": url} if kind == "webhooks" else {"to": {"type": "https", "url": url}}
        refused = await root.ask("POST", f"/{kind}", wish)
        assert (refused.status, refused.code) == (422, "fields_invalid"), url
        pointer = "/url" if kind == "webhooks" else "/to/url"
        assert refused.body["errors"][0]["pointer"] == pointer, url
    good: Any = {"url": "https://1.1.1.1/"} if kind == "webhooks" else {
        "to": {"type": "https", "url": "https://1.1.1.1/"},
    }  # fmt: skip
    assert (await ann.ask("POST", f"/{kind}", good)).status == 403
    made = await root.must("POST", f"/{kind}", {**good, "room": room})
    at = f"/{kind}/{made['id']}"
    change: Any = {"url": PRIVATE[1]} if kind == "webhooks" else {
        "to": {"type": "https", "url": PRIVATE[1]},
    }  # fmt: skip
    assert (await root.ask("PATCH", at, change)).status == 422
    await root.must("DELETE", at)


@pytest.mark.parametrize(
    "wish",
    [{"batch": 0}, {"batch": 10_001}, {"filter": {"events": ["nothing"]}}, {"unknown": 1},
     {"room": "here"}, {"filter": {"accounts": [1]}}, {"to": {"type": "carrier pigeon"}}],
    ids=str,
)  # fmt: skip
async def test_b15_what_is_no_route_is_422(there: Visit, wish: dict[str, Any]) -> None:
    root = await owner(there)
    to = {"type": "https", "url": "https://1.1.1.1/"}
    refused = await root.ask("POST", "/routes", {"to": to, **wish})
    assert (refused.status, refused.code) == (422, "fields_invalid")
