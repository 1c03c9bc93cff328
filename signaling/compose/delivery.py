"""Delivery over the core: the outbox, what feeds it from rooms' logs, and the ways out and in."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, cast

from msgspec.structs import replace

from signaling.compose.core import Core
from signaling.compose.files import Filing
from signaling.compose.people import People
from signaling.delivery.configured import keep, routes_of
from signaling.delivery.feed import Feed
from signaling.delivery.happenings import Happenings
from signaling.delivery.inlets import Inlets
from signaling.delivery.lanes import Limits
from signaling.delivery.notices import Notices
from signaling.delivery.operations import incoming, operations
from signaling.delivery.operations.common import Deps
from signaling.delivery.outbox import DurableOutbox
from signaling.delivery.sender import EventSender
from signaling.delivery.sinks.open import open_sinks
from signaling.delivery.subscriptions import Subscriptions
from signaling.delivery.telling import Telling
from signaling.egress import Egress
from signaling.http.api.operation import Operation
from signaling.storage.untold import Untold

DAY = 86400.0
# What fails is disabled long before; this is for a lane that one poisoned item blocks.
GIVE_UP_DAYS = 7.0


@dataclass(frozen=True, slots=True)
class Delivering:
    """`start` before anything is said in a room; `stop` by the app."""

    core: Core
    outbox: DurableOutbox
    subscriptions: Subscriptions
    feed: Feed
    sender: EventSender
    notices: Notices
    happenings: Happenings
    untold: Sequence[Untold[Any]]
    listed: Sequence[Operation]

    def operations(self) -> list[Operation]:
        return list(self.listed)

    async def start(self) -> None:
        """Raises ConfigError for a route that cannot be."""
        wanted = routes_of(self.core.config.delivery.routes, self.core.clock.unix())
        await self.subscriptions.start()
        await keep(self.subscriptions, self.outbox, self.core.app, wanted)

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Each runs until it is cancelled."""
        told = [one.run(self.core.app) for one in self.untold]
        return [self.outbox.run(), self.feed.run(), *told]

    async def stop(self) -> None:
        self.subscriptions.close()
        await self.sender.close()


def make_outbox(core: Core) -> DurableOutbox:
    def noise() -> float:
        return int.from_bytes(core.entropy.token(4), "big") / 2**32

    return DurableOutbox(core.store, core.sealer, core.clock, noise, core.ids.new(), [core.app])


def make_delivery(
    core: Core, people: People, public_url: str, filing: Filing | None = None
) -> Delivering:
    """Hooked to the rooms' log, accounts and files. `public_url`: where the server is found."""
    settings, chat = core.config.delivery, people.chatting.chat
    egress = cast("Egress", people.outside.egress)  # absent only in the documents
    base = public_url.rstrip("/") + "/api/v1"
    outbox = make_outbox(core)
    subscriptions = Subscriptions(core.store, core.sealer, core.bus, [core.app])
    feed = Feed(
        outbox, subscriptions, chat, core.store, core.clock, core.ids, [core.app], lambda: base
    )
    sinks = open_sinks(egress, core.clock)
    patience = settings.disable_after_days * DAY
    telling = Telling(chat, feed.event, core.clock, settings.batch_bytes)
    sender = EventSender(subscriptions, telling.events, sinks, core.audit, core.clock, patience)
    bury = settings.dead_letter_days * DAY
    limits = Limits(
        give_up_s=max(GIVE_UP_DAYS * DAY, 2 * patience), bury_s=bury,
        retry_most_s=settings.retry_most_seconds,
    )  # fmt: skip
    outbox.register("webhook", sender, limits)
    outbox.register("route", sender, replace(limits, size=sender.size, window=sender.window))
    outbox.room_dropped = feed.room_erased
    chat.committed.append(feed.committed)
    people.chatting.receipts.moved.append(feed.receipt)
    people.chatting.presences.told.append(feed.presence)
    people.chatting.presences.asked = feed.hears_of_presence
    notices = Notices(outbox, subscriptions, chat.rooms, core.clock, base)
    people.service.registry.rectified = notices.rectified
    happenings = Happenings(outbox, subscriptions, chat.rooms, core.clock, core.ids, base)
    accounts = people.service.registry.tables.untold
    accounts.listen(happenings.account, happenings.tell, core.clock)
    untold: list[Untold[Any]] = [accounts]
    if filing is not None:
        files = filing.files.parts.register.untold
        files.listen(happenings.file, happenings.tell, core.clock)
        untold.append(files)
    deps = Deps(
        subscriptions,
        outbox,
        sinks,
        chat,
        egress,
        core.clock,
        core.ids,
        core.entropy,
        feed.resume,
        base,
    )
    return Delivering(
        core, outbox, subscriptions, feed, sender, notices, happenings, untold,
        operations(deps, _inlets(core, people, base)),
    )  # fmt: skip


def _inlets(core: Core, people: People, base: str) -> incoming.Deps:
    return incoming.Deps(
        inlets=Inlets(core.store, core.sealer, core.entropy),
        chat=people.chatting.chat,
        people=people.chatting.people,
        registry=people.service.registry,
        sealer=core.sealer,
        bus=core.bus,
        clock=core.clock,
        ids=core.ids,
        limits=core.config.limits,
        base=base,
        per_minute=core.config.delivery.incoming_per_minute,
    )
