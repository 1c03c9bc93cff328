"""A media node: the engine, its events, the certificate, and the calls placed here.

`MediaServer.start` binds the ports, `stop` drains and closes them. Engine events arrive through an
eventfd and are dispatched here, a bounded number in one turn of the loop. Made by `app.py`.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from importlib import import_module

from mediaserver import addresses
from mediaserver.api import (
    CallListener,
    CallMedia,
    CallOptions,
    IceCandidate,
    MediaConfig,
    MediaLimits,
    NodeStats,
    SharedLimits,
)
from mediaserver.call import Call
from mediaserver.context import Context
from mediaserver.engine_types import (
    ActiveSpeakers,
    DemandChanged,
    DtlsReceived,
    EncodingStarted,
    EngineConfig,
    EngineError,
    EngineLimits,
    Event,
    EventsLost,
    IceConnected,
    IcePathChanged,
    LayerChanged,
    StreamStateChanged,
    TransportActive,
    TransportFailed,
    TransportIdle,
)
from mediaserver.errors import ClientError, Code, Unavailable
from mediaserver.handshakes import HandshakeGate
from mediaserver.ports import Engine
from mediaserver.stats import SnapshotReader, node_stats

logger = logging.getLogger(__name__)

# Certificates live 30 days (Chromium accepts up to a year, some refuse more than 30 days).
CERTIFICATE_SECONDS = 7 * 24 * 3600.0
QUALITY_SECONDS = 5.0
# More than this in one turn would delay everybody's timers; the eventfd stays readable.
EVENTS_PER_TURN = 1024
# Data channels come in bursts of a whole congestion window; a lost datagram stalls them all.
DTLS_EVENTS = 512
DEFAULT_OPTIONS = CallOptions()


def engine_limits(limits: MediaLimits) -> EngineLimits:
    """The engine refuses nothing that was allowed here, where a client gets its answer.

    A publication is one section of an offer, so a track in two codecs is two of them.
    """
    shared = {bound.name: getattr(limits, bound.name) for bound in fields(SharedLimits)}
    return EngineLimits(
        publications_per_transport=limits.sdp_sections,
        subscriptions_per_transport=limits.subscriptions,
        dtls_events_per_transport=DTLS_EVENTS,
        **shared,
    )


class MediaServer:
    """Implements `api.MediaServer`. RUNNING from start, DRAINING and CLOSED after stop."""

    def __init__(self, config: MediaConfig, context: Context) -> None:
        self._config = config
        self._context = context
        self._calls: dict[str, Call] = {}
        self._numbers: dict[int, Call] = {}
        self._next_number = 1
        self._events_lost = 0
        self._draining = False
        self._closed = False
        self._empty = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._snapshot = SnapshotReader(context.engine.snapshot, self._loop.time)
        self._loop.add_reader(context.engine.event_fd(), self._pump)
        self._renewal = self._loop.call_later(CERTIFICATE_SECONDS, self._renew)
        self._scoring = self._loop.call_later(QUALITY_SECONDS, self._score)

    @classmethod
    async def start(cls, config: MediaConfig) -> "MediaServer":
        """Binds. Raises ClientError for a configuration that cannot work, Unavailable for ports."""
        from mediaserver._engine import DataTransport
        from mediaserver._engine import Engine as NativeEngine

        bound = addresses.bindable(config.bind)
        config = replace(config, bind=bound)
        told = addresses.advertised(config)
        limits = config.limits
        try:
            engine: Engine = NativeEngine(
                EngineConfig(
                    udp_addresses=config.bind,
                    udp_port=config.udp_port,
                    tcp_addresses=config.bind if config.tcp_port is not None else (),
                    tcp_port=config.tcp_port,
                    workers=config.workers,
                    gso=config.gso,
                    max_transports=2 * limits.participants,
                    limits=engine_limits(limits),
                )
            )
        except EngineError as error:
            raise Unavailable(Code.ENGINE_FAILED, str(error), retry=False) from error
        context = Context(
            engine=engine,
            candidates=addresses.candidates(told, engine.udp_port, engine.tcp_port),
            limits=limits,
            gate=HandshakeGate(limits.handshake_steps),
            make_association=lambda server, bounds: DataTransport(
                server,
                bounds.message_bytes,
                bounds.receive_window_bytes,
                bounds.send_buffer_bytes,
                bounds.channels,
            ),
        )
        return cls(config, context)

    async def warm(self) -> None:
        """Load what the first connection would wait for."""
        await asyncio.to_thread(import_module, "mediaserver.dtls")

    @property
    def udp_port(self) -> int:
        return self._context.engine.udp_port

    @property
    def tcp_port(self) -> int | None:
        return self._context.engine.tcp_port

    def ice_candidates(self) -> Sequence[IceCandidate]:
        return self._context.candidates

    def call(
        self, call_id: str, listener: CallListener, options: CallOptions = DEFAULT_OPTIONS
    ) -> CallMedia:
        """Create or get; the listener of an existing call stays."""
        call = self._calls.get(call_id)
        if call is not None:
            return call
        if self._draining:
            raise Unavailable(Code.DRAINING, "the node is shutting down", retry=True)
        call = Call(
            self._context,
            self._next_number,
            call_id,
            listener,
            options,
            self._snapshot,
            self._call_closed,
        )
        self._next_number += 1
        self._calls[call_id] = call
        self._empty.clear()
        self._numbers[call.number] = call
        return call

    def _call_closed(self, call: Call) -> None:
        self._numbers.pop(call.number, None)
        if self._calls.get(call.call_id) is call:
            del self._calls[call.call_id]
        if not self._calls:
            self._empty.set()

    def _pump(self) -> None:
        if self._closed:
            return
        for event in self._context.engine.events(EVENTS_PER_TURN):
            try:
                self._dispatch(event)
            except Exception:
                # One listener's bug must not stop the events of every other participant.
                logger.exception("an engine event could not be handled")

    def _dispatch(self, event: Event) -> None:
        match event:
            case DtlsReceived(transport, data):
                connection = self._context.transports.get(transport)
                if connection is not None:
                    connection.feed_dtls(data)
            case IceConnected() | IcePathChanged() | TransportFailed():
                self._transport_event(event)
            case TransportIdle() | TransportActive():
                self._idle_event(event)
            case EncodingStarted(publication, quality, ssrc, _):
                started = self._context.publications.get(publication)
                if started is not None:
                    started.ssrcs[quality] = ssrc
            case DemandChanged():
                self._demand(event)
            case StreamStateChanged(subscription, paused):
                self._stream_state(subscription, paused)
            case LayerChanged(subscription, spatial, _):
                watched = self._context.subscriptions.get(subscription)
                if watched is not None:
                    watched.spatial = spatial
            case ActiveSpeakers(number, _):
                call = self._numbers.get(number)
                if call is not None:
                    call.speakers(event)
            case EventsLost(count):
                self._events_lost += count
                logger.warning("the engine's event queue was full, %d events lost", count)

    def _transport_event(self, event: IceConnected | IcePathChanged | TransportFailed) -> None:
        connection = self._context.transports.get(event.transport)
        if connection is None:
            return
        if isinstance(event, TransportFailed):
            connection.fail(event.reason)
        else:
            connection.ice_connected(event.protocol)

    def _idle_event(self, event: TransportIdle | TransportActive) -> None:
        """A participant is idle when its liveliest connection is."""
        connection = self._context.transports.get(event.transport)
        owner = self._context.owners.get(event.transport)
        if connection is None or owner is None:
            return
        _, participant = owner
        if isinstance(event, TransportActive):
            was_idle = all(c.idle_s > 0 for c in participant.connections.values() if c.protocol)
            connection.idle_s = 0.0
            if was_idle:
                participant.listener.on_active()
            return
        connection.idle_s = event.idle_ms / 1000
        live = [c.idle_s for c in participant.connections.values() if c.protocol]
        if live and min(live) > 0:
            participant.listener.on_idle(min(live))

    def _demand(self, event: DemandChanged) -> None:
        publication = self._context.publications.get(event.publication)
        if publication is None:
            return
        owner = self._context.owners.get(publication.transport)
        if owner is not None:
            owner[0].demand.changed(publication, event.max_spatial)

    def _stream_state(self, subscription: int, paused: bool) -> None:
        watched = self._context.subscriptions.get(subscription)
        owner = self._context.owners.get(watched.owner.transport) if watched is not None else None
        if watched is not None and owner is not None:
            owner[1].listener.on_stream_state([(watched.track_id, paused)])

    def _renew(self) -> None:
        """New connections get a new certificate; those that run keep theirs."""
        self._context.renew_certificate()
        self._renewal = self._loop.call_later(CERTIFICATE_SECONDS, self._renew)

    def _score(self) -> None:
        for call in list(self._calls.values()):
            call.score()
        self._scoring = self._loop.call_later(QUALITY_SECONDS, self._score)

    def calls(self) -> Sequence[Call]:
        return tuple(self._calls.values())

    def stats(self) -> NodeStats:
        drops = Counter(self._context.drops)
        for connection in self._context.transports.values():
            drops.update(connection.drops())
        return node_stats(
            self._snapshot(),
            calls=len(self._calls),
            participants=sum(len(c) for c in self._calls.values()),
            publications=len(self._context.publications),
            subscriptions=len(self._context.subscriptions),
            transports=len(self._context.transports),
            handshakes_waiting=self._context.gate.waiting,
            events_lost=self._events_lost,
            drops=drops,
        )

    async def stop(self, drain_s: float = 0.0) -> None:
        """No new calls; wait until the present ones end, at most `drain_s`; then close."""
        self._draining = True
        if self._calls:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), drain_s)
        if self._closed:
            return
        await asyncio.gather(*(call.close() for call in list(self._calls.values())))
        self._closed = True
        self._renewal.cancel()
        self._scoring.cancel()
        self._loop.remove_reader(self._context.engine.event_fd())
        self._context.engine.close()


__all__ = ["ClientError", "MediaServer", "Unavailable"]
