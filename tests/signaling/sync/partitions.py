"""A partition without rights: a room's log in any store, hints on any bus. What sessions need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from signaling.access.evaluate import Granted
from signaling.access.roles import Session as SessionHolder
from signaling.accounts.principal import Principal
from signaling.bus.port import Bus
from signaling.chat.account_ops import AccountOp
from signaling.chat.ops import Change, Entry, Erased, Op, Part, Void
from signaling.chat.ports import (
    Actor,
    BadVersion,
    Batch,
    Below,
    Cancel,
    Hint,
    Integrated,
    News,
    Notice,
    RightsChanged,
    Watcher,
)
from signaling.chat.state import RoomState
from signaling.errors import Code, Refused
from signaling.storage.port import Head, NewOp, Store
from signaling.storage.port import Op as StoredOp
from signaling.sync.session_frames import PartitionBind


class _Body(msgspec.Struct):
    clock: int
    at: datetime
    account: str
    op: Op | AccountOp


class _Heard(msgspec.Struct):
    first: int
    last: int
    chain: bytes
    stored: list[StoredOp]


def topic(app: str, name: str) -> str:
    return f"room:{app}\0{name}"


class PlainRooms:
    """See the module. `barred` may not read, `forbidden` is a `type` of op that has no effect."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self.store = store
        self.bus = bus
        self.barred: set[str] = set()
        self.forbidden = ""
        self.fails: Exception | None = None
        self.integrations = 0
        self.kept: dict[tuple[str, str], RoomState] = {}
        self.began = ""
        """The log's epoch."""

    async def may_read(self, actor: Actor, name: str) -> None:
        if self.fails is not None:
            raise self.fails
        if actor.account in self.barred:
            raise Refused(Code.NOT_PERMITTED, 403, "Not yours.")

    async def integrate(
        self, actor: Actor, name: str, ident: str, changes: Sequence[Any]
    ) -> Integrated:
        if self.fails is not None:
            raise self.fails
        self.integrations += 1
        log = self.store.log
        cursor = await log.cursor(actor.app, name, ident)
        fresh = [change for change in changes if change.version > cursor]
        if fresh and fresh[0].version != cursor + 1:
            raise BadVersion(cursor + 1)
        notices = [
            Notice(version=change.version, code=Code.NOT_PERMITTED, message="No.")
            for change in fresh
            if change.op.__struct_config__.tag == self.forbidden
        ]
        refused = {notice.version for notice in notices}
        new = [
            NewOp(ident, change.version, self._body(actor, change, change.version in refused))
            for change in fresh
        ]
        answers = await log.append(actor.app, name, new)
        seqs = [answer.seq for answer in answers if not answer.duplicate]
        stored = await log.read(actor.app, name, after=seqs[0] - 1, limit=len(seqs)) if seqs else []
        entries = [entry_of(op) for op in stored]
        if stored:
            await self.announce(actor.app, name, stored)
        head = await log.head(actor.app, name)
        cursor = max(cursor, fresh[-1].version if fresh else 0)
        return Integrated(cursor=cursor, head=head, entries=entries, notices=notices)

    def _body(self, actor: Actor, change: Change, refused: bool) -> bytes:
        op: Any = Void(code="not_permitted", was=self.forbidden) if refused else change.op
        at = datetime.fromtimestamp(1_800_000_000, UTC)
        return msgspec.json.encode(_Body(change.clock, at, actor.account, op))

    async def say(self, app: str, name: str, version: int, op: Any) -> None:
        """The server's own op; `version` rises."""
        cursor = await self.store.log.cursor(app, name, "server")
        at = datetime.fromtimestamp(1_800_000_000, UTC)
        body = _Body(0, at, "server", msgspec.convert(op, Op | AccountOp))
        new = NewOp("server", max(version, cursor + 1), msgspec.json.encode(body))
        (answer,) = await self.store.log.append(app, name, [new])
        stored = await self.store.log.read(app, name, after=answer.seq - 1, limit=1)
        await self.announce(app, name, stored)

    async def announce(self, app: str, name: str, stored: Sequence[StoredOp]) -> None:
        heard = _Heard(stored[0].seq, stored[-1].seq, stored[-1].chain, list(stored))
        await self.bus.publish(topic(app, name), msgspec.msgpack.encode(heard))

    async def read(self, actor: Actor, name: str, after: int, limit: int) -> Batch:
        await self.may_read(actor, name)
        head = await self.head(actor.app, name)
        if after < head.floor:
            raise Below(head)
        found = await self.store.log.read(actor.app, name, after=after, limit=limit)
        chain = found[-1].chain if found else b""
        return Batch(entries=[entry_of(op) for op in found], chain=chain, head=head)

    async def head(self, app: str, name: str) -> Head:
        return await self.store.log.head(app, name)

    async def epoch(self, app: str, name: str) -> str:
        return self.began

    async def cursor(self, app: str, name: str, ident: str) -> int:
        return await self.store.log.cursor(app, name, ident)

    async def chain(self, app: str, name: str, seq: int) -> bytes | None:
        head = await self.head(app, name)
        if seq in (head.seq, 0):
            return head.chain if seq else bytes(32)
        found = await self.store.log.read(app, name, after=seq - 1, limit=1)
        return found[0].chain if found and found[0].seq == seq else None

    async def state(self, actor: Actor, name: str) -> tuple[int, RoomState]:
        """Of everything that the log has; what was purged before is remembered here."""
        state = self.kept.get((actor.app, name), RoomState())
        state = msgspec.convert(msgspec.to_builtins(state), RoomState)
        for op in await self.store.log.read(actor.app, name, after=state.seq, limit=100_000):
            state.apply(entry_of(op))
        return state.seq, state

    async def purge(self, app: str, name: str, upto: int) -> None:
        state = self.kept.setdefault((app, name), RoomState())
        for op in await self.store.log.read(app, name, after=state.seq, limit=100_000):
            if op.seq <= upto:
                state.apply(entry_of(op))
        await self.store.log.purge(app, name, upto)

    def watch(self, app: str, name: str, watcher: Watcher) -> Cancel:
        def heard(payload: bytes) -> None:
            hint: Hint
            if payload == b"rights":
                hint = RightsChanged()
            else:
                found = msgspec.msgpack.decode(payload, type=_Heard)
                hint = News(
                    from_seq=found.first,
                    to_seq=found.last,
                    entries=[entry_of(op) for op in found.stored],
                    chain=found.chain,
                    epoch=self.began,
                )
            watcher(hint)

        return self.bus.subscribe(topic(app, name), heard).close


def entry_of(stored: StoredOp) -> Entry:
    body = msgspec.json.decode(stored.body, type=_Body) if not stored.erased else None
    return Entry(
        seq=stored.seq,
        ident=stored.ident,
        version=stored.version,
        clock=body.clock if body else 0,
        at=body.at if body else datetime.fromtimestamp(0, UTC),
        account=body.account if body else None,
        part=Part.MEMBER,
        op=cast("Op", body.op) if body else Erased(),
    )


async def actor_of(
    principal: Principal, token: str | None, uuid: str | None
) -> tuple[Actor, Granted | None]:
    holder = SessionHolder(principal, {})
    account = principal.account or ""
    return Actor(app=principal.app, account=account, holder=holder, who=(account,)), None


def bind(number: int, path: str, **more: Any) -> PartitionBind:
    return PartitionBind(session=number, path=path, **more)
