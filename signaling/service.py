"""Talks to systemd (sd_notify, watchdog) and to whoever waits for a ready file.

Driven by the commands.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send one sd_notify message; False when nobody asked for it (sd_notify(3))."""
    where = environ.get("NOTIFY_SOCKET", "")
    if not where:
        return False
    if where.startswith("@"):
        where = "\0" + where[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto(state.encode(), where)
    return True


def watchdog_interval(environ: Mapping[str, str] = os.environ) -> float | None:
    """Half of what systemd allows, in seconds; None without a watchdog."""
    micros = environ.get("WATCHDOG_USEC", "")
    mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(micros) / 2_000_000 if micros.isdecimal() and mine else None


async def watchdog() -> None:
    """Runs on the event loop on purpose: a loop that hangs must look hung."""
    interval = watchdog_interval()
    while interval is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval)


def write_ready(path: Path, facts: Mapping[str, object]) -> None:
    """Whole or not at all, so that a reader who sees the file may read it."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
