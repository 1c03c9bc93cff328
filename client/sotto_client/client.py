"""A device of one account: its socket, the partitions it follows, and what it sends for them.

    stopped --start--> connecting <--> connected --stop--> stopped

Everything that is read or changed works while the server is away; `run` brings it there. One
asyncio task. What ends a session for good is told by `trouble`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
import uuid
from collections.abc import Awaitable, Callable

import aiohttp

from sotto_client import account as own
from sotto_client.account import Account
from sotto_client.api import Api
from sotto_client.backoff import Backoff
from sotto_client.local import Local
from sotto_client.outbox import Outbox
from sotto_client.presence import Presence
from sotto_client.replica import Frame, Phase, Replica, dumped
from sotto_client.ring import LogRing
from sotto_client.room import Room, advanced
from sotto_client.verdicts import Fate, fate_of

PROTOCOL = "sotto.1"
SILENCE_SECONDS = 60.0


class Trouble(Exception):  # noqa: N818 - names what happened
    """The server refused for good: sign in again."""


class Client:
    """See the module. `token` gives the access token for each new socket."""

    def __init__(
        self,
        url: str,
        local: Local,
        token: Callable[[], Awaitable[str]],
        *,
        account: str = "",
        http: aiohttp.ClientSession | None = None,
        backoff: Backoff | None = None,
        now: Callable[[], float] = time.time,  # noqa: TID251 - this is the adapter
    ) -> None:
        self.url = url.rstrip("/")
        self.local = local
        self.account = account
        self.log = LogRing(now)
        self.trouble: str = ""
        self.connections = 0
        self._token = token
        self._http = http
        self._owns_http = http is None
        self._backoff = backoff or Backoff(random.random)  # noqa: TID251 - this is the adapter
        self._now = now
        self._replicas: dict[str, Replica] = {}
        self._stopped: set[str] = set()
        """Paths that the server said to follow no longer."""
        self._presence: Presence | None = None
        self._background = False
        self._by_number: dict[int, Replica | Presence] = {}
        self._numbers = 0
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._task: asyncio.Task[None] | None = None
        self._outbox: Outbox | None = None
        self._filled = asyncio.Event()
        self._news = asyncio.Condition()
        self._rebinding: set[asyncio.Task[None]] = set()
        self.api = Api(self.url, token, self._session)

    # Life

    async def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self.run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        for task in self._rebinding:
            task.cancel()
        if self._owns_http and self._http is not None:
            await self._http.close()
            self._http = None

    async def __aenter__(self) -> Client:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession()
        return self._http

    @property
    def is_connected(self) -> bool:
        return self._socket is not None

    async def run(self) -> None:
        """Connect, and again whenever it ends, until it is cancelled or refused for good."""
        while not self.trouble:
            try:
                await self._once()
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                self.log.write("info", f"not connected: {type(error).__name__}")
            if self.trouble:
                break
            await asyncio.sleep(self._backoff.wait())

    async def _once(self) -> None:
        headers = {"Authorization": f"Bearer {await self._token()}"}
        async with self._session().ws_connect(
            self.url + "/sync", headers=headers, protocols=(PROTOCOL,), max_msg_size=0
        ) as socket:
            await self._serve(socket)

    async def _serve(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        hello = json.loads((await socket.receive(timeout=30)).data or "null")
        if not isinstance(hello, dict) or hello.get("type") != "hello":
            return
        self.account = hello["account"] or self.account
        self.log.write("info", "connected")
        self.connections += 1
        self._socket = socket
        rate, burst = hello["messages_per_second"], hello["messages_burst"]
        outbox = self._outbox = Outbox(rate, burst, asyncio.get_running_loop().time())
        sender = asyncio.create_task(self._send_all(socket, outbox))
        try:
            self._send(self._pace() if self._background else [])
            for followed in self._followed():
                if followed.path not in self._stopped:
                    self._send(followed.begin())
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                await self._hear(json.loads(message.data))
        finally:
            self.log.write("info", f"socket ended: {socket.close_code}")
            self._socket = self._outbox = None
            sender.cancel()
            for followed in self._followed():
                followed.gone()
            self._by_number.clear()
            await self._tell()

    async def _send_all(self, socket: aiohttp.ClientWebSocketResponse, outbox: Outbox) -> None:
        """At the pace of the socket, and of the server's limits."""
        now = asyncio.get_running_loop().time
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            while True:
                while not outbox:
                    self._filled.clear()
                    await self._filled.wait()
                if (seconds := outbox.wait(now())) > 0:
                    await asyncio.sleep(seconds)
                    continue
                await socket.send_str(dumped(outbox.take()))

    def _send(self, frames: list[Frame]) -> None:
        if self._outbox is not None:
            for frame in frames:
                self._outbox.put(frame)
            self._filled.set()

    async def _hear(self, frame: Frame) -> None:
        kind = frame["type"]
        if kind == "ping" and self._socket is not None:
            # Before all that waits: somebody is there.
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await self._socket.send_str(dumped({"type": "pong", "id": frame["id"]}))
            return
        replica = self._by_number.get(frame.get("session", 0))
        is_over = kind == "error" and self._complain(frame, replica)
        if replica is not None:
            was = replica.phase
            self._send(replica.hear(frame))
            if was is not Phase.SYNCED and replica.phase is Phase.SYNCED:
                self._backoff.reset()
            await self._tell()
        if is_over and self._socket is not None:
            await self._socket.close()

    def _complain(self, frame: Frame, replica: Replica | Presence | None) -> bool:
        """Whether the socket ends with it."""
        body, fate = frame["body"], fate_of(frame)
        self.log.write("warning", f"error {frame['code']} {frame['name']}: {body['message']}")
        if fate is Fate.SIGN_OUT:
            self.trouble = frame["name"]
        elif fate in (Fate.STOP, Fate.FORGET) and replica is not None:
            self._stopped.add(replica.path)
        elif fate is Fate.AGAIN and replica is not None:
            task = asyncio.create_task(self._again(replica))
            self._rebinding.add(task)
            task.add_done_callback(self._rebinding.discard)
        return fate in (Fate.SIGN_OUT, Fate.TOKEN, Fate.RECONNECT)

    async def _again(self, replica: Replica | Presence) -> None:
        socket = self._socket
        await asyncio.sleep(self._backoff.wait())
        if self._socket is socket and socket is not None and replica.phase is Phase.AWAY:
            self._send(replica.begin())

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def wait(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Until it holds; looked at after every frame. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            await self._until(condition)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with self._news:
            await self._news.wait_for(condition)

    # Partitions

    def _followed(self) -> list[Replica | Presence]:
        return [*self._replicas.values(), *([] if self._presence is None else [self._presence])]

    def _number(self, replica: Replica | Presence) -> int:
        self._by_number.pop(replica.session, None)
        self._numbers += 1
        self._by_number[self._numbers] = replica
        return self._numbers

    def replica(self, path: str) -> Replica:
        """Follow a partition from now on."""
        found = self._replicas.get(path)
        if found is None:
            folds = own.advanced if path == own.PATH else advanced
            found = Replica(self.local, path, self._milliseconds, self._number, folds)
            self._replicas[path] = found
            self._send(found.begin() if self._socket is not None else [])
        return found

    def follow(self, path: str) -> Replica:
        """The same; also one that the server had said to stop with, such as a room that one left
        and was let into again."""
        found = self.replica(path)
        if path in self._stopped:
            self._stopped.discard(path)
            self._send(found.begin() if self._socket is not None else [])
        return found

    def make(self, path: str, op: Frame) -> int:
        """A change of a partition: kept here at once, sent when it can be. Its version."""
        version, frames = self.replica(path).make(op)
        self._send(frames)
        return version

    async def synced(self, path: str, seconds: float = 30.0) -> None:
        """Until everything that the server had is here and nothing is pending."""
        replica = self.replica(path)
        async with asyncio.timeout(seconds):
            while not await self._marked(replica):
                pass

    async def _marked(self, replica: Replica) -> bool:
        """False: the session ended before the server answered, which it then never does."""
        await self._until(lambda: replica.phase is Phase.SYNCED and not replica.pending())
        session = replica.session
        request, frame = replica.mark()
        self._send([frame])

        def over() -> bool:
            return replica.session != session or replica.phase is not Phase.SYNCED

        await self._until(lambda: request in replica.marks or over())
        return request in replica.marks

    def _milliseconds(self) -> int:
        return int(self._now() * 1000)

    def room(self, room: str) -> Room:
        return Room(self, room)

    def own(self) -> Account:
        """One's own data, the same on all one's devices."""
        return Account(self)

    def presence(self) -> Presence:
        """How people are, followed from now on."""
        if self._presence is None:
            self._presence = Presence(self._number)
            self._send(self._presence.begin() if self._socket is not None else [])
        return self._presence

    def background(self, background: bool) -> None:
        """Nobody looks at this device now, or somebody does again: one whose devices are all in
        the background is away. The server pings less often then."""
        if background is not self._background:
            self._background = background
            self._send(self._pace())

    def _pace(self) -> list[Frame]:
        return [{"type": "pace", "background": self._background}]

    def new_id(self) -> str:
        """UUIDv7 of now (RFC 9562 section 5.7): a message's id is its author's device's to make."""
        value = int(self._now() * 1000) << 80 | random.getrandbits(74) | 7 << 76
        value = value & ~(0xF << 76) & ~(0x3 << 62) | 7 << 76 | 2 << 62
        return str(uuid.UUID(int=value))
