"""What is kept about apps, accounts, links, devices and unfinished sign-ins. Pure data.

Factors and roles lie in the one `Account` document, so that spending a code, remembering a step or
adding a passkey is one compare-and-set.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from signaling.accounts.principal import Kind, Role
from signaling.accounts.signin import AccountView, Progress, Standing
from signaling.storage.untold import Owing


class App(Struct, frozen=True, kw_only=True):
    """A tenant. `owners` decides who may still leave that role; the accounts say the same."""

    id: str
    name: str = ""
    created: float
    owners: tuple[str, ...] = ()


class Totp(Struct, frozen=True, kw_only=True):
    secret: str
    added: float
    last_step: int = 0


class Passkey(Struct, frozen=True, kw_only=True):
    """`id` as base64url. `synced`: its key travels between devices (WebAuthn 6.1.3, BE)."""

    id: str
    public_key: bytes
    sign_count: int
    name: str
    created: float
    synced: bool
    transports: tuple[str, ...] = ()
    used: float = 0.0


class Identity(Struct, frozen=True):
    """Who somebody is at an outside provider (OpenID Connect Core section 2: iss and sub)."""

    issuer: str
    subject: str
    provider: str


class Account(Owing, frozen=True, kw_only=True):
    """Sealed with a data key of its own. `changed` grows when roles or state change."""

    id: str
    login: str
    kind: Kind
    roles: tuple[Role, ...]
    created: float
    name: str = ""
    mail: str = ""
    disabled: bool = False
    changed: int = 0
    epoch: int = 0  # grows with the password: sign-ins that began before it do not end after it
    totp: Totp | None = None
    totp_wish: Totp | None = None  # begun, not confirmed
    recovery: tuple[str, ...] = ()
    passkeys: tuple[Passkey, ...] = ()
    identities: tuple[Identity, ...] = ()
    lives_until: float | None = None
    room: str = ""  # the only one that a guest may enter
    external_id: str = ""  # the operator's own; one account of an app has it
    tags: tuple[str, ...] = ()  # the operator's words, and what the row is found by for them
    tag_terms: tuple[str, ...] = ()

    @property
    def second_factor(self) -> bool:
        return self.totp is not None or bool(self.passkeys)


class Claim(Struct, frozen=True, kw_only=True):
    """A name that belongs to one account: a login name, or (issuer, subject) of a provider.

    The argon2id hash lies with the login name, not in the account: a wrong password is answered
    before any key of an account is unwrapped, so the KMS cannot tell by its time who exists.
    """

    account: str
    made: float
    password: str | None = None


class Purpose(StrEnum):
    SETUP = "setup"
    INVITE = "invite"
    RESET = "reset"
    MAIL = "mail"
    GUEST = "guest"


class Link(Struct, frozen=True, kw_only=True):
    """What a secret link is good for. Kept under the hash of its secret. `uses` 0: any number."""

    id: str
    purpose: Purpose
    made: float
    maker: str
    label: str = ""
    uses: int = 1
    used: int = 0
    roles: tuple[Role, ...] = ()
    account: str = ""
    mail: str = ""
    room: str = ""


class Device(Struct, frozen=True, kw_only=True):
    """Where somebody signed in before. `secret` is the hash of what the device holds.

    `network` is truncated (/24, /48): enough to recognise, not to find anybody.
    """

    id: str
    account: str
    secret: str
    name: str
    network: str
    created: float
    seen: float


class Why(StrEnum):
    SIGN_IN = "sign_in"
    AGAIN = "again"  # the owner of a session proves again who they are
    REGISTER = "register"  # a passkey for an account that exists
    SIGN_UP = "sign_up"  # ... for one that does not exist yet


class Pending(Struct, frozen=True, kw_only=True):
    """A sign-in that is under way; kept under the hash of its ticket for a few minutes."""

    why: Why
    progress: Progress = Progress()
    account: str = ""
    epoch: int = 0
    session: str = ""
    challenge: bytes = b""
    device: str = ""  # recognised
    network: str = ""
    login: str = ""
    name: str = ""
    link: str = ""  # hash of the invitation that a sign-up spends


class Failures(Struct, frozen=True):
    """Wrong guesses in a row, from devices that are not known (SP 800-63B-4 section 3.2.2)."""

    count: int = 0


def view(app: str, account: Account) -> AccountView:
    return AccountView(
        app=app,
        id=account.id,
        login=account.login,
        name=account.name,
        kind=account.kind,
        roles=frozenset(account.roles),
        disabled=account.disabled,
        second_factor=account.second_factor,
        changed=account.changed,
        epoch=account.epoch,
        room=account.room,
    )


def standing(account: Account, required: bool) -> Standing:
    return Standing(second=account.second_factor, required=required)
