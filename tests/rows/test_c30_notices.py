"""Row C30 (GDPR 19): whoever was given copies hears of correction, restriction and erasure."""

from __future__ import annotations

import secrets

from tests.rows.house import House, Visit, visiting
from tests.rows.rightful import Person, ended, owner, people, until
from tests.rows.sink import Sink

NAME = "Canary Thirty"
ALL = ["rectified", "restricted", "released", "erased"]


def notices(sink: Sink, path: str, account: str) -> list[str]:
    """Those about an account, in the order in which they came; twice is once."""
    found = {
        event["id"]: event
        for event in sink.events(path)
        if event["type"].startswith("sotto.account.") and event["subject"] == account
    }
    for event in found.values():
        rectified = event["type"] == "sotto.account.rectified"
        assert event["data"] == {"account": account, "fields": ["name"] if rectified else []}
        assert event["source"].endswith(f"/accounts/{account}") and NAME not in str(event)
    return [event["type"].removeprefix("sotto.account.") for event in found.values()]


async def test_c30_recipients_are_told_of_correction_restriction_and_erasure(
    wide: House, sink: Sink
) -> None:
    """A receiver that is down gets all of them; one who cannot have copies gets none."""
    hook, route, calls, elsewhere, others = (f"/{secrets.token_hex(6)}" for _ in range(5))
    async with visiting(wide) as there:
        root, (ann, bob, cy) = await owner(there), await people(there, 3)
        room = await ann.room(bob)
        sink.says[route] = (503, {})
        to = {"type": "https", "url": sink.url(route)}
        wish = {"to": to, "room": room, "filter": {"events": ["message.posted"]}, "batch": 4}
        await root.must("POST", "/routes", wish)
        for path, more in (
            (hook, {}), (calls, {"filter": {"events": ["call.*"]}}),
            (elsewhere, {"room": await cy.room()}), (others, {"filter": {"accounts": [cy.id]}}),
        ):  # fmt: skip
            await root.must("POST", "/webhooks", {"url": sink.url(path), **more})
        await done_to(there, ann)
        sink.says[route] = (200, {})

        async def told() -> bool:
            return all(notices(sink, path, ann.id) == ALL for path in (hook, route, calls))

        await until(told, 120)
        await cy.must("PATCH", "/account", {"name": NAME}, headers={"If-Match": "*"})

        async def hers() -> bool:
            return all(notices(sink, path, cy.id) == ALL[:1] for path in (hook, elsewhere, others))

        await until(hers, 120)
        for path in (elsewhere, others):
            assert notices(sink, path, ann.id) == []
        assert notices(sink, route, cy.id) == []


async def done_to(there: Visit, ann: Person) -> None:
    """Each once, though some are asked for twice."""
    for _ in range(2):
        await ann.must("PATCH", "/account", {"name": NAME}, headers={"If-Match": "*"})
    for method in ("PUT", "DELETE"):
        for _ in range(2):
            await ann.must(method, "/account/restriction")
    asked = await ann.ask("POST", "/account/erasure", {"confirm": ann.id})
    assert (await ended(there, asked.body["id"]))["counts"]["notices"] >= 3
