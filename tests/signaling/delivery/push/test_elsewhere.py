"""What is seen on another device, or taken back, or followed by something newer.

Through the `street`: a real server, devices of new people, services that check what they get.
"""

from __future__ import annotations

import asyncio

from tests.signaling.delivery.push.street import SCENE, Street

pytestmark = SCENE


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
