"""Renders a hardened coturn configuration and finds the program.

Runs nothing itself: see `supervisor`.

The deny list is of address ranges that a relay must never reach for a stranger (both IANA
registries of special-purpose addresses); the media server's own addresses are the only exceptions.
coturn before 4.18 gets no IPv6 relay (CVE-2026-27624: IPv4-mapped private addresses pass its deny
list there).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from turn.errors import CoturnMissing, TurnError

SAFE_IPV6 = (4, 18, 0)
# IPv6 ranges are written as whole prefixes: older coturn compares other bounds wrongly.
DENIED = (
    "0.0.0.0-0.255.255.255",
    "10.0.0.0-10.255.255.255",
    "100.64.0.0-100.127.255.255",
    "127.0.0.0-127.255.255.255",
    "169.254.0.0-169.254.255.255",
    "172.16.0.0-172.31.255.255",
    "192.0.0.0-192.0.0.255",
    "192.0.2.0-192.0.2.255",
    "192.88.99.0-192.88.99.255",
    "192.168.0.0-192.168.255.255",
    "198.18.0.0-198.19.255.255",
    "198.51.100.0-198.51.100.255",
    "203.0.113.0-203.0.113.255",
    "224.0.0.0-239.255.255.255",
    "240.0.0.0-255.255.255.255",
    "::",
    "::1",
    "::ffff:0.0.0.0-::ffff:255.255.255.255",
    "64:ff9b::-64:ff9b::ffff:ffff",
    "64:ff9b:1::-64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
    "100::-100::ffff:ffff:ffff:ffff",
    "2001::-2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "3fff::-3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
    "5f00::-5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fec0::-feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "ff00::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2002::-2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
)
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, slots=True)
class Relay:
    """Everything the rendered file depends on. `repr` leaves the secrets out."""

    realm: str
    secrets: tuple[str, ...] = field(repr=False)
    """The current one first; a previous one may follow while a change travels."""
    port: int = 3478
    tls_port: int = 5349
    certificate: str = ""
    key: str = ""
    listen: tuple[str, ...] = ()
    relay_address: str = ""
    external_address: str = ""
    allowed_peers: tuple[str, ...] = ()
    own_addresses: tuple[str, ...] = ()
    """Public addresses of this machine: denied as peers unless they are allowed ones."""
    min_port: int = 49152
    max_port: int = 65535
    user_quota: int = 12
    total_quota: int = 1200
    max_bps: int = 1_500_000


@dataclass(frozen=True, slots=True)
class Program:
    path: str
    version: tuple[int, ...]

    @property
    def may_relay_ipv6(self) -> bool:
        return self.version >= SAFE_IPV6


def find(name: str = "turnserver") -> Program:
    """Raises CoturnMissing with what to install."""
    path = shutil.which(name)
    if path is None:
        raise CoturnMissing("coturn is not installed (Debian and Ubuntu: apt-get install coturn)")
    try:
        run = subprocess.run(  # noqa: S603 - the program that which() found, no shell
            [path, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CoturnMissing(f"{path} does not answer --version") from error
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", run.stdout + run.stderr)
    if found is None:
        raise CoturnMissing(f"{path} does not say its version")
    return Program(path, tuple(int(part) for part in found.groups()))


def render(relay: Relay, program: Program, directory: Path) -> str:
    """The text of turnserver.conf. It holds the secrets: write it with mode 0600.

    Raises TurnError where coturn's age and the configuration together would not be safe.
    """
    if not program.may_relay_ipv6 and (not relay.relay_address or ":" in relay.relay_address):
        version = ".".join(str(part) for part in program.version)
        raise TurnError(
            f"coturn {version} must not relay IPv6; name an IPv4 address in turn.relay_address"
        )
    lines = [
        "# Made by Sotto at each start; edit sotto.toml instead.",
        "use-auth-secret",
        *(f"static-auth-secret={secret}" for secret in relay.secrets),
        f"realm={relay.realm}",
        "fingerprint",
        "stale-nonce=600",
        "no-cli",
        "no-tcp-relay",
        "no-multicast-peers",
        "log-file=stdout",
        "simple-log",
        "no-software-attribute",
        "no-rfc5780",
        "no-stun-backward-compatibility",
        "response-origin-only-with-rfc5780",
        f"pidfile={directory / 'turnserver.pid'}",
        f"userdb={directory / 'turnserver.db'}",
        *_listeners(relay),
        f"min-port={relay.min_port}",
        f"max-port={relay.max_port}",
        f"user-quota={relay.user_quota}",
        f"total-quota={relay.total_quota}",
        f"max-bps={relay.max_bps}",
        *_peers(relay),
    ]
    return "\n".join(lines) + "\n"


def _listeners(relay: Relay) -> list[str]:
    lines = [f"listening-ip={address}" for address in relay.listen]
    if relay.relay_address:
        lines.append(f"relay-ip={relay.relay_address}")
    if relay.external_address:
        local = f"/{relay.relay_address}" if relay.relay_address else ""
        lines.append(f"external-ip={relay.external_address}{local}")
    lines += [f"listening-port={relay.port}"] if relay.port else ["no-udp", "no-tcp"]
    if relay.tls_port and relay.certificate:
        lines += [f"tls-listening-port={relay.tls_port}", f"cert={relay.certificate}"]
        lines += [f"pkey={relay.key}", "no-dtls", "no-tlsv1", "no-tlsv1_1"]
        lines += [f"cipher-list={CIPHERS}"]
    else:
        lines += ["no-tls", "no-dtls"]
    return lines


def _peers(relay: Relay) -> list[str]:
    lines = [f"denied-peer-ip={item}" for item in DENIED]
    lines += [f"denied-peer-ip={a}" for a in relay.own_addresses if a not in relay.allowed_peers]
    lines += [f"allowed-peer-ip={address}" for address in relay.allowed_peers]
    if any(address.startswith("127.") or address == "::1" for address in relay.allowed_peers):
        lines.append("allow-loopback-peers")
    return lines
