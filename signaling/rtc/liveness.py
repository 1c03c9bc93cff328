"""When a participant counts as gone.

With a socket: never, as long as something comes over it every `ping_timeout`; a silent socket
counts as closed. After the socket closed: once no packet has come from its ICE pair for
`packet_silence`, and in any case after `resume_window`. A plain session (WHIP, WHEP) has no
socket and leaves by packet silence alone. A participant whose media never connects leaves after
`join_timeout`. All time comes from the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from signaling.rtc.clock import Timer

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant

Reason = models.DisconnectReason
_POLL = 0.25  # how late a departure may be noticed
_FAILURE_GRACE = 1.0  # between the end of a connection and the client's leave


class Liveness:
    """One for each participant; `start` when it joins, `stop` when it leaves."""

    def __init__(self, participant: Participant) -> None:
        self._p = participant
        self.heard_at = 0.0
        self._closed_at: float | None = None
        self._timers: dict[str, Timer] = {}

    def start(self) -> None:
        times = self._p.services.settings.times
        self.heard_at = self._now()
        self._after("join", times.join_timeout, self._join_expired)
        if self._p.entry.plain:
            self._after("silence", times.plain_silence, self._check_plain)
        else:
            self._after("ping", times.ping_timeout, self._check_ping)

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def heard(self) -> None:
        """The client said something over its socket."""
        self.heard_at = self._now()

    def connected(self) -> None:
        self._cancel("join")

    def socket_opened(self) -> None:
        """Resumed."""
        self._closed_at = None
        self._cancel("gone")
        self.heard()
        if "ping" not in self._timers:
            self._after("ping", self._p.services.settings.times.ping_timeout, self._check_ping)

    def socket_closed(self) -> None:
        if self._p.closed or self._closed_at is not None:
            return
        self._closed_at = self._now()
        self._cancel("ping")
        self._check_gone()

    def media_failed(self) -> None:
        """A connection ended for good; only a join from scratch brings another.

        Clients that leave close their connections first and say so right after: wait a moment.
        """
        self._after("failed", _FAILURE_GRACE, self._media_lost)

    def media_idle(self, seconds: float) -> None:
        """The engine tells at once; the age that `_check_gone` asks for is up to a second old."""
        silence = self._p.services.settings.times.packet_silence
        if self._closed_at is not None and seconds >= silence:
            self._p.leave(Reason.SIGNAL_CLOSE, tell=False)

    def _media_lost(self) -> None:
        self._p.leave(Reason.MEDIA_FAILURE, rtc.LeaveRequest.Action.RECONNECT)

    def _check_gone(self) -> None:
        if self._closed_at is None:
            return
        times = self._p.services.settings.times
        waited = self._now() - self._closed_at
        age = self._p.media.last_packet_age()
        if age == float("inf"):
            age = waited  # there never was a packet: the silence counts from the closing
        if waited >= times.resume_window or age >= times.packet_silence:
            reason = (
                Reason.SIGNAL_CLOSE if age >= times.packet_silence else Reason.CONNECTION_TIMEOUT
            )
            self._p.leave(reason, tell=False)
            return
        wait = min(times.packet_silence - age, times.resume_window - waited)
        self._after("gone", max(wait, _POLL), self._check_gone)

    def _check_ping(self) -> None:
        timeout = self._p.services.settings.times.ping_timeout
        silent = self._now() - self.heard_at
        if silent >= timeout:
            self._p.services.counters.add("ping_timeouts")
            self._p.drop_socket("ping timeout")
        else:
            self._after("ping", max(timeout - silent, _POLL), self._check_ping)

    def _check_plain(self) -> None:
        silence = self._p.services.settings.times.plain_silence
        age = self._p.media.last_packet_age()
        if age == float("inf"):
            self._after("silence", silence, self._check_plain)  # join_timeout is at work
        elif age >= silence:
            self._p.leave(Reason.CONNECTION_TIMEOUT, tell=False)
        else:
            self._after("silence", max(silence - age, _POLL), self._check_plain)

    def keep_token_fresh(self) -> None:
        """Push a token well before the client's own expires, and then regularly."""
        services = self._p.services
        interval = services.settings.times.token_refresh
        left = self._p.claims.expires_at - services.clock.unix()
        self._after("token", max(0.0, min(interval, left / 2)), self._refresh_token)

    def _refresh_token(self) -> None:
        self._p.refresh_token()
        self._after("token", self._p.services.settings.times.token_refresh, self._refresh_token)

    def _join_expired(self) -> None:
        self._p.services.counters.add("join_timeouts")
        self._p.leave(Reason.JOIN_FAILURE)

    def _now(self) -> float:
        return self._p.services.clock.monotonic()

    def _after(self, name: str, delay: float, action: Callable[[], None]) -> None:
        self._cancel(name)

        def run() -> None:
            self._timers.pop(name, None)
            if not self._p.closed:
                action()

        self._timers[name] = self._p.services.clock.call_later(delay, run)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
