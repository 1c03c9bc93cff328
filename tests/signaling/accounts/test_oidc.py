"""Sign-in through an outside provider: with a real one over TLS, and against forged answers."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

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
from signaling.clock import SystemClock
from signaling.egress import Egress
from signaling.errors import ClientError, Refused, Unavailable
from tests.signaling.accounts.provider_house import REDIRECT, asked, registered

NOW = 1_800_000_000
ISSUER = "https://id.example.org"
KNOWN = Registration(id="id", name="Example", issuer=ISSUER, client_id="sotto")
RSA = RSAKey.generate_key(2048, {"kid": "r1", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "e1", "use": "sig"})
KEYS = {"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]}


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


def test_refusals_say_nothing_that_was_sent() -> None:
    with pytest.raises(ClientError) as caught:
        read(token(iss="https://canary.example"))
    assert "canary" not in caught.value.message
