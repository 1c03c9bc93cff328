"""What lies on a wire, as tcpdump recorded it: UDP payloads of loopback, and what they are."""

from __future__ import annotations

import contextlib
import signal
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.network.netns import Namespace

ETHERNET, IPV4, IPV6, UDP = 1, 0x0800, 0x86DD, 17


@dataclass(frozen=True)
class Datagram:
    source: int
    target: int
    payload: bytes

    @property
    def kind(self) -> str:
        """By the first byte (RFC 7983 section 7); RTCP by its type (RFC 5761 section 4)."""
        first = self.payload[0] if self.payload else 255
        if first <= 3:
            return "stun"
        if 20 <= first <= 63:
            return "dtls"
        if 128 <= first <= 191 and len(self.payload) >= 12:
            return "rtcp" if 192 <= self.payload[1] <= 223 else "rtp"
        return "other"


@dataclass
class Capture:
    """Of one interface; `datagrams` are there when the block has ended."""

    path: Path
    datagrams: list[Datagram] = field(default_factory=list)


@contextlib.contextmanager
def capturing(space: Namespace, path: Path, device: str = "lo") -> Iterator[Capture]:
    """Records every UDP datagram of the device, whole, and each by itself: a run that left in one
    system call would otherwise stay one frame on loopback.
    """
    space.ip("link", "set", "dev", device, "gso_max_segs", "1")
    words = ["tcpdump", "-Z", "root", "-i", device, "-s", "0", "-B", "65536", "-U"]
    process = subprocess.Popen(
        ["ip", "netns", "exec", space.name, *words, "-w", str(path), "udp"],
        stderr=subprocess.PIPE,
        text=True,
    )
    capture = Capture(path)
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert "listening on" in said, said
        yield capture
    finally:
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=30)
    assert "0 packets dropped by kernel" in rest, rest
    capture.datagrams = list(read(path.read_bytes()))


def read(raw: bytes) -> Iterator[Datagram]:
    """Of a pcap file with Ethernet frames, in this machine's byte order."""
    magic, *_, link = struct.unpack("=IHHiIII", raw[:24])
    assert (magic, link) == (0xA1B2C3D4, ETHERNET)
    at = 24
    while at < len(raw):
        length, whole = struct.unpack("=II", raw[at + 8 : at + 16])
        assert length == whole, "a frame was cut"
        found = _datagram(raw[at + 16 : at + 16 + length])
        if found is not None:
            yield found
        at += 16 + length


def _datagram(frame: bytes) -> Datagram | None:
    kind = int.from_bytes(frame[12:14])
    if kind == IPV4 and frame[23] == UDP:
        start = 14 + 4 * (frame[14] & 15)
    elif kind == IPV6 and frame[20] == UDP:
        start = 54
    else:
        return None
    source, target, length = struct.unpack("!HHH", frame[start : start + 6])
    return Datagram(source, target, frame[start + 8 : start + length])
