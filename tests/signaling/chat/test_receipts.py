"""Receipts and counts where something else happens meanwhile, or somebody's key is locked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from signaling.chat.ops import Entry, Post
from signaling.chat.sealing import from_ms
from signaling.keys.envelope import Envelope
from signaling.keys.port import KeyInactive
from signaling.storage.port import Op as Stored
from tests.signaling.chat.entries import ident_of, plain
from tests.signaling.chat.rig import APP, Served


async def test_a_slow_count_brings_no_deleted_message_back(served: Served) -> None:
    room, house = await served.room("bob"), served.house
    sent = await served.ann.post(room, "soon gone")
    bob = await house.chatting.people.actor(house.principal("bob"))
    sealing: Any = house.chat.sealing
    right, opened, goes_on = sealing.open, asyncio.Event(), asyncio.Event()

    async def slow(app: str, name: str, stored: Sequence[Stored]) -> list[Entry]:
        sealing.open = right
        found: list[Entry] = await right(app, name, stored)
        opened.set()
        await goes_on.wait()
        return found

    sealing.open = slow
    counting = asyncio.create_task(house.chatting.receipts.counts(bob, room))
    await opened.wait()
    assert (await house.chatting.receipts.counts(bob, room)).messages == 1
    await served.ann.ask("DELETE", f"/rooms/{room}/messages/{sent['id']}")
    assert (await house.chatting.receipts.counts(bob, room)).messages == 0
    goes_on.set()
    assert (await counting).messages == 0
    assert (await house.chatting.receipts.counts(bob, room)).messages == 0


def lock(patch: pytest.MonkeyPatch, word: bytes) -> None:
    """The key of a row that says this was disabled."""
    right = Envelope.open

    async def open_(self: Envelope, app: str, aad: bytes, data: bytes) -> bytes:
        plain = await right(self, app, aad, data)
        if word in plain:
            raise KeyInactive
        return plain

    patch.setattr(Envelope, "open", open_)


async def test_a_locked_account_hides_its_own_receipt_and_no_other(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await served.room("bob", "cy")
    sent = await served.ann.post(room, "hello")
    for who in (served.bob, served.cy):
        await who.ask("POST", f"/rooms/{room}/read", {"seq": sent["seq"]})
    lock(monkeypatch, b"bob")
    told = await served.ann.ask("GET", f"/rooms/{room}/receipts")
    assert told.status == 200, told.body
    assert [one["account"] for one in told.body["items"]] == ["cy"]


async def test_a_locked_account_holds_up_nobody_elses_scheduled_post(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, clock = await served.room("bob"), served.house.clock
    at = from_ms(int(clock.unix() * 1000)) + timedelta(seconds=60)
    for who, text in ((served.bob, "of-the-locked"), (served.ann, "of another")):
        wish = {"at": at, "message": {"text": text}}
        assert (await who.ask("POST", f"/rooms/{room}/scheduled", wish)).status == 201
    clock.advance(61)
    with monkeypatch.context() as patch:
        lock(patch, b"of-the-locked")
        assert await served.house.chatting.later.send_due(APP) == 1
        assert await served.ann.texts(room) == ["of another"]
    assert await served.house.chatting.later.send_due(APP) == 1
    assert await served.ann.texts(room) == ["of another", "of-the-locked"]


async def test_hundreds_of_threads_that_were_read_one_by_one_stay_read(served: Served) -> None:
    room, house = await served.room("bob"), served.house
    bob = await house.chatting.people.actor(house.principal("bob"))
    known = await house.chat.rooms.find(APP, room)
    assert known is not None
    replies = [
        Post(id=ident_of(n + 1), body=plain("x"), parent=ident_of(n + 1001)) for n in range(510)
    ]
    said = await house.chat.say(known, *replies)
    counts = await house.chatting.receipts.counts(bob, room)
    assert len(counts.threads) == 510
    for entry, reply in zip(said, replies, strict=True):
        counts = await house.chatting.receipts.read(bob, room, entry.seq, reply.parent)
    assert counts.threads == {}
