"""Operations on one's own account: profile, password, factors, devices, mail, proof of oneself.

What weakens or replaces a way in asks for a fresh proof (`reauth`); a name does not.
"""

from __future__ import annotations

from typing import Any

from signaling.accounts import names
from signaling.accounts.model import Account
from signaling.accounts.operations import shapes
from signaling.accounts.operations.answering import place, proved_again
from signaling.accounts.principal import Kind
from signaling.accounts.service import Service
from signaling.errors import ClientError, Code, Refused
from signaling.http.api.operation import Call, Operation, Recording, Reply

TAG = "Account"


class Handlers:
    """One method for each operation; the account is always the principal's."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def get(self, call: Call[None]) -> shapes.OwnAccount:
        app, ident = _who(call)
        account = await self._service.registry.require(app, ident)
        return await self._shown(app, account)

    async def _shown(self, app: str, account: Account) -> shapes.OwnAccount:
        claim = await self._service.registry.claim_of(app, account.login)
        return shapes.own_account(account, password=bool(claim and claim.password))

    async def patch(self, call: Call[shapes.Profile]) -> shapes.OwnAccount:
        app, ident = _who(call)
        name = names.display(call.body.name)
        account = await self._service.registry.rectify(app, ident, name=name)
        return await self._shown(app, account)

    async def leave(self, call: Call[None]) -> Reply:
        app, ident = _who(call)
        await self._service.administration.leave(app, ident)
        return Reply(status=204)

    async def set_password(self, call: Call[shapes.NewPassword]) -> Reply:
        app, ident = _who(call)
        account = await self._service.registry.require(app, ident)
        if account.kind is not Kind.ACCOUNT or not account.login:
            raise ClientError(Code.CONFLICT, 409, "This account has no password.")
        text = await self._service.joining.acceptable(
            app, call.body.password, (account.login, account.name, account.mail)
        )
        await self._service.administration.change_password(
            app, ident, call.principal.session, call.body.current, text
        )
        return Reply(status=204)

    async def offer_totp(self, call: Call[None]) -> shapes.TotpAnswer:
        offer = await self._service.factors.offer_totp(*_person(call))
        return shapes.TotpAnswer(secret=offer.secret, uri=offer.uri, qr=offer.qr)

    async def confirm_totp(self, call: Call[shapes.CodeOnly]) -> shapes.Codes:
        done = await self._service.factors.confirm_totp(*_person(call), call.body.code)
        return shapes.Codes(recovery_codes=list(done.codes))

    async def remove_totp(self, call: Call[None]) -> Reply:
        await self._service.factors.remove_totp(*_person(call))
        return Reply(status=204)

    async def renew_codes(self, call: Call[None]) -> shapes.Codes:
        codes = await self._service.factors.renew_codes(*_person(call))
        return shapes.Codes(recovery_codes=list(codes))

    async def passkey_options(self, call: Call[None]) -> shapes.PasskeyOptions:
        app, ident = _person(call)
        account = await self._service.registry.require(app, ident)
        ticket, options = await self._service.factors.passkey_options(app, account)
        return shapes.PasskeyOptions(ticket=ticket, options=options)

    async def add_passkey(self, call: Call[shapes.NewPasskey]) -> shapes.Codes:
        body = call.body
        done = await self._service.factors.add_passkey(
            *_person(call), body.ticket, body.credential, names.display(body.name)
        )
        return shapes.Codes(recovery_codes=list(done.codes))

    async def rename_passkey(self, call: Call[shapes.Rename]) -> Reply:
        name = names.display(call.body.name)
        await self._service.factors.rename_passkey(*_person(call), call.path["passkey_id"], name)
        return Reply(status=204)

    async def remove_passkey(self, call: Call[None]) -> Reply:
        await self._service.factors.remove_passkey(*_person(call), call.path["passkey_id"])
        return Reply(status=204)

    async def devices(self, call: Call[None]) -> shapes.Devices:
        found = await self._service.devices.list(*_who(call))
        return shapes.Devices(
            items=[shapes.device_answer(one, call.principal.device) for one in found]
        )

    async def forget_device(self, call: Call[None]) -> Reply:
        device = call.path["device_id"]
        call.note.target = f"device:{device}"
        await self._service.administration.forget_device(*_who(call), device)
        return Reply(status=204)

    async def wish_mail(self, call: Call[shapes.MailWish]) -> Reply:
        await self._service.administration.wish_mail(*_person(call), call.body.mail)
        return Reply(status=202)

    async def confirm_mail(self, call: Call[shapes.LinkOnly]) -> Reply:
        await self._service.administration.confirm_mail(*_person(call), call.body.link)
        return Reply(status=204)

    async def drop_mail(self, call: Call[None]) -> Reply:
        await self._service.administration.drop_mail(*_person(call))
        return Reply(status=204)

    async def link_provider(self, call: Call[None]) -> shapes.ProviderBegun:
        app, ident = _person(call)
        begun = await self._service.federation.begin(
            app, call.path["provider_id"], place(call), account=ident
        )
        return shapes.ProviderBegun(ticket=begun.ticket, location=begun.location)

    async def provider_linked(self, call: Call[shapes.LinkProviderStep]) -> Reply:
        app, ident = _person(call)
        body = call.body
        await self._service.federation.link(
            app, ident, body.ticket, body.state, body.code, body.iss
        )
        return Reply(status=204)

    async def unlink_provider(self, call: Call[None]) -> Reply:
        await self._service.federation.unlink(*_person(call), call.path["provider_id"])
        return Reply(status=204)

    async def again_password(self, call: Call[shapes.AgainPassword]) -> Reply:
        app, ident = _person(call)
        outcome = await self._service.signing.again(
            app, ident, call.principal.session or "", call.body.password, place(call)
        )
        return await proved_again(self._service, call, outcome)

    async def again_code(self, call: Call[shapes.AgainCode]) -> Reply:
        app, _ = _person(call)
        outcome = await self._service.signing.code(
            app, call.body.ticket, call.body.code, place(call)
        )
        return await proved_again(self._service, call, outcome)

    async def again_options(self, call: Call[None]) -> shapes.PasskeyOptions:
        app, ident = _person(call)
        ticket, options = await self._service.passkeys.begin_again(
            app, ident, call.principal.session or ""
        )
        return shapes.PasskeyOptions(ticket=ticket, options=options)

    async def again_passkey(self, call: Call[shapes.AgainPasskey]) -> Reply:
        app, _ = _person(call)
        outcome = await self._service.passkeys.finish(
            app, call.body.ticket, call.body.credential, place(call)
        )
        return await proved_again(self._service, call, outcome)


def _who(call: Call[Any]) -> tuple[str, str]:
    """App and account of who asks. Services and anonymous callers have none."""
    if call.principal.account is None:
        raise Refused(Code.NOT_PERMITTED, 403, "Only an account has this.")
    call.note.target = f"account:{call.principal.account}"
    return call.principal.app, call.principal.account


def _person(call: Call[Any]) -> tuple[str, str]:
    """Like `_who`, and one that signs in: guests and bots prove nothing."""
    if call.principal.kind is not Kind.ACCOUNT:
        raise Refused(Code.NOT_PERMITTED, 403, "Only an account that signs in has this.")
    return _who(call)


def operations(service: Service) -> list[Operation]:
    do = Handlers(service)
    return [*_profile(do), *_factors(do), *_proofs(do)]


def _op(method: str, path: str, name: str, summary: str, handler: Any, **more: Any) -> Operation:
    if method != "GET":
        more = {"scope": "account:write", "recording": Recording.DURABLE, **more}
    more = {"scope": "account:read", **more}
    return Operation(method, path, name, summary, handler, tag=TAG, **more)


SENSITIVE: dict[str, Any] = {"rate": "sensitive"}
AGAIN: dict[str, Any] = {**SENSITIVE, "reauth": True}
SHOWN_ONCE: dict[str, Any] = {**SENSITIVE, "idempotent": False}
AGAIN_SHOWN_ONCE: dict[str, Any] = {**AGAIN, "idempotent": False}
GONE: dict[str, Any] = {"status": 204, "errors": (Code.NOT_FOUND,)}
WORDS = (
    Code.PASSWORD_TOO_SHORT, Code.PASSWORD_TOO_LONG, Code.PASSWORD_COMMON,
    Code.PASSWORD_GUESSABLE, Code.SIGN_IN_FAILED, Code.CONFLICT,
)  # fmt: skip


def _profile(do: Handlers) -> list[Operation]:
    return [
        _op("GET", "/account", "getAccount", "My account", do.get, answer=shapes.OwnAccount),
        _op("PATCH", "/account", "changeAccount", "Change my name", do.patch, body=shapes.Profile,
           answer=shapes.OwnAccount),
        _op("DELETE", "/account", "deleteAccount", "Delete my account for good", do.leave,
           status=204, errors=(Code.LAST_OWNER,), **AGAIN),
        _op("PUT", "/account/password", "setPassword", "Change my password", do.set_password,
           body=shapes.NewPassword, status=204, errors=WORDS, **AGAIN),
        _op("GET", "/account/devices", "listDevices", "Where I signed in before", do.devices,
           answer=shapes.Devices),
        _op("DELETE", "/account/devices/{device_id}", "removeDevice", "Forget a device",
           do.forget_device, **GONE),
        _op("POST", "/account/mail", "beginMail", "Set my mail address", do.wish_mail,
           body=shapes.MailWish, status=202, errors=(Code.CONFLICT,), **AGAIN),
        _op("POST", "/account/mail/confirmation", "confirmMail", "... the link of the letter",
           do.confirm_mail, body=shapes.LinkOnly, status=204,
           errors=(Code.LINK_INVALID, Code.NOT_FOUND), **SENSITIVE),
        _op("DELETE", "/account/mail", "removeMail", "Remove my mail address", do.drop_mail,
           status=204, **AGAIN),
        _op("POST", "/account/providers/{provider_id}", "beginProviderLink",
           "Connect an outside provider", do.link_provider, answer=shapes.ProviderBegun,
           errors=(Code.NOT_FOUND, Code.PROVIDER_REFUSED), **AGAIN_SHOWN_ONCE),
        _op("POST", "/account/provider-links", "linkProvider", "... and come back",
           do.provider_linked, body=shapes.LinkProviderStep, status=204,
           errors=(Code.SIGN_IN_FAILED, Code.PROVIDER_REFUSED, Code.LOGIN_TAKEN), **SENSITIVE),
        _op("DELETE", "/account/providers/{provider_id}", "unlinkProvider",
           "Disconnect an outside provider", do.unlink_provider, status=204,
           errors=(Code.NOT_FOUND, Code.CONFLICT), **AGAIN),
    ]  # fmt: skip


def _factors(do: Handlers) -> list[Operation]:
    return [
        _op("POST", "/account/totp", "beginTotp", "Begin with an authenticator app", do.offer_totp,
           answer=shapes.TotpAnswer, **AGAIN_SHOWN_ONCE),
        _op("POST", "/account/totp/confirmation", "confirmTotp", "... its first code",
           do.confirm_totp, body=shapes.CodeOnly, answer=shapes.Codes,
           errors=(Code.SIGN_IN_FAILED,), **SHOWN_ONCE),
        _op("DELETE", "/account/totp", "removeTotp", "Remove the authenticator app",
           do.remove_totp, status=204, errors=(Code.NOT_FOUND, Code.SECOND_FACTOR_NEEDED),
           **AGAIN),
        _op("POST", "/account/recovery-codes", "renewRecoveryCodes", "Ten new recovery codes",
           do.renew_codes, answer=shapes.Codes, errors=(Code.NOT_FOUND,),
           **AGAIN_SHOWN_ONCE),
        _op("POST", "/account/passkeys/options", "beginPasskey", "Begin with a passkey",
           do.passkey_options, answer=shapes.PasskeyOptions, errors=(Code.CONFLICT,),
           **AGAIN_SHOWN_ONCE),
        _op("POST", "/account/passkeys", "addPasskey", "... what the authenticator said",
           do.add_passkey, body=shapes.NewPasskey, answer=shapes.Codes,
           errors=(Code.SIGN_IN_FAILED, Code.CONFLICT), **SHOWN_ONCE),
        _op("PATCH", "/account/passkeys/{passkey_id}", "renamePasskey", "Name a passkey",
           do.rename_passkey, body=shapes.Rename, **GONE),
        _op("DELETE", "/account/passkeys/{passkey_id}", "removePasskey", "Remove a passkey",
           do.remove_passkey, status=204,
           errors=(Code.NOT_FOUND, Code.CONFLICT, Code.SECOND_FACTOR_NEEDED), **AGAIN),
    ]  # fmt: skip


def _proofs(do: Handlers) -> list[Operation]:
    proof: dict[str, Any] = {
        "rate": "auth", "idempotent": False, "scope": None, "answer": shapes.SignInAnswer,
        "errors": (Code.SIGN_IN_FAILED,),
    }  # fmt: skip
    return [
        _op("POST", "/reauthentication/password", "proveAgainWithPassword", "Prove again who I am",
           do.again_password, body=shapes.AgainPassword, **proof),
        _op("POST", "/reauthentication/code", "proveAgainWithCode", "... a code",
           do.again_code, body=shapes.AgainCode, **proof),
        _op("POST", "/reauthentication/passkey/options", "beginProofWithPasskey",
           "Prove again who I am", do.again_options,
           **{**proof, "answer": shapes.PasskeyOptions}),
        _op("POST", "/reauthentication/passkey", "proveAgainWithPasskey",
           "... what the authenticator said", do.again_passkey, body=shapes.AgainPasskey, **proof),
    ]  # fmt: skip
