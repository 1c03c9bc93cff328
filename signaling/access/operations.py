"""The Access Manager on our own API: key sets for administrators, groups and "may I?" for all.

Groups and the question take either plane: an access token (`Authorization: Bearer am_...`, with
`uuid` for whom it is used) or a session. Grants are `signed`.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from signaling.access import wire
from signaling.access.door import Door
from signaling.access.evaluate import Ask
from signaling.access.grant import NAME_BYTES, Invalid, is_name, read_grant
from signaling.access.grants import Grants
from signaling.access.groups import MOST_ROOMS, Groups
from signaling.access.keysets import MAX_OVERLAP, KeySet, KeySets
from signaling.access.permissions import Operation as Act
from signaling.accounts.principal import Role
from signaling.errors import ClientError, Code
from signaling.http.api.operation import (
    Auth,
    Body,
    Call,
    Operation,
    Page,
    Query,
    Recording,
    Reply,
)

_TAG = "Access Manager"
_ADMINISTRATORS = (Role.OWNER, Role.ADMINISTRATOR)
SCOPE = "access:manage"
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_BYTES)]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Deps(msgspec.Struct, frozen=True):
    door: Door
    grants: Grants
    groups: Groups
    keysets: KeySets


class NewKeySet(Body, frozen=True, kw_only=True):
    """`listing`: may its tokens list all rooms or all accounts, where they hold `.*`?"""

    name: Label
    listing: bool = False


class ChangedKeySet(Body, frozen=True, kw_only=True):
    """Disabling ends every token of the key set for good and refuses its signatures."""

    name: Label | None = None
    listing: bool | None = None
    enabled: bool | None = None


class Rotation(Body, frozen=True, kw_only=True):
    """For how long the secrets before the new one are still accepted."""

    overlap_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_OVERLAP)] = 3600


class SecretView(msgspec.Struct, frozen=True, kw_only=True):
    """Never the secret itself."""

    id: str
    created_at: float
    retires_at: float | None


class KeySetView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    subscribe_key: str
    publish_key: str
    secrets: list[SecretView]
    listing: bool
    enabled: bool
    created_at: float


class NewSecret(msgspec.Struct, frozen=True, kw_only=True):
    """`secret_key` is told here and never again."""

    key_set: KeySetView
    secret_key: str


class RoomsBody(Body, frozen=True, kw_only=True):
    add: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_ROOMS)] = ()
    remove: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MOST_ROOMS)] = ()


class GroupView(msgspec.Struct, frozen=True):
    name: str
    rooms: tuple[str, ...]


class WhoQuery(Query, frozen=True, kw_only=True):
    """For whom an access token is used; a session says that itself."""

    uuid: Name | None = None


class Question(Body, frozen=True, kw_only=True):
    operation: Act
    channels: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_ROOMS)] = ()
    groups: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_ROOMS)] = ()
    uuids: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_ROOMS)] = ()


class Allowed(msgspec.Struct, frozen=True):
    """The answer is yes; a no is 403, or 401 for who is nobody yet."""

    operation: Act
    allowed: bool


class GrantBody(Body, frozen=True, kw_only=True):
    """As in a signed grant: minutes, and permissions by resource and pattern."""

    ttl: Any = None
    permissions: Any = None


class GrantedToken(msgspec.Struct, frozen=True):
    """`token` is told here and never again."""

    token: str


class KeySetHandlers:
    """For administrators, who signed in."""

    def __init__(self, deps: Deps) -> None:
        self._keysets, self._grants = deps.keysets, deps.grants

    async def create(self, call: Call[NewKeySet]) -> Reply:
        made = await self._keysets.create(
            call.principal.app, call.body.name, listing=call.body.listing
        )
        call.note.target = f"keyset:{made.id}"
        where = [("Location", f"/api/v1/access/key-sets/{made.id}")]
        return Reply(NewSecret(key_set=view(made), secret_key=made.secrets[-1].text), headers=where)

    async def list(self, call: Call[None]) -> Page:
        limit = call.page.limit
        if call.page.before is not None:
            message = "This list is read forwards only."
            raise ClientError(Code.CURSOR_INVALID, 400, message)
        found = await self._keysets.page(call.principal.app, call.page.after or "", limit)
        return Page([view(k) for k in found], next=found[-1].id if len(found) == limit else None)

    async def get(self, call: Call[None]) -> Reply:
        row = await self._keysets.get(call.principal.app, call.path["key_set"])
        return Reply(view(row.value), etag=str(row.version))

    async def change(self, call: Call[ChangedKeySet]) -> Reply:
        app, ident = call.principal.app, call.path["key_set"]
        row = await self._keysets.get(app, ident)
        call.expect(str(row.version))
        body = call.body
        row = await self._keysets.change(
            app, row, name=body.name, listing=body.listing, enabled=body.enabled
        )
        if body.enabled is False:
            await self._grants.revoke_all(app, ident)
        return Reply(view(row.value), etag=str(row.version))

    async def delete(self, call: Call[None]) -> None:
        app, ident = call.principal.app, call.path["key_set"]
        await self._keysets.delete(app, ident)
        await self._grants.revoke_all(app, ident)

    async def rotate(self, call: Call[Rotation]) -> NewSecret:
        changed, fresh = await self._keysets.rotate(
            call.principal.app, call.path["key_set"], call.body.overlap_seconds
        )
        return NewSecret(key_set=view(changed), secret_key=fresh.text)

    async def retire(self, call: Call[None]) -> KeySetView:
        return view(
            await self._keysets.retire(
                call.principal.app, call.path["key_set"], call.path["secret"]
            )
        )

    async def grant(self, call: Call[GrantBody]) -> GrantedToken:
        row = await self._keysets.get(call.principal.app, call.path["key_set"])
        if not row.value.enabled:
            raise ClientError(Code.CONFLICT, 409, "The key set is disabled.")
        try:
            wanted = read_grant(call.raw)
        except Invalid as error:
            raise wire.invalid(error, "grant") from None
        return GrantedToken(await self._grants.grant(call.principal.app, row.value, wanted))


class PlaneHandlers:
    """Either plane; the door decides."""

    def __init__(self, deps: Deps) -> None:
        self._door, self._groups = deps.door, deps.groups

    async def ask(self, call: Call[Question]) -> Allowed:
        body = call.body
        question = Ask(body.operation, body.channels, body.groups, body.uuids)
        await self._door.require(call.request, call.principal, question, call.query.uuid)
        return Allowed(body.operation, allowed=True)

    async def group(self, call: Call[None]) -> GroupView:
        name = await self._may(call, Act.LIST_GROUP)
        return GroupView(name, await self._groups.rooms(call.principal.app, name))

    async def change_group(self, call: Call[RoomsBody]) -> GroupView:
        add, remove = call.body.add, call.body.remove
        name = call.path["group"]
        if add:
            name = await self._may(call, Act.ADD_TO_GROUP)
        if remove or not add:
            name = await self._may(call, Act.REMOVE_FROM_GROUP)
        for room in (*add, *remove):
            if not is_name(room):
                raise ClientError(Code.FIELDS_INVALID, 422, "A room cannot have this name.")
        app = call.principal.app
        return GroupView(name, await self._groups.change(app, name, add=add, remove=remove))

    async def delete_group(self, call: Call[None]) -> None:
        name = await self._may(call, Act.DELETE_GROUP)
        await self._groups.delete(call.principal.app, name)

    async def _may(self, call: Call[Any], act: Act) -> str:
        name = call.path["group"]
        question = Ask(act, groups=(name,))
        await self._door.require(call.request, call.principal, question, call.query.uuid)
        if not is_name(name):
            raise ClientError(Code.FIELDS_INVALID, 422, "A group cannot have this name.")
        return name


def view(keyset: KeySet) -> KeySetView:
    return KeySetView(
        id=keyset.id,
        name=keyset.name,
        subscribe_key=keyset.subscribe_key,
        publish_key=keyset.publish_key,
        secrets=[
            SecretView(id=s.id, created_at=s.created, retires_at=s.retires) for s in keyset.secrets
        ],
        listing=keyset.listing,
        enabled=keyset.enabled,
        created_at=keyset.created,
    )


def operations(deps: Deps) -> list[Operation]:
    return [*_administration(KeySetHandlers(deps)), *_planes(PlaneHandlers(deps))]


def _administration(handlers: KeySetHandlers) -> list[Operation]:
    common: dict[str, Any] = {
        "auth": Auth.ROLE,
        "roles": _ADMINISTRATORS,
        "scope": SCOPE,
        "tag": _TAG,
    }
    # Whoever has the key sets decides who gets in. Answers that hold a secret are never kept for a
    # repetition.
    secret: dict[str, Any] = {
        **common, "recording": Recording.DURABLE, "rate": "sensitive", "reauth": True,
        "idempotent": False,
    }  # fmt: skip
    one, missing = "/access/key-sets/{key_set}", (Code.NOT_FOUND,)
    return [
        Operation("POST", "/access/key-sets", "createKeySet", "Make a key set", handlers.create,
                  body=NewKeySet, answer=NewSecret, status=201, errors=(Code.CONFLICT,), **secret),
        Operation("GET", "/access/key-sets", "listKeySets", "List key sets", handlers.list,
                  answer=KeySetView, paged=True, **common),
        Operation("GET", one, "getKeySet", "Look at a key set", handlers.get,
                  answer=KeySetView, errors=missing, **common),
        Operation("PATCH", one, "changeKeySet", "Change a key set", handlers.change,
                  body=ChangedKeySet, answer=KeySetView, if_match=True, errors=missing, **secret),
        Operation("DELETE", one, "deleteKeySet", "Delete a key set and end its tokens",
                  handlers.delete, status=204, errors=missing, **secret),
        Operation("POST", f"{one}/rotate", "rotateKeySet", "Make a new secret key",
                  handlers.rotate, body=Rotation, answer=NewSecret,
                  errors=(*missing, Code.CONFLICT), **secret),
        Operation("DELETE", f"{one}/secrets/{{secret}}", "retireSecret",
                  "Stop accepting an older secret key", handlers.retire, answer=KeySetView,
                  errors=missing, **secret),
        Operation("POST", f"{one}/tokens", "grantTokenAsAdministrator", "Grant a token",
                  handlers.grant, body=GrantBody, answer=GrantedToken, status=201,
                  errors=(*missing, Code.GRANT_INVALID, Code.CONFLICT), **secret),
    ]  # fmt: skip


def _planes(handlers: PlaneHandlers) -> list[Operation]:
    common: dict[str, Any] = {
        "auth": Auth.MANAGED,
        "query": WhoQuery,
        "tag": _TAG,
        "errors": (
            Code.ACCESS_DENIED, Code.ACCESS_TOKEN_INVALID, Code.ACCESS_TOKEN_EXPIRED,
            Code.ACCESS_TOKEN_REVOKED, Code.NOT_PERMITTED, Code.INSUFFICIENT_SCOPE,
        ),
    }  # fmt: skip
    group = "/access/groups/{group}"
    return [
        Operation("POST", "/access/check", "checkAccess", "Ask whether one may", handlers.ask,
                  body=Question, answer=Allowed, idempotent=False,
                  **{**common, "auth": Auth.OPTIONAL}),
        Operation("GET", group, "getGroup", "List the rooms of a group", handlers.group,
                  answer=GroupView, **common),
        Operation("POST", group, "changeGroup", "Add rooms to a group, or take them out",
                  handlers.change_group, body=RoomsBody, answer=GroupView, rate="write",
                  **{**common, "errors": (*common["errors"], Code.CONFLICT)}),
        Operation("DELETE", group, "deleteGroup", "Delete a group", handlers.delete_group,
                  status=204, rate="write", **common),
    ]  # fmt: skip
