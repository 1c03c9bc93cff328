"""Starts and stops what is measured: Sotto as operators run it, LiveKit in both configurations.

Each is pinned to one core on ports of its own. Knows nothing of what is measured.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sinks import LOOPBACK, SERVER_ADDRESS, Sink

KEY = "bench"
SECRET = "a-secret-for-benchmarks-that-is-long-enough"
ROOT = Path(__file__).resolve().parent.parent
SERVER_CORE = 0
CLIENT_CORE = 1

LIVEKIT = """\
port: 18780
bind_addresses: [127.0.0.1]
rtc:
  udp_port: 18782
  tcp_port: 18781
  use_external_ip: false
  node_ip: {address}
  enable_loopback_candidate: {loopback}
{more}logging:
  level: warn
keys:
  {key}: {secret}
"""
BATCHED = """\
  batch_io:
    batch_size: 128
    max_flush_interval: 2ms
  congestion_control:
    use_send_side_bwe: true
"""
SOTTO_OPERATOR = "127.0.0.1:18889"
SOTTO = """\
[http]
listen = []
plain = ["127.0.0.1:18880"]
[operator]
listen = "{operator}"
[media]
udp_port = 18882
tcp_port = 18881
bind = ["{address}"]
advertise = ["{address}"]
workers = 1
[limits]
connections = 20000
connections_per_address = 20000
requests_per_second = 100000
requests_burst = 100000
[process]
state_dir = "{state}"
[keys]
{key} = {{ file = "{state}/secret" }}
"""


class BenchError(Exception):
    """Something needed for a measurement is missing or failed."""


@dataclass(frozen=True)
class Kind:
    """A server that can be started: its name in the tables and its port."""

    name: str
    port: int


SOTTO_SERVER = Kind("sotto", 18880)
LIVEKIT_PLAIN = Kind("livekit", 18780)
LIVEKIT_BATCHED = Kind("livekit-batched", 18780)


@dataclass(frozen=True)
class Running:
    kind: Kind
    pid: int
    directory: Path
    # Where its media is.
    address: str
    sink: Sink

    def pids(self) -> list[int]:
        """The server and every process that it started."""
        found, todo = [], [self.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                todo.extend(int(child) for child in _read(task).split())
        return found

    def memory_kb(self) -> int:
        return sum(_status(pid, "VmRSS") for pid in self.pids())

    def threads(self) -> int:
        return sum(_status(pid, "Threads") for pid in self.pids())

    def descriptors(self) -> int:
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self.pids())

    def tasks(self) -> int:
        """Of Sotto's event loop, as its metrics tell."""
        with urllib.request.urlopen(f"http://{SOTTO_OPERATOR}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
        return int(text.partition("\nsotto_tasks ")[2].partition("\n")[0])

    def holds(self) -> dict[str, int]:
        """What must not grow with joins and leaves; tasks are counted where the server tells."""
        found = {
            "memory KB": self.memory_kb(),
            "descriptors": self.descriptors(),
            "threads": self.threads(),
        }
        return {**found, "tasks": self.tasks()} if self.kind == SOTTO_SERVER else found


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _status(pid: int, field: str) -> int:
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    return 0


def address(kind: Kind, sink: Sink) -> str:
    """Where media is.

    On loopback LiveKit's advice is 127.0.0.1, which `sotto serve` refuses to advertise; packets
    between any two addresses of one machine go through the loopback device.
    """
    if sink.is_tun:
        return SERVER_ADDRESS
    if kind != SOTTO_SERVER:
        return "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            raise BenchError("no IPv4 address besides loopback") from None
        found: str = probe.getsockname()[0]
    return found


# Pinned: the releases around it carry `replace` lines, which `go install` refuses.
LIVEKIT_MODULE = "github.com/livekit/livekit-server/cmd/server@v1.13.5"


def livekit_binary() -> str:
    """`LIVEKIT_SERVER`, or one on the path, or the pinned version, built once into the cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sotto" / "peers"
    for candidate in (os.environ.get("LIVEKIT_SERVER"), str(cache / "server"), "livekit-server"):
        if candidate and (found := shutil.which(candidate)):
            return found
    print(f"building {LIVEKIT_MODULE} (some minutes)", file=sys.stderr)
    environment = {**os.environ, "GOBIN": str(cache)}
    try:
        subprocess.run(["go", "install", LIVEKIT_MODULE], env=environment, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchError(f"no LiveKit server: set LIVEKIT_SERVER to its binary ({error})") from None
    return str(cache / "server")


def _sotto_command() -> list[str]:
    """`SOTTO_COMMAND`, or the one beside this Python, or one on the path."""
    if wanted := os.environ.get("SOTTO_COMMAND"):
        return shlex.split(wanted)
    beside = Path(sys.executable).parent / "sotto"
    found = str(beside) if beside.exists() else shutil.which("sotto")
    if not found:
        raise BenchError("no `sotto` command beside this Python: run `make bench`")
    return [found]


def _command(kind: Kind, directory: Path, media: str) -> list[str]:
    if kind == SOTTO_SERVER:
        path = directory / "sotto.toml"
        path.write_text(
            SOTTO.format(state=directory, key=KEY, address=media, operator=SOTTO_OPERATOR)
        )
        secret = directory / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        return [*_sotto_command(), "serve", "--config", str(path)]
    path = directory / "livekit.yaml"
    more = BATCHED if kind == LIVEKIT_BATCHED else ""
    # Beside another address a loopback candidate would be taken for that address.
    loopback = str(media == "127.0.0.1").lower()
    rtc = {"more": more, "address": media, "loopback": loopback}
    path.write_text(LIVEKIT.format(**rtc, key=KEY, secret=SECRET))
    path.chmod(0o600)
    return [livekit_binary(), "--config", str(path)]


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/rtc/validate", timeout=1):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@contextmanager
def running(kind: Kind, sink: Sink = LOOPBACK) -> Iterator[Running]:
    """A server that answers, pinned to its core; stopped at the end. `sink` has been entered."""
    media = address(kind, sink)
    if _answers(kind.port):
        # A server that was left over would be called, and nothing measured of the new one.
        raise BenchError(f"port {kind.port} is taken: stop what answers there")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        command = ["taskset", "-c", str(SERVER_CORE), *_command(kind, directory, media)]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
            try:
                _wait(process, kind, directory / "log")
                yield Running(kind, process.pid, directory, media, sink)
            finally:
                _stop(process)


def _wait(process: subprocess.Popen[bytes], kind: Kind, log: Path) -> None:
    deadline = time.monotonic() + 30
    while not _answers(kind.port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"{kind.name} did not start: {_read(log)[-2000:]}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for wanted in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        process.send_signal(wanted)
        try:
            process.wait(5)
            return
        except subprocess.TimeoutExpired:
            continue
