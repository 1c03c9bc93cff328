"""What everybody calls to leave a trace in the audit, and what a trace may hold. Pure.

`note` for the many (reads, calls, refusals), `record` for acts that change rights, keys or
accounts: such an act answers only when its record is durable. `details` is an allow-list: what is
not in `DETAILS` is dropped and counted, so a token, a body or a secret has no place to be in.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal, Protocol

from msgspec import Struct, field

Result = Literal["allowed", "denied", "failed"]

DETAILS = frozenset(
    {
        "method", "path", "status", "operation", "reason", "count", "bytes", "duration_ms",
        "room", "call", "participant", "account", "device", "session", "client", "role",
        "key", "version", "scope", "master", "provider", "state", "due", "approver",
        "filter", "format", "cursor", "sink", "lost", "from", "to", "upto", "seq",
        "permission", "grants", "ttl", "name", "kind", "factor", "provider_name", "policy",
        "network", "close_code", "redacted", "trace_id",
    }
)  # fmt: skip
"""Names of details. Their values are ids, names of things and numbers, never what people wrote."""

TEXT_BOUND = 256
_SECRET = re.compile(
    # Ours: a prefix, then noise.
    r"\b[a-z]{2,8}_(?=[\w\-]*[A-Z])(?=[\w\-]*\d)[\w\-]{20,}(?:\.[\w\-]+)*"
    r"|\beyJ[\w\-]{8,}\.[\w\-]+(?:\.[\w\-]*)*"  # JSON Web Tokens
    r"|(?i:\b(?:bearer|basic|dpop|digest)\s+\S+)"
    r"|[\w+=\-]{100,}"  # longer than any id or name that we make
)
# What no pattern above can match: most of what comes, at a tenth of the price.
_LOWER, _LETTERS = r"[a-z0-9:._/\-]{0,99}", r"[A-Za-z]{0,99}"
_PLAIN = re.compile(f"{_LOWER}|{_LETTERS}")
_PLAIN_LINES = re.compile(rf"(?:{_LOWER}+\n|{_LETTERS}+\n)*+")  # nothing is tried twice
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


class AuditEvent(Struct, frozen=True, kw_only=True):
    """One act. `at` in seconds of Unix time; `actor` is `account:<id>`, `session:<id>`,
    `token:<id>`, `operator:<name>`, `system:<part>` or `anonymous`; `action` is `part.verb`.
    """

    at: float
    app: str
    actor: str
    action: str
    target: str = ""
    result: Result = "allowed"
    code: str = ""
    request_id: str = ""
    token_id: str = ""
    address: str = ""
    details: dict[str, str] = field(default_factory=dict)


class Audit(Protocol):
    """One for each process. Both take any event: what must not be kept is removed on the way in."""

    def note(self, event: AuditEvent) -> None:
        """Written within 250 ms. Never raises and never waits; what a full queue refused is
        counted, and the count is itself recorded.
        """
        ...

    async def record(self, event: AuditEvent) -> None:
        """Returns when the event is durable; raises Unavailable when it cannot be."""
        ...


class MemoryAudit:
    """Keeps cleaned events in a list: for tests and for commands without a store."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    def note(self, event: AuditEvent) -> None:
        self.events.append(cleaned(event))

    async def record(self, event: AuditEvent) -> None:
        self.note(event)

    def actions(self) -> list[tuple[str, Result]]:
        return [(event.action, event.result) for event in self.events]


@lru_cache(maxsize=4096)
def truncated(address: str) -> str:
    """An address without its last part: /24 of IPv4, /48 of IPv6. What is no address is dropped."""
    host = address.partition("/")[0].partition("%")[0].strip("[]")
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return ""
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    if mapped is not None:
        parsed = mapped
    bits = 24 if parsed.version == 4 else 48
    return str(ipaddress.ip_network((parsed, bits), strict=False))


def clean_text(text: str) -> str:
    """Bounded, one line, and without anything that looks like a credential."""
    if type(text) is str and _PLAIN.fullmatch(text):
        return text
    return _CONTROL.sub(" ", _SECRET.sub("***", str(text)[: 4 * TEXT_BOUND]))[:TEXT_BOUND]


def clean_details(details: Mapping[str, str]) -> dict[str, str]:
    kept = {name: clean_text(value) for name, value in details.items() if name in DETAILS}
    if dropped := len(details) - len(kept):
        kept["redacted"] = str(dropped)
    return kept


def are_clean(events: Sequence[AuditEvent]) -> bool:
    """Whether cleaning would change none of their texts, which are looked at together and no text
    twice: one look for each costs several times as much. Addresses are not looked at.
    """
    lines: list[str] = []
    for event in events:
        details = event.details
        if not details.keys() <= DETAILS:
            return False
        lines += (event.actor, event.action, event.target, event.code, event.request_id)
        lines += (event.token_id, *details.values())
    if not {*map(type, lines)} <= {str}:
        return False
    different = {*lines}
    text = "\n".join((*different, ""))
    return text.count("\n") == len(different) and _PLAIN_LINES.fullmatch(text) is not None


def cleaned(event: AuditEvent) -> AuditEvent:
    """The event as it may be kept. Cleaning twice changes nothing."""
    return AuditEvent(
        at=event.at,
        app=event.app,
        result=event.result,
        actor=clean_text(event.actor),
        action=clean_text(event.action),
        target=clean_text(event.target),
        code=clean_text(event.code),
        request_id=clean_text(event.request_id),
        token_id=clean_text(event.token_id),
        address=truncated(event.address),
        details=clean_details(event.details),
    )
