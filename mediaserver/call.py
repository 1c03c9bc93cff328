"""One call on this node: its participants, its tracks, and the engine events that concern it.

Owns participants from `add_participant` to their `close`. Turns engine ids into track ids for
speakers, stream states and demand, and scores connection quality. Driven by `node.py`.
"""

import asyncio
from collections.abc import Callable, Iterable

from mediaserver.api import (
    CallListener,
    CallMedia,
    CallOptions,
    Mode,
    ParticipantListener,
    ParticipantMedia,
    ParticipantOptions,
)
from mediaserver.context import Context
from mediaserver.demand import Demand, demanded
from mediaserver.engine_types import ActiveSpeakers, CallSettings, EngineError
from mediaserver.errors import ClientError, Code, Unavailable
from mediaserver.participant.participant import Participant
from mediaserver.quality import QualityTracker, sample
from mediaserver.stats import Snapshot
from mediaserver.tracks import Publication, Track, Tracks

DEFAULT_OPTIONS = ParticipantOptions()


class Call:
    """Implements `api.CallMedia`. Open until `close`; then every participant is closed too."""

    def __init__(
        self,
        context: Context,
        number: int,
        call_id: str,
        listener: CallListener,
        options: CallOptions,
        snapshot: Callable[[], Snapshot],
        on_closed: Callable[["Call"], None],
    ) -> None:
        self._context = context
        self.number = number
        self._call_id = call_id
        self.listener = listener
        self._snapshot = snapshot
        self._on_closed = on_closed
        self._participants: dict[str, Participant] = {}
        self.demand = Demand(self._tell_demand)
        self.tracks = Tracks(self._tell_wanted, self.demand.published, self.demand.ended)
        self._quality = QualityTracker()
        self._closed = False
        self.set_options(options)

    @property
    def call_id(self) -> str:
        return self._call_id

    def participants(self) -> Iterable[Participant]:
        return self._participants.values()

    def __len__(self) -> int:
        return len(self._participants)

    def set_options(self, options: CallOptions) -> None:
        self._context.engine.set_call(self.number, CallSettings(options.top_audio))

    def add_participant(
        self,
        participant_id: str,
        mode: Mode,
        listener: ParticipantListener,
        options: ParticipantOptions = DEFAULT_OPTIONS,
    ) -> ParticipantMedia:
        limits = self._context.limits
        if self._closed:
            raise ClientError(Code.PARTICIPANT_CLOSED, 410, "the call has ended")
        if participant_id in self._participants:
            raise ClientError(Code.PARTICIPANT_EXISTS, 409, "the participant is in the call")
        if len(self._participants) >= limits.participants_per_call:
            raise ClientError(Code.TOO_MANY_PARTICIPANTS, 429, "the call is full")
        if len(self._context.transports) >= 2 * limits.participants:
            raise Unavailable(Code.TOO_MANY_PARTICIPANTS, "the node is full", retry=True)
        try:
            participant = Participant(
                self._context,
                self.number,
                self.tracks,
                participant_id,
                mode,
                listener,
                options,
                self._snapshot,
                self._left,
            )
        except EngineError as error:
            raise Unavailable(Code.ENGINE_FAILED, str(error), retry=True) from error
        self._participants[participant_id] = participant
        for connection in participant.connections.values():
            self._context.owners[connection.transport] = (self, participant)
        return participant

    def forward(self, track_id: str, to: CallMedia) -> None:
        track = self.tracks.get(track_id)
        if track is None or track.participant_id not in self._participants:
            raise ClientError(Code.TRACK_UNKNOWN, 404, "no such track")
        self.tracks.lend(track, _here(to).tracks)

    def stop_forwarding(self, track_id: str, to: CallMedia) -> None:
        self.tracks.take_back(track_id, _here(to).tracks)

    def _left(self, participant: Participant) -> None:
        self._participants.pop(participant.participant_id, None)
        self._quality.forget(participant.participant_id)
        for connection in participant.connections.values():
            self._context.owners.pop(connection.transport, None)

    def speakers(self, event: ActiveSpeakers) -> None:
        levels = []
        for engine_id, level, active in event.levels:
            publication = self._context.publications.get(engine_id)
            track = self.tracks.get(publication.track_id) if publication is not None else None
            if track is not None:
                levels.append((track.participant_id, track.track_id, level, active))
        self.listener.on_speakers(levels)

    def _tell_demand(self, publication: Publication) -> None:
        track = self.tracks.get(publication.track_id)
        if track is not None:
            self._tell_wanted(track)

    def _tell_wanted(self, track: Track) -> None:
        owner = self._participants.get(track.participant_id)
        if owner is not None:
            owner.listener.on_demand(track.track_id, demanded(track))

    def score(self) -> None:
        """Called every few seconds by the node."""
        snapshot = self._snapshot()
        changed: list[tuple[str, int, float]] = []
        for participant in self._participants.values():
            if participant.connected:
                result = self._quality.update(
                    participant.participant_id, sample(participant, snapshot)
                )
                if result is not None:
                    changed.append((participant.participant_id, *result))
        if changed:
            self.listener.on_quality(changed)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.demand.close()
        await asyncio.gather(*(p.close() for p in list(self._participants.values())))
        self._on_closed(self)


def _here(call: CallMedia) -> Call:
    """Packets go from one call to another within one engine only."""
    if not isinstance(call, Call):
        raise TypeError("the call is not of this node")
    return call
