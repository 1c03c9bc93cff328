"""Links to one form of one file: sealed, short-lived, and asked again about rights at each use.

The path holds a ticket (AES-256-GCM with a secret that all processes share): file, form, the key
that opens it and for whom it was made. Nobody reads, changes or lengthens one. Pure but for nonces.
"""

from __future__ import annotations

import base64

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from signaling.accounts.principal import Kind, Principal
from signaling.errors import ClientError, Code
from signaling.files.port import Variant
from signaling.files.register import not_found
from signaling.ids import Entropy

NONCE = 12
MAX_TEXT = 2048
_BOUND = b"sotto file link"


class Ticket(Struct, frozen=True, array_like=True):
    """`who` is a session, or an access token with the uuid for which it is used."""

    app: str
    file: str
    variant: Variant
    key: bytes
    name: str
    download: bool
    until: float
    kind: Kind
    account: str | None
    device: str | None
    session: str | None
    token: str | None
    uuid: str | None

    def principal(self) -> Principal:
        return Principal(
            app=self.app, kind=self.kind, account=self.account, device=self.device,
            session=self.session, token=self.token,
        )  # fmt: skip


class Links:
    """`secret` has 32 bytes and is the same in every process of an installation."""

    def __init__(self, secret: bytes, entropy: Entropy) -> None:
        self._box, self._entropy = AESGCM(secret), entropy

    def seal(self, ticket: Ticket) -> str:
        nonce = self._entropy.token(NONCE)
        sealed = nonce + self._box.encrypt(nonce, msgspec.msgpack.encode(ticket), _BOUND)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, text: str, now: float) -> Ticket:
        """Raises 404 for what is no link of ours, 410 for one whose time is over."""
        if len(text) > MAX_TEXT or not text.isascii():
            raise not_found()
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            plain = self._box.decrypt(data[:NONCE], data[NONCE:], _BOUND)
        except (ValueError, InvalidTag):
            raise not_found() from None
        ticket = msgspec.msgpack.decode(plain, type=Ticket)
        if ticket.until <= now:
            raise ClientError(Code.LINK_INVALID, 410, "The link is over. Ask for a new one.")
        return ticket
