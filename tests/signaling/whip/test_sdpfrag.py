"""Reading and writing trickle fragments, and putting new ICE credentials into an offer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.errors import ClientError
from signaling.whip.sdpfrag import Fragment, from_answer, read, with_credentials

PWD = "a" * 22
GOOD = (
    "a=ice-ufrag:EsAw\r\na=ice-pwd:" + PWD + "\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    "a=candidate:1 1 udp 2130706431 192.0.2.1 61764 typ host\r\n"
    "a=candidate:1 1 udp 2130706431 192.0.2.1 61764 typ host\r\n"
    "a=end-of-candidates\r\n"
)


def test_reads_credentials_and_candidates_once() -> None:
    fragment = read(GOOD.encode())
    assert (fragment.ufrag, fragment.pwd) == ("EsAw", PWD)
    assert fragment.candidates == ("candidate:1 1 udp 2130706431 192.0.2.1 61764 typ host",)


def test_bare_newlines_and_an_empty_fragment_pass() -> None:
    assert read(GOOD.replace("\r\n", "\n").encode()) == read(GOOD.encode())
    assert read(b"") == Fragment("", "", ())


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"garbage",
        b"a=ice-ufrag:x\r\n",
        b"a=ice-ufrag:abcd\r\na=ice-ufrag:efgh\r\n",
        b"a=ice-pwd:short\r\n",
        b"a=ice-ufrag:ab cd\r\n",
        b"a=ice-ufrag:abcd\x00\r\n",
        b"a=ice-ufrag:abcd\ra=x\r\n",
        b"a=x\r\n" * 400,
        b"a=" + b"x" * 2000,
    ],
)
def test_malformed_fragments_are_refused(body: bytes) -> None:
    with pytest.raises(ClientError) as caught:
        read(body)
    assert caught.value.status == 422


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        fragment = read(body)
    except ClientError:
        return
    assert all(candidate.isprintable() for candidate in fragment.candidates)


def test_an_offer_takes_the_new_credentials_everywhere() -> None:
    offer = (
        "v=0\r\nm=audio 9 X 0\r\na=ice-ufrag:old1\r\na=ice-pwd:oldoldoldoldoldoldold\r\n"
        "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n"
        "m=video 9 X 0\r\na=ice-ufrag:old1\r\na=ice-pwd:oldoldoldoldoldoldold\r\n"
    )
    made = with_credentials(offer, Fragment("newu", PWD, ()))
    assert "old" not in made
    assert "candidate" not in made
    assert made.count("a=ice-ufrag:newu\r\n") == made.count(f"a=ice-pwd:{PWD}\r\n") == 2


def test_our_side_of_a_restart_is_one_section() -> None:
    answer = (
        "v=0\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
        f"a=ice-ufrag:abcd\r\na=ice-pwd:{PWD}\r\na=candidate:1 1 udp 1 192.0.2.7 7882 typ host\r\n"
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n"
        "a=candidate:1 1 udp 1 192.0.2.7 7882 typ host\r\n"
    )
    lines = from_answer(answer).split("\r\n")
    assert lines == [
        "a=ice-lite",
        "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=mid:0",
        "a=ice-ufrag:abcd",
        f"a=ice-pwd:{PWD}",
        "a=candidate:1 1 udp 1 192.0.2.7 7882 typ host",
        "a=end-of-candidates",
        "",
    ]
