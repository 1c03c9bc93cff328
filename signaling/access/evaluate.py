"""The decision: may this holder do this operation on these resources now?

One pure function, asked by HTTP, sockets, sync, files and calls alike; no clock, no I/O. What a
holder may do on one name is its own look-up (`Granted` here for tokens, `roles.Member` for
sessions); everything else, the default deny included, is in `evaluate`. Nothing is looked up about
the resource itself, so a refusal is the same whether it exists or not. `explain` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

from signaling.access.grant import Grant, Permissions, is_name
from signaling.access.patterns import Patterns
from signaling.access.permissions import (
    EVERYTHING,
    Kind,
    Needs,
    Operation,
    Permission,
)

# Names that a token's memory of masks holds beside the granted ones: the rooms somebody uses.
REMEMBERED = 4096


class Reason(StrEnum):
    """Why; also what is audited. Only EXPIRED and REVOKED are told apart on the wire."""

    ALLOWED = "allowed"
    MISSING = "missing"
    INVALID = "invalid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    DISABLED = "disabled"
    OTHER_UUID = "other_uuid"
    SCOPE = "scope"
    NOT_GRANTED = "not_granted"


class Ask(NamedTuple):
    """One question. A subscription may name several rooms and groups: all or nothing."""

    operation: Operation
    channels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    uuids: tuple[str, ...] = ()


class Decision(NamedTuple):
    """`channels`, `groups` and `uuids` are the refused ones, in the order of the question."""

    reason: Reason
    channels: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    uuids: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.reason is Reason.ALLOWED


ALLOWED = Decision(Reason.ALLOWED)


class Masks(dict[str, int]):
    """Permissions by name: what is granted by name, united with the patterns that match.

    A name that is not there yet is worked out and remembered, within a bound.
    """

    __slots__ = ("_named", "_patterns")

    def __init__(self, named: Mapping[str, int], patterns: Mapping[str, int]) -> None:
        self._patterns = Patterns(patterns)
        self._named = named
        super().__init__()
        self._forget()

    def _forget(self) -> None:
        self.clear()
        for name, mask in self._named.items():
            self[name] = mask | self._patterns.mask(name)

    def __missing__(self, name: str) -> int:
        if not is_name(name):
            return 0
        if not self._patterns:
            return 0
        if len(self) > len(self._named) + REMEMBERED:
            self._forget()
        mask = self[name] = self._patterns.mask(name)
        return mask

    @property
    def memory(self) -> int:
        """What it may come to, in bytes, roughly."""
        return self._patterns.memory + 200 * (len(self._named) + REMEMBERED * bool(self._patterns))


class Holder(Protocol):
    """Whoever asks, as far as the decision goes.

    `fault` is why they get nothing at all; `until` is when the credential ends (Unix time);
    `bound` is the one uuid that may use it, None for anybody; `scopes` narrow a session, None for
    what has none; `everything` are the kinds of which they may list all.
    """

    @property
    def fault(self) -> Reason | None: ...
    @property
    def until(self) -> float: ...
    @property
    def bound(self) -> str | None: ...
    @property
    def scopes(self) -> frozenset[str] | None: ...
    @property
    def everything(self) -> frozenset[Kind]: ...
    @property
    def channels(self) -> Mapping[str, int]: ...
    @property
    def groups(self) -> Mapping[str, int]: ...
    @property
    def uuids(self) -> Mapping[str, int]: ...


class Nobody:
    """No credential, or one that says nothing."""

    __slots__ = ("fault",)
    until = float("inf")
    bound = None
    scopes = None
    everything: frozenset[Kind] = frozenset()
    channels: Mapping[str, int] = {}
    groups: Mapping[str, int] = {}
    uuids: Mapping[str, int] = {}

    def __init__(self, fault: Reason = Reason.MISSING) -> None:
        self.fault = fault


class Granted:
    """A grant made ready for decisions, once per token and process. States: live -> `fault` set.

    Owned by the cache of `grants`; sockets and calls keep a reference, so that a revocation that
    sets `fault` holds for all of them from that moment.
    """

    __slots__ = (
        "app", "bound", "channels", "everything", "fault", "grant", "groups", "ident", "keyset",
        "memory", "since", "until", "uuids",
    )  # fmt: skip
    scopes = None

    def __init__(
        self,
        grant: Grant,
        *,
        app: str,
        keyset: str,
        ident: str,
        since: int,
        listing: bool = False,
    ) -> None:
        """`ident` is the token's id (a hash of it), `since` when it was granted, Unix time."""
        self.grant = grant
        self.app, self.keyset, self.ident = app, keyset, ident
        self.since = since
        self.fault: Reason | None = None
        self.until = float(since + grant.ttl * 60)
        self.bound = grant.uuid
        self.channels = _masks(grant, Kind.CHANNEL)
        self.groups = _masks(grant, Kind.GROUP)
        self.uuids = _masks(grant, Kind.UUID)
        self.everything = everything(grant.patterns) if listing else frozenset()
        self.memory = self.channels.memory + self.groups.memory + self.uuids.memory


def _masks(grant: Grant, kind: Kind) -> Masks:
    return Masks(grant.resources.of(kind), grant.patterns.of(kind))


def everything(patterns: Permissions) -> frozenset[Kind]:
    """The kinds whose every member may be listed, where the key set allows listing at all."""
    return frozenset(k for k in Kind if patterns.of(k).get(EVERYTHING, 0) & Permission.GET)


def evaluate(holder: Holder, ask: Ask, who: tuple[str, ...], now: float) -> Decision:
    """`who` are the uuids that the caller has shown to be: the account and the device of a session,
    or the one that a bare token's bearer claims. Empty for nobody in particular.
    """
    operation, channels, groups, uuids = ask
    needs = operation.needs
    if not needs.credential:
        return ALLOWED
    if holder.fault is not None:
        return Decision(holder.fault, channels, groups, uuids)
    if now >= holder.until:
        return Decision(Reason.EXPIRED, channels, groups, uuids)
    if holder.bound is not None and holder.bound not in who:
        return Decision(Reason.OTHER_UUID, channels, groups, uuids)
    if holder.scopes is not None and operation.scope not in holder.scopes:
        return Decision(Reason.SCOPE, channels, groups, uuids)
    if len(channels) == 1 and not groups and not uuids and not needs.uuid and needs.channel:
        # Nearly every question: one room.
        if holder.channels[channels[0]] & needs.channel == needs.channel:
            return ALLOWED
        return Decision(Reason.NOT_GRANTED, channels)
    if not _is_whole(needs, ask, holder, who):
        return Decision(Reason.NOT_GRANTED, channels, groups, uuids)
    refused = Decision(
        Reason.NOT_GRANTED,
        _refused(channels, holder.channels, needs.channel),
        _refused(groups, holder.groups, needs.group),
        () if needs.own else _refused(uuids, holder.uuids, needs.uuid),
    )
    return refused if any(refused[1:]) else ALLOWED


def _is_whole(needs: Needs, ask: Ask, holder: Holder, who: tuple[str, ...]) -> bool:
    """Nothing is allowed merely because no resource was named."""
    if needs.everything is not None:
        return needs.everything in holder.everything
    if needs.own:
        return bool(ask.uuids) and all(uuid in who for uuid in ask.uuids)
    if needs.any_kind:
        return bool(ask.channels or ask.groups or ask.uuids)
    return not (
        (needs.channel and not ask.channels)
        or (needs.group and not ask.groups)
        or (needs.uuid and not ask.uuids)
    )


def _refused(names: tuple[str, ...], masks: Mapping[str, int], need: int) -> tuple[str, ...]:
    """A kind on which the operation needs no bit has no business in the question: all refused."""
    if not need:
        return names
    refused = (name for name in names if masks[name] & need != need)
    return tuple(dict.fromkeys(refused))
