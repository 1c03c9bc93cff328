"""The two pages of OAuth that a person sees: consent, and the code of a device. Pure.

Plain HTML (`signaling.http.plain`). Every text that somebody wrote is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from signaling.accounts.sessions.scopes import SCOPES
from signaling.http.plain import page as _page
from signaling.http.plain import policy as plain_policy


def policy(form_targets: Iterable[str] = ()) -> dict[str, str]:
    """`form_targets`: origins that the form's answer redirects to; browsers check those too."""
    return {
        "Content-Security-Policy": plain_policy(["'self'", *form_targets]),
        "X-Frame-Options": "DENY",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
    }


def _scopes(scopes: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(SCOPES[scope])}</li>" for scope in sorted(scopes))
    return f"<p>It asks to:</p><ul>{items}</ul>"


def _decision(action: str, hidden: dict[str, str]) -> str:
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in hidden.items()
    )
    return (
        f'<form method="post" action="{escape(action)}">{fields}'
        '<button class=main name="decision" value="allow">Allow</button>'
        '<button name="decision" value="deny">Do not allow</button></form>'
    )


def consent(client: str, target: str, scopes: Iterable[str], action: str, request: str) -> str:
    """`target`: where the answer goes, so that a person can recognise a false friend."""
    return _page(
        f"Allow {client}?",
        f"<p>{escape(client)} wants to act for you. You will go on to {escape(target)}.</p>"
        + _scopes(scopes)
        + _decision(action, {"request": request}),
    )


def type_code(action: str, wrong: bool) -> str:
    note = "<p role=alert>No device shows this code now.</p>" if wrong else ""
    return _page(
        "Connect a device",
        f"{note}<p>Type the code that the device shows. Do it only for a device in front of you."
        f'</p><form method="get" action="{escape(action)}"><label>Code <input name="user_code"'
        ' autocomplete="off" autocapitalize="characters" maxlength="16" required></label> '
        "<button class=main>Go on</button></form>",
    )


def allow_device(client: str, code: str, scopes: Iterable[str], action: str) -> str:
    return _page(
        f"Connect {client}?",
        f"<p>A device with the code <strong>{escape(code)}</strong> wants to act for you. If nobody"
        " gave you this device, do not allow it.</p>"
        + _scopes(scopes)
        + _decision(action, {"user_code": code}),
    )


def done(text: str) -> str:
    return _page("Done", f"<p>{escape(text)}</p>")


def failed(text: str) -> str:
    return _page("This did not work", f"<p>{escape(text)}</p>")
