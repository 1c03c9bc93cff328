"""The PyPI `livekit` package against the server, in both peer-connection modes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.interop import clients, scenario
from tests.interop.peer import running
from tests.interop.servers import Server

MODES = pytest.mark.parametrize("single", [True, False], ids=["single", "dual"])


@MODES
async def test_media_and_data_both_ways(
    server: Server, room: str, folder: Path, single: bool
) -> None:
    alice = clients.start("libwebrtc", folder, name="alice")
    bob = clients.start("libwebrtc", folder, name="bob")
    async with running(alice, bob) as (one, two):
        await scenario.join_all(server, room, [one, two], single=single)
        await asyncio.gather(one.do("publish", kind="audio"), two.do("publish", kind="audio"))
        await one.do("publish", kind="video")
        await scenario.hears_and_sees(two, video=True)
        await scenario.hears_and_sees(one, video=False)
        await scenario.data_both_kinds(one, two)
        await scenario.streams_and_rpc(one, two)


@MODES
async def test_simulcast_layers_both_ways(
    server: Server, room: str, folder: Path, single: bool
) -> None:
    alice = clients.start("libwebrtc", folder, name="alice")
    bob = clients.start("libwebrtc", folder, name="bob")
    async with running(alice, bob) as (one, two):
        await scenario.join_all(server, room, [one, two], single=single)
        for peer in (one, two):
            await peer.do("publish", kind="video", simulcast=True, width=960, height=540)
        await asyncio.gather(
            scenario.layers_in_turn(one, (320, 640, 960)),
            scenario.layers_in_turn(two, (320, 640, 960)),
        )
