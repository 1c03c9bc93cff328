"""RPC from the server API into a call: `PerformRpc` sends the request, answers are caught on their
way.

RPC between participants is ordinary data and passes `data`. Here only packets that answer our own
requests stop. Time comes from the clock; the result is handed to the waiting future.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from livekit.protocol import models

from mediaserver.api import Channel
from signaling.rtc.clock import Timer
from signaling.rtc.ids import Prefix

if TYPE_CHECKING:
    from signaling.rtc.participant import Participant
    from signaling.rtc.services import Services

CONNECTION_TIMEOUT = 1501
RESPONSE_TIMEOUT = 1502
RECIPIENT_DISCONNECTED = 1503
REQUEST_TOO_LARGE = 1402


class RpcFailure(Exception):  # noqa: N818 - a result that travels, named as one
    """A failed call: LiveKit's RPC error code, its text, and the handler's data."""

    def __init__(self, code: int, text: str, data: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.data = data


@dataclass(slots=True)
class _Waiting:
    recipient: str
    done: Callable[[str | RpcFailure], None]
    ack: Timer
    response: Timer


class RpcCalls:
    """The server's own calls into one room, by request id."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._waiting: dict[str, _Waiting] = {}

    def call(
        self,
        recipient: Participant,
        method: str,
        payload: str,
        timeout_ms: int,
        done: Callable[[str | RpcFailure], None],
    ) -> None:
        """`done` is called once, with the payload or the failure."""
        times, limits = self._services.settings.times, self._services.settings.limits
        if len(payload.encode()) > limits.rpc_payload_bytes:
            done(RpcFailure(REQUEST_TOO_LARGE, "Request payload too large"))
            return
        if len(self._waiting) >= limits.rpc_calls_waiting:
            done(RpcFailure(CONNECTION_TIMEOUT, "Too many calls are waiting"))
            return
        seconds = timeout_ms / 1000 if timeout_ms else times.rpc_response
        request_id = self._services.ids.make(Prefix.RPC)
        clock = self._services.clock
        self._waiting[request_id] = _Waiting(
            recipient=recipient.sid,
            done=done,
            ack=clock.call_later(
                min(times.rpc_ack, seconds),
                lambda: self._fail(request_id, CONNECTION_TIMEOUT, "Connection timeout"),
            ),
            response=clock.call_later(
                seconds, lambda: self._fail(request_id, RESPONSE_TIMEOUT, "Response timeout")
            ),
        )
        packet = models.DataPacket(
            kind=models.DataPacket.Kind.RELIABLE,
            # Clients send their answer to this identity, so the id finds its way back.
            participant_identity=request_id,
            rpc_request=models.RpcRequest(
                id=request_id,
                method=method,
                payload=payload,
                response_timeout_ms=int(seconds * 1000),
                version=1,
            ),
        )
        recipient.data.deliver(Channel.RELIABLE, packet.SerializeToString())

    def intercept(self, packet: models.DataPacket) -> bool:
        """True when the packet answered one of our calls and goes no further."""
        value = packet.WhichOneof("value")
        if value == "rpc_ack":
            waiting = self._match(packet.rpc_ack.request_id, packet)
            if waiting is not None:
                waiting.ack.cancel()
            return waiting is not None
        if value != "rpc_response":
            return False
        response = packet.rpc_response
        if self._match(response.request_id, packet) is None:
            return False
        if response.WhichOneof("value") == "error":
            error = response.error
            self._finish(response.request_id, RpcFailure(error.code, error.message, error.data))
        else:
            self._finish(response.request_id, response.payload)
        return True

    def _match(self, request_id: str, packet: models.DataPacket) -> _Waiting | None:
        waiting = self._waiting.get(request_id)
        if waiting is None or waiting.recipient != packet.participant_sid:
            return None
        return waiting

    def left(self, participant: Participant) -> None:
        for request_id, waiting in list(self._waiting.items()):
            if waiting.recipient == participant.sid:
                self._fail(request_id, RECIPIENT_DISCONNECTED, "Recipient disconnected")

    def _fail(self, request_id: str, code: int, text: str) -> None:
        self._finish(request_id, RpcFailure(code, text))

    def _finish(self, request_id: str, result: str | RpcFailure) -> None:
        waiting = self._waiting.pop(request_id, None)
        if waiting is not None:
            waiting.ack.cancel()
            waiting.response.cancel()
            waiting.done(result)
