"""Negotiation against offers of real clients, and the rules that each client taught somebody."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from mediaserver.api import CodecSpec, Kind, LayerSpec, TrackSpec
from mediaserver.describe import OfferSection, Sending, render, write_answer, write_offer
from mediaserver.engine_types import Codec, SubscriptionSpec
from mediaserver.errors import ClientError, Code
from mediaserver.negotiation import (
    plan_answered,
    plan_receiving,
    plan_sending,
    read_answer,
    remote_of,
)
from mediaserver.sdp import Description, Section, parse
from tests.mediaserver.goldens import ANSWERS, LOCAL, offers, transcript

OFFERS = dict(offers())
GOLDEN: dict[str, Any] = json.loads(ANSWERS.read_text())


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def sending(offer: Description, kind: str) -> Section:
    return next(s for s in offer.sections if s.sends and s.kind == kind)


@pytest.mark.parametrize("name", sorted(OFFERS))
def test_every_captured_offer_is_answered_as_before(name: str) -> None:
    assert plain(transcript(OFFERS[name])) == GOLDEN[name]


@pytest.mark.parametrize("name", sorted(OFFERS))
def test_every_answer_is_one_that_we_can_read_ourselves(name: str) -> None:
    offer = parse(OFFERS[name])
    answer = parse("\r\n".join(transcript(OFFERS[name])["answer"]))
    assert [s.kind for s in answer.sections] == [s.kind for s in offer.sections]
    assert [s.mid for s in answer.sections] == [s.mid for s in offer.sections]
    assert answer.ice_lite
    allowed = {
        "sendonly": {"recvonly", "inactive"},
        "recvonly": {"sendonly", "inactive"},
        "sendrecv": {"sendonly", "recvonly", "inactive", "sendrecv"},
        "inactive": {"inactive"},
    }
    for ours, theirs in zip(answer.sections, offer.sections, strict=True):
        assert ours.direction in allowed[theirs.direction]


def test_first_answer_accepts_mid_and_rid_on_placeholders() -> None:
    answer = parse("\r\n".join(GOLDEN["chromium.single_first"]["answer"]))
    for section in answer.sections:
        if section.kind == "video":
            uris = " ".join(section.extensions)
            assert "sdes:mid" in uris and "sdes:rtp-stream-id" in uris
            assert "repaired-rtp-stream-id" in uris


def test_padding_hostile_codecs_are_refused() -> None:
    for name, golden in GOLDEN.items():
        text = "\n".join(golden["answer"]).lower()
        assert "ulpfec" not in text and "flexfec" not in text, name
        assert "red/90000" not in text, name


def test_simulcast_is_accepted_by_rid() -> None:
    golden = GOLDEN["chromium.dual_publish"]
    assert "a=simulcast:recv q;h;f" in golden["answer"]
    spec = next(s for s in golden["engine"].values() if s["kind"] == "video")
    assert [(e["rid"], e["quality"]) for e in spec["encodings"]] == [("q", 0), ("h", 1), ("f", 2)]


def test_red_stands_first_in_the_media_line_when_the_track_wants_it() -> None:
    """The client sends the first format of that line, whatever order the attributes have."""
    offer = parse(OFFERS["libwebrtc.dual_1"])
    section = sending(offer, "audio")
    for red, first in ((True, "63 111"), (False, "111")):
        plan = plan_receiving(section, TrackSpec("TR_a", "", Kind.AUDIO, red=red))
        assert plan is not None
        answer = write_answer(offer, LOCAL, {section.mid: plan}, client=True)
        assert f"SAVPF {first}\r\n" in answer


def test_layers_offered_highest_first_reach_the_engine_lowest_first() -> None:
    offer = OFFERS["chromium.dual_publish"]
    turned = offer.replace("a=simulcast:send q;h;f", "a=simulcast:send f;h;q")
    assert turned != offer
    plan = plan_receiving(sending(parse(turned), "video"), None)
    assert plan is not None
    assert [e.rid for e in plan.spec.encodings] == ["q", "h", "f"]


def test_announced_layers_give_size_and_bitrate() -> None:
    section = sending(parse(OFFERS["chromium.dual_publish"]), "video")
    layers = (LayerSpec(0, "q", 320, 180, 150_000), LayerSpec(1, "h", 640, 360, 400_000))
    plan = plan_receiving(section, TrackSpec("TR_v", "", Kind.VIDEO, layers=layers))
    assert plan is not None
    assert [(e.width, e.max_bitrate) for e in plan.spec.encodings] == [
        (320, 150_000),
        (640, 400_000),
        (0, 0),
    ]


def test_legacy_simulcast_group_is_accepted() -> None:
    section = sending(parse(OFFERS["chromium.whip"]), "video")
    section.ssrc_groups = [("SIM", (11, 12, 13)), ("FID", (11, 21)), ("FID", (12, 22))]
    plan = plan_receiving(section, None)
    assert plan is not None
    assert [(e.ssrc, e.rtx_ssrc, e.quality) for e in plan.spec.encodings] == [
        (11, 21, 0),
        (12, 22, 1),
        (13, None, 2),
    ]


def test_announced_codec_is_taken_alone_and_the_backup_by_its_own_cid() -> None:
    section = sending(parse(OFFERS["chromium.whip"]), "video")
    codecs = (CodecSpec("video/VP9", "first"), CodecSpec("video/H264", section.msid_track))
    plan = plan_receiving(section, TrackSpec("TR_v", "first", Kind.VIDEO, codecs=codecs))
    assert plan is not None
    assert [c.name for c in plan.spec.codecs] == ["h264"]
    assert "packetization-mode=1" in plan.spec.codecs[0].fmtp
    assert "42e01f" in plan.spec.codecs[0].fmtp


def test_codecs_that_are_not_allowed_are_not_taken() -> None:
    section = sending(parse(OFFERS["chromium.whip"]), "video")
    plan = plan_receiving(section, None, allowed=("video/av1",))
    assert plan is not None
    assert [c.name for c in plan.spec.codecs] == ["av1"]
    assert plan_receiving(section, None, allowed=("video/none",)) is None


def test_stereo_and_dtx_are_carried_to_the_publisher() -> None:
    offer = parse(OFFERS["chromium.whip"])
    section = sending(offer, "audio")
    track = TrackSpec("TR_a", "", Kind.AUDIO, stereo=True, dtx=False, red=False)
    plan = plan_receiving(section, track)
    assert plan is not None
    answer = write_answer(offer, LOCAL, {section.mid: plan}, client=True)
    fmtp = re.search(r"a=fmtp:111 (.*)\r", answer)
    assert fmtp is not None
    assert "stereo=1" in fmtp[1] and "maxaveragebitrate=510000" in fmtp[1]
    assert "usedtx" not in fmtp[1]
    assert [c.name for c in plan.spec.codecs] == ["opus"]


AV1 = Codec(45, "av1", 90000, 46, nack=True, pli=True)
VP8 = Codec(96, "vp8", 90000, 97, nack=True, pli=True)


def test_av1_is_not_forwarded_without_the_dependency_descriptor() -> None:
    section = parse(OFFERS["chromium.whep"]).sections[1]
    assert plan_sending(section, [AV1], 1, 2) is None
    section.extensions[
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
    ] = (12, "")
    spec = plan_sending(section, [AV1], 1, 2)
    assert spec is not None and spec.codecs[0].payload_type == 45


def test_subscriber_payload_types_and_extensions_are_its_own() -> None:
    section = parse(OFFERS["firefox.whep"]).sections[1]
    spec = plan_sending(section, [VP8], 1, 2)
    assert spec is not None
    assert (spec.codecs[0].payload_type, spec.codecs[0].rtx_payload_type) == (120, 124)
    assert spec.extensions["mid"] == 3 and spec.extensions["transport_cc"] == 7
    assert "rid" not in spec.extensions


def test_nobody_shares_the_codec() -> None:
    section = parse(OFFERS["firefox.whep"]).sections[1]
    assert plan_sending(section, [Codec(1, "h265", 90000)], 1, 2) is None


def subscriber_offer() -> list[OfferSection]:
    spec = SubscriptionSpec("1", 5, 6, (VP8,), {"mid": 4})
    section = OfferSection(
        "1", "video", (VP8,), {"mid": 4}, Sending(spec, "PA_x", "TR_y", "camera")
    )
    return [OfferSection("0", "application"), section]


def client_answer(direction: str = "recvonly", video: str = "video 9") -> str:
    common = "a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\na=setup:active\n"
    common += "a=fingerprint:sha-256 " + ":".join(["CD"] * 32) + "\n"
    return (
        "v=0\no=- 1 2 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE 0 1\n"
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:0\na=sctp-port:5000\n"
        + common
        + f"m={video} UDP/TLS/RTP/SAVPF 96 97\na=mid:1\na=rtcp-mux\na={direction}\n"
        "a=rtpmap:96 VP8/90000\na=rtcp-fb:96 nack\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n"
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\n" + common
    )


def test_subscriber_offer_and_its_answer() -> None:
    sections = subscriber_offer()
    text = write_offer(sections, LOCAL)
    assert "a=msid:PA_x|camera TR_y" in text
    assert "a=ssrc-group:FID 5 6" in text
    answer = parse(client_answer())
    assert remote_of(answer, answering=True).client
    answered = read_answer(answer, sections)
    spec = plan_answered(answered[1], [VP8], 5, 6)
    assert spec is not None
    assert spec.codecs[0].rtx_payload_type == 97 and spec.extensions == {"mid": 4}


@pytest.mark.parametrize(("direction", "video"), [("inactive", "video 9"), ("recvonly", "video 0")])
def test_rejected_section_of_our_offer_carries_nothing(direction: str, video: str) -> None:
    answered = read_answer(parse(client_answer(direction, video)), subscriber_offer())
    assert plan_answered(answered[1], [VP8], 5, 6) is None


def test_answer_that_does_not_fit_the_offer_is_refused() -> None:
    with pytest.raises(ClientError) as error:
        read_answer(parse(client_answer()), subscriber_offer()[:1])
    assert error.value.code is Code.ANSWER_UNEXPECTED


def test_answer_with_actpass_is_refused() -> None:
    answer = parse(client_answer().replace("setup:active", "setup:actpass"))
    with pytest.raises(ClientError):
        remote_of(answer, answering=True)


def test_client_that_insists_on_passive_makes_us_the_dtls_client() -> None:
    text = OFFERS["chromium.whip"].replace("a=setup:actpass", "a=setup:passive")
    remote = remote_of(parse(text), answering=False)
    assert not remote.client
    assert "a=setup:active" in write_answer(parse(text), LOCAL, {}, client=remote.client)


def test_missing_rtcp_mux_is_refused() -> None:
    with pytest.raises(ClientError):
        remote_of(parse(OFFERS["chromium.whip"].replace("a=rtcp-mux\r\n", "")), answering=False)


def test_section_without_a_shared_codec_is_rejected() -> None:
    offer = parse(OFFERS["chromium.whip"])
    offer.sections[1].codec_lines = ()
    answer = parse(write_answer(offer, LOCAL, {}, client=True))
    assert answer.sections[1].rejected and not answer.sections[0].rejected
    assert answer.bundle == (offer.sections[0].mid,)


def test_candidates_prefer_udp() -> None:
    lines = [x for x in GOLDEN["chromium.whip"]["answer"] if x.startswith("a=candidate")]
    udp, tcp = lines
    assert udp == "a=candidate:1 1 udp 2130706431 192.0.2.7 7882 typ host"
    assert tcp.endswith("192.0.2.7 7881 typ host tcptype passive")
    assert int(udp.split()[3]) > int(tcp.split()[3])
    assert GOLDEN["chromium.whip"]["answer"].count("a=end-of-candidates") == 1


def test_line_breaks_never_reach_what_we_write() -> None:
    with pytest.raises(ValueError):
        render(["a=mid:0\r\na=evil"])
    section = subscriber_offer()[1]
    assert section.sending is not None
    evil = replace(section.sending, track_id="x\r\na=evil:1")
    with pytest.raises(ValueError):
        write_offer([replace(section, sending=evil)], LOCAL)
