"""The tables of the audit: how long it is kept, and where a copy of it goes."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from signaling.config.section import Section
from signaling.secret import Secret


class Audit(Section, frozen=True):
    """The audit log: every operation, allowed or denied."""

    retention_days: Annotated[
        int,
        Meta(
            ge=0,
            le=36500,
            description="Records are kept for this time, whatever else expires. 0: for ever.",
        ),
    ] = 400
    head_seconds: Annotated[
        float,
        Meta(ge=1, le=3600, description="At most so long until new records are signed for."),
    ] = 10.0


class AuditSyslog(Section, frozen=True):
    """Forward the audit to a syslog receiver over TLS (RFC 5424, RFC 5425)."""

    address: Annotated[str, Meta(description="`HOST:PORT`, usually port 6514. Empty: off.")] = ""
    ca: Annotated[
        str, Meta(description="PEM file of the authority to believe. Empty: the system's.")
    ] = ""
    certificate: Annotated[
        str, Meta(description="PEM file with our certificate, where the receiver asks for one.")
    ] = ""
    key: Annotated[str, Meta(description="Its private key.")] = ""
    server_name: Annotated[
        str, Meta(description="The name in the receiver's certificate, if not HOST.")
    ] = ""
    facility: Annotated[int, Meta(ge=0, le=23, description="13 is `log audit` (RFC 5424).")] = 13
    host_name: Annotated[
        str, Meta(description="HOSTNAME in the records. Empty: this machine's.")
    ] = ""
    overlap_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=86400,
            description=(
                "Syslog acknowledges nothing: after a lost connection what was sent within this "
                "time is sent again. Receivers know duplicates by `id`."
            ),
        ),
    ] = 60.0


class AuditWebhook(Section, frozen=True):
    """Forward the audit as NDJSON in POST requests, signed."""

    url: Annotated[str, Meta(description="https address. Empty: off.")] = ""
    secret: Annotated[
        Secret | None,
        Meta(description="Signs requests (Standard Webhooks); at least 32 characters."),
    ] = None
    ca: Annotated[str, Meta(description="PEM file of the authority to believe.")] = ""


class AuditOtlp(Section, frozen=True):
    """Forward the audit as OpenTelemetry logs over OTLP/HTTP in JSON."""

    url: Annotated[
        str, Meta(description="The whole address, such as `https://otel:4318/v1/logs`. Empty: off.")
    ] = ""
    token: Annotated[Secret | None, Meta(description="Sent as a bearer token, if set.")] = None
    ca: Annotated[str, Meta(description="PEM file of the authority to believe.")] = ""


class AuditFile(Section, frozen=True):
    """Append the audit to a file as NDJSON, each batch synced to the disk."""

    path: Annotated[
        str,
        Meta(description="Opened by name for each batch, so it may be rotated. Empty: off."),
    ] = ""
