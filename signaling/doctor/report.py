"""What the doctor found: one finding for each hop, as text or JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum


class Hop(StrEnum):
    """In the order in which a client meets them."""

    HTTPS = "https"
    WSS = "wss"
    PROBE = "probe"
    MEDIA_UDP = "media-udp"
    MEDIA_TCP = "media-tcp"
    TURN_UDP = "turn-udp"
    TURN_TCP = "turn-tcp"
    TURN_TLS = "turn-tls"
    VOLUME = "volume"


TITLES = {
    Hop.HTTPS: "page and API over https",
    Hop.WSS: "signaling over wss",
    Hop.PROBE: "a call of our own",
    Hop.MEDIA_UDP: "media over UDP",
    Hop.MEDIA_TCP: "media over TCP",
    Hop.TURN_UDP: "TURN over UDP",
    Hop.TURN_TCP: "TURN over TCP",
    Hop.TURN_TLS: "TURN over TLS",
    Hop.VOLUME: "data on an encrypted volume",
}


class Outcome(StrEnum):
    OK = "ok"
    BROKEN = "broken"
    SKIPPED = "skipped"
    """Not offered by the server, or a hop before it is broken."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`detail` is what was seen, `fix` what to do; `fix` is empty unless broken."""

    hop: Hop
    outcome: Outcome
    detail: str
    fix: str = ""


def ok(hop: Hop, detail: str) -> Finding:
    return Finding(hop, Outcome.OK, detail)


def broken(hop: Hop, detail: str, fix: str) -> Finding:
    return Finding(hop, Outcome.BROKEN, detail, fix)


def skipped(hop: Hop, detail: str) -> Finding:
    return Finding(hop, Outcome.SKIPPED, detail)


def healthy(findings: Sequence[Finding]) -> bool:
    return all(finding.outcome is not Outcome.BROKEN for finding in findings)


_MARKS = {Outcome.OK: "ok", Outcome.BROKEN: "BROKEN", Outcome.SKIPPED: "-"}


def as_text(findings: Sequence[Finding]) -> str:
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.outcome]:7} {TITLES[finding.hop]:24} {finding.detail}")
        if finding.fix:
            lines.append(f"{'':7} fix: {finding.fix}")
    broken_hops = [TITLES[f.hop] for f in findings if f.outcome is Outcome.BROKEN]
    lines.append("")
    lines.append(f"Broken: {', '.join(broken_hops)}." if broken_hops else "Every hop works.")
    return "\n".join(lines) + "\n"


def as_json(findings: Sequence[Finding]) -> str:
    value = {"healthy": healthy(findings), "hops": [asdict(finding) for finding in findings]}
    return json.dumps(value, indent=1) + "\n"
