"""Bots on the HTTP API: accounts of programs, and the tokens by which they come in.

Of administrators alone, each act after a fresh proof. Disabling and deleting a bot are those of
every account (`administering`): its tokens, sockets and calls end with it.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from signaling.accounts import names
from signaling.accounts.model import Account
from signaling.accounts.principal import Kind, Role
from signaling.accounts.registry import Registry
from signaling.accounts.sessions.bots import SCOPES, BotTokens
from signaling.accounts.sessions.records import Session
from signaling.accounts.sessions.tokens import Token
from signaling.clock import Clock
from signaling.errors import ClientError, Code, FieldError
from signaling.http.api.operation import Body, Call, Operation, Page, Reply, administered
from signaling.ids import Ids

TAG = "Bots"
DAY = 86400

Label = Annotated[str, Meta(max_length=64)]
Scopes = Annotated[tuple[str, ...], Meta(min_length=1, max_length=32)]
Seconds = Annotated[int, Meta(ge=60, le=366 * DAY)]


class NewBot(Body, frozen=True, kw_only=True):
    """`name` is what the others see."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]


class TokenWish(Body, frozen=True, kw_only=True):
    """What the token may be used for, and for how long; `label` says to people which it is."""

    scopes: Scopes
    label: Label = ""
    seconds: Seconds = 90 * DAY


class Rotation(Body, frozen=True, kw_only=True):
    """For how long the token before stays good beside the new one."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=7 * DAY)] = 0


class BotAnswer(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    disabled: bool
    created_at: float


class BotTokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`token` is shown once: when it was made or rotated."""

    id: str
    label: str
    scopes: list[str]
    created_at: float
    last_used_at: float
    expires_at: float
    token: str | None = None


class BotTokenList(msgspec.Struct, frozen=True):
    """The newest first."""

    items: list[BotTokenAnswer]


class Deps(msgspec.Struct, frozen=True):
    registry: Registry
    tokens: BotTokens
    clock: Clock
    ids: Ids


class Handlers:
    """One method for each operation."""

    def __init__(self, deps: Deps) -> None:
        self._registry = deps.registry
        self._tokens = deps.tokens
        self._clock = deps.clock
        self._ids = deps.ids

    async def _bot(self, call: Call[Any]) -> Account:
        """Raises ClientError (404), also for an account that is no bot."""
        found = await self._registry.get(call.principal.app, call.path["bot_id"])
        if found is None or found.kind is not Kind.BOT:
            raise ClientError(Code.NOT_FOUND, 404, "There is no such bot.")
        call.note.target = f"account:{found.id}"
        return found

    async def list(self, call: Call[None]) -> Page:
        """Forwards only, by age; a page may be short, since people are passed over."""
        ask = call.page
        found = await self._registry.page(call.principal.app, ask.after or "", ask.limit + 1)
        bots = [_bot_answer(one) for one in found[: ask.limit] if one.kind is Kind.BOT]
        more = len(found) > ask.limit
        return Page(items=bots, next=found[ask.limit - 1].id if more else None)

    async def create(self, call: Call[NewBot]) -> BotAnswer:
        account = Account(
            id=self._ids.new(),
            login="",
            kind=Kind.BOT,
            roles=(Role.BOT,),
            created=self._clock.unix(),
            name=names.display(call.body.name),
        )
        await self._registry.create(call.principal.app, account)
        call.note.target = f"account:{account.id}"
        return _bot_answer(account)

    async def get(self, call: Call[None]) -> BotAnswer:
        return _bot_answer(await self._bot(call))

    async def tokens(self, call: Call[None]) -> BotTokenList:
        bot = await self._bot(call)
        found = await self._tokens.list(call.principal.app, bot.id)
        return BotTokenList([_token_answer(session) for session in found])

    async def make(self, call: Call[TokenWish]) -> BotTokenAnswer:
        bot, body = await self._bot(call), call.body
        scopes = frozenset(body.scopes)
        if unknown := scopes - SCOPES:
            errors = [FieldError("/scopes", "invalid", "A bot cannot have " + min(unknown)[:64])]
            message = "A scope does not exist, or is for people only."
            raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)
        app, label = call.principal.app, names.display(body.label) if body.label else ""
        made = await self._tokens.make(app, bot.id, label, scopes, body.seconds)
        return _made(call, *made)

    async def rotate(self, call: Call[Rotation]) -> BotTokenAnswer:
        bot = await self._bot(call)
        app, ident, overlap = call.principal.app, call.path["token_id"], call.body.overlap_seconds
        return _made(call, *await self._tokens.rotate(app, bot.id, ident, overlap))

    async def revoke(self, call: Call[None]) -> Reply:
        bot = await self._bot(call)
        call.note.details["client"] = call.path["token_id"]
        await self._tokens.revoke(call.principal.app, bot.id, call.path["token_id"])
        return Reply(status=204)


def _bot_answer(account: Account) -> BotAnswer:
    return BotAnswer(
        id=account.id, name=account.name, disabled=account.disabled, created_at=account.created
    )


def _token_answer(session: Session, text: str | None = None) -> BotTokenAnswer:
    return BotTokenAnswer(
        id=session.id,
        label=session.label,
        scopes=sorted(session.scopes),
        created_at=session.created_at,
        last_used_at=session.used_at,
        expires_at=session.expires_at,
        token=text,
    )


def _made(call: Call[Any], session: Session, token: Token) -> BotTokenAnswer:
    call.note.details["client"] = session.id
    call.note.details["scope"] = " ".join(sorted(session.scopes))
    return _token_answer(session, token.text)


def operations(deps: Deps) -> list[Operation]:
    do = Handlers(deps)

    op = administered(TAG)

    one = "/bots/{bot_id}"
    token = one + "/tokens/{token_id}"
    return [
        op("GET", "/bots", "listBots", "All bots, the oldest first", do.list, answer=BotAnswer,
           paged=True),
        op("POST", "/bots", "createBot", "An account for a program", do.create, body=NewBot,
           answer=BotAnswer, status=201),
        op("GET", one, "getBot", "One bot", do.get, answer=BotAnswer),
        op("GET", one + "/tokens", "listBotTokens", "Tokens that are good", do.tokens,
           answer=BotTokenList),
        op("POST", one + "/tokens", "createBotToken", "A token, shown once", do.make,
           body=TokenWish, answer=BotTokenAnswer, status=201, idempotent=False,
           errors=(Code.CONFLICT,)),
        op("POST", token + "/rotation", "rotateBotToken",
           "A new token in the place of one; shown once", do.rotate, body=Rotation,
           answer=BotTokenAnswer, status=201, idempotent=False),
        op("DELETE", token, "revokeBotToken", "Take a token back: what it opened ends",
           do.revoke, status=204),
    ]  # fmt: skip
