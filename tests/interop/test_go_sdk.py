"""LiveKit's Go SDK (pion under it): signalling and media in both modes, and its server calls."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.interop import clients, media, scenario
from tests.interop.peer import running, track
from tests.interop.servers import Server

CALLS = [
    "create_room", "list_rooms", "list_participants", "get_participant", "mute_track",
    "update_participant", "update_room_metadata", "send_data",
]  # fmt: skip
LAST_CALLS = ["remove_participant", "delete_room"]
MODES = pytest.mark.parametrize("single", [True, False], ids=["single", "dual"])


@MODES
async def test_media_and_data_both_ways(
    server: Server, room: str, folder: Path, files: media.Files, single: bool
) -> None:
    gopher = clients.start("go-sdk", folder)
    other = clients.start("libwebrtc", folder, name="bob")
    async with running(gopher, other) as (one, two):
        await scenario.join_all(server, room, [one, two], single=single)
        await one.do("publish", kind="audio", file=files.audio)
        await one.do("publish", kind="video", file=files.small)
        await two.do("publish", kind="audio")
        await two.do("publish", kind="video")
        await asyncio.gather(scenario.hears_and_sees(one), scenario.hears_and_sees(two))
        await scenario.data_both_kinds(one, two)
        await scenario.streams_and_rpc(one, two)


@MODES
async def test_simulcast_layers_both_ways(
    server: Server, room: str, folder: Path, files: media.Files, single: bool
) -> None:
    gopher = clients.start("go-sdk", folder)
    other = clients.start("libwebrtc", folder, name="bob")
    async with running(gopher, other) as (one, two):
        await scenario.join_all(server, room, [one, two], single=single)
        await one.do("publish", kind="video", layers=files.layers())
        await two.do("publish", kind="video", simulcast=True, width=960, height=540)
        await asyncio.gather(
            scenario.layers_in_turn(one, (320, 640, 960)),
            scenario.layers_in_turn(two, (240, 480, 960)),
        )


async def test_server_calls(server: Server, room: str, folder: Path) -> None:
    gopher = clients.start("go-sdk", folder)
    other = clients.start("libwebrtc", folder, name="bob")
    async with running(gopher, other) as (one, two):
        await scenario.join(server, room, two)
        published = await two.do("publish", kind="audio")
        where: dict[str, Any] = {"url": server.http, "key": server.key}
        where.update(secret=server.secret, room=room, identity="bob", track=published["sid"])
        calls = partial(one.do, "service", **where)
        results = await calls(only=CALLS)
        assert results == dict.fromkeys(CALLS, "ok"), results
        # Another connection removes than the one that brings it: nothing orders the two.
        await two.until(
            lambda s: any(i["topic"] == "from-server" for i in s["inbox"]), 20, "its message"
        )
        results = await calls(only=LAST_CALLS)
        assert results == dict.fromkeys(LAST_CALLS, "ok"), results
        gone = await two.until(
            lambda s: any(e.startswith("disconnected") for e in s["events"]), 10, "removal"
        )
        assert track(gone, "video")["packets"] == 0
