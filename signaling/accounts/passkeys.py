"""Passkeys: what is asked of an authenticator and what is believed of its answer (pure).

WebAuthn Level 3 through py_webauthn. No attestation: who made the authenticator is not our concern.
The challenge is an argument; that it is used once is the caller's to see to. The library is loaded
by the first passkey: it knows every kind of attestation, for which each start would pay.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from signaling.accounts.model import Passkey

if TYPE_CHECKING:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

CHALLENGE_BYTES = 32  # section 13.4.3 asks for 16 at least
MOST = 20  # of one account
TIMEOUT_MS = 300_000  # the ticket beside it lives longer


class Site(Struct, frozen=True):
    """The relying party: `id` is a domain, `origins` where its pages are served."""

    id: str
    name: str
    origins: tuple[str, ...]


class BadPasskey(Exception):  # noqa: N818 - names what happened
    """The answer does not verify; why is for the log, never for the client."""


class Shown(Struct, frozen=True):
    """A verified authentication."""

    count: int
    verified_user: bool


def handle(account: str) -> bytes:
    """The user handle: the account's UUID, no word about the person (section 14.6.1)."""
    return uuid.UUID(account).bytes


def account_of(user_handle: str) -> str | None:
    from webauthn.helpers import base64url_to_bytes

    try:
        return str(uuid.UUID(bytes=base64url_to_bytes(user_handle)))
    except (ValueError, TypeError):
        return None


def registration_options(
    site: Site, account: str, login: str, name: str, challenge: bytes, known: Iterable[Passkey]
) -> dict[str, Any]:
    """For `navigator.credentials.create`, as PublicKeyCredentialCreationOptionsJSON."""
    from webauthn import generate_registration_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = generate_registration_options(
        rp_id=site.id,
        rp_name=site.name,
        user_id=handle(account),
        user_name=login,
        user_display_name=name or login,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[_descriptor(passkey) for passkey in known],
    )
    return options_to_json_dict(options)


def register(
    site: Site, credential: Mapping[str, Any], challenge: bytes, name: str, now: float
) -> Passkey:
    """Raises BadPasskey. The user must have been verified (SP 800-63B-4 section 3.1.7)."""
    from webauthn import verify_registration_response
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.exceptions import WebAuthnException
    from webauthn.helpers.structs import CredentialDeviceType

    try:
        found = verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=site.id,
            expected_origin=list(site.origins),
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadPasskey(type(error).__name__) from error
    return Passkey(
        id=bytes_to_base64url(found.credential_id),
        public_key=found.credential_public_key,
        sign_count=found.sign_count,
        name=name,
        created=now,
        synced=found.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        transports=_transports(credential),
    )


def authentication_options(
    site: Site, challenge: bytes, allowed: Iterable[Passkey], *, verify_user: bool
) -> dict[str, Any]:
    """For `navigator.credentials.get`; without `allowed` the authenticator offers what it has."""
    from webauthn import generate_authentication_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.structs import UserVerificationRequirement

    wanted = UserVerificationRequirement.REQUIRED
    options = generate_authentication_options(
        rp_id=site.id,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        allow_credentials=[_descriptor(passkey) for passkey in allowed],
        user_verification=wanted if verify_user else UserVerificationRequirement.PREFERRED,
    )
    return options_to_json_dict(options)


def authenticate(
    site: Site,
    credential: Mapping[str, Any],
    challenge: bytes,
    passkey: Passkey,
    *,
    verify_user: bool,
) -> Shown:
    """Raises BadPasskey. The counter is not judged here (`cloned`): first comes the signature."""
    from webauthn import verify_authentication_response
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        found = verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=site.id,
            expected_origin=list(site.origins),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,
            require_user_verification=verify_user,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadPasskey(type(error).__name__) from error
    return Shown(found.new_sign_count, found.user_verified)


def cloned(passkey: Passkey, count: int) -> bool:
    """Section 6.1.1: a counter that did not grow means a second copy of the key, or a fault."""
    return (count > 0 or passkey.sign_count > 0) and count <= passkey.sign_count


def find(passkeys: Iterable[Passkey], credential: Mapping[str, Any]) -> Passkey | None:
    wanted = credential.get("id")
    return next((passkey for passkey in passkeys if passkey.id == wanted), None)


def user_handle(credential: Mapping[str, Any]) -> str | None:
    """The account that a discoverable credential names."""
    response = credential.get("response")
    found = response.get("userHandle") if isinstance(response, Mapping) else None
    return account_of(found) if isinstance(found, str) and len(found) <= 128 else None


def _descriptor(passkey: Passkey) -> PublicKeyCredentialDescriptor:
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.structs import AuthenticatorTransport, PublicKeyCredentialDescriptor

    return PublicKeyCredentialDescriptor(
        id=base64url_to_bytes(passkey.id),
        transports=[AuthenticatorTransport(name) for name in passkey.transports] or None,
    )


def _transports(credential: Mapping[str, Any]) -> tuple[str, ...]:
    """Hints for the browser's dialogue; unknown ones are dropped (section 5.8.4)."""
    from webauthn.helpers.structs import AuthenticatorTransport

    response = credential.get("response")
    found = response.get("transports") if isinstance(response, Mapping) else None
    known = {transport.value for transport in AuthenticatorTransport}
    names = found if isinstance(found, list) else []
    return tuple(sorted({name for name in names if isinstance(name, str) and name in known}))
