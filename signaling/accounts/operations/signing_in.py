"""Operations of strangers: sign-up, sign-in step by step, enrolment, guests, resets."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from signaling.accounts.operations import shapes
from signaling.accounts.operations.answering import place, signed_in, target_of_failure
from signaling.accounts.passwords.rules import LONGEST
from signaling.accounts.service import Service
from signaling.errors import ClientError, Code, Unavailable
from signaling.http.api.operation import Auth, Call, Operation, Recording, Reply

log = logging.getLogger(__name__)
TAG = "Sign-in"


class Handlers:
    """One method for each operation. Owns the resets that run beside their answers."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._beside: set[asyncio.Task[None]] = set()

    async def page(self, call: Call[None]) -> shapes.SignInPage:
        parts = self._service.parts
        choices = [
            shapes.ProviderChoice(id=one.id, name=one.name) for one in self._service.providers()
        ]
        return shapes.sign_in_page(
            parts.settings, choices, mail_works=parts.mail_works, longest=LONGEST
        )

    async def sign_up(self, call: Call[shapes.SignUpStep]) -> Reply:
        body = call.body
        outcome = await self._service.joining.sign_up(
            call.principal.app, body.link, body.login, body.password, body.name, place(call, body)
        )
        return await signed_in(self._service, call, body, outcome)

    async def sign_up_options(self, call: Call[shapes.SignUpPasskeyBegin]) -> shapes.PasskeyOptions:
        body = call.body
        ticket, options = await self._service.joining.begin_passkey(
            call.principal.app, body.link, body.login, body.name, place(call, body)
        )
        return shapes.PasskeyOptions(ticket=ticket, options=options)

    async def sign_up_passkey(self, call: Call[shapes.SignUpPasskeyStep]) -> Reply:
        body = call.body
        outcome = await self._service.joining.finish_passkey(
            call.principal.app, body.ticket, body.credential, body.passkey_name, place(call, body)
        )
        return await signed_in(self._service, call, body, outcome)

    async def password(self, call: Call[shapes.PasswordStep]) -> Reply:
        body = call.body
        with target_of_failure(call):
            outcome = await self._service.signing.password(
                call.principal.app, body.login, body.password, place(call, body)
            )
        return await signed_in(self._service, call, body, outcome)

    async def code(self, call: Call[shapes.CodeStep]) -> Reply:
        body = call.body
        with target_of_failure(call):
            outcome = await self._service.signing.code(
                call.principal.app, body.ticket, body.code, place(call, body)
            )
        return await signed_in(self._service, call, body, outcome)

    async def passkey_options(self, call: Call[shapes.PasskeyBegin]) -> shapes.PasskeyOptions:
        app, service = call.principal.app, self._service.passkeys
        if call.body.ticket is None:
            ticket, options = await service.begin(app, place(call, call.body))
        else:
            ticket, options = await service.begin_second(app, call.body.ticket)
        return shapes.PasskeyOptions(ticket=ticket, options=options)

    async def passkey(self, call: Call[shapes.PasskeyStep]) -> Reply:
        body = call.body
        outcome = await self._service.passkeys.finish(
            call.principal.app, body.ticket, body.credential, place(call, body)
        )
        return await signed_in(self._service, call, body, outcome)

    async def enrol_totp(self, call: Call[shapes.TicketStep]) -> shapes.TotpAnswer:
        offer = await self._service.enrolling.offer_totp(call.principal.app, call.body.ticket)
        return shapes.TotpAnswer(secret=offer.secret, uri=offer.uri, qr=offer.qr)

    async def enrol_totp_confirm(self, call: Call[shapes.CodeStep]) -> Reply:
        body = call.body
        outcome, codes = await self._service.enrolling.confirm_totp(
            call.principal.app, body.ticket, body.code, place(call, body)
        )
        return await signed_in(self._service, call, body, outcome, codes)

    async def enrol_passkey_options(self, call: Call[shapes.TicketStep]) -> shapes.PasskeyOptions:
        registration, options = await self._service.enrolling.passkey_options(
            call.principal.app, call.body.ticket
        )
        return shapes.PasskeyOptions(ticket=registration, options=options)

    async def enrol_passkey(self, call: Call[shapes.EnrolPasskeyStep]) -> Reply:
        body = call.body
        outcome, codes = await self._service.enrolling.add_passkey(
            call.principal.app,
            body.ticket,
            body.registration,
            body.credential,
            body.name,
            place(call, body),
        )
        return await signed_in(self._service, call, body, outcome, codes)

    async def guest(self, call: Call[shapes.GuestStep]) -> Reply:
        body = call.body
        outcome, link = await self._service.joining.guest(
            call.principal.app, body.link, body.name, place(call, body)
        )
        return await signed_in(self._service, call, body, outcome, room=link.room)

    async def ask_reset(self, call: Call[shapes.ResetAsk]) -> Reply:
        """The same answer at once, whoever exists; the letter is written afterwards."""
        where = place(call)
        await self._service.throttle.arrive(call.principal.app, where, "")
        work = self._reset(call.principal.app, call.body.login)
        task = asyncio.create_task(work, name="password reset")
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return Reply(status=202)

    async def _reset(self, app: str, login: str) -> None:
        """Later, and not always equally later: the work for a name that exists must not show in
        the time of the answers around it."""
        parts = self._service.parts
        await asyncio.sleep(parts.settings.letter_delay * (0.5 + parts.entropy.token(1)[0] / 256))
        try:
            await self._service.administration.ask_reset(app, login)
        except (ClientError, Unavailable) as error:
            log.info("no reset letter: %s", type(error).__name__)

    async def reset(self, call: Call[shapes.ResetStep]) -> Reply:
        service = self._service
        where = place(call)
        await service.throttle.arrive(call.principal.app, where, "")
        account = await service.administration.reset(
            call.principal.app, call.body.link, call.body.password, service.joining
        )
        call.note.actor = call.note.target = f"account:{account}"
        return Reply(status=204)

    async def provider(self, call: Call[shapes.Here]) -> shapes.ProviderBegun:
        begun = await self._service.federation.begin(
            call.principal.app, call.path["provider_id"], place(call, call.body)
        )
        return shapes.ProviderBegun(ticket=begun.ticket, location=begun.location)

    async def provider_done(self, call: Call[shapes.ProviderStep]) -> Reply:
        body = call.body
        outcome = await self._service.federation.finish(
            call.principal.app, body.ticket, body.state, body.code, body.iss, place(call, body)
        )
        return await signed_in(self._service, call, body, outcome)


def operations(service: Service) -> list[Operation]:
    do = Handlers(service)

    def op(path: str, name: str, summary: str, handler: Any, body: Any, **more: Any) -> Operation:
        more = {"answer": shapes.SignInAnswer, "errors": (Code.SIGN_IN_FAILED,), **more}
        return Operation(
            "POST", path, name, summary, handler, body=body, auth=Auth.NONE, rate="auth",
            idempotent=False, tag=TAG, recording=Recording.DURABLE, **more,
        )  # fmt: skip

    options = {"answer": shapes.PasskeyOptions}
    new = (Code.LINK_INVALID, Code.SIGN_UP_CLOSED, Code.LOGIN_REFUSED, Code.LOGIN_TAKEN)
    words = (
        Code.PASSWORD_TOO_SHORT, Code.PASSWORD_TOO_LONG, Code.PASSWORD_COMMON,
        Code.PASSWORD_GUESSABLE,
    )  # fmt: skip
    return [
        Operation("GET", "/sign-in", "getSignIn", "What a sign-in page must know", do.page,
                  answer=shapes.SignInPage, auth=Auth.NONE, rate="public", tag=TAG),
        op("/sign-up", "signUp", "A new account with a password", do.sign_up, shapes.SignUpStep,
           errors=(*new, *words)),
        op("/sign-up/passkey/options", "beginSignUpWithPasskey", "A new account with a passkey",
           do.sign_up_options, shapes.SignUpPasskeyBegin, errors=new, **options),
        op("/sign-up/passkey", "signUpWithPasskey", "... and what the authenticator said",
           do.sign_up_passkey, shapes.SignUpPasskeyStep, errors=(*new, Code.SIGN_IN_FAILED)),
        op("/sign-in/password", "signInWithPassword", "Sign in", do.password,
           shapes.PasswordStep),
        op("/sign-in/code", "signInWithCode", "... a one-time or recovery code", do.code,
           shapes.CodeStep),
        op("/sign-in/passkey/options", "beginSignInWithPasskey", "Ask for a passkey",
           do.passkey_options, shapes.PasskeyBegin, **options),
        op("/sign-in/passkey", "signInWithPasskey", "... and what the authenticator said",
           do.passkey, shapes.PasskeyStep),
        op("/sign-in/enrolment/totp", "beginEnrolmentOfTotp", "Policy asks for a second factor",
           do.enrol_totp, shapes.TicketStep, answer=shapes.TotpAnswer),
        op("/sign-in/enrolment/totp/confirmation", "confirmEnrolmentOfTotp", "... its first code",
           do.enrol_totp_confirm, shapes.CodeStep),
        op("/sign-in/enrolment/passkey/options", "beginEnrolmentOfPasskey",
           "Policy asks for a second factor", do.enrol_passkey_options, shapes.TicketStep,
           **options),
        op("/sign-in/enrolment/passkey", "confirmEnrolmentOfPasskey",
           "... what the authenticator said", do.enrol_passkey, shapes.EnrolPasskeyStep),
        op("/sign-in/providers/{provider_id}", "beginSignInWithProvider",
           "Sign in elsewhere", do.provider, shapes.Here, answer=shapes.ProviderBegun,
           errors=(Code.NOT_FOUND, Code.PROVIDER_REFUSED)),
        op("/sign-in/provider", "signInWithProvider", "... and come back", do.provider_done,
           shapes.ProviderStep,
           errors=(Code.SIGN_IN_FAILED, Code.PROVIDER_REFUSED, Code.SIGN_UP_CLOSED)),
        op("/guests", "joinAsGuest", "Come in by a guest link", do.guest, shapes.GuestStep,
           errors=(Code.LINK_INVALID,)),
        op("/password-resets", "askForPasswordReset", "A letter with a link, if there is one",
           do.ask_reset, shapes.ResetAsk, answer=None, status=202, errors=()),
        op("/password-resets/completion", "resetPassword", "Set a new password by a link",
           do.reset, shapes.ResetStep, answer=None, status=204,
           errors=(Code.LINK_INVALID, *words)),
    ]  # fmt: skip
