"""Two real redis-servers and three sentinels for tests, over TLS on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from signaling.config.store import Bus as Settings
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

    @classmethod
    @contextlib.contextmanager
    def running(cls, directory: Path) -> Iterator[Trio]:
        made = cls.make(directory)
        try:
            for port in made.servers:
                made.server(port)
            for port in made.sentinels:
                made.sentinel(port)
            yield made
        finally:
            for port in list(made.processes):
                made.kill(port)

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

    def leader(self) -> int:
        """The port of the server that a living sentinel last named: on a busy machine that need
        not be the first any more."""
        log = next(self._log(port) for port in self.sentinels if port in self.processes)
        switched = re.findall(r"\+switch-master sotto \S+ \d+ \S+ (\d+)", log.read_text())
        return int(switched[-1]) if switched else self.servers[0]

    def _log(self, port: int) -> Path:
        return self.directory / str(port) / "log"

    async def acquainted(self) -> None:
        """Until every sentinel knows the follower, which it asks for each ten seconds."""
        logs = [self._log(port) for port in self.sentinels]
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
