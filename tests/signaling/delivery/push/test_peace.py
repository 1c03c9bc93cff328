"""Who is left in peace: by what a room, a person or the law says.

Through the `street`: a real server, devices of new people, services that check what they get.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.signaling.delivery.push.street import SCENE, Street

pytestmark = SCENE


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
