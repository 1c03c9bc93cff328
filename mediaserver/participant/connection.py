"""One peer connection: an engine transport with its ICE credentials, DTLS and data channels.

Knows nothing of tracks. Its states and what moves it:

NEW --remote description--> CONNECTING --ICE pair and DTLS--> CONNECTED
any --handshake, fingerprint or engine failure--> FAILED;  any --close()--> CLOSED

Owned by one participant; engine events are handed in by the call.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from enum import Enum

from mediaserver.api import Channel, Target
from mediaserver.candidates import Candidates
from mediaserver.context import Context
from mediaserver.data_channels import DataChannels
from mediaserver.describe import Local
from mediaserver.engine_types import EngineError, SrtpKeys
from mediaserver.errors import ClientError, Code
from mediaserver.negotiation import Remote
from mediaserver.sdp import Section

logger = logging.getLogger(__name__)


class State(Enum):
    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"
    CLOSED = "closed"


ENDED = (State.FAILED, State.CLOSED)


class Connection:
    """See the module. `on_connected` once, `on_failed` at most once."""

    def __init__(
        self,
        context: Context,
        call: int,
        target: Target,
        *,
        creates_channels: bool,
        on_connected: Callable[[Target], None],
        on_failed: Callable[[Target, str], None],
        on_message: Callable[[Channel, bytes], None],
    ) -> None:
        from mediaserver.dtls import DtlsTransport, EngineDatagrams  # see `Context`

        self._context = context
        self.target = target
        self.state = State.NEW
        self.candidates = Candidates(limit=context.limits.candidates)
        self.protocol = ""
        self.idle_s = 0.0
        self._on_connected = on_connected
        self._on_failed = on_failed
        self._certificate = context.certificate
        self._ice = context.engine.create_transport(call)
        self.transport = self._ice.transport
        self._remote: Remote | None = None
        self._session_id = context.new_id()
        self._version = 0
        self._ice_up = False
        self._dtls_up = False
        self._task: asyncio.Task[None] | None = None
        self._data_section: Section | None = None
        self._unsent: deque[bytes] = deque(maxlen=16)
        self._datagrams = EngineDatagrams(self._send_datagram)
        self.data = DataChannels(
            context.data_limits, context.make_association, on_message, create=creates_channels
        )
        self.dtls = DtlsTransport(
            self._datagrams,
            self._certificate,
            context.gate,
            self._set_keys,
            self.data.receive,
        )

    def local(self) -> Local:
        """For the next description that we write; each has a higher version (RFC 3264 8)."""
        self._version += 1
        return Local(
            ufrag=self._ice.ufrag,
            pwd=self._ice.pwd,
            fingerprint=self._certificate.fingerprint,
            candidates=self._context.candidates,
            session_id=self._session_id,
            version=self._version,
            max_message_size=self._context.limits.message_bytes,
        )

    def check_remote(self, remote: Remote) -> None:
        """Raise before anything is changed: DTLS is made once and cannot change its peer."""
        if self.state in ENDED:
            raise ClientError(Code.PARTICIPANT_CLOSED, 409, "the connection has ended")
        if self._remote is not None and remote.fingerprints != self._remote.fingerprints:
            raise ClientError(
                Code.FINGERPRINT_CHANGED, 400, "the fingerprint changed within a connection"
            )

    def restarts(self, remote: Remote) -> bool:
        """New credentials of the client are an ICE restart (RFC 8839 section 4.4.1.1.1)."""
        old = self._remote
        return old is not None and (old.ufrag, old.pwd) != (remote.ufrag, remote.pwd)

    def restart_ice(self) -> None:
        self._ice = self._context.engine.restart_ice(self.transport)

    def apply_remote(self, remote: Remote, data: Section | None) -> None:
        """Take over the client's side; the first time this starts DTLS."""
        old, self._remote = self._remote, remote
        if old is None or (old.ufrag, old.pwd) != (remote.ufrag, remote.pwd):
            self._context.engine.set_remote_ice(self.transport, remote.ufrag, remote.pwd)
        if old is None:
            self.state = State.CONNECTING
            self._task = asyncio.create_task(self._handshake(remote))
        if data is not None and not data.rejected:
            self._data_section = data
            self._maybe_open_data()

    def _maybe_open_data(self) -> None:
        section = self._data_section
        if section is not None and self._dtls_up:
            self.data.start(
                self.dtls,
                dtls_server=self.dtls.is_server,
                remote_limit=section.max_message_size,
            )

    async def _handshake(self, remote: Remote) -> None:
        seconds = self._context.limits.handshake_seconds
        if await self.dtls.connect(remote.fingerprints, client=remote.client, seconds=seconds):
            self.dtls.on("statechange", self._dtls_changed)
            self._dtls_up = True
            self._maybe_open_data()
            self._maybe_connected()
        elif self.state not in ENDED:
            self._context.drops[self.dtls.failure] += 1
            self.fail("ice_timeout" if not self._ice_up else self.dtls.failure)

    def _dtls_changed(self) -> None:
        if self.dtls.state == "closed" and self.state not in ENDED:
            self.fail("peer_closed")

    def _maybe_connected(self) -> None:
        if self._ice_up and self._dtls_up and self.state is State.CONNECTING:
            self.state = State.CONNECTED
            self._on_connected(self.target)

    def ice_connected(self, protocol: str) -> None:
        self._ice_up = True
        self.protocol = protocol
        while self._unsent:
            self._send_datagram(self._unsent.popleft())
        self._maybe_connected()

    def feed_dtls(self, data: bytes) -> None:
        self._datagrams.feed(data)

    def fail(self, reason: str) -> None:
        if self.state in ENDED:
            return
        self.state = State.FAILED
        logger.info("connection failed: %s", reason)
        self._on_failed(self.target, reason)

    def _set_keys(self, keys: SrtpKeys) -> None:
        self._guarded(self._context.engine.set_srtp, self.transport, keys)

    def _send_datagram(self, data: bytes) -> None:
        if not self._ice_up:
            # A ClientHello may come before the client nominates; our flight waits for that
            # rather than for its retransmission a second later.
            self._unsent.append(data)
            return
        self._guarded(self._context.engine.send_dtls, self.transport, data)

    def _guarded(self, command: Callable[..., None], *args: object) -> None:
        """The engine may have ended the transport a moment ago; its event is on the way."""
        try:
            command(*args)
        except EngineError as error:
            self._context.drops[f"engine_{error.code}"] += 1

    def drops(self) -> Counter[str]:
        """What this connection refused so far, by reason."""
        total = Counter(self.data.drops)
        if self._datagrams.dropped:
            total["dtls_junk"] = self._datagrams.dropped
        return total

    async def close(self) -> None:
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        task = self._task
        if task is not None and not task.done() and task is not asyncio.current_task():
            task.cancel()
        self.data.close()
        await self.dtls.stop()
        self._datagrams.close()
        self._context.drops.update(self.drops())
        self._context.engine.close_transport(self.transport)
