"""ICE candidates that a client names, and those that we advertise (RFC 8839 section 5.1).

We are ICE-lite and never send to an address that has not first sent a valid check, so a client's
candidates are only validated, counted and shown to operators; none is ever an error. Pure.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from mediaserver.api import IceCandidate

MAX_KEPT = 30


@dataclass(slots=True)
class Candidates:
    """What a client named: at most `limit` are kept, the rest counted."""

    kept: list[str] = field(default_factory=list)
    ignored: int = 0
    limit: int = MAX_KEPT

    def add(self, value: str) -> bool:
        """`value` is the attribute after `candidate:`; its prefixes are tolerated."""
        value = value.removeprefix("a=").removeprefix("candidate:").strip()
        address = _address(value)
        if address is None or len(self.kept) >= self.limit or address in self.kept:
            self.ignored += 1
            return False
        self.kept.append(address)
        return True

    def extend(self, other: "Candidates") -> None:
        for address in other.kept:
            if len(self.kept) < self.limit and address not in self.kept:
                self.kept.append(address)
            else:
                self.ignored += 1
        self.ignored += other.ignored


def _address(value: str) -> str | None:
    """address:port/protocol of a usable candidate; None for special, .local and DNS addresses."""
    parts = value.split()
    if len(value) > 512 or len(parts) < 8 or parts[6] != "typ" or not parts[5].isdigit():
        return None
    if len(parts[5]) > 5 or not 0 < int(parts[5]) < 65536:
        return None
    protocol = parts[2].lower()
    if protocol not in ("udp", "tcp") or parts[7] not in ("host", "srflx", "prflx", "relay"):
        return None
    return f"{parts[4]}:{parts[5]}/{protocol}" if _reachable(parts[4]) else None


@lru_cache(maxsize=4096)
def _reachable(text: str) -> bool:
    """A literal address that is not special. Cached: each section repeats its candidates."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return not (
        mapped.is_unspecified
        or mapped.is_multicast
        or mapped.is_loopback
        or mapped.is_link_local
        or mapped.is_reserved
    )


def attribute_lines(candidates: Sequence[IceCandidate]) -> list[str]:
    """`a=candidate` values in order of preference.

    Priority by RFC 8445 section 5.1.2.1, component 1. TCP has the lower type preference and in
    its local preference the direction of RFC 6544 section 4.2 (passive is 4 for a host).
    """
    lines = []
    for index, c in enumerate(candidates):
        if c.protocol == "udp":
            priority = (126 << 24) | ((65535 - index) << 8) | 255
            suffix = "typ host"
        else:
            priority = (90 << 24) | (((4 << 13) + 8191 - index) << 8) | 255
            suffix = "typ host tcptype passive"
        lines.append(f"{index + 1} 1 {c.protocol} {priority} {c.address} {c.port} {suffix}")
    return lines
