"""Where media goes: loopback, or a TUN device that shows the transmit path alone.

The TUN is in a network namespace that this process enters and leaves; what it starts inside is
in it too. The namespace has no other way out, and goes away with the last process in it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DEVICE = "media"
SERVER_ADDRESS = "10.99.0.1"
CLIENT_ADDRESS = "10.99.0.2"
CLONE_NEWNET = 0x40000000
# Nothing waits in a queue before the device, and the device keeps what a reader takes some
# milliseconds for: 50,000 packets are two seconds of the usual load.
QUEUE = 50_000
NAMESPACE = f"""\
ip link set lo up
ip tuntap add dev {DEVICE} mode tun vnet_hdr
ip address add {SERVER_ADDRESS}/24 dev {DEVICE}
ip link set {DEVICE} txqueuelen {QUEUE} addrgenmode none up
tc qdisc replace dev {DEVICE} root noqueue
"""


class SinkError(Exception):
    """This machine has no such sink; says why."""


@dataclass(frozen=True)
class Sink:
    """How the load client and the bare loop get what is sent."""

    name: str
    title: str
    # The kernel gives runs whole to the device; otherwise it cuts them for the sender.
    segments: bool = True

    @property
    def is_tun(self) -> bool:
        return self != LOOPBACK

    def flags(self) -> dict[str, object]:
        """Options of the load client and of the bare loop."""
        if not self.is_tun:
            return {}
        return {"tun": DEVICE, "tun-address": CLIENT_ADDRESS, "segments": int(self.segments)}

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Inside, servers and clients that are started send to this sink."""
        if not self.is_tun:
            yield
            return
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _make()
            yield
        finally:
            _system_call("setns", home, CLONE_NEWNET)
            os.close(home)


LOOPBACK = Sink("loopback", "loopback")
TUN = Sink("tun", "TUN, segmentation offload")
TUN_CUT = Sink("tun-cut", "TUN, segmented by the kernel", segments=False)
SINKS = {sink.name: sink for sink in (LOOPBACK, TUN, TUN_CUT)}


def missing() -> str:
    """What a TUN sink needs and this machine lacks; empty when nothing."""
    if os.geteuid() != 0:
        return "the TUN sink needs root"
    absent = [word for word in ("ip", "tc") if not shutil.which(word)]
    if absent:
        return f"the TUN sink needs {' and '.join(absent)} (Debian: iproute2)"
    return "" if Path("/dev/net/tun").exists() else "the TUN sink needs /dev/net/tun"


def _system_call(name: str, *arguments: int) -> None:
    # Python has them as os.unshare and os.setns from 3.12 on.
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        raise SinkError(f"{name}: {os.strerror(ctypes.get_errno())}")


def _make() -> None:
    _system_call("unshare", CLONE_NEWNET)
    for command in NAMESPACE.splitlines():
        done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SinkError(f"{command}: {done.stderr.strip()}")
