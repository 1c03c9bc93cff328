"""Where a participant's messages go: its socket, or a small backlog until it resumes.

A `Sink` is a WebSocket connection, or nothing for WHIP and WHEP. At most one is attached. What a
client that resumes could not learn otherwise is kept, newest first to go when it is too much.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from livekit.protocol import models, rtc

from signaling.rtc.frames import Outgoing

Action = rtc.LeaveRequest.Action

_ACTION_PROTOCOL = 13  # clients from this protocol on read `LeaveRequest.action`
_BACKLOG = 256
_KEPT = frozenset(
    {
        "mute",
        "media_sections_requirement",
        "refresh_token",
        "request_response",
        "room_moved",
        "stream_state_update",
        "subscribed_quality_update",
        "subscription_permission_update",
        "track_published",
        "track_subscribed",
        "track_unpublished",
        "publish_data_track_response",
        "unpublish_data_track_response",
        "data_track_subscriber_handles",
    }
)


class Sink(Protocol):
    """A socket as the domain sees it. Never blocks."""

    def send(self, message: Outgoing) -> None: ...

    def close(self, reason: str, *, resume: bool = False) -> None:
        """`resume`: with a code after which clients resume; after 1000 they take it for the end."""


class NoSocket:
    """The sink of a WHIP or WHEP session."""

    def send(self, message: Outgoing) -> None:
        pass

    def close(self, reason: str, *, resume: bool = False) -> None:
        pass


class Outbox:
    """States: attached, detached (keeps a backlog), closed (keeps nothing)."""

    def __init__(self) -> None:
        self._sink: Sink | None = None
        self._backlog: deque[Outgoing] = deque(maxlen=_BACKLOG)
        self._closed = False

    @property
    def attached(self) -> bool:
        return self._sink is not None

    def attach(self, sink: Sink) -> None:
        """Talk to this socket from now on; an older one is closed."""
        old, self._sink = self._sink, sink
        if old is not None:
            old.close("replaced")

    def detach(self, sink: Sink) -> bool:
        """The socket is gone. False when it had been replaced already."""
        if self._sink is not sink:
            return False
        self._sink = None
        return True

    def drop(self, reason: str, *, resume: bool = False) -> bool:
        """Close the socket, if there is one."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.close(reason, resume=resume)
        return sink is not None

    def send(self, message: Outgoing) -> None:
        if self._sink is not None:
            self._sink.send(message)
        elif not self._closed and message.response.WhichOneof("message") in _KEPT:
            self._backlog.append(message)

    def flush(self) -> None:
        """After a resume: what was kept meanwhile."""
        while self._backlog and self._sink is not None:
            self._sink.send(self._backlog.popleft())

    def close(self, last: rtc.SignalResponse | None) -> bool:
        """The end, after one last message. True when somebody was there to read it."""
        self._closed = True
        self._backlog.clear()
        told = last is not None and self._sink is not None
        if last is not None and self._sink is not None:
            self._sink.send(Outgoing(last))
        self.drop("left")
        return told


def leave_message(
    protocol: int, reason: models.DisconnectReason, action: rtc.LeaveRequest.Action
) -> rtc.SignalResponse:
    """A LeaveRequest in the form that the client's protocol version reads."""
    leave = rtc.LeaveRequest(reason=reason)
    if protocol >= _ACTION_PROTOCOL:
        leave.action = action
    else:
        leave.can_reconnect = action != Action.DISCONNECT
    return rtc.SignalResponse(leave=leave)
