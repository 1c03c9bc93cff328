"""S3 and SQS, and whatever speaks like them: HTTPS requests that are signed, without an SDK.

S3 keeps a batch as an object whose name follows from its places, so the same batch twice is one
object. SQS takes ten messages at once; in a FIFO queue a room is a group and an event's id tells
doubles, elsewhere the id is in the message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from yarl import URL

from signaling.clock import Clock
from signaling.delivery.port import Delivered, Item, Outcome, Retry
from signaling.delivery.sender import group_of
from signaling.delivery.sinks.https import SECONDS, SEVERAL
from signaling.delivery.subscriptions import MOST_SQS, S3, Sqs, Subscription
from signaling.delivery.telling import Event
from signaling.egress import Answer, Egress, EgressFailed, EgressRefused
from signaling.secret import Secret
from signaling.sigv4 import Credentials, Request, Scope, sign

MOST_ANSWER = 64 * 1024
JSON = "application/x-amz-json-1.0"


class _Failed(msgspec.Struct):
    Id: str = ""
    Code: str = ""


class _Sent(msgspec.Struct):
    """The answer of SendMessageBatch."""

    Failed: list[_Failed] = []


class _Signed:
    """Requests to one service. Borrows `egress`."""

    def __init__(self, egress: Egress, clock: Clock) -> None:
        self._egress, self._clock = egress, clock

    async def _ask(
        self, to: S3 | Sqs, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> Answer | Retry:
        where = URL(url)
        port = "" if where.is_default_port() else f":{where.port}"
        now = datetime.fromtimestamp(self._clock.unix(), UTC)
        request = Request(method, f"{where.host}{port}", where.raw_path, body, headers=headers)
        scope = Scope(to.region, "s3" if isinstance(to, S3) else "sqs")
        fields = sign(Credentials(to.access_key, Secret(to.secret_key)), scope, request, now)
        try:
            return await self._egress.fetch(
                method, url, headers=fields, body=body, most=MOST_ANSWER, seconds=SECONDS
            )
        except EgressRefused as error:
            return Retry(0.0, f"refused: {error}")
        except EgressFailed as error:
            return Retry(0.0, str(error))

    def epoch(self, ident: str) -> int:
        return 0

    async def close(self) -> None:
        return None


class S3Sink(_Signed):
    """One object a batch."""

    async def send(
        self, one: Subscription, items: Sequence[Item], events: Sequence[Event]
    ) -> Outcome:
        to = one.to
        assert isinstance(to, S3)
        name = _name(group_of(items[0], events[0]), items)
        url = f"{to.endpoint.rstrip('/')}/{to.bucket}/{to.prefix}{name}"
        body = msgspec.json.encode(events)
        answer = await self._ask(to, "PUT", url, {"content-type": SEVERAL}, body)
        if isinstance(answer, Retry):
            return answer
        if 200 <= answer.status < 300:
            return Delivered()
        return Retry(0.0, f"it answers {answer.status}")


def _name(room: str, items: Sequence[Item]) -> str:
    """Sorts by room and place; items of transient rooms have none."""
    first, last = items[0], items[-1]
    if first.place:
        return f"{room}/{first.place:016d}-{last.place:016d}.json"
    said = "\n".join(item.id for item in items)
    return f"{room}/{hashlib.sha256(said.encode()).hexdigest()[:32]}.json"


class SqsSink(_Signed):
    """One message an event."""

    async def send(
        self, one: Subscription, items: Sequence[Item], events: Sequence[Event]
    ) -> Outcome:
        to = one.to
        assert isinstance(to, Sqs)
        headers = {"content-type": JSON, "x-amz-target": "AmazonSQS.SendMessageBatch"}
        for start in range(0, len(events), MOST_SQS):
            entries = [
                _entry(to, group_of(items[0], event), place, msgspec.json.encode(event))
                for place, event in enumerate(events[start : start + MOST_SQS])
            ]
            body = msgspec.json.encode({"QueueUrl": to.queue_url, "Entries": entries})
            root = str(URL(to.queue_url).origin()) + "/"
            answer = await self._ask(to, "POST", root, headers, body)
            if isinstance(answer, Retry):
                return answer
            if not 200 <= answer.status < 300:
                return Retry(0.0, f"it answers {answer.status}")
            try:
                failed = msgspec.json.decode(answer.body, type=_Sent).Failed
            except msgspec.MsgspecError:
                return Retry(0.0, "its answer is no answer of SQS")
            if failed:
                return Retry(0.0, f"it did not take {len(failed)}: {failed[0].Code[:64]}")
        return Delivered()


def _entry(to: Sqs, group: str, place: int, body: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"Id": f"n{place}", "MessageBody": body.decode()}
    if to.queue_url.endswith(".fifo"):
        ident = str(msgspec.json.decode(body)["id"])
        entry |= {"MessageGroupId": group, "MessageDeduplicationId": ident}
    return entry
