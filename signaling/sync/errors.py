"""Errors of the sync socket: numbers, what the client should do, close codes. Pure.

    100-114   of the connection: it ends with them, apart from an unknown message
    200-234   of one session on it (chat's); `status` says 401 or 403 where rights are the reason

The one translation of this room's exceptions to the wire is `translate`. The body has the keys
that clients of this protocol read; they are camelCase there, and only there.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec

from signaling.errors import ClientError, Code, Unavailable

LOG_URL = ""
"""This server keeps no log that a client could open."""


class SyncCode(IntEnum):
    """Those that this server sends."""

    CONNECTION_CLOSED = 100
    OTHER_ERROR = 101
    UNKNOWN_MESSAGE = 102
    BAD_SYNTAX = 103
    LIMITS_EXCEEDED = 104
    BAD_SESSION_NUMBER = 106
    SESSION_NUMBER_IN_USE = 107
    BAD_MESSAGE_ORDER = 109
    SESSION_CLOSED = 200
    OTHER_SESSION_ERROR = 201
    TOKEN_EXPIRED = 202
    BAD_AUTHENTICATION = 203
    ILLEGAL_PATH = 204
    NO_SUCH_PARTITION = 205
    PERMISSION_DENIED = 206
    BAD_CLIENT_FILE = 208
    BAD_SERVER_VERSION = 209
    BAD_CLIENT_VERSION = 210
    DIVERGING_HISTORIES = 211
    BAD_CHANGE = 212
    CLIENT_FILE_EXPIRED = 222
    USER_MISMATCH = 223
    TOO_MANY_SESSIONS = 224
    PERMISSIONS_CHANGED = 228
    COMPENSATING_WRITE = 231


class Action(StrEnum):
    """What the client should do."""

    PROTOCOL_VIOLATION = "ProtocolViolation"
    APPLICATION_BUG = "ApplicationBug"
    WARNING = "Warning"
    TRANSIENT = "Transient"
    REFRESH_USER = "RefreshUser"
    LOG_OUT_USER = "LogOutUser"
    CLIENT_RESET = "ClientReset"


class Close(IntEnum):
    """How a socket ends (RFC 6455 section 7.4; 4000 to 4999 are ours)."""

    NORMAL = 1000
    BINARY = 1003
    BAD_SYNTAX = 1007
    FLOOD = 1008
    TOO_LARGE = 1009
    INTERNAL = 1011
    RESTART = 1012
    TRY_LATER = 1013
    SIGNED_OUT = 4401
    NO_SESSION = 4403
    SILENT = 4408


MEANINGS = {
    Close.NORMAL: "The client closed it.",
    Close.BINARY: "A binary frame came; this protocol has text frames only.",
    Close.BAD_SYNTAX: "A frame was not JSON of a known shape (error 103).",
    Close.FLOOD: "Too many messages (error 104).",
    Close.TOO_LARGE: "A frame was larger than `frame_bytes` of the hello.",
    Close.INTERNAL: "Our error; come again.",
    Close.RESTART: "The server is shutting down; come again, with a random delay.",
    Close.TRY_LATER: "The client reads too slowly, or a dependency failed; come again.",
    Close.SIGNED_OUT: "The session is over; sign in again.",
    Close.NO_SESSION: "No session on this socket is allowed any more.",
    Close.SILENT: "No answer to a ping in time; come again.",
}


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """One change that had no effect; `client_version` is that of its upload."""

    client_version: int
    code: str
    reason: str


class Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The JSON body of an error, for machines that decide and people who read logs."""

    is_recovery_mode_enabled: bool = False
    message: str
    log_url: str = msgspec.field(default=LOG_URL, name="logURL")
    try_again: bool
    should_client_reset: bool = False
    action: Action
    compensating_write_server_version: int | msgspec.UnsetType = msgspec.UNSET
    rejected_updates: list[Rejected] | msgspec.UnsetType = msgspec.UNSET
    """With 231: what the sender may not do. Its change kept its place, without an effect."""


class Fault(Exception):  # noqa: N818 - names what happened
    """Something to tell the client; with `close` the socket ends after it."""

    def __init__(
        self,
        code: SyncCode,
        message: str,
        *,
        try_again: bool = False,
        action: Action = Action.PROTOCOL_VIOLATION,
        status: int = 0,
        close: Close | None = None,
        reset: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.close = close
        self.body = Body(
            message=message,
            try_again=try_again,
            should_client_reset=reset,
            action=action,
        )


_REFUSALS = {
    Code.TOKEN_EXPIRED: (SyncCode.TOKEN_EXPIRED, Action.REFRESH_USER),
    Code.TOKEN_INVALID: (SyncCode.BAD_AUTHENTICATION, Action.REFRESH_USER),
    Code.TOKEN_MISSING: (SyncCode.BAD_AUTHENTICATION, Action.REFRESH_USER),
    Code.TOKEN_REVOKED: (SyncCode.PERMISSIONS_CHANGED, Action.LOG_OUT_USER),
    Code.NOT_PERMITTED: (SyncCode.PERMISSION_DENIED, Action.WARNING),
    Code.INSUFFICIENT_SCOPE: (SyncCode.PERMISSION_DENIED, Action.WARNING),
    Code.ACCESS_DENIED: (SyncCode.PERMISSION_DENIED, Action.WARNING),
    Code.ACCESS_TOKEN_EXPIRED: (SyncCode.TOKEN_EXPIRED, Action.REFRESH_USER),
    Code.ACCESS_TOKEN_INVALID: (SyncCode.BAD_AUTHENTICATION, Action.REFRESH_USER),
    Code.ACCESS_TOKEN_REVOKED: (SyncCode.PERMISSIONS_CHANGED, Action.LOG_OUT_USER),
}


def translate(error: Exception) -> Fault | None:
    """What the client is told of an exception that a handler raised; None: it is our error."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, Unavailable):
        return Fault(
            SyncCode.OTHER_SESSION_ERROR,
            error.message,
            try_again=error.retry_after is not None,
            action=Action.TRANSIENT,
            status=503,
        )
    if isinstance(error, ClientError):
        code, action = _REFUSALS.get(
            error.code, (SyncCode.OTHER_SESSION_ERROR, Action.APPLICATION_BUG)
        )
        again = error.code is Code.RATE_LIMITED
        return Fault(code, error.message, try_again=again, action=action, status=error.status)
    return None
