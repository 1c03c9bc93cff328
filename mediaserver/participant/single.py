"""Subscribing with one peer connection: the client offers, we fill its receiving sections.

A section is FREE (answered inactive), USED (answered sendonly) or STALE (its subscription ended;
it must be answered inactive once before another track may have it, or clients see no new track).
When sections are short, or there are enough and only an offer is missing, the client is asked.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence

from mediaserver.api import Kind
from mediaserver.context import Context
from mediaserver.describe import Receiving, Sending
from mediaserver.engine_types import Codec, SubscriptionSpec
from mediaserver.negotiation import plan_sending
from mediaserver.participant.subscribing import State, Subscribing, Subscription, sending, spacing
from mediaserver.sdp import Description, Section
from mediaserver.tracks import Publication, Track, Tracks


class SingleSubscribing(Subscribing):
    """`plan` decides for one offer, `commit` starts what it decided."""

    def __init__(
        self,
        context: Context,
        transport: int,
        tracks: Tracks,
        on_subscribed: Callable[[str], None],
        on_failed: Callable[[str, str], None],
        on_sections_needed: Callable[[int, int], None],
    ) -> None:
        super().__init__(context, transport, tracks, on_subscribed, on_failed)
        self._on_sections_needed = on_sections_needed
        self._sections: dict[str, Section] = {}
        self._used: dict[str, Subscription] = {}
        self._stale: set[str] = set()
        self._planned: list[tuple[Subscription, Track, Publication, SubscriptionSpec]] = []
        self._failed: list[Subscription] = []
        self._asking: asyncio.Handle | None = None
        self._last_ask = -math.inf
        self._asked = False
        self._negotiated = False

    def plan(self, offer: Description, receiving: Mapping[str, Receiving]) -> dict[str, Sending]:
        """By mid, what leaves on each receiving section of this offer."""
        open_sections = {
            s.mid: s
            for s in offer.sections
            if s.receives and not s.is_data and s.mid not in receiving
        }
        result: dict[str, Sending] = {}
        for mid, subscription in self._used.items():
            track = self._tracks.get(subscription.track_id)
            if mid in open_sections and subscription.spec is not None and track is not None:
                result[mid] = sending(subscription, track, subscription.spec)
        free = [
            s for mid, s in open_sections.items() if mid not in result and mid not in self._stale
        ]
        self._planned, self._failed = [], []
        for subscription, track in self._waiting():
            self._plan_one(subscription, track, free, result)
        return result

    def _plan_one(
        self,
        subscription: Subscription,
        track: Track,
        free: list[Section],
        result: dict[str, Sending],
    ) -> None:
        section = next((s for s in free if s.kind == track.spec.kind), None)
        if section is None:
            return
        chosen = self._choose(
            track,
            lambda c: plan_sending(section, c, subscription.ssrc, subscription.rtx_ssrc),
        )
        if chosen is None:
            self._failed.append(subscription)
            return
        free.remove(section)
        self._planned.append((subscription, track, *chosen))
        result[section.mid] = sending(subscription, track, chosen[1])

    def commit(self, offer: Description, plan: Mapping[str, Sending]) -> None:
        self._sections = {s.mid: s for s in offer.sections if not s.is_data}
        self._stale.clear()
        self._asked = False
        self._negotiated = True
        for mid in [m for m in self._used if m not in plan]:
            self._lost(mid, self._used.pop(mid))
        for subscription, track, publication, spec in self._planned:
            if self._start(subscription, track, publication, spec):
                self._used[spec.mid] = subscription
        for subscription in self._failed:
            self._no_codec(subscription)
        self._planned, self._failed = [], []
        self._place()

    def _lost(self, mid: str, subscription: Subscription) -> None:
        """The client stopped receiving on the section; the subscription wants another."""
        self._stop_engine(subscription)
        subscription.mid = ""
        subscription.state = State.WAITING

    def _place(self) -> None:
        if self._asking is None and not self._asked:
            loop = asyncio.get_running_loop()
            due = self._last_ask + spacing(len(self._sections))
            if due > loop.time():
                self._asking = loop.call_at(due, self._ask)
            else:
                self._asking = loop.call_soon(self._ask)

    def _ask(self) -> None:
        """Ask once for everything that waits; the next offer answers, and may lead to more."""
        self._asking = None
        waiting = self._waiting()
        if not self._negotiated or not (waiting or self._stale):
            return
        self._asked = True
        self._last_ask = asyncio.get_running_loop().time()
        self._on_sections_needed(*(self._short(kind, waiting) for kind in (Kind.AUDIO, Kind.VIDEO)))

    def _short(self, kind: Kind, waiting: Sequence[tuple[Subscription, Track]]) -> int:
        wanted = sum(1 for _, track in waiting if track.spec.kind == kind)
        free = sum(
            1
            for mid, s in self._sections.items()
            if s.kind == kind
            and s.receives
            and not s.msid_track
            and mid not in self._used
            and mid not in self._stale
        )
        return max(0, wanted - free)

    def ask_again(self) -> None:
        """Signaling was cut while we waited for an offer: the request may be lost."""
        self._asked = False
        self._place()

    def _release(self, subscription: Subscription) -> None:
        if self._used.pop(subscription.mid, None) is not None:
            self._stale.add(subscription.mid)
            self._place()
        subscription.mid = ""

    def _spec_for(
        self, subscription: Subscription, published: Sequence[Codec]
    ) -> SubscriptionSpec | None:
        section = self._sections.get(subscription.mid)
        if section is None:
            return None
        return plan_sending(section, published, subscription.ssrc, subscription.rtx_ssrc)

    def close(self) -> None:
        super().close()
        if self._asking is not None:
            self._asking.cancel()
        self._asked = True
