"""Letters: what they say, that they travel over TLS only, and what when nobody takes them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from signaling.accounts.mail import LETTERS, QUEUE, Mailer, MailServer, Smtp, compose
from signaling.secret import Secret

LINK = "https://meet.example.org/reset#abc"


def test_a_reset_letter_has_its_link_and_nothing_that_was_typed() -> None:
    letter = compose("sotto@example.org", "Sotto", "ana@example.org", "password_reset", LINK)
    assert letter["Subject"] == "Sotto: Set a new password"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert LINK in letter.get_content()


@pytest.mark.parametrize("what", LETTERS)
def test_every_letter_says_what_to_do_if_it_was_not_you(what: str) -> None:
    letter = compose("a@example.org", "Sotto", "b@example.org", what, "")
    assert "administrator" in letter.get_content()


class Box:
    """A mail server that knows just enough (RFC 5321); `letters` are the bodies that it took."""

    def __init__(self, context: ssl.SSLContext | None, *, offers_tls: bool = True) -> None:
        self.context = context
        self.offers_tls = offers_tls
        self.letters: list[str] = []
        self.logins: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")

        say("220 box")
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while line := (await reader.readline()).decode().strip():
                verb = line.split(" ")[0].upper()
                if verb == "EHLO":
                    offers = ["STARTTLS"] if self.offers_tls and self.context else []
                    for one in ["box", *offers]:
                        say(f"250-{one}")
                    say("250 AUTH PLAIN")
                elif verb == "STARTTLS":
                    say("220 go")
                    await writer.drain()
                    assert self.context is not None
                    await writer.start_tls(self.context)
                    self.offers_tls = False
                elif verb == "AUTH":
                    self.logins.append(line)
                    say("235 ok")
                elif verb == "DATA":
                    say("354 go")
                    self.letters.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                    say("250 ok")
                elif verb == "QUIT":
                    say("221 bye")
                    break
                else:
                    say("250 ok")
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def running(box: Box, *, implicit: bool) -> AsyncIterator[int]:
    server = await asyncio.start_server(
        box.serve, "127.0.0.1", 0, ssl=box.context if implicit else None
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def tls(certificate: tuple[str, str, str], tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    pem, key, ca_file = certificate
    chain = tmp_path / "chain.pem"
    chain.write_text(key + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context, ca_file


def smtp(port: int, implicit: bool, ca_file: str) -> Smtp:
    return Smtp(
        MailServer(
            host="127.0.0.1", port=port, sender="sotto@example.org", implicit_tls=implicit,
            ca_file=ca_file, user="sotto", password=Secret("word"),
        )
    )  # fmt: skip


@pytest.mark.parametrize("implicit", [True, False])
async def test_letters_travel_over_tls(tls: tuple[ssl.SSLContext, str], implicit: bool) -> None:
    context, ca_file = tls
    box = Box(context)
    async with running(box, implicit=implicit) as port:
        mailer = Mailer(smtp(port, implicit, ca_file), "sotto@example.org", "Sotto")
        task = asyncio.create_task(mailer.run())
        mailer.hand("default", "ana@example.org", "password_reset", LINK)
        async with asyncio.timeout(60):
            while not box.letters:
                await asyncio.sleep(0.01)
        task.cancel()
    assert LINK in box.letters[0]
    assert len(box.logins) == 1


async def test_a_server_without_tls_or_with_a_strange_certificate_gets_no_letter(
    tls: tuple[ssl.SSLContext, str],
) -> None:
    context, ca_file = tls
    letter = compose("a@example.org", "Sotto", "b@example.org", "totp_added", "")
    for box, ca in ((Box(context, offers_tls=False), ca_file), (Box(context), "")):
        async with running(box, implicit=False) as port:
            with pytest.raises(Exception, match=r"STARTTLS|certificate|CERTIFICATE"):
                await asyncio.to_thread(smtp(port, False, ca), letter)
        assert box.letters == []
        assert box.logins == []


async def test_a_letter_is_tried_three_times_and_then_counted() -> None:
    tried: list[EmailMessage] = []

    def refuse(letter: EmailMessage) -> None:
        tried.append(letter)
        raise OSError("no route")

    mailer = Mailer(refuse, "sotto@example.org", "Sotto", pause=0.0)
    task = asyncio.create_task(mailer.run())
    mailer.hand("default", "ana@example.org", "totp_added", "")
    async with asyncio.timeout(60):
        while not mailer.lost:
            await asyncio.sleep(0.01)
    task.cancel()
    assert len(tried) == 3


async def test_a_full_queue_loses_letters_and_never_waits() -> None:
    mailer = Mailer(lambda letter: None, "sotto@example.org", "Sotto")
    for _ in range(QUEUE + 5):
        mailer.hand("default", "ana@example.org", "totp_added", "")
    assert mailer.lost == 5
