"""A second signal ends a real process although something in it hangs, and its relay with it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from signaling.commands.turn import supervise
from signaling.run import AT_ONCE, Stopper
from tests.cli.test_commands import LONG, dev, start, started
from tests.command import sotto
from tests.ports import free_port
from tests.slack import SLACK

__all__ = ["started"]
HANGING = Path(__file__).with_name("hanging.py")
# coturn that listens, says who it is, and only notes that it was asked to end.
DEAF = f"""#!{sys.executable}
import os, pathlib, signal, socket, sys, time
if "--version" in sys.argv:
    sys.exit(print("4.6.1"))
conf = pathlib.Path(sys.argv[2])
signal.signal(signal.SIGTERM, lambda *_: conf.with_name("asked").touch())
port = int(next(w for w in conf.read_text().split() if w.startswith("listening-port"))[15:])
one = socket.create_server(("127.0.0.1", port))
two = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
two.bind(("127.0.0.1", port))
conf.with_name("pid").write_text(str(os.getpid()))
while True:
    time.sleep(600)
"""


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 90
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def deaf(tmp_path: Path, started: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    """`sotto turn` over a coturn that hears no signal."""
    program = tmp_path / "bin" / "turnserver"
    program.parent.mkdir()
    program.write_text(DEAF)
    program.chmod(0o755)
    (tmp_path / "secret").write_text(LONG)
    file = tmp_path / "sotto.toml"
    file.write_text(
        f'[process]\nstate_dir = "{tmp_path}"\n[turn]\nhost = "turn.test"\nport = {free_port()}\n'
        f'listen = ["127.0.0.1"]\nrelay_address = "127.0.0.1"\n'
        f'secret = {{ file = "{tmp_path / "secret"}" }}\n'
    )
    words = sotto("turn", "--config", str(file))
    path = f"{program.parent}:{os.environ['PATH']}"
    process = subprocess.Popen(words, env={**os.environ, "PATH": path}, stdout=-1, text=True)
    started.append(process)
    until(lambda: process.poll() is not None or (tmp_path / "turn" / "pid").exists())
    return process


def test_the_second_signal_cuts_a_closing_that_hangs(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    """Nobody is in a call: the drain is over before the second signal comes."""
    words = dev(tmp_path, "--no-turn")
    hanging = [sys.executable, str(HANGING), *words[words.index("dev") :]]
    start(started, hanging, tmp_path / "ready.json")
    (process,) = started
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    for line in process.stdout:
        if line == "closing\n":
            break
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    process.communicate(timeout=90)
    assert time.monotonic() - began < AT_ONCE + SLACK  # process.stop_seconds is 10
    assert process.returncode == -signal.SIGTERM


def test_the_second_signal_kills_a_relay_that_hears_no_first(
    tmp_path: Path, deaf: subprocess.Popen[str]
) -> None:
    deaf.send_signal(signal.SIGTERM)
    until((tmp_path / "turn" / "asked").exists)
    deaf.send_signal(signal.SIGTERM)
    deaf.communicate(timeout=90)
    until(lambda: not running(tmp_path))


def test_a_relay_that_hears_no_signal_does_not_outlive_its_supervisor(
    tmp_path: Path, deaf: subprocess.Popen[str]
) -> None:
    deaf.kill()
    deaf.communicate(timeout=90)
    until(lambda: not running(tmp_path))


def running(folder: Path) -> bool:
    relay = (folder / "turn" / "pid").read_text()
    return Path(f"/proc/{relay}").exists()


class Deaf:
    """A supervisor whose coturn does not end."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def start(self) -> None:
        self.log.append("start")

    async def stop(self) -> None:
        self.log.append("stop")
        await asyncio.sleep(600)

    async def kill(self) -> None:
        self.log.append("kill")


async def test_sotto_turn_waits_for_coturn_until_the_second_signal() -> None:
    relay, stopper = Deaf(), Stopper(lambda: None)
    working = asyncio.create_task(supervise(relay, stopper))  # type: ignore[arg-type]
    for word in ("start", "stop"):
        while relay.log[-1:] != [word]:
            await asyncio.sleep(0)
        stopper.hit()
    await asyncio.wait_for(working, 30)
    assert relay.log == ["start", "stop", "kill"]
