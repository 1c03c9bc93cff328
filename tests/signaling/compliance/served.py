"""The HTTP operations of keys and audit as the server makes them, with people of every role."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from signaling.accounts.principal import Kind, Principal, Role
from signaling.accounts.sessions.scopes import ALL
from signaling.compliance.audit import operations as audit_operations
from signaling.errors import Code, Refused
from signaling.keys import operations as key_operations
from tests.signaling.compliance.rig import AuditRig
from tests.signaling.http.api.behind import answering, application, ports_of


@dataclass
class Served:
    """`ask` as somebody: a role's name, perhaps with a number (`owner`, `owner2`), or `""`."""

    rig: AuditRig
    client: aiohttp.ClientSession
    url: str

    async def ask(
        self, who: str, method: str, path: str, body: object = None, **query: str
    ) -> tuple[int, Any]:
        status, data, _ = await self.raw(who, method, path, body, query)
        return status, data

    async def raw(
        self,
        who: str,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
    ) -> tuple[int, Any, Mapping[str, str]]:
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        async with self.client.request(
            method, f"{self.url}/api/v1{path}", json=body, params=query, headers=headers
        ) as response:
            if response.content_type.endswith(("/json", "+json")):
                return response.status, await response.json(), response.headers
            return response.status, await response.read(), response.headers


class People:
    """Bearer `owner` or `owner2` is an account of that name with that role; `other-...` of
    another app.
    """

    def __init__(self, rig: AuditRig) -> None:
        self._rig = rig

    async def authenticate(self, request: web.Request) -> Principal:
        scheme, _, name = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return Principal(app="one")
        app, _, role = name.rpartition("-")
        known = role.rstrip("0123456789")
        if known not in set(Role):
            raise Refused(Code.TOKEN_INVALID, 401, "The token is not one of ours.")
        return Principal(
            app=app or "one",
            kind=Kind.ACCOUNT,
            account=name,
            session=f"s-{name}",
            token=f"t-{name}",
            roles=frozenset({Role(known)}),
            scopes=ALL,
            authenticated_at=self._rig.clock.unix(),
        )


@contextlib.asynccontextmanager
async def served(directory: Path) -> AsyncIterator[Served]:
    rig = await AuditRig(directory).start()
    # What keys do and what the API records goes into the one log here.
    rig.keys.masters._audit = rig.keys.custodian._audit = rig.keys.envelope._audit = rig.audit
    store = rig.store
    ports = ports_of("one", People(rig), rig.audit, store, rig.clock, entropy=rig.keys.entropy)
    deps = audit_operations.Deps(
        store.meta, store.log, rig.reader, rig.audit, rig.signers, rig.clock
    )
    manage = key_operations.Deps(rig.keys.custodian, rig.keys.rewrap, home="one")
    listed = [*audit_operations.operations(deps), *key_operations.operations(manage)]
    try:
        async with answering(application(listed, ports)) as (client, url):
            yield Served(rig, client, url)
    finally:
        await rig.stop()
