"""Retention, erasure, holds, exports and consents: wired last, since they reach all the rest.

What else holds something of a room or a person (queues, mirrors) is added to `erasers`.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from signaling.accounts.oauth.consents import Consents as Allowed
from signaling.accounts.operations.diagnostics import Logs
from signaling.calls.service import Calls
from signaling.chat.sealing import CACHE_SECONDS
from signaling.compliance.audit.forward.lease import Lease
from signaling.compliance.audit.reader import Reader
from signaling.compliance.consent import operations as consent_operations
from signaling.compliance.consent.ledger import Consents
from signaling.compliance.consent.shipped import PUSH, STATISTICS, Kept, shipped
from signaling.compliance.erasure import operations as erasure_operations
from signaling.compliance.erasure.jobs import Jobs
from signaling.compliance.erasure.parts import Parts
from signaling.compliance.erasure.people import Who
from signaling.compliance.erasure.port import Eraser
from signaling.compliance.erasure.service import Erasures
from signaling.compliance.export import operations as export_operations
from signaling.compliance.export.collect import Collector
from signaling.compliance.export.own import Own
from signaling.compliance.export.requests import Requests
from signaling.compliance.health import Health
from signaling.compliance.holds import operations as hold_operations
from signaling.compliance.holds.holds import Holds
from signaling.compliance.pseudonyms import operations as pseudonym_operations
from signaling.compliance.pseudonyms.names import Pseudonyms
from signaling.compliance.requests import operations as request_operations
from signaling.compliance.requests.tracker import Tracker
from signaling.compliance.restriction import operations as restriction_operations
from signaling.compliance.restriction.restrictions import Restrictions
from signaling.compliance.retention import operations as retention_operations
from signaling.compliance.retention.dormant import Dormant
from signaling.compliance.retention.policy import DAY, Policies, installed
from signaling.compliance.retention.sweep import Sweep
from signaling.compliance.statistics import operations as statistics_operations
from signaling.compliance.statistics.counting import Counting
from signaling.compose.chat import Chatting
from signaling.compose.core import Core
from signaling.compose.imports import Importing, make_importing
from signaling.compose.people import People
from signaling.delivery.port import Outbox
from signaling.delivery.push.model import PushSettings, Subscription
from signaling.delivery.push.register import KIND as SUBSCRIPTIONS
from signaling.delivery.push.register import SETTINGS
from signaling.files.service import Files
from signaling.http.api.operation import Operation
from signaling.storage.table import Table

# One process reminds of requests; another takes over after so long.
REMINDING_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Rights:
    """`tasks` run until they are cancelled."""

    core: Core
    people: People
    erasures: Erasures
    erasers: list[Eraser]
    holds: Holds
    policies: Policies
    sweep: Sweep
    names: Pseudonyms
    dormant: Dormant
    requests: Requests
    collector: Collector
    consents: Consents
    importing: Importing
    restrictions: Restrictions
    health: Health
    tracker: Tracker
    counting: Counting

    async def may_be_woken(self, app: str, account: str) -> bool:
        """Where waking devices rests on consent, whoever agreed."""
        return await self.consents.agreed(app, account, PUSH)

    def operations(self) -> list[Operation]:
        deps = self.people.chatting.deps(self.people.access.door)
        administration = self.people.service.administration
        return [
            *erasure_operations.operations(deps, self.erasures, administration),
            *hold_operations.operations(self.holds),
            *consent_operations.operations(self.consents, self.core.app),
            *export_operations.operations(deps, self.requests, self.collector, self.core.audit),
            *pseudonym_operations.operations(self.names, self.people.service.registry),
            *retention_operations.operations(deps, self.policies, self.holds, self.sweep),
            *self.importing.operations(),
            *restriction_operations.operations(
                self.restrictions, self.people.service.registry, self.people.chatting.chat
            ),
            *request_operations.operations(self.tracker, self.people.service.registry),
            *statistics_operations.operations(self.counting),
        ]

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        app, seconds = self.core.app, self.core.config.retention.sweep_seconds
        return [
            self.erasures.run(app),
            self.sweep.run(app, seconds),
            # Nobody falls asleep within minutes.
            self.dormant.run(app, 10 * seconds),
            *self.importing.tasks(),
            self.restrictions.run(app),
            self.health.run(app),
            self.tracker.run(app),
        ]


def make_rights(core: Core, people: People, files: Files, others: Sequence[Eraser] = ()) -> Rights:
    """Inside a running loop."""
    chatting, service = people.chatting, people.service
    holds = Holds(core.store, core.sealer, core.clock, core.ids)
    consents = make_consents(core)
    parts = make_parts(core, chatting, files)
    importing = make_importing(core, people, files)
    restrictions = make_restrictions(core, chatting, consents)
    tracker = make_tracker(core)
    own = make_own(core, people, consents, restrictions, tracker)
    parts.others.extend((consents, importing, restrictions, tracker, *others))
    who = Who(service.registry, service.devices, service.links)
    jobs = Jobs(core.store, core.sealer, core.clock, core.ids.new())

    names = Pseudonyms(core.store, core.sealer, core.clock, core.entropy)

    def sign(purpose: str, text: bytes) -> tuple[str, bytes]:
        return core.signers.sign_text(purpose, text)

    caches = CACHE_SECONDS + core.config.kms.cache_seconds
    erasures = Erasures(
        parts, who, jobs, holds, core.audit, core.clock, sign, names, caches
    )  # fmt: skip
    service.registry.may_forget = erasures.may_forget
    settings = core.config.retention
    policies = Policies(
        core.store, core.sealer, installed(settings.messages_days, settings.files_days)
    )
    sweep = Sweep(chatting.chat, files, policies, holds, core.audit, core.clock)
    chatting.chat.committed.append(sweep.committed)
    chatting.later.held = Held(holds, chatting)
    dormant = Dormant(
        service.registry, service.devices, people.sessions, service.administration, core.audit,
        core.clock, settings.dormant_days * DAY,
    )  # fmt: skip
    return Rights(
        core, people, erasures, parts.others, holds, policies, sweep, names, dormant,
        Requests(core.store, core.sealer, core.clock),
        make_collector(core, people, files, own), consents, importing, restrictions,
        make_health(core, people), tracker, make_counting(core, chatting, restrictions, consents),
    )  # fmt: skip


def make_tracker(core: Core) -> Tracker:
    lease = Lease(core.store.meta, core.clock, "requests", core.ids.new(), REMINDING_SECONDS)
    return Tracker(core.store, core.sealer, core.clock, core.ids, core.audit, lease.hold)


def make_consents(core: Core) -> Consents:
    settings = core.config
    kept = Kept(
        settings.retention.messages_days, settings.retention.files_days,
        settings.audit.retention_days, settings.ringing.history_days,
    )  # fmt: skip
    return Consents(core.store, core.sealer, core.clock, shipped(kept))


def make_counting(
    core: Core, chatting: Chatting, restrictions: Restrictions, consents: Consents
) -> Counting:
    async def objects(app: str, account: str) -> bool:
        if not await consents.agreed(app, account, STATISTICS):
            return True
        return await restrictions.objects(app, account, STATISTICS)

    def named(at: float) -> str:
        return datetime.fromtimestamp(at, UTC).date().isoformat()

    return Counting(chatting.chat, core.clock, objects, named)


def make_health(core: Core, people: People) -> Health:
    chat = people.chatting.chat
    made = Health(chat.rooms, core.config.sessions.phi_idle_seconds)
    chat.committed.append(made.committed)
    people.sessions.rests = made.rests
    return made


def make_restrictions(core: Core, chatting: Chatting, consents: Consents) -> Restrictions:
    made = Restrictions(core.store, core.sealer, core.clock, chatting.accounts, consents)
    chatting.chat.rooms.withheld = made.withheld
    return made


def make_collector(core: Core, people: People, files: Files, own: Own) -> Collector:
    reader = Reader(core.store.log, core.sealer)
    registry = people.service.registry
    return Collector(people.chatting.chat, registry, own, files, reader, core.clock)


def make_own(
    core: Core, people: People, consents: Consents, restrictions: Restrictions, tracker: Tracker
) -> Own:
    chatting, service, store, sealer = people.chatting, people.service, core.store, core.sealer
    return Own(
        service.registry, service.devices, people.sessions, chatting.accounts, chatting.presences,
        chatting.later, chatting.reports, chatting.doors, chatting.receipts,
        Table(store, SUBSCRIPTIONS, Subscription, sealer),
        Table(store, SETTINGS, PushSettings, sealer), consents, restrictions,
        Allowed(store, core.clock), Logs(store, sealer), tracker, core.clock,
    )  # fmt: skip


def make_parts(core: Core, chatting: Chatting, files: Files) -> Parts:
    return Parts(
        core.store, core.sealer, chatting.chat, chatting.people, chatting.accounts,
        chatting.receipts, chatting.doors, chatting.reports, chatting.presences, chatting.later,
        files,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CallErasing:
    """An `Eraser`: what is kept of calls."""

    calls: Calls
    name: str = "calls"

    async def erase(
        self, app: str, *, room: str = "", account: str = "", messages: Sequence[str] = ()
    ) -> int:
        if account:
            return await self.calls.forget_account(app, account)
        return await self.calls.forget_room(app, room) if room and not messages else 0


@dataclass(frozen=True, slots=True)
class QueueErasing:
    """An `Eraser`: what waits for receivers. Of an erased message nothing leaves but that it was
    erased, so only a room's own is dropped.
    """

    outbox: Outbox
    name: str = "queues"

    async def erase(
        self, app: str, *, room: str = "", account: str = "", messages: Sequence[str] = ()
    ) -> int:
        return await self.outbox.drop(app, room=room) if room and not messages else 0


@dataclass(frozen=True, slots=True)
class Held:
    """Whether a legal hold keeps a message whose own life is over."""

    holds: Holds
    chatting: Chatting

    async def __call__(self, app: str, room: str, message: str) -> bool:
        if await self.holds.of_room(app, room):
            return True
        rooms = self.chatting.chat.rooms
        found = await rooms.find_there(app, room)
        known = None if found is None else await rooms.known(found, message)
        return bool(known and known.account and await self.holds.of_account(app, known.account))


def described_rights(core: Core, people: People) -> list[Operation]:
    """For the documents: handlers that nobody calls."""
    return make_rights(core, people, cast("Files", None)).operations()
