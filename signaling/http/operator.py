"""The operator's listener: is it alive, does it take calls, what is it doing.

Never on the public listeners. Knows the node's numbers and the live calls; changes nothing. Driven
by `app`.
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
from aiohttp import web

from mediaserver.api import MediaServer, NodeStats
from signaling.errors import ClientError, Code
from signaling.http import metrics
from signaling.http.gate import Gate
from signaling.http.looplag import LoopLag
from signaling.http.metrics import Metric, counter, gauge
from signaling.http.middleware import Middleware, in_chain
from signaling.http.problem import from_exception


class LiveCalls(Protocol):
    """What the call side shows of itself."""

    def summaries(self) -> list[dict[str, Any]]: ...
    def details(self, call_id: str) -> dict[str, Any] | None: ...
    def counters(self) -> Mapping[str, int]: ...


class Health:
    """`ready` is false while starting and while draining; being alive needs no flag."""

    def __init__(self) -> None:
        self.ready = False
        self.reason = "starting"

    def up(self) -> None:
        self.ready, self.reason = True, ""

    def down(self, reason: str) -> None:
        self.ready, self.reason = False, reason


class Standing(Protocol):
    """How what the server depends on stands: `reasons` make it unready, `notes` are only told."""

    async def reasons(self) -> list[str]: ...
    def notes(self) -> list[str]: ...


class Operator:
    """Routes of the listener. `turn_up` is None when no relay is supervised here."""

    def __init__(
        self,
        health: Health,
        media: MediaServer,
        calls: LiveCalls,
        gate: Gate,
        middleware: Middleware,
        lag: LoopLag,
        standing: Standing,
        turn_up: Callable[[], bool] | None = None,
    ) -> None:
        self._health = health
        self._standing = standing
        self._media = media
        self._calls = calls
        self._gate = gate
        self._middleware = middleware
        self._lag = lag
        self._turn_up = turn_up

    def application(self) -> web.Application:
        app = web.Application(middlewares=[in_chain(self._errors)])
        app.router.add_get("/healthz", self.healthz)
        app.router.add_get("/readyz", self.readyz)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/calls", self.calls)
        app.router.add_get("/calls/{id}", self.call)
        return app

    async def _errors(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
        except Exception as error:
            return from_exception(error)
        return response

    async def healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(self, request: web.Request) -> web.Response:
        """One line of the state, then what the operator should know of the configuration."""
        if not self._health.ready:
            return web.Response(status=503, text=f"{self._health.reason}\n")
        reasons = await self._standing.reasons()
        lines = ["ready" if not reasons else "; ".join(reasons), *self._standing.notes()]
        text = "".join(f"{line}\n" for line in lines)
        return web.Response(status=503 if reasons else 200, text=text)

    async def metrics(self, request: web.Request) -> web.Response:
        families = [
            *node_metrics(self._media.stats()),
            *self._http_metrics(),
            *call_metrics(self._calls.counters()),
            *self._process_metrics(),
        ]
        return web.Response(
            text=metrics.render(families), headers={"Content-Type": metrics.CONTENT_TYPE}
        )

    async def calls(self, request: web.Request) -> web.Response:
        return _json({"calls": self._calls.summaries()})

    async def call(self, request: web.Request) -> web.Response:
        found = self._calls.details(request.match_info["id"])
        if found is None:
            raise ClientError(Code.NOT_FOUND, 404, "No live call has this id.")
        return _json(found)

    def _http_metrics(self) -> list[Metric]:
        requests = counter("sotto_http_requests_total", "Requests by route and status.")
        for (route, status), count in sorted(self._middleware.requests.items()):
            requests.add(count, route=route, status=str(status))
        refused = counter("sotto_connections_refused_total", "Connections cut by a limit.")
        for reason, count in sorted(self._gate.refused.items()):
            refused.add(count, reason=reason)
        standing = gauge("sotto_connections", "Open public connections.", self._gate.total)
        return [requests, refused, standing]

    def _process_metrics(self) -> list[Metric]:
        lag = gauge("sotto_loop_lag_seconds", "Lateness of the event loop in the last minute.")
        lag.add(self._lag.quantile(0.99), quantile="0.99").add(self._lag.worst, quantile="1")
        usage = resource.getrusage(resource.RUSAGE_SELF)
        seconds = usage.ru_utime + usage.ru_stime
        families = [
            lag,
            counter("process_cpu_seconds_total", "CPU time, user and system.", seconds),
            gauge("process_resident_memory_bytes", "Memory in use.", _resident()),
            gauge("process_open_fds", "Open file descriptors.", _entries("fd")),
            gauge("process_threads", "Threads, the engine's included.", _entries("task")),
            gauge("sotto_tasks", "Tasks of the event loop.", len(asyncio.all_tasks())),
            gauge("sotto_ready", "1 while new calls are taken.", int(self._health.ready)),
        ]
        if self._turn_up is not None:
            families.append(gauge("sotto_turn_up", "1 while coturn runs.", int(self._turn_up())))
        return families


def node_metrics(stats: NodeStats) -> list[Metric]:
    drops = counter("sotto_media_drops_total", "Packets dropped, by reason.")
    for reason, count in sorted(stats.drops.items()):
        drops.add(count, reason=reason)
    packets = counter("sotto_media_packets_total", "Packets of media and their control.")
    packets.add(stats.packets_in, direction="in").add(stats.packets_out, direction="out")
    volume = counter("sotto_media_bytes_total", "Bytes of media and their control.")
    volume.add(stats.bytes_in, direction="in").add(stats.bytes_out, direction="out")
    return [
        gauge("sotto_calls", "Live calls.", stats.calls),
        gauge("sotto_participants", "Participants in live calls.", stats.participants),
        gauge("sotto_publications", "Published tracks.", stats.publications),
        gauge("sotto_subscriptions", "Subscriptions to them.", stats.subscriptions),
        gauge("sotto_transports", "Peer connections.", stats.transports),
        gauge("sotto_handshakes_waiting", "DTLS handshakes in queue.", stats.handshakes_waiting),
        counter(
            "sotto_engine_events_lost_total", "Notices lost to a full queue.", stats.events_lost
        ),
        packets,
        volume,
        drops,
        *worker_metrics(stats.workers),
    ]


# What a worker holds now; everything else that it counts only grows.
_HELD = frozenset({"transports", "publications", "subscriptions"})


def worker_metrics(workers: Sequence[Mapping[str, int]]) -> list[Metric]:
    """One family for each counter of the engine, one sample for each of its threads."""
    families: dict[str, Metric] = {}
    for number, values in enumerate(workers):
        for name, value in sorted(values.items()):
            if not isinstance(value, int | float):
                continue
            family = families.get(name)
            if family is None:
                text = f"{name.replace('_', ' ')} of an engine thread."
                held = name in _HELD
                make, ending = (gauge, "") if held else (counter, "_total")
                family = families[name] = make(f"sotto_engine_{name}{ending}", text)
            family.add(value, worker=str(number))
    return list(families.values())


def call_metrics(counters: Mapping[str, int]) -> list[Metric]:
    events = counter("sotto_signaling_events_total", "Events of the call domain.")
    for name, count in sorted(counters.items()):
        events.add(count, event=name)
    return [events]


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _entries(folder: str) -> int:
    return len(os.listdir(f"/proc/self/{folder}"))  # noqa: PTH208 - a Path for each would be made


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
