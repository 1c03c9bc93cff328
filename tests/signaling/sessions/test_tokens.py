"""Opaque tokens: what is minted is read, everything else falls before the store is asked."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.accounts.sessions.tokens import (
    RANDOM_BYTES,
    Prefix,
    derived_keys,
    mint,
    prefix_of,
    read,
    token_id,
)
from signaling.errors import Code, Refused
from signaling.ids import SeededEntropy, SystemEntropy
from tests.signaling.sessions.house import tag_keys

SUBJECT = "0192aaaa-0000-7000-8000-00000000000f"


def minted(prefix: Prefix = Prefix.SESSION, app: str = "default", seed: int = 1) -> str:
    return mint(tag_keys, app, prefix, SUBJECT, SeededEntropy(seed)).text


def refused(text: str, *expected: Prefix, app: str = "default") -> None:
    with pytest.raises(Refused) as caught:
        read(tag_keys, app, text, *(expected or (Prefix.SESSION,)))
    assert (caught.value.status, caught.value.code) == (401, Code.TOKEN_INVALID)
    assert len(text) < 9 or text not in str(caught.value)


@given(st.uuids(), st.sampled_from(list(Prefix)), st.integers(min_value=0))
def test_what_was_minted_is_read_back(subject: uuid.UUID, prefix: Prefix, seed: int) -> None:
    token = mint(tag_keys, "default", prefix, str(subject), SeededEntropy(seed))
    assert read(tag_keys, "default", token.text, prefix) == token
    assert prefix_of(token.text) is prefix
    assert token.text not in repr(token)


@given(st.integers(0, 75), st.sampled_from("ABCxyz019-_"))
def test_c4_a_token_with_one_character_changed_is_refused(place: int, character: str) -> None:
    text = minted()
    at = len(Prefix.SESSION) + place
    changed = text[:at] + character + text[at + 1 :]
    if changed != text:
        refused(changed)


@given(st.integers(0, 78))
def test_c4_a_truncated_token_is_refused(length: int) -> None:
    refused(minted()[:length])


@given(st.text(max_size=200))
def test_text_of_strangers_never_does_more_than_be_refused(text: str) -> None:
    refused(text)
    refused("cs_" + text)


@pytest.mark.parametrize("more", ["A", "=", "==", "\n", " ", "%0a", "\x00", "A" * 100_000])
def test_more_behind_a_token_is_refused(more: str) -> None:
    refused(minted() + more)


def test_c5_the_token_of_one_app_is_nothing_in_another() -> None:
    refused(minted(app="default"), app="other")


def test_one_kind_is_never_taken_for_another() -> None:
    refused(minted(Prefix.REFRESH))
    refused(minted(Prefix.SESSION), Prefix.REFRESH, Prefix.TICKET)
    refused("cr_" + minted(Prefix.SESSION)[3:], Prefix.REFRESH)


def test_a_tag_key_that_was_replaced_is_accepted_while_it_is_listed() -> None:
    text = minted()
    assert read(lambda app: [b"new", *tag_keys(app)], "default", text, Prefix.SESSION).text == text
    with pytest.raises(Refused):
        read(lambda app: [b"new"], "default", text, Prefix.SESSION)


def test_c4_tokens_have_at_least_128_random_bits_and_none_comes_twice() -> None:
    assert RANDOM_BYTES * 8 >= 128
    made = [mint(tag_keys, "default", Prefix.SESSION, SUBJECT, SystemEntropy()) for _ in range(999)]
    assert len({token.text for token in made}) == len({token.id for token in made}) == 999


def test_every_bit_of_the_random_part_varies() -> None:
    """200 positions over 400 tokens: one that is fixed would show with p = 2**-399."""
    bits = [0] * (RANDOM_BYTES * 8)
    for _ in range(400):
        value = int.from_bytes(SystemEntropy().token(RANDOM_BYTES), "big")
        for place in range(len(bits)):
            bits[place] += value >> place & 1
    assert all(100 < count < 300 for count in bits)


def test_the_id_of_a_token_says_nothing_of_it() -> None:
    text = minted()
    assert token_id(text) not in text and len(token_id(text)) == 32


def test_tag_keys_differ_between_apps_and_stay_the_same() -> None:
    keys = derived_keys(lambda app, text: f"{app} {text}")
    assert keys("a") == keys("a") != keys("b")
