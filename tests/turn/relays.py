"""Relays of the tests: a configuration on loopback, coturn of this machine running it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tests.ports import free_port
from turn.check import Server
from turn.coturn import Program, Relay, find
from turn.credentials import issue
from turn.supervisor import Supervisor

SECRET = "n" * 32
OLD_SECRET = "o" * 32
SPECIAL = [
    "0.0.0.1",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.2",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
]
# Loopback, mapped, both translation prefixes, discard, protocol assignments (Teredo is one),
# documentation, segment routing, 6to4, unique and link local, what was site local, multicast.
SPECIAL_IPV6 = [
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "2002:a00:1::1",
    "fc00::1",
    "fd00::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
]


def relay(**changes: object) -> Relay:
    values: dict[str, object] = {
        "realm": "sotto",
        "secrets": (SECRET, OLD_SECRET),
        "port": free_port(),
        "tls_port": 0,
        "listen": ("127.0.0.1",),
        "relay_address": "127.0.0.1",
        "allowed_peers": ("127.0.0.1",),
        **changes,
    }
    return Relay(**values)  # type: ignore[arg-type]  # given by the tests


@contextlib.asynccontextmanager
async def running(
    tmp_path: Path, made: Relay, program: Program | None = None
) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(program or find(), made, tmp_path)
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.stop()


def server(
    made: Relay, transport: str = "udp", secret: str = SECRET, name: str = "test", at: float = 0
) -> Server:
    """A way to it with a credential of `name` that was made `at` seconds from now."""
    credential = issue(secret, name, time.time() + at)
    return Server("127.0.0.1", made.port, transport, credential.username, credential.password)
