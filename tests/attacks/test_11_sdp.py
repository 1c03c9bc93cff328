"""Class 11: session descriptions, huge, wrong or sly: a clear error, nothing sent outside."""

from __future__ import annotations

import asyncio
import io
import re
import socket
import time
from collections.abc import Callable

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


async def test_many_and_special_candidates_are_ignored(
    server: Server, room: str, bystanders: Bystanders
) -> None:
    """Nothing is ever sent to an address that has not sent a valid check first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trap:
        trap.bind(("127.0.0.1", 0))
        trap.setblocking(False)
        port = trap.getsockname()[1]
        names = ["127.0.0.1", "169.254.169.254", "host.local", "example.invalid", "::1", "0.0.0.0"]
        lines = [
            f"a=candidate:{n} 1 udp {n} {names[n % len(names)]} {port} typ host\r\n"
            for n in range(3_000)
        ]
        async with bystanders.unharmed(), Attacker(server, room, "scanner") as attacker:
            attacker.change = lambda offer: offer + "".join(lines)
            await attacker.connect()
            await asyncio.sleep(2)
            with pytest.raises(BlockingIOError):
                trap.recv(2048)


async def test_line_breaks_do_not_reach_others(
    server: Server, room: str, bystanders: Bystanders
) -> None:
    offer = await offer_of(server, room)
    sly = offer.replace("a=mid:0", "a=mid:0\ra=sly").replace("BUNDLE 0", "BUNDLE 0\ra=sly")
    async with bystanders.unharmed(1), WhipSession(server, "whip", room, "sly") as session:
        async with session.http.post(f"/whip/{room}", data=sly, headers=SDP) as response:
            text = await response.text()
        assert response.status in {201, 400, 422}
        assert "a=sly" not in text
