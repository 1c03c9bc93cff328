"""OAuth on the HTTP API: administrators register clients, accounts see and withdraw their consent.

A secret is shown once, when it is made. What is not valid in a registration is 422 with the field.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from signaling.accounts.oauth import redirects
from signaling.accounts.oauth.clients import Client, Clients, GrantType
from signaling.accounts.oauth.consents import Consents
from signaling.accounts.principal import Role
from signaling.accounts.sessions.operations import own
from signaling.accounts.sessions.scopes import ALL
from signaling.accounts.sessions.service import SessionService
from signaling.clock import Clock
from signaling.errors import ClientError, Code, FieldError
from signaling.http.api.operation import Auth, Body, Call, Operation, Page, Recording, Reply
from signaling.ids import Ids
from signaling.storage.table import Missing, Row

_TAG = "OAuth"
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Uris = Annotated[list[str], Meta(max_length=redirects.MOST)]


class NewClient(Body, frozen=True):
    """`confidential`: it can keep a secret, and is given one."""

    name: Name
    scopes: list[str]
    redirect_uris: Uris = msgspec.field(default_factory=list)
    grants: list[GrantType] = msgspec.field(
        default_factory=lambda: [GrantType.CODE, GrantType.REFRESH]
    )
    confidential: bool = False
    trusted: bool = False
    introspects: bool = False
    dpop: bool = False


class ClientChange(Body, frozen=True):
    """What is not named stays. A client that is disabled loses its sessions."""

    name: Name | UnsetType = UNSET
    scopes: list[str] | UnsetType = UNSET
    redirect_uris: Uris | UnsetType = UNSET
    grants: list[GrantType] | UnsetType = UNSET
    trusted: bool | UnsetType = UNSET
    introspects: bool | UnsetType = UNSET
    dpop: bool | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class ClientView(msgspec.Struct, frozen=True, kw_only=True):
    """A client as administrators see it; never a secret but the one just made."""

    id: str
    name: str
    created_at: float
    confidential: bool
    scopes: list[str]
    redirect_uris: list[str]
    grants: list[str]
    trusted: bool
    introspects: bool
    dpop: bool
    disabled: bool
    secret: str | None = None


class ConsentView(msgspec.Struct, frozen=True, kw_only=True):
    """What an account granted to a client."""

    client: str
    name: str
    scopes: list[str]
    granted_at: float


class ConsentList(msgspec.Struct, frozen=True):
    """The newest first, a hundred at most."""

    items: list[ConsentView]


class Deps(msgspec.Struct, frozen=True):
    clients: Clients
    consents: Consents
    service: SessionService
    ids: Ids
    clock: Clock


def _view(client: Client, secret: str | None = None) -> ClientView:
    return ClientView(
        id=client.id,
        name=client.name,
        created_at=client.created_at,
        confidential=client.confidential,
        scopes=sorted(client.scopes),
        redirect_uris=list(client.redirect_uris),
        grants=sorted(grant.value for grant in client.grants),
        trusted=client.trusted,
        introspects=client.introspects,
        dpop=client.dpop,
        disabled=client.disabled,
        secret=secret,
    )


def _is_open(uri: str) -> bool:
    return not redirects.problem(uri) and redirects.is_open(uri)


def check(client: Client) -> Client:
    """Raises ClientError (422) that names each field."""
    errors = [
        FieldError("/scopes", "invalid_scope", "A scope does not exist.")
        for scope in client.scopes
        if scope not in ALL
    ][:1]
    if not client.scopes:
        errors.append(FieldError("/scopes", "required", "It must be allowed something."))
    errors += [
        FieldError(f"/redirect_uris/{index}", "invalid_redirect_uri", wrong)
        for index, uri in enumerate(client.redirect_uris)
        if (wrong := redirects.problem(uri))
    ]
    if GrantType.CODE in client.grants and not client.redirect_uris:
        errors.append(FieldError("/redirect_uris", "required", "The code grant needs one."))
    if GrantType.CLIENT in client.grants and not client.confidential:
        text = "Client credentials are for clients that have a secret."
        errors.append(FieldError("/grants", "not_confidential", text))
    if client.introspects and not client.confidential:
        text = "Only a client with a secret may ask about tokens."
        errors.append(FieldError("/introspects", "not_confidential", text))
    if client.trusted and not client.confidential and any(map(_is_open, client.redirect_uris)):
        text = "Without a secret it is trusted at https redirects only."
        errors.append(FieldError("/trusted", "not_confidential", text))
    if errors:
        message = "The client cannot be registered like that."
        raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)
    return client


class Handlers:
    """One method for each operation."""

    def __init__(self, deps: Deps) -> None:
        self._clients = deps.clients
        self._consents = deps.consents
        self._service = deps.service
        self._ids = deps.ids
        self._clock = deps.clock

    async def list(self, call: Call[None]) -> Page:
        ask = call.page
        rows = await self._clients.rows.scan(
            call.principal.app, after=ask.after or "", limit=ask.limit + 1
        )
        more = rows[ask.limit - 1].key if len(rows) > ask.limit else None
        return Page([_view(row.value) for row in rows[: ask.limit]], next=more)

    async def create(self, call: Call[NewClient]) -> ClientView:
        body, app, name = call.body, call.principal.app, self._ids.new()
        secret = self._clients.new_secret(app, name) if body.confidential else None
        client = Client(
            id=name,
            name=body.name,
            created_at=self._clock.unix(),
            secrets=() if secret is None else (secret.id,),
            redirect_uris=tuple(body.redirect_uris),
            grants=frozenset(body.grants),
            scopes=frozenset(body.scopes),
            trusted=body.trusted,
            introspects=body.introspects,
            dpop=body.dpop,
        )
        await self._clients.rows.create(app, name, check(client))
        call.note.target = f"client:{name}"
        return _view(client, None if secret is None else secret.text)

    async def _row(self, call: Call[Any]) -> Row[Client]:
        row = await self._clients.rows.get(call.principal.app, call.path["client_id"])
        if row is None:
            raise _no_client()
        call.note.target = f"client:{row.key}"
        return row

    async def get(self, call: Call[None]) -> ClientView:
        return _view((await self._row(call)).value)

    async def change(self, call: Call[ClientChange]) -> ClientView:
        app, row = call.principal.app, await self._row(call)
        said = msgspec.structs.asdict(call.body)
        changes = {name: value for name, value in said.items() if value is not UNSET}
        for name in ("scopes", "grants"):
            if name in changes:
                changes[name] = frozenset(changes[name])
        if "redirect_uris" in changes:
            changes["redirect_uris"] = tuple(changes["redirect_uris"])

        def apply(client: Client) -> Client:
            return check(msgspec.structs.replace(client, **changes))

        try:
            after = await self._clients.rows.change(app, row.key, apply)
        except Missing:
            raise _no_client() from None
        if after.value.disabled:
            await self._service.end_client(app, row.key)
        return _view(after.value)

    async def remove(self, call: Call[None]) -> Reply:
        app, row = call.principal.app, await self._row(call)
        await self._clients.rows.delete(app, row.key)
        await self._service.end_client(app, row.key)
        await self._consents.forget_client(app, row.key)
        return Reply(status=204)

    async def new_secret(self, call: Call[None]) -> ClientView:
        row = await self._row(call)
        if not row.value.confidential:
            raise ClientError(Code.CONFLICT, 409, "This client was registered without a secret.")
        after, secret = await self._clients.add_secret(call.principal.app, row.key)
        return _view(after.value, secret.text)

    async def consents(self, call: Call[None]) -> ConsentList:
        account, _ = own(call.principal)
        app, items = call.principal.app, []
        for consent in await self._consents.of_account(app, account):
            client = await self._clients.rows.get(app, consent.client)
            items.append(
                ConsentView(
                    client=consent.client,
                    name=client.value.name if client is not None else "",
                    scopes=sorted(consent.scopes),
                    granted_at=consent.granted_at,
                )
            )
        return ConsentList(items)

    async def withdraw(self, call: Call[None]) -> Reply:
        """The client's tokens for this account end with it."""
        account, _ = own(call.principal)
        app, client = call.principal.app, call.path["client_id"]
        call.note.target = f"client:{client}"
        gone = await self._consents.withdraw(app, account, client)
        ended = await self._service.end_client(app, client, account)
        if not gone and not ended:
            raise ClientError(Code.NOT_FOUND, 404, "You have granted nothing to such a client.")
        return Reply(status=204)


def _no_client() -> ClientError:
    return ClientError(Code.NOT_FOUND, 404, "There is no such client.")


def operations(deps: Deps) -> list[Operation]:
    do = Handlers(deps)

    def op(method: str, path: str, name: str, summary: str, handler: Any, **more: Any) -> Operation:
        return Operation(method, path, name, summary, handler, tag=_TAG, **more)

    admin: dict[str, Any] = {
        "auth": Auth.ROLE,
        "roles": (Role.OWNER, Role.ADMINISTRATOR),
        "scope": "admin",
    }
    act = {**admin, "recording": Recording.DURABLE, "reauth": True}
    one = "/oauth/clients/{client_id}"
    return [
        op("GET", "/oauth/clients", "listOAuthClients", "Registered clients", do.list,
           answer=ClientView, paged=True, **admin),
        op("POST", "/oauth/clients", "createOAuthClient", "Register a client", do.create,
           body=NewClient, answer=ClientView, status=201, idempotent=False, **act),
        op("GET", one, "getOAuthClient", "One client", do.get, answer=ClientView,
           errors=(Code.NOT_FOUND,), **admin),
        op("PATCH", one, "changeOAuthClient", "Change a client", do.change, body=ClientChange,
           answer=ClientView, errors=(Code.NOT_FOUND,), **act),
        op("DELETE", one, "removeOAuthClient", "Remove a client and all that it holds",
           do.remove, status=204, errors=(Code.NOT_FOUND,), **act),
        op("POST", one + "/secrets", "renewOAuthClientSecret",
           "A new secret; the one before stays good beside it", do.new_secret,
           answer=ClientView, status=201, idempotent=False,
           errors=(Code.NOT_FOUND, Code.CONFLICT), **act),
        op("GET", "/oauth/consents", "listConsents", "What I granted to other programs",
           do.consents, answer=ConsentList, scope="account:read"),
        op("DELETE", "/oauth/consents/{client_id}", "withdrawConsent",
           "Withdraw it, and end its tokens", do.withdraw, status=204, scope="account:write",
           errors=(Code.NOT_FOUND,), recording=Recording.DURABLE),
    ]  # fmt: skip
