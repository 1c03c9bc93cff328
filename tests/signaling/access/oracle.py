"""The acceptance matrix of the Access Manager, copied by hand from its text. Shares nothing with
the code under test; `allowed` decides from words alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# operation -> what it needs, as (kind, permission) pairs; all of them.
MATRIX: dict[str, tuple[tuple[str, str], ...]] = {
    # publish, signal, send file, add reaction/message action, typing: channel write
    "publish": (("channels", "write"),),
    "signal": (("channels", "write"),),
    "send_file": (("channels", "write"),),
    "add_reaction": (("channels", "write"),),
    "typing": (("channels", "write"),),
    # subscribe, history, message counts, get reactions, list/download file, here-now,
    # get/set own presence state, register channel for push: channel read
    "subscribe": (("channels", "read"),),
    "history": (("channels", "read"),),
    "message_counts": (("channels", "read"),),
    "get_reactions": (("channels", "read"),),
    "list_files": (("channels", "read"),),
    "download_file": (("channels", "read"),),
    "here_now": (("channels", "read"),),
    "get_state": (("channels", "read"),),
    "set_state": (("channels", "read"),),
    "register_push": (("channels", "read"),),
    # subscribe presence: read on the presence channel
    "subscribe_presence": (("channels", "read"),),
    # subscribe channel group: group read
    "subscribe_group": (("groups", "read"),),
    # add/remove/list channels in group, delete group: group manage
    "add_to_group": (("groups", "manage"),),
    "remove_from_group": (("groups", "manage"),),
    "list_group": (("groups", "manage"),),
    "delete_group": (("groups", "manage"),),
    # delete message(s) from history, delete file, remove reaction: channel delete
    "delete_messages": (("channels", "delete"),),
    "delete_file": (("channels", "delete"),),
    "remove_reaction": (("channels", "delete"),),
    # get channel metadata, get channel members: channel get
    "get_channel": (("channels", "get"),),
    "get_channel_members": (("channels", "get"),),
    # set/remove channel metadata: channel update / delete
    "set_channel": (("channels", "update"),),
    "remove_channel": (("channels", "delete"),),
    # set/remove channel members: channel manage
    "set_channel_members": (("channels", "manage"),),
    "remove_channel_members": (("channels", "manage"),),
    # set/remove own memberships: channel join + uuid update
    "set_memberships": (("channels", "join"), ("uuids", "update")),
    "remove_memberships": (("channels", "join"), ("uuids", "update")),
    # get user metadata, get memberships of uuid: uuid get
    "get_user": (("uuids", "get"),),
    "get_memberships": (("uuids", "get"),),
    # set user metadata: uuid update; remove user metadata: uuid delete
    "set_user": (("uuids", "update"),),
    "remove_user": (("uuids", "delete"),),
    # unsubscribe with a state tells it to the others: like setting one's own state
    "unsubscribe_with_state": (("channels", "read"),),
    # calls, by the decision in docs/concepts/access.md: hear, speak, moderate
    "join_call": (("channels", "read"),),
    "publish_in_call": (("channels", "write"),),
    "moderate_call": (("channels", "manage"),),
}
# unsubscribe, where-now (self), time: none
NOTHING = ("unsubscribe", "time")
OWN = ("where_now",)
# get all users / all channels: `.*` get, off by default
EVERYTHING = {"get_all_users": "uuids", "get_all_channels": "channels"}

BITS = {
    "read": 1, "write": 2, "manage": 4, "delete": 8, "get": 32, "update": 64, "join": 128,
}  # fmt: skip
SUMS = {"channels": 239, "groups": 5, "uuids": 104}

Grant = Mapping[str, Mapping[str, int]]


def words(mask: int) -> set[str]:
    return {word for word, bit in BITS.items() if mask // bit % 2 == 1}


def given(kind: str, name: str, resources: Grant, patterns: Grant) -> set[str]:
    found = words(resources.get(kind, {}).get(name, 0))
    for pattern, mask in patterns.get(kind, {}).items():
        if re.fullmatch(pattern, name, re.ASCII):
            found |= words(mask)
    return found


def allowed(
    operation: str, names: Mapping[str, list[str]], resources: Grant, patterns: Grant
) -> dict[str, list[str]]:
    """Every refused name by kind; empty when the operation is allowed."""
    refused: dict[str, list[str]] = {}
    for kind, word in MATRIX[operation]:
        for name in names[kind]:
            if word not in given(kind, name, resources, patterns):
                refused.setdefault(kind, []).append(name)
    return refused
