"""The `[api]` table: the HTTP API and what people are told to whom they may turn."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from signaling.config.section import Section


class Api(Section, frozen=True):
    """The HTTP API below `/api/v1`."""

    origins: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Further origins (`https://app.example.org`) whose pages may change something or "
                "open sockets. The server's own always may."
            )
        ),
    ] = ()
    rate_factor: Annotated[
        float,
        Meta(gt=0, le=1000, description="Multiplies every rate limit of the published table."),
    ] = 1.0
    reauth_seconds: Annotated[
        int,
        Meta(
            ge=30,
            le=86400,
            description="Sensitive acts ask for a proof of who you are that is not older.",
        ),
    ] = 300
    security_contact: Annotated[
        str,
        Meta(
            description=(
                "Where to report a vulnerability (`mailto:` or `https:`), shown in "
                "`/.well-known/security.txt`. Empty: the server's page `/security`."
            )
        ),
    ] = ""
    related_origins: Annotated[
        tuple[str, ...],
        Meta(description="Origins that may use this server's passkeys (`/.well-known/webauthn`)."),
    ] = ()
