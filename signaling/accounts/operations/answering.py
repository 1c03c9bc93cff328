"""From an `Outcome` to an HTTP answer: a session or a ticket, cookies, and the audit's words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from signaling.accounts.model import Why
from signaling.accounts.operations.shapes import Here, SignInAnswer
from signaling.accounts.parts import Where
from signaling.accounts.service import Service
from signaling.accounts.signin import State
from signaling.accounts.signing import Outcome, SignInFailed, failed
from signaling.http.api.operation import Call, Reply

DEVICE_COOKIE = "__Host-sotto_device"
DEVICE_AGE = 400 * 86400


def place(call: Call[Any], here: Here | None = None) -> Where:
    """Whence the request comes; the device's secret from the body or from its cookie."""
    token = here.device_token if here is not None else ""
    return Where(
        address=call.throttle_address,
        network=call.client_address,
        device_token=token or call.request.cookies.get(DEVICE_COOKIE, "")[:200],
        device_name=here.device_name if here is not None else "",
    )


@contextlib.contextmanager
def target_of_failure(call: Call[Any]) -> Iterator[None]:
    """The audit says at whose account a failed attempt was made (ASVS 16.3.1)."""
    try:
        yield
    except SignInFailed as error:
        if error.account:
            call.note.target = f"account:{error.account}"
        raise


async def signed_in(
    service: Service,
    call: Call[Any],
    here: Here,
    outcome: Outcome,
    codes: tuple[str, ...] = (),
    room: str | None = None,
) -> Reply:
    """The answer to a step of a sign-in. A ticket of a re-authentication opens no session."""
    if outcome.why is not Why.SIGN_IN:
        raise failed()
    _note(call, outcome)
    if outcome.state is not State.DONE or outcome.signed is None:
        return Reply(pending(outcome))
    opened = await service.sessions.open(outcome.signed, cookie=here.cookie)
    headers = list(opened.headers)
    token = outcome.device_token
    if token is not None and here.cookie:
        headers.append(_device_cookie(token))
        token = None
    answer = SignInAnswer(
        state=outcome.state.value,
        account_id=outcome.account,
        session_id=opened.session,
        expires_at=opened.expires_at,
        access_token=opened.access_token,
        refresh_token=opened.refresh_token,
        device_token=token,
        recovery_codes=list(codes),
        room=room,
    )
    return Reply(answer, headers=headers)


async def proved_again(service: Service, call: Call[Any], outcome: Outcome) -> Reply:
    """The answer to a step of a re-authentication of the session that asks, and of no other."""
    principal = call.principal
    if outcome.why is not Why.AGAIN or outcome.session != principal.session:
        raise failed()
    if outcome.account != principal.account:
        raise failed()
    _note(call, outcome)
    if outcome.state is not State.DONE or outcome.signed is None:
        return Reply(pending(outcome))
    opened = await service.sessions.again(principal, outcome.signed)
    answer = SignInAnswer(
        state=outcome.state.value,
        account_id=outcome.account,
        session_id=opened.session,
        expires_at=opened.expires_at,
        access_token=opened.access_token,
    )
    return Reply(answer, headers=opened.headers)


def pending(outcome: Outcome) -> SignInAnswer:
    return SignInAnswer(
        state=outcome.state.value, ticket=outcome.ticket, factors=list(outcome.factors)
    )


def _note(call: Call[Any], outcome: Outcome) -> None:
    call.note.actor = f"account:{outcome.account}"
    call.note.target = f"account:{outcome.account}"
    call.note.details["state"] = outcome.state.value
    if outcome.signed is not None:
        call.note.details["factor"] = " ".join(outcome.signed.amr)
        call.note.details["device"] = outcome.signed.device


def _device_cookie(token: str) -> tuple[str, str]:
    """Strict: it only ever helps our own page."""
    attributes = f"Path=/; Max-Age={DEVICE_AGE}; Secure; HttpOnly; SameSite=Strict"
    return "Set-Cookie", f"{DEVICE_COOKIE}={token}; {attributes}"
