"""Session descriptions: bounds, refusals, and no text that makes the parser do anything else."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediaserver.candidates import Candidates
from mediaserver.describe import write_answer
from mediaserver.errors import ClientError, Code
from mediaserver.negotiation import remote_of
from mediaserver.sdp import parse
from tests.mediaserver.goldens import LOCAL, offers, plan

OFFERS = dict(offers())
OFFER = OFFERS["chromium.whip"]


def refused(text: str) -> Code:
    with pytest.raises(ClientError) as error:
        parse(text)
    return error.value.code


def test_too_large_is_refused_before_it_is_parsed() -> None:
    large = OFFER + "a=x:" + "y" * 10_000_000

    def seconds() -> float:
        begin = time.perf_counter()
        assert refused(large) is Code.SDP_TOO_LARGE
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(5)) < 0.1


def test_ten_thousand_sections_are_refused() -> None:
    sections = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 10_000
    assert refused("v=0\r\n" + sections) is Code.SDP_TOO_LARGE


def test_lines_of_one_section_are_bounded() -> None:
    assert refused(OFFER + "a=x\r\n" * 5000) is Code.SDP_TOO_LARGE


def test_bounds_are_configuration() -> None:
    with pytest.raises(ClientError):
        parse(OFFER, max_sections=1)
    with pytest.raises(ClientError):
        parse(OFFER, max_bytes=100)


@pytest.mark.parametrize("protocol", ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "UDP/PLAIN"])
def test_unencrypted_media_is_refused(protocol: str) -> None:
    assert refused(OFFER.replace("UDP/TLS/RTP/SAVPF", protocol)) is Code.SDP_UNSUPPORTED


def without(prefix: str) -> str:
    return "".join(x for x in OFFER.splitlines(True) if not x.startswith(prefix))


def test_missing_fingerprint_is_refused() -> None:
    assert refused(without("a=fingerprint")) is Code.FINGERPRINT_MISSING


@pytest.mark.parametrize("name", ["md5", "sha-1", "md2", "sha-224"])
def test_weak_fingerprint_is_refused(name: str) -> None:
    digest = ":".join(["AB"] * 20)
    text = without("a=fingerprint").replace("t=0 0", f"t=0 0\r\na=fingerprint:{name} {digest}")
    assert refused(text) is Code.FINGERPRINT_WEAK


def test_fingerprint_of_a_wrong_length_is_refused() -> None:
    text = without("a=fingerprint").replace(
        "t=0 0", "t=0 0\r\na=fingerprint:sha-256 " + ":".join(["AB"] * 20)
    )
    assert refused(text) is Code.SDP_MALFORMED


def test_sections_outside_the_bundle_are_refused() -> None:
    assert refused(without("a=group")) is Code.SDP_UNSUPPORTED
    assert refused(OFFER.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0")) is Code.SDP_UNSUPPORTED


def test_plan_b_is_refused() -> None:
    assert refused(OFFER.replace("a=mid:1", "a=mid:0")) is Code.SDP_UNSUPPORTED


@pytest.mark.parametrize("prefix", ["a=ice-ufrag", "a=ice-pwd", "a=setup"])
def test_missing_transport_attributes_are_refused(prefix: str) -> None:
    assert refused(without(prefix)) is Code.SDP_MALFORMED


@pytest.mark.parametrize(
    "line",
    [
        "a=mid:0\ra=evil",
        "a=mid:0\x00",
        "a=mid:0\x0ba=evil",
        "a=mid:0\u2028a=evil",
        "a=rtpmap:x VP8/90000",
        "a=rtpmap:96 VP8",
        "a=rtpmap:300 VP8/90000",
        "a=extmap:x urn:a",
        "a=extmap:1",
        "a=rid:q!x send",
        "a=rid:q",
        "a=simulcast:send q;q",
        "a=simulcast:both q",
        "a=ssrc:99999999999 cname:x",
        "a=ssrc:-1 cname:x",
        "a=setup:maybe",
        "a=ice-pwd:short",
        "a=fmtp:96 \x01",
        "notaline",
        "m=text 9 UDP/TLS/RTP/SAVPF 1",
        "m=audio 99999 UDP/TLS/RTP/SAVPF 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 1000",
        "m=application 9 UDP/DTLS/SCTP other",
        "a=" + "x" * 9000,
    ],
)
def test_malformed_lines_are_refused(line: str) -> None:
    refused(OFFER + line + "\r\n")


def test_thousands_of_candidates_are_ignored_and_counted_not_refused() -> None:
    lines = (f"a=candidate:{n} 1 udp 1 192.0.2.{n % 250} {n + 1} typ host\r\n" for n in range(5000))
    candidates = parse(OFFER + "".join(lines)).candidates
    assert len(candidates.kept) == 30
    assert candidates.ignored >= 4970


def test_a_hundred_thousand_candidates_are_looked_at_one_by_one() -> None:
    """More than an offer of the size that is taken holds: what trickles adds up to them."""
    candidates = Candidates()
    for n in range(100_000):
        candidates.add(f"{n} 1 udp 1 198.51.{n % 250}.{n % 200} {n % 65535 + 1} typ host")
    assert (len(candidates.kept), candidates.ignored) == (30, 99_970)


def test_candidates_are_kept_counted_and_bounded() -> None:
    lines = [
        "1 1 udp 1 192.0.2.1 5000 typ host",
        "1 1 udp 1 127.0.0.1 5000 typ host",
        "1 1 udp 1 0.0.0.0 5000 typ host",
        "1 1 udp 1 224.0.0.1 5000 typ host",
        "1 1 udp 1 169.254.1.1 5000 typ host",
        "1 1 udp 1 ::ffff:127.0.0.1 5000 typ host",
        "1 1 udp 1 9f4c.local 5000 typ host",
        "1 1 udp 1 example.org 5000 typ srflx",
        "1 1 udp 1 192.0.2.1 0 typ host",
        "garbage",
    ]
    text = OFFER + "".join(f"a=candidate:{x}\r\n" for x in lines)
    own = parse(OFFER).candidates
    result = parse(text).candidates
    assert result.kept == [*own.kept, "192.0.2.1:5000/udp"]
    assert result.ignored == own.ignored + len(lines) - 1
    many = OFFER + "".join(
        f"a=candidate:1 1 udp 1 198.51.100.{i} 5000 typ host\r\n" for i in range(200)
    )
    assert len(parse(many).candidates.kept) == 30


def test_line_feeds_alone_are_accepted() -> None:
    assert len(parse(OFFER.replace("\r\n", "\n")).sections) == 2


def answer_of(text: str) -> str | None:
    """The whole path from text to answer; None when it was refused, as it may be."""
    try:
        offer = parse(text)
        remote = remote_of(offer, answering=False)
        return write_answer(offer, LOCAL, plan(offer), client=remote.client)
    except ClientError:
        return None


LINES = sorted({line for sdp in OFFERS.values() for line in sdp.splitlines() if line})
KNOWN_STARTS = tuple("vostcabm")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400))
def test_any_text_is_refused_quietly(text: str) -> None:
    answer_of(text)
    answer_of("v=0\r\n" + text)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(LINES), max_size=60),
    st.integers(0, 200),
    st.text(alphabet=st.characters(codec="utf-8"), max_size=30),
)
def test_shuffled_and_spoilt_lines_never_raise_anything_else(
    lines: list[str], at: int, junk: str
) -> None:
    text = "v=0\r\n" + "\r\n".join(lines) + "\r\n"
    answer_of(text)
    answer_of(text[:at] + junk + text[at:])


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(OFFERS)),
    st.integers(0, 30_000),
    st.integers(0, 40),
    st.text(max_size=20),
)
def test_spoilt_real_offers_never_raise_and_never_inject(
    name: str, at: int, cut: int, junk: str
) -> None:
    sdp = OFFERS[name]
    at %= len(sdp)
    answer = answer_of(sdp[:at] + junk + sdp[at + cut :])
    if answer is not None:
        assert all(line.startswith(KNOWN_STARTS) for line in answer.split("\r\n") if line)
        assert "\n" not in answer.replace("\r\n", "")


def test_a_real_offer_costs_little() -> None:
    big = json.dumps(OFFERS["chromium.single_publish"])

    def seconds() -> float:
        begin = time.perf_counter()
        answer_of(json.loads(big))
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(10)) < 0.1
