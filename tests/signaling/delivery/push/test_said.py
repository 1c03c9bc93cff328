"""What a notification says, by the mode of the room, the wish of who is woken, and the service.

Through the `street`: a real server, devices of new people, services that check what they get.
"""

from __future__ import annotations

import asyncio
import secrets

from tests.signaling.chat.test_messages import sealed
from tests.signaling.delivery.push.street import SCENE, SECRET, Street, kept

pytestmark = SCENE


async def test_message_wakes_the_other_with_ids_and_nothing_that_was_said(street: Street) -> None:
    ann, bob = await street.pair()
    mine, theirs = await ann.browser(), await bob.browser()
    room = await ann.room(bob, kind="direct")
    sent = await ann.post(room)
    (told,) = await theirs.arrivals.until(1)
    assert told.said == {
        "kind": "message", "tag": told.said["tag"], "room": room, "id": sent["id"],
        "seq": sent["seq"], "sender": ann.id,
    }  # fmt: skip
    assert told.headers["urgency"] == "normal"
    assert told.headers["topic"] == told.said["tag"]
    await mine.arrivals.nothing()
    assert street.web.faults == []


async def test_preview_needs_the_room_and_the_recipient(street: Street) -> None:
    ann, bob = await street.pair()
    cy = await street.person()
    wants, not_asked = await bob.browser(), await cy.browser()
    await bob.settings(previews=True)
    await cy.settings()
    room = await ann.room(bob, cy, settings={"preview": True})
    await ann.must("PATCH", "/account", {"name": "Ann Example"})
    await ann.post(room)
    (told,) = await wants.arrivals.until(1)
    shown = [told.said[name] for name in ("text", "sender_name", "room_name")]
    assert shown == [SECRET, "Ann Example", "Tea"]
    (told,) = await not_asked.arrivals.until(1)
    assert "text" not in told.said
    quiet = await ann.room(bob)
    await ann.post(quiet)
    await wants.arrivals.until(2)
    assert "text" not in wants.arrivals.told[1].said, "this room does not allow it"


async def test_encrypted_rooms_and_rooms_with_health_data_say_ids_alone(street: Street) -> None:
    """Rows A7, B9: whatever its members wish."""
    ann, bob = await street.pair()
    browser = await bob.browser()
    await bob.settings(previews=True)
    secret = await ann.room(bob, mode="e2ee", settings={"preview": True})
    device = (await ann.must("GET", "/session"))["device"]
    body = sealed(ann.id, device=device)
    sent = await ann.must("POST", f"/rooms/{secret}/messages", {"body": body})
    (told,) = await browser.arrivals.until(1)
    assert set(told.said) == {"kind", "tag", "room", "id", "seq"}
    assert told.said["id"] == sent["id"]
    health = await ann.room(bob, settings={"preview": True, "phi": True})
    await ann.post(health)
    await browser.arrivals.until(2)
    assert set(browser.arrivals.told[1].said) == {"kind", "tag", "room", "id", "seq"}


async def test_transient_rooms_only_wake_and_leave_nothing(street: Street) -> None:
    """Row B20. The service is busy, so that it would have to wait somewhere."""
    ann, bob = await street.pair()
    browser = await bob.browser()
    await bob.settings(previews=True)
    room = await ann.room(bob, mode="transient", settings={"preview": True})
    browser.arrivals.answers.append((503, {"Retry-After": "2"}))
    await ann.post(room)
    async with asyncio.timeout(60):
        while not browser.arrivals.tries:
            await asyncio.sleep(0.02)
    assert kept(street.house, "delivery.item") == 0
    (told,) = await browser.arrivals.until(1)
    assert told.said == {"kind": "wake", "tag": told.said["tag"]}


async def test_a_ring_wakes_is_answered_with_no_and_is_taken_away(street: Street) -> None:
    """Rejected over plain HTTP by what the notification brought, without any session."""
    ann, bob = await street.pair()
    phone = await bob.browser()
    room = await ann.room(bob, kind="direct")
    call = f"/rooms/{room}/call"
    await ann.must("POST", call, {})
    (ring,) = await phone.arrivals.until(1)
    assert (ring.said["kind"], ring.said["room"]) == ("call", room)
    assert ring.said["sender"] == ann.id
    assert ring.headers["urgency"] == "high"
    assert 0 < int(ring.headers["ttl"]) <= 45
    refused = await street.there.ask("POST", "/calls/reject", {"token": ring.said["reject"]})
    assert refused.status == 204, refused.text
    await phone.arrivals.until(2)
    over = phone.arrivals.told[1].said
    assert (over["kind"], over["tag"]) == ("over", ring.said["tag"])
    await ann.must("POST", call, {})
    await phone.arrivals.until(3)
    await ann.must("POST", f"{call}/cancel", {})
    await phone.arrivals.until(4)
    second, missed = (one.said for one in phone.arrivals.told[2:])
    assert second["call"] == missed["call"] != ring.said["call"]
    assert (missed["kind"], missed["tag"]) == ("missed", second["tag"])
    await bob.must("PUT", f"/rooms/{room}/notify", {"level": "nothing"})
    await ann.must("POST", call, {})
    await phone.arrivals.nothing()


async def test_unified_push_is_web_push(street: Street) -> None:
    ann, bob = await street.pair()
    browser = await bob.browser("unified_push")
    await bob.settings()
    room = await ann.room(bob)
    await ann.post(room)
    await browser.arrivals.until(1)
    (mine,) = await bob.subscriptions()
    assert mine["kind"] == "unified_push"


async def test_apns_and_fcm(street: Street) -> None:
    ann, bob = await street.pair()
    await bob.settings(previews=True)
    token = secrets.token_hex(32)
    wish = {"kind": "apns", "token": token}
    await bob.must("POST", "/push/subscriptions", wish)
    await bob.must("POST", "/push/subscriptions", {"kind": "fcm", "token": "fcm-" + token})
    before = len(street.apns.arrivals.told), len(street.fcm.arrivals.told)
    room = await ann.room(bob, settings={"preview": True})
    sent = await ann.post(room)
    apple = (await street.apns.arrivals.until(before[0] + 1))[-1]
    google = (await street.fcm.arrivals.until(before[1] + 1))[-1]
    assert apple.path == f"/3/device/{token}"
    assert apple.said["aps"]["alert"] == {"title": "Tea", "body": SECRET}
    assert google.headers["token"] == f"fcm-{token}"
    assert google.said["id"] == apple.said["sotto"]["id"] == sent["id"]
    street.apns.errors.append((410, "Unregistered"))
    street.fcm.errors.append((404, "UNREGISTERED"))
    await ann.post(room)
    async with asyncio.timeout(60):
        while await bob.subscriptions():
            await asyncio.sleep(0.05)
