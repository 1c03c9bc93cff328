"""The media server's errors; signaling translates them, nothing here knows HTTP or WebSocket.

MediaError
├── ClientError   the other side is wrong or may not: a wire error and an info log, no traceback
└── Unavailable   something we depend on failed or is full; `retry` says whether asking again helps

Anything else that leaves this room is our bug.
"""

from enum import StrEnum


class Code(StrEnum):
    """Why, in one word; also the web client's i18n keys."""

    SDP_TOO_LARGE = "sdp_too_large"
    SDP_MALFORMED = "sdp_malformed"
    SDP_UNSUPPORTED = "sdp_unsupported"
    FINGERPRINT_MISSING = "fingerprint_missing"
    FINGERPRINT_WEAK = "fingerprint_weak"
    FINGERPRINT_CHANGED = "fingerprint_changed"
    ANSWER_UNEXPECTED = "answer_unexpected"
    TARGET_UNKNOWN = "target_unknown"
    TRACK_UNKNOWN = "track_unknown"
    TRACK_EXISTS = "track_exists"
    TOO_MANY_TRACKS = "too_many_tracks"
    TOO_MANY_PARTICIPANTS = "too_many_participants"
    CODEC_UNSUPPORTED = "codec_unsupported"
    MESSAGE_TOO_LARGE = "message_too_large"
    PARTICIPANT_EXISTS = "participant_exists"
    PARTICIPANT_CLOSED = "participant_closed"
    ADDRESS_MISSING = "address_missing"
    ENGINE_FAILED = "engine_failed"
    CHANNEL_CLOSED = "channel_closed"
    CHANNEL_FULL = "channel_full"
    DRAINING = "draining"


class MediaError(Exception):
    """Base of both families."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ClientError(MediaError):
    """The other side is wrong or may not. `status` is the nearest HTTP status."""

    def __init__(self, code: Code, status: int, message: str) -> None:
        super().__init__(code, message)
        self.status = status


class Unavailable(MediaError):  # noqa: N818 - named as house style names the family
    """We cannot do it now. `retry`: the same request may succeed later."""

    def __init__(self, code: Code, message: str, *, retry: bool) -> None:
        super().__init__(code, message)
        self.retry = retry


def bad_sdp(message: str) -> ClientError:
    return ClientError(Code.SDP_MALFORMED, 400, message)


def unsupported_sdp(message: str) -> ClientError:
    return ClientError(Code.SDP_UNSUPPORTED, 400, message)
