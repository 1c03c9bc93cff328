"""Events by POST: one as `application/cloudevents+json`, several as a batch of them, signed.

Structured mode of CloudEvents' HTTP binding (sections 3.2 and 3.3); signatures of Standard
Webhooks. The address is guarded where it is connected to (`signaling.egress`), and so is each of
the few redirects. Another origin gets the events without a signature: it names no receiver, so who
has it could show the same request to the first one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime

import msgspec

from signaling.clock import Clock
from signaling.delivery import signing
from signaling.delivery.port import Delivered, Gone, Item, Outcome, Retry
from signaling.delivery.subscriptions import Https, Subscription
from signaling.delivery.telling import Event
from signaling.egress import Answer, Egress, EgressFailed, EgressRefused

ONE = "application/cloudevents+json; charset=utf-8"
SEVERAL = "application/cloudevents-batch+json; charset=utf-8"
SECONDS = 12.0
# Nobody reads what a receiver says; more than this is an answer of somebody else.
MOST_ANSWER = 64 * 1024
MOST_WAIT = 3600.0
# As many as others of its kind follow.
REDIRECTS = 3


class HttpsSink:
    """Borrows `egress`."""

    def __init__(self, egress: Egress, clock: Clock) -> None:
        self._egress, self._clock = egress, clock

    async def send(
        self, one: Subscription, items: Sequence[Item], events: Sequence[Event]
    ) -> Outcome:
        assert isinstance(one.to, Https)
        batch = one.kind == "route"
        body = msgspec.json.encode(events if batch else events[0])
        ident = _ident(items)
        fields = {
            "content-type": SEVERAL if batch else ONE,
            "user-agent": "sotto",
            **signing.headers(one.to.keys, ident, self._clock.unix(), body),
        }
        try:
            answer = await self._egress.fetch(
                "POST", one.to.url, headers=fields, body=body, most=MOST_ANSWER, seconds=SECONDS,
                redirects=REDIRECTS,
            )  # fmt: skip
        except EgressRefused as error:
            return Retry(0.0, f"refused: {error}")
        except EgressFailed as error:
            return Retry(0.0, str(error))
        return outcome_of(answer, self._clock.unix())

    def epoch(self, ident: str) -> int:
        return 0

    async def close(self) -> None:
        return None


def outcome_of(answer: Answer, now: float) -> Outcome:
    if 200 <= answer.status < 300:
        return Delivered()
    if answer.status == 410:
        return Gone("it answers 410")
    return Retry(_wished(answer.headers.get("retry-after", ""), now), f"it answers {answer.status}")


def _wished(text: str, now: float) -> float:
    """`Retry-After` (RFC 9110 section 10.2.3), in seconds, bounded."""
    if text.isdecimal() and len(text) < 10:
        return min(float(text), MOST_WAIT)
    try:
        moment: datetime = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, min(moment.timestamp() - now, MOST_WAIT))


def _ident(items: Sequence[Item]) -> str:
    """The same for the same items."""
    said = "\n".join(item.id for item in items)
    return "msg_" + hashlib.sha256(said.encode()).hexdigest()[:32]
