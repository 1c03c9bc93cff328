"""Row B15: events of files, of accounts and of push errors, as far as others may hear of them."""

from __future__ import annotations

import secrets
from typing import Any

from tests.rows.house import House, visiting
from tests.rows.rightful import Person, owner, people, until
from tests.rows.sink import Sink
from tests.rows.test_c19_consent import browser

NAME = "Canary-Fifteen"


def path() -> str:
    return f"/{secrets.token_hex(6)}"


async def routed(root: Person, sink: Sink, *events: str, **more: Any) -> tuple[str, str]:
    """A route for these: its id, and where its events come."""
    place = path()
    accounts = more.pop("accounts", [])
    wish = {"to": {"type": "https", "url": sink.url(place)}, "batch": 10_000, **more}
    wanted: dict[str, Any] = {"accounts": accounts}
    if events:
        wanted["events"] = list(events)
    made = await root.must("POST", "/routes", {**wish, "filter": wanted})
    return str(made["id"]), place


def told(sink: Sink, place: str, subject: str) -> list[str]:
    """The types of what was told of it, in order."""
    events = [event for event in sink.events(place) if event["subject"] == subject]
    assert NAME not in str(events)
    return [event["type"].removeprefix("sotto.") for event in events]


async def has(sink: Sink, place: str, subject: str, wanted: list[str]) -> None:
    async def there() -> bool:
        return told(sink, place, subject) == wanted

    await until(there, 120)


async def test_b15_files_are_told_without_their_names_to_who_asks(wide: House, sink: Sink) -> None:
    """Ready, refused, deleted; of a room by its mode; by who uploaded it; an outage loses none."""
    async with visiting(wide) as there:
        root, (ann, bob) = await owner(there), await people(there, 2)
        room, other = await ann.room(bob), await ann.room(bob)
        sealed = await ann.room(bob, mode="e2ee")
        made = {
            "all": await routed(root, sink, "file.*"),
            "room": await routed(root, sink, "file.ready", room=room),
            "bob": await routed(root, sink, "file.*", accounts=[bob.id]),
            "silent": await routed(root, sink, room=room),
        }
        at = {name: place for name, (_, place) in made.items()}
        sink.says[at["all"]] = (503, {})
        text = await ann.uploaded(room, b"some text", f"{NAME}.txt")
        hidden = await ann.uploaded(sealed, secrets.token_bytes(2048), "", opaque=True)
        wrong = await bob.looked_through(other, b"8BPS" + bytes(100), f"{NAME}.psd")
        assert wrong["state"] == "refused"
        begun = await ann.must("POST", "/files", {"room": room, "size": 9, "name": f"{NAME}.txt"})
        await ann.must("DELETE", f"/uploads/{begun['id']}", headers={"Tus-Resumable": "1.0.0"})
        await ann.must("DELETE", f"/files/{text['id']}")
        sink.says[at["all"]] = (200, {})
        await has(sink, at["all"], text["id"], ["file.ready", "file.deleted"])
        await has(sink, at["all"], hidden["id"], ["file.ready"])
        await has(sink, at["all"], wrong["id"], ["file.refused"])
        await has(sink, at["room"], text["id"], ["file.ready"])
        await has(sink, at["bob"], wrong["id"], ["file.refused"])
        assert {event["subject"] for event in sink.events(at["room"])} == {text["id"]}
        assert {event["subject"] for event in sink.events(at["bob"])} == {wrong["id"]}
        assert told(sink, at["all"], begun["id"]) == [], "of an upload nothing was told"
        by = {event["subject"]: event for event in sink.events(at["all"])}
        assert by[wrong["id"]]["source"].endswith(f"/rooms/{other}")
        assert by[wrong["id"]]["data"] == {
            "file": wrong["id"], "room": other, "account": bob.id, "mode": "searchable",
            "state": "refused", "size": 104, "media_type": "application/octet-stream",
            "scanned": False, "reason": "file_type_refused",
        }  # fmt: skip
        assert by[text["id"]]["data"] == {
            "file": text["id"], "room": room, "account": ann.id, "mode": "searchable",
        }  # fmt: skip
        data = by[hidden["id"]]["data"]
        assert (data["mode"], data["media_type"]) == ("e2ee", "application/octet-stream")
        await ann.post(room, "heard")

        async def heard() -> bool:
            return "heard" in sink.texts(at["silent"])

        await until(heard, 120)
        kinds = {event["type"] for event in sink.events(at["silent"])}
        assert not [kind for kind in kinds if "file" in kind], "who names none hears of none"
        for ident, _ in made.values():
            await root.must("DELETE", f"/routes/{ident}")


async def test_b15_a_whole_life_of_an_account_is_told(wide: House, sink: Sink) -> None:
    """Created, changed, disabled, enabled, removed: to routes of no one room, with no name."""
    async with visiting(wide) as there:
        root, (ann,) = await owner(there), await people(there, 1)
        ident, everything = await routed(root, sink, "account.*")
        within, elsewhere = await routed(root, sink, "account.*", room=await ann.room())
        bot = (await root.must("POST", "/bots", {"name": NAME}))["id"]
        (bob,) = await people(there, 1)
        at, match = f"/accounts/{bob.id}", {"If-Match": "*"}
        await root.must("PATCH", at, {"roles": ["auditor"]}, headers=match)
        await root.must("PATCH", at, {"disabled": True}, headers=match)
        await root.must("PATCH", at, {"disabled": False}, headers=match)
        await root.must("PATCH", at, {"disabled": False}, headers=match)
        await root.must("DELETE", at)
        said = ["created", "changed", "disabled", "enabled", "disabled", "removed"]

        async def over() -> bool:
            return "account.removed" in told(sink, everything, bob.id)

        await until(over, 120)
        types = [kind for kind in told(sink, everything, bob.id) if kind != "account.erased"]
        assert types == [f"account.{word}" for word in said], "the last act closes it, then it goes"
        data = [e["data"] for e in sink.events(everything) if e["subject"] == bob.id]
        assert {"account": bob.id, "kind": "account", "roles": ["auditor"]} in data
        assert {"account": bob.id} in data and bob.login not in str(sink.events(everything))
        assert told(sink, everything, bot) == ["account.created"]
        assert sink.events(elsewhere) == [], "nobody was ever in that room"
        for route in (ident, within):
            await root.must("DELETE", f"/routes/{route}")


async def test_b15_push_errors_are_told_without_where_it_went(wide: House, sink: Sink) -> None:
    """A service that refuses, then one that says that the device is gone."""
    endpoint = path()
    async with visiting(wide) as there:
        root, (ann,) = await owner(there), await people(there, 1)
        ident, place = await routed(root, sink, "push.*")
        device = {"kind": "web_push", **browser(wide), "endpoint": sink.url(endpoint)}
        made = await ann.must("POST", "/push/subscriptions", device)
        for status, kinds in ((400, ["push.refused"]), (410, ["push.refused", "push.gone"])):
            sink.says[endpoint] = (status, {})
            await ann.must("POST", f"/push/subscriptions/{made['id']}/test")
            await has(sink, place, made["id"], kinds)
        assert (await ann.must("GET", "/push/subscriptions"))["items"] == []
        events = sink.events(place)
        assert [event["data"] for event in events] == [
            {"account": ann.id, "subscription": made["id"], "kind": "web_push",
             "reason": f"the push service answered {status}"}
            for status in (400, 410)
        ]  # fmt: skip
        for secret in (endpoint, str(sink.port), device["p256dh"], device["auth"], ann.login):
            assert secret not in str(events)
        await root.must("DELETE", f"/routes/{ident}")
