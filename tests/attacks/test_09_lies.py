"""Class 9: renegotiation, records of epochs that are not, and ClientHellos by the thousand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

import pytest
from OpenSSL import SSL

from tests.attacks.attacker import Attacker, rtp_packet
from tests.attacks.bystanders import Bystanders
from tests.attacks.hello import ALERT, DTLS_1_2, client_hello, message, record
from tests.interop.servers import Server

OPUS = b"\x78" + b"\x01" * 60
CHANGE_CIPHER, DATA = 20, 23


async def still_speaks(attacker: Attacker, first: int) -> None:
    """What it sends with the keys of its first handshake is taken: by the operator's count."""
    before = await _taken(attacker)
    ssrc, payload_type = attacker.ssrc("audio"), attacker.payload_type("audio")
    for number in range(first, first + 100):
        await attacker.rtp(rtp_packet(payload_type, number, number * 960, ssrc, OPUS))
        await asyncio.sleep(0.002)
    async with asyncio.timeout(5):
        while await _taken(attacker) < before + 100:
            await asyncio.sleep(0.1)


async def _taken(attacker: Attacker) -> int:
    operator, http = attacker.server.operator, attacker.session.http
    async with http.get(f"{operator}/calls") as answer:
        calls = (await answer.json())["calls"]
    (call,) = [c["id"] for c in calls if c["room"] == attacker.session.room]
    async with http.get(f"{operator}/calls/{call}") as answer:
        (participant,) = (await answer.json())["participants"]
    return sum(track["packets"] for track in participant["media"]["published"])


async def test_renegotiation_is_not_answered(
    server: Server, room: str, bystanders: Bystanders
) -> None:
    """A ClientHello under the keys of the first handshake, as RFC 5246 section 7.4.1.2 has it."""
    async with bystanders.unharmed(), Attacker(server, room, "again") as attacker:
        await attacker.connect(live=False)
        await still_speaks(attacker, 0)
        tls, back = attacker.dtls._ssl, []
        assert tls is not None
        receive = attacker.dtls.transport._recv

        async def seen() -> bytes:
            data = await receive()
            back.append(data)
            return data

        attacker.dtls.transport._recv = seen
        assert tls.renegotiate()
        with pytest.raises(SSL.WantReadError):
            tls.do_handshake()
        hello = tls.bio_read(2048)
        assert hello[0] == 22 and hello[3:5] == b"\0\1", "a handshake under keys"
        for _ in range(5):
            await attacker.raw(hello)
            await asyncio.sleep(0.1)
        hellos = [data for data in back if 20 <= data[0] <= 63]
        assert hellos == [], "the server answered in DTLS"
        await still_speaks(attacker, 100)
        assert attacker.pc.connectionState == "connected"


def _lies() -> list[bytes]:
    """Every content type, in the clear and of epochs to come, numbers at their ends."""
    hello, finished = client_hello()[13:], message(20, os.urandom(12), 3)
    bodies = [
        (22, hello),
        (22, finished),
        (22, message(0, b"")),
        (22, message(3, b"\xfe\xfd\x14" + os.urandom(20))),
        (CHANGE_CIPHER, b"\x01"),
        (ALERT, b"\x02\x28"),
        (ALERT, b"\x01\x00"),
        (DATA, os.urandom(200)),
    ]
    return [
        record(body, kind, version, epoch, sequence)
        for kind, body in bodies
        for version in (DTLS_1_2, 0xFEFF)
        for epoch in (0, 1, 2, 3, 0x7FFF, 0xFFFF)
        for sequence in (0, 1, 2**47, 2**48 - 1)
    ]


async def test_epochs_that_are_not(server: Server, room: str, bystanders: Bystanders) -> None:
    """After the handshake all of it, and before it all that is not of the clear epoch."""
    async with bystanders.unharmed(), Attacker(server, room, "liar") as attacker:
        attacker.handshake.clear()
        await attacker.connect(wait=False, live=False)
        await attacker.checked()
        for lie in _lies():
            if lie[3:5] != b"\0\0":
                await attacker.raw(lie)
        attacker.handshake.set()
        await attacker.connected()
        await still_speaks(attacker, 0)
        for number, lie in enumerate(_lies()):
            await attacker.raw(lie)
            if number % 20 == 0:
                await asyncio.sleep(0.01)
        await still_speaks(attacker, 100)
        assert attacker.pc.connectionState == "connected"


async def test_hellos_of_strangers_get_no_answer(server: Server, bystanders: Bystanders) -> None:
    """Ten thousand from a hundred addresses; none is validated, so none costs a handshake."""
    strangers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(100)]

    async def flood() -> None:
        for _ in range(100):
            hello = client_hello()
            for stranger in strangers:
                stranger.sendto(hello, ("127.0.0.1", server.udp_port))
            await asyncio.sleep(0.01)

    try:
        async with bystanders.unharmed():
            await bystanders.counted({"unvalidated_source"}, flood)
            for stranger in strangers:
                stranger.setblocking(False)
                try:
                    answered = len(stranger.recv(2048))
                except BlockingIOError:
                    answered = 0
                assert answered == 0
    finally:
        for stranger in strangers:
            stranger.close()


async def test_hellos_of_a_client_are_answered_less_than_they_cost(
    server: Server, room: str, bystanders: Bystanders
) -> None:
    """5,000 without a cookie from a validated address: one handshake at a time, few answers."""
    async with bystanders.unharmed(), Attacker(server, room, "hasty") as attacker:
        attacker.handshake.clear()
        await attacker.connect(wait=False, live=False)
        await attacker.checked()
        sent = 0
        for number in range(5_000):
            hello = client_hello(sequence=number)
            sent += len(hello)
            await attacker.raw(hello)
            if number % 50 == 0:
                await asyncio.sleep(0.01)
        async with contextlib.aclosing(attacker.received(2)) as datagrams:
            came = [len(datagram) async for datagram in datagrams]
        assert 0 < sum(came) < sent / 10, f"{sum(came)} bytes for {sent}"
