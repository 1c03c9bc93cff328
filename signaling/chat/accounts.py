"""Accounts' own data as a partition of sync and for REST: one log and one row for each account.

The log is cut at the row whenever that is written, since the row holds all that follows from it;
who was away longer gets the state. Only the account itself reads or writes here.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from signaling.chat import checks
from signaling.chat.account_ops import AccountChange, AccountEntry, AccountOp, Prefer
from signaling.chat.account_state import AccountState, check_account
from signaling.chat.hub import Hub
from signaling.chat.ports import (
    Actor,
    BadVersion,
    Batch,
    Below,
    Cancel,
    Integrated,
    News,
    Notice,
    Watcher,
)
from signaling.chat.sealing import Sealing, from_ms
from signaling.clock import Clock
from signaling.errors import ClientError, Code, Refused
from signaling.keys.port import Sealer
from signaling.storage.port import Conflict, Head, NewOp, Store
from signaling.storage.table import Table

KIND = "chat.account"
# Ops between two writes of the row.
SAVE_EVERY = 200
MOST_ACCOUNTS = 20_000


class AccountRow(Struct, frozen=True):
    state: AccountState


class _Said(Struct, frozen=True, array_like=True):
    at: int
    clock: int
    op: AccountOp


class _Held:
    def __init__(self, state: AccountState) -> None:
        self.state, self.saved, self.lock, self.rest = state, state.seq, asyncio.Lock(), 0


class Accounts:
    """One for each process. Implements `ports.Partition`; the name is the account's id."""

    def __init__(
        self,
        store: Store,
        sealer: Sealer,
        sealing: Sealing,
        hub: Hub,
        clock: Clock,
        process: str,
    ) -> None:
        self._log, self._sealing, self._hub, self._clock = store.log, sealing, hub, clock
        self._process = process

        def scope(app: str, key: str, value: object) -> str:
            return f"account:{key}"

        self._rows: Table[AccountRow] = Table(store, KIND, AccountRow, sealer, scope)
        self._held: OrderedDict[tuple[str, str], _Held] = OrderedDict()

    async def state_of(self, app: str, account: str) -> AccountState:
        """At the head; for the server's own use (who is blocked, what may be shown)."""
        return (await self._current(app, account)).state

    async def _current(self, app: str, account: str) -> _Held:
        held = self._held.get((app, account))
        if held is None:
            row = await self._rows.get(app, account)
            held = _Held(row.value.state if row is not None else AccountState())
            held = self._held.setdefault((app, account), held)
            if len(self._held) > MOST_ACCOUNTS:
                self._held.popitem(last=False)
        head = await self._log.head(app, _name(account))
        if head.floor > held.state.seq:
            # Another process cut the log at its row.
            row = await self._rows.get(app, account)
            if row is not None:
                held.state = row.value.state
        while held.state.seq < head.seq:
            entries = await self._entries(app, account, held.state.seq, 500)
            if not entries:
                break
            for entry in entries:
                held.state.apply(entry)
        return held

    async def _entries(self, app: str, account: str, after: int, limit: int) -> list[AccountEntry]:
        stored = await self._log.read(app, _name(account), after=after, limit=limit)
        found = []
        for op in stored:
            plain = await self._sealing.open_bytes(app, _name(account), op)
            if plain is None:
                continue
            said = msgspec.msgpack.decode(plain, type=_Said)
            found.append(
                AccountEntry(
                    seq=op.seq, ident=op.ident, version=op.version, clock=said.clock,
                    at=from_ms(said.at), op=said.op,
                )
            )  # fmt: skip
        return found

    def _own(self, actor: Actor, name: str) -> None:
        if actor.token or actor.account != name or not name:
            raise Refused(Code.NOT_PERMITTED, 403, "This is another account's.")

    async def may_read(self, actor: Actor, name: str) -> None:
        self._own(actor, name)

    async def integrate(
        self, actor: Actor, name: str, ident: str, changes: Sequence[AccountChange]
    ) -> Integrated:
        self._own(actor, name)
        cursor = await self._log.cursor(actor.app, _name(name), ident)
        news = [change for change in changes if change.version > cursor]
        for expected, change in enumerate(news, start=cursor + 1):
            if change.version != expected:
                raise BadVersion(expected)
        held = await self._current(actor.app, name)
        notices = []
        for place, change in enumerate(news):
            try:
                check_account(held.state, change.op)
            except ClientError as error:
                # It keeps its place and does nothing.
                news[place] = msgspec.structs.replace(change, op=Prefer())
                notices.append(
                    Notice(version=change.version, code=error.code, message=error.message)
                )
        entries = await self._append(actor.app, name, held, ident, news)
        cursor = news[-1].version if news else cursor
        head = await self._log.head(actor.app, _name(name))
        return Integrated(cursor=cursor, head=head, entries=entries, notices=notices)

    async def act(self, actor: Actor, op: AccountOp) -> AccountState:
        """One op over REST."""
        self._own(actor, actor.account)
        held = await self._current(actor.app, actor.account)
        check_account(held.state, op)
        async with held.lock:
            ident = f"rest:{self._process}"
            if not held.rest:
                held.rest = await self._log.cursor(actor.app, _name(actor.account), ident)
            held.rest += 1
            clock = max(int(self._clock.unix() * 1000), held.state.clock + 1)
            change = AccountChange(version=held.rest, clock=clock, op=op)
            await self._append(actor.app, actor.account, held, ident, [change])
        return held.state

    async def _append(
        self, app: str, account: str, held: _Held, ident: str, changes: list[AccountChange]
    ) -> list[AccountEntry]:
        now = int(self._clock.unix() * 1000)
        name = _name(account)
        ops, made = [], []
        for change in changes:
            clock = checks.clamp(change.clock, now)
            plain = msgspec.msgpack.encode(_Said(now, clock, change.op))
            body = await self._sealing.seal_bytes(app, name, ident, change.version, account, plain)
            ops.append(NewOp(ident, change.version, body))
            made.append(
                AccountEntry(
                    seq=0, ident=ident, version=change.version, clock=clock, at=from_ms(now),
                    op=change.op,
                )
            )  # fmt: skip
        appended = await self._log.append(app, name, ops)
        entries = [
            msgspec.structs.replace(entry, seq=done.seq)
            for entry, done in zip(made, appended, strict=True)
            if not done.duplicate
        ]
        for entry in entries:
            held.state.apply(entry)
        if entries:
            news = News(from_seq=entries[0].seq, to_seq=entries[-1].seq, entries=entries)
            await self._hub.tell(app, name, news)
            if held.state.seq - held.saved >= SAVE_EVERY:
                await self.save(app, account, held)
        return entries

    async def save(self, app: str, account: str, held: _Held) -> None:
        """The row, then the log is cut: in that order."""
        value = AccountRow(held.state)
        seq = held.state.seq
        row = await self._rows.get(app, account)
        try:
            if row is None:
                await self._rows.create(app, account, value)
            elif row.value.state.seq < seq:
                await self._rows.replace(app, row, value)
        except Conflict:
            return
        held.saved = seq
        await self._log.purge(app, _name(account), seq)

    async def read(self, actor: Actor, name: str, after: int, limit: int) -> Batch:
        self._own(actor, name)
        head = await self._log.head(actor.app, _name(name))
        if after < head.floor:
            raise Below(head)
        stored = await self._log.read(actor.app, _name(name), after=after, limit=min(limit, 500))
        entries = await self._entries(actor.app, name, after, min(limit, 500))
        chain = stored[-1].chain if stored else head.chain
        return Batch(entries=entries, chain=chain, head=head)

    async def head(self, app: str, name: str) -> Head:
        return await self._log.head(app, _name(name))

    async def cursor(self, app: str, name: str, ident: str) -> int:
        return await self._log.cursor(app, _name(name), ident)

    async def chain(self, app: str, name: str, seq: int) -> bytes | None:
        head = await self._log.head(app, _name(name))
        if seq == head.seq:
            return head.chain
        stored = await self._log.read(app, _name(name), after=max(0, seq - 1), limit=1)
        return stored[0].chain if stored and stored[0].seq == seq else None

    async def state(self, actor: Actor, name: str) -> tuple[int, AccountState]:
        self._own(actor, name)
        held = await self._current(actor.app, name)
        return held.state.seq, held.state

    def watch(self, app: str, name: str, watcher: Watcher) -> Cancel:
        return self._hub.watch(app, _name(name), watcher)


def _name(account: str) -> str:
    """No room's id begins like this."""
    return f"@{account}"
