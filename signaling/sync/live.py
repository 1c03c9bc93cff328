"""One session on one socket: carries out what its engine asks for. An adapter; owned by the hub.

bound -> identified (has a feed) -> over
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from signaling.accounts.principal import Principal
from signaling.accounts.sessions.port import Revocation
from signaling.chat.ports import Actor, BadVersion, Below
from signaling.errors import ClientError, Unavailable
from signaling.storage.port import Head
from signaling.sync.batch import Batch
from signaling.sync.connection import Connection
from signaling.sync.engine import (
    PAGE,
    Effect,
    Fail,
    Integrate,
    LookAtHead,
    Phase,
    Read,
    Resume,
    Send,
    Session,
)
from signaling.sync.errors import Action, Close, Fault, SyncCode, translate

if TYPE_CHECKING:
    from signaling.sync.binding import Bound
    from signaling.sync.feed import Feed
    from signaling.sync.hub import Hub

log = logging.getLogger(__name__)

HIGH_WATER = 256 * 1024
"""What waits in a socket before its sessions are given less: then they read from the store."""
LOW_WATER = 64 * 1024
SLOW_SECONDS = 10.0
"""A reader that takes nothing for so long is cut."""
LOOK_SECONDS = 0.05


class Live:
    """See the module."""

    __slots__ = (
        "__weakref__",
        "_hub",
        "bound",
        "connection",
        "engine",
        "feed",
        "number",
        "path",
        "release",
        "timer",
    )

    def __init__(self, hub: Hub, connection: Connection, number: int, bound: Bound) -> None:
        self.connection = connection
        self.number = number
        self.path = ""
        self.bound = bound
        self.engine = Session(number)
        self.feed: Feed | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.release = _nothing
        self._hub = hub

    @property
    def actor(self) -> Actor:
        return self.bound.actor

    @property
    def is_live(self) -> bool:
        return self.engine.phase is Phase.LIVE

    @property
    def is_over(self) -> bool:
        return self.engine.phase is Phase.OVER

    # What comes

    def run(self, effects: list[Effect]) -> None:
        for effect in effects:
            if type(effect) is Send:
                self.connection.send_bytes(effect.data)
            elif isinstance(effect, Fail):
                self._hub.drop(self)
                self._hub.note(self, "sync.end", fault=effect.fault)
                self.connection.fault(effect.fault, session=self.number)
            else:
                self._hub.spawn(self._answer(effect))

    def news(self, batch: Batch) -> None:
        self._spare()
        self.run(self.engine.news(batch))

    def own(self, batch: Batch) -> None:
        """With what this session wrote."""
        self._spare()
        self.run(self.engine.own(batch))

    def _spare(self) -> None:
        """A socket whose reader lags is not filled further: it reads on when it has room."""
        if self.connection.backlog > HIGH_WATER:
            self.run(self.engine.behind())

    def floor(self, floor: int) -> None:
        self.run(self.engine.floor(floor))

    def tell(self, frame: bytes) -> bool:
        """A hint, which a slow reader does without. Whether it was sent."""
        told = self.is_live and self.connection.backlog < LOW_WATER
        if told:
            self.connection.send_bytes(frame)
        return told

    def fail(self, fault: Fault) -> None:
        self.run(self.engine.failed(fault))

    def upload(self, changes: list[msgspec.Raw]) -> None:
        """Raises Fault 212 for what is no change of this partition; then none of it is taken."""
        decode = self.bound.decoder.decode
        try:
            read = [decode(change) for change in changes]
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            self.fail(Fault(SyncCode.BAD_CHANGE, f"A change could not be read: {error}"[:300]))
            return
        self.run(self.engine.upload(read))

    # What is asked for

    async def _answer(self, effect: Effect) -> None:
        try:
            if isinstance(effect, Integrate):
                await self._integrate(effect.changes)
            elif isinstance(effect, Read):
                await self._read(effect.after)
            elif isinstance(effect, Resume):
                await self._resume(effect)
            elif isinstance(effect, LookAtHead):
                head = await self.bound.partition.head(self.actor.app, self.bound.name)
                self.run(self.engine.looked(effect.request, head.seq))
        except Exception as error:
            self.fail(fault_of(error))

    async def _resume(self, effect: Resume) -> None:
        app, name, partition = self.actor.app, self.bound.name, self.bound.partition
        head: Head = await partition.head(app, name)
        cursor = await partition.cursor(app, name, effect.ident)
        chain, state = None, None
        if effect.at == 0:
            state = msgspec.json.encode((await partition.state(self.actor, name))[1])
        elif effect.at == head.seq:
            chain = head.chain
        else:
            chain = await partition.chain(app, name, effect.at)
        self.run(self.engine.resumed(head, cursor, chain, state))

    async def _read(self, after: int) -> None:
        if not await self._room_to_send():
            return
        try:
            found = await self.bound.partition.read(self.actor, self.bound.name, after, PAGE)
        except Below as below:
            self.run(self.engine.sunk(below.head.floor))
            return
        self.run(self.engine.page(Batch(found.entries, found.chain)))

    async def _room_to_send(self) -> bool:
        """False: the reader took nothing for too long, and was cut."""
        connection, loop = self.connection, asyncio.get_running_loop()
        least, since = connection.backlog, loop.time()
        while (backlog := connection.backlog) > LOW_WATER and not connection.over:
            if backlog < least:
                least, since = backlog, loop.time()
            if loop.time() - since > self._hub.slow_seconds:
                connection.cut()
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return not connection.over and not self.is_over

    async def _integrate(self, changes: Any) -> None:
        done = await self.bound.partition.integrate(
            self.actor, self.bound.name, self.engine.ident, changes
        )
        taken = len(done.entries) - len(done.notices)
        if taken > 0:
            self._hub.note(self, "sync.upload", times=taken)
        for notice in done.notices:
            self._hub.note(self, "sync.upload", code=notice.code.value)
        feed, newest = self.feed, done.entries[-1].seq if done.entries else 0
        if feed is not None and feed.newest < newest:
            # The hint of these is under way, unless the bus lost it.
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._missed, newest)
        self.run(self.engine.integrated(done))
        if feed is not None and feed.last < newest:
            feed.hurry(self)

    def _missed(self, seq: int) -> None:
        if self.feed is not None and self.feed.newest < seq:
            self.feed.look()

    # Rights

    async def review(self) -> None:
        try:
            await self.bound.partition.may_read(self.actor, self.bound.name)
        except ClientError:
            # Refused, or 404: of a room that one is no longer in one may not even know.
            self.fail(
                Fault(
                    SyncCode.PERMISSIONS_CHANGED,
                    "You may no longer read this.",
                    action=Action.WARNING,
                    status=403,
                )
            )
        except Unavailable:
            self.unsure()

    # Holder: of the access token that it was bound with

    @property
    def principal(self) -> Principal:
        return self._hub.principal_of(self)

    def ended(self, revocation: Revocation) -> None:
        message, action = "Token is revoked", Action.LOG_OUT_USER
        self.fail(Fault(SyncCode.PERMISSIONS_CHANGED, message, action=action, status=403))

    def changed(self, principal: Principal) -> None:
        """A grant never changes; another one is another token."""

    def unsure(self) -> None:
        self.connection.end(Close.TRY_LATER, "rights cannot be checked now")


def fault_of(error: Exception) -> Fault:
    """A session's error for what its partition raised."""
    if isinstance(error, BadVersion):
        message = f"Version {error.expected} is the next."
        return Fault(SyncCode.BAD_CLIENT_VERSION, message, action=Action.APPLICATION_BUG)
    if isinstance(error, ClientError) and error.status == 404:
        return Fault(SyncCode.NO_SUCH_PARTITION, error.message, action=Action.WARNING, status=404)
    fault = translate(error)
    if fault is None:
        log.error("a sync session failed", exc_info=error)
        return Fault(
            SyncCode.OTHER_SESSION_ERROR, "Our error.", try_again=True, action=Action.TRANSIENT,
            status=500,
        )  # fmt: skip
    return fault


def _nothing() -> None:
    """Of a session that holds nothing."""
