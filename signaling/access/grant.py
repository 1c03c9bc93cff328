"""A grant: what one token gives. The body of a grant request becomes one, or says what is wrong.

Pure. The messages are those of PubNub's Access Manager v3 where it has one, since its clients show
them. Not the token (`tokens`), not the storing (`grants`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec

from signaling.access.patterns import GRANT_INSTRUCTIONS, PatternError, check
from signaling.access.permissions import VALID, Kind, Permission

TTL_MINUTES = range(1, 43_201)
# Of a room, a group, an account: longer than any of ours, short enough for an index.
NAME_BYTES = 256
# A thousand patterns of usual length fit; so does one of the longest.
GRANT_BYTES = 256 * 1024
# How deep the body of a grant is, with one level to spare for a message about it.
_DEPTH = 6

# PubNub's clients before v3 said user and space; its Python client still sends both words.
_ALIASES = {"users": Kind.UUID, "spaces": Kind.CHANNEL}
_KINDS = {**{kind.value: kind for kind in Kind}, **_ALIASES}

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Masks = dict[str, int]
Scalar = str | int | float | bool | None


class Invalid(Exception):  # noqa: N818 - names what happened
    """400: `word` is what the message calls invalid, `detail` says why, `location` where."""

    def __init__(self, word: str, detail: str, location: str, kind: str = "body") -> None:
        super().__init__(f"Invalid {word}")
        self.message = f"Invalid {word}"
        self.detail = detail
        self.location = location
        self.location_type = kind


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """Masks by name, of one side of a grant: exact names, or patterns."""

    channels: Masks = msgspec.field(default_factory=dict)
    groups: Masks = msgspec.field(default_factory=dict)
    uuids: Masks = msgspec.field(default_factory=dict)

    def of(self, kind: Kind) -> Masks:
        masks: Masks = getattr(self, kind.value)
        return masks

    def __bool__(self) -> bool:
        return bool(self.channels or self.groups or self.uuids)


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """`ttl` in minutes; `uuid` is who alone may use the token, if anybody in particular."""

    ttl: int
    resources: Permissions
    patterns: Permissions
    meta: dict[str, Scalar] = msgspec.field(default_factory=dict)
    uuid: str | None = None


def read_grant(raw: bytes) -> Grant:
    """Raises Invalid."""
    body = _object(_decode(raw), "body", "")
    _known(body, {"ttl", "permissions"}, "")
    ttl = _ttl(body.get("ttl"))
    permissions = _object(body.get("permissions"), "permissions", "permissions")
    _known(permissions, {"resources", "patterns", "meta", "uuid"}, "permissions")
    resources = _side(permissions, "resources")
    patterns = _side(permissions, "patterns")
    if not resources and not patterns:
        raise Invalid("permissions", "At least one resource or pattern.", "permissions")
    _check_patterns(patterns)
    uuid = permissions.get("uuid")
    if uuid is not None:
        _name(uuid, "uuid", "permissions.uuid")
    return Grant(
        ttl=ttl, resources=resources, patterns=patterns, meta=_meta(permissions), uuid=uuid
    )


def _decode(raw: bytes) -> Any:
    if len(raw) > GRANT_BYTES:
        raise Invalid("body", f"At most {GRANT_BYTES} bytes.", "")
    try:
        text = raw.decode()
        if _depth(text) > _DEPTH:
            raise Invalid("body", "It is nested deeper than any grant.", "")
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise Invalid("body", "It is not UTF-8.", "") from None
    except ValueError:
        raise Invalid("body", "It is not one JSON object, each member once.", "") from None


def _depth(text: str) -> int:
    """Deepest nesting, counting brackets inside texts too: too high never, too low neither."""
    deepest = depth = 0
    quoted = escaped = False
    for letter in text:
        if quoted:
            quoted = escaped or letter != '"'
            escaped = not escaped and letter == "\\"
        elif letter == '"':
            quoted = True
        elif letter in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in "]}":
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a member comes twice")
    return made


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON (RFC 8259 section 6)")


def _object(value: Any, word: str, location: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(word, "It must be an object.", location)
    return value


def _known(members: Mapping[str, Any], known: set[str], location: str) -> None:
    if members.keys() - known:
        raise Invalid(location or "body", f"Only {', '.join(sorted(known))} stand here.", location)


def _ttl(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in TTL_MINUTES:
        raise Invalid("ttl", "Range should be 1 to 43200 minute(s).", "ttl")
    return value


def _side(permissions: Mapping[str, Any], side: str) -> Permissions:
    """`resources` or `patterns`. One that is left out is empty."""
    location = f"permissions.{side}"
    members = _object(permissions.get(side, {}), side, location)
    _known(members, set(_KINDS), location)
    made: dict[Kind, Masks] = {kind: {} for kind in Kind}
    for word, masks in members.items():
        kind, where = _KINDS[word], f"{location}.{word}"
        for name, mask in _object(masks, word, where).items():
            if side == "resources":
                _name(name, word, where)
            made[kind][name] = made[kind].get(name, 0) | _mask(mask, kind, where)
    return Permissions(**{kind.value: masks for kind, masks in made.items()})


def _mask(value: Any, kind: Kind, location: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid("permissions", "Permissions are the sum of their bits.", location)
    if value < 0 or value & ~VALID[kind]:
        words = ", ".join(str(bit.name).lower() for bit in Permission if bit & VALID[kind])
        raise Invalid("permissions", f"On {kind} these may be granted: {words}.", location)
    return value


def _name(value: Any, word: str, location: str) -> None:
    if not isinstance(value, str) or not is_name(value):
        raise Invalid(
            word,
            f"A name is 1 to {NAME_BYTES} bytes of text without control characters.",
            location,
        )


def is_name(text: str) -> bool:
    """May a room, a group or an account be called so on this wire?"""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= NAME_BYTES and _CONTROL.search(text) is None


def _check_patterns(patterns: Permissions) -> None:
    instructions = 0
    for kind in Kind:
        for pattern in patterns.of(kind):
            where = f"permissions.patterns.{kind}"
            try:
                instructions += check(pattern)
            except PatternError as error:
                raise Invalid("pattern", str(error), where) from None
            if instructions > GRANT_INSTRUCTIONS:
                raise Invalid("pattern", "The patterns together are too large.", where)


def _meta(permissions: Mapping[str, Any]) -> dict[str, Scalar]:
    meta = _object(permissions.get("meta", {}), "meta", "permissions.meta")
    for name, value in meta.items():
        if not _is_scalar(name) or not _is_scalar(value):
            raise Invalid("meta", "Values are texts, numbers, true, false or null.", "meta")
    return meta


def _is_scalar(value: Any) -> bool:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    # Beyond 64 bits no other language's JSON would read back what was written.
    return value is None or (isinstance(value, int) and -(2**63) <= value < 2**63)
