"""Late joiners (RFC 3711 section 3.3.1): the publisher's sequence numbers have wrapped before they
come, so its roll-over counter is 1, of which an RTP packet says nothing. Theirs begins at 0."""

from __future__ import annotations

import asyncio

import pytest
from aiortc import rtcrtpsender
from aiortc.mediastreams import AudioStreamTrack

from mediaserver.api import CallMedia, Kind, SubscribeSettings
from tests.mediaserver.clients import Client, media_server
from tests.mediaserver.fakes import HeardCall

FIRST = 65_500
WRAPPED = 2**16 - FIRST + 50
"""Packets until the wrap lies a second behind."""


async def listener(call: CallMedia, name: str) -> Client:
    client = Client(call, name)
    client.receive(Kind.AUDIO)
    client.participant.subscribe("TR_a", SubscribeSettings())
    await client.negotiate()
    await client.connected()
    return client


async def test_who_joins_after_a_wrap_decrypts(monkeypatch: pytest.MonkeyPatch) -> None:
    """And who was there before it goes on doing so."""
    monkeypatch.setattr(rtcrtpsender, "random_sequence_number", lambda: FIRST)
    async with media_server() as server, asyncio.timeout(120):
        call = server.call("RM_e", HeardCall())
        sender = Client(call, "PA_sender")
        sender.publish(AudioStreamTrack(), "TR_a")
        await sender.negotiate()
        early = await listener(call, "PA_early")
        for _ in range(WRAPPED):
            await early.tracks[0].recv()
        late = await listener(call, "PA_late")
        for client in (late, early):
            for _ in range(50):
                await client.tracks[0].recv()
        assert sender.participant.stats().published[0].packets > WRAPPED
        assert not {"auth_fail", "replay"} & {r for r, n in server.stats().drops.items() if n}
        for client in (sender, early, late):
            await client.close()
