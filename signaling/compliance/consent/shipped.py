"""What Sotto itself processes, and the notice that says so: true before an operator says anything.

Follows the table of classes (`http/api/classification.py`). An operator who declares a purpose of
the same name, or writes a notice, takes its place with the next version; these stay version 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from signaling.compliance.consent.ledger import NOTICE, Basis, Purpose

PUSH, STATISTICS = "push", "statistics"
ROOM = "the members of the room"

TEXT = """\
This server runs Sotto: chat, calls and files. Who runs it is responsible for it, and decides who
gets in; how to reach them is at /.well-known/security.txt.

What is processed, why, on which legal basis, for how long and who gets it is the register of
processing: /api/v1/processing-register. What is stored, and how it is sealed, is at /security.
An account needs a name to sign in with and a password or a passkey; everything else you add
yourself. Nothing is sold, no advertising is shown, and by default no other company is called.
Addresses are kept shortened. No decision about you is made by a program alone.

What you can do yourself, at once and without giving a reason: read and correct your account, take
a copy of all that is about you (/api/v1/account/export), erase your messages, your files or your
whole account (/api/v1/account/erasure), have processing restricted, object to what is optional,
and withdraw a consent as easily as you gave it. What people have to answer is answered within
thirty days (/api/v1/account/requests). You may complain to a supervisory authority.

Messages that you wrote are read by the members of their rooms. Backups hold what was there when
they were made; what was erased cannot be opened in them any more.
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """Days, as configured. 0: for good."""

    messages: int
    files: int
    audit: int
    calls: int


def shipped(kept: Kept) -> Mapping[str, Purpose]:
    """By their ids, the notice among them."""
    made = [
        *_rooms(kept),
        Purpose(
            id="accounts", basis=Basis.CONTRACT, title="Accounts",
            text="So that you can sign in, and others know who writes.",
            categories=("login name", "display name", "mail address, if you gave one",
                        "password as a hash", "passkeys", "second factors", "preferences"),
            retention="until the account is deleted", recipients=(ROOM,),
        ),
        Purpose(
            id="security", basis=Basis.LEGITIMATE_INTERESTS, title="Sign-ins and the audit",
            text="So that nobody else uses your account, and misuse can be found.",
            categories=("sessions", "known devices", "shortened addresses", "who did what, when"),
            retention=f"sessions until they end; the audit: {_days(kept.audit)}",
        ),
        Purpose(
            id=PUSH, basis=Basis.CONTRACT, title="Notifications",
            text="So that a device of yours that asked for it is woken.",
            categories=("address and keys at the push service", "what is to be told"),
            retention="as long as the session",
            recipients=("the push service of the device: sealed, or ids alone",),
        ),
        Purpose(
            id="diagnostics", basis=Basis.CONSENT, title="Logs of your client",
            text="So that a fault can be found. You are asked with each log that you send.",
            categories=("the log, without secrets and without what you wrote",),
            retention="30 days, or until removed", recipients=("administrators",),
        ),
        Purpose(
            id=STATISTICS, basis=Basis.LEGITIMATE_INTERESTS, title="Statistics",
            text="So that the server is made as large as it has to be. No figure is of fewer "
            "than five people. Who objects is not counted.",
            categories=("how many wrote, sent files and called on a day",),
            retention="made when somebody asks, and not kept", recipients=("administrators",),
        ),
        Purpose(
            id="rights", basis=Basis.LEGAL_OBLIGATION, title="Your rights",
            text="So that what you asked for is done, and that it can be shown.",
            categories=("consents", "objections", "requests and answers", "erasures by a digest"),
            retention="three years after the answer, or as long as the account",
            recipients=("who answers requests",),
        ),
        Purpose(
            id=NOTICE, basis=Basis.LEGAL_OBLIGATION, title="Privacy notice", text=TEXT
        ),
    ]  # fmt: skip
    return {one.id: one for one in made}


def _rooms(kept: Kept) -> list[Purpose]:
    own = "; rooms may keep less or more"
    files = _days(kept.files) if kept.files else "as long as their messages"
    return [
        Purpose(
            id="messages", basis=Basis.CONTRACT, title="Messages",
            text="So that those whom you write to read it, on all their devices.",
            categories=("what you wrote", "reactions, receipts, drafts", "who is in which room"),
            retention=_days(kept.messages) + own, recipients=(ROOM,),
        ),
        Purpose(
            id="files", basis=Basis.CONTRACT, title="Files",
            text="So that those to whom you send a file can open it.",
            categories=("files without the place and the camera they are of", "names and sizes"),
            retention=files + own, recipients=(ROOM,),
        ),
        Purpose(
            id="calls", basis=Basis.CONTRACT, title="Calls",
            text="So that people are rung, reach each other, and see whom they missed. Sound and "
            "picture pass through and are not kept.",
            categories=("who called whom, when", "who took part"),
            retention=_days(kept.calls), recipients=(ROOM,),
        ),
    ]  # fmt: skip


def _days(days: int) -> str:
    return f"{days} days" if days else "until it is deleted"
