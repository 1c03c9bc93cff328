"""Bounds of the configuration: what is allowed works, what is beyond does not. The engine is real,
but for the last two.
"""

import asyncio
import re
from collections import Counter
from dataclasses import fields, replace

import pytest

from mediaserver._engine import Engine
from mediaserver.api import (
    Kind,
    MediaLimits,
    Mode,
    SharedLimits,
    SubscribeSettings,
    Target,
    TrackSpec,
    Unavailable,
)
from mediaserver.engine_types import EngineLimits
from mediaserver.errors import ClientError, Code
from mediaserver.node import MediaServer, engine_limits
from mediaserver.participant.participant import Participant
from mediaserver.sdp import parse
from tests.mediaserver.clients import media_server
from tests.mediaserver.engine.clients import REMOTE_PWD, REMOTE_UFRAG, UdpClient, binding
from tests.mediaserver.fakes import Heard, HeardCall, House
from tests.mediaserver.test_participants import OFFERS, publish

SETTINGS = SubscribeSettings()
TRACKS = 100
"""What signaling lets one participant publish."""


def offer_of(sections: int) -> str:
    """Chromium's audio section, so many times, each with a track and an SSRC of its own."""
    head, audio = OFFERS["dual_publish"].split("m=")[:2]
    cid = parse(OFFERS["dual_publish"]).sections[0].msid_track
    ssrc = re.findall(r"a=ssrc:(\d+)", audio)[0]
    copies = [
        audio.replace("a=mid:0\r\n", f"a=mid:{mid}\r\n")
        .replace(cid, f"cid-{mid}")
        .replace(ssrc, str(int(ssrc) + mid))
        for mid in range(sections)
    ]
    group = " ".join(str(mid) for mid in range(sections))
    head = re.sub(r"a=group:BUNDLE [^\r]*", f"a=group:BUNDLE {group}", head)
    return "m=".join([head, *copies])


def join(server: MediaServer, participant_id: str, mode: Mode) -> tuple[Participant, Heard]:
    heard = Heard()
    participant = server.call("RM", HeardCall()).add_participant(participant_id, mode, heard)
    assert isinstance(participant, Participant)
    return participant, heard


def declare(participant: Participant, *numbers: int) -> None:
    for number in numbers:
        participant.declare_track(TrackSpec(f"TR_{number}", f"cid-{number}", Kind.AUDIO))


async def test_a_hundred_tracks_of_one_participant_are_published() -> None:
    async with media_server() as server:
        publisher, heard = join(server, "PA_p", Mode.SINGLE)
        declare(publisher, *range(TRACKS))
        await publisher.offer(Target.PUBLISHER, offer_of(TRACKS))
        assert [t[1].track_id for t in heard.named("published")] == [
            f"TR_{number}" for number in range(TRACKS)
        ]
        assert not heard.named("publish_refused")
        stats = server.stats()
        assert (stats.publications, +Counter(stats.drops)) == (TRACKS, Counter())


async def test_the_track_beyond_the_limit_is_refused_when_it_is_declared() -> None:
    async with media_server(limits=MediaLimits(tracks=70)) as server:
        publisher, _ = join(server, "PA_p", Mode.SINGLE)
        declare(publisher, *range(70))
        with pytest.raises(ClientError) as refused:
            declare(publisher, 70)
        assert refused.value.code is Code.TOO_MANY_TRACKS
        await publisher.offer(Target.PUBLISHER, offer_of(70))
        assert server.stats().publications == 70


async def test_the_subscription_beyond_the_limit_is_refused_when_it_is_asked_for() -> None:
    async with media_server(limits=MediaLimits(subscriptions=3)) as server:
        subscriber, _ = join(server, "PA_s", Mode.DUAL)
        for number in range(3):
            subscriber.subscribe(f"TR_{number}", SETTINGS)
        with pytest.raises(ClientError) as refused:
            subscriber.subscribe("TR_3", SETTINGS)
        assert refused.value.code is Code.TOO_MANY_TRACKS


def test_the_engine_allows_what_the_configuration_allows() -> None:
    bounds = engine_limits(MediaLimits(tracks=600, sdp_sections=1300, subscriptions=9000))
    assert bounds.publications_per_transport >= 600
    assert bounds.subscriptions_per_transport == 9000


SHARED = {bound.name for bound in fields(SharedLimits)}


def test_bounds_of_one_name_are_one_bound() -> None:
    assert {one.name for one in fields(MediaLimits)} & {
        one.name for one in fields(EngineLimits)
    } == SHARED, "nothing is written twice"
    # Each another value, so that none can stand in for another.
    changed = {name: 11 + number for number, name in enumerate(sorted(SHARED))}
    bounds = engine_limits(replace(MediaLimits(), **changed))
    assert {name: getattr(bounds, name) for name in SHARED} == changed


async def test_a_connection_may_send_as_many_packets_as_were_configured() -> None:
    async with media_server(limits=MediaLimits(packets_per_second=40)) as server:
        publisher, _ = join(server, "PA_p", Mode.SINGLE)
        ice = publisher.connections[Target.PUBLISHER]._ice
        engine = server._context.engine
        assert isinstance(engine, Engine)
        engine.set_remote_ice(ice.transport, REMOTE_UFRAG, REMOTE_PWD)
        udp = UdpClient(engine)
        assert udp.ask(binding(ice)) is not None
        for _ in range(200):
            udp.send(bytes([0x80, 111]) + bytes(30))
        async with asyncio.timeout(30):
            while server.stats().drops.get("over_rate", 0) < 150:
                await asyncio.sleep(0.05)


async def test_a_track_that_was_refused_frees_its_section_for_no_other() -> None:
    house = House()
    house.engine.refuse = "publish"
    participant, heard = await publish(house)
    house.engine.refuse = ""
    participant.declare_track(TrackSpec("TR_new", "of a later offer", Kind.VIDEO))
    await participant.offer(Target.PUBLISHER, OFFERS["dual_publish"])
    assert heard.named("published") == [] and not house.engine.publications
    await house.server.stop()


async def test_limits_of_one_participant_and_of_the_call() -> None:
    house = House(MediaLimits(tracks=1, subscriptions=1, participants_per_call=1))
    participant, _ = house.join()
    participant.declare_track(TrackSpec("TR_1", "1", Kind.AUDIO))
    with pytest.raises(ClientError):
        participant.declare_track(TrackSpec("TR_2", "2", Kind.AUDIO))
    participant.subscribe("TR_x", SETTINGS)
    with pytest.raises(ClientError):
        participant.subscribe("TR_y", SETTINGS)
    with pytest.raises(ClientError) as error:
        house.join("PA_b")
    assert error.value.code is Code.TOO_MANY_PARTICIPANTS
    await house.server.stop()


async def test_engine_that_is_full_says_so_and_leaves_no_trace() -> None:
    house = House()
    house.engine.refuse = "create_transport"
    with pytest.raises(Unavailable):
        house.join()
    assert not house.context.transports and not len(house.call)
    house.engine.refuse = "publish"
    _, heard = await publish(house)
    assert heard.named("published") == []
    refused = [("publish_refused", "TR_a", "limit"), ("publish_refused", "TR_v", "limit")]
    assert heard.named("publish_refused") == refused
    await house.server.stop()
