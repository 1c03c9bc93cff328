"""The door of the sync socket: `GET /sync`, what an upgrade must have, and who has one open.

Everything is refused before the upgrade, as a problem document with a status: a browser hides it,
so nothing there is needed to know what to do. Owned and stopped by the composition root.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from aiohttp import hdrs, web

from signaling.accounts.principal import Principal, Via
from signaling.accounts.sessions.authenticate import refuse_query_tokens
from signaling.accounts.sessions.cookies import origin_of
from signaling.accounts.sessions.port import Revocation
from signaling.accounts.sessions.revocation import LookAgain, Revocations
from signaling.accounts.sessions.service import SessionService
from signaling.accounts.sessions.tickets import Tickets
from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.config.sessions import Sync
from signaling.errors import ClientError, Code, Refused, Unavailable
from signaling.http.api.operation import Auth, Call, Operation, Query, Recording
from signaling.ids import Ids
from signaling.sync import frames, version
from signaling.sync.connection import Connection
from signaling.sync.errors import Close
from signaling.sync.presence import Presence
from signaling.sync.registry import Registry
from signaling.sync.slim import slim
from signaling.sync.trail import Trail, actor_of

log = logging.getLogger(__name__)

PATH = "/sync"
PURPOSE = "sync"
TOUCH_FRACTION = 4
"""A session with an open socket is in use; that is noted four times in its idle lifetime."""


class SyncQuery(Query, frozen=True):
    """A token in the URL is refused; a ticket is worthless once it was used."""

    ticket: str | None = None


class Door:
    """See the module. `origins` are those whose pages may open a socket here."""

    def __init__(
        self,
        service: SessionService,
        tickets: Tickets,
        revocations: Revocations,
        presence: Presence,
        registry: Registry,
        limits: Sync,
        origins: Callable[[web.Request], frozenset[str]],
        audit: Audit,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self.registry = registry
        self.limits = limits
        self.clock = clock
        self.look_again: LookAgain = service.look_again
        self._service = service
        self._tickets = tickets
        self._revocations = revocations
        self._presence = presence
        self._allowed = frozenset(origin_of(origin) for origin in limits.origins)
        self._origins = origins
        self._audit = audit
        self.trail = Trail(audit, clock)
        self._ids = ids
        self._open: set[Connection] = set()
        self._by_account: Counter[tuple[str, str]] = Counter()
        self._touched: dict[tuple[str, str], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        _register_own(registry, presence)

    def __len__(self) -> int:
        return len(self._open)

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "GET", PATH, "openSync", "The sync socket", self.open, query=SyncQuery, base="",
                status=101, auth=Auth.TICKET, raw=True, recording=Recording.OWN, rate="socket",
                tag="Sync", errors=(Code.VERSION_UNSUPPORTED, Code.ORIGIN_REFUSED),
                description="A WebSocket; its frames are in the AsyncAPI document.",
            )
        ]  # fmt: skip

    # Opening

    async def open(self, call: Call[None]) -> web.StreamResponse:
        """Runs one socket until it ends. Raises ClientError or Unavailable before the upgrade."""
        request = call.request
        if self._draining:
            raise Unavailable("the server is shutting down", retry_after=5)
        require_upgrade(request)
        offers = version.parse(request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []))
        chosen, spelled = version.choose(offers)
        refuse_query_tokens(request)
        principal = await self._who(call)
        self._check_origin(request, principal)
        with self._place(principal):
            return await self._upgraded(call, principal, chosen, spelled)

    async def _upgraded(
        self, call: Call[None], principal: Principal, chosen: int, spelled: str
    ) -> web.StreamResponse:
        request = call.request
        socket = web.WebSocketResponse(
            timeout=2.0,
            autoping=False,
            autoclose=False,
            max_msg_size=self.limits.frame_bytes,
            compress=False,
            protocols=(spelled,),
        )
        # aiohttp answers with an offer only, and an offer may be a range.
        socket.headers[hdrs.SEC_WEBSOCKET_PROTOCOL] = spelled
        try:
            await socket.prepare(request)
        except ConnectionError:
            return socket  # it hung up before it was answered
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            return socket  # gone in the meantime
        slim(transport)
        connection = Connection(self, socket, transport, principal, chosen, self._ids.new())
        await self._serve(connection, call)
        return socket

    async def _who(self, call: Call[None]) -> Principal:
        ticket: str | None = call.query.ticket
        if ticket is not None:
            return await self._tickets.spend(call.principal.app, ticket, PURPOSE)
        # An access token opens it too; what it may do is decided for each of its sessions.
        if not call.principal.known and call.principal.token is None:
            raise Refused(Code.TOKEN_MISSING, 401, "Sign in first, or bring a ticket.")
        return call.principal

    def _check_origin(self, request: web.Request, principal: Principal) -> None:
        """A page of another site is refused whatever it brings (RFC 6455 section 10.2)."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None and principal.via is not Via.COOKIE:
            return
        if origin_of(origin or "") not in self._allowed | self._origins(request) - {""}:
            raise Refused(Code.ORIGIN_REFUSED, 403, "Pages of this origin may not open it.")

    @contextlib.contextmanager
    def _place(self, principal: Principal) -> Iterator[None]:
        """Among the sockets of an account; taken before anything of it is waited for."""
        whose = _whose(principal)
        if self._by_account[whose] >= self.limits.sockets_per_account:
            message = "Too many sockets are open for this account."
            raise ClientError(Code.RATE_LIMITED, 429, message, headers={hdrs.RETRY_AFTER: "60"})
        self._by_account[whose] += 1
        try:
            yield
        finally:
            self._by_account[whose] -= 1
            if not self._by_account[whose]:
                del self._by_account[whose]

    async def _serve(self, connection: Connection, call: Call[None]) -> None:
        self._open.add(connection)
        release = self._revocations.register.hold(connection)
        connection.whence = call.request_id, call.client_address
        self._note(connection, call, "sync.open")
        try:
            # A revocation may have come between the look at the token and the registration.
            await self._review(connection)
            await self._presence.came(connection)
            await connection.run()
        finally:
            release()
            self._open.discard(connection)
            self.registry.closed(connection)
            self.trail.flush()
            self._note(connection, call, "sync.close")
            await self._presence.gone(connection)

    async def _review(self, connection: Connection) -> None:
        try:
            principal = await self.look_again(connection.principal)
        except Unavailable:
            connection.unsure()
            return
        if principal is None:
            app = connection.principal.app
            who = connection.principal
            connection.ended(Revocation(app=app, session=who.session, token=who.token))
        else:
            connection.changed(principal)

    def _note(self, connection: Connection, call: Call[None], action: str) -> None:
        who = connection.principal
        details = {"version": str(connection.version), "session": who.session or ""}
        if connection.close_code:
            details["close_code"] = str(int(connection.close_code))
        self._audit.note(
            AuditEvent(
                at=self.clock.unix(),
                app=who.app,
                actor=actor_of(who),
                action=action,
                target=f"device:{who.device}" if who.device else "",
                request_id=call.request_id,
                token_id=who.token or "",
                address=call.client_address,
                details=details,
            )
        )

    # While open

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            log.error("a task of the sync socket failed", exc_info=error)

    def beat(self, connection: Connection) -> None:
        """A socket sends its ping: it is there, and its session is in use."""
        self.spawn(self._beat(connection))

    async def _beat(self, connection: Connection) -> None:
        try:
            await self._presence.heard(connection)
            await self._touch(connection.principal)
        except Unavailable:
            return
        if self.clock.unix() >= connection.principal.valid_until:
            await self._review(connection)

    async def _touch(self, principal: Principal) -> None:
        if principal.session is None:
            return
        key, now = (principal.app, principal.session), self.clock.monotonic()
        every = self._service.lifetimes.idle / TOUCH_FRACTION
        if now - self._touched.get(key, now - every) < every:
            return
        if len(self._touched) > 2 * len(self._open) + 100:
            self._touched.clear()
        self._touched[key] = now
        await self._service.touch(*key)

    # Closing

    def drain(self) -> None:
        """Nobody new; who is there is told to come again, with a delay of their own choosing."""
        self._draining = True
        for connection in list(self._open):
            connection.end(Close.RESTART, "the server is restarting")

    async def stop(self) -> None:
        self.drain()
        while self._tasks:
            await asyncio.wait(self._tasks)


def _whose(principal: Principal) -> tuple[str, str]:
    who = principal.account or principal.client or principal.session or principal.token or ""
    return principal.app, who


def require_upgrade(request: web.Request) -> None:
    """RFC 6455 section 4.2.1; what is wrong there is 400, what asks for something else 426."""
    headers = request.headers
    upgrade = [name.strip().lower() for name in headers.get(hdrs.UPGRADE, "").split(",")]
    connection = [name.strip().lower() for name in headers.get(hdrs.CONNECTION, "").split(",")]
    if "websocket" not in upgrade or "upgrade" not in connection:
        raise _upgrade("This path is a WebSocket.")
    if headers.getall(hdrs.SEC_WEBSOCKET_VERSION, []) != ["13"]:
        raise _upgrade("WebSocket version 13 is needed (RFC 6455).")
    keys = headers.getall(hdrs.SEC_WEBSOCKET_KEY, [])
    if len(keys) != 1 or not _is_key(keys[0]):
        raise ClientError(Code.BAD_REQUEST, 400, "Sec-WebSocket-Key must be 16 bytes in base64.")


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def _upgrade(message: str) -> ClientError:
    headers: dict[str, str] = {hdrs.UPGRADE: "websocket", hdrs.SEC_WEBSOCKET_VERSION: "13"}
    return ClientError(Code.VERSION_UNSUPPORTED, 426, message, headers=headers)


def _register_own(registry: Registry, presence: Presence) -> None:
    async def ping(connection: Connection, frame: frames.Ping) -> None:
        connection.ping(frame)

    async def pong(connection: Connection, frame: frames.Pong) -> None:
        connection.pong(frame)

    async def pace(connection: Connection, frame: frames.Pace) -> None:
        connection.pace(frame)
        await presence.heard(connection)

    registry.register(frames.Ping, ping, summary="Are you there?")
    registry.register(frames.Pong, pong, summary="The answer to a ping")
    registry.register(frames.Pace, pace, summary="In the background, or back")
    registry.register(
        frames.PresenceAsk, presence.asked, scope="presence:read", summary="Who is there?"
    )
