"""DPoP (RFC 9449): a bound token is nothing without a fresh proof for exactly this request."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.accounts.oauth.dpop import BadProof, read_proof, thumbprint
from tests.signaling.oauth.conftest import BACK, VERIFIER, Auth, Prover
from tests.signaling.sessions.served import OWN

TOKEN_URL = OWN + "/oauth/token"
SESSION_URL = OWN + "/api/v1/session"
NOW = 1_800_000_000.0


async def nonce(auth: Auth, app: str, prover: Prover) -> str:
    """The first answer asks for a nonce and brings one."""
    proof = prover.proof("POST", TOKEN_URL, auth.house.clock.unix())
    status, body, headers = await auth.send("/oauth/token", {"grant_type": "x"}, app, DPoP=proof)
    assert (status, body["error"]) == (400, "use_dpop_nonce")
    text: str = headers["DPoP-Nonce"]
    return text


async def bound(auth: Auth, app: str, prover: Prover) -> tuple[Any, str]:
    """Tokens bound to the key, and a nonce."""
    fresh = await nonce(auth, app, prover)
    form = {
        "grant_type": "authorization_code", "code": await auth.code(app), "redirect_uri": BACK,
        "code_verifier": VERIFIER,
    }  # fmt: skip
    proof = prover.proof("POST", TOKEN_URL, auth.house.clock.unix(), nonce=fresh)
    status, tokens, _ = await auth.send("/oauth/token", form, app, DPoP=proof)
    assert (status, tokens["token_type"]) == (200, "DPoP")
    return tokens, fresh


async def test_10_4_14_a_bound_token_works_with_its_proof_only(auth: Auth) -> None:
    app, prover = await auth.add("An app"), Prover()
    tokens, fresh = await bound(auth, app, prover)
    token, now = tokens["access_token"], auth.house.clock.unix()
    proof = prover.proof("GET", SESSION_URL, now, token, nonce=fresh)
    assert (await auth.session(token, "DPoP", DPoP=proof))[0] == 200
    other = Prover()
    bad = [
        ("Bearer", {}),
        ("DPoP", {}),
        ("Bearer", {"DPoP": prover.proof("GET", SESSION_URL, now, token, nonce=fresh)}),
        ("DPoP", {"DPoP": proof}),
        ("DPoP", {"DPoP": other.proof("GET", SESSION_URL, now, token, nonce=fresh)}),
        ("DPoP", {"DPoP": prover.proof("GET", SESSION_URL, now, token)}),
        ("DPoP", {"DPoP": prover.proof("GET", SESSION_URL, now, token, nonce="A" * 32)}),
        ("DPoP", {"DPoP": prover.proof("GET", SESSION_URL, now, nonce=fresh)}),
        ("DPoP", {"DPoP": prover.proof("GET", SESSION_URL, now, token + "x", nonce=fresh)}),
        ("DPoP", {"DPoP": prover.proof("POST", SESSION_URL, now, token, nonce=fresh)}),
        ("DPoP", {"DPoP": prover.proof("GET", TOKEN_URL, now, token, nonce=fresh)}),
        ("DPoP", {"DPoP": prover.proof("GET", SESSION_URL, now - 61, token, nonce=fresh)}),
        ("DPoP", {"DPoP": prover.proof("GET", SESSION_URL, now + 61, token, nonce=fresh)}),
        ("DPoP", {"DPoP": "rubbish"}),
    ]
    for scheme, headers in bad:
        assert (await auth.session(token, scheme, **headers))[0] == 401, headers
    again = prover.proof("GET", SESSION_URL + "?x=1#y", now, token, nonce=fresh)
    assert (await auth.session(token, "DPoP", DPoP=again))[0] == 200


async def test_a_nonce_grows_old_and_a_new_one_comes_with_the_refusal(auth: Auth) -> None:
    app, prover = await auth.add("An app"), Prover()
    tokens, fresh = await bound(auth, app, prover)
    token = tokens["access_token"]
    auth.house.clock.advance(301)
    now = auth.house.clock.unix()
    headers = {"Authorization": f"DPoP {token}"}
    headers["DPoP"] = prover.proof("GET", SESSION_URL, now, token, nonce=fresh)
    async with auth.api.client.get(auth.api.url + "/api/v1/session", headers=headers) as answer:
        assert answer.status == 401 and "use_dpop_nonce" in answer.headers["WWW-Authenticate"]
        fresh = answer.headers["DPoP-Nonce"]
    proof = prover.proof("GET", SESSION_URL, now, token, nonce=fresh)
    assert (await auth.session(token, "DPoP", DPoP=proof))[0] == 200


async def test_a_bound_refresh_token_needs_the_same_key(auth: Auth) -> None:
    app, prover, other = await auth.add("An app"), Prover(), Prover()
    tokens, fresh = await bound(auth, app, prover)
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    now = auth.house.clock.unix()
    assert (await auth.send("/oauth/token", form, app))[1]["error"] == "invalid_grant"
    stolen = other.proof("POST", TOKEN_URL, now, nonce=fresh)
    assert (await auth.send("/oauth/token", form, app, DPoP=stolen))[1]["error"] == "invalid_grant"
    mine = prover.proof("POST", TOKEN_URL, now, nonce=fresh)
    status, after, _ = await auth.send("/oauth/token", form, app, DPoP=mine)
    assert (status, after["token_type"]) == (200, "DPoP")


async def test_a_client_can_be_made_to_prove_a_key(auth: Auth) -> None:
    app = await auth.add("An app", dpop=True)
    status, body = await auth.exchange(app, await auth.code(app))
    assert (status, body["error"]) == (400, "invalid_dpop_proof")


async def test_a_code_can_be_bound_to_a_key_from_the_start(auth: Auth) -> None:
    app, prover = await auth.add("An app"), Prover()
    code = await auth.code(app, dpop_jkt=prover.thumbprint)
    assert (await auth.exchange(app, code))[1]["error"] == "invalid_grant"


# The proof itself


def read(text: str, **changes: Any) -> str:
    values: dict[str, Any] = {
        "method": "POST", "urls": frozenset({TOKEN_URL}), "now": NOW, "token": None,
    }  # fmt: skip
    return read_proof(text, **{**values, **changes}).thumbprint


def test_a_good_proof_has_the_thumbprint_of_its_key() -> None:
    prover = Prover()
    assert read(prover.proof("POST", TOKEN_URL, NOW)) == prover.thumbprint


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJE"
        "CPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Q"
        "vzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6"
        "WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    key = {"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize(
    "changes",
    [
        {"header": {"typ": "JWT"}},
        {"header": {"jwk": None}},
        {"header": {"jwk": {"kty": "oct", "k": "AAAA"}}},
        {"jti": None},
        {"jti": "short"},
        {"jti": 12345678},
        {"iat": None},
        {"iat": "now"},
        {"iat": True},
        {"htm": "post"},
        {"htu": TOKEN_URL + "/x"},
        {"htu": "https://evil.example/oauth/token"},
        {"htu": None},
    ],
    ids=str,
)
def test_a_proof_with_something_wrong_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadProof):
        read(Prover().proof("POST", TOKEN_URL, NOW, **changes))


def test_9_1_unsigned_swapped_and_private_keys_are_refused() -> None:
    prover = Prover()
    claims = {"jti": "a" * 16, "htm": "POST", "htu": TOKEN_URL, "iat": int(NOW)}
    header = {"typ": "dpop+jwt", "jwk": prover.jwk}
    private = {**prover.jwk, "d": "AAAA"}
    for text in (
        jwt.encode(claims, "", algorithm="none", headers=header),
        jwt.encode(claims, "a" * 32, algorithm="HS256", headers=header),
        prover.proof("POST", TOKEN_URL, NOW, header={"jwk": private}),
        prover.proof("POST", TOKEN_URL, NOW, header={"jwk": Prover().jwk}),
        prover.proof("POST", TOKEN_URL, NOW) + "x" * 9000,
    ):
        with pytest.raises(BadProof):
            read(text)


@given(st.text(max_size=300))
def test_no_text_of_strangers_is_a_proof(text: str) -> None:
    with pytest.raises(BadProof):
        read(text)
