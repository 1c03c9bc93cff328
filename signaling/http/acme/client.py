"""One order at an ACME authority, from account to certificate, with PyPI's `acme`.

Blocking: the library speaks through `requests`, so `keeper` runs this in a thread. The account key
is made once and kept beside the certificate.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from acme import challenges, client, crypto_util, errors, messages
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.jwa import ES256
from josepy.jwk import JWKEC
from requests.exceptions import RequestException

from signaling.config.acme import Acme
from signaling.errors import Unavailable
from signaling.http.acme.challenges import Pending, TlsAlpn01
from signaling.http.acme.files import read_or_make, write_private

# A validation takes seconds; the authority may be busy.
ORDER_SECONDS = 120
TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Issued:
    """PEM of the chain and of the key that belongs to it."""

    chain: bytes
    key: bytes


def order(settings: Acme, directory: Path, pending: Pending, now: datetime) -> Issued:
    """Raises Unavailable with a sentence for the operator; nothing is left pending."""
    try:
        return _order(settings, directory, pending, now)
    except errors.ValidationError as error:
        raise Unavailable(f"the authority could not verify: {_reasons(error)}") from error
    except (errors.Error, messages.Error, RequestException, OSError, ValueError) as error:
        # `messages.Error` carries the authority's own words; none of them is secret.
        raise Unavailable(f"the ACME order failed: {str(error)[:500]}") from error


def _order(settings: Acme, directory: Path, pending: Pending, now: datetime) -> Issued:
    account_key = _account_key(directory)
    network = client.ClientNetwork(
        account_key,
        alg=ES256,
        # `requests` takes the path of a PEM file as well.
        verify_ssl=cast(bool, settings.ca or True),
        user_agent="sotto",
        timeout=TIMEOUT_SECONDS,
    )
    acme = client.ClientV2(client.ClientV2.get_directory(settings.directory, network), network)
    _register(acme, settings, account_key)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    ordered = acme.new_order(crypto_util.make_csr(pem, list(settings.domains)))
    deadline = datetime.now() + timedelta(seconds=ORDER_SECONDS)  # noqa: TID251
    with contextlib.ExitStack() as stack:
        for authorization in ordered.authorizations:
            if authorization.body.status != messages.STATUS_VALID:
                _answer(acme, settings, authorization, pending, stack, account_key, now)
        done = acme.poll_and_finalize(ordered, deadline)
    return Issued(done.fullchain_pem.encode(), pem)


def _account_key(directory: Path) -> JWKEC:
    def make() -> bytes:
        key = ec.generate_private_key(ec.SECP256R1())
        return key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    data = read_or_make(directory / "account.key", make)
    key = serialization.load_pem_private_key(data, None)
    return JWKEC(key=key)


def _register(acme: client.ClientV2, settings: Acme, key: JWKEC) -> None:
    """An account that is there already is found by its key (RFC 8555 section 7.3.1)."""
    binding = None
    if settings.external_key_id and settings.external_key is not None:
        binding = messages.ExternalAccountBinding.from_data(
            account_public_key=key.public_key(),
            kid=settings.external_key_id,
            hmac_key=settings.external_key.reveal(),
            directory=acme.directory,
        )
    wish = messages.NewRegistration.from_data(
        email=settings.email or None,
        terms_of_service_agreed=settings.agree_terms,
        external_account_binding=binding,
    )
    try:
        acme.new_account(wish)
    except errors.ConflictError as known:
        body = messages.Registration()
        acme.net.account = messages.RegistrationResource(uri=known.location, body=body)


def _answer(
    acme: client.ClientV2,
    settings: Acme,
    authorization: messages.AuthorizationResource,
    pending: Pending,
    stack: contextlib.ExitStack,
    key: JWKEC,
    now: datetime,
) -> None:
    wanted = TlsAlpn01 if settings.challenge == "tls-alpn-01" else challenges.HTTP01
    name = authorization.body.identifier.value
    for offered in authorization.body.challenges:
        if isinstance(offered.chall, wanted):
            response, validation = offered.chall.response_and_validation(key)
            if isinstance(offered.chall, TlsAlpn01):
                stack.enter_context(pending.certificate(name, validation, now))
            else:
                token = offered.chall.encode("token")
                stack.enter_context(pending.text(token, validation))
            acme.answer_challenge(offered, response)
            return
    raise errors.ClientError(f"the authority offers no {settings.challenge} for {name}")


def _reasons(error: errors.ValidationError) -> str:
    found = [
        f"{authorization.body.identifier.value}: {challenge.error.detail}"
        for authorization in error.failed_authzrs
        for challenge in authorization.body.challenges
        if challenge.error is not None
    ]
    return "; ".join(found)[:500] or "no reason was given"


def store(issued: Issued, certificate: Path, key: Path) -> None:
    """Each file is replaced at once; the watch takes the pair only when the two belong together."""
    write_private(key, issued.key)
    write_private(certificate, issued.chain)
