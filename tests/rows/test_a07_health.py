"""Row A7: a room that holds health data tells nothing of it to anybody outside."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from signaling.accounts.sessions.authenticate import CACHE_SECONDS
from tests.rows.house import House, Visit, visiting
from tests.rows.rightful import Person, owner, people, person, until
from tests.signaling.delivery.house import Receiver, receiving

WORDS = "the x-ray of mister jones"
SECRET = "whsec_" + base64.b64encode(b"of the hospital's own system.....").decode()


@dataclass
class Ward:
    """A server with a webhook, a route of the API's, and two of its operator's: only the last of
    them is for health data.
    """

    there: Visit
    outside: Receiver
    operators: Receiver
    records: Receiver


@pytest.fixture
async def ward(housed: Callable[..., House]) -> AsyncIterator[Ward]:
    async with contextlib.AsyncExitStack() as stack:
        outside, operators, records = [
            await stack.enter_async_context(receiving()) for _ in range(3)
        ]  # fmt: skip
        allow = ", ".join(
            f'{{ network = "127.0.0.1/32", port = {one.port} }}'
            for one in (outside, operators, records)
        )
        toml = f"[egress]\nallow = [{allow}]\n" + "".join(
            f'[[delivery.routes]]\nid = "{name}"\ntype = "https"\nurl = "{one.url}"\n'
            f'secret = {{ env = "SOTTO_ROW_ROUTE" }}\nbatch = 1\nphi = {phi}\n'
            for name, one, phi in (("plain", operators, "false"), ("health", records, "true"))
        )
        settings = {"delivery.retry_most_seconds": "1", "delivery.incoming_per_minute": "6000"}
        house = housed(settings, toml=toml, environment={"SOTTO_ROW_ROUTE": SECRET})
        there = await stack.enter_async_context(visiting(house))
        admin = await owner(there)
        await admin.must("POST", "/webhooks", {"url": outside.url})
        to = {"type": "https", "url": outside.url}
        await admin.must("POST", "/routes", {"to": to, "name": "all of it"})
        yield Ward(there, outside, operators, records)


async def marked(who: Person, *others: Person) -> str:
    return await who.room(*others, settings={"phi": True})


async def test_a07_nothing_of_it_leaves_but_to_whom_the_operator_names(ward: Ward) -> None:
    ann, bob = await people(ward.there, 2)
    health, usual = await marked(ann, bob), await ann.room(bob)
    await ann.post(health, f"{WORDS} http://127.0.0.1:{ward.outside.port}/preview-me")
    await ann.post(usual, "lunch?")

    async def arrived() -> bool:
        return (
            ward.outside.texts.count("lunch?") == 2
            and "lunch?" in ward.operators.texts
            and len(ward.records.texts) == 2
        )

    await until(arrived, 120)
    assert any(WORDS in text for text in ward.records.texts)
    for receiver in (ward.outside, ward.operators):
        everything = b"".join(body for _, body in receiver.requests)
        assert WORDS.encode() not in everything and health.encode() not in everything
    # Nobody looks at what a message links to: the address was asked for events alone.
    assert all(path["content-type"].startswith("application/") for path, _ in ward.outside.requests)
    # Those who are in it read it, on every device.
    again = Person(ward.there, await ward.there.sign_in(bob.login), bob.login, bob.id)
    for reader in (bob, again):
        assert WORDS in (await reader.texts(health))[0]
    # From the moment on at which a room is marked.
    await ann.must("PATCH", f"/rooms/{usual}", {"phi": True}, headers={"If-Match": "*"})
    await ann.post(usual, "about mister jones")

    async def told() -> bool:
        return "about mister jones" in ward.records.texts

    await until(told, 120)
    assert "about mister jones" not in ward.outside.texts + ward.operators.texts


async def test_a07_no_program_outside_says_anything_in_it(ward: Ward) -> None:
    admin, ann = await owner(ward.there), await person(ward.there)
    room = await ann.room()
    wish = {"room": room, "name": "robot"}
    made = await admin.must("POST", "/incoming-webhooks", wish)
    path = "/api/v1" + made["url"].partition("/api/v1")[2]
    assert (await ward.there.send("POST", path, json={"text": "hello"})).status == 200
    await ann.must("PATCH", f"/rooms/{room}", {"phi": True}, headers={"If-Match": "*"})
    answer = await ward.there.send("POST", path, json={"text": "hello again"})
    assert (answer.status, answer.code) == (403, "not_permitted")
    answer = await admin.ask("POST", "/incoming-webhooks", wish)
    assert (answer.status, answer.code) == (403, "not_permitted")
    assert await ann.texts(room) == ["hello"]


async def test_a07_only_the_compliance_role_takes_the_mark_away(there: Visit) -> None:
    ann, bob = await people(there, 2)
    nurse, auditor = await person(there, "compliance"), await person(there, "auditor")
    room = await marked(ann, bob)
    for who in (ann, bob):
        answer = await who.ask("PATCH", f"/rooms/{room}", {"phi": False}, headers={"If-Match": "*"})
        assert (answer.status, answer.code) == (403, "not_permitted")
        assert (await who.ask("DELETE", f"/rooms/{room}/phi")).status == 403
    admin = await owner(there)
    assert (await admin.ask("DELETE", f"/rooms/{room}/phi")).status == 403
    for action in ("changeRoom", "unmarkHealthRoom"):
        await there.recorded(auditor.token, action, "denied", actor=f"account:{ann.id}")
    shown = await ann.must("GET", f"/rooms/{room}")
    assert shown["settings"]["phi"] is True
    await nurse.must("DELETE", f"/rooms/{room}/phi")
    assert "phi" not in (await ann.must("GET", f"/rooms/{room}"))["settings"]
    (record,) = await there.recorded(
        auditor.token, "unmarkHealthRoom", "allowed", target=f"room:{room}"
    )
    assert record["actor"] == f"account:{nurse.id}"
    assert (await nurse.ask("DELETE", f"/rooms/{'0' * 36}/phi")).status == 404
    # Whoever may change a room may mark it again, and saying so twice is once.
    for _ in range(2):
        await ann.must("PATCH", f"/rooms/{room}", {"phi": True}, headers={"If-Match": "*"})


async def test_a07_sessions_rest_less_for_who_is_in_such_a_room(later: House) -> None:
    async with visiting(later) as there:
        ann, bob = await people(there, 2)
        room = await marked(ann)
        # Whoever was looked at is believed for so long.
        await asyncio.sleep(CACHE_SECONDS + 0.1)
        assert (await ann.ask("GET", "/account")).status == 200
        later.move_on(600)
        for who in (ann, bob):
            assert (await who.ask("GET", "/account")).status == 200
        later.move_on(1000)
        answer = await ann.ask("GET", f"/rooms/{room}")
        assert (answer.status, answer.code) == (401, "token_expired"), answer.text
        assert (await bob.ask("GET", "/account")).status == 200
