"""What `sotto dev` presumes.

Loopback, the development key, a certificate of its own, guests welcome.

Makes a configuration and the certificate, prints what to open; serving is `app`'s. Driven by `cli`.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import segno

from signaling import mdns
from signaling.addresses import lan_addresses
from signaling.config import DEV_KEY, DEV_SECRET, Config
from signaling.errors import ConfigError
from signaling.http import certificates
from signaling.secret import Secret
from turn import coturn
from turn.errors import CoturnMissing

LOOPBACK = "127.0.0.1"
NO_ADDRESS = (
    "this machine has no IPv4 address but loopback, so no phone can reach it; join a network"
)


@dataclass(frozen=True, slots=True)
class Profile:
    """The base beneath file, environment and flags, and what is worth telling the person."""

    base: Mapping[str, Any]
    files: certificates.Files
    lan: tuple[str, ...]
    turn_missing: str = ""


def profile(state: Path, *, lan: bool, want_turn: bool) -> Profile:
    """Touches the state directory and looks for coturn; listens to nothing.

    Raises ConfigError when a phone could not reach this machine."""
    addresses = lan_addresses()
    shared = tuple(addresses) if lan else ()
    if lan and not shared:
        raise ConfigError("--lan", NO_ADDRESS)
    turn_host = _shared_name(shared) if shared else "localhost"
    names = ["localhost", LOOPBACK, "::1", *_host_names(), *shared]
    names += [turn_host] if turn_host not in names else []
    files = certificates.ensure(state / "tls", names, datetime.now(UTC))  # noqa: TID251 - adapter
    host = "0.0.0.0" if lan else LOOPBACK  # noqa: S104 - asked for with --lan
    base: dict[str, Any] = {
        "http": {"listen": [f"{host}:7443"], "plain": [f"{LOOPBACK}:7880"]},
        "tls": {"certificate": str(files.certificate), "key": str(files.key)},
        "keys": {DEV_KEY: Secret(DEV_SECRET)},
        "media": {"advertise": [LOOPBACK, *addresses]},
        "calls": {"guest_join": True},
        "process": {"state_dir": str(state), "drain_seconds": 1.0},
    }
    missing = ""
    if want_turn:
        try:
            coturn.find()
        except CoturnMissing as error:
            missing = error.message
        else:
            base["turn"] = _turn(turn_host, shared, addresses)
    return Profile(base, files, shared, missing)


def _turn(host: str, shared: tuple[str, ...], own: list[str]) -> dict[str, Any]:
    relay = own[0] if own else LOOPBACK
    return {
        "host": host,
        "secret": Secret(secrets.token_urlsafe(32)),
        "supervise": True,
        "listen": [LOOPBACK, *shared],
        "relay_address": relay,
    }


def _host_names() -> list[str]:
    name = socket.gethostname()
    return [name] if name and name != "localhost" and name.isascii() and len(name) < 64 else []


def _shared_name(shared: tuple[str, ...]) -> str:
    """What TURN URLs carry: a name by which others find a shared address, else that address.

    Firefox wants a name for TURN over TLS. A name without a domain says nothing: this machine
    knows its own, a phone does not.
    """
    for name in _host_names():
        local = f"{name.partition('.')[0]}.local"
        if any(mdns.published(local, address) for address in shared):
            return local
        with contextlib.suppress(OSError):
            if "." in name and socket.gethostbyname(name) in shared:
                return name
    return shared[0]


def announce(
    out: TextIO, config: Config, made: Profile, facts: Mapping[str, Any], *, qr: bool
) -> None:
    """Tell a person what to open, and how to make the browser trust it."""
    lines = ["", f"  Sotto is ready. Open  {facts['url']}"]
    if facts.get("http"):
        lines.append(f"  Without TLS, here only: {facts['http_url']}   key {DEV_KEY}")
    lines += [
        *(f"  On this network:        {url}" for url in facts["lan_urls"]),
        "",
        "  The certificate is this machine's own. The browser warns until you trust its authority:",
        f"    file         {made.files.authority}",
        "    Chromium     Settings > Privacy > Security > Manage certificates > Authorities >"
        " Import",
        "    Firefox      Settings > Privacy > View Certificates > Authorities > Import",
    ]
    if made.lan:
        lines += [
            "    iPhone       open the address above with /ca.crt, install the profile, then",
            "                 Settings > General > About > Certificate Trust Settings",
            "    Android      open it with /ca.crt, then Settings > Security > Install CA "
            "certificate",
        ]
    lines += [f"    SHA-256      {made.files.fingerprint}", ""]
    if made.turn_missing:
        lines += [f"  No TURN relay: {made.turn_missing}.", ""]
    out.write("\n".join(lines) + "\n")
    if qr and facts["lan_urls"]:
        segno.make(facts["lan_urls"][0], error="m").terminal(out=out, compact=True)
    out.flush()
