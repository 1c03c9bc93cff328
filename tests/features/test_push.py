"""What wakes a device that sleeps, and how little it is told. The device is the one that is away.

APNs and FCM are stand-ins that check what the real ones check; Web Push is opened by the code of
others.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from tests.features.test_files import sealed
from tests.features.town import Annex, Person, Phone, Shown, Town, until
from tests.signaling.delivery.push.services import Browser, Told

SECRET = "the canary sings at noon"
IDS = {"kind", "tag", "room", "id", "seq"}


@dataclass
class Asleep:
    """Ann is there; bob's phone is not, and `browser` may wake it."""

    ann: Person
    bob: Person
    phone: Phone
    browser: Browser

    async def told(self, count: int) -> Told:
        return (await self.browser.arrivals.until(count, 120))[count - 1]


@contextlib.asynccontextmanager
async def asleep(town: Town, kind: str = "web_push", **settings: Any) -> AsyncIterator[Asleep]:
    ann, bob = await town.pair()
    browser = town.browser()
    await bob.must("POST", "/push/subscriptions", browser.wish(kind))
    await bob.must("PUT", "/push/settings", {"invites": False, **settings})
    async with bob.phone() as phone:
        await phone.leave()
        await town.asleep(bob)
        yield Asleep(ann, bob, phone, browser)


async def _wakes(town: Town, shown: Shown, kind: str) -> None:
    async with asleep(town, kind) as there:
        room = await there.ann.room(there.bob)
        sent = await there.ann.post(room, SECRET)
        told = await there.told(1)
        assert (told.said["kind"], told.said["id"]) == ("message", sent["id"])
        assert SECRET not in str(told.said) and town.web.faults == []
        shown.allowed()
        await there.phone.back(room)
        assert there.phone.texts(room) == [SECRET]
        shown.offline()
        (mine,) = (await there.bob.must("GET", "/push/subscriptions"))["items"]
        assert mine["kind"] == kind
        at = f"/push/subscriptions/{mine['id']}"
        shown.refused(await there.ann.ask("DELETE", at), 404, "not_found")
        good = there.browser.wish(kind)
        for wrong in (
            {"endpoint": "https://169.254.169.254/latest"}, {"endpoint": "https://127.0.0.1:9/x"},
            {"auth": "short"}, {"p256dh": good["auth"]},
        ):  # fmt: skip
            answer = await there.bob.ask("POST", "/push/subscriptions", {**good, **wrong})
            shown.refused(answer, 422, "fields_invalid")


async def test_web_push(town: Town, shown: Shown) -> None:
    await _wakes(town, shown, "web_push")


async def test_unifiedpush(town: Town, shown: Shown) -> None:
    await _wakes(town, shown, "unified_push")


async def _native(annex: Annex, shown: Shown, kind: str, token: str) -> Told:
    """What the service was told of a message."""
    ann, bob = await annex.pair()
    service = annex.apns if kind == "apns" else annex.fcm
    await bob.must("POST", "/push/subscriptions", {"kind": kind, "token": token})
    await bob.must("PUT", "/push/settings", {"invites": False, "previews": True})
    before = len(service.arrivals.told)
    async with bob.phone() as phone:
        await phone.leave()
        await annex.asleep(bob)
        room = await ann.room(bob, settings={"preview": True})
        sent = await ann.post(room, SECRET)
        told = (await service.arrivals.until(before + 1, 120))[-1]
        assert sent["id"] in str(told.said)
        shown.allowed()
        await phone.back(room)
        assert phone.texts(room) == [SECRET]
        shown.offline()
    wrong = {"kind": kind, "token": "short"}
    shown.refused(await bob.ask("POST", "/push/subscriptions", wrong), 422, "fields_invalid")
    # What its service gave up is forgotten.
    gone = (410, "Unregistered") if kind == "apns" else (404, "UNREGISTERED")
    service.errors.append(gone)
    await annex.asleep(bob, times=2)
    await ann.post(room, "again")

    async def forgotten() -> bool:
        return not (await bob.must("GET", "/push/subscriptions"))["items"]

    await until(forgotten)
    return told


async def test_apns(annex: Annex, shown: Shown) -> None:
    token = secrets.token_hex(32)
    told = await _native(annex, shown, "apns", token)
    assert told.path == f"/3/device/{token}"
    assert told.said["aps"]["alert"] == {"title": "Tea", "body": SECRET}


async def test_fcm(annex: Annex, shown: Shown) -> None:
    token = "fcm-" + secrets.token_hex(32)
    told = await _native(annex, shown, "fcm", token)
    assert told.headers["token"] == token and told.said["text"] == SECRET


async def test_content_by_room_mode(town: Town, shown: Shown) -> None:
    async with asleep(town, previews=True) as there:
        ann, bob = there.ann, there.bob
        await ann.must("PATCH", "/account", {"name": "Ann Example"})
        allows = await ann.room(bob, settings={"preview": True})
        does_not = await ann.room(bob)
        await ann.post(allows, SECRET)
        full = (await there.told(1)).said
        assert [full[name] for name in ("text", "sender_name", "room_name")] == [
            SECRET, "Ann Example", "Tea",
        ]  # fmt: skip
        await ann.post(does_not, SECRET)
        bare = (await there.told(2)).said
        assert set(bare) == {*IDS, "sender"} and bare["sender"] == ann.id
        shown.allowed()
        # Nor does a room decide alone: the recipient has to wish it too.
        await bob.must("PUT", "/push/settings", {"invites": False})
        await ann.post(allows, SECRET)
        assert "text" not in (await there.told(3)).said
        shown.note("not shown unless room and recipient allow it")
        shown.refused(
            await bob.ask("PUT", "/push/settings", {"previews": "yes"}), 422, "fields_invalid"
        )
        await there.phone.back(allows, does_not)
        assert there.phone.texts(allows) == [SECRET] * 2
        assert there.phone.texts(does_not) == [SECRET]
        shown.offline()


async def test_never_a_body_for_e2ee_and_phi(town: Town, shown: Shown) -> None:
    async with asleep(town, previews=True) as there:
        ann, bob = there.ann, there.bob
        closed = await ann.room(bob, mode="e2ee", settings={"preview": True})
        device = (await ann.must("GET", "/session"))["device"]
        at = f"/rooms/{closed}/messages"
        sent = await ann.must("POST", at, {"body": sealed(ann.id, device)})
        told = (await there.told(1)).said
        assert set(told) == IDS and told["id"] == sent["id"]
        health = await ann.room(bob, settings={"preview": True, "phi": True})
        await ann.post(health, SECRET)
        assert set((await there.told(2)).said) == IDS
        shown.note("not shown, whatever is wished")
        shown.refused(await ann.ask("POST", at, {"text": SECRET}), 422, "plaintext_refused")
        seen = await ann.ask("GET", f"/rooms/{health}")
        fields = {"If-Match": seen.headers["ETag"]}
        undone = await ann.ask("PATCH", f"/rooms/{health}", {"phi": False}, **fields)
        shown.refused(undone, 403, "not_permitted")
        shown.allowed()
        await there.phone.back(closed, health)
        (kept,) = there.phone.messages(closed)
        assert getattr(kept.body, "ct", "") == sent["body"]["ct"]
        assert there.phone.texts(health) == [SECRET]
        shown.offline()


async def test_collapsing(town: Town, shown: Shown) -> None:
    async with asleep(town) as there:
        room = await there.ann.room(there.bob)
        busy = there.browser.arrivals
        busy.answers.append((503, {"Retry-After": "8"}))
        texts = [f"m{n}" for n in range(4)]
        await there.ann.post(room, texts[0])

        async def tried() -> bool:
            return bool(busy.tries)

        await until(tried)
        for text in texts[1:]:
            last = await there.ann.post(room, text)
        told = await there.told(1)
        assert told.said["id"] == last["id"] and told.headers["topic"] == told.said["tag"]
        other = await there.ann.room(there.bob)
        await there.ann.post(other, "elsewhere")
        second = await there.told(2)
        assert second.said["tag"] != told.said["tag"] and len(busy.told) == 2
        shown.allowed()
        await there.phone.back(room, other)
        assert there.phone.texts(room) == texts, "all of them are there, though one woke it"
        shown.offline()
        (mine,) = (await there.bob.must("GET", "/push/subscriptions"))["items"]
        path = f"/push/subscriptions/{mine['id']}/test"
        shown.refused(await there.ann.ask("POST", path), 404, "not_found")


async def test_wake_only(town: Town, shown: Shown) -> None:
    async with asleep(town, previews=True) as there:
        room = await there.ann.room(there.bob, mode="transient", settings={"preview": True})
        await there.ann.post(room, SECRET)
        told = await there.told(1)
        assert told.said == {"kind": "wake", "tag": told.said["tag"]}
        shown.allowed()
        await there.phone.back(room)
        assert there.phone.texts(room) == [], "nobody kept it"
        there.phone.client.room(room).post("are you there?")
        await there.phone.here()
        shown.offline()
        files = await there.ann.create(room, 5)
        shown.refused(files, 422, "file_mode_mismatch")
        search = await there.bob.ask("GET", f"/search?q=canary&room={room}")
        shown.refused(search, 409, "conflict")


async def test_quiet_hours(town: Town, shown: Shown) -> None:
    start, end = town.now(-3600), town.now(300)
    quiet = {"start": f"{start:%H:%M}", "end": f"{end:%H:%M}", "calls": True}
    async with asleep(town, quiet=quiet) as there:
        ann, bob = there.ann, there.bob
        room, other = await ann.room(bob, kind="direct", name=""), await ann.room(bob)
        sent = await ann.post(room, "while you sleep")
        # Who lets calls through is rung: by then the message has been held back.
        await ann.must("POST", f"/rooms/{room}/call", {})
        assert (await there.told(1)).said["kind"] == "call"
        await ann.must("POST", f"/rooms/{room}/call/cancel", {})
        town.house.move_on(301)
        last = await ann.post(other, "good morning")
        await there.told(4)
        said = [one.said for one in there.browser.arrivals.told]
        assert sorted(one["kind"] for one in said) == ["call", "message", "message", "missed"]
        told = {one["id"] for one in said if one["kind"] == "message"}
        assert told == {sent["id"], last["id"]}
        shown.allowed()
        await there.phone.back(room, other)
        assert there.phone.texts(room)[0] == "while you sleep"
        shown.offline()
        for wrong in (
            {"time_zone": "Mars/Olympus"}, {"quiet": {"start": "25:00", "end": "07:00"}},
        ):  # fmt: skip
            answer = await bob.ask("PUT", "/push/settings", wrong)
            shown.refused(answer, 422, "fields_invalid")


async def test_ring_with_short_life(town: Town, shown: Shown) -> None:
    async with asleep(town) as there:
        room = await there.ann.room(there.bob, kind="direct", name="")
        await there.ann.must("POST", f"/rooms/{room}/call", {})
        ring = await there.told(1)
        assert (ring.said["kind"], ring.said["sender"]) == ("call", there.ann.id)
        assert ring.headers["urgency"] == "high" and 0 < int(ring.headers["ttl"]) <= 45
        body = {"token": ring.said["reject"]}
        answer = await town.there.ask("POST", "/calls/reject", body)
        assert answer.status == 204, answer.text
        over = await there.told(2)
        assert (over.said["kind"], over.said["tag"]) == ("over", ring.said["tag"])
        shown.allowed()
        shown.refused(await town.there.ask("POST", "/calls/reject", body), 409, "conflict")
        await there.phone.back(room)
        (left,) = [one.call for one in there.phone.messages(room) if one.call is not None]
        assert left.state == "rejected"
        shown.offline()
