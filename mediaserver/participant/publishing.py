"""What one participant publishes: declared tracks matched with the sections of its offers.

A section in which the client sends becomes an engine publication when its track has been declared;
the two may come in either order. `plan` looks and changes nothing, `commit` acts on the engine
after the whole offer was found good. Driven by `participant.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mediaserver.api import (
    Kind,
    ParticipantOptions,
    Published,
    PublishedCodec,
    TrackSpec,
)
from mediaserver.context import Context
from mediaserver.describe import Receiving
from mediaserver.engine_types import EngineError, EngineErrorCode
from mediaserver.errors import ClientError, Code
from mediaserver.negotiation import plan_receiving, same_cid
from mediaserver.sdp import Description, Section
from mediaserver.tracks import Publication, Track, Tracks


@dataclass(slots=True)
class Incoming:
    """A section in which the client sends. `publication` is None while its track is unknown."""

    section: Section
    plan: Receiving
    publication: Publication | None = None
    removed: bool = False
    """Its track was removed; the section waits for the client to stop offering it."""


class Publishing:
    """Owned by one participant; ends with its connection."""

    def __init__(
        self,
        context: Context,
        participant_id: str,
        transport: int,
        tracks: Tracks,
        options: ParticipantOptions,
        on_published: Callable[[Published], None],
        on_unpublished: Callable[[str], None],
        on_refused: Callable[[str, str], None],
    ) -> None:
        self._context = context
        self._participant_id = participant_id
        self._transport = transport
        self._tracks = tracks
        self._options = options
        self._on_published = on_published
        self._on_unpublished = on_unpublished
        self._on_refused = on_refused
        self._own: dict[str, Track] = {}
        self._incoming: dict[str, Incoming] = {}
        self._auto_used = 0

    def tracks(self) -> Iterable[Track]:
        return self._own.values()

    def declare(self, spec: TrackSpec) -> None:
        """Announce a track, or the same again with more codecs."""
        track = self._own.get(spec.track_id)
        if track is not None:
            track.spec = spec
        else:
            if spec.track_id in self._tracks:
                raise ClientError(Code.TRACK_EXISTS, 409, "the track id is taken")
            if len(self._own) >= self._context.limits.tracks:
                raise ClientError(Code.TOO_MANY_TRACKS, 429, "too many tracks")
            track = Track(self._participant_id, spec, muted=spec.muted)
            self._own[spec.track_id] = track
            self._tracks.add(track)
        for mid, incoming in self._incoming.items():
            if incoming.publication is None and not incoming.removed:
                self._bind_late(mid, incoming, track)

    def _bind_late(self, mid: str, incoming: Incoming, track: Track) -> None:
        """The offer came first: keep the codecs that its answer named."""
        if not _named(track.spec, incoming.section):
            return
        names = [c.name for c in incoming.plan.spec.codecs]
        plan = plan_receiving(incoming.section, track.spec, fixed=names)
        if plan is not None:
            self._commit_one(mid, incoming.section, plan)
            self._announce({track.track_id})

    def plan(self, offer: Description) -> dict[str, Receiving]:
        """By mid, for each section in which the client sends and we share a codec."""
        matched = self._match([s for s in offer.sections if s.sends and not s.is_data])
        plans: dict[str, Receiving] = {}
        for section, spec in matched:
            known = self._incoming.get(section.mid)
            plan = None
            if known is not None and same_cid(known.section.msid_track, section.msid_track):
                fixed = [c.name for c in known.plan.spec.codecs]
                plan = plan_receiving(section, spec, fixed=fixed)
            plan = plan or plan_receiving(section, spec, allowed=self._options.codecs)
            if plan is not None:
                plans[section.mid] = plan
        return plans

    def _match(self, sections: list[Section]) -> list[tuple[Section, TrackSpec | None]]:
        """By client id; then, of what is left over, by kind in the order of declaration."""
        result: dict[str, TrackSpec | None] = {}
        for section in sections:
            known = self._incoming.get(section.mid)
            if known is not None and known.publication is not None:
                track = self._own.get(known.publication.track_id)
                if track is not None and same_cid(known.section.msid_track, section.msid_track):
                    result[section.mid] = track.spec
                    continue
            named = (t.spec for t in self._own.values() if _named(t.spec, section))
            result[section.mid] = next(named, None)
        taken = {spec.track_id for spec in result.values() if spec is not None}
        taken |= {t.track_id for t in self._own.values() if t.publications}
        for section in sections:
            if result[section.mid] is None and not self._was_removed(section):
                spec = self._left_over(section, taken)
                if spec is not None:
                    taken.add(spec.track_id)
                    result[section.mid] = spec
        return [(section, result[section.mid]) for section in sections]

    def _was_removed(self, section: Section) -> bool:
        known = self._incoming.get(section.mid)
        return known is not None and known.removed

    def _left_over(self, section: Section, taken: set[str]) -> TrackSpec | None:
        if self._options.auto_declare:
            return self._auto(section)
        for track in self._own.values():
            if track.track_id not in taken and track.spec.kind == section.kind:
                return track.spec
        return None

    def _auto(self, section: Section) -> TrackSpec | None:
        """WHIP: the offer itself declares; ids in the order that signaling gave them."""
        ids = self._options.auto_track_ids
        known = self._incoming.get(section.mid)
        if known is not None or self._auto_used >= len(ids):
            return None
        spec = TrackSpec(
            ids[self._auto_used], section.msid_track or section.mid, Kind(section.kind)
        )
        self._auto_used += 1
        self.declare(spec)
        return spec

    def commit(self, plans: Mapping[str, Receiving], offer: Description) -> None:
        sections = {s.mid: s for s in offer.sections}
        committed = [self._commit_one(mid, sections[mid], plan) for mid, plan in plans.items()]
        changed = dict.fromkeys(track_id for track_id in committed if track_id is not None)
        for mid in [m for m in self._incoming if m not in plans]:
            self._stopped(self._incoming.pop(mid))
        self._announce(changed)

    def _commit_one(self, mid: str, section: Section, plan: Receiving) -> str | None:
        """The id of the track that changed, if one did."""
        old = self._incoming.get(mid)
        publication = old.publication if old is not None else None
        track_id = plan.track.track_id if plan.track is not None else None
        if publication is not None and publication.track_id != track_id:
            self._stopped(Incoming(section, plan, publication))
            publication = None
        removed = old is not None and old.removed and track_id is None
        incoming = Incoming(section, plan, publication, removed)
        self._incoming[mid] = incoming
        if track_id is None:
            return None
        if publication is not None:
            changed = publication.plan.spec != plan.spec
            publication.plan = plan
            if changed:
                self._engine("update", publication)
            return track_id if changed else None
        incoming.publication = self._publish(track_id, section, plan)
        incoming.removed = track_id not in self._own
        return track_id if incoming.publication is not None else None

    def _publish(self, track_id: str, section: Section, plan: Receiving) -> Publication | None:
        engine = self._context.engine
        try:
            engine_id = engine.publish(self._transport, plan.spec)
        except EngineError as error:
            self._context.drops[f"engine_{error.code}"] += 1
            self._refused(track_id, error.code)
            return None
        publication = Publication(
            engine_id, self._transport, track_id, section.mid, section.msid_track, plan
        )
        track = self._own[track_id]
        track.publications.append(publication)
        # The primary codec first, whatever the order of the sections.
        order = [c.cid for c in track.spec.codecs]
        track.publications.sort(
            key=lambda p: next((i for i, cid in enumerate(order) if same_cid(cid, p.cid)), 0)
        )
        self._context.publications[engine_id] = publication
        self._tracks.publication_began(publication)
        if track.muted:
            engine.set_publication_muted(engine_id, True)
        return publication

    def _refused(self, track_id: str, code: EngineErrorCode) -> None:
        """A track of which nothing was published ends; of two codecs the other one stays."""
        if not self._own[track_id].publications:
            self.remove(track_id)
            self._on_refused(track_id, code)

    def _engine(self, action: str, publication: Publication) -> None:
        engine = self._context.engine
        try:
            if action == "update":
                engine.update_publication(publication.engine_id, publication.plan.spec)
            else:
                engine.unpublish(publication.engine_id)
        except EngineError as error:
            self._context.drops[f"engine_{error.code}"] += 1

    def _stopped(self, incoming: Incoming) -> None:
        """The client no longer offers this section: that is how a track is unpublished."""
        publication = incoming.publication
        if publication is None:
            return
        self._end(publication)
        track = self._own.get(publication.track_id)
        if track is not None and not track.publications:
            del self._own[publication.track_id]
            self._tracks.remove(publication.track_id)
            self._on_unpublished(publication.track_id)

    def _end(self, publication: Publication) -> None:
        self._engine("end", publication)
        self._tracks.publication_ended(publication)
        self._context.publications.pop(publication.engine_id, None)
        track = self._own.get(publication.track_id)
        if track is not None and publication in track.publications:
            track.publications.remove(publication)

    def _announce(self, track_ids: Iterable[str]) -> None:
        for track_id in track_ids:
            track = self._own.get(track_id)
            if track is not None and track.publications:
                self._on_published(_published(track))
                self._tracks.changed(track)

    def remove(self, track_id: str) -> None:
        """Signaling ends the track (moderation, permissions); the section stays, unused."""
        track = self._own.pop(track_id, None)
        if track is None:
            return
        for publication in list(track.publications):
            self._end(publication)
        for incoming in self._incoming.values():
            if incoming.publication is not None and incoming.publication.track_id == track_id:
                incoming.publication = None
                incoming.removed = True
        self._tracks.remove(track_id)

    def set_muted(self, track_id: str, muted: bool) -> None:
        track = self._own.get(track_id)
        if track is None:
            raise ClientError(Code.TRACK_UNKNOWN, 404, "no such track")
        track.muted = muted
        for publication in track.publications:
            self._context.engine.set_publication_muted(publication.engine_id, muted)

    def close(self) -> None:
        for track_id in list(self._own):
            self.remove(track_id)
        self._incoming.clear()


def _named(spec: TrackSpec, section: Section) -> bool:
    """The section carries this track by one of its client ids, or by its mid."""
    if spec.kind != section.kind:
        return False
    cids = [spec.cid, *(c.cid for c in spec.codecs)]
    return any(same_cid(cid, section.msid_track) or cid == section.mid for cid in cids if cid)


def _published(track: Track) -> Published:
    first = track.publications[0]
    codecs = tuple(
        PublishedCodec(p.mime, p.mid, p.cid, p.layers(), p.plan.spec.svc)
        for p in track.publications
    )
    return Published(
        track_id=track.track_id,
        mid=first.mid,
        codecs=codecs,
        kind=track.spec.kind,
        layers=first.layers(),
        red=any(c.name == "red" for c in first.codecs),
        stereo=first.plan.stereo,
        dtx=first.plan.dtx,
    )
