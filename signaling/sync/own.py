"""An account's own data as a partition: drafts, saved messages, what is hidden, preferences.

One log for each account, `account:<id>` in the store, sealed with the account's data key: whoever
removes the account destroys it. Only the account itself is let in, from any of its devices. What
its ops come to is the reader's to fold: each is a register, a maximum, or sticky.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from signaling.chat.account_ops import AccountChange, AccountEntry, AccountOp
from signaling.chat.hub import Hub
from signaling.chat.ports import (
    Actor,
    BadVersion,
    Batch,
    Below,
    Cancel,
    Integrated,
    News,
    Watcher,
)
from signaling.clock import Clock
from signaling.errors import Code, Refused
from signaling.keys.port import Sealer, bind
from signaling.storage.port import GENESIS, Head, NewOp, Op, Store

SKEW = 5 * 60 * 1000
"""How far ahead of the server a device's clock may be, in milliseconds."""


class _Body(msgspec.Struct, frozen=True):
    clock: int
    at: int
    op: AccountOp


class OwnState(msgspec.Struct, frozen=True, kw_only=True):
    """Of a bootstrap: every op is sent, so this is the clock alone."""

    clock: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Body).decode


class OwnData:
    """A `chat.ports.Partition`. `name` is the account's id."""

    def __init__(self, store: Store, sealer: Sealer, hub: Hub, clock: Clock) -> None:
        self._log = store.log
        self._sealer = sealer
        self._hub = hub
        self._clock = clock

    async def may_read(self, actor: Actor, name: str) -> None:
        if actor.token or actor.account != name:
            raise Refused(Code.NOT_PERMITTED, 403, "Only the account itself has this.")

    async def integrate(
        self, actor: Actor, name: str, ident: str, changes: Sequence[AccountChange]
    ) -> Integrated:
        await self.may_read(actor, name)
        app = actor.app
        cursor = await self._log.cursor(app, _room(name), ident)
        fresh = [change for change in changes if change.version > cursor]
        for expected, change in enumerate(fresh, start=cursor + 1):
            if change.version != expected:
                raise BadVersion(expected)
        if not fresh:
            return Integrated(cursor=cursor, head=await self.head(app, name))
        new = [await self._seal(app, name, ident, change) for change in fresh]
        answers = await self._log.append(app, _room(name), new)
        seqs = [answer.seq for answer in answers if not answer.duplicate]
        head = await self.head(app, name)
        if not seqs:
            return Integrated(cursor=fresh[-1].version, head=head)
        stored = await self._log.read(
            app, _room(name), after=seqs[0] - 1, before=seqs[-1] + 1, limit=len(seqs)
        )
        entries = [await self._open(app, name, op) for op in stored]
        news = News(from_seq=seqs[0], to_seq=seqs[-1], entries=entries, chain=stored[-1].chain)
        await self._hub.tell(app, _room(name), news)
        return Integrated(cursor=fresh[-1].version, head=head, entries=entries)

    async def _seal(self, app: str, name: str, ident: str, change: AccountChange) -> NewOp:
        now = int(self._clock.unix() * 1000)
        body = _encode(_Body(min(change.clock, now + SKEW), now, change.op))
        aad = bind(app, "own", f"{name}\0{ident}\0{change.version}")
        return NewOp(
            ident, change.version, await self._sealer.seal(app, f"account:{name}", aad, body)
        )

    async def _open(self, app: str, name: str, op: Op) -> AccountEntry:
        aad = bind(app, "own", f"{name}\0{op.ident}\0{op.version}")
        body = _decode(await self._sealer.open(app, aad, op.body))
        return AccountEntry(
            seq=op.seq,
            ident=op.ident,
            version=op.version,
            clock=body.clock,
            at=datetime.fromtimestamp(body.at / 1000, UTC),
            op=body.op,
        )

    async def read(self, actor: Actor, name: str, after: int, limit: int) -> Batch:
        await self.may_read(actor, name)
        head = await self.head(actor.app, name)
        if after < head.floor:
            raise Below(head)
        found = await self._log.read(actor.app, _room(name), after=after, limit=limit)
        chain = found[-1].chain if found else b""
        entries = [await self._open(actor.app, name, op) for op in found]
        return Batch(entries=entries, chain=chain, head=head)

    async def head(self, app: str, name: str) -> Head:
        return await self._log.head(app, _room(name))

    async def cursor(self, app: str, name: str, ident: str) -> int:
        return await self._log.cursor(app, _room(name), ident)

    async def chain(self, app: str, name: str, seq: int) -> bytes | None:
        head = await self.head(app, name)
        if seq == head.seq:
            return head.chain
        found = await self._log.read(app, _room(name), after=seq - 1, limit=1) if seq else []
        if found and found[0].seq == seq:
            return found[0].chain
        return None if seq else GENESIS

    async def state(self, actor: Actor, name: str) -> tuple[int, OwnState]:
        return 0, OwnState()

    def watch(self, app: str, name: str, watcher: Watcher) -> Cancel:
        return self._hub.watch(app, _room(name), watcher)


def _room(name: str) -> str:
    return f"account:{name}"
