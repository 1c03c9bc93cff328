"""The mirror over rooms: wired when the operator names a database for it, absent otherwise."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from signaling.chat.state import RoomState
from signaling.compliance.audit.forward.lease import Lease
from signaling.compliance.audit.port import AuditEvent
from signaling.compliance.erasure.port import Eraser
from signaling.compose.core import Core
from signaling.compose.people import People
from signaling.delivery.lanes import Limits
from signaling.delivery.notices import MIRROR, Notices
from signaling.delivery.outbox import DurableOutbox
from signaling.errors import Unavailable
from signaling.mirror.port import MirrorStore, Reason

if TYPE_CHECKING:
    from signaling.mirror.database import MirrorDatabase
    from signaling.mirror.worker import Worker

# How much of a minute's documents may come at once.
BURST = 4
GIVE_UP = 30 * 86400.0
"""Seconds that a notice waits for a database that is away."""


@dataclass(frozen=True, slots=True)
class Mirroring:
    """Without a mirror, nothing. `stop` by the app."""

    database: MirrorDatabase | None = None
    worker: Worker | None = None
    rooms: Sequence[str] = ()

    def erasers(self) -> Sequence[Eraser]:
        return () if self.database is None else (MirrorErasing(self.database),)

    def hear(self, outbox: DurableOutbox, notices: Notices) -> None:
        """Its readers are told what became of people (GDPR 19). Before the outbox runs."""
        if self.database is not None:
            from signaling.mirror.notices import NoticeSender

            outbox.register(MIRROR, NoticeSender(self.database), Limits(give_up_s=GIVE_UP))
            notices.mirrored = self.rooms

    def tasks(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Each runs until it is cancelled."""
        return () if self.worker is None else (self.worker.run(),)

    async def stop(self) -> None:
        if self.database is not None:
            await self.database.close()


def make_mirror(core: Core, people: People) -> Mirroring:
    """Raises ConfigError."""
    settings, chatting = core.config.mirror, people.chatting
    if not settings.url:
        return Mirroring()
    # Here and not above: few servers have a mirror, and MongoDB's driver loads slowly.
    from signaling.mirror.database import MirrorDatabase
    from signaling.mirror.following import Follower
    from signaling.mirror.inbox import ACTOR, Inbox, Rules
    from signaling.mirror.worker import LEASE_SECONDS, Worker

    database = MirrorDatabase(settings)
    lease = Lease(core.store.meta, core.clock, "mirror", core.ids.new(), LEASE_SECONDS)

    async def still() -> None:
        if not await lease.hold():
            raise Unavailable("another process writes the mirror", 1)

    async def bounded() -> float:
        rate, burst = settings.inbox_per_minute / 60, settings.inbox_per_minute // BURST
        limit = await core.bus.limit(f"{core.app}:mirror:inbox", rate, max(1, burst))
        return 0.0 if limit.allowed else max(0.05, limit.retry_after)

    def told(room: str, reason: Reason) -> None:
        core.audit.note(
            AuditEvent(
                at=core.clock.unix(), app=core.app, actor=ACTOR, action="mirror.refused",
                target=f"room:{room}", result="denied", details={"room": room, "reason": reason},
            )
        )  # fmt: skip

    follower = Follower(
        chatting.chat, database, guarded, still, told, bodies=settings.bodies, phi=settings.phi
    )
    rules = Rules(
        rooms=frozenset(settings.rooms), authors=frozenset(settings.inbox_authors),
        phi=settings.phi, keep_days=settings.keep_days,
    )  # fmt: skip
    inbox = Inbox(
        core.app, chatting.chat, chatting.people, people.service.registry, database, core.audit,
        core.sealer, core.clock, core.ids, guarded, still, bounded, rules,
    )  # fmt: skip
    rooms, poll = tuple(dict.fromkeys(settings.rooms)), settings.poll_seconds
    worker = Worker(core.app, rooms, chatting.chat, database, lease, follower, inbox, poll)
    return Mirroring(database, worker, rooms)


def guarded(state: RoomState) -> bool:
    """Whether a room holds health data (row A7)."""
    return state.settings.phi


@dataclass(frozen=True, slots=True)
class MirrorErasing:
    """An `Eraser`: an erasure is not done before the mirror let go. While its database is away it
    waits and says so; what was said in a room that stays follows from its log as well.
    """

    store: MirrorStore
    name: str = "mirror"

    async def erase(
        self, app: str, *, room: str = "", account: str = "", messages: Sequence[str] = ()
    ) -> int:
        if account:
            return await self.store.bury_account(account)
        if messages:
            await self.store.vanish(room, messages, 0)
            return len(messages)
        return await self.store.forget_room(room) if room else 0
