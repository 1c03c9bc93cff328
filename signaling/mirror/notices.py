"""Notices about people for who reads the mirror (GDPR 19): the outbox's way into `notices`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import asdict

from signaling.delivery.notices import told
from signaling.delivery.port import Delivered, Item, Outcome, Retry
from signaling.errors import Unavailable
from signaling.mirror.port import Document, MirrorStore


class NoticeDocument(Struct, frozen=True, kw_only=True):
    """One notice, with `_id` before it."""

    event: str
    account: str
    fields: tuple[str, ...]
    at: datetime


class NoticeSender:
    """Implements `delivery.port.Sender`. Writing a notice again changes nothing."""

    def __init__(self, store: MirrorStore) -> None:
        self._store = store

    async def send(self, app: str, target: str, items: Sequence[Item]) -> Outcome:
        try:
            for item in items:
                await self._store.notice(document_of(item))
        except Unavailable as error:
            return Retry(error.retry_after or 1, "the mirror is away")
        return Delivered()


def document_of(item: Item) -> Document:
    event = told(item)
    data = event["data"]
    made = NoticeDocument(
        event=event["type"], account=data["account"], fields=tuple(data["fields"]),
        at=datetime.fromisoformat(event["time"]),
    )  # fmt: skip
    return {"_id": event["id"], **asdict(made)}
