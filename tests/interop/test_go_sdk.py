"""LiveKit's Go SDK (pion under it): signalling and media in both modes, and its server calls."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.interop import clients, media, scenario
from tests.interop.peer import running, track
from tests.interop.servers import Server

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


async def test_simulcast_layers_both_ways(
    server: Server, room: str, folder: Path, files: media.Files
) -> None:
    gopher = clients.start("go-sdk", folder)
    other = clients.start("libwebrtc", folder, name="bob")
    async with running(gopher, other) as (one, two):
        await scenario.join_all(server, room, [one, two], single=False)
        await one.do("publish", kind="video", layers=files.layers())
        await scenario.layers_in_turn(two, (240, 480, 960))
        await two.do("publish", kind="video", simulcast=True, width=960, height=540)
        await scenario.layers_in_turn(one, (320, 640, 960))


async def test_server_calls(server: Server, room: str, folder: Path) -> None:
    gopher = clients.start("go-sdk", folder)
    other = clients.start("libwebrtc", folder, name="bob")
    async with running(gopher, other) as (one, two):
        await scenario.join(server, room, two)
        published = await two.do("publish", kind="audio")
        results = await one.do(
            "service",
            url=server.http,
            key=server.key,
            secret=server.secret,
            room=room,
            identity="bob",
            track=published["sid"],
        )
        assert set(results.values()) == {"ok"}, results
        gone = await two.until(
            lambda s: any(e.startswith("disconnected") for e in s["events"]), 10, "removal"
        )
        assert any(i["topic"] == "from-server" for i in gone["inbox"])
        assert track(gone, "video")["packets"] == 0
