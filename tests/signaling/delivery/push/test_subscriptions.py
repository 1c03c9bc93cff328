"""Subscriptions: whose they are, what is refused as one, and how they end.

Through the `street`: a real server, devices of new people, services that check what they get.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.signaling.delivery.push import services
from tests.signaling.delivery.push.street import SCENE, Street, kept

pytestmark = SCENE


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
