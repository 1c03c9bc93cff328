"""What rooms and participants share: clock, ids, keys, settings, hooks, and where tasks go.

Made once by `Rooms`; tests make it with a virtual clock and a seeded source of randomness.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from livekit.protocol import models, rtc, webhook

from mediaserver.api import MediaServer
from signaling.rtc.admission import Admission, Everybody
from signaling.rtc.clock import TimerClock
from signaling.rtc.ids import Ids
from signaling.rtc.limits import RtcSettings
from signaling.rtc.tokens import ApiKeys
from signaling.rtc.trail import NoTrail, Trail

COMPATIBLE_VERSION = "1.13.5"
"""The LiveKit version whose behaviour clients may expect: RPC is gated on 1.8.0 and newer."""
PROTOCOL = 17


@dataclass(frozen=True, slots=True)
class IceServer:
    """A TURN or STUN server for one participant."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""


class Hooks(Protocol):
    """Where events of calls go (webhooks). Must not block or raise."""

    def notify(self, event: webhook.WebhookEvent) -> None: ...


class NoHooks:
    """Nobody listens."""

    def notify(self, event: webhook.WebhookEvent) -> None:
        pass


class Versions:
    """Strictly increasing TimedVersions."""

    def __init__(self, clock: TimerClock) -> None:
        self._clock = clock
        self._last = (0, 0)

    def next(self) -> models.TimedVersion:
        micros = int(self._clock.unix() * 1_000_000)
        last, ticks = self._last
        self._last = (micros, 0) if micros > last else (last, ticks + 1)
        return models.TimedVersion(unix_micro=self._last[0], ticks=self._last[1])


Spawn = Callable[[Coroutine[Any, Any, None]], None]
IceServers = Callable[[str], Sequence[IceServer]]


@dataclass(slots=True)
class Counters:
    """Totals since start, for metrics; only ever added to."""

    values: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, amount: int = 1) -> None:
        self.values[name] = self.values.get(name, 0) + amount


@dataclass(frozen=True, slots=True)
class Services:
    media: MediaServer
    keys: ApiKeys
    settings: RtcSettings
    clock: TimerClock
    ids: Ids
    versions: Versions
    hooks: Hooks
    spawn: Spawn
    ice_servers: IceServers
    counters: Counters
    admission: Admission = field(default_factory=Everybody)
    trail: Trail = field(default_factory=NoTrail)

    def server_info(self) -> models.ServerInfo:
        return models.ServerInfo(
            edition=models.ServerInfo.Edition.Standard,
            version=COMPATIBLE_VERSION,
            protocol=PROTOCOL,
            region=self.settings.region,
            node_id=self.settings.node_id,
        )

    def ice_servers_for(self, participant_sid: str) -> list[rtc.ICEServer]:
        return [
            rtc.ICEServer(urls=list(s.urls), username=s.username, credential=s.credential)
            for s in self.ice_servers(participant_sid)
        ]
