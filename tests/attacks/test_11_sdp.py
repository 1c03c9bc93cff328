"""Class 11: session descriptions, huge, wrong or sly: a clear error, nothing sent outside."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from tests.attacks.attacker import Attacker
from tests.attacks.bystanders import Bystanders
from tests.interop.servers import Server
from tests.interop.whip_client import WhipSession

SDP = {"Content-Type": "application/sdp"}


async def offer_of(server: Server, room: str) -> str:
    async with Attacker(server, room, "template") as attacker:
        attacker.pc.addTransceiver("audio", "sendonly")
        await attacker.pc.setLocalDescription(await attacker.pc.createOffer())
        return str(attacker.pc.localDescription.sdp)


def sections(offer: str, count: int) -> str:
    head, _, first = offer.partition("m=audio")
    return head + "".join(
        ("m=audio" + first).replace("a=mid:0", f"a=mid:{n}") for n in range(count)
    )


CHANGES: dict[str, Callable[[str], str]] = {
    "ten_megabytes": lambda o: o + "a=x:" + "y" * 10_000_000 + "\r\n",
    "a_hundred_thousand_candidates": lambda o: o + "\r\n".join([*candidates(100_000, 9), ""]),
    "ten_thousand_sections": lambda o: sections(o, 10_000),
    "plain_rtp": lambda o: o.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
    "md5": lambda o: re.sub(r"a=fingerprint:\S+ \S+", "a=fingerprint:md5 " + "00:" * 15 + "00", o),
    "no_fingerprint": lambda o: re.sub(r"a=fingerprint:.*\r\n", "", o),
    "no_ufrag": lambda o: re.sub(r"a=ice-ufrag:.*\r\n", "", o),
    "noise": lambda o: "\0\xff" * 5000,
    "empty": lambda o: "",
    "bundle_of_strangers": lambda o: o.replace("a=group:BUNDLE 0", "a=group:BUNDLE 7 8 9"),
    "same_mid_twice": lambda o: sections(o, 2).replace("a=mid:1", "a=mid:0"),
}


@pytest.mark.parametrize("name", sorted(CHANGES))
async def test_bad_offers_are_refused_quickly(
    server: Server, room: str, bystanders: Bystanders, name: str
) -> None:
    offer = CHANGES[name](await offer_of(server, room))
    async with bystanders.unharmed(1), WhipSession(server, "whip", room, name) as session:
        started = time.monotonic()
        async with session.http.post(
            f"/whip/{room}", data=io.BytesIO(offer.encode()), headers=SDP
        ) as response:
            text = await response.text()
        # One section needs no bundle, so a bundle of others may be ignored.
        fine = {201} if name == "bundle_of_strangers" else set()
        refusals = {400, 406, 413, 415, 422}
        assert response.status in refusals | fine, (response.status, text[:300])
        assert "BUNDLE 7" not in text
        assert time.monotonic() - started < 5
        assert "Traceback" not in text and len(text) < 4000


NAMES = ["127.0.0.1", "169.254.169.254", "host.local", "example.invalid", "::1", "0.0.0.0"]
FITTING = 15_000
"""Candidates in an offer of the size that is taken."""


def candidates(count: int, port: int) -> list[str]:
    return [
        f"a=candidate:{n} 1 udp {n} {NAMES[n % len(NAMES)]} {port} typ host" for n in range(count)
    ]


@contextlib.contextmanager
def silent_trap() -> Iterator[int]:
    """A port to which nothing may come: nothing is sent to who has not sent a valid check."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trap:
        trap.bind(("127.0.0.1", 0))
        trap.setblocking(False)
        yield trap.getsockname()[1]
        with pytest.raises(BlockingIOError):
            trap.recv(2048)


async def test_many_and_special_candidates_are_ignored(
    server: Server, room: str, bystanders: Bystanders
) -> None:
    """As many as an offer holds; 100,000 in one are refused (`test_bad_offers`)."""
    with silent_trap() as port:
        async with bystanders.unharmed(), Attacker(server, room, "scanner") as attacker:
            lines = "\r\n".join(candidates(FITTING, port)) + "\r\n"
            attacker.change = lambda offer: offer + lines
            await attacker.connect()
            await asyncio.sleep(2)


async def test_a_hundred_thousand_trickled_candidates_are_ignored(
    server: Server, room: str, bystanders: Bystanders
) -> None:
    """One session's, 290 a request as WHIP's fragments hold them; it stays connected."""
    with silent_trap() as port:
        async with bystanders.unharmed(), Attacker(server, room, "scanner") as attacker:
            await attacker.connect()
            kept, ignored = await _candidates_of(attacker)
            lines, taken = candidates(100_000, port), 0
            for at in range(0, len(lines), 290):
                some = lines[at : at + 290]
                taken += len(some) if await _trickled(attacker, some) else 0
            print(f"{taken} of {len(lines)} candidates were read")
            assert attacker.pc.connectionState == "connected"
            assert await _candidates_of(attacker) == (kept, ignored + taken)
            await asyncio.sleep(1)


async def test_thirty_of_a_hundred_ordinary_candidates_are_kept(
    server: Server, room: str, bystanders: Bystanders
) -> None:
    """Its own from the offer are among the thirty."""
    async with bystanders.unharmed(1), Attacker(server, room, "many") as attacker:
        await attacker.connect()
        own, ignored = await _candidates_of(attacker)
        assert 0 < own < 30
        ordinary = [f"a=candidate:{n} 1 udp {n} 203.0.113.{n} 9 typ host" for n in range(1, 101)]
        assert await _trickled(attacker, ordinary)
        assert await _candidates_of(attacker) == (30, ignored + 100 - (30 - own))
        assert attacker.pc.connectionState == "connected"


async def _trickled(attacker: Attacker, lines: list[str]) -> bool:
    """Whether the server read them; it may say that they are too many requests."""
    session = attacker.session
    headers = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": session.etag}
    body = "\r\n".join(["m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0", *lines, ""])
    async with session.http.patch(session.location, data=body, headers=headers) as answer:
        assert answer.status in {204, 429}, (answer.status, await answer.text())
        return answer.status == 204


async def _candidates_of(attacker: Attacker) -> tuple[int, int]:
    operator, http = attacker.server.operator, attacker.session.http
    async with http.get(f"{operator}/calls") as answer:
        calls = (await answer.json())["calls"]
    (call,) = [c["id"] for c in calls if c["room"] == attacker.session.room]
    async with http.get(f"{operator}/calls/{call}") as answer:
        (participant,) = (await answer.json())["participants"]
    media = participant["media"]
    return int(media["candidates_kept"]), int(media["candidates_ignored"])


# Fields of an offer that an answer, or somebody else's, has a counterpart of.
REPEATED = re.compile(r"a=mid:0|BUNDLE 0|a=msid:\S+ \S+|cname:\S+")


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r"], ids=["crlf", "lf", "cr"])
async def test_line_breaks_do_not_reach_others(
    server: Server, room: str, bystanders: Bystanders, line_break: str
) -> None:
    """Nor whoever sent them. With CRLF and LF it is an attribute that nobody knows."""
    offer = await offer_of(server, room)
    sly, places = REPEATED.subn(lambda found: f"{found[0]}{line_break}a=sly", offer)
    assert places >= 4
    async with bystanders.unharmed(1), WhipSession(server, "whip", room, "sly") as session:
        async with session.http.post(f"/whip/{room}", data=sly, headers=SDP) as response:
            text = await response.text()
        assert (response.status == 201) == ("\n" in line_break), text
        assert "sly" not in text
        if response.status == 201:
            async with Attacker(server, room, "eye", "whep") as eye:
                await eye.connect()
                assert "a=sendonly" in eye.answer and "sly" not in eye.answer
