"""Incoming webhooks as they are kept: a secret address, a room, and the bot that posts there.

The token is kept nowhere; a row is found by its SHA-256. What a program posts is JSON of ours
(`text`) or a payload as Slack's incoming webhooks take it, as far as it is text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from typing import Any
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from signaling.errors import ClientError, Code
from signaling.ids import Entropy
from signaling.keys.port import Sealer
from signaling.storage.port import Store
from signaling.storage.table import Row, Table

KIND = "delivery.inlet"
PREFIX = "hook_"
MAX_TEXT = 16_000
FORM = "application/x-www-form-urlencoded"
# `<https://example.org|a label>`, and mentions (`<!here>`, `<@U1>`), which are left as text.
_LINK = re.compile(r"<(https?://[^|>\s]+)(?:\|([^>]*))?>")


class Inlet(Struct, frozen=True, kw_only=True):
    """`account` is the bot's."""

    id: str
    name: str
    room: str
    account: str
    created: float


class Inlets:
    """One for each process."""

    def __init__(self, store: Store, sealer: Sealer, entropy: Entropy) -> None:
        self._rows: Table[Inlet] = Table(
            store, KIND, Inlet, sealer, terms=lambda one: (f"id:{one.id}",)
        )
        self._entropy = entropy

    async def create(self, app: str, one: Inlet) -> str:
        """The token."""
        # A digit and a capital first: whatever cleans logs knows it by them.
        token = f"{PREFIX}0A{_text(self._entropy.token(30))}"
        await self._rows.create(app, _digest(token), one)
        return token

    async def find(self, app: str, token: str) -> Inlet | None:
        row = await self._rows.get(app, _digest(token))
        return None if row is None else row.value

    async def page(self, app: str, after: str, limit: int) -> list[Row[Inlet]]:
        return await self._rows.scan(app, after=after, limit=limit)

    async def revoke(self, app: str, ident: str) -> bool:
        done = False
        for row in await self._rows.scan(app, term=f"id:{ident}", limit=1):
            done = await self._rows.delete(app, row.key)
        return done


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _text(random: bytes) -> str:
    return base64.urlsafe_b64encode(random).decode().rstrip("=")


def text_of(content_type: str, body: bytes) -> str:
    """Markdown of what was sent. Raises ClientError."""
    if content_type == FORM:
        # Slack's older form: `payload` is JSON.
        body = (
            parse_qs(body.decode("utf-8", "replace"), max_num_fields=20).get("payload") or [""]
        )[0].encode()
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise ClientError(Code.BAD_REQUEST, 400, "The body is not JSON.") from None
    text = "\n".join(_parts(found)).strip() if isinstance(found, dict) else ""
    if not text or len(text) > MAX_TEXT:
        message = f"`text` has 1 to {MAX_TEXT} characters."
        raise ClientError(Code.FIELDS_INVALID, 422, message)
    return text


def _parts(payload: dict[str, Any]) -> list[str]:
    """Blocks stand for the text where there are any; attachments follow."""
    blocks = _lines(payload.get("blocks"), _block)
    found = blocks or _said(payload.get("text"))
    for attachment in _objects(payload.get("attachments")):
        for name in ("pretext", "title", "text"):
            found += _said(attachment.get(name))
        found += _lines(attachment.get("blocks"), _block)
        for field in _objects(attachment.get("fields")):
            title, value = _said(field.get("title")), _said(field.get("value"))
            found += [" ".join([f"**{title[0]}**" if title else "", *value]).strip()]
    return [line for line in found if line]


def _block(block: dict[str, Any]) -> list[str]:
    inner = block.get("text")
    found = _said(inner.get("text")) if isinstance(inner, dict) else []
    for field in _objects(block.get("fields")):
        found += _said(field.get("text"))
    return found


def _lines(value: Any, each: Any) -> list[str]:
    return [line for one in _objects(value) for line in each(one)]


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)][:100] if isinstance(value, list) else []


def _said(value: Any) -> list[str]:
    if not isinstance(value, str) or not value.strip():
        return []
    return [html.unescape(_LINK.sub(_link, value))]


def _link(found: re.Match[str]) -> str:
    return f"[{found[2]}]({found[1]})" if found[2] else found[1]
