"""Accounts' own data as a partition of sync and for REST: one log and one row for each account.

The log is cut at the row whenever that is written, since the row holds all that follows from it;
who was away longer gets the state. Only the account itself reads or writes here, from any of its
devices: what one does over REST its others hear in their sessions, and the other way round.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from signaling.accounts.principal import InsufficientScope
from signaling.chat import checks
from signaling.chat.account_ops import (
    AccountChange,
    AccountEntry,
    AccountLogOp,
    AccountOp,
    Block,
    Prefer,
)
from signaling.chat.account_state import AccountState
from signaling.chat.hub import Hub
from signaling.chat.ops import Erased, Void, tag_of
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
    Watcher,
)
from signaling.chat.sealing import Sealing, from_ms
from signaling.clock import Clock
from signaling.errors import ClientError, Code, Refused, Unavailable
from signaling.keys.port import Sealer
from signaling.storage.port import GENESIS, Conflict, Head, NewOp, Op, Store
from signaling.storage.table import Table

KIND = "chat.account"
# Ops between two writes of the row.
SAVE_EVERY = 200
MOST_ACCOUNTS = 20_000
# Of a row; the store takes 4 MB. Thousands of long drafts come to more, and are refused from there.
MOST_BYTES = 3_000_000
MOST_READ = 500
# How often a version of ours that somebody else used is given up for the next.
ATTEMPTS = 4


class AccountRow(Struct, frozen=True):
    state: AccountState


class _Said(Struct, frozen=True, array_like=True):
    at: int
    clock: int
    op: AccountLogOp


class _Held:
    """One account in this process. `lock` is held by who appends; `rest` is the newest version of
    REST here, 0 when it must be looked up; `full`: its row would be too large.
    """

    def __init__(self, state: AccountState) -> None:
        self.state, self.saved, self.lock, self.rest = state, state.seq, asyncio.Lock(), 0
        self.full = False


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
        self.minded: list[Callable[[str, str], None]] = []
        """Hear of an account that showed or hid something, or blocked somebody, in this process."""

        def scope(app: str, key: str, value: object) -> str:
            return f"account:{key}"

        self._rows: Table[AccountRow] = Table(store, KIND, AccountRow, sealer, scope)
        self._held: OrderedDict[tuple[str, str], _Held] = OrderedDict()

    # What it comes to

    async def state_of(self, app: str, account: str) -> AccountState:
        """At the head; for the server's own use (who is blocked, what may be shown)."""
        return (await self._current(app, account)).state

    async def state(self, actor: Actor, name: str) -> tuple[int, AccountState]:
        await self.may_read(actor, name)
        held = await self._current(actor.app, name)
        return held.state.seq, held.state

    async def _current(self, app: str, account: str) -> _Held:
        held = self._held.get((app, account))
        if held is None:
            held = self._keep((app, account), _Held(await self._row_state(app, account)))
        self._held.move_to_end((app, account))
        known = held.state.seq
        head = await self._log.head(app, _name(account))
        if head.floor > held.state.seq or head.seq < known:
            # Another process cut the log at its row; or the store was restored.
            held.state = await self._row_state(app, account)
            held.saved = held.state.seq
        await self._fold(app, account, held, head.seq)
        return held

    def _keep(self, place: tuple[str, str], made: _Held) -> _Held:
        held = self._held.setdefault(place, made)
        if len(self._held) > MOST_ACCOUNTS:
            oldest = next(iter(self._held))
            if not self._held[oldest].lock.locked():
                del self._held[oldest]
        return held

    async def _row_state(self, app: str, account: str) -> AccountState:
        row = await self._rows.get(app, account)
        return AccountState() if row is None else row.value.state

    async def _fold(self, app: str, account: str, held: _Held, upto: int) -> None:
        """Each op is a register, a maximum or sticky, so folding one twice does no harm."""
        while held.state.seq < upto:
            after = held.state.seq
            stored = await self._log.read(app, _name(account), after=after, limit=MOST_READ)
            if not stored:
                return
            for entry in await self._open(app, account, stored):
                held.state.apply(entry)

    async def _open(self, app: str, account: str, stored: Sequence[Op]) -> list[AccountEntry]:
        found = []
        for op in stored:
            plain = await self._sealing.open_bytes(app, _name(account), op)
            gone = _Said(0, 0, Erased())
            said = gone if plain is None else msgspec.msgpack.decode(plain, type=_Said)
            found.append(
                AccountEntry(
                    seq=op.seq, ident=op.ident, version=op.version, clock=said.clock,
                    at=from_ms(said.at), op=said.op,
                )
            )  # fmt: skip
        return found

    # Who may

    async def may_read(self, actor: Actor, name: str) -> None:
        _own(actor, name)
        _need(actor, "messages:read")

    # Writing

    async def integrate(
        self, actor: Actor, name: str, ident: str, changes: Sequence[AccountChange]
    ) -> Integrated:
        """See `ports.Partition.integrate`."""
        _own(actor, name)
        held = await self._current(actor.app, name)
        async with held.lock:
            cursor = await self._log.cursor(actor.app, _name(name), ident)
            news = [change for change in changes if change.version > cursor]
            for expected, change in enumerate(news, start=cursor + 1):
                if change.version != expected:
                    raise BadVersion(expected)
            said: list[tuple[int, int, AccountLogOp]] = []
            notices = []
            for change in news:
                op: AccountLogOp = change.op
                try:
                    _need(actor, _scope_of(change.op))
                    checks.check_account(held.state, change.op, full=held.full)
                except ClientError as error:
                    op = Void(code=error.code, was=tag_of(change.op))
                    notices.append(
                        Notice(version=change.version, code=error.code, message=error.message)
                    )
                said.append((change.version, change.clock, op))
            entries = await self._append(actor.app, name, held, ident, said)
        cursor = news[-1].version if news else cursor
        head = await self._log.head(actor.app, _name(name))
        return Integrated(cursor=cursor, head=head, entries=entries, notices=notices)

    async def act(self, actor: Actor, op: AccountOp) -> AccountState:
        """One op over REST, refused as a whole. Its scope was asked for there."""
        app, account = actor.app, actor.account
        _own(actor, account)
        held = await self._current(app, account)
        async with held.lock:
            checks.check_account(held.state, op, full=held.full)
            clock = max(int(self._clock.unix() * 1000), held.state.clock + 1)
            ident = f"rest:{self._process}"
            for _ in range(ATTEMPTS):
                if not held.rest:
                    held.rest = await self._log.cursor(app, _name(account), ident)
                held.rest += 1
                if await self._append(app, account, held, ident, [(held.rest, clock, op)]):
                    return held.state
                held.rest = 0
        raise Unavailable("this account changes too fast", 1)

    async def amend(self, app: str, account: str, ops: Sequence[AccountOp]) -> None:
        """The server's own, since what they were about was erased; then the log is cut, so that
        what they replace is nowhere.
        """
        held = await self._current(app, account)
        async with held.lock:
            ident = f"server:{self._process}"
            version = await self._log.cursor(app, _name(account), ident)
            clock = max(int(self._clock.unix() * 1000), held.state.clock + 1)
            said = [(version + place, clock, op) for place, op in enumerate(ops, start=1)]
            await self._append(app, account, held, ident, said)
            await self._save(app, account, held)

    async def forget(self, app: str, account: str) -> None:
        """Everything of its own, read or not."""
        self._held.pop((app, account), None)
        await self._rows.delete(app, account)
        head = await self._log.head(app, _name(account))
        await self._log.purge(app, _name(account), head.seq)

    async def _append(
        self,
        app: str,
        account: str,
        held: _Held,
        ident: str,
        said: Sequence[tuple[int, int, AccountLogOp]],
    ) -> list[AccountEntry]:
        """Versions with their clocks and ops; those that are new in the log."""
        now, name = int(self._clock.unix() * 1000), _name(account)
        ops, made = [], []
        for version, asked, op in said:
            clock = checks.clamp(asked, now, held.state.clock)
            plain = msgspec.msgpack.encode(_Said(now, clock, op))
            body = await self._sealing.seal_bytes(app, name, ident, version, account, plain)
            ops.append(NewOp(ident, version, body))
            made.append(
                AccountEntry(
                    seq=0, ident=ident, version=version, clock=clock, at=from_ms(now), op=op
                )
            )
        appended = await self._log.append(app, name, ops)
        entries = [
            msgspec.structs.replace(entry, seq=done.seq)
            for entry, done in zip(made, appended, strict=True)
            if not done.duplicate
        ]
        if entries:
            await self._appended(app, account, held, entries, appended[-1].chain)
        return entries

    async def _appended(
        self, app: str, account: str, held: _Held, entries: list[AccountEntry], chain: bytes
    ) -> None:
        first, last = entries[0].seq, entries[-1].seq
        if first == held.state.seq + 1:
            for entry in entries:
                held.state.apply(entry)
        else:
            # Another process was faster: what it wrote comes first.
            await self._fold(app, account, held, last)
        if any(isinstance(entry.op, Prefer | Block) for entry in entries):
            for hook in self.minded:
                hook(app, account)
        news = News(from_seq=first, to_seq=last, entries=entries, chain=chain)
        await self._hub.tell(app, _name(account), news)
        if held.state.seq - held.saved >= SAVE_EVERY:
            await self._save(app, account, held)

    async def _save(self, app: str, account: str, held: _Held) -> None:
        """The row, then the log is cut: in that order."""
        value, seq = AccountRow(held.state), held.state.seq
        held.full = len(msgspec.msgpack.encode(value)) > MOST_BYTES
        if held.full:
            return  # until something is given up
        try:
            row = await self._rows.get(app, account)
            if row is None:
                await self._rows.create(app, account, value)
            elif row.value.state.seq < seq:
                await self._rows.replace(app, row, value)
            await self._log.purge(app, _name(account), seq)
        except (Conflict, Unavailable):
            return  # what was asked for is in the log; the next op tries again
        held.saved = seq

    # Reading

    async def read(self, actor: Actor, name: str, after: int, limit: int) -> Batch:
        await self.may_read(actor, name)
        head = await self._log.head(actor.app, _name(name))
        if after < head.floor:
            raise Below(head)
        stored = await self._log.read(
            actor.app, _name(name), after=after, limit=min(limit, MOST_READ)
        )
        entries = await self._open(actor.app, name, stored)
        chain = stored[-1].chain if stored else await self.chain(actor.app, name, after)
        return Batch(entries=entries, chain=chain or b"", head=head)

    async def head(self, app: str, name: str) -> Head:
        return await self._log.head(app, _name(name))

    async def epoch(self, app: str, name: str) -> str:
        return ""

    async def cursor(self, app: str, name: str, ident: str) -> int:
        return await self._log.cursor(app, _name(name), ident)

    async def chain(self, app: str, name: str, seq: int) -> bytes | None:
        head = await self._log.head(app, _name(name))
        if seq == head.seq:
            return head.chain
        if seq == 0:
            return GENESIS
        stored = await self._log.read(app, _name(name), after=seq - 1, limit=1)
        return stored[0].chain if stored and stored[0].seq == seq else None

    def watch(self, app: str, name: str, watcher: Watcher) -> Cancel:
        return self._hub.watch(app, _name(name), watcher)

    async def tell(self, app: str, account: str, hint: Hint) -> None:
        """The account's own devices, wherever their sessions are."""
        await self._hub.tell(app, _name(account), hint)


def _name(account: str) -> str:
    """No room's id begins like this."""
    return f"@{account}"


def _own(actor: Actor, name: str) -> None:
    if actor.token or actor.account != name or not name:
        raise Refused(Code.NOT_PERMITTED, 403, "This is another account's.")


def _need(actor: Actor, scope: str) -> None:
    """What REST asks of a session's token holds for sync too."""
    scopes = actor.holder.scopes
    if scopes is not None and scope not in scopes:
        raise InsufficientScope(scope)


def _scope_of(op: AccountOp) -> str:
    return "account:write" if isinstance(op, Prefer) else "messages:write"
