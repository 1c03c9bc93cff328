"""What operators note on an account over HTTP, and the filters by which they find accounts."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from signaling.accounts.labels import MOST_TAGS, Wanted
from signaling.accounts.operations import shapes
from signaling.accounts.service import Service
from signaling.http.api.operation import Body, Call, Query

LINE = r"^[^\x00-\x1f\x7f]*$"
Tag = Annotated[str, Meta(min_length=1, max_length=64, pattern=LINE)]
# What 48 bits of milliseconds in an id can say, and a little less.
LATEST = 281_000_000_000


class Noted(Body, frozen=True, kw_only=True):
    """What is left out is taken away."""

    external_id: Annotated[str, Meta(max_length=128, pattern=LINE)] = ""
    tags: Annotated[tuple[Tag, ...], Meta(max_length=MOST_TAGS)] = ()


class AccountFilter(Query, frozen=True, kw_only=True):
    """All that is said holds. Times as in answers: Unix seconds."""

    login: shapes.Short | None = None
    external_id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    tag: Tag | None = None
    created_since: Annotated[float, Meta(ge=0, le=LATEST)] | None = None
    created_before: Annotated[float, Meta(ge=0, le=LATEST)] | None = None

    def wanted(self) -> Wanted:
        return Wanted(
            login=self.login or "", external_id=self.external_id or "", tag=self.tag or "",
            since=self.created_since, before=self.created_before,
        )  # fmt: skip


class Handlers:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def note(self, call: Call[Noted]) -> shapes.AccountAnswer:
        app, ident, wish = call.principal.app, call.path["account_id"], call.body
        call.note.target = f"account:{ident}"
        await self._service.administration.managed(app, call.principal.roles, ident)
        account = await self._service.labels.set(app, ident, wish.external_id, wish.tags)
        return shapes.account_answer(account)
