"""Subscribing with two peer connections: we offer on the subscriber connection.

One negotiation is in flight at a time; what changes meanwhile is gathered into the next offer. We
choose payload types and extension ids here. A section is given to another track only after an
answer has seen it inactive. Data channels are ours to create, so the first section is theirs.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mediaserver.api import Kind, Offer
from mediaserver.codecs import extensions_for, parameters
from mediaserver.context import Context
from mediaserver.describe import Local, OfferSection, write_offer
from mediaserver.engine_types import Codec, SubscriptionSpec
from mediaserver.errors import ClientError, Code
from mediaserver.negotiation import Answered, Remote, plan_answered, read_answer, remote_of
from mediaserver.participant.subscribing import State, Subscribing, Subscription, sending, spacing
from mediaserver.sdp import Description, Section
from mediaserver.tracks import Track, Tracks

DATA_MID = "0"
# One-byte extension ids (RFC 8285 section 4.2), the same on every section of the bundle.
EXTENSION_IDS = {
    "audio_level": 1,
    "transport_cc": 3,
    "mid": 4,
    "abs_capture_time": 6,
    "dependency_descriptor": 8,
    "orientation": 13,
}
FIXED_PAYLOAD_TYPES = {"opus": 111, "red": 63, "pcmu": 0, "pcma": 8}
# The dynamic range, then the unassigned range that libwebrtc uses too (RFC 5761 section 4).
PAYLOAD_TYPES = [n for n in (*range(96, 128), *range(35, 63)) if n != 111]
# Longer than the 30 s in which a participant whose socket was cut may still resume.
ANSWER_SECONDS = 35.0


@dataclass(slots=True)
class Slot:
    """One m-section of the subscriber connection; `free` once answered inactive."""

    mid: str
    kind: Kind
    subscription: Subscription | None = None
    codecs: tuple[Codec, ...] = ()
    answered: Answered | None = None
    free: bool = False


@dataclass(slots=True)
class InFlight:
    """The offer whose answer is due."""

    offer_id: int
    sections: tuple[OfferSection, ...]
    subscriptions: dict[str, Subscription]


@dataclass(slots=True)
class PayloadTypes:
    """Our numbering: one pair (media, RTX) for each codec and variant of it."""

    given: dict[tuple[str, str], tuple[int, int | None]] = field(default_factory=dict)
    left: list[int] = field(default_factory=lambda: list(PAYLOAD_TYPES))

    def of(self, codec: Codec) -> Codec | None:
        """None when the range is exhausted: that variant is then not offered."""
        fmtp = _variant(codec)
        numbers = self.given.get((codec.name, fmtp))
        if numbers is None:
            numbers = self._take(codec)
            if numbers is None:
                return None
            self.given[(codec.name, fmtp)] = numbers
        if codec.name == "red":
            fmtp = f"{FIXED_PAYLOAD_TYPES['opus']}/{FIXED_PAYLOAD_TYPES['opus']}"
        video = codec.clock_rate == 90000
        return Codec(
            payload_type=numbers[0],
            name=codec.name,
            clock_rate=codec.clock_rate,
            rtx_payload_type=numbers[1],
            nack=video,
            pli=video,
            fir=video,
            remb=False,
            transport_cc=True,
            fmtp=fmtp,
        )

    def _take(self, codec: Codec) -> tuple[int, int | None] | None:
        fixed = FIXED_PAYLOAD_TYPES.get(codec.name)
        if fixed is not None:
            return fixed, None
        if len(self.left) < 2:
            return None
        return self.left.pop(0), self.left.pop(0)


def _variant(codec: Codec) -> str:
    """What makes two payload types of one codec differ for a decoder."""
    if codec.name == "opus":
        return "minptime=10;useinbandfec=1"
    keys = {
        "h264": ("level-asymmetry-allowed", "packetization-mode", "profile-level-id"),
        "vp9": ("profile-id",),
        "av1": ("level-idx", "profile", "tier"),
        "h265": ("level-id", "profile-id", "tier-flag", "tx-mode"),
    }.get(codec.name, ())
    values = parameters(codec.fmtp)
    return ";".join(f"{k}={values[k]}" for k in keys if k in values)


class DualSubscribing(Subscribing):
    """Owns the subscriber connection's sections. `local` and `apply` are that connection's."""

    def __init__(
        self,
        context: Context,
        transport: int,
        tracks: Tracks,
        on_subscribed: Callable[[str], None],
        on_failed: Callable[[str, str], None],
        *,
        local: Callable[[], Local],
        check: Callable[[Remote], None],
        apply: Callable[[Remote, Section | None], None],
        on_offer: Callable[[Offer], None],
        on_timeout: Callable[[], None],
    ) -> None:
        super().__init__(context, transport, tracks, on_subscribed, on_failed)
        self._local = local
        self._check = check
        self._apply = apply
        self._on_offer = on_offer
        self._on_timeout = on_timeout
        self._slots: dict[str, Slot] = {}
        self._payload_types = PayloadTypes()
        self._next_mid = 1
        self._offer_id = 0
        self._last_offer = -math.inf
        self._in_flight: InFlight | None = None
        self._dirty = False
        self._scheduled: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None

    def negotiate(self) -> None:
        """Offer soon, or after the answer that is due."""
        self._dirty = True
        if self._in_flight is None and self._scheduled is None:
            loop = asyncio.get_running_loop()
            due = self._last_offer + spacing(len(self._slots))
            if due > loop.time():
                self._scheduled = loop.call_at(due, self._offer)
            else:
                self._scheduled = loop.call_soon(self._offer)

    def restart(self) -> None:
        """New ICE credentials: an answer still due would be to the old ones, so do not wait."""
        self._forget_in_flight()
        self._last_offer = -math.inf
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        self.negotiate()

    def _place(self) -> None:
        self.negotiate()

    def _offer(self) -> None:
        self._scheduled = None
        if not self._dirty or self._in_flight is not None:
            return
        self._dirty = False
        self._offer_id += 1
        self._last_offer = asyncio.get_running_loop().time()
        subscriptions: dict[str, Subscription] = {}
        for subscription, track in self._waiting():
            slot = self._slot_for(track)
            slot.subscription, slot.free = subscription, False
            subscription.mid, subscription.state = slot.mid, State.OFFERED
        sections = [OfferSection(DATA_MID, "application")]
        for slot in self._slots.values():
            sections.append(self._section(slot))
            if slot.subscription is not None:
                subscriptions[slot.mid] = slot.subscription
        self._in_flight = InFlight(self._offer_id, tuple(sections), subscriptions)
        self._timer = asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._timed_out)
        mid_to_track = {mid: s.track_id for mid, s in subscriptions.items()}
        self._on_offer(Offer(write_offer(sections, self._local()), mid_to_track, self._offer_id))

    def _timed_out(self) -> None:
        if self._in_flight is not None:
            self._on_timeout()

    def _slot_for(self, track: Track) -> Slot:
        for slot in self._slots.values():
            if slot.free and slot.kind == track.spec.kind and slot.subscription is None:
                return slot
        slot = Slot(str(self._next_mid), track.spec.kind)
        self._next_mid += 1
        self._slots[slot.mid] = slot
        return slot

    def _section(self, slot: Slot) -> OfferSection:
        ids = {n: EXTENSION_IDS[n] for n in extensions_for(slot.kind) if n in EXTENSION_IDS}
        subscription = slot.subscription
        track = self._tracks.get(subscription.track_id) if subscription is not None else None
        if subscription is None or track is None:
            return OfferSection(slot.mid, slot.kind, slot.codecs, ids)
        slot.codecs = self._codecs(track)
        spec = SubscriptionSpec(
            slot.mid,
            subscription.ssrc,
            subscription.rtx_ssrc if slot.kind == Kind.VIDEO else None,
            slot.codecs,
            ids,
        )
        return OfferSection(
            slot.mid, slot.kind, slot.codecs, ids, sending(subscription, track, spec)
        )

    def _codecs(self, track: Track) -> tuple[Codec, ...]:
        """What the track is published in, each in our numbering."""
        published = dict.fromkeys(c for p in track.publications for c in p.codecs)
        return tuple(c for p in published if (c := self._payload_types.of(p)) is not None)

    def answer(self, description: Description, offer_id: int) -> None:
        """An answer to an older offer is ignored: a newer one is on the way."""
        flight = self._in_flight
        if flight is None or (offer_id and offer_id != flight.offer_id):
            if flight is None and not offer_id:
                raise ClientError(Code.ANSWER_UNEXPECTED, 409, "no offer of ours is open")
            return
        answered = read_answer(description, flight.sections)
        remote = remote_of(description, answering=True)
        self._check(remote)
        self._forget_in_flight()
        self._apply(remote, next((s for s in description.sections if s.is_data), None))
        for result in answered[1:]:
            self._answered(self._slots[result.mid], result, flight)
        if self._dirty or self._waiting():
            self.negotiate()

    def _answered(self, slot: Slot, result: Answered, flight: InFlight) -> None:
        slot.answered = result
        offered = flight.subscriptions.get(slot.mid)
        if offered is None:
            slot.free = slot.subscription is None
            return
        if slot.subscription is not offered:
            return  # it ended while the answer was due; the next offer says inactive
        track = self._tracks.get(offered.track_id)
        if track is None:
            return
        if offered.state is State.ACTIVE:
            self._reconsider(offered, track)
            return
        chosen = self._choose(track, lambda c: self._spec_for(offered, c))
        if chosen is None:
            slot.subscription = None
            offered.mid = ""
            self._no_codec(offered)
            self._dirty = True
            return
        if not self._start(offered, track, *chosen):
            slot.subscription = None
            self._dirty = True

    def track_changed(self, track: Track) -> None:
        subscription = self._subscriptions.get(track.track_id)
        if subscription is not None and subscription.state is State.ACTIVE:
            slot = self._slots[subscription.mid]
            if set(self._codecs(track)) - set(slot.codecs):
                self.negotiate()  # a codec that this section has not offered yet
                if self._choose(track, lambda c: self._spec_for(subscription, c)) is None:
                    return
        super().track_changed(track)

    def _release(self, subscription: Subscription) -> None:
        slot = self._slots.get(subscription.mid)
        if slot is not None and slot.subscription is subscription:
            slot.subscription = None
            self.negotiate()
        subscription.mid = ""

    def _spec_for(
        self, subscription: Subscription, published: Sequence[Codec]
    ) -> SubscriptionSpec | None:
        slot = self._slots.get(subscription.mid)
        if slot is None or slot.answered is None:
            return None
        return plan_answered(slot.answered, published, subscription.ssrc, subscription.rtx_ssrc)

    def _forget_in_flight(self) -> None:
        self._in_flight = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        super().close()
        self._forget_in_flight()
        self._dirty = False
        if self._scheduled is not None:
            self._scheduled.cancel()
