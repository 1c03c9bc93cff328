"""Errors of OAuth's own endpoints: their JSON form is RFC 6749 section 5.2, not a problem document.

OAuthError                 `error`, a description for developers, a status
└── BadClient              401 invalid_client, with the challenge of the scheme that was tried
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Error(StrEnum):
    """RFC 6749 sections 4.1.2.1 and 5.2, RFC 8628 section 3.5, RFC 9449 sections 5 and 8."""

    INVALID_REQUEST = "invalid_request"
    INVALID_CLIENT = "invalid_client"
    INVALID_GRANT = "invalid_grant"
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"
    UNSUPPORTED_TOKEN_TYPE = "unsupported_token_type"  # noqa: S105 - the name of an error
    INVALID_SCOPE = "invalid_scope"
    ACCESS_DENIED = "access_denied"
    SERVER_ERROR = "server_error"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
    AUTHORIZATION_PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    EXPIRED_TOKEN = "expired_token"  # noqa: S105
    INVALID_DPOP_PROOF = "invalid_dpop_proof"
    USE_DPOP_NONCE = "use_dpop_nonce"


class OAuthError(Exception):
    """See the module. The description never repeats what was sent."""

    def __init__(
        self,
        error: Error,
        description: str,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status
        self.headers = dict(headers or {})


class BadClient(OAuthError):  # noqa: N818 - names what happened
    """The same for a client that does not exist, is switched off, or has another secret."""

    def __init__(self) -> None:
        super().__init__(
            Error.INVALID_CLIENT,
            "The client is unknown or did not authenticate.",
            401,
            {"WWW-Authenticate": 'Basic realm="sotto"'},
        )


def bad_grant() -> OAuthError:
    """The same whatever is wrong with a code or token."""
    return OAuthError(Error.INVALID_GRANT, "It is not valid, has expired or was used before.")


def bad_request(description: str) -> OAuthError:
    return OAuthError(Error.INVALID_REQUEST, description)
