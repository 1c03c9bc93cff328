"""What a session may do: from its standing in a room and its roles in the app to permissions.

Tables and a look-up; the decision is `evaluate`, which also minds the scopes of the session. An
administrator manages every room and reads none: to read one they must become its member, which its
members see.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from signaling.access.evaluate import Holder, Nobody, Reason
from signaling.access.permissions import (
    DELETE,
    GET,
    JOIN,
    MANAGE,
    PRESENCE_SUFFIX,
    READ,
    UPDATE,
    WRITE,
    Kind,
)
from signaling.accounts.principal import Principal, Role


class Standing(StrEnum):
    """What an account is in one room."""

    STRANGER = "stranger"
    INVITED = "invited"
    GUEST = "guest"
    MEMBER = "member"
    MODERATOR = "moderator"
    OWNER = "owner"


_MEMBER = READ | WRITE | GET | JOIN

CHANNEL_BY_STANDING: dict[Standing, int] = {
    Standing.STRANGER: 0,
    Standing.INVITED: int(GET | JOIN),
    Standing.GUEST: int(READ | WRITE | GET),
    Standing.MEMBER: int(_MEMBER),
    Standing.MODERATOR: int(_MEMBER | MANAGE | DELETE),
    Standing.OWNER: int(_MEMBER | MANAGE | DELETE | UPDATE),
}
CHANNEL_BY_ROLE: dict[Role, int] = {
    Role.OWNER: int(GET | UPDATE | MANAGE | DELETE),
    Role.ADMINISTRATOR: int(GET | UPDATE | MANAGE | DELETE),
    Role.AUDITOR: int(GET),
    Role.COMPLIANCE: int(GET),
}
GROUP_BY_ROLE: dict[Role, int] = {
    Role.OWNER: int(MANAGE),
    Role.ADMINISTRATOR: int(MANAGE),
}
UUID_BY_ROLE: dict[Role, int] = {
    Role.OWNER: int(GET | UPDATE | DELETE),
    Role.ADMINISTRATOR: int(GET | UPDATE | DELETE),
    Role.AUDITOR: int(GET),
    Role.COMPLIANCE: int(GET),
}
OWN_UUID = int(GET | UPDATE | DELETE)
KNOWN_UUID = int(GET)
LISTS_EVERYTHING = frozenset({Role.OWNER, Role.ADMINISTRATOR})


class Rooms(dict[str, int]):
    """Masks by room for one session; a room's presence channel goes with the room."""

    __slots__ = ("_every", "_standings")

    def __init__(self, standings: Mapping[str, Standing], every: int) -> None:
        super().__init__()
        self._standings, self._every = standings, every

    def __missing__(self, name: str) -> int:
        room = name.removesuffix(PRESENCE_SUFFIX)
        mask = self._every | CHANNEL_BY_STANDING[self._standings.get(room, Standing.STRANGER)]
        return mask if room == name else int(mask & READ)


class Everyone(dict[str, int]):
    """The same mask for every name that is not listed."""

    __slots__ = ("_every",)

    def __init__(self, listed: Mapping[str, int], every: int) -> None:
        super().__init__(listed)
        self._every = every

    def __missing__(self, name: str) -> int:
        return self._every


class Session:
    """A holder made of a principal. `fault` is set when the session ends under an open socket."""

    __slots__ = ("bound", "channels", "everything", "fault", "groups", "scopes", "until", "uuids")

    def __init__(
        self,
        principal: Principal,
        standings: Mapping[str, Standing],
        known: Collection[str] = (),
    ) -> None:
        """`standings` by room as the store has them, `known` the accounts that share a room."""
        self.fault: Reason | None = None
        self.until = principal.valid_until or float("inf")
        self.bound: str | None = None
        self.scopes = principal.scopes
        self.channels = Rooms(standings, _by_role(principal, CHANNEL_BY_ROLE))
        self.groups = Everyone({}, _by_role(principal, GROUP_BY_ROLE))
        every = _by_role(principal, UUID_BY_ROLE)
        listed = dict.fromkeys(known, KNOWN_UUID | every)
        listed |= dict.fromkeys(uuids_of(principal), OWN_UUID)
        self.uuids = Everyone(listed, every)
        lists = principal.has_role(*LISTS_EVERYTHING)
        self.everything = frozenset({Kind.CHANNEL, Kind.UUID}) if lists else frozenset()


def holder(
    principal: Principal, standings: Mapping[str, Standing], known: Collection[str] = ()
) -> Holder:
    return Session(principal, standings, known) if principal.known else Nobody(Reason.MISSING)


def uuids_of(principal: Principal) -> tuple[str, ...]:
    """The uuids that a session has shown to be: its account and its device."""
    return tuple(part for part in (principal.account, principal.device) if part)


def _by_role(principal: Principal, table: Mapping[Role, int]) -> int:
    mask = 0
    for role in principal.roles:
        mask |= table.get(role, 0)
    return mask
