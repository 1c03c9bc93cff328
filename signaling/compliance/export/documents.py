"""What an export says, as types: they are the JSON Schema that lies in every archive.

account.json     the profile, devices, sessions and what is one's own
rooms/<id>.json  a room as far as it is known to who asks
rooms/<id>.ndjson  its messages and calls: of a person's export their own, of a room's all
people.ndjson    of a room: who is in it or wrote in it, by name
reactions.ndjson what the person reacted with to others' messages
votes.ndjson     what the person voted for
push.ndjson      of a person: devices that may be woken, and when
consents.ndjson  what the person agreed to and withdrew
applications.ndjson  which programs may act for the person
scheduled.ndjson posts that wait for their time
read.ndjson      how far the person read
reports.ndjson   what the person reported to moderators
invites.ndjson   invitations that the person made
joining.ndjson   rooms that the person asked to be let into
logs.ndjson      logs of clients that the person sent
requests.ndjson  what the person asked for about their data, and what was answered
audit.ndjson     what the audit has about the person
files/<id>       content of files, as it was sent
files/<id>.sealed  of encrypted rooms: as it is kept, which opens with the key in the message
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from signaling.accounts.operations.diagnostics import ClientLogAnswer
from signaling.accounts.principal import Role
from signaling.chat.account_state import AccountState
from signaling.chat.later import Scheduled
from signaling.chat.ops import Kind, Mode, Part, Settings
from signaling.chat.reduce import MessageView
from signaling.chat.reports import Outcome
from signaling.chat.seeing import Status
from signaling.chat.unread import Cursor
from signaling.compliance.audit.operations import RecordShown
from signaling.compliance.consent.operations import ConsentAnswer
from signaling.compliance.export.archive import Manifest
from signaling.compliance.requests.operations import RequestAnswer
from signaling.compliance.restriction.operations import ProcessingAnswer
from signaling.delivery.push.model import PushSettings


class DeviceOut(Struct, frozen=True, kw_only=True):
    """`network` is what is kept of where it was: truncated to /24 or /48."""

    id: str
    name: str
    network: str
    first_seen: datetime
    last_seen: datetime


class SessionOut(Struct, frozen=True, kw_only=True):
    id: str
    label: str
    device: str
    created_at: datetime
    last_used_at: datetime


class AccountOut(Struct, frozen=True, kw_only=True):
    """`external_id` and `tags`: what the operator notes. `own`: drafts, saved and hidden messages,
    blocks, preferences, notifications. `processing`: whether it is restricted, and what was
    objected to.
    """

    id: str
    login: str
    name: str
    mail: str
    roles: tuple[Role, ...]
    created_at: datetime
    second_factors: tuple[str, ...]
    providers: tuple[str, ...]
    external_id: str
    tags: tuple[str, ...]
    devices: tuple[DeviceOut, ...]
    sessions: tuple[SessionOut, ...]
    own: AccountState
    status: Status | None
    push: PushSettings
    processing: ProcessingAnswer


class MemberOut(Struct, frozen=True, kw_only=True):
    account: str
    part: Part
    since: datetime | None


class RoomOut(Struct, frozen=True, kw_only=True):
    """Of a person's export `members` are the person alone; of a room that they are in no more
    there is neither name nor anything else of what it is now.
    """

    id: str
    kind: Kind
    mode: Mode
    name: str
    topic: str
    settings: Settings
    creator: str | None
    created_at: datetime | None
    members: tuple[MemberOut, ...]


class PersonOut(Struct, frozen=True, kw_only=True):
    """`name` is empty for who is no account any more."""

    id: str
    name: str


class PushOut(Struct, frozen=True, kw_only=True):
    """A device that may be woken, through whom. The keys that open what is sent there stay here:
    they are the device's.
    """

    id: str
    kind: str
    device: str
    session: str
    endpoint: str
    token: str
    created_at: datetime


class ReactionOut(Struct, frozen=True, kw_only=True):
    room: str
    message: str
    emoji: str
    at: datetime
    on: bool


class VoteOut(Struct, frozen=True, kw_only=True):
    """All choices in a poll, by position; the newest is the one that counts."""

    room: str
    message: str
    choices: tuple[int, ...]
    at: datetime


class AllowedOut(Struct, frozen=True, kw_only=True):
    client: str
    scopes: tuple[str, ...]
    at: datetime


class ReportOut(Struct, frozen=True, kw_only=True):
    id: str
    room: str
    message: str
    reason: str
    text: str
    at: datetime
    outcome: Outcome


class InviteOut(Struct, frozen=True, kw_only=True):
    """`uses` 0: any number."""

    id: str
    room: str
    made_at: datetime
    expires_at: datetime
    uses: int
    used: int


class JoiningOut(Struct, frozen=True, kw_only=True):
    room: str
    text: str
    at: datetime


DOCUMENTS: dict[str, type[Struct]] = {
    "manifest.json": Manifest,
    "account.json": AccountOut,
    "rooms/*.json": RoomOut,
    "rooms/*.ndjson": MessageView,
    "people.ndjson": PersonOut,
    "reactions.ndjson": ReactionOut,
    "votes.ndjson": VoteOut,
    "push.ndjson": PushOut,
    "consents.ndjson": ConsentAnswer,
    "applications.ndjson": AllowedOut,
    "scheduled.ndjson": Scheduled,
    "read.ndjson": Cursor,
    "reports.ndjson": ReportOut,
    "invites.ndjson": InviteOut,
    "joining.ndjson": JoiningOut,
    "logs.ndjson": ClientLogAnswer,
    "requests.ndjson": RequestAnswer,
    "audit.ndjson": RecordShown,
}


def schema() -> dict[str, Any]:
    """One JSON Schema (2020-12) with a definition for each kind of file."""
    types = list(DOCUMENTS.values())
    found, components = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sotto export, version 1",
        "files": dict(zip(DOCUMENTS, found, strict=True)),
        "$defs": components,
    }
