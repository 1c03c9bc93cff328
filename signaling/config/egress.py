"""The `egress` section: which private addresses this server may call at all."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from signaling.config.section import Section


class EgressAllow(Section, frozen=True):
    """One exception: a network, a port, and the CA that its certificate must come from."""

    network: Annotated[str, Meta(description="`10.1.2.3/32`, `fd00:1::/64`.")]
    port: Annotated[int, Meta(ge=1, le=65535, description="This one and no other.")]
    ca_file: Annotated[str, Meta(description="PEM file. Empty: the machine's own CAs.")] = ""


class Egress(Section, frozen=True):
    """Calls to addresses that others choose: sign-in providers, webhooks, push.

    Private and special addresses are refused unless they are named here. No API changes this.
    """

    allow: Annotated[
        tuple[EgressAllow, ...],
        Meta(
            description=(
                'Exceptions, each `{ network = "10.1.2.3/32", port = 8443, ca_file = "..." }`;'
                " `ca_file` may be left out."
            )
        ),
    ] = ()
