"""Cursors: a list's position, sealed so that nobody reads, makes or moves one.

AES-256-GCM with operation, app and account as associated data: a cursor of another list or another
person does not open. A cursor names a place in an order, never an offset. Pure but for the nonce.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from signaling.accounts.principal import Principal
from signaling.errors import ClientError, Code
from signaling.http.api.operation import PageAsk

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
PARAMETERS = frozenset({"cursor", "limit"})
# Longer than any position that we seal.
MAX_TEXT = 1024
_NONCE = 12
_AFTER, _BEFORE = b"a", b"b"


class Cursors:
    """`key` has 32 bytes and is the same in every process of an installation."""

    def __init__(self, key: bytes, random: Callable[[int], bytes]) -> None:
        self._box = AESGCM(key)
        self._random = random

    def after(self, operation: str, principal: Principal, position: str) -> str:
        return self._seal(_AFTER + position.encode(), operation, principal)

    def before(self, operation: str, principal: Principal, position: str) -> str:
        return self._seal(_BEFORE + position.encode(), operation, principal)

    def ask(self, given: dict[str, str], operation: str, principal: Principal) -> PageAsk:
        """`limit` and `cursor` of a query. Raises 422 for a limit, 400 for a cursor not ours."""
        limit = _limit(given.get("limit"))
        cursor = given.get("cursor")
        if cursor is None:
            return PageAsk(limit=limit)
        opened = self._open(cursor, operation, principal)
        position = opened[1:].decode()
        if opened[:1] == _BEFORE:
            return PageAsk(before=position, limit=limit)
        return PageAsk(after=position, limit=limit)

    def _seal(self, plain: bytes, operation: str, principal: Principal) -> str:
        nonce = self._random(_NONCE)
        sealed = nonce + self._box.encrypt(nonce, plain, _bound(operation, principal))
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def _open(self, cursor: str, operation: str, principal: Principal) -> bytes:
        wrong = ClientError(Code.CURSOR_INVALID, 400, "The cursor is not one of this list.")
        if not cursor.isascii() or len(cursor) > MAX_TEXT:
            raise wrong
        try:
            data = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            return self._box.decrypt(data[:_NONCE], data[_NONCE:], _bound(operation, principal))
        except (binascii.Error, ValueError, InvalidTag):
            raise wrong from None


def _bound(operation: str, principal: Principal) -> bytes:
    who = principal.account or principal.client or ""
    return "\0".join(("cursor", operation, principal.app, who)).encode()


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    written = text.isascii() and text.isdecimal() and len(text) <= 3
    limit = int(text) if written else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise ClientError(Code.FIELDS_INVALID, 422, f"limit is a number from 1 to {MAX_LIMIT}.")
    return limit
