"""The house of sessions behind the real framework of the API, on a port of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import aiohttp
from aiohttp import web

from signaling.accounts.sessions.authenticate import Proofs, RequestAuthenticator
from signaling.compliance.audit.port import MemoryAudit
from signaling.http.api.operation import Operation
from tests.signaling.http.api.behind import answering, application, ports_of
from tests.signaling.sessions.house import APP, House

OWN = "https://meet.example.org"


class Served:
    """`client` speaks to it; `audit` is what was recorded."""

    def __init__(self, client: aiohttp.ClientSession, url: str, audit: MemoryAudit) -> None:
        self.client = client
        self.url = url
        self.audit = audit


def authenticator(house: House, proofs: Proofs | None = None) -> RequestAuthenticator:
    made = RequestAuthenticator(
        house.service, lambda request: APP, lambda request: frozenset({OWN}), proofs=proofs
    )
    house.revocations.listen(made.forget)
    return made


@contextlib.asynccontextmanager
async def served(
    house: House,
    operations: Sequence[Operation],
    who: RequestAuthenticator | None = None,
    audit: MemoryAudit | None = None,
    more: Callable[[web.Application], None] = lambda app: None,
) -> AsyncIterator[Served]:
    audit = audit or MemoryAudit()
    ports = ports_of(
        APP, who or authenticator(house), audit, house.store, house.clock, bus=house.bus,
        entropy=house.entropy, own=OWN,
    )  # fmt: skip
    async with answering(application(operations, ports, more)) as (client, url):
        yield Served(client, url, audit)
