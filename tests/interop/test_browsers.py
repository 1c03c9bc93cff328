"""livekit-client (npm) in Chromium and Firefox, each facing libwebrtc and one another."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.interop import clients, scenario
from tests.interop.peer import running
from tests.interop.servers import Server

pytestmark = pytest.mark.browser
BROWSERS = pytest.mark.parametrize("browser", ["chromium", "firefox"])
MODES = pytest.mark.parametrize("single", [True, False], ids=["single", "dual"])


@MODES
@BROWSERS
async def test_media_and_data_both_ways(
    server: Server, room: str, folder: Path, browser: str, single: bool
) -> None:
    tab = clients.start(browser, folder)
    other = clients.start("libwebrtc", folder, name="bob")
    async with running(tab, other) as (one, two):
        await scenario.join_all(server, room, [one, two], single=single)
        await one.do("publish", kind="audio")
        await one.do("publish", kind="video")
        await two.do("publish", kind="audio")
        await two.do("publish", kind="video")
        await asyncio.gather(scenario.hears_and_sees(one), scenario.hears_and_sees(two))
        await scenario.data_both_kinds(one, two)
        await scenario.streams_and_rpc(one, two)


@MODES
@BROWSERS
async def test_simulcast_layers_both_ways(
    server: Server, room: str, folder: Path, browser: str, single: bool
) -> None:
    tab = clients.start(browser, folder)
    other = clients.start("libwebrtc", folder, name="bob")
    async with running(tab, other) as (one, two):
        await scenario.join_all(server, room, [one, two], single=single)
        for peer in (one, two):
            await peer.do("publish", kind="video", simulcast=True, width=960, height=540)
        await asyncio.gather(
            scenario.layers_in_turn(one, (320, 640, 960)),
            scenario.layers_in_turn(two, (320, 640, 960)),
        )


async def test_chromium_and_firefox_see_each_other_within_five_seconds(
    server: Server, room: str, folder: Path
) -> None:
    async with running(clients.start("chromium", folder), clients.start("firefox", folder)) as (
        one,
        two,
    ):
        await scenario.join_all(server, room, [one, two])
        for tab in (one, two):
            await tab.do("publish", kind="audio")
            await tab.do("publish", kind="video")
        await asyncio.gather(
            scenario.hears_and_sees(one, within=5), scenario.hears_and_sees(two, within=5)
        )
