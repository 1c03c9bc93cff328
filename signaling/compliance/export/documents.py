"""What an export says, as types: they are the JSON Schema that lies in every archive.

account.json     the profile, devices, sessions and what is one's own
rooms/<id>.json  a room as far as it is known to who asks
rooms/<id>.ndjson  its messages and calls: of a person's export their own, of a room's all
people.ndjson    of a room: who is in it or wrote in it, by name
push.ndjson      of a person: devices that may be woken, and when
reactions.ndjson what the person reacted with to others' messages
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

from signaling.accounts.principal import Role
from signaling.chat.account_state import AccountState
from signaling.chat.ops import Kind, Mode, Part, Settings
from signaling.chat.reduce import MessageView
from signaling.compliance.audit.operations import RecordShown
from signaling.compliance.export.archive import Manifest
from signaling.compliance.requests.operations import RequestAnswer


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
    """`own`: drafts, saved and hidden messages, blocks, preferences, notifications."""

    id: str
    login: str
    name: str
    mail: str
    roles: tuple[Role, ...]
    created_at: datetime
    second_factors: tuple[str, ...]
    providers: tuple[str, ...]
    devices: tuple[DeviceOut, ...]
    sessions: tuple[SessionOut, ...]
    own: AccountState


class MemberOut(Struct, frozen=True, kw_only=True):
    account: str
    part: Part
    since: datetime | None


class RoomOut(Struct, frozen=True, kw_only=True):
    """Of a person's export `members` are the person alone."""

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


DOCUMENTS: dict[str, type[Struct]] = {
    "manifest.json": Manifest,
    "account.json": AccountOut,
    "rooms/*.json": RoomOut,
    "rooms/*.ndjson": MessageView,
    "people.ndjson": PersonOut,
    "push.ndjson": PushOut,
    "reactions.ndjson": ReactionOut,
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
