"""The words of the Access Manager as data: kinds, permission bits, operations and what each needs.

Not the decision (`evaluate`). The bits are PubNub's Access Manager v3, whose wire we speak: there a
channel is a room, a group a named set of rooms, a uuid an account or one of its devices. Calls are
operations of a room too: who hears a call reads the room, who speaks writes into it.
"""

from __future__ import annotations

from enum import IntFlag, StrEnum
from typing import NamedTuple


class Permission(IntFlag):
    READ = 1
    WRITE = 2
    MANAGE = 4
    DELETE = 8
    GET = 32
    UPDATE = 64
    JOIN = 128


class Kind(StrEnum):
    """The value is the word of the grant body."""

    CHANNEL = "channels"
    GROUP = "groups"
    UUID = "uuids"


READ, WRITE, MANAGE = Permission.READ, Permission.WRITE, Permission.MANAGE
DELETE, GET, UPDATE, JOIN = (
    Permission.DELETE,
    Permission.GET,
    Permission.UPDATE,
    Permission.JOIN,
)

# What may be granted on each kind; any other bit in a grant is refused.
VALID: dict[Kind, int] = {
    Kind.CHANNEL: int(READ | WRITE | MANAGE | DELETE | GET | UPDATE | JOIN),
    Kind.GROUP: int(READ | MANAGE),
    Kind.UUID: int(GET | UPDATE | DELETE),
}

# Who is in a room is told on a channel of its own, the room's name with this behind it.
PRESENCE_SUFFIX = "-pnpres"

# The pattern that a grant must hold, with `get`, to list all rooms or all accounts.
EVERYTHING = ".*"


class Needs(NamedTuple):
    """The bits an operation needs on each kind that it names; a kind without bits is not named.

    `any_kind`: naming one of the kinds is enough (a subscription to rooms, to groups, or both);
    otherwise each kind with bits must be named. `credential`: some valid token or session must be
    there even though no bit is asked. `own`: every uuid named is one of the caller's proven ones.
    `everything`: needs `.*` on that kind and the key set's `listing` switch.
    """

    channel: int = 0
    group: int = 0
    uuid: int = 0
    any_kind: bool = False
    credential: bool = True
    own: bool = False
    everything: Kind | None = None


class Operation(StrEnum):
    """Everything that the Access Manager is asked about.

    `needs` and `scope` are its rows of the tables below. They are on the member because the hash of
    an enum is a Python call, which would be a third of a decision.
    """

    needs: Needs
    scope: str

    PUBLISH = "publish"
    SIGNAL = "signal"
    SEND_FILE = "send_file"
    ADD_REACTION = "add_reaction"
    TYPING = "typing"
    SUBSCRIBE = "subscribe"
    SUBSCRIBE_PRESENCE = "subscribe_presence"
    SUBSCRIBE_GROUP = "subscribe_group"
    HISTORY = "history"
    MESSAGE_COUNTS = "message_counts"
    GET_REACTIONS = "get_reactions"
    LIST_FILES = "list_files"
    DOWNLOAD_FILE = "download_file"
    HERE_NOW = "here_now"
    GET_STATE = "get_state"
    SET_STATE = "set_state"
    REGISTER_PUSH = "register_push"
    ADD_TO_GROUP = "add_to_group"
    REMOVE_FROM_GROUP = "remove_from_group"
    LIST_GROUP = "list_group"
    DELETE_GROUP = "delete_group"
    DELETE_MESSAGES = "delete_messages"
    DELETE_FILE = "delete_file"
    REMOVE_REACTION = "remove_reaction"
    GET_CHANNEL = "get_channel"
    GET_CHANNEL_MEMBERS = "get_channel_members"
    SET_CHANNEL = "set_channel"
    REMOVE_CHANNEL = "remove_channel"
    SET_CHANNEL_MEMBERS = "set_channel_members"
    REMOVE_CHANNEL_MEMBERS = "remove_channel_members"
    SET_MEMBERSHIPS = "set_memberships"
    REMOVE_MEMBERSHIPS = "remove_memberships"
    GET_USER = "get_user"
    GET_MEMBERSHIPS = "get_memberships"
    SET_USER = "set_user"
    REMOVE_USER = "remove_user"
    GET_ALL_USERS = "get_all_users"
    GET_ALL_CHANNELS = "get_all_channels"
    UNSUBSCRIBE = "unsubscribe"
    UNSUBSCRIBE_WITH_STATE = "unsubscribe_with_state"
    WHERE_NOW = "where_now"
    TIME = "time"
    JOIN_CALL = "join_call"
    PUBLISH_IN_CALL = "publish_in_call"
    MODERATE_CALL = "moderate_call"


def _channel(*bits: Permission) -> Needs:
    return Needs(channel=sum(bits))


def _group(*bits: Permission) -> Needs:
    return Needs(group=sum(bits))


def _uuid(*bits: Permission) -> Needs:
    return Needs(uuid=sum(bits))


_OPEN = Needs(credential=False)
_MEMBERSHIPS = Needs(channel=int(JOIN), uuid=int(UPDATE))

OPERATIONS: dict[Operation, Needs] = {
    Operation.PUBLISH: _channel(WRITE),
    Operation.SIGNAL: _channel(WRITE),
    Operation.SEND_FILE: _channel(WRITE),
    Operation.ADD_REACTION: _channel(WRITE),
    Operation.TYPING: _channel(WRITE),
    Operation.SUBSCRIBE: Needs(channel=int(READ), group=int(READ), any_kind=True),
    Operation.SUBSCRIBE_PRESENCE: _channel(READ),
    Operation.SUBSCRIBE_GROUP: _group(READ),
    Operation.HISTORY: _channel(READ),
    Operation.MESSAGE_COUNTS: _channel(READ),
    Operation.GET_REACTIONS: _channel(READ),
    Operation.LIST_FILES: _channel(READ),
    Operation.DOWNLOAD_FILE: _channel(READ),
    Operation.HERE_NOW: _channel(READ),
    Operation.GET_STATE: _channel(READ),
    Operation.SET_STATE: _channel(READ),
    Operation.REGISTER_PUSH: _channel(READ),
    Operation.ADD_TO_GROUP: _group(MANAGE),
    Operation.REMOVE_FROM_GROUP: _group(MANAGE),
    Operation.LIST_GROUP: _group(MANAGE),
    Operation.DELETE_GROUP: _group(MANAGE),
    Operation.DELETE_MESSAGES: _channel(DELETE),
    Operation.DELETE_FILE: _channel(DELETE),
    Operation.REMOVE_REACTION: _channel(DELETE),
    Operation.GET_CHANNEL: _channel(GET),
    Operation.GET_CHANNEL_MEMBERS: _channel(GET),
    Operation.SET_CHANNEL: _channel(UPDATE),
    Operation.REMOVE_CHANNEL: _channel(DELETE),
    Operation.SET_CHANNEL_MEMBERS: _channel(MANAGE),
    Operation.REMOVE_CHANNEL_MEMBERS: _channel(MANAGE),
    Operation.SET_MEMBERSHIPS: _MEMBERSHIPS,
    Operation.REMOVE_MEMBERSHIPS: _MEMBERSHIPS,
    Operation.GET_USER: _uuid(GET),
    Operation.GET_MEMBERSHIPS: _uuid(GET),
    Operation.SET_USER: _uuid(UPDATE),
    Operation.REMOVE_USER: _uuid(DELETE),
    Operation.GET_ALL_USERS: Needs(everything=Kind.UUID),
    Operation.GET_ALL_CHANNELS: Needs(everything=Kind.CHANNEL),
    # Leaving and the time give nothing away; where somebody is does, so only they may ask.
    Operation.UNSUBSCRIBE: _OPEN,
    Operation.TIME: _OPEN,
    Operation.WHERE_NOW: Needs(own=True),
    # Leaving with a state tells the others something: like setting one's state.
    Operation.UNSUBSCRIBE_WITH_STATE: _channel(READ),
    Operation.JOIN_CALL: _channel(READ),
    Operation.PUBLISH_IN_CALL: _channel(WRITE),
    Operation.MODERATE_CALL: _channel(MANAGE),
}

# What a session's token must carry besides (OAuth scopes); those of the Access Manager have none.
SCOPE: dict[Operation, str] = {
    Operation.PUBLISH: "messages:write",
    Operation.SIGNAL: "messages:write",
    Operation.SEND_FILE: "files:write",
    Operation.ADD_REACTION: "messages:write",
    Operation.TYPING: "messages:write",
    Operation.SUBSCRIBE: "messages:read",
    Operation.SUBSCRIBE_PRESENCE: "presence:read",
    Operation.SUBSCRIBE_GROUP: "messages:read",
    Operation.HISTORY: "messages:read",
    Operation.MESSAGE_COUNTS: "messages:read",
    Operation.GET_REACTIONS: "messages:read",
    Operation.LIST_FILES: "files:read",
    Operation.DOWNLOAD_FILE: "files:read",
    Operation.HERE_NOW: "presence:read",
    Operation.GET_STATE: "presence:read",
    Operation.SET_STATE: "presence:write",
    Operation.REGISTER_PUSH: "messages:read",
    Operation.ADD_TO_GROUP: "rooms:write",
    Operation.REMOVE_FROM_GROUP: "rooms:write",
    Operation.LIST_GROUP: "rooms:read",
    Operation.DELETE_GROUP: "rooms:write",
    Operation.DELETE_MESSAGES: "messages:write",
    Operation.DELETE_FILE: "files:write",
    Operation.REMOVE_REACTION: "messages:write",
    Operation.GET_CHANNEL: "rooms:read",
    Operation.GET_CHANNEL_MEMBERS: "rooms:read",
    Operation.SET_CHANNEL: "rooms:write",
    Operation.REMOVE_CHANNEL: "rooms:write",
    Operation.SET_CHANNEL_MEMBERS: "rooms:write",
    Operation.REMOVE_CHANNEL_MEMBERS: "rooms:write",
    Operation.SET_MEMBERSHIPS: "rooms:write",
    Operation.REMOVE_MEMBERSHIPS: "rooms:write",
    Operation.GET_USER: "account:read",
    Operation.GET_MEMBERSHIPS: "rooms:read",
    Operation.SET_USER: "account:write",
    Operation.REMOVE_USER: "account:write",
    Operation.GET_ALL_USERS: "account:read",
    Operation.GET_ALL_CHANNELS: "rooms:read",
    Operation.UNSUBSCRIBE: "messages:read",
    Operation.UNSUBSCRIBE_WITH_STATE: "presence:write",
    Operation.WHERE_NOW: "presence:read",
    Operation.TIME: "messages:read",
    Operation.JOIN_CALL: "calls:join",
    Operation.PUBLISH_IN_CALL: "calls:join",
    Operation.MODERATE_CALL: "calls:join",
}

for _operation in Operation:
    _operation.needs = OPERATIONS[_operation]
    _operation.scope = SCOPE[_operation]
