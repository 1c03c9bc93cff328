"""Centrifugo as the peer of `bench/sync.py`: the same rooms as channels, with its history on.

Built once through the Go proxy; where that refuses the module, `bench.sync` says so and goes on.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.sync_load import Peer, Tally, cpu_seconds, open_peer, resident, stamp
from signaling.http.certificates import ensure

ROOMS, MEMBERS = 50, 10
MODULE = "github.com/centrifugal/centrifugo/v6@v6.2.5"
CACHE = Path.home() / ".cache" / "sotto" / "bin"


def centrifugo() -> Path:
    """The binary, built once through the Go proxy."""
    found = CACHE / "centrifugo"
    if not found.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["go", "install", MODULE], check=True, env={**_environment(), "GOBIN": str(CACHE)}
        )
    return found


def _environment() -> dict[str, str]:
    return dict(os.environ)


class Centrifugo:
    """The same rooms as channels, with its history on."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.tally = Tally()
        self.peers: list[Peer] = []
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        files = ensure(self.home / "tls", ["localhost", "127.0.0.1"], datetime.now(UTC))
        config = {
            "http_server": {
                "address": "127.0.0.1", "port": str(self.port),
                "tls": {
                    "enabled": True, "cert_pem_file": str(files.certificate),
                    "key_pem_file": str(files.key),
                },
            },
            "client": {"insecure": True, "allowed_origins": ["*"]},
            "channel": {
                "without_namespace": {
                    "history_size": 100000, "history_ttl": "600s", "force_recovery": True,
                    "allow_publish_for_client": True, "allow_subscribe_for_client": True,
                }
            },
        }  # fmt: skip
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "config.json").write_text(json.dumps(config))
        with (self.home / "log").open("wb") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - nothing runs yet
                [str(centrifugo()), "-c", str(self.home / "config.json")], stdout=log, stderr=log
            )
        for _ in range(200):
            try:
                await open_peer(self.port, "/connection/websocket", "", self._heard)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                return
        raise SystemExit((self.home / "log").read_text())

    def _heard(self, peer: Peer, frames: bytes) -> None:
        for frame in frames.split(b"\n"):
            if frame == b"{}":
                peer.send(b"{}")
            elif frame.startswith(b'{"push"'):
                self.tally.delivered(frame)
            elif frame.startswith(b'{"id"'):
                at = frame.find(b",")
                number = int(frame[6:at].rstrip(b"}"))
                begun = peer.data.get("sent", {}).pop(number, 0)
                if begun:
                    self.tally.acks.append((time.perf_counter_ns() - begun) / 1e6)
                if str(number) in peer.waiting:
                    peer.waiting.pop(str(number)).set_result(frame)

    async def open(self, room: int) -> Peer:
        peer = await open_peer(self.port, "/connection/websocket", "", self._heard)
        done = peer.wait("1")
        peer.send({"id": 1, "connect": {}})
        await done
        done = peer.wait("2")
        peer.send({"id": 2, "subscribe": {"channel": f"r{room}"}})
        await done
        peer.data["version"] = 10
        return peer

    async def fill(self) -> None:
        for room in range(ROOMS):
            self.peers += await asyncio.gather(*(self.open(room) for _ in range(MEMBERS)))

    def post(self, number: int) -> None:
        room = number % ROOMS
        peer = self.peers[room * MEMBERS]
        peer.data["version"] += 1
        peer.data.setdefault("sent", {})[peer.data["version"]] = time.perf_counter_ns()
        publish = {"channel": f"r{room}", "data": {"text": stamp()}}
        peer.send({"id": peer.data["version"], "publish": publish})

    def memory(self) -> int:
        assert self.process is not None
        return resident(self.process.pid)

    def busy(self) -> float:
        assert self.process is not None
        return cpu_seconds(self.process.pid)

    async def stop(self) -> None:
        for peer in self.peers:
            if peer.transport is not None:
                peer.transport.abort()
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
