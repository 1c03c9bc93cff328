"""Redis Sentinel: the leader is killed, another takes over, and the nodes find it by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from signaling.bus.open import open_bus
from signaling.bus.port import Bus, Reach
from signaling.config.store import Bus as Settings
from signaling.config.store_rules import check_bus
from signaling.secret import Secret
from tests.peers.redis_server import ACL, USER, WORD, Authority
from tests.ports import free_port

SENTINEL_ACL = "-@all +auth +hello +ping +client|setname +sentinel|get-master-addr-by-name"
# What sentinels and replicas themselves need (Redis documentation, “Sentinel”).
OWN, OWN_WORD = "inside", "a-word-among-the-servers-of-the-tests"
OWN_ACL = "~* &* +@all"


@dataclass
class Trio:
    """Two servers, the second follows the first, and three sentinels, all over TLS on loopback."""

    directory: Path
    authority: Authority
    servers: list[int]
    sentinels: list[int]
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    @classmethod
    def make(cls, directory: Path) -> Trio:
        made = cls(
            directory,
            Authority(directory / "ca"),
            [free_port(), free_port()],
            [free_port() for _ in range(3)],
        )
        made.authority.issue("server")
        return made

    def _tls(self, port: int) -> str:
        place = self.directory / "ca"
        return (
            f"bind 127.0.0.1\nport 0\ntls-port {port}\ntls-replication yes\n"
            f"tls-cert-file {place / 'server.pem'}\ntls-key-file {place / 'server.key'}\n"
            f"tls-ca-cert-file {self.authority.file}\ntls-auth-clients yes\n"
            f"user default off\nuser {OWN} on >{OWN_WORD} {OWN_ACL}\n"
        )

    def server(self, port: int) -> None:
        folder = self.directory / str(port)
        folder.mkdir(exist_ok=True)
        text = self._tls(port) + f"user {USER} on >{WORD} {ACL}\n"
        text += f'save ""\nappendonly no\ndir {folder}\nmasteruser {OWN}\nmasterauth {OWN_WORD}\n'
        text += "replica-announce-ip localhost\nrepl-diskless-sync-delay 0\n"
        if port != self.servers[0]:
            text += f"replicaof localhost {self.servers[0]}\n"
        self._start(port, text)

    def sentinel(self, port: int) -> None:
        folder = self.directory / str(port)
        folder.mkdir()
        lines = (
            "sentinel resolve-hostnames yes",
            "sentinel announce-hostnames yes",
            "sentinel announce-ip localhost",
            f"sentinel monitor sotto localhost {self.servers[0]} 2",
            f"sentinel auth-user sotto {OWN}",
            f"sentinel auth-pass sotto {OWN_WORD}",
            f"sentinel sentinel-user {OWN}",
            f"sentinel sentinel-pass {OWN_WORD}",
            "sentinel down-after-milliseconds sotto 1000",
            "sentinel failover-timeout sotto 5000",
        )
        text = self._tls(port) + f"user {USER} on >{WORD} {SENTINEL_ACL}\ndir {folder}\n"
        self._start(port, text + "\n".join(lines) + "\n", "--sentinel")

    def _start(self, port: int, text: str, *more: str) -> None:
        file = self.directory / str(port) / "redis.conf"
        file.write_text(text)
        with (file.parent / "log").open("wb") as log:
            self.processes[port] = subprocess.Popen(["redis-server", str(file), *more], stdout=log)

    def kill(self, port: int) -> None:
        process = self.processes.pop(port)
        process.kill()
        process.wait()

    async def acquainted(self) -> None:
        """Until every sentinel knows the follower, which it asks for each ten seconds."""
        logs = [self.directory / str(port) / "log" for port in self.sentinels]
        async with asyncio.timeout(120):
            while not all("+slave slave" in log.read_text() for log in logs):
                await asyncio.sleep(0.2)

    def settings(self) -> Settings:
        client = self.authority.issue("client")
        return Settings(
            url="rediss://leader/0",
            sentinels=tuple(f"localhost:{port}" for port in self.sentinels),
            user=USER,
            password=Secret(WORD),
            ca=str(self.authority.file),
            certificate=str(client[0]),
            key=str(client[1]),
        )


@pytest.fixture
async def trio(tmp_path: Path) -> AsyncIterator[Trio]:
    made = Trio.make(tmp_path)
    for port in made.servers:
        made.server(port)
    for port in made.sentinels:
        made.sentinel(port)
    try:
        yield made
    finally:
        for port in list(made.processes):
            made.kill(port)


async def told(sender: Bus, receiver: Bus, text: bytes, seconds: float) -> bool:
    """Said again and again, as everything on the bus is only a hint."""
    heard = asyncio.Event()

    def hear(payload: bytes) -> None:
        if payload == text:
            heard.set()

    subscription = receiver.subscribe("topic", hear)
    try:
        async with asyncio.timeout(seconds):
            while not heard.is_set():
                if sender.state().reach is Reach.SHARED:
                    await sender.publish("topic", text)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(heard.wait(), 0.2)
        return True
    except TimeoutError:
        return False
    finally:
        subscription.close()


async def test_c24_the_bus_follows_the_leader_that_sentinels_name(trio: Trio) -> None:
    nodes = [await open_bus(trio.settings()) for _ in range(2)]
    try:
        assert await told(nodes[0], nodes[1], b"before", 60)
        await trio.acquainted()
        trio.kill(trio.servers[0])
        # A sentinel that is away as well is passed over.
        trio.kill(trio.sentinels[0])
        assert await told(nodes[0], nodes[1], b"after", 120)
        assert await told(nodes[1], nodes[0], b"and back", 60)
        # The old leader comes back as a follower: nobody goes over to it.
        trio.server(trio.servers[0])
        assert await told(nodes[0], nodes[1], b"still", 60)
    finally:
        for node in nodes:
            await node.close()


@pytest.mark.parametrize(
    ("url", "sentinels"),
    [
        ("redis://127.0.0.1:6379/0", ("localhost:26379",)),
        ("rediss://leader/0", ("localhost",)),
        ("rediss://leader/0", (":26379",)),
        ("rediss://leader/0", ("localhost:0",)),
        ("rediss://leader/0", ("localhost:x",)),
    ],
)
def test_sentinels_that_cannot_be_are_refused(url: str, sentinels: tuple[str, ...]) -> None:
    settings = Settings(url=url, sentinels=sentinels, user=USER, password=Secret(WORD))
    assert any(error.path == "bus.sentinels" for error in check_bus(settings))
