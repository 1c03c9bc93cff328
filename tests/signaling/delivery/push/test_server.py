"""Push through a real server: accounts with devices, services that check what they get, refusals.

One `sotto serve` for all tests; everybody in them is new. Nothing private may be called but what
`egress.allow` names, so the services here are there by the operator's word. Long because every noun
of push stands here with what is allowed and what is refused.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.signaling.chat.test_messages import sealed
from tests.signaling.delivery.push import services
from tests.signaling.delivery.push.street import SECRET, Street, kept

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <(socket|asyncio|_SSL|function _)"
        ":pytest.PytestUnraisableExceptionWarning"
    ),
]


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


async def test_muted_rooms_and_rooms_for_mentions(street: Street) -> None:
    ann, bob = await street.pair()
    browser = await bob.browser()
    await bob.settings()
    room = await ann.room(bob)
    await bob.must("PUT", f"/rooms/{room}/notify", {"level": "nothing"})
    await ann.post(room, mentions={"accounts": [bob.id]})
    await browser.arrivals.nothing()
    await bob.must("PUT", f"/rooms/{room}/notify", {"level": "mentions"})
    await ann.post(room)
    await ann.post(room, mentions={"accounts": [bob.id]})
    (told,) = await browser.arrivals.until(1)
    assert (told.said["kind"], told.headers["urgency"]) == ("mention", "high")
    await ann.post(room, silent=True, mentions={"accounts": [bob.id]})
    await browser.arrivals.nothing()


async def test_of_a_public_room_mentions_unless_one_says_otherwise(street: Street) -> None:
    ann, bob = await street.pair()
    browser = await bob.browser()
    await bob.settings()
    room = await ann.room(bob, kind="public")
    await ann.post(room)
    await browser.arrivals.nothing()
    await bob.must("PUT", f"/rooms/{room}/notify", {"level": "all"})
    await ann.post(room)
    await browser.arrivals.until(1)


async def test_blocked_people_wake_nobody(street: Street) -> None:
    ann, bob = await street.pair()
    browser = await bob.browser()
    room = await ann.room(bob)
    await browser.arrivals.until(1)  # the invitation
    await bob.must("PUT", f"/blocks/{ann.id}")
    await ann.post(room, mentions={"accounts": [bob.id]})
    await browser.arrivals.nothing()


async def test_quiet_hours_hold_until_their_end(street: Street) -> None:
    ann, bob = await street.pair()
    browser = await bob.browser()
    now = datetime.now(UTC)
    hours = {
        "start": f"{now - timedelta(hours=1):%H:%M}", "end": f"{now + timedelta(hours=1):%H:%M}"
    }  # fmt: skip
    await bob.settings(quiet=hours)
    room = await ann.room(bob)
    await ann.post(room)
    await browser.arrivals.nothing()
    assert (await bob.must("GET", "/push/settings"))["quiet"]["start"] == hours["start"]
    # The same hours elsewhere are over, or have not begun.
    await bob.settings(quiet=hours, time_zone="Pacific/Kiritimati")
    await ann.post(room)
    await browser.arrivals.until(1)


async def test_reading_elsewhere_withdraws_it(street: Street) -> None:
    ann, bob = await street.pair()
    phone = await bob.browser()
    await bob.settings()
    room = await ann.room(bob)
    sent = await ann.post(room)
    (shown,) = await phone.arrivals.until(1)
    laptop = await bob.again()
    await laptop.must("POST", f"/rooms/{room}/read", {"seq": sent["seq"]})
    await phone.arrivals.until(2)
    taken = phone.arrivals.told[1]
    assert taken.said == {
        "kind": "read", "tag": shown.said["tag"], "room": room, "seq": sent["seq"],
    }  # fmt: skip
    assert taken.headers["urgency"] == "low"
    await laptop.must("POST", f"/rooms/{room}/read", {"seq": sent["seq"]})
    await phone.arrivals.nothing()


async def test_what_is_read_at_once_never_reaches_the_sleeping_device(street: Street) -> None:
    """The laptop is there: it has a moment to read before the phone is woken."""
    ann, bob = await street.pair()
    phone = await bob.browser()
    await bob.settings()
    laptop = await bob.again()
    room = await ann.room(bob)
    async with street.there.socket(laptop.token):
        await asyncio.sleep(0.1)
        first = await ann.post(room)
        await laptop.must("POST", f"/rooms/{room}/read", {"seq": first["seq"]})
        await asyncio.sleep(5.0)
        kinds = [one.said["kind"] for one in phone.arrivals.told]
        assert "message" not in kinds
        await ann.post(room)
        while "message" not in kinds:
            await phone.arrivals.until(len(phone.arrivals.told) + 1)
            kinds = [one.said["kind"] for one in phone.arrivals.told]


async def test_a_device_that_is_here_is_not_woken(street: Street) -> None:
    ann, bob = await street.pair()
    phone = await bob.browser()
    await bob.settings()
    room = await ann.room(bob)
    async with street.there.socket(bob.token):
        await asyncio.sleep(0.1)
        await ann.post(room)
        await phone.arrivals.nothing(5.0)
    async with asyncio.timeout(60):
        while not phone.arrivals.told:  # as soon as the server has seen it go
            await ann.post(room)
            await asyncio.sleep(0.5)


async def test_a_busy_service_is_asked_again_and_gets_only_the_newest(street: Street) -> None:
    ann, bob = await street.pair()
    browser = await bob.browser()
    await bob.settings()
    room = await ann.room(bob)
    # Time enough for two more meanwhile.
    browser.arrivals.answers += [(503, {"Retry-After": "8"})]
    first = await ann.post(room)
    async with asyncio.timeout(60):
        while not browser.arrivals.tries:
            await asyncio.sleep(0.02)
    for _ in range(2):
        last = await ann.post(room)
    (told,) = await browser.arrivals.until(1)
    assert told.said["id"] == last["id"] != first["id"]
    await browser.arrivals.nothing()


async def test_a_subscription_that_its_service_gave_up_is_gone(street: Street) -> None:
    ann, bob = await street.pair()
    browser, other = await bob.browser(), await bob.browser()
    await bob.settings()
    room = await ann.room(bob)
    browser.arrivals.answers.append((410, {}))
    await ann.post(room)
    await other.arrivals.until(1)
    async with asyncio.timeout(60):
        while len(await bob.subscriptions()) != 1:
            await asyncio.sleep(0.05)
    await ann.post(room)
    await other.arrivals.until(2)
    assert browser.arrivals.tries == 1


async def test_subscriptions_end_with_their_session_or_device(street: Street) -> None:
    ann, bob = await street.pair()
    room = await ann.room(bob)
    one, two, three = [await bob.again() for _ in range(3)]
    gone = [await one.browser(), await two.browser()]
    stays = await three.browser()
    await one.must("DELETE", "/session")
    device = (await two.must("GET", "/session"))["device"]
    await three.must("DELETE", f"/account/devices/{device}")
    async with asyncio.timeout(60):
        while len(await three.subscriptions()) != 1:
            await asyncio.sleep(0.05)
    await ann.post(room)
    await stays.arrivals.until(1)
    assert [browser.arrivals.tries for browser in gone] == [0, 0]


@pytest.mark.parametrize("way", ["leaves", "is erased"])
async def test_an_account_that_leaves_leaves_no_device(street: Street, way: str) -> None:
    ann, bob = await street.pair()
    room = await ann.room(bob)
    kinds = ("push.subscription", "push.settings")
    before = [kept(street.house, kind) for kind in kinds]
    browser = await bob.browser()
    await bob.settings()
    assert [kept(street.house, kind) for kind in kinds] == [count + 1 for count in before]
    if way == "leaves":
        await bob.must("DELETE", "/account")
    else:
        await bob.must("POST", "/account/erasure", {"confirm": bob.id})
    async with asyncio.timeout(60):
        while [kept(street.house, kind) for kind in kinds] != before:
            await asyncio.sleep(0.05)
    await ann.post(room)
    await browser.arrivals.nothing()


async def test_reactions_by_wish_and_invitations(street: Street) -> None:
    ann, bob = await street.pair()
    browser = await bob.browser()
    room = await ann.room(bob)
    (told,) = await browser.arrivals.until(1)
    assert (told.said["kind"], told.said["sender"]) == ("invite", ann.id)
    sent = await bob.post(room)
    at = f"/rooms/{room}/messages/{sent['id']}/reactions/%F0%9F%91%8D"
    await ann.must("PUT", at, {})
    await browser.arrivals.nothing()
    await bob.settings(reactions=True)
    await ann.must("DELETE", at)
    await ann.must("PUT", at, {})
    await browser.arrivals.until(2)
    assert browser.arrivals.told[1].said["kind"] == "reaction"
    assert browser.arrivals.told[1].said["id"] == sent["id"]
    await browser.arrivals.nothing()


async def test_what_is_deleted_leaves_the_screen(street: Street) -> None:
    ann, bob = await street.pair()
    browser = await bob.browser()
    await bob.settings()
    room = await ann.room(bob)
    sent = await ann.post(room)
    await browser.arrivals.until(1)
    await ann.must("DELETE", f"/rooms/{room}/messages/{sent['id']}")
    await browser.arrivals.until(2)
    said = browser.arrivals.told[1].said
    assert (said["kind"], said["id"]) == ("deleted", sent["id"])


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


async def test_a_test_notification_and_whose_it_is(street: Street) -> None:
    ann, bob = await street.pair()
    browser = await bob.browser()
    (mine,) = await bob.subscriptions()
    assert mine["current"] is True
    at = f"/push/subscriptions/{mine['id']}"
    for method, path in (("POST", at + "/test"), ("DELETE", at)):
        refused = await ann.ask(method, path)
        assert (refused.status, refused.code) == (404, "not_found")
    await bob.must("POST", at + "/test")
    (told,) = await browser.arrivals.until(1)
    assert told.said["kind"] == "test"
    await bob.must("DELETE", at)
    assert await bob.subscriptions() == []
    assert (await bob.ask("DELETE", at)).status == 404
    assert (await bob.ask("POST", at + "/test")).status == 404


async def test_a_browser_that_changes_hands_tells_its_new_owner_only(street: Street) -> None:
    ann, bob = await street.pair()
    browser = await ann.browser()
    await bob.must("POST", "/push/subscriptions", browser.wish())
    assert await ann.subscriptions() == []
    room = await ann.room(bob, kind="direct")
    await bob.post(room)
    await browser.arrivals.nothing()
    await ann.post(room)
    (told,) = await browser.arrivals.until(1)
    assert told.said["sender"] == ann.id
    # Again by the same session: one, under its old id.
    (first,) = await bob.subscriptions()
    await bob.must("POST", "/push/subscriptions", browser.wish())
    assert [one["id"] for one in await bob.subscriptions()] == [first["id"]]


async def test_what_no_service_gave_out_is_refused(street: Street) -> None:
    ann = await street.person()
    good = street.web.browser("x").wish()
    device = "ab" * 32
    for wish, pointer in (
        ({**good, "endpoint": "https://127.0.0.1:9/x"}, "/endpoint"),
        ({**good, "endpoint": "https://169.254.169.254/latest"}, "/endpoint"),
        ({**good, "endpoint": "https://[::1]/x"}, "/endpoint"),
        ({**good, "endpoint": "http://push.example/x"}, "/endpoint"),
        ({**good, "endpoint": "file:///etc/passwd"}, "/endpoint"),
        ({**good, "endpoint": ""}, "/endpoint"),
        ({**good, "p256dh": good["auth"]}, "/p256dh"),
        ({**good, "p256dh": services.b64url(b"\x04" + b"\x01" * 64)}, "/p256dh"),
        ({**good, "auth": services.b64url(bytes(15))}, "/auth"),
        ({**good, "token": device}, "/token"),
        ({"kind": "apns", "token": device[:-2]}, "/token"),
        ({"kind": "apns", "token": device, "auth": good["auth"]}, "/auth"),
        ({"kind": "fcm", "token": "short"}, "/token"),
        ({"kind": "fcm", "token": "x" * 40, "voip": True}, "/voip"),
        ({"kind": "carrier_pigeon"}, "/kind"),
        ({**good, "owner": "me"}, "/owner"),
    ):
        answer = await ann.ask("POST", "/push/subscriptions", wish)
        assert (answer.status, answer.code) == (422, "fields_invalid"), (wish, answer.text)
        assert answer.body["errors"][0]["pointer"] == pointer, (wish, answer.text)
    assert await ann.subscriptions() == []
    for settings, pointer in (
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"quiet": {"start": "25:00", "end": "07:00"}}, "/quiet/start"),
        ({"quiet": {"start": "22:00", "end": "07:00", "days": [7]}}, "/quiet/days/0"),
    ):
        answer = await ann.ask("PUT", "/push/settings", settings)
        assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, pointer), answer.text


async def test_guests_and_strangers_have_no_devices_to_wake(street: Street) -> None:
    guest = await street.there.guest()
    wish = street.web.browser("y").wish()
    for token, status in ((guest, 403), ("", 401)):
        for method, path, body in (
            ("POST", "/push/subscriptions", wish), ("GET", "/push/subscriptions", None),
            ("GET", "/push/settings", None), ("PUT", "/push/settings", {}),
        ):  # fmt: skip
            answer = await street.there.ask(method, path, body, token)
            assert answer.status == status, (method, path, answer.text)


async def test_who_had_processing_restricted_wakes_nobody_and_is_not_woken(street: Street) -> None:
    """Row C30."""
    ann, bob = await street.pair()
    hers, his = await ann.browser(), await bob.browser()
    await ann.settings()
    await bob.settings()
    room = await ann.room(bob)
    await ann.must("PUT", "/account/restriction")
    await ann.post(room)
    await bob.post(room)
    await his.arrivals.nothing()
    await hers.arrivals.nothing()
    await ann.must("DELETE", "/account/restriction")
    sent = await ann.post(room)
    (told,) = await his.arrivals.until(1)
    assert told.said["id"] == sent["id"]


async def test_c19_who_withdrew_is_not_woken(street: Street) -> None:
    """Where the operator lets waking rest on consent: nobody is without it, nor for a new text."""
    ann, bob = await street.pair()
    his = await bob.browser()
    await bob.settings()
    room = await ann.room(bob)
    register, mine = "/processing-register/push", "/account/consents/push"
    wish = {"basis": "consent", "title": "Push", "text": "We wake your device."}

    async def declared(**more: str) -> dict[str, Any]:
        answer = await street.there.ask("PUT", register, {**wish, **more}, street.owner)
        assert answer.status == 200, answer.text
        return {name: answer.body[name] for name in ("version", "sha256")}

    text = await declared()
    try:
        await ann.post(room, "before he agreed")
        await his.arrivals.nothing()
        await bob.must("PUT", mine, text)
        sent = await ann.post(room, "agreed")
        (told,) = await his.arrivals.until(1)
        assert told.said["id"] == sent["id"]
        await bob.must("DELETE", mine)
        await ann.post(room, "withdrawn")
        await declared(text="We wake your device, often.")
        await bob.must("POST", f"/rooms/{room}/read", {"seq": sent["seq"]})
        await ann.post(room, "another text")
        await his.arrivals.nothing()
        assert len(his.arrivals.told) == 1
    finally:
        await declared(basis="contract")
