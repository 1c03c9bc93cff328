"""Idempotency keys, cursors, entity tags, streams: what every operation shares."""

from __future__ import annotations

import asyncio

import pytest

from signaling.accounts.principal import Principal
from signaling.errors import ClientError
from signaling.http.api.cursor import Cursors
from signaling.http.api.endpoint import entity_tags
from signaling.http.api.idempotency import (
    KEPT_SECONDS,
    RUNNING_SECONDS,
    Idempotency,
    Kept,
    Ticket,
    read_key,
)
from signaling.ids import SystemEntropy
from signaling.storage.memory import MemoryStore
from signaling.storage.table import Table
from tests.signaling.http.api.shop import Open, Thing


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


async def test_a_post_sent_twice_is_done_once(shop: Open) -> None:
    first = await shop.ask("POST", "/things", json={"name": "a"}, headers=key("k1"))
    again = await shop.ask("POST", "/things", json={"name": "a"}, headers=key("k1"))
    assert first[:2] == again[:2]
    assert again[2]["Idempotency-Replayed"] == "true"
    assert again[2]["ETag"] == first[2]["ETag"] == '"v1"'
    assert again[2]["Location"] == first[2]["Location"]
    assert again[2]["X-Request-Id"] != first[2]["X-Request-Id"]
    assert len(shop.shop.things) == 1
    got, body, _ = await shop.ask("POST", "/things", json={"name": "b"}, headers=key("k1"))
    assert (got, body["code"]) == (422, "idempotency_mismatch")
    # Somebody else's key is another key; so is the same one a day later.
    assert (await shop.ask("POST", "/things", "bob", json={"name": "b"}, headers=key("k1")))[
        0
    ] == 201
    shop.shop.clock.advance(KEPT_SECONDS + 1)
    assert (await shop.ask("POST", "/things", json={"name": "c"}, headers=key("k1")))[0] == 201
    assert len(shop.shop.things) == 3


async def test_a_key_in_flight_is_a_conflict_and_free_after_a_crash(shop: Open) -> None:
    running = asyncio.create_task(shop.ask("POST", "/wait", headers=key("k2")))
    while not shop.shop.gate._waiters:
        await asyncio.sleep(0)
    got, body, headers = await shop.ask("POST", "/wait", headers=key("k2"))
    assert (got, body["code"], headers["Retry-After"]) == (409, "idempotency_in_flight", "1")
    shop.shop.gate.set()
    assert (await running)[0] == 204
    got, _, headers = await shop.ask("POST", "/wait", headers=key("k2"))
    assert (got, headers["Idempotency-Replayed"]) == (204, "true")
    # A process that died left the key running: it is free again soon.
    principal = Principal(app="one", account="ann")
    await shop.ports.idempotency.begin(principal, "wait", "k3", b"x")
    with pytest.raises(ClientError):
        await shop.ports.idempotency.begin(principal, "wait", "k3", b"x")
    shop.shop.clock.advance(RUNNING_SECONDS + 1)
    await shop.ports.idempotency.begin(principal, "wait", "k3", b"x")


async def test_what_a_process_that_is_gone_left_running_is_taken_over_once(shop: Open) -> None:
    """Where a store lets one process in at a time; elsewhere the other may be slow only."""
    table = Table(MemoryStore(shop.shop.clock), "idempotency", Kept)
    principal = Principal(app="one", account="ann")

    def process(owner: str, *, alone: bool) -> Idempotency:
        return Idempotency(table, shop.shop.clock, owner, alone=alone)

    async def refusal(where: Idempotency, said: bytes) -> int:
        with pytest.raises(ClientError) as refused:
            await where.begin(principal, "wait", "k", said)
        return refused.value.status

    died, heir = process("first", alone=True), process("second", alone=True)
    left = await died.begin(principal, "wait", "k", b"x")
    assert isinstance(left, Ticket)
    assert await refusal(died, b"x") == 409
    assert await refusal(process("beside", alone=False), b"x") == 409
    assert await refusal(heir, b"other") == 422
    both = await asyncio.gather(
        *(heir.begin(principal, "wait", "k", b"x") for _ in range(2)), return_exceptions=True
    )
    (ticket,) = [made for made in both if isinstance(made, Ticket)]
    assert [error.status for error in both if isinstance(error, ClientError)] == [409]
    await heir.keep(ticket, 201, (), b"new")
    await died.keep(left, 201, (), b"old")  # had it lived after all: its answer is not the one
    await died.drop(left)
    kept = await heir.begin(principal, "wait", "k", b"x")
    assert isinstance(kept, Kept) and kept.body == b"new"


async def test_a_refusal_is_kept_and_our_own_failure_is_not(shop: Open) -> None:
    for _ in range(2):
        got, _, headers = await shop.ask("POST", "/fail", headers=key("k4"))
        assert (got, "Idempotency-Replayed" in headers) == (500, False)
    bad = {"name": ""}
    assert (await shop.ask("POST", "/things", json=bad, headers=key("k5")))[0] == 422
    # What was never understood was never begun.
    assert (await shop.ask("POST", "/things", json={"name": "a"}, headers=key("k5")))[0] == 201


@pytest.mark.parametrize("text", ["", " ", "a" * 129, "a b", "ä", "a\x7f", '"', '"a'])
def test_a_key_is_visible_characters(text: str) -> None:
    with pytest.raises(ClientError):
        read_key(text)


def test_a_key_may_be_a_structured_string() -> None:
    assert read_key('"abc"') == read_key("abc") == "abc"
    assert read_key(None) is None


async def test_cursors_walk_a_list_there_and_back(shop: Open) -> None:
    shop.shop.things = [Thing(f"t{n}", "x", n) for n in range(7)]
    got, page, headers = await shop.ask("GET", "/things?limit=3")
    assert (got, page["prev_cursor"]) == (200, None)
    seen = [t["id"] for t in page["items"]]
    while page["next_cursor"]:
        assert 'rel="next"' in headers["Link"]
        # Somebody adds one meanwhile: nothing comes twice, nothing is left out.
        _, page, headers = await shop.ask("GET", f"/things?limit=3&cursor={page['next_cursor']}")
        seen += [t["id"] for t in page["items"]]
    assert seen == [f"t{n}" for n in range(7)]
    assert 'rel="prev"' in headers["Link"]
    _, page, _ = await shop.ask("GET", f"/things?limit=3&cursor={page['prev_cursor']}")
    assert [t["id"] for t in page["items"]] == ["t3", "t4", "t5"]
    # Following the Link itself works too.
    there = headers["Link"].partition("<")[2].partition(">")[0]
    async with shop.client.get(
        shop.base + there, headers={"Authorization": "Bearer ann"}
    ) as answer:
        assert answer.status == 200


def test_a_cursor_belongs_to_one_list_and_one_person() -> None:
    cursors = Cursors(bytes(32), SystemEntropy().token)
    ann = Principal(app="one", account="ann")
    made = cursors.after("listThings", ann, "42")
    assert cursors.ask({"cursor": made}, "listThings", ann).after == "42"
    assert made != cursors.after("listThings", ann, "42")
    for operation, who in (
        ("listOthers", ann),
        ("listThings", Principal(app="one", account="bob")),
        ("listThings", Principal(app="two", account="ann")),
    ):
        with pytest.raises(ClientError):
            cursors.ask({"cursor": made}, operation, who)
    for place in range(0, len(made), 5):
        forged = made[:place] + ("A" if made[place] != "A" else "B") + made[place + 1 :]
        with pytest.raises(ClientError):
            cursors.ask({"cursor": forged}, "listThings", ann)


async def test_a_lost_update_is_noticed(shop: Open) -> None:
    shop.shop.things = [Thing("t0", "x", 1)]
    path, new = "/things/t0", {"name": "y", "price": 2}
    _, _, headers = await shop.ask("GET", path)
    etag = headers["ETag"]
    got, body, _ = await shop.ask("PUT", path, json=new)
    assert (got, body["code"]) == (428, "precondition_required")
    for wrong in ('"v9"', 'W/"v1"', "v1", '""', ""):
        got, body, _ = await shop.ask("PUT", path, json=new, headers={"If-Match": wrong})
        assert (got, body["code"]) == (412, "precondition_failed"), wrong
    assert (await shop.ask("PUT", path, json=new, headers={"If-Match": f'"v7", {etag}'}))[0] == 200
    got, body, _ = await shop.ask("PUT", path, json=new, headers={"If-Match": etag})
    assert (got, body["code"]) == (412, "precondition_failed")
    assert (await shop.ask("PUT", path, json=new, headers={"If-Match": "*"}))[0] == 200
    assert (await shop.ask("GET", path, headers={"If-None-Match": '"v2"'}))[0] == 304
    assert (await shop.ask("GET", path, headers={"If-None-Match": '"v1"'}))[0] == 200


def test_entity_tags_are_read() -> None:
    assert entity_tags(None) is None
    assert entity_tags(" * ") == ("*",)
    assert entity_tags('"a" , W/"b","c"') == ("a", "c")


async def test_answers_are_not_stored_and_say_what_they_are(shop: Open) -> None:
    got, _, headers = await shop.ask("POST", "/things", json={"name": "a"})
    assert got == 201
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    got, text, headers = await shop.ask("GET", "/export")
    assert headers["Content-Type"].startswith("application/x-ndjson")
    assert text.count("\n") == 1
    got, text, headers = await shop.ask("HEAD", "/things/t0")
    assert (got, text) == (200, "")
    assert int(headers["Content-Length"]) > 0
