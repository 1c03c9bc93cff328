"""What a client does about an error of the server: docs/reference/sync.md, table "Errors". Pure.

The same as `web/src/client/sync/verdicts.ts`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Fate(StrEnum):
    """What becomes of the session, or of the socket."""

    IGNORE = "ignore"  # nothing
    WARN = "warn"  # tell the person, go on
    AGAIN = "again"  # bind later
    TOKEN = "token"  # noqa: S105 - get another token, then bind
    RENAME = "rename"  # begin anew with a new ident
    BEGIN_ANEW = "begin_anew"  # with the same
    STOP = "stop"  # follow it no longer
    FORGET = "forget"  # nor keep anything of it
    BUG = "bug"  # the session is over until the next socket
    RECONNECT = "reconnect"  # the socket ends
    SIGN_OUT = "sign_out"  # sign in again


_UNKNOWN_MESSAGE, _NO_SUCH_SESSION, _COMPENSATED = 102, 106, 231
_TOKENS = frozenset({202, 203})
_STRANGERS = frozenset({208, 223})
_RESETS = frozenset({209, 210, 211, 222})
_GONE = frozenset({205})
_CLOSED = frozenset({204, 206, 224, 228})
_FIRST_OF_SESSIONS = 200
"""Below are the socket's."""


def fate_of(frame: dict[str, Any]) -> Fate:
    """Of an `error` frame."""
    code, body = frame["code"], frame["body"]
    if body["action"] == "LogOutUser":
        return Fate.SIGN_OUT
    if code < _FIRST_OF_SESSIONS:
        return _of_the_socket(code)
    for codes, fate in _BY_CODE:
        if code in codes:
            return fate
    if code in _RESETS and body.get("shouldClientReset"):
        return Fate.BEGIN_ANEW
    return Fate.AGAIN if body["tryAgain"] else Fate.BUG


_BY_CODE = (
    (frozenset({_COMPENSATED}), Fate.WARN),
    (_STRANGERS, Fate.RENAME),
    (_TOKENS, Fate.TOKEN),
    (_GONE, Fate.FORGET),
    (_CLOSED, Fate.STOP),
)


def _of_the_socket(code: int) -> Fate:
    if code in (_UNKNOWN_MESSAGE, _NO_SUCH_SESSION):
        return Fate.IGNORE
    return Fate.RECONNECT if code < _NO_SUCH_SESSION else Fate.BUG
