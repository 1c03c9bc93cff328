"""Events to a syslog receiver over TLS, on the audit's own line (RFC 5424, RFC 5425).

Nothing is acknowledged. The outbox keeps what was sent for the overlap and sends it again after a
loss; receivers know doubles by the event's `id`. Each route has a connection of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from signaling.compliance.audit.export import timestamp
from signaling.compliance.audit.forward.syslog import Line, Streams, field_of, frame
from signaling.delivery.events import PREFIX
from signaling.delivery.port import Delivered, Item, Outcome, Retry
from signaling.delivery.subscriptions import Subscription, Syslog
from signaling.delivery.telling import Event
from signaling.egress import Egress, EgressFailed, EgressRefused
from signaling.errors import Unavailable

INFORMATIONAL = 6
# Below the outbox's own patience, so that a stalled connection is closed here.
SECONDS = 12.0


@dataclass(slots=True)
class _Held:
    """A route's connection; `to` is what it was made for, `losses` how often it was lost."""

    to: Syslog
    line: Line
    losses: int = 0
    noticed: bool = False
    gate: asyncio.Lock = field(default_factory=asyncio.Lock)


class SyslogSink:
    """Borrows `egress`. `close` it."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._held: dict[str, _Held] = {}
        self._host = socket.gethostname()

    async def send(
        self, one: Subscription, items: Sequence[Item], events: Sequence[Event]
    ) -> Outcome:
        to = one.to
        assert isinstance(to, Syslog)
        held = await self._line(one.id, to)
        async with held.gate:
            return await self._write(held, events)

    async def _write(self, held: _Held, events: Sequence[Event]) -> Outcome:
        if held.line.lost:
            noticed = held.noticed
            await self._drop(held)
            if not noticed:
                return Retry(0.0, "the receiver ended the connection")
        try:
            async with asyncio.timeout(SECONDS):
                await held.line.write([frame(self._message(held.to, event)) for event in events])
        except EgressRefused as error:
            return Retry(0.0, f"refused: {error}")
        except EgressFailed as error:
            return Retry(0.0, str(error))
        except (Unavailable, TimeoutError) as error:
            await self._drop(held)
            return Retry(0.0, str(error) or "it takes nothing")
        return Delivered(settle_s=held.to.overlap_seconds)

    def epoch(self, ident: str) -> int:
        held = self._held.get(ident)
        if held is None:
            return 0
        if held.line.lost and not held.noticed:
            held.losses += 1
            held.noticed = True
        return held.losses

    async def _drop(self, held: _Held) -> None:
        """The next batch goes over a new connection."""
        await held.line.close()
        held.losses += not held.noticed
        held.noticed = False

    async def close(self) -> None:
        for held in self._held.values():
            await held.line.close()
        self._held.clear()

    async def _line(self, ident: str, to: Syslog) -> _Held:
        held = self._held.get(ident)
        if held is None or held.to != to:
            losses = 0 if held is None else held.losses + 1
            if held is not None:
                await held.line.close()
            held = self._held[ident] = _Held(to, self._new(to), losses)
        return held

    def _new(self, to: Syslog) -> Line:
        async def connect() -> Streams:
            place = await self._egress.place(to.host, to.port)
            return await asyncio.open_connection(
                place.address, place.port, ssl=place.context, server_hostname=place.name
            )

        return Line(connect)

    def _message(self, to: Syslog, event: Event) -> bytes:
        """RFC 5424 section 6. MSGID is the event's type; the message its JSON."""
        shown: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(event))
        moment = datetime.fromisoformat(str(shown["time"]))
        head = " ".join(
            (
                f"<{to.facility * 8 + INFORMATIONAL}>1",
                timestamp(moment.timestamp()),
                field_of(self._host, 255),
                "sotto",
                str(os.getpid()),
                field_of(str(shown["type"]).removeprefix(PREFIX), 32),
                '[origin software="sotto"]',
            )
        )
        return head.encode("ascii") + b" " + _ascii(shown)


def _ascii(shown: Any) -> bytes:
    """Any log receiver takes it."""
    return json.dumps(shown, separators=(",", ":")).encode("ascii")
