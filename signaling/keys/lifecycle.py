"""The life of a key, as a table of what may follow what. Pure.

One life for master keys (in the KMS) and data keys (wrapped in the store). A `KeySet` holds the
versions of one key; at most one of them is active. The states are those of NIST SP 800-57 part 1,
section 7.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from signaling.errors import ClientError, Code
from signaling.keys.port import KeyDestroyed, KeyInactive, UnknownKey


class State(StrEnum):
    PRE_ACTIVE = "pre_active"
    ACTIVE = "active"
    DECRYPT_ONLY = "decrypt_only"
    DISABLED = "disabled"
    SCHEDULED = "scheduled"
    DESTROYED = "destroyed"


FOLLOWS: dict[State, frozenset[State]] = {
    State.PRE_ACTIVE: frozenset({State.ACTIVE, State.DISABLED}),
    State.ACTIVE: frozenset({State.DECRYPT_ONLY, State.DISABLED}),
    State.DECRYPT_ONLY: frozenset({State.DISABLED}),
    State.DISABLED: frozenset({State.DECRYPT_ONLY, State.SCHEDULED}),
    State.SCHEDULED: frozenset({State.DISABLED, State.DESTROYED}),
    State.DESTROYED: frozenset(),
}
READS = frozenset({State.ACTIVE, State.DECRYPT_ONLY})


class Version(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version of a key. A data key carries `wrapped` under a master's version; a master key
    carries what its provider calls it.
    """

    number: int
    state: State
    created: float
    changed: float
    wrapped: bytes = b""
    master: int = 0
    provider: str = ""
    reference: str = ""
    uses: int = 0
    due: float | None = None
    requested: str = ""
    approved: str = ""


class KeySet(Struct, frozen=True, kw_only=True):
    """All versions of one key, the oldest first."""

    id: str
    app: str
    scope: str
    versions: tuple[Version, ...]

    def version(self, number: int) -> Version:
        for version in self.versions:
            if version.number == number:
                return version
        raise UnknownKey("No such version of the key.")

    def active(self) -> Version | None:
        return next((v for v in self.versions if v.state is State.ACTIVE), None)

    def newest(self) -> int:
        return max((version.number for version in self.versions), default=0)

    def alive(self) -> bool:
        return any(version.state is not State.DESTROYED for version in self.versions)


def illegal(version: Version, to: State) -> ClientError:
    if version.state is State.DESTROYED:
        return KeyDestroyed()
    return ClientError(
        Code.CONFLICT, 409, f"A key that is {version.state.value} cannot become {to.value}."
    )


def move(keys: KeySet, number: int, to: State, now: float) -> KeySet:
    """One step of the table. Raises 409, or 410 for a destroyed key."""
    version = keys.version(number)
    if to not in FOLLOWS[version.state]:
        raise illegal(version, to)
    changed = replace(version, state=to, changed=now, due=None, requested="", approved="")
    return _put(keys, replace(changed, wrapped=b"") if to is State.DESTROYED else changed)


def add(keys: KeySet, version: Version) -> KeySet:
    return replace(keys, versions=(*keys.versions, version))


def activate(keys: KeySet, number: int, now: float) -> KeySet:
    """The version serves new writes from here on; the one before it only reads."""
    before = keys.active()
    moved = move(keys, number, State.ACTIVE, now)
    return moved if before is None else move(moved, before.number, State.DECRYPT_ONLY, now)


def schedule(keys: KeySet, number: int, who: str, now: float, due: float) -> KeySet:
    """The first of the two people asks for destruction, not before `due`."""
    moved = move(keys, number, State.SCHEDULED, now)
    return _put(moved, replace(moved.version(number), requested=who, due=due))


def cancel(keys: KeySet, number: int, now: float) -> KeySet:
    """Back to disabled; whoever asks again needs a second person again."""
    if keys.version(number).state is not State.SCHEDULED:
        raise illegal(keys.version(number), State.DISABLED)
    return move(keys, number, State.DISABLED, now)


def enable(keys: KeySet, number: int, now: float) -> KeySet:
    if keys.version(number).state is not State.DISABLED:
        raise illegal(keys.version(number), State.DECRYPT_ONLY)
    return move(keys, number, State.DECRYPT_ONLY, now)


def approve(keys: KeySet, number: int, who: str) -> KeySet:
    """The second of the two. The same person twice is 409."""
    version = keys.version(number)
    if version.state is not State.SCHEDULED:
        raise illegal(version, State.DESTROYED)
    if who == version.requested:
        raise ClientError(
            Code.SECOND_APPROVER_NEEDED, 409, "Destruction needs two different people."
        )
    return _put(keys, replace(version, approved=who))


def ripe(version: Version, now: float) -> bool:
    """Two people agreed and the waiting time is over."""
    return (
        version.state is State.SCHEDULED
        and bool(version.approved)
        and version.due is not None
        and now >= version.due
    )


def shredded(keys: KeySet, now: float) -> KeySet:
    """Every version destroyed at once, whatever its state: erasure, not an operator's verb."""
    return each(
        keys,
        lambda v: (
            v
            if v.state is State.DESTROYED
            else replace(v, state=State.DESTROYED, changed=now, wrapped=b"", due=None)
        ),
    )


def each(keys: KeySet, change: Callable[[Version], Version]) -> KeySet:
    return replace(keys, versions=tuple(change(version) for version in keys.versions))


def readable(version: Version) -> Version:
    """The version itself when what it sealed may be read."""
    if version.state is State.DESTROYED:
        raise KeyDestroyed
    if version.state not in READS:
        raise KeyInactive(f"The key of this is {version.state.value}.")
    return version


def writable(keys: KeySet) -> Version:
    """The version that seals. A key without an active version takes no new writes."""
    if (active := keys.active()) is not None:
        return active
    if not keys.alive():
        raise KeyDestroyed
    raise KeyInactive("The key has no active version.")


def _put(keys: KeySet, version: Version) -> KeySet:
    return each(keys, lambda v: version if v.number == version.number else v)
