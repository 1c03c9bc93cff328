"""Documents of other programs become posts of bots, or are quarantined with a reason.

    waiting -> read -> judged as that bot -> posted -> receipt -> removed
                    \\-> quarantined -> audit -> removed

A document is one message: its id is the ident of its op in the room's log, which takes an ident's
version once, so whatever dies between posting and removing does not post it again. Nobody speaks
but bots that the operator named for it, with their own rights. Driven by `worker`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Protocol

from msgspec import Struct

from signaling.accounts.model import Account
from signaling.accounts.principal import Kind, Principal
from signaling.chat.ops import Entry, Mode, Post
from signaling.chat.people import People
from signaling.chat.room import Room
from signaling.chat.service import Chat
from signaling.clock import Clock
from signaling.compliance.audit.port import Audit, AuditEvent
from signaling.errors import ClientError, Code, Unavailable
from signaling.ids import Ids
from signaling.keys.port import Sealer
from signaling.mirror.documents import refusal
from signaling.mirror.following import Guarded, Still
from signaling.mirror.inbound import Malformed, NewPost, Read, quarantined, read
from signaling.mirror.port import Document, MirrorStore, Reason, Waiting
from signaling.storage.port import Conflict

log = logging.getLogger(__name__)

# A document of MongoDB may have 16 MB, so few are held at a time.
AT_ONCE = 4
MOST_QUARANTINED = 1000
# Ops of a room looked through for the one that was made before a kill.
RECENT = 500
EXPIRE_SECONDS = 3600.0
SCOPES = frozenset({"messages:write", "rooms:read"})
ACTOR = "system:mirror"
DEVICE = "mirror"


class Rules(Struct, frozen=True, kw_only=True):
    """What the operator chose. `keep_days` for receipts and the quarantine."""

    rooms: Collection[str]
    authors: Collection[str]
    phi: bool
    keep_days: float


class Registry(Protocol):
    """As much of the accounts as is asked here."""

    async def get(self, app: str, account: str) -> Account | None: ...


class Bounded(Protocol):
    """The seconds until the next document may be taken; 0: now."""

    async def __call__(self) -> float: ...


class Inbox:
    """One writer's. See the module."""

    def __init__(
        self,
        app: str,
        chat: Chat,
        people: People,
        registry: Registry,
        store: MirrorStore,
        audit: Audit,
        sealer: Sealer,
        clock: Clock,
        ids: Ids,
        guarded: Guarded,
        still: Still,
        bounded: Bounded,
        rules: Rules,
    ) -> None:
        self._app, self._chat, self._people, self._registry = app, chat, people, registry
        self._store, self._audit, self._sealer = store, audit, sealer
        self._clock, self._ids, self._guarded = clock, ids, guarded
        self._still, self._bounded, self._rules = still, bounded, rules
        self._expired = float("-inf")

    async def round(self) -> float | None:
        """A few documents; the seconds to wait before the next, None when there are no more."""
        if not self._rules.authors:
            return None
        await self._expire()
        found = await self._store.waiting(AT_ONCE)
        for one in found:
            wait = await self._bounded()
            if wait > 0:
                return wait
            await self._still()
            await self._one(one)
        return 0.0 if found else None

    async def _one(self, one: Waiting) -> None:
        try:
            wish = read(one.data)
            if not await self._store.took(wish.id):
                await self._store.note_taken(wish.id, await self._post(wish))
        except Malformed as error:
            await self._refuse(one, error.reason.value, error.detail)
        except ClientError as error:
            await self._refuse(one, error.code.value, error.message)
        except (Unavailable, Conflict):
            raise
        except Exception:
            # Our error: one document must not hold up all that come after it.
            log.exception("a document of the inbox failed")
            await self._refuse(one, Code.INTERNAL.value, "Our error; the log says more.")
        await self._store.remove(one.name)

    async def _post(self, wish: Read) -> Document:
        """The receipt. Raises Malformed, ClientError."""
        post = wish.post
        ident = "key:" + self._sealer.blind(self._app, f"mirror:{wish.id}")
        found = await self._named(post.room)
        if found is not None and await found.log.cursor(self._app, found.id, ident):
            # It was posted before a kill: what was allowed then is not judged again.
            entry = await self._posted(found, ident)
        else:
            self._judge(found)
            entry = await self._say(await self._author(post.author), post, ident)
        message = entry.op.id if entry is not None and isinstance(entry.op, Post) else None
        return {
            "room": post.room, "author": post.author, "at": self._now(), "message": message,
            "seq": None if entry is None else entry.seq,
        }  # fmt: skip

    async def _posted(self, room: Room, ident: str) -> Entry | None:
        """None when it was long ago, or is gone since."""
        for op in reversed(await room.log.read(self._app, room.id, limit=RECENT)):
            if op.ident == ident:
                return next(iter(await self._chat.rooms.entries(room, [op.seq])), None)
        return None

    async def _say(self, account: Account, post: NewPost, ident: str) -> Entry:
        who = Principal(
            app=self._app, kind=Kind.BOT, account=account.id, device=DEVICE,
            roles=frozenset(account.roles), scopes=SCOPES,
        )  # fmt: skip
        actor = await self._people.actor(who)
        op = post.post(self._ids.new())
        return await self._chat.act(actor, post.room, op, ident)

    async def _named(self, ident: str) -> Room | None:
        if ident not in self._rules.rooms:
            raise Malformed(Reason.ROOM_NOT_NAMED, "The mirror does not name this room.")
        return await self._chat.rooms.find_there(self._app, ident)

    def _judge(self, room: Room | None) -> None:
        """As far as it is the operator's to say; the rest is the room's."""
        if room is None:
            raise Malformed(Reason.ROOM_NOT_FOUND, "There is no such room.")
        if room.state.mode is Mode.E2EE:
            message = "What comes through the inbox is plain text; this room is encrypted."
            raise ClientError(Code.PLAINTEXT_REFUSED, 422, message)
        reason = refusal(room.state, phi=self._rules.phi, guarded=self._guarded(room.state))
        if reason is not None:
            raise Malformed(reason, "This room is not mirrored.")

    async def _author(self, ident: str) -> Account:
        """A bot that the operator named; who it is not is never said."""
        account = await self._registry.get(self._app, ident)
        named = account is not None and account.kind is Kind.BOT and not account.disabled
        if account is None or not named or ident not in self._rules.authors:
            message = "Only bots that `mirror.inbox_authors` names speak through the inbox."
            raise Malformed(Reason.AUTHOR_REFUSED, message)
        return account

    async def _refuse(self, one: Waiting, reason: str, detail: str) -> None:
        """Kept first, and recorded before it leaves the inbox. The record quotes nothing."""
        now = self._clock.unix()
        kept = quarantined(one, reason, detail, now)
        await self._store.quarantine(kept, MOST_QUARANTINED)
        await self._audit.record(
            AuditEvent(
                at=now, app=self._app, actor=ACTOR, action="mirror.quarantined",
                target=f"document:{kept.id}", result="denied",
                details={"reason": reason, "bytes": str(kept.size)},
            )
        )  # fmt: skip
        log.info("a document of the inbox was quarantined: %s", reason)

    async def _expire(self) -> None:
        if self._clock.monotonic() < self._expired + EXPIRE_SECONDS:
            return
        await self._store.expire(self._now() - timedelta(days=self._rules.keep_days))
        self._expired = self._clock.monotonic()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.unix(), UTC)
