"""Purposes, consents and the privacy notice over HTTP.

Everybody may read what is processed and why, signed in or not. Only oneself agrees or withdraws,
by one request each; an administrator declares purposes and agrees to nothing for anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from signaling.accounts.principal import Kind as PrincipalKind
from signaling.accounts.principal import Role
from signaling.compliance.audit.export import csv_row
from signaling.compliance.consent.ledger import NOTICE, Act, Basis, Consents, Purpose, unknown
from signaling.errors import Code, Refused
from signaling.http.api.operation import Auth, Body, Call, Operation, Recording, Reply

TAG = "Compliance"
CSV = "text/csv"
Word = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(min_length=1, max_length=20_000)]


class PurposeWish(Body, frozen=True, kw_only=True):
    """Without a legal basis nothing is processed. Another text is asked for anew."""

    basis: Basis
    title: Word
    text: Text
    categories: Annotated[tuple[Word, ...], Meta(max_length=50)] = ()
    retention: Annotated[str, Meta(max_length=500)] = ""
    recipients: Annotated[tuple[Word, ...], Meta(max_length=50)] = ()


class PurposeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    basis: Basis
    title: str
    text: str
    sha256: str
    version: int
    categories: tuple[str, ...]
    retention: str
    recipients: tuple[str, ...]
    changed_at: datetime


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """The register of processing."""

    purposes: Sequence[PurposeAnswer]


class ConsentWish(Body, frozen=True, kw_only=True):
    """Which text was read: there is no agreeing to one that was not shown."""

    version: Annotated[int, Meta(ge=1, le=2**31)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class ConsentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    purpose: str
    version: int
    sha256: str
    given: bool
    at: datetime


class ConsentsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`standing` are the purposes that are agreed to as they are now, `acts` all that was said."""

    standing: Sequence[str]
    acts: Sequence[ConsentAnswer]


class NoticeWish(Body, frozen=True, kw_only=True):
    text: Text


class NoticeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    version: int
    sha256: str
    changed_at: datetime


class Handlers:
    """Holds nothing of a request. The notice is kept like a purpose, and listed apart."""

    def __init__(self, consents: Consents, app: str) -> None:
        self._consents, self._app = consents, app

    async def register(self, call: Call[None]) -> Register:
        found = await self._consents.purposes(self._app)
        return Register(purposes=[_shown(one) for one in found if one.id != NOTICE])

    async def table(self, call: Call[None]) -> Reply:
        shown = (await self.register(call)).purposes
        rows = [csv_row(PurposeAnswer.__struct_fields__), *(csv_row(_cells(one)) for one in shown)]
        name = 'attachment; filename="processing-register.csv"'
        headers = [("Content-Disposition", name)]
        return Reply(b"".join(rows), headers=headers, content_type=CSV)

    async def declare(self, call: Call[PurposeWish]) -> PurposeAnswer:
        ident, wish = call.path["purpose_id"], call.body
        if ident == NOTICE or not _is_word(ident):
            raise unknown("A purpose is named in a-z, 0-9, dot, dash and underscore.")
        call.note.target = f"purpose:{ident}"
        fields = {name: getattr(wish, name) for name in wish.__struct_fields__}
        return _shown(await self._consents.declare(call.principal.app, Purpose(id=ident, **fields)))

    async def mine(self, call: Call[None]) -> ConsentsAnswer:
        app, account = _person(call)
        ledger = await self._consents.ledger(app, account)
        purposes = await self._consents.purposes(app)
        return ConsentsAnswer(
            standing=[one.id for one in purposes if ledger.standing(one)],
            acts=[act_answer(act) for act in ledger.acts],
        )

    async def give(self, call: Call[ConsentWish]) -> ConsentAnswer:
        ident, wish, session = call.path["purpose_id"], call.body, call.principal.session or ""
        call.note.target = f"purpose:{ident}"
        app, account = _person(call)
        return act_answer(
            await self._consents.give(app, account, ident, wish.version, wish.sha256, session)
        )

    async def withdraw(self, call: Call[None]) -> ConsentAnswer:
        ident, session = call.path["purpose_id"], call.principal.session or ""
        call.note.target = f"purpose:{ident}"
        app, account = _person(call)
        return act_answer(await self._consents.withdraw(app, account, ident, session))

    async def version(self, call: Call[None]) -> PurposeAnswer:
        ident = call.path["purpose_id"]
        if ident == NOTICE:
            ident = ""  # has a path of its own
        return _shown(await self._consents.version(self._app, ident, _number(call)))

    async def notice(self, call: Call[None]) -> NoticeAnswer:
        return _notice(await self._consents.purpose(self._app, NOTICE))

    async def notice_version(self, call: Call[None]) -> NoticeAnswer:
        return _notice(await self._consents.version(self._app, NOTICE, _number(call)))

    async def set_notice(self, call: Call[NoticeWish]) -> NoticeAnswer:
        wish = Purpose(
            id=NOTICE, basis=Basis.LEGAL_OBLIGATION, title="Privacy notice", text=call.body.text
        )
        call.note.target = "privacy-notice"
        return _notice(await self._consents.declare(call.principal.app, wish))


def _person(call: Call[Any]) -> tuple[str, str]:
    """Of an operation that names an account: only that one."""
    who = call.principal
    if who.account is None or who.kind not in (PrincipalKind.ACCOUNT, PrincipalKind.GUEST):
        raise Refused(Code.NOT_PERMITTED, 403, "Only a person agrees to something.")
    if call.path.get("account_id", who.account) != who.account:
        raise Refused(Code.NOT_PERMITTED, 403, "Nobody agrees or withdraws for somebody else.")
    return who.app, who.account


def _number(call: Call[Any]) -> int:
    """What is no number is no version either: 404."""
    text = call.path["version"]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _is_word(text: str) -> bool:
    return 0 < len(text) <= 64 and text.isascii() and not set(text) - _LETTERS


_LETTERS = set("abcdefghijklmnopqrstuvwxyz0123456789._-")


def _shown(purpose: Purpose) -> PurposeAnswer:
    return PurposeAnswer(
        id=purpose.id, basis=purpose.basis, title=purpose.title, text=purpose.text,
        sha256=purpose.sha256, version=purpose.version, categories=purpose.categories,
        retention=purpose.retention, recipients=purpose.recipients,
        changed_at=_time(purpose.changed),
    )  # fmt: skip


def _cells(purpose: PurposeAnswer) -> tuple[str, ...]:
    """What is a list, a line for each."""
    found = msgspec.to_builtins(purpose).values()
    return tuple("\n".join(one) if isinstance(one, tuple | list) else str(one) for one in found)


def _notice(purpose: Purpose) -> NoticeAnswer:
    return NoticeAnswer(
        text=purpose.text, version=purpose.version, sha256=purpose.sha256,
        changed_at=_time(purpose.changed),
    )  # fmt: skip


def act_answer(act: Act) -> ConsentAnswer:
    return ConsentAnswer(
        purpose=act.purpose, version=act.version, sha256=act.sha256, given=act.given,
        at=_time(act.at),
    )  # fmt: skip


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)


def operations(consents: Consents, app: str) -> list[Operation]:
    do = Handlers(consents, app)
    open_to_all: dict[str, Any] = {"auth": Auth.NONE, "rate": "public", "tag": TAG}
    staff: dict[str, Any] = {
        "auth": Auth.ROLE, "roles": (Role.OWNER, Role.ADMINISTRATOR), "scope": "admin",
        "recording": Recording.DURABLE, "tag": TAG,
    }  # fmt: skip
    own: dict[str, Any] = {"tag": TAG, "answer": ConsentAnswer, "recording": Recording.DURABLE}
    mine = "/account/consents"
    return [
        Operation(
            "GET", "/processing-register", "getProcessingRegister",
            "What is processed, why, for how long, and who gets it", do.register, answer=Register,
            **open_to_all,
        ),
        Operation(
            "GET", "/processing-register.csv", "getProcessingRegisterTable",
            "The register of processing as a table", do.table, answer=bytes, answer_type=CSV,
            **open_to_all,
        ),
        Operation(
            "PUT", "/processing-register/{purpose_id}", "declarePurpose", "Declare a purpose",
            do.declare, body=PurposeWish, answer=PurposeAnswer, **staff,
        ),
        Operation(
            "GET", "/processing-register/{purpose_id}/versions/{version}", "getPurposeVersion",
            "What a purpose said in an earlier version", do.version, answer=PurposeAnswer,
            errors=(Code.NOT_FOUND,), **open_to_all,
        ),
        Operation(
            "GET", "/privacy-notice", "getPrivacyNotice", "The privacy notice as it is now",
            do.notice, answer=NoticeAnswer, **open_to_all,
        ),
        Operation(
            "GET", "/privacy-notice/versions/{version}", "getPrivacyNoticeVersion",
            "What the privacy notice said in an earlier version", do.notice_version,
            answer=NoticeAnswer, errors=(Code.NOT_FOUND,), **open_to_all,
        ),
        Operation(
            "PUT", "/privacy-notice", "setPrivacyNotice", "Write the privacy notice",
            do.set_notice, body=NoticeWish, answer=NoticeAnswer, **staff,
        ),
        Operation(
            "GET", mine, "listPurposeConsents", "What I agreed to", do.mine, answer=ConsentsAnswer,
            scope="account:read", tag=TAG,
        ),
        Operation(
            "PUT", mine + "/{purpose_id}", "givePurposeConsent", "Agree", do.give, body=ConsentWish,
            scope="account:write", **own,
        ),
        Operation(
            "DELETE", mine + "/{purpose_id}", "withdrawPurposeConsent", "Agree no more",
            do.withdraw,
            scope="account:write", **own,
        ),
        *_named(do, own),
    ]  # fmt: skip


def _named(do: Handlers, own: dict[str, Any]) -> list[Operation]:
    """For who says whose consent it is: what is tried for somebody else is refused and recorded."""
    theirs = "/accounts/{account_id}/consents/{purpose_id}"
    alone: dict[str, Any] = {
        "scope": "account:write", "errors": (Code.NOT_PERMITTED,),
        "description": "Of oneself alone: an administrator is refused with 403 too.", **own,
    }  # fmt: skip
    return [
        Operation(
            "PUT", theirs, "giveConsentOf", "Agree, naming yourself", do.give, body=ConsentWish,
            **alone,
        ),
        Operation(
            "DELETE", theirs, "withdrawConsentOf", "Agree no more, naming yourself", do.withdraw,
            **alone,
        ),
    ]  # fmt: skip
