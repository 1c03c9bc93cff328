"""Sign-in through an outside provider: with a real one over TLS, and against forged answers."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hmac
import ipaddress
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from msgspec.structs import replace

from signaling.accounts.oidc import (
    Flow,
    Metadata,
    Provider,
    Registration,
    UnknownKey,
    challenge,
    check_return,
    read_id_token,
    read_metadata,
)
from signaling.accounts.service import Service
from signaling.accounts.signin import State
from signaling.clock import SystemClock
from signaling.egress import Allow, Egress
from signaling.errors import ClientError, Code, Refused, Unavailable
from signaling.secret import Secret
from tests.peers import oidc_provider
from tests.signaling.accounts.rig import APP, PASSWORD, Rig, where
from tests.signaling.accounts.served import served
from tests.signaling.accounts.test_sign_in import refusal, signed, with_totp

NOW = 1_800_000_000
ISSUER = "https://id.example.org"
KNOWN = Registration(id="id", name="Example", issuer=ISSUER, client_id="sotto")
RSA = RSAKey.generate_key(2048, {"kid": "r1", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "e1", "use": "sig"})
KEYS = {"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]}
REDIRECT = "http://localhost/sign-in/provider"


def claims(**changes: Any) -> dict[str, Any]:
    found = {
        "iss": ISSUER, "sub": "42", "aud": "sotto", "exp": NOW + 300, "iat": NOW, "nonce": "n",
        "preferred_username": "ana", "name": "Ana", **changes,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def token(key: Any = RSA, alg: str = "RS256", kid: str | None = "r1", **changes: Any) -> str:
    header = {"alg": alg} | ({"kid": kid} if kid else {})
    return jwt.encode(header, claims(**changes), key, algorithms=[alg])


def b64(data: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def read(text: str, keys: dict[str, Any] | None = None) -> Any:
    return read_id_token(KNOWN, text, keys or KEYS, "n", NOW + 1.5)


def test_a_right_token_says_who() -> None:
    who = read(token())
    assert (who.issuer, who.subject, who.login, who.name, who.mfa) == (
        ISSUER,
        "42",
        "ana",
        "Ana",
        False,
    )
    assert read(token(EC, "ES256", "e1")).subject == "42"
    assert read(token(EC, "ES256", None)).subject == "42"
    assert read(token(aud=["sotto"])).subject == "42"
    assert read(token(aud=["sotto", "other"], azp="sotto")).subject == "42"


def test_a_second_factor_elsewhere_counts_where_the_operator_trusts_it() -> None:
    trusting = Registration(id="id", name="", issuer=ISSUER, client_id="sotto", trust_mfa=True)
    text = token(amr=["pwd", "mfa"])
    assert read_id_token(trusting, text, KEYS, "n", NOW).mfa
    assert not read(text).mfa
    assert not read_id_token(trusting, token(amr="mfa"), KEYS, "n", NOW).mfa


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"}, {"iss": None}, {"aud": "other"}, {"aud": None},
        {"aud": []}, {"aud": ["sotto", "other"]}, {"aud": ["sotto"], "azp": "other"},
        {"exp": NOW - 120}, {"exp": None}, {"exp": "soon"}, {"iat": NOW + 600}, {"iat": None},
        {"nonce": "other"}, {"nonce": None}, {"sub": None}, {"sub": ""}, {"sub": 42},
        {"sub": "x" * 256}, {"nbf": NOW + 600},
    ],
)  # fmt: skip
def test_v6_8_wrong_claims_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        read(token(**changes))


def test_v6_8_2_unsigned_and_swapped_algorithms_are_refused() -> None:
    unsigned = f"{b64({'alg': 'none'})}.{b64(claims())}."
    pem = RSA.as_pem(private=False)
    signed_part = f"{b64({'alg': 'HS256', 'kid': 'r1'})}.{b64(claims())}"
    tag = hmac.digest(pem, signed_part.encode(), "sha256")
    confused = f"{signed_part}.{base64.urlsafe_b64encode(tag).rstrip(b'=').decode()}"
    for text in (unsigned, confused, unsigned.replace("none", "None")):
        with pytest.raises(Refused):
            read(text)


def test_keys_come_from_the_provider_alone() -> None:
    mine = RSAKey.generate_key(2048, {"kid": "r1"})
    for extra in (
        {"jwk": mine.as_dict(private=False)},
        {"jku": "https://evil.example/k"},
        {"x5u": "https://evil.example/c"},
    ):
        header = {"alg": "RS256", "kid": "r1", **extra}
        head = b64(header)
        text = token(mine).split(".")
        with pytest.raises((Refused, UnknownKey)):
            read(".".join([head, *text[1:]]))
    with pytest.raises(UnknownKey):
        read(token(mine))
    with pytest.raises(UnknownKey):
        read(token(kid="r2"))
    with pytest.raises(UnknownKey):
        read(token(), {"keys": [{"kty": "oct", "kid": "r1", "k": "AAAA"}, 7, "x"]})


def test_any_changed_byte_is_noticed() -> None:
    text = token(EC, "ES256", "e1")
    head, body, signature = text.split(".")
    for part in (body, signature):
        changed = ("A" if part[5] != "A" else "B").join([part[:5], part[6:]])
        with pytest.raises((Refused, UnknownKey)):
            read(text.replace(part, changed))
    assert head


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin1")))
def test_any_text_is_no_token(text: str) -> None:
    with pytest.raises((Refused, UnknownKey)):
        read(text)


@given(st.binary(max_size=300))
def test_any_bytes_are_no_metadata(data: bytes) -> None:
    with pytest.raises(Refused):
        read_metadata(KNOWN, data)


@pytest.mark.parametrize(
    "change",
    [{"issuer": "https://evil.example"}, {"issuer": ISSUER + "/"}, {"token_endpoint": "http://id.example.org/t"},
     {"jwks_uri": "file:///etc/passwd"}, {"token_endpoint": 7}],
)  # fmt: skip
def test_metadata_of_another_issuer_or_scheme_is_refused(change: dict[str, Any]) -> None:
    document = {
        "issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/a", "token_endpoint": f"{ISSUER}/t",
        "jwks_uri": f"{ISSUER}/k",
    }  # fmt: skip
    assert read_metadata(KNOWN, json.dumps(document).encode()).issuer == ISSUER
    with pytest.raises(Refused):
        read_metadata(KNOWN, json.dumps(document | change).encode())


def test_the_return_must_fit_the_trip() -> None:
    flow = Flow(provider="id", state="s" * 32, nonce="n", verifier="v")
    plain = Metadata(ISSUER, "a", "t", "k")
    strict = Metadata(ISSUER, "a", "t", "k", authorization_response_iss_parameter_supported=True)
    check_return(flow, plain, "s" * 32, None)
    check_return(flow, strict, "s" * 32, ISSUER)
    for metadata, state, iss in (
        (plain, "other", None), (plain, "", None), (strict, "s" * 32, None),
        (plain, "s" * 32, "https://evil.example"), (plain, "é", None),
    ):  # fmt: skip
        with pytest.raises(Refused):
            check_return(flow, metadata, state, iss)


def test_pkce_is_s256() -> None:
    # The example of RFC 7636 appendix B.
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


# A provider that does as it is told


Page = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def hostile(pages: dict[str, Any]) -> AsyncIterator[str]:
    """Answers each path with bytes, or with what a function makes of the request."""

    async def answer(request: web.Request) -> web.Response:
        found = pages.get(request.path, b"{}")
        data = found(request) if callable(found) else found
        return web.Response(body=data, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    document = {
        "issuer": issuer, "authorization_endpoint": f"{issuer}/a", "token_endpoint": f"{issuer}/t",
        "jwks_uri": f"{issuer}/k",
    }  # fmt: skip
    pages.setdefault("/.well-known/openid-configuration", json.dumps(document).encode())
    try:
        yield issuer
    finally:
        await runner.cleanup()


def registered(issuer: str, **more: Any) -> Registration:
    return Registration(
        id="id", name="Example", issuer=issuer, client_id=oidc_provider.CLIENT,
        client_secret=Secret(oidc_provider.SECRET), **more,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def asked(issuer: str, ca_file: str = "", **more: Any) -> AsyncIterator[Provider]:
    port = urlsplit(issuer).port or 0
    egress = Egress([Allow(ipaddress.ip_network("127.0.0.1/32"), port, ca_file)])
    try:
        # A real provider's tokens are of the real time.
        yield Provider(registered(issuer, **more), egress, SystemClock())
    finally:
        await egress.close()


DISCOVERY = "/.well-known/openid-configuration"
FLOW = Flow(provider="id", state="s", nonce="n", verifier="v" * 64)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (DISCOVERY, b"x" * 400_000), (DISCOVERY, b"[]"),
        ("/t", b"[" * 5000), ("/t", b'{"id_token": 7}'), ("/t", b'{"id_token": "a.b.c"}'),
        ("/t", b"x" * 400_000), ("/k", b"[]"), ("/k", b"x" * 400_000),
        ("/k", b'{"keys": {"a": 1}}'), ("/t", b"\xff\xfe"),
        ("/k", b'{"keys": [{"kty": "RSA", "kid": "r1", "n": "AQ", "e": "AQ"}]}'),
    ],
)  # fmt: skip
async def test_hostile_documents_are_refused(path: str, data: bytes) -> None:
    pages: dict[str, Any] = {"/t": json.dumps({"id_token": token()}).encode(), path: data}
    async with hostile(pages) as issuer, asked(issuer) as provider:
        with pytest.raises((Refused, Unavailable)):
            await provider.exchange("code", FLOW, REDIRECT)


async def test_a_provider_on_a_private_address_is_not_called_unless_it_is_named() -> None:
    async with hostile({}) as issuer:
        egress = Egress()
        try:
            with pytest.raises(Refused):
                await Provider(registered(issuer), egress, SystemClock()).metadata()
        finally:
            await egress.close()


async def test_a_provider_that_is_away_is_503() -> None:
    async with hostile({}) as issuer:
        pass
    async with asked(issuer) as provider:
        with pytest.raises(Unavailable):
            await provider.metadata()


# The real one


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """PEM certificate and key for 127.0.0.1, and the file of the certificate as its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "provider of the tests")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = made.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    path: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_text(pem)
    return pem, private, str(path)


@contextlib.asynccontextmanager
async def federated(
    rig: Rig, certificate: tuple[str, str, str], **more: Any
) -> AsyncIterator[Service]:
    """The services of the rig with the real provider, over TLS with a CA of its own."""
    pem, key, ca_file = certificate
    async with (
        oidc_provider.provider(REDIRECT, (pem, key)) as issuer,
        asked(issuer, ca_file, **more) as provider,
    ):
        yield Service(rig.parts, rig.registry, rig.sessions, rig.sessions, [provider])


async def came_back(service: Service, name: str, account: str = "") -> tuple[str, dict[str, str]]:
    begun = await service.federation.begin(APP, "id", where(), account)
    query = parse_qs(urlsplit(begun.location).query)
    assert query["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= set(query)
    return begun.ticket, await oidc_provider.sign_in(begun.location, name, REDIRECT)


async def finish(service: Service, ticket: str, back: dict[str, str]) -> Any:
    return await service.federation.finish(
        APP, ticket, back["state"], back["code"], back.get("iss"), where()
    )


async def test_a_real_provider_makes_and_finds_an_account(
    rig: Rig, certificate: tuple[str, str, str]
) -> None:
    async with federated(rig, certificate, sign_up=True) as service:
        first = signed(await finish(service, *await came_back(service, "ana")))
        again = signed(await finish(service, *await came_back(service, "ana")))
        other = signed(await finish(service, *await came_back(service, "bob")))
    assert first.account == again.account != other.account
    assert (first.amr, first.mfa) == (("fed",), False)
    account = await rig.registry.require(APP, first.account)
    assert account.login.startswith("user.") or account.login.startswith("ana.")
    assert account.identities[0].subject == "ana"


async def test_a_provider_makes_no_account_where_it_may_not(
    rig: Rig, certificate: tuple[str, str, str]
) -> None:
    await rig.invited("ana")
    async with federated(rig, certificate) as service:
        caught = await refusal(finish(service, *await came_back(service, "ana")))
    assert caught.code is Code.SIGN_UP_CLOSED


async def test_a_connected_provider_signs_in_and_does_not_pass_the_second_factor(
    rig: Rig, certificate: tuple[str, str, str]
) -> None:
    account, totp, _ = await with_totp(rig)
    bob = await rig.invited("bob")
    async with federated(rig, certificate) as service:
        ticket, back = await came_back(service, "ana", account)
        await service.federation.link(
            APP, account, ticket, back["state"], back["code"], back.get("iss")
        )
        first = await finish(service, *await came_back(service, "ana"))
        assert (first.account, first.state) == (account, State.SECOND)
        code = totp.at(int(rig.clock.unix()))
        done = signed(await service.signing.code(APP, first.ticket, code, where()))
        assert (done.amr, done.mfa) == (("fed", "otp"), True)
        # Somebody else cannot take the same identity, and a trip for linking signs nobody in.
        ticket, back = await came_back(service, "ana", bob.id)
        taken = service.federation.link(
            APP, bob.id, ticket, back["state"], back["code"], back.get("iss")
        )
        assert (await refusal(taken)).code is Code.LOGIN_TAKEN
        assert (
            await refusal(finish(service, *await came_back(service, "ana", bob.id)))
        ).status == 401
        await service.federation.unlink(APP, account, "id")
        late = await refusal(finish(service, *await came_back(service, "ana")))
        assert late.code is Code.SIGN_UP_CLOSED


async def test_a_return_is_good_once_for_its_own_trip_and_browser(
    rig: Rig, certificate: tuple[str, str, str]
) -> None:
    async with federated(rig, certificate, sign_up=True) as service:
        ticket, back = await came_back(service, "ana")
        other, _ = await came_back(service, "ana")
        assert (await refusal(finish(service, "A" * 32, back))).status == 401
        assert (await refusal(finish(service, other, back))).status == 401
        signed(await finish(service, ticket, back))
        assert (await refusal(finish(service, ticket, back))).status == 401
        # The code itself is spent as well.
        third, _ = await came_back(service, "ana")
        row = await rig.tables.flows.scan(APP)
        stolen = {**back, "state": row[-1].value.state}
        assert (await refusal(finish(service, third, stolen))).code in (
            Code.PROVIDER_REFUSED, Code.SIGN_IN_FAILED,
        )  # fmt: skip


async def test_another_nonce_or_verifier_is_refused(
    rig: Rig, certificate: tuple[str, str, str]
) -> None:
    async with federated(rig, certificate, sign_up=True) as service:
        for change in ({"nonce": "x" * 32}, {"verifier": "x" * 64}):
            ticket, back = await came_back(service, "ana")
            (row,) = await rig.tables.flows.scan(APP)
            await rig.tables.flows.replace(APP, row, replace(row.value, **change))
            assert (await refusal(finish(service, ticket, back))).code is Code.PROVIDER_REFUSED


async def test_a_certificate_of_another_authority_is_not_believed(
    rig: Rig, certificate: tuple[str, str, str]
) -> None:
    pem, key, _ = certificate
    async with oidc_provider.provider(REDIRECT, (pem, key)) as issuer, asked(issuer) as provider:
        with pytest.raises(Unavailable):
            await provider.metadata()


async def test_over_http_from_the_page_to_the_session(
    rig: Rig, certificate: tuple[str, str, str]
) -> None:
    pem, key, ca_file = certificate
    async with (
        oidc_provider.provider(REDIRECT, (pem, key)) as issuer,
        asked(issuer, ca_file, sign_up=True) as provider,
        served(rig, [provider]) as api,
    ):
        page = (await api.ask("GET", "/sign-in")).body
        assert page["providers"] == [{"id": "id", "name": "Example"}]
        assert (await api.ask("POST", "/sign-in/providers/none", {})).status == 404
        begun = (await api.ask("POST", "/sign-in/providers/id", {})).body
        back = await oidc_provider.sign_in(begun["location"], "ana", REDIRECT)
        done = await api.ask("POST", "/sign-in/provider", {"ticket": begun["ticket"], **back})
        assert done.body["state"] == "done"
        me = (await api.ask("GET", "/account", token=done.body["access_token"])).body
        assert (me["providers"], me["password"]) == (["id"], False)
        only = await api.ask("DELETE", "/account/providers/id", token=done.body["access_token"])
        assert only.status == 409
        new = await api.ask(
            "PUT", "/account/password", {"password": PASSWORD}, done.body["access_token"]
        )
        assert new.status == 204
        assert (await api.sign_in(me["login"])).status == 200


def test_refusals_say_nothing_that_was_sent() -> None:
    with pytest.raises(ClientError) as caught:
        read(token(iss="https://canary.example"))
    assert "canary" not in caught.value.message
