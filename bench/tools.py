"""Builds and runs the Rust tools (`client`, `bare`), pinned to the client's core."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from servers import (
    CLIENT_CORE,
    KEY,
    LIVEKIT_BATCHED,
    LIVEKIT_PLAIN,
    ROOT,
    SECRET,
    SERVER_CORE,
    BenchError,
    Kind,
    Running,
    livekit_binary,
)
from sinks import LOOPBACK, SERVER_ADDRESS, Sink

Report = dict[str, Any]


def _target() -> Path:
    wanted = os.environ.get("CARGO_TARGET_DIR")
    return Path(wanted) if wanted else ROOT / "bench" / "target"


def build(crate: str) -> Path:
    """The release binary of `bench/CRATE`; incremental."""
    ready = os.environ.get("BENCH_BIN")
    if ready:
        return Path(ready) / f"sotto-bench-{crate}"
    command = ["cargo", "build", "--release", "--quiet", "--target-dir", str(_target())]
    if subprocess.run(command, cwd=ROOT / "bench" / crate, check=False).returncode:
        raise BenchError(f"bench/{crate} does not build")
    return _target() / "release" / f"sotto-bench-{crate}"


def build_all(servers: Sequence[Kind]) -> None:
    """What a run starts, before a sink is entered: from inside there is no way to a registry.
    A peer that cannot be had is said again, and left out, when it is to be started.
    """
    build("client")
    build("bare")
    with contextlib.suppress(BenchError):
        if any(kind in (LIVEKIT_PLAIN, LIVEKIT_BATCHED) for kind in servers):
            livekit_binary()


def _run(command: list[str], core: int | None, timeout: float) -> Report:
    pinned = command if core is None else ["taskset", "-c", str(core), *command]
    done = subprocess.run(pinned, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command[1:])}: {done.stderr.strip()}")
    report: Report = json.loads(done.stdout)
    return report


def client(server: Running, options: dict[str, object], timeout: float = 300) -> Report:
    """One run of the load client against a server."""
    flags = {
        "host": f"127.0.0.1:{server.kind.port}",
        "key": KEY,
        "secret": SECRET,
        "address": server.address,
        "pid": ",".join(str(pid) for pid in server.pids()),
        **server.sink.flags(),
        **options,
    }
    command = [str(build("client"))]
    for name, value in flags.items():
        command += [f"--{name}", str(value)]
    return _run(command, CLIENT_CORE, timeout)


def bare(
    *, size: int, run: int, receivers: int, rate: int, seconds: float, sink: Sink = LOOPBACK
) -> Report:
    """The limit at one run length; it pins its own two threads."""
    options: dict[str, object] = {
        "size": size,
        "run": run,
        "receivers": receivers,
        "rate": rate,
        "seconds": seconds,
        "send-core": SERVER_CORE,
        "receive-core": CLIENT_CORE,
        **sink.flags(),
    }
    if sink.is_tun:
        options["address"] = SERVER_ADDRESS
    command = [str(build("bare"))]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    return _run(command, None, seconds + 60)
