"""Row F7: the server's clock jumps, and whoever is connected does not notice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.rows.house import House, visiting
from tests.rows.peer import Peer, posted, seated
from tests.rows.rightful import people

HOUR, DAY = 3600, 86400
# Sessions that a month does not end, and messages that it does not take.
SETTINGS = {
    "sessions.idle_seconds": str(80 * DAY), "sessions.absolute_seconds": str(300 * DAY),
    "retention.messages_days": "0",
}  # fmt: skip


@pytest.mark.parametrize("jumps", [(HOUR, -HOUR, -HOUR, HOUR), (31 * DAY, -DAY)], ids=str)
async def test_f07_a_jump_of_the_clock_cuts_nobody_off_and_reorders_nothing(
    housed: Callable[..., House], jumps: tuple[int, ...]
) -> None:
    async with visiting(housed(SETTINGS, clock=True)) as there:
        ann, bob = await people(there, 2)
        room = await ann.room(bob)
        said: list[str] = []
        async with seated(ann, bob) as (writer, reader):
            for peer in (writer, reader):
                await peer.bind(f"room:{room}")
            for number, jump in enumerate((0, *jumps), 1):
                there.house.move_on(jump)
                await spoken(writer, reader, number, said)
                # Tokens of before go on, over HTTP as well; so do new sign-ins.
                rest = f"{number} over REST"
                await bob.post(room, rest)
                said.append(rest)
                for peer in (writer, reader):
                    await hears(peer, rest)
                await there.sign_in(ann.login)
            for peer in (writer, reader):
                await peer.alive()
        assert await ann.texts(room) == said
        log = await bob.log(room)
        assert [entry["seq"] for entry in log] == list(range(1, len(log) + 1))


async def spoken(writer: Peer, reader: Peer, number: int, said: list[str]) -> None:
    """By the socket that was open before; the other hears it."""
    text = f"{number} by the socket"
    await writer.upload(posted(number, text))
    said.append(text)
    await hears(reader, text)


async def hears(peer: Peer, text: str) -> None:
    """As the next that somebody said; of its own a device gets the place alone."""
    while True:
        changes = [c["op"] for c in (await peer.next("download")).get("changes", []) if "op" in c]
        if posts := [op["body"]["text"] for op in changes if op["type"] == "post"]:
            assert posts == [text]
            return
