"""Tells other processes over the bus which keys changed, and forgets what they tell.

A hint only: where it does not arrive, a cached key ends with its time.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec

from signaling.bus.port import Bus
from signaling.keys.envelope import Envelope
from signaling.keys.lifecycle import KeySet

log = logging.getLogger(__name__)

TOPIC = "keys"


class Hint(msgspec.Struct, frozen=True):
    app: str
    key: str
    scope: str
    versions: int


class KeyHints:
    """Owned by the composition root; `close` ends it."""

    def __init__(self, bus: Bus, envelope: Envelope) -> None:
        self._bus = bus
        self._envelope = envelope
        self._subscription = bus.subscribe(TOPIC, self._heard)
        self._sending: set[asyncio.Task[None]] = set()

    def announce(self, keys: KeySet) -> None:
        newest = max((version.number for version in keys.versions), default=0)
        payload = msgspec.msgpack.encode(Hint(keys.app, keys.id, keys.scope, newest))
        task = asyncio.ensure_future(self._bus.publish(TOPIC, payload))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def close(self) -> None:
        self._subscription.close()

    def _heard(self, payload: bytes) -> None:
        try:
            hint = msgspec.msgpack.decode(payload, type=Hint)
            self._envelope.forget_named(hint.app, hint.scope, hint.key, hint.versions)
        except (msgspec.DecodeError, ValueError):
            # Whoever can write to the bus may cost us a look-up, never more.
            log.warning("a hint about keys makes no sense")
            return
