"""Accounts, sessions, OAuth and the sync socket over the core, wired in the order that they need.

`Registry` (who somebody is) -> revocations -> sessions -> authenticator -> accounts, OAuth, socket.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web

from signaling.access.here import Here
from signaling.access.subscriptions import Subscriptions
from signaling.accounts import opening
from signaling.accounts.mail import Mailer
from signaling.accounts.oauth.build import OAuthServer, make_dpop, make_oauth
from signaling.accounts.oidc import Provider
from signaling.accounts.operations import bots, diagnostics
from signaling.accounts.operations import operations as account_operations
from signaling.accounts.parts import Parts, no_mail
from signaling.accounts.passwords.blocklist import shipped
from signaling.accounts.passwords.breaches import Breaches
from signaling.accounts.passwords.hashing import HashPool
from signaling.accounts.principal import Authenticator
from signaling.accounts.registry import Registry
from signaling.accounts.service import Service
from signaling.accounts.sessions import operations as session_operations
from signaling.accounts.sessions.authenticate import RequestAuthenticator
from signaling.accounts.sessions.bots import BotTokens
from signaling.accounts.sessions.records import Lifetimes
from signaling.accounts.sessions.revocation import Revocations
from signaling.accounts.sessions.service import SessionService, table
from signaling.accounts.sessions.sweep import see_off_guests
from signaling.accounts.sessions.tickets import Tickets
from signaling.accounts.sessions.tokens import derived_keys
from signaling.accounts.tables import Tables
from signaling.chat.moves import Move, Why
from signaling.compose.access import Access, Planes, make_access, on_either_plane
from signaling.compose.chat import Chatting, make_chat
from signaling.compose.core import Core
from signaling.compose.keeping import make_request_audit
from signaling.compose.syncing import make_sync
from signaling.config import Config
from signaling.egress import Egress
from signaling.http.api.asyncapi import Channel
from signaling.http.api.operation import Operation
from signaling.http.edge import own_origins
from signaling.sync.described import channel
from signaling.sync.door import Door
from signaling.sync.hub import Hub
from signaling.sync.presence import Presence
from signaling.sync.registry import Registry as Frames

Origins = Callable[[web.Request], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Outside:
    """What reaches out of the server, each only where the configuration names it."""

    hashes: HashPool
    egress: Egress | None = None
    providers: Sequence[Provider] = ()
    mailer: Mailer | None = None
    breaches: Breaches | None = None


@dataclass(frozen=True, slots=True)
class People:
    """Started and stopped by the app."""

    core: Core
    outside: Outside
    revocations: Revocations
    sessions: SessionService
    tickets: Tickets
    service: Service
    oauth: OAuthServer
    access: Access
    door: Door
    frames: Frames
    here: Here
    authenticator: Authenticator
    chatting: Chatting
    sync: Hub

    def operations(self) -> list[Operation]:
        core = self.core
        sessions = session_operations.Deps(self.sessions, self.tickets)
        return [
            *account_operations(self.service),
            *bots.operations(self._bots()),
            *diagnostics.operations(core.store, core.sealer, core.clock, core.ids),
            *session_operations.operations(sessions),
            *self.oauth.operations,
            *self.access.operations(core.config.limits),
            *self.door.operations(),
            *self.chatting.operations(self.access.door),
        ]

    def _bots(self) -> bots.Deps:
        tokens = BotTokens(self.sessions, self.core.ids)
        return bots.Deps(self.service.registry, tokens, self.core.clock, self.core.ids)

    def channels(self) -> list[Channel]:
        return [channel(self.frames)]

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Each runs until it is cancelled."""
        letters = [self.outside.mailer.run()] if self.outside.mailer is not None else []
        guests = see_off_guests(self.sessions, self.core.app)
        later = self.chatting.later.run(self.core.app)
        circles = self.chatting.circles.run()
        return [self.here.run(), self.sync.run(), later, circles, guests, *letters]

    async def start(self) -> str | None:
        """The first administrator's link, as long as nobody used one."""
        self.revocations.start(self.door.look_again)
        await self.service.registry.ensure_app(self.core.app)
        return await self.service.joining.setup_link(self.core.app)

    async def stop(self) -> None:
        await self.door.stop()
        self.sync.close()
        await self.chatting.close()
        self.here.close()
        await self.revocations.stop()
        self.outside.hashes.close()
        if self.outside.egress is not None:
            await self.outside.egress.close()


def reach_out(core: Core) -> Outside:
    """Inside a running loop. Raises ConfigError."""
    config = core.config
    egress = opening.egress(config)
    return Outside(
        opening.hash_pool(config, core.entropy),
        egress,
        opening.providers(config, egress, core.clock),
        opening.mailer(config, "Sotto"),
        opening.breaches(config, egress),
    )


def make_people(core: Core, outside: Outside, public_url: str) -> People:
    """`public_url`: where the server is, when its configuration is silent. Raises ConfigError."""
    config, store = core.config, core.store
    origins = own_origins(config.http.public_url, config.api.origins)
    registry = Registry(Tables(store, core.sealer), core.clock)
    revocations = Revocations(store, core.bus, core.ids)
    sessions = SessionService(
        table(store, core.sealer),
        registry,
        revocations,
        derived_keys(core.sealer.blind),
        core.clock,
        core.ids,
        core.entropy,
        lifetimes(config),
    )
    chatting = make_chat(core, registry)
    access = make_access(core, revocations, chatting.people, registry)
    dpop = make_dpop(store, sessions, origins)
    who = RequestAuthenticator(sessions, lambda request: core.app, origins, proofs=dpop)
    revocations.listen(who.forget)
    revocations.listen(access.hear)
    planes = Planes(who, access.door, core.app)
    parts = _parts(core, outside, registry.tables, public_url)
    issuer = (config.http.public_url or public_url).rstrip("/")
    oauth = make_oauth(
        store, core.bus, sessions, registry, planes, dpop, core.ids, config.limits, issuer,
        lambda request: core.app, make_request_audit(core), config.api.origins,
    )  # fmt: skip
    tickets = Tickets(store, sessions, core.ids)
    frames = Frames()
    here = Here(core.bus, core.sealer.blind, core.ids.new())
    holders = revocations.register
    subscriptions = Subscriptions(access.door, access.groups, here, holders, core.clock)
    subscriptions.seen = chatting.bystanders
    chatting.presences.moves.listeners.append(_looked_at_again(here))
    subscriptions.register(frames)
    door = _door(core, chatting, sessions, tickets, revocations, frames, origins)
    door.look_again = on_either_plane(sessions.look_again, access.door)
    sync = make_sync(core, chatting, access.door, holders, frames)
    sync.trail = subscriptions.trail = door.trail
    return People(
        core,
        outside,
        revocations,
        sessions,
        tickets,
        Service(parts, registry, sessions, revocations, outside.providers),
        oauth,
        access,
        door,
        frames,
        here,
        planes,
        chatting,
        sync,
    )


def _looked_at_again(here: Here) -> Callable[[Move], None]:
    """Rooms where somebody is who hides now, or shows themselves again."""

    def moved(move: Move) -> None:
        if move.why is Why.SAID:
            here.again(*move.place)

    return moved


def _parts(core: Core, outside: Outside, tables: Tables, public_url: str) -> Parts:
    mailer = outside.mailer
    return Parts(
        tables=tables,
        bus=core.bus,
        hashes=outside.hashes,
        clock=core.clock,
        ids=core.ids,
        entropy=core.entropy,
        audit=core.audit,
        settings=opening.settings_of(core.config, public_url),
        blocked=shipped(),
        breaches=outside.breaches,
        mail=no_mail if mailer is None else mailer.hand,
        mail_works=mailer is not None,
    )


def _door(
    core: Core,
    chatting: Chatting,
    sessions: SessionService,
    tickets: Tickets,
    revocations: Revocations,
    frames: Frames,
    origins: Origins,
) -> Door:
    return Door(
        sessions,
        tickets,
        revocations,
        Presence(chatting.presences.attendance, chatting.presences.who),
        frames,
        core.config.sync,
        origins,
        core.audit,
        core.clock,
        core.ids,
    )


def lifetimes(config: Config) -> Lifetimes:
    sessions, oauth = config.sessions, config.oauth
    return Lifetimes(
        idle=float(sessions.idle_seconds),
        absolute=float(sessions.absolute_seconds),
        guest=float(sessions.guest_seconds),
        access=float(oauth.access_seconds),
        refresh_idle=float(oauth.refresh_idle_seconds),
        refresh_absolute=float(oauth.refresh_absolute_seconds),
        code=float(oauth.code_seconds),
        device_code=float(oauth.device_code_seconds),
        ticket=float(sessions.ticket_seconds),
    )


def described_people(core: Core) -> People:
    """For the documents: handlers that nobody calls."""
    return make_people(core, Outside(cast("HashPool", None)), "http://localhost")
