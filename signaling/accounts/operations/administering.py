"""Operations of administrators: accounts, invitations, guest links, the app's name."""

from __future__ import annotations

from typing import Any

from signaling.accounts import names
from signaling.accounts.model import Purpose
from signaling.accounts.operations import labelling, shapes
from signaling.accounts.principal import Role
from signaling.accounts.service import Service
from signaling.errors import ClientError, Code
from signaling.http.api.operation import Auth, Call, Operation, Page, Recording, Reply

TAG = "Administration"
STAFF = (Role.OWNER, Role.ADMINISTRATOR)


class Handlers:
    """One method for each operation; whom somebody may administer is `roles`' to say."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._do = service.administration

    async def list(self, call: Call[None]) -> Page:
        """Forwards only: accounts are listed by age."""
        ask = call.page
        found = await self._service.labels.page(
            call.principal.app, call.query.wanted(), ask.after or "", ask.limit + 1
        )
        items = [shapes.account_answer(one) for one in found[: ask.limit]]
        more = len(found) > ask.limit
        return Page(items=items, next=items[-1].id if more else None)

    async def get(self, call: Call[None]) -> Reply:
        account = await self._service.registry.require(call.principal.app, call.path["account_id"])
        return Reply(shapes.account_answer(account), etag=str(account.changed))

    async def patch(self, call: Call[shapes.AccountChange]) -> Reply:
        app, ident, actor = call.principal.app, call.path["account_id"], call.principal.roles
        call.note.target = f"account:{ident}"
        account = await self._do.managed(app, actor, ident)
        call.expect(str(account.changed))
        expect = account.changed if call.if_match not in (None, ("*",)) else None
        if call.body.roles is not None:
            call.note.details["role"] = " ".join(sorted(call.body.roles))
            roles = frozenset(call.body.roles)
            account = await self._do.set_roles(app, actor, ident, roles, expect)
            expect = None if expect is None else account.changed
        if call.body.disabled is not None and call.body.disabled != account.disabled:
            call.note.details["state"] = "disabled" if call.body.disabled else "enabled"
            disabled = call.body.disabled
            account = await self._do.set_disabled(app, actor, ident, disabled, expect)
        return Reply(shapes.account_answer(account), etag=str(account.changed))

    async def delete(self, call: Call[None]) -> Reply:
        app, ident = call.principal.app, call.path["account_id"]
        call.note.target = f"account:{ident}"
        await self._do.remove(app, call.principal.roles, ident)
        return Reply(status=204)

    async def reset_link(self, call: Call[None]) -> shapes.LinkMade:
        app, ident = call.principal.app, call.path["account_id"]
        call.note.target = f"account:{ident}"
        who = call.principal
        url = await self._do.reset_link(app, who.roles, ident, who.account or "")
        return shapes.LinkMade(id=ident, url=url)

    async def remove_factors(self, call: Call[None]) -> Reply:
        app, ident = call.principal.app, call.path["account_id"]
        call.note.target = f"account:{ident}"
        await self._do.remove_factors(app, call.principal.roles, ident)
        return Reply(status=204)

    async def invite(self, call: Call[shapes.Invitation]) -> shapes.LinkMade:
        body, who = call.body, call.principal
        await self._service.throttle.once(who.app, "invite", who.account or "", 500)
        url, link = await self._do.invite(
            who.app,
            who.roles,
            who.account or "",
            roles=frozenset(body.roles),
            uses=body.uses,
            lives=body.seconds,
            label=body.label,
        )
        call.note.target = f"invitation:{link.id}"
        call.note.details["role"] = " ".join(link.roles)
        return shapes.LinkMade(id=link.id, url=url)

    async def invitations(self, call: Call[None]) -> Page:
        return await self._listed(call, Purpose.INVITE)

    async def withdraw_invitation(self, call: Call[None]) -> Reply:
        return await self._withdraw(call, Purpose.INVITE)

    async def guest_link(self, call: Call[shapes.GuestLinkWish]) -> shapes.LinkMade:
        body, who = call.body, call.principal
        url, link = await self._do.guest_link(
            who.app,
            who.account or "",
            room=body.room,
            uses=body.uses,
            lives=body.seconds,
            label=body.label,
        )
        call.note.target = f"guest_link:{link.id}"
        call.note.details["room"] = body.room
        return shapes.LinkMade(id=link.id, url=url)

    async def guest_links(self, call: Call[None]) -> Page:
        return await self._listed(call, Purpose.GUEST)

    async def withdraw_guest_link(self, call: Call[None]) -> Reply:
        return await self._withdraw(call, Purpose.GUEST)

    async def _listed(self, call: Call[None], purpose: Purpose) -> Page:
        ask, app = call.page, call.principal.app
        rows = await self._service.links.page(app, purpose, ask.after or "", ask.limit + 1)
        more = rows[ask.limit - 1].value.id if len(rows) > ask.limit else None
        shown = [shapes.link_answer(row.value, row.expires) for row in rows[: ask.limit]]
        return Page(shown, next=more)

    async def _withdraw(self, call: Call[None], purpose: Purpose) -> Reply:
        ident = call.path["link_id"]
        call.note.target = f"{purpose.value}:{ident}"
        if not await self._service.links.withdraw(call.principal.app, purpose, ident):
            raise ClientError(Code.NOT_FOUND, 404, "There is no such link.")
        return Reply(status=204)

    async def rename_app(self, call: Call[shapes.Rename]) -> Reply:
        await self._service.registry.rename_app(call.principal.app, names.display(call.body.name))
        return Reply(status=204)


def operations(service: Service) -> list[Operation]:
    do = Handlers(service)

    def op(method: str, path: str, name: str, summary: str, handler: Any, **more: Any) -> Operation:
        if method != "GET":
            more = {"recording": Recording.DURABLE, **more}
        more = {"roles": STAFF, **more}
        return Operation(
            method, path, name, summary, handler, auth=Auth.ROLE, scope="admin", tag=TAG, **more
        )

    again = {"reauth": True, "rate": "sensitive"}
    made = {"answer": shapes.LinkMade, "status": 201, "idempotent": False}
    gone = {"status": 204, "errors": (Code.NOT_FOUND,)}
    one = "/accounts/{account_id}"
    return [
        op("GET", "/accounts", "listAccounts", "All accounts, the oldest first", do.list,
           query=labelling.AccountFilter, answer=shapes.AccountAnswer, paged=True),
        op("GET", one, "getOneAccount", "An account", do.get, answer=shapes.AccountAnswer,
           errors=(Code.NOT_FOUND,)),
        op("PATCH", one, "changeOneAccount", "Roles, and whether it may sign in", do.patch,
           body=shapes.AccountChange, answer=shapes.AccountAnswer,
           errors=(Code.NOT_FOUND, Code.LAST_OWNER, Code.CONFLICT, Code.PRECONDITION_FAILED),
           **again),
        op("PUT", one + "/labels", "labelOneAccount", "An id of the operator's own, and tags",
           labelling.Handlers(service).note, body=labelling.Noted, answer=shapes.AccountAnswer,
           rate="write", errors=(Code.NOT_FOUND, Code.CONFLICT)),
        op("DELETE", one, "deleteOneAccount", "Delete an account for good", do.delete,
           status=204, errors=(Code.NOT_FOUND, Code.LAST_OWNER), **again),
        op("POST", one + "/password-links", "createPasswordLink",
           "A one-time link to set a new password", do.reset_link,
           errors=(Code.NOT_FOUND, Code.CONFLICT), **{**again, **made}),
        op("DELETE", one + "/factors", "removeFactors", "Remove every second factor",
           do.remove_factors, **{**again, **gone}),
        op("POST", "/invitations", "createInvitation", "Invite people", do.invite,
           body=shapes.Invitation, reauth=True, **made),
        op("GET", "/invitations", "listInvitations", "Invitations that are open", do.invitations,
           answer=shapes.LinkAnswer, paged=True),
        op("DELETE", "/invitations/{link_id}", "withdrawInvitation", "Withdraw an invitation",
           do.withdraw_invitation, **gone),
        op("POST", "/guest-links", "createGuestLink", "Let guests into a room", do.guest_link,
           body=shapes.GuestLinkWish, **made),
        op("GET", "/guest-links", "listGuestLinks", "Guest links that are open", do.guest_links,
           answer=shapes.LinkAnswer, paged=True),
        op("DELETE", "/guest-links/{link_id}", "withdrawGuestLink", "Withdraw a guest link",
           do.withdraw_guest_link, **gone),
        op("PATCH", "/app", "renameApp", "Name this installation", do.rename_app,
           body=shapes.Rename, status=204, **again),
    ]  # fmt: skip
