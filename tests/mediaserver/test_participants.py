"""Participants on a fake engine: publish, subscribe in both modes, and how each thing ends."""

import asyncio
import json
from typing import Any

import pytest

from mediaserver.api import (
    Channel,
    CodecSpec,
    Kind,
    LayerSpec,
    Mode,
    ParticipantOptions,
    SubscribeSettings,
    Target,
    TrackSpec,
)
from mediaserver.errors import ClientError, Code
from mediaserver.participant.participant import Participant
from mediaserver.sdp import parse
from tests.mediaserver.fakes import Heard, House
from tests.mediaserver.goldens import DIRECTORY

OFFERS: dict[str, str] = json.loads((DIRECTORY / "chromium.json").read_text())["offers"]
FIREFOX: dict[str, str] = json.loads((DIRECTORY / "firefox.json").read_text())["offers"]
SETTINGS = SubscribeSettings()


def cids(sdp: str) -> dict[str, str]:
    return {s.kind: s.msid_track for s in parse(sdp).sections if s.sends and not s.is_data}


def specs(sdp: str, **extra: Any) -> list[TrackSpec]:
    found = cids(sdp)
    return [
        TrackSpec("TR_a", found["audio"], Kind.AUDIO),
        TrackSpec("TR_v", found["video"], Kind.VIDEO, **extra),
    ]


async def publish(
    house: House, sdp: str = OFFERS["dual_publish"], **extra: Any
) -> tuple[Participant, Heard]:
    participant, heard = house.join("PA_p")
    for spec in specs(sdp, **extra):
        participant.declare_track(spec)
    await participant.offer(Target.PUBLISHER, sdp)
    return participant, heard


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def changed(sdp: str, mid: str, old: str, new: str) -> str:
    """Replace within one section."""
    parts = sdp.split("m=")
    index = next(i for i, p in enumerate(parts) if f"a=mid:{mid}\r\n" in p)
    parts[index] = parts[index].replace(old, new)
    return "m=".join(parts)


async def test_declared_tracks_are_published_by_their_client_ids() -> None:
    house = House()
    _, heard = await publish(house)
    told = {t[1].track_id: t[1] for t in heard.named("published")}
    assert set(told) == {"TR_a", "TR_v"}
    assert told["TR_v"].codecs[0].mime == "video/vp8"
    assert [x.rid for x in told["TR_v"].layers] == ["q", "h", "f"]
    assert [s.kind for s in house.engine.publications.values()] == ["audio", "video"]
    await house.server.stop()


async def test_offer_may_come_before_the_declaration() -> None:
    house = House()
    participant, heard = house.join()
    answer = await participant.offer(Target.PUBLISHER, OFFERS["dual_publish"])
    assert not house.engine.publications and "a=recvonly" in answer.sdp
    for spec in specs(OFFERS["dual_publish"], codecs=(CodecSpec("video/vp9", "other"),)):
        participant.declare_track(spec)
    told = {t[1].track_id: t[1] for t in heard.named("published")}
    # The codec that was answered stays, whatever the declaration prefers.
    assert told["TR_v"].codecs[0].mime == "video/vp8"
    await house.server.stop()


async def test_firefox_braces_around_ids_are_no_difference() -> None:
    house = House()
    participant, heard = house.join()
    for spec in specs(FIREFOX["dual_publish"]):
        participant.declare_track(TrackSpec(spec.track_id, spec.cid.strip("{}"), spec.kind))
    await participant.offer(Target.PUBLISHER, FIREFOX["dual_publish"])
    assert len(heard.named("published")) == 2
    await house.server.stop()


async def test_unknown_client_id_takes_the_oldest_declared_track_of_its_kind() -> None:
    house = House()
    participant, heard = house.join()
    participant.declare_track(TrackSpec("TR_1", "nobody", Kind.VIDEO))
    participant.declare_track(TrackSpec("TR_2", "neither", Kind.VIDEO))
    await participant.offer(Target.PUBLISHER, OFFERS["dual_publish"])
    assert [t[1].track_id for t in heard.named("published")] == ["TR_1"]
    await house.server.stop()


async def test_client_unpublishes_by_no_longer_sending() -> None:
    house = House()
    participant, heard = await publish(house)
    video = next(s.mid for s in parse(OFFERS["dual_publish"]).sections if s.kind == "video")
    sdp = changed(OFFERS["dual_publish"], video, "a=sendonly", "a=inactive")
    await participant.offer(Target.PUBLISHER, sdp)
    assert heard.named("unpublished") == [("unpublished", "TR_v")]
    assert [s.kind for s in house.engine.publications.values()] == ["audio"]
    await house.server.stop()


async def test_same_offer_again_changes_nothing() -> None:
    house = House()
    participant, _ = await publish(house)
    before = len(house.engine.commands)
    await participant.offer(Target.PUBLISHER, OFFERS["dual_publish"])
    assert house.engine.commands[before:] == []
    await house.server.stop()


async def test_removed_track_stays_removed_while_the_client_still_offers_it() -> None:
    house = House()
    participant, heard = await publish(house)
    participant.remove_track("TR_v")
    participant.declare_track(TrackSpec("TR_w", "later", Kind.VIDEO))
    await participant.offer(Target.PUBLISHER, OFFERS["dual_publish"])
    assert [t[1].track_id for t in heard.named("published")] == ["TR_a", "TR_v"]
    assert len(house.engine.publications) == 1
    await house.server.stop()


async def test_backup_codec_joins_its_track() -> None:
    house = House()
    participant, heard = house.join("PA_p")
    sdp = OFFERS["single_publish"]
    own = cids(sdp)["video"]
    codecs = (CodecSpec("video/vp9", own), CodecSpec("video/vp8", "backup"))
    participant.declare_track(TrackSpec("TR_v", own, Kind.VIDEO, codecs=codecs))
    await participant.offer(Target.PUBLISHER, sdp)
    mid = next(s.mid for s in parse(sdp).sections if s.kind == "video" and s.receives)
    again = changed(sdp, mid, "a=recvonly", "a=msid:- backup\r\na=sendonly")
    await participant.offer(Target.PUBLISHER, again)
    last = heard.named("published")[-1][1]
    assert [c.mime for c in last.codecs] == ["video/vp9", "video/vp8"]
    await house.server.stop()


async def test_whip_declares_by_offering() -> None:
    house = House()
    options = ParticipantOptions(auto_declare=True, auto_track_ids=("TR_1", "TR_2"))
    participant, heard = house.join("PA_w", options=options)
    await participant.offer(Target.PUBLISHER, OFFERS["whip"])
    assert {t[1].track_id for t in heard.named("published")} == {"TR_1", "TR_2"}
    await participant.offer(Target.PUBLISHER, OFFERS["whip"])
    assert len(house.engine.publications) == 2
    await house.server.stop()


async def test_mute_reaches_every_codec_and_unknown_tracks_are_refused() -> None:
    house = House()
    participant, _ = await publish(house)
    participant.set_muted("TR_v", True)
    assert house.engine.named("set_publication_muted")[-1][2] is True
    with pytest.raises(ClientError):
        participant.set_muted("TR_x", True)
    await house.server.stop()


async def test_single_fills_free_sections_and_pokes() -> None:
    house = House()
    await publish(house)
    participant, heard = house.join("PA_s")
    await participant.offer(Target.PUBLISHER, OFFERS["single_first"])
    participant.subscribe("TR_a", SETTINGS)
    participant.subscribe("TR_v", SETTINGS)
    await turn()
    assert heard.named("sections") == [("sections", 0, 0)]
    answer = await participant.offer(Target.PUBLISHER, OFFERS["single_first"])
    assert set(answer.mid_to_track.values()) == {"TR_a", "TR_v"}
    assert "a=msid:PA_p|TR_v TR_v" in answer.sdp
    assert {t[1] for t in heard.named("subscribed")} == {"TR_a", "TR_v"}
    await turn()
    assert len(heard.named("sections")) == 1
    await house.server.stop()


async def test_single_asks_for_as_many_sections_as_are_short() -> None:
    house = House()
    publisher, _ = house.join("PA_many")
    sdp = OFFERS["whep"].replace("a=recvonly", "a=sendonly")
    for number in range(5):
        spec = TrackSpec(f"TR_{number}", f"cid{number}", Kind.VIDEO)
        other, _ = house.join(f"PA_{number}")
        other.declare_track(spec)
        await other.offer(Target.PUBLISHER, sdp)
    participant, heard = house.join("PA_s")
    await participant.offer(Target.PUBLISHER, OFFERS["single_first"])
    for number in range(5):
        participant.subscribe(f"TR_{number}", SETTINGS)
    await turn()
    assert heard.named("sections") == [("sections", 0, 2)]
    await participant.offer(Target.PUBLISHER, OFFERS["single_first"])
    await turn()
    assert heard.named("sections")[-1] == ("sections", 0, 2)
    assert len(house.engine.subscriptions) == 3
    await publisher.close()
    await house.server.stop()


async def test_single_section_is_seen_inactive_before_it_is_used_again() -> None:
    house = House()
    await publish(house)
    participant, heard = house.join("PA_s")
    whep = OFFERS["whep"]
    await participant.offer(Target.PUBLISHER, whep)
    participant.subscribe("TR_v", SETTINGS)
    await participant.offer(Target.PUBLISHER, whep)
    participant.unsubscribe("TR_v")
    assert not house.engine.subscriptions
    participant.subscribe("TR_v", SETTINGS)
    answer = await participant.offer(Target.PUBLISHER, whep)
    assert "sendonly" not in answer.sdp
    await turn()
    assert heard.named("sections")[-1] == ("sections", 0, 0)
    answer = await participant.offer(Target.PUBLISHER, whep)
    assert answer.mid_to_track == {"1": "TR_v"}
    await house.server.stop()


async def test_subscription_waits_for_its_track() -> None:
    house = House()
    participant, heard = house.join("PA_s")
    await participant.offer(Target.PUBLISHER, OFFERS["single_first"])
    participant.subscribe("TR_v", SETTINGS)
    await turn()
    assert heard.told == []
    await publish(house)
    await turn()
    assert heard.named("sections") == [("sections", 0, 0)]
    await house.server.stop()


@pytest.mark.parametrize(
    "name", ["x\r\na=sly", "x\na=sly", "x\ra=sly", "two words", "ü", "y" * 250]
)
async def test_name_of_a_stream_breaks_nobodys_description(name: str) -> None:
    """Its tracks stay one stream, under a name that a description can hold."""
    house = House()
    sdp = OFFERS["dual_publish"]
    publisher, _ = house.join("PA_p")
    for kind in Kind:
        spec = TrackSpec(f"TR_{kind}", cids(sdp)[kind], kind, stream=name)
        publisher.declare_track(spec)
    await publisher.offer(Target.PUBLISHER, sdp)
    subscriber, _ = house.join("PA_s")
    for kind in Kind:
        subscriber.subscribe(f"TR_{kind}", SETTINGS)
    answer = (await subscriber.offer(Target.PUBLISHER, OFFERS["whep"])).sdp
    assert "sly" not in answer
    streams = [s.msid_stream for s in parse(answer).sections if s.msid_track.startswith("TR_")]
    assert len(streams) == 2 and len(set(streams)) == 1
    await house.server.stop()


async def test_codec_that_nobody_shares_fails_the_subscription_and_a_backup_saves_it() -> None:
    house = House()
    publisher, _ = house.join("PA_p")
    sdp = OFFERS["svc"]
    own = cids(sdp)["video"]
    codecs = (CodecSpec("video/av1", own), CodecSpec("video/vp9", "backup"))
    publisher.declare_track(TrackSpec("TR_v", own, Kind.VIDEO, codecs=codecs))
    await publisher.offer(Target.PUBLISHER, sdp)
    assert next(iter(house.engine.publications.values())).svc
    participant, heard = house.join("PA_s")
    await participant.offer(Target.PUBLISHER, OFFERS["whep"])
    participant.subscribe("TR_v", SETTINGS)
    await participant.offer(Target.PUBLISHER, OFFERS["whep"])
    assert heard.named("subscription_failed") == [
        ("subscription_failed", "TR_v", "codec_unsupported")
    ]
    section = sdp[sdp.index("m=video") :].replace(own, "backup").replace("a=mid:0", "a=mid:1")
    both = sdp.replace("a=group:BUNDLE 0", "a=group:BUNDLE 0 1") + section
    await publisher.offer(Target.PUBLISHER, both)
    await turn()
    assert heard.named("sections")
    await participant.offer(Target.PUBLISHER, OFFERS["whep"])
    assert heard.named("subscribed") == [("subscribed", "TR_v")]
    await house.server.stop()


async def test_track_that_ends_ends_its_subscriptions() -> None:
    house = House()
    publisher, _ = await publish(house)
    participant, _ = house.join("PA_s")
    participant.subscribe("TR_v", SETTINGS)
    await participant.offer(Target.PUBLISHER, OFFERS["whep"])
    assert len(house.engine.subscriptions) == 1
    await publisher.close()
    assert not house.engine.subscriptions and not house.context.subscriptions
    await house.server.stop()


async def test_subscription_settings_choose_layers() -> None:
    house = House()
    layers = (
        LayerSpec(0, "q", 320, 180),
        LayerSpec(1, "h", 640, 360),
        LayerSpec(2, "f", 1280, 720),
    )
    await publish(house, layers=layers)
    participant, _ = house.join("PA_s")
    participant.subscribe("TR_v", SubscribeSettings(width=400, height=200, fps=15))
    await participant.offer(Target.PUBLISHER, OFFERS["whep"])
    settings = next(iter(house.engine.subscriptions.values()))[3]
    assert (settings.max_spatial, settings.max_temporal) == (1, 1)
    participant.update_subscription("TR_v", SubscribeSettings(paused=True, max_quality=0))
    assert house.engine.named("update_subscription")[-1][2].paused
    with pytest.raises(ClientError):
        participant.update_subscription("TR_x", SETTINGS)
    await house.server.stop()


async def test_new_ice_credentials_restart_and_a_new_fingerprint_is_refused() -> None:
    house = House()
    participant, _ = house.join()
    first = await participant.offer(Target.PUBLISHER, OFFERS["data"])
    ufrag = parse(OFFERS["data"]).sections[0].transport.ufrag
    again = OFFERS["data"].replace(f"a=ice-ufrag:{ufrag}", "a=ice-ufrag:fresh")
    second = await participant.offer(Target.PUBLISHER, again)
    assert house.engine.named("restart_ice")
    assert house.engine.named("set_remote_ice")[-1][2] == "fresh"
    old, new = (parse(a.sdp).sections[0].transport.ufrag for a in (first, second))
    assert old != new
    foreign = FIREFOX["data"]
    with pytest.raises(ClientError) as error:
        await participant.offer(Target.PUBLISHER, foreign)
    assert error.value.code is Code.FINGERPRINT_CHANGED
    await house.server.stop()


async def test_refused_offer_leaves_everything_as_it_was() -> None:
    house = House()
    participant, _ = await publish(house)
    before = dict(house.engine.publications), len(house.engine.commands)
    with pytest.raises(ClientError):
        await participant.offer(Target.PUBLISHER, OFFERS["data"].replace("sha-256", "sha-1"))
    assert (house.engine.publications, len(house.engine.commands)) == before
    await house.server.stop()


async def test_candidates_are_counted_and_never_an_error() -> None:
    house = House()
    participant, _ = house.join()
    for line in ("candidate:1 1 udp 1 198.51.100.9 5000 typ host", "x.local", "", "\0" * 9999):
        participant.candidate(Target.PUBLISHER, line)
    participant.candidate(Target.SUBSCRIBER, "candidate:1 1 udp 1 198.51.100.9 5 typ host")
    stats = participant.stats()
    assert (stats.candidates_kept, stats.candidates_ignored) == (1, 3)
    await house.server.stop()


async def test_leaving_frees_everything() -> None:
    house = House()
    publisher, _ = await publish(house)
    participant, _ = house.join("PA_s", Mode.DUAL)
    participant.subscribe("TR_v", SETTINGS)
    await turn()
    await participant.close()
    await participant.close()
    await publisher.close()
    context = house.context
    assert not (context.transports or context.publications or context.subscriptions)
    assert not context.owners and not len(house.call.tracks)
    assert not house.engine.transports
    with pytest.raises(ClientError):
        await participant.offer(Target.PUBLISHER, OFFERS["data"])
    assert participant.send(Channel.LOSSY, b"x") is False
    await house.server.stop()
