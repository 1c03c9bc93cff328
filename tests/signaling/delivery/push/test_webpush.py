"""Encryption of RFC 8291 by its own example and by another's implementation; VAPID's tokens."""

from __future__ import annotations

import http_ece
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.clock import FakeClock
from signaling.delivery.push.webpush import (
    MAX_PLAIN,
    OVERHEAD,
    PAD_STEP,
    RECORD,
    TOKEN_KEPT,
    Vapid,
    encrypt,
    padded,
    private_key,
    public_point,
)
from tests.signaling.delivery.push.services import unb64url

# RFC 8291 section 5 and appendix A.
PLAIN = b"When I grow up, I want to be a watermelon"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
RECEIVER = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
WHOLE = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS"
    "6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qu"
    "lcy4a-fN"
)


def test_the_example_of_the_rfc() -> None:
    number = int.from_bytes(unb64url(SENDER), "big")
    sender = ec.derive_private_key(number, ec.SECP256R1())
    body = encrypt(PLAIN, unb64url(RECEIVER), unb64url(AUTH), sender, unb64url(SALT))
    assert body == unb64url(WHOLE)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=MAX_PLAIN), st.binary(min_size=16, max_size=16))
def test_another_implementation_opens_what_we_seal(plain: bytes, auth: bytes) -> None:
    device = ec.generate_private_key(ec.SECP256R1())
    sender = ec.generate_private_key(ec.SECP256R1())
    body = encrypt(plain, public_point(device), auth, sender, auth[::-1], padded(plain))
    opened = http_ece.decrypt(body, private_key=device, auth_secret=auth, version="aes128gcm")
    assert opened == plain
    assert len(body) <= RECORD
    if len(body) < RECORD:
        assert (len(body) - OVERHEAD + 1) % PAD_STEP == 0, "only the step shows"


def test_more_than_a_service_must_take_is_refused() -> None:
    device = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(ValueError, match="at most"):
        encrypt(bytes(MAX_PLAIN + 1), public_point(device), bytes(16), device, bytes(16))


@pytest.mark.parametrize("secret", [bytes(32), b"\xff" * 32, b"\x01" * 32])
def test_every_secret_is_a_key(secret: bytes) -> None:
    assert len(public_point(private_key(secret))) == 65


def claims_of(vapid: Vapid, endpoint: str) -> dict[str, object]:
    kind, _, rest = vapid.authorization(endpoint).partition(" ")
    assert kind == "vapid"
    token, key = (part.strip().partition("=")[2] for part in rest.split(","))
    assert key == vapid.public_key
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64url(key))
    claims: dict[str, object] = jwt.decode(
        token, point, algorithms=["ES256"], options={"verify_aud": False, "verify_exp": False}
    )
    return claims


def test_vapid_says_who_sends_to_whom_until_when() -> None:
    clock = FakeClock()
    vapid = Vapid(b"\x07" * 32, "mailto:ops@example.org", clock)
    first = claims_of(vapid, "https://Push.Example:8443/wp/secret?x=1")
    assert first["aud"] == "https://push.example:8443"
    assert first["sub"] == "mailto:ops@example.org"
    life = int(str(first["exp"])) - clock.unix()
    assert 0 < life <= 86400, "RFC 8292 section 2"
    text = vapid.authorization("https://push.example:8443/another")
    assert vapid.authorization("https://push.example:8443/wp/secret") == text, "kept"
    assert claims_of(vapid, "https://other.example/")["aud"] == "https://other.example"
    clock.advance(TOKEN_KEPT)
    later = claims_of(vapid, "https://push.example:8443/")
    assert int(str(later["exp"])) > int(str(first["exp"]))
    clock.step(-90_000)
    set_back = claims_of(vapid, "https://push.example:8443/")
    assert int(str(set_back["exp"])) - clock.unix() <= 86400, "also when the clock was set back"
