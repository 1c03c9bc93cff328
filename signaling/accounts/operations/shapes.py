"""What goes over the wire in the operations of this room. Nothing here has a hash or a secret that
was not made for the one who asks."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from signaling.accounts.model import Account, Device, Link
from signaling.accounts.principal import Role
from signaling.accounts.settings import Settings
from signaling.http.api.operation import Body

Short = Annotated[str, Meta(max_length=256)]
Name = Annotated[str, Meta(max_length=256)]
Password = Annotated[str, Meta(min_length=1, max_length=1024)]
Code = Annotated[str, Meta(max_length=64)]
Secret = Annotated[str, Meta(max_length=128)]


# What is sent


class Here(Body, frozen=True, kw_only=True):
    """Where somebody signs in. `cookie`: a browser of our own page, which keeps no token itself."""

    cookie: bool = False
    device_token: Secret = ""
    device_name: Short = ""


class PasswordStep(Here, frozen=True, kw_only=True):
    login: Short
    password: Password


class CodeStep(Here, frozen=True, kw_only=True):
    ticket: Secret
    code: Code


class PasskeyBegin(Here, frozen=True, kw_only=True):
    """Without a ticket the authenticator says who it is; with one it is the second factor."""

    ticket: Secret | None = None


class PasskeyStep(Here, frozen=True, kw_only=True):
    """`credential` as `PublicKeyCredential.toJSON()` gives it."""

    ticket: Secret
    credential: dict[str, Any]


class TicketStep(Here, frozen=True, kw_only=True):
    ticket: Secret


class EnrolPasskeyStep(Here, frozen=True, kw_only=True):
    ticket: Secret
    registration: Secret
    credential: dict[str, Any]
    name: Name = ""


class SignUpStep(Here, frozen=True, kw_only=True):
    """`link`: the part of an invitation after `#`."""

    login: Short
    password: Password
    name: Name = ""
    link: Secret | None = None


class SignUpPasskeyBegin(Here, frozen=True, kw_only=True):
    login: Short
    name: Name = ""
    link: Secret | None = None


class SignUpPasskeyStep(Here, frozen=True, kw_only=True):
    ticket: Secret
    credential: dict[str, Any]
    passkey_name: Name = ""


class GuestStep(Here, frozen=True, kw_only=True):
    link: Secret
    name: Name = ""


class ResetAsk(Body, frozen=True, kw_only=True):
    login: Short


class ResetStep(Body, frozen=True, kw_only=True):
    link: Secret
    password: Password


class AgainPassword(Body, frozen=True, kw_only=True):
    password: Password


class AgainCode(Body, frozen=True, kw_only=True):
    ticket: Secret
    code: Code


class AgainPasskey(Body, frozen=True, kw_only=True):
    ticket: Secret
    credential: dict[str, Any]


class ProviderStep(Here, frozen=True, kw_only=True):
    """What the provider's redirect brought to our page."""

    ticket: Secret
    state: Secret
    code: Annotated[str, Meta(max_length=4096)]
    iss: Annotated[str, Meta(max_length=2048)] | None = None


class LinkProviderStep(Body, frozen=True, kw_only=True):
    ticket: Secret
    state: Secret
    code: Annotated[str, Meta(max_length=4096)]
    iss: Annotated[str, Meta(max_length=2048)] | None = None


class Profile(Body, frozen=True, kw_only=True):
    name: Name


class NewPassword(Body, frozen=True, kw_only=True):
    password: Password
    current: Annotated[str, Meta(max_length=1024)] = ""


class CodeOnly(Body, frozen=True, kw_only=True):
    code: Code


class NewPasskey(Body, frozen=True, kw_only=True):
    ticket: Secret
    credential: dict[str, Any]
    name: Name = ""


class Rename(Body, frozen=True, kw_only=True):
    name: Name


class MailWish(Body, frozen=True, kw_only=True):
    mail: Short


class LinkOnly(Body, frozen=True, kw_only=True):
    link: Secret


class AccountChange(Body, frozen=True, kw_only=True):
    """What is left out stays. Nothing else of an account is anybody else's to change."""

    roles: Annotated[list[Role], Meta(min_length=1, max_length=8)] | None = None
    disabled: bool | None = None


class Invitation(Body, frozen=True, kw_only=True):
    roles: Annotated[tuple[Role, ...], Meta(max_length=8)] = ()
    uses: Annotated[int, Meta(ge=1, le=10_000)] = 1
    seconds: Annotated[int, Meta(ge=60, le=90 * 86400)] | None = None
    label: Name = ""


class GuestLinkWish(Body, frozen=True, kw_only=True):
    """`uses` 0: any number."""

    room: Annotated[str, Meta(min_length=1, max_length=128)]
    uses: Annotated[int, Meta(ge=0, le=10_000)] = 0
    seconds: Annotated[int, Meta(ge=60, le=90 * 86400)] | None = None
    label: Name = ""


# What is answered


class ProviderChoice(Struct, frozen=True, kw_only=True):
    id: str
    name: str


class SignInPage(Struct, frozen=True, kw_only=True):
    """What a sign-in page must know before anybody typed anything."""

    sign_up: str
    password_shortest: int
    password_longest: int
    second_factor: str
    password_reset: bool
    providers: list[ProviderChoice]


class SignInAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`state` is `done`, `mfa_pending` or `enrol_required`; a ticket goes with the last two."""

    state: str
    account_id: str | None = None
    ticket: str | None = None
    factors: list[str] = []
    session_id: str | None = None
    expires_at: float | None = None
    access_token: str | None = None
    refresh_token: str | None = None
    device_token: str | None = None
    recovery_codes: list[str] = []
    room: str | None = None


class PasskeyOptions(Struct, frozen=True, kw_only=True):
    """`options` for `PublicKeyCredential.parse...OptionsFromJSON`."""

    ticket: str
    options: dict[str, Any]


class TotpAnswer(Struct, frozen=True, kw_only=True):
    """Shown once. `qr` is an SVG document."""

    secret: str
    uri: str
    qr: str


class Codes(Struct, frozen=True, kw_only=True):
    """Ten, shown once; empty when the account has some already."""

    recovery_codes: list[str]


class ProviderBegun(Struct, frozen=True, kw_only=True):
    """Go to `location`; keep the ticket until the provider sends you back."""

    ticket: str
    location: str


class PasskeyAnswer(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    created_at: float
    used_at: float | None
    synced: bool


class AccountAnswer(Struct, frozen=True, kw_only=True):
    """An account as administrators see it."""

    id: str
    login: str
    name: str
    kind: str
    roles: list[str]
    disabled: bool
    second_factor: bool
    created_at: float
    external_id: str = ""
    tags: tuple[str, ...] = ()


class OwnAccount(Struct, frozen=True, kw_only=True):
    """An account as its owner sees it."""

    id: str
    login: str
    name: str
    mail: str
    kind: str
    roles: list[str]
    password: bool
    totp: bool
    recovery_codes_left: int
    passkeys: list[PasskeyAnswer]
    providers: list[str]
    created_at: float
    external_id: str = ""
    tags: tuple[str, ...] = ()


class DeviceAnswer(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    network: str
    created_at: float
    seen_at: float
    current: bool


class Devices(Struct, frozen=True, kw_only=True):
    items: list[DeviceAnswer]


class LinkMade(Struct, frozen=True, kw_only=True):
    """`url` is shown once."""

    id: str
    url: str


class LinkAnswer(Struct, frozen=True, kw_only=True):
    id: str
    label: str
    roles: list[str]
    room: str | None
    uses: int
    used: int
    made_at: float
    expires_at: float | None


def account_answer(account: Account) -> AccountAnswer:
    return AccountAnswer(
        id=account.id,
        login=account.login,
        name=account.name,
        kind=account.kind.value,
        roles=sorted(role.value for role in account.roles),
        disabled=account.disabled,
        second_factor=account.second_factor,
        created_at=account.created,
        external_id=account.external_id,
        tags=account.tags,
    )


def own_account(account: Account, *, password: bool) -> OwnAccount:
    return OwnAccount(
        id=account.id,
        login=account.login,
        name=account.name,
        mail=account.mail,
        kind=account.kind.value,
        roles=sorted(role.value for role in account.roles),
        password=password,
        totp=account.totp is not None,
        recovery_codes_left=len(account.recovery),
        passkeys=[
            PasskeyAnswer(
                id=one.id,
                name=one.name,
                created_at=one.created,
                used_at=one.used or None,
                synced=one.synced,
            )
            for one in account.passkeys
        ],
        providers=[identity.provider for identity in account.identities],
        created_at=account.created,
        external_id=account.external_id,
        tags=account.tags,
    )


def device_answer(device: Device, current: str | None) -> DeviceAnswer:
    return DeviceAnswer(
        id=device.id,
        name=device.name,
        network=device.network,
        created_at=device.created,
        seen_at=device.seen,
        current=device.id == current,
    )


def link_answer(link: Link, expires: float | None) -> LinkAnswer:
    return LinkAnswer(
        id=link.id,
        label=link.label,
        roles=sorted(role.value for role in link.roles),
        room=link.room or None,
        uses=link.uses,
        used=link.used,
        made_at=link.made,
        expires_at=expires,
    )


def sign_in_page(
    settings: Settings, providers: list[ProviderChoice], *, mail_works: bool, longest: int
) -> SignInPage:
    return SignInPage(
        sign_up=settings.sign_up.value,
        password_shortest=settings.password_policy("").shortest,
        password_longest=longest,
        second_factor=settings.second_factor.value,
        password_reset=mail_works,
        providers=providers,
    )
