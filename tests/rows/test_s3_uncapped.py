"""Rows 3.24, 3.25: nothing that was said is hidden behind a number, and no number of notices is."""

from __future__ import annotations

import asyncio
import re

from signaling.config.page import render
from tests.rows.house import House, visiting
from tests.rows.rightful import people

MANY = 1200
# Words of those who count months, messages or seats; `limits` bound rates and sizes.
METERED = re.compile(r"licen[cs]e|per_month|monthly|seats|most_messages|message_cap|push_cap")


async def test_s3_25_the_oldest_of_many_messages_is_read_and_found(wide: House) -> None:
    async with visiting(wide) as there:
        ann, bob = await people(there, 2)
        room = await ann.room(bob)
        first = await ann.post(room, "the oldest word")
        for start in range(0, MANY, 50):
            await asyncio.gather(*(ann.post(room, f"and {start + n}") for n in range(50)))
        assert await bob.found("oldest") == ["the oldest word"]
        shown = await bob.must("GET", f"/rooms/{room}/messages/{first['id']}")
        assert shown["body"]["text"] == "the oldest word"
        seen, params = 0, {"limit": "100"}
        while True:
            page = await bob.must("GET", f"/rooms/{room}/messages", params=params)
            seen += len(page["items"])
            if page["next_cursor"] is None:
                break
            params = {"limit": "100", "cursor": page["next_cursor"]}
        assert seen == MANY + 1


def test_s3_24_s3_25_there_is_no_cap_to_be_set() -> None:
    found = METERED.findall(render().lower())
    assert not found, "nothing of Sotto is counted by the month or by the head"
