"""Pseudonyms over HTTP: who one stands for, and a new key after which older ones lead nowhere.

Looking one up is in the audit before it is answered. Somebody who was erased is never found.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from signaling.accounts.principal import Role
from signaling.accounts.registry import Registry
from signaling.compliance.pseudonyms.names import Pseudonyms
from signaling.errors import ClientError, Code
from signaling.http.api.operation import Auth, Body, Call, Operation, Recording

TAG = "Compliance"
PAGE = 500


class Lookup(Body, frozen=True, kw_only=True):
    pseudonym: Annotated[str, Meta(min_length=3, max_length=64, pattern=r"^p-[a-z2-7]+$")]


class Found(msgspec.Struct, frozen=True):
    account: str


class KeyReplaced(msgspec.Struct, frozen=True):
    """How many keys there were, this one included."""

    number: int


class Handlers:
    """Holds nothing of a request."""

    def __init__(self, names: Pseudonyms, registry: Registry) -> None:
        self._names, self._registry = names, registry

    async def lookup(self, call: Call[Lookup]) -> Found:
        """By making everybody's again: nobody keeps a list of who is who."""
        app, after = call.principal.app, ""
        call.note.target = f"pseudonym:{call.body.pseudonym}"
        while page := await self._registry.page(app, after, PAGE):
            for account in page:
                if await self._names.of(app, account.id) == call.body.pseudonym:
                    return Found(account.id)
            after = page[-1].id
        raise ClientError(Code.NOT_FOUND, 404, "This pseudonym leads to nobody.")

    async def rotate(self, call: Call[None]) -> KeyReplaced:
        return KeyReplaced(await self._names.rotate(call.principal.app))


def operations(names: Pseudonyms, registry: Registry) -> list[Operation]:
    do = Handlers(names, registry)
    shared: dict[str, Any] = {
        "auth": Auth.ROLE, "roles": (Role.COMPLIANCE,), "scope": "admin", "reauth": True,
        "rate": "sensitive", "recording": Recording.DURABLE, "tag": TAG,
    }  # fmt: skip
    return [
        Operation(
            "POST", "/pseudonyms/lookup", "lookupPseudonym", "Whom a pseudonym stands for",
            do.lookup, body=Lookup, answer=Found, idempotent=False, errors=(Code.NOT_FOUND,),
            **shared,
        ),
        Operation(
            "POST", "/pseudonyms/rotation", "rotatePseudonyms",
            "A new key: older pseudonyms lead nowhere", do.rotate, answer=KeyReplaced, **shared,
        ),
    ]  # fmt: skip
