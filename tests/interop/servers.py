"""The server under test as a process: ours, or LiveKit's for proving the tests themselves.

`SOTTO_TEST_SERVER=livekit` picks the peer (its binary in ~/.cache/sotto/peers/server). Unless the
server has a network namespace to itself, ours takes free ports and says which; LiveKit cannot.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.command import sotto
from tests.interop.clients import CACHE
from tests.interop.tokens import admin_token, call_token
from tests.ports import free_port

ROOT = Path(__file__).parent.parent.parent
KEY, SECRET = "devkey", "secret"
TURN_HOST = "server.test"
START_S = 180.0


@dataclass
class Server:
    """Where the server under test listens; dies with its context."""

    kind: str
    process: subprocess.Popen[bytes]
    http: str
    folder: Path
    operator: str = ""
    udp_port: int = 7882
    tcp_port: int = 7881
    key: str = KEY
    secret: str = SECRET
    ready: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.http.replace("http", "ws", 1)

    def token(self, room: str, identity: str, **grants: Any) -> str:
        return call_token(self.key, self.secret, room, identity, **grants)

    def admin(self, **grants: Any) -> str:
        return admin_token(self.key, self.secret, **grants)

    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")


def under_test() -> str:
    return os.environ.get("SOTTO_TEST_SERVER", "sotto")


def _free_ports() -> dict[str, int]:
    return {name: free_port() for name in NAMESPACE_PORTS}


@dataclass(frozen=True)
class Place:
    """Where a server runs: loopback, or an address inside a namespace."""

    address: str = "127.0.0.1"
    netns: str | None = None
    turn: bool = False
    extra: tuple[str, ...] = ()


# Ports that a ready file names, where they are.
_NAMED = ("http", "https", "udp", "tcp", "operator")
NAMESPACE_PORTS = {
    **{"http": 7880, "https": 7443, "tcp": 7881, "udp": 7882},
    **{"operator": 7889, "turn": 3478, "turns": 5349},
}


def _livekit(folder: Path, place: Place, ports: dict[str, int]) -> list[str]:
    config = {
        "port": ports["http"],
        "bind_addresses": ["127.0.0.1"],
        "rtc": {
            "udp_port": ports["udp"],
            "tcp_port": ports["tcp"],
            "use_external_ip": False,
            "node_ip": place.address,
            "enable_loopback_candidate": place.address.startswith("127."),
        },
        "keys": {KEY: SECRET},
        "logging": {"level": "info"},
    }
    path = folder / "livekit.json"
    path.write_text(json.dumps(config))
    return [str(CACHE / "peers" / "server"), "--config", str(path)]


def _sotto(folder: Path, place: Place, ports: dict[str, int]) -> list[str]:
    flags = [f"--{name}-port={port}" for name, port in ports.items()]
    advertise = [f"--set=media.advertise={place.address}"] if place.netns else []
    turn = ["--no-turn"]
    if place.turn:
        host, relay = f"turn.host={TURN_HOST}", f"turn.relay_address={place.address}"
        turn = [f"--set={key}" for key in (host, relay, f"turn.listen={place.address}")]
    where = [f"--state-dir={folder}", f"--ready-file={folder / 'ready.json'}"]
    return [*sotto("dev"), *flags, *where, *advertise, *turn, *place.extra]


@contextlib.contextmanager
def serving(folder: Path, place: Place | None = None, kind: str = "") -> Iterator[Server]:
    """Run a server until the block ends; it must answer HTTP within `START_S`."""
    kind = kind or under_test()
    place = place or Place()
    folder.mkdir(parents=True, exist_ok=True)
    ports = dict(NAMESPACE_PORTS)
    if not place.netns:
        ports = _free_ports() if kind == "livekit" else dict.fromkeys(NAMESPACE_PORTS, 0)
    argv = (_livekit if kind == "livekit" else _sotto)(folder, place, ports)
    if place.netns:
        argv = ["ip", "netns", "exec", place.netns, *argv]
    (folder / "ready.json").unlink(missing_ok=True)
    with (folder / "server.log").open("ab") as sink:
        process = subprocess.Popen(argv, stdout=sink, stderr=sink, cwd=ROOT, start_new_session=True)
    server = Server(kind, process, "", folder)
    try:
        if kind != "livekit":
            server.ready = _ready(server)
            ports |= {name: int(server.ready[name]) for name in _NAMED}
        server.http = f"http://{place.address}:{ports['http']}"
        server.udp_port, server.tcp_port = ports["udp"], ports["tcp"]
        server.operator = f"http://{place.address}:{ports['operator']}"
        _wait(server, place)
        yield server
    finally:
        stop(process)


def _ready(server: Server) -> dict[str, Any]:
    """What it writes once everything listens."""
    path, end = server.folder / "ready.json", time.monotonic() + START_S
    while not path.exists():
        _still_starting(server, end)
        time.sleep(0.05)
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


def _still_starting(server: Server, end: float) -> None:
    if server.process.poll() is not None or time.monotonic() > end:
        raise AssertionError(f"the server did not start:\n{server.log()[-3000:]}")


def _wait(server: Server, place: Place) -> None:
    port = server.http.rpartition(":")[2]
    probe = ["curl", "-s", "-o", "/dev/null", "--max-time", "1", f"http://127.0.0.1:{port}/"]
    if place.netns:
        probe = ["ip", "netns", "exec", place.netns, *probe]
    end = time.monotonic() + START_S
    while subprocess.run(probe, check=False).returncode != 0:
        _still_starting(server, end)
        time.sleep(0.1)


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
