"""What one participant subscribes to: the part that both modes share.

A subscription waits until its track is published and an m-section carries it, then becomes an
engine subscription. How it gets its section differs: `single.py` asks the client to offer more,
`dual.py` offers itself. Driven by `participant.py` and by the call's tracks.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from mediaserver.api import SubscribeSettings
from mediaserver.context import Context
from mediaserver.describe import Sending
from mediaserver.engine_types import (
    Codec,
    EngineError,
    SubscriptionSettings,
    SubscriptionSpec,
)
from mediaserver.errors import ClientError, Code
from mediaserver.tracks import Publication, Track, Tracks


def spacing(sections: int) -> float:
    """Seconds between two negotiations of one connection.

    A description grows with its sections, so joins in a large call are gathered: 100 people who
    join one after another cost each of the others about one negotiation a second, not one each.
    """
    return min(2.0, 0.01 * max(0, sections - 8))


class State(Enum):
    WAITING = "waiting"
    """For its track to be published or for a section."""
    OFFERED = "offered"
    """DUAL: a section was offered, the answer is due."""
    ACTIVE = "active"
    FAILED = "failed"
    """No shared codec; tried again when the track gains one."""


@dataclass(slots=True)
class Subscription:
    """WAITING, OFFERED, ACTIVE or FAILED; owned by one Subscribing."""

    track_id: str
    settings: SubscribeSettings
    ssrc: int
    rtx_ssrc: int
    owner: "Subscribing"
    state: State = State.WAITING
    mid: str = ""
    engine_id: int = 0
    spec: SubscriptionSpec | None = None
    publication: Publication | None = None
    spatial: int = -1


class Subscribing(ABC):
    """Common half. Subclasses say how a section is found (`_place`) and given back (`_release`)."""

    def __init__(
        self,
        context: Context,
        transport: int,
        tracks: Tracks,
        on_subscribed: Callable[[str], None],
        on_failed: Callable[[str, str], None],
    ) -> None:
        self._context = context
        self.transport = transport
        self._tracks = tracks
        self._on_subscribed = on_subscribed
        self._on_failed = on_failed
        self._subscriptions: dict[str, Subscription] = {}

    def subscriptions(self) -> Sequence[Subscription]:
        return tuple(self._subscriptions.values())

    def subscribe(self, track_id: str, settings: SubscribeSettings) -> None:
        """Of a track that is not there yet too: it starts when it is published."""
        if track_id in self._subscriptions:
            self.update(track_id, settings)
            return
        if len(self._subscriptions) >= self._context.limits.subscriptions:
            raise ClientError(Code.TOO_MANY_TRACKS, 429, "too many subscriptions")
        new_id = self._context.new_id
        self._subscriptions[track_id] = Subscription(track_id, settings, new_id(), new_id(), self)
        self._tracks.watch(track_id, self)
        track = self._tracks.get(track_id)
        if track is not None and track.publications:
            self._place()

    def update(self, track_id: str, settings: SubscribeSettings) -> None:
        subscription = self._subscriptions.get(track_id)
        if subscription is None:
            raise ClientError(Code.TRACK_UNKNOWN, 404, "not subscribed")
        subscription.settings = settings
        track = self._tracks.get(track_id)
        if subscription.state is State.ACTIVE and track is not None:
            self._guarded(
                lambda: self._context.engine.update_subscription(
                    subscription.engine_id, engine_settings(settings, track)
                )
            )

    def unsubscribe(self, track_id: str) -> None:
        subscription = self._subscriptions.pop(track_id, None)
        if subscription is not None:
            self._tracks.unwatch(track_id, self)
            self._end(subscription)

    def track_changed(self, track: Track) -> None:
        subscription = self._subscriptions.get(track.track_id)
        if subscription is None:
            return
        if subscription.state is State.ACTIVE:
            self._reconsider(subscription, track)
        elif subscription.state is not State.OFFERED:
            subscription.state = State.WAITING
            self._place()

    def track_removed(self, track_id: str) -> None:
        subscription = self._subscriptions.pop(track_id, None)
        if subscription is not None:
            self._end(subscription)

    def close(self) -> None:
        for track_id in list(self._subscriptions):
            subscription = self._subscriptions.pop(track_id)
            self._tracks.unwatch(track_id, self)
            self._context.subscriptions.pop(subscription.engine_id, None)

    @abstractmethod
    def _place(self) -> None:
        """Find sections for those that wait; may be called often, so coalesce."""

    @abstractmethod
    def _release(self, subscription: Subscription) -> None:
        """Its section is no longer used."""

    @abstractmethod
    def _spec_for(
        self, subscription: Subscription, published: Sequence[Codec]
    ) -> SubscriptionSpec | None:
        """How published codecs would leave on the section that it already has."""

    def _waiting(self) -> list[tuple[Subscription, Track]]:
        result = []
        for subscription in self._subscriptions.values():
            track = self._tracks.get(subscription.track_id)
            if subscription.state is State.WAITING and track is not None and track.publications:
                result.append((subscription, track))
        return result

    def _choose(
        self, track: Track, spec_of: Callable[[Sequence[Codec]], SubscriptionSpec | None]
    ) -> tuple[Publication, SubscriptionSpec] | None:
        """The first publication (the primary codec's) that the subscriber can decode."""
        for publication in track.publications:
            spec = spec_of(publication.codecs)
            if spec is not None:
                return publication, spec
        return None

    def _start(
        self,
        subscription: Subscription,
        track: Track,
        publication: Publication,
        spec: SubscriptionSpec,
    ) -> bool:
        settings = engine_settings(subscription.settings, track)
        try:
            subscription.engine_id = self._context.engine.subscribe(
                self.transport, publication.engine_id, spec, settings
            )
        except EngineError as error:
            self._context.drops[f"engine_{error.code}"] += 1
            self._fail(subscription, f"engine_{error.code}")
            return False
        subscription.state = State.ACTIVE
        subscription.mid = spec.mid
        subscription.spec = spec
        subscription.publication = publication
        self._context.subscriptions[subscription.engine_id] = subscription
        self._on_subscribed(subscription.track_id)
        return True

    def _fail(self, subscription: Subscription, reason: str) -> None:
        subscription.state = State.FAILED
        self._on_failed(subscription.track_id, reason)

    def _no_codec(self, subscription: Subscription) -> None:
        self._fail(subscription, "codec_unsupported")
        track = self._tracks.get(subscription.track_id)
        if track is not None:
            self._tracks.cannot_decode(track)

    def _reconsider(self, subscription: Subscription, track: Track) -> None:
        """The publisher's codecs changed under a running subscription."""
        chosen = self._choose(track, lambda c: self._spec_for(subscription, c))
        if chosen is None:
            self._stop_engine(subscription)
            subscription.state = State.WAITING
            self._release(subscription)
            self._place()
            return
        publication, spec = chosen
        if publication is not subscription.publication:
            self._stop_engine(subscription)
            self._start(subscription, track, publication, spec)
        elif spec != subscription.spec:
            subscription.spec = spec
            self._guarded(
                lambda: self._context.engine.respec_subscription(subscription.engine_id, spec)
            )

    def _end(self, subscription: Subscription) -> None:
        self._stop_engine(subscription)
        if subscription.mid:
            self._release(subscription)

    def _stop_engine(self, subscription: Subscription) -> None:
        if subscription.state is State.ACTIVE:
            self._context.subscriptions.pop(subscription.engine_id, None)
            engine_id = subscription.engine_id
            self._guarded(lambda: self._context.engine.unsubscribe(engine_id))
            subscription.publication = None
            subscription.spec = None

    def _guarded(self, command: Callable[[], None]) -> None:
        try:
            command()
        except EngineError as error:
            self._context.drops[f"engine_{error.code}"] += 1


def sending(subscription: Subscription, track: Track, spec: SubscriptionSpec) -> Sending:
    stereo = any(p.plan.stereo for p in track.publications)
    return Sending(spec, track.participant_id, track.track_id, track.spec.stream, stereo)


def engine_settings(settings: SubscribeSettings, track: Track) -> SubscriptionSettings:
    """Sizes and frame rates to layers: the smallest layer that still fills what is shown.

    Temporal layers halve the frame rate each (RFC 9626 section 1): of 30, 15 and 7.5.
    """
    spatial = settings.max_quality
    if settings.width or settings.height:
        for layer in sorted(track.layers(), key=lambda x: x.quality):
            if layer.width >= settings.width and layer.height >= settings.height:
                spatial = min(spatial, layer.quality)
                break
    temporal = 3
    if settings.fps:
        temporal = 0 if settings.fps <= 8 else 1 if settings.fps <= 16 else 3
    return SubscriptionSettings(
        paused=settings.paused,
        max_spatial=spatial,
        max_temporal=temporal,
        priority=settings.priority or track.spec.priority,
    )
