"""The node and its calls: engine events to the right listener, draining, statistics."""

import asyncio
import json
import logging
from typing import Any

import pytest

from mediaserver import demand
from mediaserver.api import (
    CodecSpec,
    Kind,
    MediaLimits,
    SubscribeSettings,
    Target,
    TrackSpec,
    Unavailable,
)
from mediaserver.engine_types import (
    ActiveSpeakers,
    DemandChanged,
    DtlsReceived,
    EncodingStarted,
    EventsLost,
    IceConnected,
    LayerChanged,
    StreamStateChanged,
    TransportActive,
    TransportFailed,
    TransportIdle,
)
from mediaserver.participant.participant import Participant
from tests.mediaserver.fakes import Heard, HeardCall, House
from tests.mediaserver.test_participants import OFFERS, cids, publish, turn

SETTINGS = SubscribeSettings()


def transport(participant: Participant) -> int:
    return participant.connections[Target.PUBLISHER].transport


async def pump(house: House, *events: Any) -> None:
    house.engine.put(*events)
    await asyncio.sleep(0.01)


async def test_engine_events_reach_the_right_listener() -> None:
    house = House()
    publisher, heard = await publish(house)
    subscriber, other = house.join("PA_s")
    subscriber.subscribe("TR_v", SETTINGS)
    await subscriber.offer(Target.PUBLISHER, OFFERS["whep"])
    subscription = next(iter(house.engine.subscriptions))
    audio, video = house.engine.publications
    await pump(
        house,
        StreamStateChanged(subscription, True),
        LayerChanged(subscription, 1, 2),
        EncodingStarted(video, 1, 4242, "vp8"),
        ActiveSpeakers(house.call.number, ((audio, 0.5, True), (999, 0.1, False))),
        TransportIdle(transport(publisher), 4000),
        TransportActive(transport(publisher)),
    )
    assert other.named("stream_state") == [("stream_state", [("TR_v", True)])]
    assert house.listener.speakers == [[("PA_p", "TR_a", 0.5, True)]]
    assert house.context.publications[video].ssrcs == {1: 4242}
    assert house.context.subscriptions[subscription].spatial == 1
    assert not heard.named("idle"), "a connection that never connected is not idle"
    await house.server.stop()


async def test_idle_and_active_are_of_the_whole_participant() -> None:
    house = House()
    participant, heard = house.join()
    number = transport(participant)
    await pump(house, IceConnected(number, "udp", "198.51.100.1:5"), TransportIdle(number, 4000))
    assert heard.named("idle") == [("idle", 4.0)]
    await pump(house, TransportIdle(number, 10_000), TransportActive(number))
    assert heard.told[-2:] == [("idle", 10.0), ("active",)]
    await house.server.stop()


async def test_failed_transport_is_told_once() -> None:
    house = House()
    participant, heard = house.join()
    failed = TransportFailed(transport(participant), "srtp_key")
    await pump(house, failed, failed)
    assert heard.named("failed") == [("failed", Target.PUBLISHER, "srtp_key")]
    await house.server.stop()


async def test_events_of_things_that_are_gone_are_ignored() -> None:
    house = House()
    await pump(
        house,
        DtlsReceived(77, b"x"),
        IceConnected(77, "udp", ""),
        TransportIdle(77, 1),
        TransportFailed(77, "x"),
        StreamStateChanged(77, True),
        LayerChanged(77, 0, 0),
        EncodingStarted(77, 0, 0, "vp8"),
        DemandChanged(77, 0),
        ActiveSpeakers(77, ()),
        EventsLost(5),
    )
    assert house.server.stats().events_lost == 5
    await house.server.stop()


async def test_listener_that_raises_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    house = House()
    participant, heard = house.join()
    good, told = house.join("PA_b")

    def broken(target: Target, reason: str) -> None:
        raise RuntimeError("a bug of ours")

    heard.on_failed = broken  # type: ignore[method-assign]
    caplog.set_level(logging.ERROR)
    await pump(
        house,
        TransportFailed(transport(participant), "x"),
        TransportFailed(transport(good), "x"),
    )
    assert told.named("failed") and len(caplog.records) == 1
    await house.server.stop()


async def test_many_events_take_several_turns_of_the_loop() -> None:
    house = House()
    await pump(house, *[EventsLost(1)] * 3000)
    for _ in range(5):
        await asyncio.sleep(0)
    assert house.server.stats().events_lost == 3000
    await house.server.stop()


async def test_demand_rises_at_once_and_falls_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demand, "LOWER_AFTER_S", 0.02)
    house = House()
    _, heard = await publish(house)
    video = list(house.engine.publications)[1]
    await pump(house, DemandChanged(video, 0), DemandChanged(video, 2))
    await asyncio.sleep(0.05)
    assert heard.named("demand") == []
    await pump(house, DemandChanged(video, -1))
    await heard.event("demand")
    assert heard.named("demand")[-1][2] == [("video/vp8", [(0, False), (1, False), (2, False)])]
    await pump(house, DemandChanged(video, 1))
    assert heard.named("demand")[-1][2] == [("video/vp8", [(0, True), (1, True), (2, False)])]
    await house.server.stop()


async def test_track_that_nobody_watches_is_asked_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demand, "UNWATCHED_AFTER_S", 0.02)
    house = House()
    _, heard = await publish(house)
    await heard.event("demand")
    assert [t[1:] for t in heard.named("demand")] == [
        ("TR_v", [("video/vp8", [(0, False), (1, False), (2, False)])])
    ]
    audio, _ = house.engine.publications
    await pump(house, DemandChanged(audio, 2), DemandChanged(audio, -1))
    assert len(heard.named("demand")) == 1
    await house.server.stop()


@pytest.mark.parametrize(
    ("offer", "low", "nobody"),
    [
        ("whip", [(2, True)], [(2, False)]),
        (
            "svc",
            [(0, True), (1, False), (2, False)],
            [(0, False), (1, False), (2, False)],
        ),
    ],
)
async def test_demand_of_a_single_encoding_never_asks_for_less_than_it(
    offer: str, low: list[tuple[int, bool]], nobody: list[tuple[int, bool]]
) -> None:
    house = House()
    publisher, _ = house.join("PA_p")
    own = cids(OFFERS[offer])["video"]
    codec = CodecSpec("video/vp9", own) if offer == "svc" else CodecSpec("video/vp8", own)
    publisher.declare_track(TrackSpec("TR_v", own, Kind.VIDEO, codecs=(codec,)))
    await publisher.offer(Target.PUBLISHER, OFFERS[offer])
    (publication,) = house.context.publications.values()
    track = house.call.tracks.get("TR_v")
    assert track is not None
    for demanded, expected in ((0, low), (-1, nobody)):
        publication.demand = demanded
        assert demand.demanded(track)[0][1] == expected
    await house.server.stop()


async def test_publisher_is_asked_for_its_backup_codec() -> None:
    house = House()
    publisher, heard = house.join("PA_p")
    own = cids(OFFERS["svc"])["video"]
    codecs = (CodecSpec("video/AV1", own), CodecSpec("video/VP8", ""))
    publisher.declare_track(TrackSpec("TR_v", own, Kind.VIDEO, codecs=codecs))
    await publisher.offer(Target.PUBLISHER, OFFERS["svc"])
    for name in ("PA_s", "PA_t"):
        subscriber, _ = house.join(name)
        subscriber.subscribe("TR_v", SETTINGS)
        await subscriber.offer(Target.PUBLISHER, OFFERS["whep"])
    assert len(heard.named("demand")) == 1
    assert heard.named("demand")[0][2][1] == (
        "video/vp8",
        [(0, True), (1, True), (2, True)],
    )
    await house.server.stop()


async def test_stop_drains_until_the_last_call_ends() -> None:
    house = House()
    participant, _ = house.join()
    stopping = asyncio.create_task(house.server.stop(30))
    await turn()
    with pytest.raises(Unavailable):
        house.server.call("RM_new", HeardCall())
    assert not stopping.done()
    await house.call.close()
    async with asyncio.timeout(60):
        await stopping
    assert house.engine.named("close")
    await house.server.stop()
    await participant.close()


async def test_stop_has_a_bound() -> None:
    house = House()
    house.join()
    async with asyncio.timeout(60):
        await house.server.stop(0.01)
    assert not house.engine.transports


async def test_call_is_made_once_and_forgotten_when_it_closes() -> None:
    house = House()
    assert house.server.call("RM_a", HeardCall()) is house.call
    await house.call.close()
    await house.call.close()
    assert house.server.stats().calls == 0
    assert house.server.call("RM_a", HeardCall()) is not house.call
    await house.server.stop()


async def test_stats_join_the_snapshot_with_what_python_knows() -> None:
    house = House(MediaLimits())
    publisher, _ = await publish(house)
    subscriber, _ = house.join("PA_s")
    subscriber.subscribe("TR_v", SETTINGS)
    await subscriber.offer(Target.PUBLISHER, OFFERS["whep"])
    number = transport(publisher)
    subscription = next(iter(house.engine.subscriptions))
    video = list(house.engine.publications)[1]
    house.engine.data = {
        "workers": [
            {"counters": {"packets_in": 5}, "drops": {"replay": 2}},
            {"counters": {"packets_in": 7}, "drops": {"replay": 1}},
        ],
        "transports": {str(number): {"last_receive_ms": 1500, "rtt_ms": 12, "bytes_in": 9}},
        "publications": {
            str(video): {"encodings": [{"quality": 1, "packets": 3, "bitrate": 8}, {"quality": 2}]}
        },
        "subscriptions": {str(subscription): {"packets": 4, "spatial": 1, "paused": True}},
    }
    assert publisher.last_packet_age() == 1.5
    stats = publisher.stats()
    assert stats.transports[0].rtt_ms == 12
    assert (stats.published[1].packets, stats.published[1].layer) == (3, 1)
    watched = subscriber.stats().subscribed[0]
    assert (watched.packets, watched.layer, watched.paused) == (4, 1, True)
    assert subscriber.last_packet_age() == float("inf")
    total = house.server.stats()
    assert (total.packets_in, total.drops["replay"]) == (12, 3)
    assert (total.calls, total.participants, total.subscriptions) == (1, 2, 1)
    json.dumps(house.engine.data)
    await house.server.stop()


async def test_certificate_is_renewed_for_new_connections_only() -> None:
    house = House()
    participant, _ = house.join()
    before = await participant.offer(Target.PUBLISHER, OFFERS["data"])
    old = house.context.certificate.fingerprint
    house.server._renew()
    assert house.context.certificate.fingerprint != old
    again = await participant.offer(Target.PUBLISHER, OFFERS["data"])
    assert old in before.sdp and old in again.sdp
    other, _ = house.join("PA_b")
    assert (
        house.context.certificate.fingerprint
        in (await other.offer(Target.PUBLISHER, OFFERS["data"])).sdp
    )
    await house.server.stop()


async def test_heard_is_a_listener() -> None:
    heard = Heard()
    heard.on_active()
    assert (await heard.event("active")) == ("active",)
