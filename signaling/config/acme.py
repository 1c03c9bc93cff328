"""The `[acme]` table: certificates from an ACME authority such as Let's Encrypt."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from signaling.config.section import Section
from signaling.secret import Secret


class Acme(Section, frozen=True):
    """Certificates fetched and renewed by the server itself (RFC 8555); off unless `directory`
    is set.
    """

    directory: Annotated[
        str,
        Meta(
            description=(
                "Directory URL of the authority: `https://acme-v02.api.letsencrypt.org/directory`."
                " Empty: certificates come from `tls`."
            )
        ),
    ] = ""
    domains: Annotated[
        tuple[str, ...], Meta(description="Host names on the certificate; the first is its name.")
    ] = ()
    agree_terms: Annotated[
        bool, Meta(description="You have read and accept the authority's terms of service.")
    ] = False
    email: Annotated[
        str, Meta(description="Where the authority may write to. Empty: it is told nothing.")
    ] = ""
    challenge: Annotated[
        Literal["tls-alpn-01", "http-01"],
        Meta(
            description=(
                "How control of the names is shown: on the https listener, which must be reachable"
                " at port 443, or on `http_listen` at port 80."
            )
        ),
    ] = "tls-alpn-01"
    http_listen: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Addresses of the http-01 listener, `0.0.0.0:80`. It answers challenges and "
                "refuses everything else."
            )
        ),
    ] = ()
    ca: Annotated[
        str,
        Meta(description="PEM file that the authority's own certificate is checked against."),
    ] = ""
    external_key_id: Annotated[
        str, Meta(description="Key id of an external account, where the authority asks for one.")
    ] = ""
    external_key: Annotated[
        Secret | None, Meta(description="Its MAC key, base64url as the authority gave it.")
    ] = None
    renew_days: Annotated[
        int,
        Meta(ge=1, le=60, description="Renew when the certificate has so many days left."),
    ] = 30
    retry_seconds: Annotated[
        float,
        Meta(
            ge=1,
            le=86400,
            description="Wait before the next try after a failure; doubles up to a day.",
        ),
    ] = 300.0
