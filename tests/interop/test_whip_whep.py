"""WHIP and WHEP with stacks that have no LiveKit signalling: each publishes, each watches.

LiveKit's server has neither, so these cannot be proven against it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.interop import clients, media, scenario
from tests.interop.peer import running
from tests.interop.servers import Server
from tests.interop.test_driver import STACKS
from tests.interop.whip_client import WhipSession, ffmpeg_publisher


@pytest.mark.parametrize("stack", STACKS)
async def test_publishes_by_whip(
    server: Server, room: str, folder: Path, files: media.Files, stack: str
) -> None:
    starting = clients.start(stack, folder), clients.start("libwebrtc", folder, name="bob")
    async with running(*starting) as (one, two), WhipSession(server, "whip", room, stack) as whip:
        await scenario.join(server, room, two)
        await whip.negotiate(one, ["audio", "video"], audio=files.audio, video=files.small)
        seen = await scenario.hears_and_sees(two)
        assert seen["participants"] == [stack]
        assert await whip.end() in (200, 204)
        await two.until(lambda s: not s["participants"], 10, "the publisher gone")


@pytest.mark.parametrize("stack", STACKS)
async def test_watches_by_whep(server: Server, room: str, folder: Path, stack: str) -> None:
    starting = clients.start(stack, folder), clients.start("libwebrtc", folder, name="alice")
    async with running(*starting) as (one, two), WhipSession(server, "whep", room, stack) as whep:
        await scenario.join(server, room, two)
        await two.do("publish", kind="audio")
        await two.do("publish", kind="video")
        await whep.negotiate(one, ["audio", "video"], participants=["alice"])
        await scenario.hears_and_sees(one)
        assert await whep.end() in (200, 204)


async def test_ffmpeg_publishes_by_whip(server: Server, room: str, folder: Path) -> None:
    async with running(clients.start("libwebrtc", folder, name="bob")) as (two,):
        await scenario.join(server, room, two)
        words = ffmpeg_publisher(server, room)
        log = (folder / "ffmpeg.log").open("wb")
        encoder = subprocess.Popen(words, stdout=log, stderr=log)  # noqa: ASYNC220 - at once
        try:
            await scenario.hears_and_sees(two, within=30)
        except AssertionError as error:
            raise AssertionError((folder / "ffmpeg.log").read_text()[-2000:]) from error
        finally:
            encoder.terminate()
            encoder.wait()
            log.close()
        await two.until(lambda s: not s["participants"], 10, "ffmpeg gone")
