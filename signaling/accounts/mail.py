"""Letters: password resets, confirmations of an address, warnings about changed ways to sign in.

Fixed sentences and one link of ours; nothing that a person typed enters a letter (ASVS 1.3.7).
Sent by one task from a bounded queue, over TLS only; a letter that cannot be sent is tried three
times and then counted, never logged with its address.
"""

from __future__ import annotations

import asyncio
import logging
import smtplib
import ssl
from email.message import EmailMessage
from typing import Protocol

from msgspec import Struct

from signaling.secret import Secret

log = logging.getLogger(__name__)

QUEUE = 200  # beyond it somebody floods, or the mail server is away for long
TRIES = 3
PAUSE = 20.0  # seconds before the next try, doubled each time
SECONDS = 20.0

LETTERS: dict[str, tuple[str, str]] = {
    "password_reset": (
        "Set a new password",
        "Somebody asked to set a new password for your account. If it was you, open this link "
        "within half an hour:",
    ),
    "mail_confirmation": (
        "Confirm this address",
        "Open this link, where you are signed in, to use this address for your account:",
    ),
    "password_changed": ("Your password was changed", "The password of your account was changed."),
    "mail_changed": ("Your address was changed", "Your account no longer uses this address."),
    "roles_changed": ("Your role was changed", "The roles of your account were changed."),
    "totp_added": ("A second factor was added", "An authenticator app was added."),
    "totp_removed": ("A second factor was removed", "The authenticator app was removed."),
    "passkey_added": ("A passkey was added", "A passkey was added to your account."),
    "passkey_removed": ("A passkey was removed", "A passkey was removed from your account."),
    "passkey_copied": (
        "A passkey may have been copied",
        "A sign-in with one of your passkeys was refused, because its counter did not grow. "
        "Remove the passkey if you do not know why.",
    ),
    "new_device": (
        "A sign-in from a new device",
        "Somebody signed in to your account from a device that was not seen before.",
    ),
    "failed_attempts": (
        "Failed sign-ins",
        "Before the last sign-in to your account there were several with a wrong password.",
    ),
    "provider_added": ("A provider was connected", "An outside provider was connected."),
    "factors_removed": (
        "Your second factors were removed",
        "An administrator removed every second factor of your account.",
    ),
    "recovery_code_used": ("A recovery code was used", "One of your recovery codes was used."),
    "recovery_codes_renewed": (
        "New recovery codes were made",
        "The recovery codes of your account were replaced; the old ones are void.",
    ),
}
NOT_YOU = "If this was not you, tell the administrator of your server."


class MailServer(Struct, frozen=True, kw_only=True):
    host: str
    port: int
    sender: str
    implicit_tls: bool = False
    ca_file: str = ""
    user: str = ""
    password: Secret | None = None


class Post(Protocol):
    """Hands one letter over; blocking. Raises OSError or smtplib.SMTPException."""

    def __call__(self, letter: EmailMessage) -> None: ...


class Smtp:
    """RFC 5321 over TLS (RFC 8314); a server that offers none gets no letter."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    def __call__(self, letter: EmailMessage) -> None:
        server = self._server
        context = ssl.create_default_context(cafile=server.ca_file or None)
        if server.implicit_tls:
            with smtplib.SMTP_SSL(
                server.host, server.port, timeout=SECONDS, context=context
            ) as talk:
                self._send(talk, letter)
            return
        with smtplib.SMTP(server.host, server.port, timeout=SECONDS) as talk:
            talk.starttls(context=context)
            self._send(talk, letter)

    def _send(self, talk: smtplib.SMTP, letter: EmailMessage) -> None:
        if self._server.user and self._server.password is not None:
            talk.login(self._server.user, self._server.password.reveal())
        talk.send_message(letter)


class Mailer:
    """Owned by the composition root, which runs `run` as a task."""

    def __init__(self, post: Post, sender: str, product: str, pause: float = PAUSE) -> None:
        self._post = post
        self._sender = sender
        self._product = product
        self._pause = pause
        self._queue: asyncio.Queue[EmailMessage] = asyncio.Queue(QUEUE)
        self.lost = 0

    def hand(self, app: str, address: str, what: str, detail: str) -> None:
        """A `MailHook`. Never waits."""
        try:
            self._queue.put_nowait(compose(self._sender, self._product, address, what, detail))
        except asyncio.QueueFull:
            self.lost += 1
            log.warning("the mail queue is full; %d letters lost", self.lost)

    async def run(self) -> None:
        while True:
            await self._deliver(await self._queue.get())

    async def _deliver(self, letter: EmailMessage) -> None:
        pause = self._pause
        for left in reversed(range(TRIES)):
            try:
                await asyncio.to_thread(self._post, letter)
                return
            except (OSError, smtplib.SMTPException) as error:
                log.warning("a letter was not taken: %s", type(error).__name__)
            if left:
                await asyncio.sleep(pause)
                pause *= 2
        self.lost += 1


def compose(sender: str, product: str, address: str, what: str, detail: str) -> EmailMessage:
    """Pure. `detail` is a link of ours or empty."""
    subject, text = LETTERS[what]
    letter = EmailMessage()
    letter["From"] = sender
    letter["To"] = address
    letter["Subject"] = f"{product}: {subject}"
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5
    parts = [text, detail, NOT_YOU] if detail else [text, NOT_YOU]
    letter.set_content("\n\n".join(parts) + "\n")
    return letter
