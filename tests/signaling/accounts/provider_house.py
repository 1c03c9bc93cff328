"""An outside provider as this server knows it, asked through the outbound guard."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from signaling.accounts.oidc import Provider, Registration
from signaling.clock import SystemClock
from signaling.egress import Allow, Egress
from signaling.secret import Secret
from tests.peers import oidc_provider

REDIRECT = "http://localhost/sign-in/provider"


def registered(issuer: str, **more: Any) -> Registration:
    return Registration(
        id="id", name="Example", issuer=issuer, client_id=oidc_provider.CLIENT,
        client_secret=Secret(oidc_provider.SECRET), **more,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def asked(issuer: str, ca_file: str = "", **more: Any) -> AsyncIterator[Provider]:
    port = urlsplit(issuer).port or 0
    egress = Egress([Allow(ipaddress.ip_network("127.0.0.1/32"), port, ca_file)])
    try:
        # A real provider's tokens are of the real time.
        yield Provider(registered(issuer, **more), egress, SystemClock())
    finally:
        await egress.close()
