"""File idents and their salts: who may go on from where a client's file stopped. Pure.

An ident is a random number of 63 bits; its salt is two keyed digests, over the partition and over
the account. So nothing is stored for a file that never uploads, every server of the installation
knows them all, and a foreign ident (208) is told from another person's (223). Whoever restores an
older store meets the same idents again, with cursors behind theirs: such a client takes a new one.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

from signaling.ids import Entropy
from signaling.sync.errors import Action, Fault, SyncCode

Blind = Callable[[str, str], str]
HALF = 22
"""Characters kept of each digest: 132 bits."""


class Idents:
    """Makes and checks them. `blind` is the installation's keyed digest."""

    def __init__(self, blind: Blind, entropy: Entropy) -> None:
        self._blind = blind
        self._entropy = entropy

    def new(self, app: str, room: str, account: str) -> tuple[str, str]:
        """An ident and its salt."""
        ident = str(int.from_bytes(self._entropy.token(8), "big") >> 1 | 1)
        return ident, self._salt(app, room, account, ident)

    def _salt(self, app: str, room: str, account: str, ident: str) -> str:
        return self._half(app, "file", room, ident) + self._half(app, "owner", account, ident)

    def _half(self, app: str, what: str, whose: str, ident: str) -> str:
        return self._blind(app, f"sync:{what}\0{whose}\0{ident}")[:HALF]

    def check(self, app: str, room: str, account: str, ident: str, salt: str) -> None:
        """Raises Fault 208 or 223."""
        right = self._salt(app, room, account, ident).encode()
        given = salt.encode()
        if not hmac.compare_digest(given[:HALF], right[:HALF]) or len(given) != len(right):
            message = "This file ident was not given for this partition."
            raise Fault(
                SyncCode.BAD_CLIENT_FILE,
                message,
                action=Action.CLIENT_RESET,
                reset=True,
                status=403,
            )
        if not hmac.compare_digest(given, right):
            message = "This file belongs to another account."
            raise _reset(SyncCode.USER_MISMATCH, message)


def _reset(code: SyncCode, message: str) -> Fault:
    return Fault(code, message, action=Action.CLIENT_RESET, reset=True, status=403)
