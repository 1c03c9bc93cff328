"""What a participant receives: its wishes, the publishers' permissions, and what follows from both.

A wish outlives the track it names: a client may ask before the track exists or set a track's size
before it is subscribed. `reconsider` is the one place that compares wish and permission with what
is active.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from mediaserver.api import MediaError, SubscribeSettings
from signaling.rtc.clock import Timer

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant
    from signaling.rtc.tracks import Publication


_DEFAULTS = SubscribeSettings()


@dataclass(slots=True)
class Wish:
    """`wanted` None: nothing was said, auto-subscribe decides when the track appears."""

    wanted: bool | None = None
    settings: SubscribeSettings = _DEFAULTS
    active: bool = False
    refused: bool = False
    publisher_sid: str = ""
    search: Timer | None = None


class Subscribing:
    """Wishes by track sid."""

    def __init__(self, participant: Participant) -> None:
        self._p = participant
        self._wishes: dict[str, Wish] = {}
        self._sources: Counter[str] = Counter()

    # Facts

    def active(self) -> list[str]:
        return [sid for sid, wish in self._wishes.items() if wish.active]

    def receives_from(self, publisher_sid: str) -> bool:
        return self._sources[publisher_sid] > 0

    # Wishes

    def begin(self) -> None:
        """After joining: consider every track there is."""
        for publication in self._p.room.publications():
            self.track_appeared(publication)

    def track_appeared(self, publication: Publication) -> None:
        if publication.publisher is self._p:
            return
        wish = self._wish(publication.sid)
        if wish is None:
            return
        if wish.wanted is None and self._p.entry.auto_subscribe:
            wish.wanted = True
        self.reconsider(publication.sid)

    def track_vanished(self, sid: str) -> None:
        wish = self._wishes.pop(sid, None)
        if wish is None:
            return
        self._stop_search(wish)
        if wish.active:
            self._end(sid, wish)

    def update(self, request: rtc.UpdateSubscription) -> None:
        sids = list(request.track_sids)
        for participant in request.participant_tracks:
            sids.extend(participant.track_sids)
        self.want(sids, request.subscribe)

    def want(self, sids: Iterable[str], wanted: bool) -> None:
        for sid in sids:
            wish = self._wish(sid)
            if wish is not None:
                wish.wanted = wanted
                self.reconsider(sid)

    def configure(self, request: rtc.UpdateTrackSettings) -> None:
        settings = settings_from(request)
        for sid in request.track_sids:
            self._configure(sid, settings)

    def disable(self, sids: Iterable[str]) -> None:
        """A resuming client names the tracks it had switched off."""
        for sid in sids:
            self._configure(sid, SubscribeSettings(paused=True))

    def _configure(self, sid: str, settings: SubscribeSettings) -> None:
        wish = self._wish(sid)
        if wish is None or wish.settings == settings:
            return
        wish.settings = settings
        if wish.active:
            self._p.tell_media(lambda: self._p.media.update_subscription(sid, settings))

    def _wish(self, sid: str) -> Wish | None:
        wish = self._wishes.get(sid)
        if wish is None:
            if len(self._wishes) >= self._p.services.settings.limits.wanted_tracks:
                self._p.services.counters.add("wishes_refused")
                return None
            wish = self._wishes[sid] = Wish()
        return wish

    # Decisions

    def reconsider_all(self) -> None:
        for sid in list(self._wishes):
            self.reconsider(sid)

    def reconsider(self, sid: str) -> None:
        wish = self._wishes.get(sid)
        if wish is None or self._p.closed:
            return
        publication = self._p.room.publication(sid)
        wanted = wish.wanted is True and self._p.grant.can_subscribe
        if publication is None:
            if wanted:
                self._search(sid, wish)
            return
        self._stop_search(wish)
        allowed = publication.publisher.permissions.allows(sid, self._p)
        if wanted and wish.refused == allowed:
            self._tell_permission(publication, allowed)
            wish.refused = not allowed
        if wanted and allowed and not wish.active:
            self._start(publication, wish)
        elif wish.active and not (wanted and allowed):
            self._end(sid, wish)

    def _start(self, publication: Publication, wish: Wish) -> None:
        try:
            self._p.media.subscribe(publication.sid, wish.settings)
        except MediaError:
            self._p.services.counters.add("subscriptions_refused")
            self.failed(publication.sid, models.SubscriptionError.SE_TRACK_NOTFOUND)
            return
        first = not self.receives_from(publication.publisher.sid)
        wish.active = True
        wish.publisher_sid = publication.publisher.sid
        self._sources[wish.publisher_sid] += 1
        if first:
            self._p.room.introduce(publication.publisher, self._p)

    def _end(self, sid: str, wish: Wish) -> None:
        wish.active = False
        self._sources[wish.publisher_sid] -= 1
        self._p.tell_media(lambda: self._p.media.unsubscribe(sid))
        if self.receives_from(wish.publisher_sid):
            return
        del self._sources[wish.publisher_sid]
        if not self._p.closed:
            # Whoever is no longer heard no longer speaks.
            silence = models.SpeakerInfo(sid=wish.publisher_sid, level=0, active=False)
            self._p.send(
                rtc.SignalResponse(speakers_changed=rtc.SpeakersChanged(speakers=[silence]))
            )

    def _tell_permission(self, publication: Publication, allowed: bool) -> None:
        update = rtc.SubscriptionPermissionUpdate(
            participant_sid=publication.publisher.sid, track_sid=publication.sid, allowed=allowed
        )
        self._p.send(rtc.SignalResponse(subscription_permission_update=update))

    # A track that does not exist

    def _search(self, sid: str, wish: Wish) -> None:
        if wish.search is None:
            services = self._p.services
            wish.search = services.clock.call_later(
                services.settings.times.track_not_found, lambda: self._not_found(sid)
            )

    def _not_found(self, sid: str) -> None:
        wish = self._wishes.get(sid)
        if wish is None or self._p.room.publication(sid) is not None:
            return
        self._wishes.pop(sid)
        self.failed(sid, models.SubscriptionError.SE_TRACK_NOTFOUND)

    def _stop_search(self, wish: Wish) -> None:
        if wish.search is not None:
            wish.search.cancel()
            wish.search = None

    # From the media server

    def failed(self, sid: str, error: models.SubscriptionError) -> None:
        response = rtc.SubscriptionResponse(track_sid=sid, err=error)
        self._p.send(rtc.SignalResponse(subscription_response=response))

    def failed_in_media(self, sid: str, reason: str) -> None:
        wish = self._wishes.get(sid)
        if wish is not None and wish.active:
            codec = reason == "codec_unsupported"
            error = models.SubscriptionError
            self.failed(sid, error.SE_CODEC_UNSUPPORTED if codec else error.SE_UNKNOWN)

    def stream_state(self, states: Sequence[tuple[str, bool]]) -> None:
        infos = []
        for sid, paused in states:
            wish = self._wishes.get(sid)
            if wish is not None:
                state = rtc.StreamState.PAUSED if paused else rtc.StreamState.ACTIVE
                infos.append(
                    rtc.StreamStateInfo(
                        participant_sid=wish.publisher_sid, track_sid=sid, state=state
                    )
                )
        if infos:
            update = rtc.StreamStateUpdate(stream_states=infos)
            self._p.send(rtc.SignalResponse(stream_state_update=update))

    def stop(self) -> None:
        """The participant leaves; its media closes by itself."""
        for wish in self._wishes.values():
            self._stop_search(wish)
        self._wishes.clear()


def settings_from(request: rtc.UpdateTrackSettings) -> SubscribeSettings:
    """Dimensions win over the deprecated quality, which is LOW when unset."""
    off = request.quality == models.VideoQuality.OFF
    sized = request.width > 0 or request.height > 0
    return SubscribeSettings(
        paused=request.disabled or off,
        max_quality=2 if sized or off else int(request.quality),
        width=min(request.width, 0xFFFF),
        height=min(request.height, 0xFFFF),
        fps=min(request.fps, 1000),
        priority=min(request.priority, 0xFFFF),
    )
