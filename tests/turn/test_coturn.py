"""The rendered configuration is hardened, and coturn of this machine obeys it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from signaling.http.certificates import ensure
from tests.ports import free_port
from tests.turn.relays import (
    OLD_SECRET,
    SECRET,
    SPECIAL,
    SPECIAL_IPV6,
    relay,
    running,
    server,
)
from turn.check import CheckFailed, Server, Step, check
from turn.coturn import DENIED, Program, find, render
from turn.credentials import issue
from turn.errors import CoturnFailed, CoturnMissing, TurnError
from turn.supervisor import Supervisor, pause_after

NEW = Program("/usr/bin/turnserver", (4, 18, 0))
OLD = Program("/usr/bin/turnserver", (4, 6, 1))


def test_the_deny_list_covers_every_special_range() -> None:
    ranges = []
    for item in DENIED:
        low, _, high = item.partition("-")
        ranges.append((ipaddress.ip_address(low), ipaddress.ip_address(high or low)))
    for text in (*SPECIAL, *SPECIAL_IPV6):
        address = ipaddress.ip_address(text)
        assert any(
            low.version == address.version and int(low) <= int(address) <= int(high)
            for low, high in ranges
        ), text


@pytest.mark.parametrize(
    "line",
    [
        "use-auth-secret",
        "no-cli",
        "no-tcp-relay",
        "no-multicast-peers",
        "stale-nonce=600",
        "user-quota=12",
        "total-quota=1200",
        "max-bps=1500000",
        "allowed-peer-ip=198.51.100.7",
        "denied-peer-ip=198.51.100.8",
    ],
)
def test_the_configuration_has(line: str) -> None:
    made = relay(allowed_peers=("198.51.100.7",), own_addresses=("198.51.100.7", "198.51.100.8"))
    lines = render(made, OLD, Path("/run")).splitlines()
    assert line in lines
    assert "allow-loopback-peers" not in lines


def test_an_old_coturn_gets_no_ipv6_relay() -> None:
    with pytest.raises(TurnError, match="IPv6"):
        render(relay(relay_address=""), OLD, Path("/run"))
    with pytest.raises(TurnError, match="IPv6"):
        render(relay(relay_address="2001:db8::1"), OLD, Path("/run"))
    assert "relay-ip" not in render(relay(relay_address=""), NEW, Path("/run"))


def test_secrets_stay_out_of_the_repr() -> None:
    assert SECRET not in repr(relay())


def test_a_missing_program_says_what_to_install() -> None:
    with pytest.raises(CoturnMissing, match="apt-get install coturn"):
        find("no-such-turnserver")


def test_pauses_grow_to_a_bound() -> None:
    assert [pause_after(n) for n in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert pause_after(50) == 30.0


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's own class does not inherit from the abstract one.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(b"back:" + data, addr)


@contextlib.asynccontextmanager
async def echoing() -> AsyncIterator[tuple[str, int]]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")
    finally:
        transport.close()
        await asyncio.sleep(0)


async def test_a_datagram_goes_there_and_back(tmp_path: Path) -> None:
    made = relay()
    async with running(tmp_path, made), echoing() as peer:
        assert (tmp_path / "turnserver.conf").stat().st_mode & 0o777 == 0o600
        for transport in ("udp", "tcp"):
            # Both secrets are good while a rotation travels.
            for secret in (SECRET, OLD_SECRET):
                way = server(made, transport, secret)
                await check(way, peer, b"hello", lambda data: data == b"back:hello")


async def test_a_wrong_secret_and_an_old_credential_are_refused(tmp_path: Path) -> None:
    made = relay()
    old = issue(SECRET, "test", time.time() - 700)
    async with running(tmp_path, made), echoing() as peer:
        wrong = server(made, secret="w" * 32)
        late = Server("127.0.0.1", made.port, "udp", old.username, old.password)
        for way in (wrong, late):
            with pytest.raises(CheckFailed) as caught:
                await check(way, peer, b"x", lambda data: True)
            assert (caught.value.step, caught.value.code) == (Step.ALLOCATE, 401)


async def test_a_killed_coturn_comes_back(tmp_path: Path) -> None:
    made = relay()
    async with running(tmp_path, made) as supervisor, echoing() as peer:
        assert supervisor._process is not None
        supervisor._process.kill()
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(CheckFailed):
                    await check(server(made), peer, b"x", lambda data: True)
                    break
        assert supervisor.restarts == 1
    assert not supervisor.up


async def test_a_coturn_that_cannot_start_says_why(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        made = relay(listen=("198.51.100.1",))
        with pytest.raises(CoturnFailed):
            await Supervisor(find(), made, tmp_path).start()


SLOW = """#!/usr/bin/python3
import re, socket, sys, time
port = int(re.search("^listening-port=(.*)$", open(sys.argv[2]).read(), re.M)[1])
stream = socket.create_server(("127.0.0.1", port))
print("listens for TCP", flush=True)
time.sleep(0.5)
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", port))
time.sleep(60)
"""


async def test_it_has_started_when_udp_is_bound_too(tmp_path: Path) -> None:
    program = tmp_path / "slow"
    program.write_text(SLOW)
    program.chmod(0o700)
    made = relay()
    async with running(tmp_path / "turn", made, Program(str(program), (4, 18, 0))):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", made.port))
            for _ in range(2):  # the second would raise what the first brought back
                client.send(b"x")


async def test_nothing_there_is_said_so() -> None:
    for transport in ("udp", "tcp"):
        with pytest.raises(CheckFailed) as caught:
            await check(
                Server("127.0.0.1", free_port(), transport, "u", "p"),
                ("127.0.0.1", 9),
                b"x",
                lambda data: True,
            )
        assert caught.value.step in (Step.CONNECT, Step.ANSWER)
        assert "nothing listens" in caught.value.detail or "refused" in caught.value.detail.lower()


async def test_a_renewed_certificate_is_taken_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("turn.supervisor.LOOK", 0.2)
    first = tmp_path / "first"
    files = ensure(first, ["localhost"], datetime.now(UTC))
    port = free_port()
    made = relay(tls_port=port, certificate=str(files.certificate), key=str(files.key))

    def seen() -> str:
        return ssl.get_server_certificate(("127.0.0.1", port))

    async with running(tmp_path / "turn", made) as supervisor:
        old = await asyncio.to_thread(seen)
        ensure(first, ["localhost", "192.0.2.1"], datetime.now(UTC))
        for _ in range(600):
            if await asyncio.to_thread(seen) != old:
                break
            await asyncio.sleep(0.1)
        assert await asyncio.to_thread(seen) != old
        assert supervisor.restarts == 0
