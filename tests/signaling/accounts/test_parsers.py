"""Names, addresses, codes and tokens: any text is taken in one form or refused; RFC vectors."""

from __future__ import annotations

import re
import unicodedata

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.accounts import names, recovery, totp
from signaling.accounts.tokens import is_secret, new_secret
from signaling.errors import ClientError
from signaling.ids import SeededEntropy


@given(st.text(max_size=80))
def test_a_login_name_is_canonical_or_refused(text: str) -> None:
    try:
        found = names.login(text)
    except ClientError as error:
        assert error.status == 422
        return
    assert names.login(found) == found == names.canonical(text)
    assert unicodedata.is_normalized("NFKC", found)
    assert names.LOGIN_MIN <= len(found) <= names.LOGIN_MAX


@given(st.text(alphabet=st.characters(codec=None), max_size=80))
def test_any_text_has_a_canonical_form(text: str) -> None:
    names.canonical(text).encode()


@given(st.text(max_size=100))
def test_a_display_name_prints_or_is_refused(text: str) -> None:
    try:
        found = names.display(text)
    except ClientError as error:
        assert error.status == 422
        return
    assert found.isprintable()
    assert len(found) <= names.DISPLAY_MAX


@given(st.text(max_size=60) | st.emails())
def test_an_address_is_one_line_or_refused(text: str) -> None:
    try:
        found = names.mail(text)
    except ClientError as error:
        assert error.status == 422
        return
    assert found.count("@") == 1
    assert re.fullmatch(r"\S+", found)


@given(st.text(max_size=40))
def test_a_code_is_six_digits_or_nothing(text: str) -> None:
    found = totp.parse(text)
    assert found is None or re.fullmatch(r"[0-9]{6}", found)


@given(st.text(max_size=60))
def test_a_recovery_code_is_bare_or_nothing(text: str) -> None:
    found = recovery.parse(text)
    assert found is None or (len(found) == recovery.CHARS and recovery.parse(found) == found)


@given(st.binary(min_size=recovery.BYTES, max_size=recovery.BYTES))
def test_recovery_codes_keep_every_bit(random: bytes) -> None:
    (code, *_) = recovery.generate(lambda size: random)
    bare = recovery.parse(code)
    assert bare is not None
    number = 0
    for char in bare:
        number = number << 5 | recovery.ALPHABET.index(char)
    assert number.to_bytes(recovery.BYTES, "big") == random
    assert recovery.parse(code.upper().replace("0", "O").replace("1", "I")) == bare


def test_recovery_codes_belong_to_their_account() -> None:
    codes = recovery.generate(SeededEntropy().token)
    stored = recovery.digests("ana", codes)
    bare = recovery.parse(codes[0]) or ""
    assert recovery.spend(stored, "bob", bare) is None
    assert recovery.spend(stored, "ana", bare) == stored[1:]


# RFC 6238 appendix B, SHA-1, the last six of the eight digits.
VECTORS = [
    (59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"),
    (2000000000, "279037"), (20000000000, "353130"),
]  # fmt: skip


@pytest.mark.parametrize(("at", "code"), VECTORS)
def test_codes_are_those_of_the_rfc(at: int, code: str) -> None:
    secret = totp.encode_secret(b"12345678901234567890")
    step = at // totp.PERIOD
    assert totp.check(secret, code, at, 0) == step
    assert totp.check(secret, code, at, step) is None
    assert totp.check(secret, code, at + totp.PERIOD, 0) == step
    assert totp.check(secret, code, at + 2 * totp.PERIOD, 0) is None


@given(st.integers(min_value=0, max_value=2**37), st.integers(min_value=0, max_value=9))
def test_a_step_is_never_accepted_twice(at: int, tries: int) -> None:
    secret = totp.encode_secret(b"12345678901234567890")
    last, seen = 0, set[int]()
    for offset in range(-2, 3):
        for _ in range(tries):
            step = totp.check(secret, pyotp.TOTP(secret).at(max(0, at + offset * 30)), at, last)
            if step is not None:
                assert step not in seen
                seen.add(step)
                last = step


@given(st.text(max_size=64))
def test_secrets_have_one_form(text: str) -> None:
    assert not is_secret(text) or len(text) == 32
    assert is_secret(new_secret(SeededEntropy()))
