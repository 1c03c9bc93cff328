"""The sign-in state machine (pure), and the port between accounts and sessions.

`accounts` verifies who somebody is and ends with a `SignedIn`; `sessions` turns that into tokens
and cookies (`Sessions`), and asks `Directory` who an account is. Nothing here has I/O or a clock.

    STARTED --proof--> DONE                        one proof is enough, or it was two at once
            --proof--> SECOND --proof--> DONE      the account has a second factor
            --proof--> ENROL  --enrolled--> DONE   policy asks for a factor that is not there yet
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from signaling.accounts.principal import Kind, Principal, Role


class Amr(StrEnum):
    """Authentication methods, RFC 8176 section 2 where it has a word; the last two are ours."""

    PASSWORD = "pwd"  # noqa: S105 - the name of a method
    OTP = "otp"
    HARDWARE_KEY = "hwk"  # a passkey that never leaves its authenticator
    SOFTWARE_KEY = "swk"  # a passkey that is synchronised between devices
    RECOVERY = "recovery"
    FEDERATED = "fed"


class State(StrEnum):
    STARTED = "started"
    SECOND = "mfa_pending"
    ENROL = "enrol_required"
    DONE = "done"


KNOWN = frozenset({Amr.PASSWORD, Amr.FEDERATED})
HELD = frozenset({Amr.OTP, Amr.HARDWARE_KEY, Amr.SOFTWARE_KEY, Amr.RECOVERY})


class Proof(Struct, frozen=True):
    """One verified factor. `multi`: it is two at once (a passkey that verified its user)."""

    amr: Amr
    multi: bool = False


class Standing(Struct, frozen=True):
    """What the machine must know of an account: has it a second factor, does policy ask for one."""

    second: bool = False
    required: bool = False


class Progress(Struct, frozen=True):
    """Where one sign-in stands. `proofs` in the order in which they came."""

    state: State = State.STARTED
    proofs: tuple[Proof, ...] = ()

    @property
    def mfa(self) -> bool:
        """Two different kinds of factor were shown: known and held, or one that is both."""
        shown = {proof.amr for proof in self.proofs}
        return any(proof.multi for proof in self.proofs) or bool(shown & KNOWN and shown & HELD)

    @property
    def amr(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(proof.amr.value for proof in self.proofs))


class OutOfOrder(Exception):  # noqa: N818 - names what happened
    """The proof does not fit the state; the adapter answers like for a wrong code."""


def advance(progress: Progress, proof: Proof, standing: Standing) -> Progress:
    """Take one verified proof. Raises `OutOfOrder` when this state does not take it."""
    if progress.state is State.STARTED:
        if proof.amr in (Amr.OTP, Amr.RECOVERY):
            raise OutOfOrder("a code is a second factor only")
    elif progress.state is not State.SECOND or proof.amr not in HELD:
        raise OutOfOrder(f"no {proof.amr} in {progress.state}")
    after = Progress(proofs=(*progress.proofs, proof))
    if after.mfa:
        return Progress(State.DONE, after.proofs)
    if standing.second:
        return Progress(State.SECOND, after.proofs)
    return Progress(State.ENROL if standing.required else State.DONE, after.proofs)


def enrolled(progress: Progress, proof: Proof) -> Progress:
    """The factor that policy asked for was enrolled and confirmed with `proof`."""
    if progress.state is not State.ENROL:
        raise OutOfOrder(f"nothing to enrol in {progress.state}")
    return Progress(State.DONE, (*progress.proofs, proof))


class SignedIn(Struct, frozen=True, kw_only=True):
    """Somebody proved who they are, completely. `at` is the moment of the last proof."""

    app: str
    account: str
    kind: Kind
    roles: frozenset[Role]
    amr: tuple[str, ...]
    mfa: bool
    at: float
    device: str
    epoch: int = 0  # of the account, read before its password was believed
    client: str | None = None
    lives_until: float | None = None  # a guest's session ends then at the latest


class Opened(Struct, frozen=True, kw_only=True):
    """What a fresh session hands out. With a cookie the tokens are None and `headers` set it."""

    session: str
    expires_at: float
    access_token: str | None = None
    refresh_token: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Sessions(Protocol):
    """Implemented by `signaling.accounts.sessions`, called by accounts."""

    async def open(self, signed: SignedIn, *, cookie: bool) -> Opened:
        """A new session (never one that existed before); `cookie` for a first-party browser.

        Raises Refused (401) when the account was disabled or got a new password since the proof.
        """

    async def again(self, principal: Principal, signed: SignedIn) -> Opened:
        """The owner of this session proved again who they are: renew `authenticated_at`, `mfa`, and
        hand out a new token in the way in which the old one came; the old one is good no more."""

    async def end(
        self, app: str, account: str, *, device: str | None = None, keep: str | None = None
    ) -> None:
        """End all sessions of the account, or of one device of it, except the session `keep`.

        Sockets, calls and tokens that hang on them end within a second, in every process.
        """


class AccountView(Struct, frozen=True, kw_only=True):
    """What others may know of an account. `changed` grows with every change of role or state,
    `epoch` with the password; `room` is the only one that a guest may enter."""

    app: str
    id: str
    login: str
    name: str
    kind: Kind
    roles: frozenset[Role]
    disabled: bool
    second_factor: bool
    changed: int
    epoch: int = 0
    room: str = ""


class Directory(Protocol):
    """Implemented by `signaling.accounts`, asked by sessions, OAuth, the Access Manager."""

    async def view(self, app: str, account: str) -> AccountView | None:
        """None when there is no such account in this app."""

    async def guest_left(self, app: str, account: str) -> None:
        """The last session of a guest ended: forget the guest. Nothing happens to others."""
