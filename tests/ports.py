"""A port for a server that must be told one, which nobody else is given meanwhile.

Asking the kernel for a free one and letting go of it is a race: whoever connects next may get it,
and two suites run beside each other. These lie below the kernel's own range, and each is held by a
name in the abstract namespace of unix sockets (unix(7)) until the run has ended.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

FIRST = 20_000
# Ports that the kernel leaves to those who ask for one by its number, if that are enough.
END = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
_chance = random.SystemRandom()


def free_port(above: int = 0) -> int:
    """For TCP and UDP, with so many more behind it; still there when its server starts again."""
    while True:
        first = _some_port()
        if all(_free(port) and _held(port) for port in range(first, first + above + 1)):
            return first


def _some_port() -> int:
    if END - FIRST > 1000:
        return _chance.randrange(FIRST, END - 10)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except (OSError, OverflowError):
                return False
    return True


def _held(port: int) -> bool:
    with socket.socket(socket.AF_UNIX) as name:
        try:
            name.bind(f"\0sotto-tests-{port}")
        except OSError:
            return False
        name.detach()  # open until this process ends
        return True
