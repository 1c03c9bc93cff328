"""The error families of this room.

    Exception
    ├── ClientError          the other side is wrong or may not: a wire error and an info log
    │   ├── Refused          ... because of who is asking: says the class of the reason, no more
    │   └── Left             ... it cut its connection in the middle: nobody reads the answer
    ├── Unavailable          something that we depend on failed; says whether to retry
    └── ConfigError          the operator's configuration cannot be used: printed, exit code 2

Anything else is our bug: traceback and correlation id. Each adapter turns these into its wire form
in one function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Every code that crosses the wire; also the web client's translation keys."""

    BAD_REQUEST = "bad_request"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    PRECONDITION_FAILED = "precondition_failed"
    PRECONDITION_REQUIRED = "precondition_required"
    CONFLICT = "conflict"
    NOT_FOUND = "not_found"
    ROOM_NOT_FOUND = "room_not_found"
    PARTICIPANT_NOT_FOUND = "participant_not_found"
    TRACK_NOT_FOUND = "track_not_found"
    TOKEN_MISSING = "token_missing"  # noqa: S105 - the name of an error, not a secret
    TOKEN_INVALID = "token_invalid"  # noqa: S105
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    INSUFFICIENT_SCOPE = "insufficient_scope"
    REAUTHENTICATION_REQUIRED = "reauthentication_required"
    ORIGIN_REFUSED = "origin_refused"
    VERSION_UNSUPPORTED = "version_unsupported"
    NOT_PERMITTED = "not_permitted"
    ROOM_FULL = "room_full"
    BAD_SDP = "bad_sdp"
    DRAINING = "draining"
    UNAVAILABLE = "unavailable"
    UNIMPLEMENTED = "unimplemented"
    INTERNAL = "internal"
    FIELDS_INVALID = "fields_invalid"
    PARAMETER_DUPLICATED = "parameter_duplicated"
    CURSOR_INVALID = "cursor_invalid"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    IDEMPOTENCY_IN_FLIGHT = "idempotency_in_flight"
    TLS_REQUIRED = "tls_required"
    KEY_DESTROYED = "key_destroyed"
    KEY_UNKNOWN = "key_unknown"
    KEY_INACTIVE = "key_inactive"
    KEY_IN_USE = "key_in_use"
    SECOND_APPROVER_NEEDED = "second_approver_needed"
    CONSENT_REQUIRED = "consent_required"
    INTEGRITY_ERROR = "integrity_error"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_UP_CLOSED = "sign_up_closed"
    LOGIN_REFUSED = "login_refused"
    LOGIN_TAKEN = "login_taken"
    PASSWORD_TOO_SHORT = "password_too_short"  # noqa: S105
    PASSWORD_TOO_LONG = "password_too_long"  # noqa: S105
    PASSWORD_COMMON = "password_common"  # noqa: S105
    PASSWORD_GUESSABLE = "password_guessable"  # noqa: S105
    LINK_INVALID = "link_invalid"
    LAST_OWNER = "last_owner"
    SECOND_FACTOR_NEEDED = "second_factor_needed"
    PROVIDER_REFUSED = "provider_refused"
    ACCESS_DENIED = "access_denied"
    ACCESS_TOKEN_INVALID = "access_token_invalid"  # noqa: S105
    ACCESS_TOKEN_EXPIRED = "access_token_expired"  # noqa: S105
    ACCESS_TOKEN_REVOKED = "access_token_revoked"  # noqa: S105
    GRANT_INVALID = "grant_invalid"
    SIGNATURE_INVALID = "signature_invalid"
    TIMESTAMP_SKEWED = "timestamp_skewed"
    REQUEST_REPLAYED = "request_replayed"
    MESSAGE_NOT_FOUND = "message_not_found"
    BANNED = "banned"
    PLAINTEXT_REFUSED = "plaintext_refused"
    AUTHOR_MISMATCH = "author_mismatch"
    ENCRYPTION_UNAVAILABLE = "encryption_unavailable"
    QUOTA_EXCEEDED = "quota_exceeded"
    UPLOAD_OFFSET_MISMATCH = "upload_offset_mismatch"
    UPLOAD_BUSY = "upload_busy"
    UPLOAD_INCOMPLETE = "upload_incomplete"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    TUS_VERSION_UNSUPPORTED = "tus_version_unsupported"
    FILE_TYPE_REFUSED = "file_type_refused"
    FILE_TYPE_MISMATCH = "file_type_mismatch"
    FILE_UNREADABLE = "file_unreadable"
    FILE_TOO_COMPLEX = "file_too_complex"
    FILE_QUARANTINED = "file_quarantined"
    FILE_NOT_READY = "file_not_ready"
    FILE_MODE_MISMATCH = "file_mode_mismatch"
    ARCHIVE_INVALID = "archive_invalid"
    ARCHIVE_TAMPERED = "archive_tampered"
    ARCHIVE_TOO_LARGE = "archive_too_large"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a request: `pointer` is a JSON Pointer (RFC 6901) into its body."""

    pointer: str
    code: str
    message: str


class ClientError(Exception):
    """The other side is wrong; `status` is the HTTP status that says so.

    `errors` name the fields at fault; `members` are further members of the problem document (a
    protocol's own error body, say) and `headers` further fields of the answer.
    """

    def __init__(
        self,
        code: Code,
        status: int,
        message: str,
        *,
        errors: Sequence[FieldError] = (),
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.errors = tuple(errors)
        self.members = dict(members or {})
        self.headers = dict(headers or {})


class Refused(ClientError):  # noqa: N818 - names what happened
    """401 or 403. `message` never says which part of the token was looked at."""


class Left(ClientError):  # noqa: N818 - names what happened
    """No answer reaches such a client; 499 is the status under which proxies count it."""

    def __init__(self) -> None:
        message = "The connection ended in the middle."
        super().__init__(Code.BAD_REQUEST, 499, message)


class Unavailable(Exception):  # noqa: N818 - names what happened
    """A dependency failed. `retry_after` in seconds; None when trying again will not help."""

    def __init__(self, message: str, retry_after: int | None = 1) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class ConfigError(Exception):
    """`path` is the key (`media.udp_port`), `message` what is wrong and what to write instead."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message
