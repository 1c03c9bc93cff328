"""The composition root: the only module that makes the parts and wires them together.

States: new -> serving -> draining -> stopped. `start` binds everything or raises with nothing left
open; `drain` waits for calls to end, within a bound; `stop` ends what is left. The command owns it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from mediaserver.api import MediaConfig, MediaServer
from signaling import rtc
from signaling.addresses import lan_addresses
from signaling.closing import Closing, end
from signaling.compliance.erasure.port import Eraser
from signaling.compose.api import Collected, serve_api
from signaling.compose.calling import Calling, make_calling
from signaling.compose.delivery import make_delivery
from signaling.compose.files import listeners, make_filing, origin_for
from signaling.compose.keeping import make_call_audit, make_keeping, make_request_audit
from signaling.compose.mirror import make_mirror
from signaling.compose.people import make_people, reach_out
from signaling.compose.push import make_push
from signaling.compose.rights import CallErasing, QueueErasing, make_rights
from signaling.compose.standing import CoreStanding
from signaling.compose.tls import Certificates, challenge_application, make_certificates
from signaling.compose.upkeep import upkeep
from signaling.compose.waiting import patient_core
from signaling.config import Config, parse_address
from signaling.http.client import Client, find_client
from signaling.http.direct import Direct
from signaling.http.gate import Gate
from signaling.http.guests import Guests, socket_url
from signaling.http.listener import Listener, handler_arguments, open_socket
from signaling.http.live import Live
from signaling.http.looplag import LoopLag
from signaling.http.middleware import Middleware, is_proxy
from signaling.http.operator import Health, Operator
from signaling.http.tls import CertificateWatch, limit_buffers
from signaling.relay import ice_servers, relay_from
from signaling.rtc import Rooms, RtcSettings, Webhooks, WebhookTarget
from signaling.rtc.clock import LoopClock
from signaling.rtc.tokens import ApiKeys
from signaling.service import watchdog
from signaling.sync.version import supported as supported_versions
from signaling.whip import Whip
from turn import coturn
from turn.supervisor import Supervisor

if TYPE_CHECKING:
    from signaling.http.acme.keeper import Keeper

log = logging.getLogger(__name__)

# Between one look at whether the calls ended and the next while draining.
DRAIN_STEP = 0.2


def media_config(config: Config, *, loopback: bool) -> MediaConfig:
    """`loopback`: also advertise loopback, for a browser on this machine."""
    media = config.media
    return MediaConfig(
        udp_port=media.udp_port,
        tcp_port=media.tcp_port if media.tcp else None,
        bind=media.bind,
        advertise=media.advertise,
        advertise_loopback=loopback,
        workers=media.workers,
        limits=config.media_limits,
    )


def rtc_settings(config: Config) -> RtcSettings:
    calls = config.calls
    return RtcSettings(
        limits=config.signaling_limits,
        times=config.signaling_times,
        auto_create=calls.auto_create,
        max_participants=calls.max_participants,
        remote_unmute=calls.remote_unmute,
        top_audio=calls.top_audio,
        publish_codecs=calls.codecs,
    )


class App:
    """One server. `facts` names the ports that were bound, for whoever asked for port 0."""

    def __init__(
        self,
        config: Config,
        media: MediaServer,
        state: Path,
        *,
        development: bool,
        authority: Path | None = None,
    ) -> None:
        """`authority` is the certificate that `sotto dev` asks people to trust."""
        self._config = config
        self._media = media
        self._state = state
        self._authority = authority
        self._development = development
        self._keys = ApiKeys(config.keys)
        self._gate = Gate(config.limits, is_proxy(config))
        self._lag = LoopLag()
        self._health = Health()
        self._middleware = Middleware(config, hsts=not development)
        self._stack = Closing(config.process.stop_seconds)
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn: Supervisor | None = None
        self._certificate: CertificateWatch | None = None
        self.keeper: Keeper | None = None
        self.setup_link: str | None = None
        self.router: web.UrlDispatcher | None = None
        kinds = ("https", "http", "operator", "acme", "files", "files_plain")
        self._ports: dict[str, list[int]] = {kind: [] for kind in kinds}

    async def start(self) -> None:
        """Raises ConfigError or TurnError; then everything that was opened is closed again."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        limit_buffers()
        self.core = await patient_core(self._config, self._state, self._middleware, self._stack)
        self._middleware.limited = make_request_audit(self.core).limited
        await self._start_turn()
        self._hooks = self._make_hooks()
        if self._hooks is not None:
            await self._hooks.start()
            self._stack.push_async_callback(self._hooks.stop)
        await self._start_public()
        await self._start_operator()
        self._spawn(self._lag.run())
        self._spawn(watchdog())
        self._spawn(upkeep(self.core))
        self._health.up()
        self._spawn(self._media.warm())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a background task failed", exc_info=error)

    async def _start_turn(self) -> None:
        if not self._config.turn.supervise:
            return
        advertised = [candidate.address for candidate in self._media.ice_candidates()]
        relay = relay_from(self._config, advertised, lan_addresses())
        self._turn = Supervisor(coturn.find(), relay, self._state / "turn")
        await self._turn.start()
        self._stack.push_async_callback(self._turn.stop)

    def _make_hooks(self) -> Webhooks | None:
        webhooks = self._config.webhooks
        if not webhooks.urls:
            return None
        key = webhooks.key or self._keys.first()
        targets = [WebhookTarget(url=url, key=key) for url in webhooks.urls]
        return Webhooks(targets, self._config.keys, queue=webhooks.queue)

    def _turn_up(self) -> bool:
        return self._turn is None or self._turn.up

    def _make_rooms(self) -> Calling:
        """The rooms ask sessions whether a token that was issued to one still stands."""
        relays = ice_servers(self._config, LoopClock().unix, self._turn_up)
        calling = make_calling(self._people, self._keys, relays)
        self._rooms = Rooms(
            self._media,
            self._config.keys,
            rtc_settings(self._config),
            ice_servers=relays,
            hooks=calling.ears.over(self._call_audit),
            trail=self._call_audit,
            admission=calling.ears,
        )
        calling.listen(self._rooms)
        self._live = Live(self._rooms)
        self._stack.push_async_callback(calling.admission.stop)
        self._stack.push_async_callback(self._rooms.drain)
        return calling

    async def _public_application(self) -> web.Application:
        app = web.Application(
            middlewares=self._middleware.chain(), client_max_size=self._config.limits.body_bytes
        )
        app.on_response_prepare.append(self._middleware.finish)
        self._people = make_people(self.core, reach_out(self.core), self._public_url())
        self._call_audit = make_call_audit(self.core, self._hooks)
        app.on_response_prepare.append(self._call_audit.finish)
        calling = self._make_rooms()
        rtc.add_routes(app, self._rooms)
        Whip(self._rooms, self._config.limits).add_routes(app)
        keeping = make_keeping(self.core)
        where = origin_for(self._config, lambda: self._ports)
        self._filing = await make_filing(self.core, self._people, where)
        self._stack.push_async_callback(self._filing.stop)
        delivering = make_delivery(self.core, self._people, self._public_url(), self._filing)
        await delivering.start()
        self._stack.push_async_callback(delivering.stop)
        pushing = await make_push(self.core, self._people, delivering)
        self._stack.push_async_callback(pushing.stop)
        calling.ringing.calls.following.notifier = pushing.ringer
        mirroring = make_mirror(self.core, self._people)
        self._stack.push_async_callback(mirroring.stop)
        mirroring.hear(delivering.outbox, delivering.notices)
        queues = QueueErasing(delivering.outbox)
        calls = CallErasing(calling.ringing.calls)
        notices = delivering.notices
        others: list[Eraser] = [calls, queues, pushing.eraser, notices, *mirroring.erasers()]
        rights = make_rights(self.core, self._people, self._filing.files, others)
        rights.restrictions.told = notices.restricted
        pushing.devices.agreed = rights.may_be_woken
        collected = Collected(channels=self._people.channels(), sync_versions=supported_versions())
        guests = Guests(
            self._config, self._keys, self._new_identity, is_room=calling.ringing.is_room
        )
        collected.operations += [
            *guests.operations(),
            *self._people.operations(),
            *calling.operations(lambda request: socket_url(request, self._config)),
            *keeping.operations(),
            *self._filing.operations(),
            *delivering.operations(),
            *pushing.operations(),
            *rights.operations(),
        ]
        self._people.oauth.add_routes(app)
        await serve_api(
            app, self.core, collected, self._people.authenticator, development=self._development
        )
        self.setup_link = await self._people.start()
        tasks = (
            *self._people.tasks(), *calling.tasks(), *delivering.tasks(), *pushing.tasks(),
            *rights.tasks(), *mirroring.tasks(),
        )  # fmt: skip
        for work in (keeping.run(), self._filing.run(), *tasks):
            self._spawn(work)
        http = self._config.http
        client = Client(find_client(http.client_dir), http.public_url, self._authority, where)
        client.add_routes(app)
        self.router = app.router
        return app

    def _files_application(self) -> web.Application:
        """What others sent, apart from everything that a cookie opens."""
        app = web.Application(middlewares=self._middleware.chain())
        app.on_response_prepare.append(self._middleware.finish)
        self._filing.add_routes(app)
        return app

    def _public_url(self) -> str:
        """Where people find the server, as far as it can know."""
        if self._config.http.public_url:
            return self._config.http.public_url
        if self._ports["https"]:
            return f"https://localhost:{self._ports['https'][0]}"
        return f"http://localhost:{self._ports['http'][0]}" if self._ports["http"] else ""

    def _bind(self) -> dict[str, list[socket.socket]]:
        """Ports are known before anything that names them is made; nobody gets in yet."""
        http, acme = self._config.http, self._config.acme
        found: dict[str, list[socket.socket]] = {}
        files, files_plain = listeners(self._config)
        for kind, key, addresses in (
            ("https", "http.listen", http.listen),
            ("http", "http.plain", http.plain),
            ("acme", "acme.http_listen", acme.http_listen if acme.directory else ()),
            ("files", "files.listen", files),
            ("files_plain", "files.plain", files_plain),
        ):
            for address in addresses:
                sock = open_socket(*parse_address(address, key), key)
                self._stack.callback(sock.close)
                found.setdefault(kind, []).append(sock)
                self._ports[kind].append(int(sock.getsockname()[1]))
        return found

    async def _start_public(self) -> None:
        sockets = self._bind()
        runner = await self._runner(await self._public_application())
        self._stack.push_async_callback(self._people.stop)
        for sock in sockets.get("http", ()):
            await self._listen(runner, sock)
        files = await self._runner(self._files_application())
        for sock in sockets.get("files_plain", ()):
            await self._listen(files, sock)
        if "https" not in sockets and "files" not in sockets:
            return
        core = self.core
        made = make_certificates(self._config, self._state, core.clock, core.store.meta)
        self._certificate = made.watch
        self._spawn(made.watch.run())
        for sock in sockets.get("https", ()):
            await self._listen(runner, sock, tls=made)
        for sock in sockets.get("files", ()):
            await self._listen(files, sock, tls=made)
        if made.keeper is None or made.pending is None:
            return
        challenges = await self._runner(challenge_application(made.pending, self._middleware))
        for sock in sockets.get("acme", ()):
            await self._listen(challenges, sock)
        self.keeper = made.keeper
        self._spawn(made.keeper.run())

    async def _start_operator(self) -> None:
        if not self._config.operator.listen:
            return
        watched = self._turn_up if self._turn is not None else None
        operator = Operator(
            self._health,
            self._media,
            self._live,
            self._gate,
            self._middleware,
            self._lag,
            CoreStanding(self.core),
            watched,
        )
        address = parse_address(self._config.operator.listen, "operator.listen")
        sock = open_socket(*address, "operator.listen")
        self._ports["operator"].append(int(sock.getsockname()[1]))
        # The operator must get in when strangers have taken every place.
        gate = Gate(self._config.limits)
        await self._listen(await self._runner(operator.application()), sock, gate)

    async def _runner(self, app: web.Application) -> web.AppRunner:
        arguments = handler_arguments(self._config.limits)
        runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=2.0, **arguments)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        if (server := runner.server) is not None:
            server.request_handler = Direct(app, server.request_handler)
        return runner

    async def _listen(
        self,
        runner: web.AppRunner,
        sock: socket.socket,
        gate: Gate | None = None,
        tls: Certificates | None = None,
    ) -> None:
        context, challenges = (tls.context, tls.challenges) if tls is not None else (None, None)
        listener = await Listener.start(
            runner, sock, gate or self._gate, self._config.limits, context, challenges
        )
        self._stack.push_async_callback(listener.close)

    def _new_identity(self) -> str:
        return f"guest-{secrets.token_hex(8)}"

    def facts(self) -> dict[str, Any]:
        turn = self._config.turn
        return {
            **{kind: ports[0] if ports else None for kind, ports in self._ports.items()},
            "udp": self._media.udp_port,
            "tcp": self._media.tcp_port,
            "turn": turn.port if self._turn is not None else None,
            "turns": turn.tls_port if self._turn is not None else None,
        }

    def reload(self) -> None:
        """SIGHUP: look for a renewed certificate now."""
        if self._certificate is not None:
            self._certificate.look()

    async def drain(self) -> None:
        """Not ready for new calls; back when none is left, or after `process.drain_seconds`."""
        self._health.down("draining")
        self._people.door.drain()
        self._rooms.refuse_new_rooms()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.process.drain_seconds):
                while self._live.live():  # noqa: ASYNC110 - calls end in many places
                    await asyncio.sleep(DRAIN_STEP)

    async def stop(self) -> None:
        self._health.down("stopped")
        await end(self._tasks)
        await self._stack.aclose()
        await self._media.stop()
