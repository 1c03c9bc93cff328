"""What a type cannot say of an op: does it fit the room's mode, is its author who it claims to be.

Pure. Each check raises ClientError; who may do it at all is `rights`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from typing import NoReturn

import msgspec

from signaling.chat import bodies
from signaling.chat.account_ops import (
    MOST_BLOCKED,
    MOST_DRAFTS,
    MOST_HIDDEN,
    MOST_NOTIFY,
    MOST_SAVED,
    AccountOp,
    Block,
    Draft,
    Hide,
    HideUpto,
    NotifyOp,
    Prefer,
    Save,
)
from signaling.chat.account_state import (
    AccountState,
    BlockState,
    DraftState,
    SaveState,
    draft_key,
    save_key,
)
from signaling.chat.bodies import Plain, Sealed
from signaling.chat.ops import (
    MAX_CUSTOM_BYTES,
    Attachment,
    CallPolicy,
    ClientOp,
    Create,
    Edit,
    Kind,
    Mode,
    Part,
    Poll,
    Post,
    React,
    Set,
    Settings,
    ToE2ee,
    Vote,
    files_of,
)
from signaling.errors import ClientError, Code, FieldError

# How far a device's clock may run ahead of ours, in ms (storage.md 7).
AHEAD = 5 * 60 * 1000
# What may be granted by a `member` op; the others are the server's words.
GRANTABLE = frozenset({Part.OWNER, Part.MODERATOR, Part.MEMBER, Part.BANNED, Part.NONE})
NO_PEEKING = (
    "Only a public, searchable room can be looked into before joining, and not one that holds "
    "health data or hides what was said before one came."
)
# Custom fields that only an import writes: whose a message was before it came here.
IMPORTED = "imported."
_OPAQUE = re.compile(r"[A-Za-z0-9_-]{22,64}")


def clamp(clock: int, now_ms: int, heard: int) -> int:
    """A device that runs ahead wins no register for longer than five minutes. `heard` is the newest
    clock of the log: what follows on it is not before it, though the server's own time went back.
    """
    return min(clock, max(now_ms + AHEAD, heard + 1))


def check(op: ClientOp, mode: Mode, account: str, device: str) -> None:
    """Everything that does not need the room's members."""
    if isinstance(op, Post):
        _post(op, mode, account, device)
    elif isinstance(op, Edit):
        _body(op.body, mode, account, device)
        if op.attachments is not None:
            _attachments(op.body, op.attachments)
    elif isinstance(op, React):
        _react(op, mode, account, device)
    elif isinstance(op, Vote) and len(set(op.choices)) != len(op.choices):
        _invalid("/op/choices", "A choice comes twice.")
    elif isinstance(op, Set):
        check_calls(op.call_encryption)
        if not isinstance(op.custom, msgspec.UnsetType):
            _custom(op.custom)
    elif isinstance(op, ToE2ee):
        _mode(op, mode)


def check_account(state: AccountState, op: AccountOp, *, full: bool = False) -> None:
    """One account must not fill the store. What is there already may change, unless all of it
    together is too much (`full`); what is given up is always taken.
    """
    if _gives_up(op):
        return
    if full and not isinstance(op, Prefer | NotifyOp):
        raise ClientError(Code.CONFLICT, 409, "This is as much as is kept; remove some first.")
    if isinstance(op, Prefer) and not isinstance(op.custom, msgspec.UnsetType):
        _custom(op.custom)
    found = _place_of(state, op)
    if found is not None and not found[0] and found[1] >= found[2]:
        message = f"There are {found[2]} of these; remove some first."
        raise ClientError(Code.CONFLICT, 409, message)


def _place_of(state: AccountState, op: AccountOp) -> tuple[bool, int, int] | None:
    """Whether it is one of those that are there, how many these are, and how many may be."""
    if isinstance(op, Draft):
        there = draft_key(op) in state.drafts
        return there, _full(state.drafts.values()), MOST_DRAFTS
    if isinstance(op, Save):
        return save_key(op) in state.saved, _full(state.saved.values()), MOST_SAVED
    if isinstance(op, Block):
        return op.account in state.blocked, _full(state.blocked.values()), MOST_BLOCKED
    if isinstance(op, Hide):
        there = op.id in state.hidden.get(op.room, ())
        return there, sum(map(len, state.hidden.values())), MOST_HIDDEN
    if isinstance(op, NotifyOp):
        return op.room in state.notify, len(state.notify), MOST_NOTIFY
    if isinstance(op, HideUpto):
        return op.room in state.hidden_upto, len(state.hidden_upto), MOST_NOTIFY
    return None


def _gives_up(op: AccountOp) -> bool:
    if isinstance(op, Draft):
        return op.body is None
    return isinstance(op, Save | Block) and not op.on


def _full(found: Iterable[DraftState | SaveState | BlockState]) -> int:
    return sum(not one.is_empty for one in found)


def check_create(op: Create) -> None:
    check_calls(op.settings.call_encryption)
    if op.settings.peek and not may_peek(op.kind, op.mode, op.settings):
        _invalid("/settings/peek", NO_PEEKING)
    _custom(op.custom)


def may_peek(kind: Kind, mode: Mode, settings: Settings) -> bool:
    """Whether such a room may show anything to who is not in it."""
    readable = kind is Kind.PUBLIC and mode is Mode.SEARCHABLE
    return readable and not settings.phi and not settings.since_join


def check_calls(policy: object) -> None:
    if policy is CallPolicy.REQUIRED:
        message = "Calls of this server run with transport encryption; none is end to end yet."
        raise ClientError(Code.ENCRYPTION_UNAVAILABLE, 422, message)


def check_settings(settings: Settings) -> None:
    check_calls(settings.call_encryption)


def _post(post: Post, mode: Mode, account: str, device: str) -> None:
    _body(post.body, mode, account, device)
    _custom(post.custom)
    if any(name.startswith(IMPORTED) for name in post.custom):
        _invalid("/op/custom", "Only an import says that a message was imported.")
    if post.parent == post.id or post.reply_to == post.id:
        _invalid("/op/parent", "A message cannot hang on itself.")
    _attachments(post.body, post.attachments)
    if isinstance(post.body, Plain):
        if not (post.body.text or post.body.files or post.body.options or post.custom):
            _invalid("/op/body", "The message is empty.")
        _poll(post.poll, post.body)


def _attachments(body: Plain | Sealed, named: Sequence[Attachment]) -> None:
    if isinstance(body, Plain) and files_of(body) != tuple(named):
        _invalid("/op/attachments", "They are not the files of the body.")
    if isinstance(body, Sealed) and len({file.id for file in named}) != len(named):
        _invalid("/op/attachments", "A file comes twice.")


def _poll(poll: Poll | None, body: Plain) -> None:
    if len(body.options) != (0 if poll is None else poll.options):
        _invalid("/op/poll/options", "It has another number of options than the body.")
    if len(set(body.options)) != len(body.options):
        _invalid("/op/body/options", "Two options are the same.")


def _react(op: React, mode: Mode, account: str, device: str) -> None:
    if mode is not Mode.E2EE:
        if op.body is not None:
            _invalid("/op/body", "Only rooms with end-to-end encryption take a sealed body.")
        return
    if _OPAQUE.fullmatch(op.emoji) is None:
        raise _plaintext("A reaction's emoji is an opaque tag here.")
    if op.on and op.body is None:
        raise _plaintext("A reaction has a sealed body here.")
    if op.body is not None:
        check_sealed(op.body, account, device)


def _body(body: Plain | Sealed, mode: Mode, account: str, device: str) -> None:
    if mode is Mode.E2EE:
        if isinstance(body, Plain):
            raise _plaintext("This room takes end-to-end encrypted messages only.")
        check_sealed(body, account, device)
    elif isinstance(body, Sealed):
        _invalid("/op/body/format", "This room takes m.plain.v1.")
    elif any("\0" in text for text in (body.text, *body.options)):
        _invalid("/op/body/text", "It has a NUL.")


def check_sealed(body: Sealed, account: str, device: str) -> None:
    """Shape, lengths and whose it claims to be (e2ee.md 5.5); the rest only members can judge."""
    if body.account != account or (device and body.device != device):
        message = "The encrypted body names another sender."
        raise ClientError(Code.AUTHOR_MISMATCH, 422, message)
    sizes = {name: _size(getattr(body, name), name) for name in ("group_id", "salt", "ct", "sig")}
    if sizes["salt"] != bodies.SALT_BYTES:
        _invalid("/op/body/salt", f"It has {bodies.SALT_BYTES} bytes.")
    if sizes["sig"] != bodies.SIGNATURE_BYTES:
        _invalid("/op/body/sig", f"It has {bodies.SIGNATURE_BYTES} bytes.")
    if sizes["ct"] > bodies.MAX_CIPHERTEXT or not bodies.padded(sizes["ct"]):
        _invalid("/op/body/ct", "It does not have one of the padded lengths.")


def _size(text: str, name: str) -> int:
    try:
        return len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        _invalid(f"/op/body/{name}", "It is not base64.")


def _custom(custom: dict[str, bool | int | float | str | None]) -> None:
    if len(msgspec.json.encode(custom)) > MAX_CUSTOM_BYTES:
        _invalid("/op/custom", f"Custom fields have at most {MAX_CUSTOM_BYTES} bytes as JSON.")


def _mode(op: ToE2ee, mode: Mode) -> None:
    if mode is not Mode.SEARCHABLE:
        raise ClientError(Code.CONFLICT, 409, "Only a searchable room can become e2ee.")
    if op.mode is not Mode.E2EE:
        _invalid("/op/mode", "A room can become e2ee, and nothing else.")


def _plaintext(message: str) -> ClientError:
    return ClientError(Code.PLAINTEXT_REFUSED, 422, message)


def _invalid(pointer: str, message: str) -> NoReturn:
    errors = [FieldError(pointer, "invalid", message)]
    raise ClientError(Code.FIELDS_INVALID, 422, message, errors=errors)
