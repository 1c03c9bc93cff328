"""Password rules (NIST SP 800-63B-4 section 3.1.1), the block-list and the pool."""

from __future__ import annotations

import asyncio
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.accounts.passwords.blocklist import shipped
from signaling.accounts.passwords.bloom import Bloom, build
from signaling.accounts.passwords.hashing import Cost, HashPool
from signaling.accounts.passwords.rules import (
    LONGEST,
    MIN_ALONE,
    MIN_WITH_SECOND,
    Policy,
    check,
    normalise,
)
from signaling.errors import ClientError, Code, Unavailable
from signaling.ids import SeededEntropy
from tests.signaling.accounts.rig import APP, PASSWORD, Rig, where

GOOD = "plum river 4711 kite"


def refused(password: str, policy: Policy | None = None, *personal: str) -> Code:
    with pytest.raises(ClientError) as caught:
        check(password, policy or Policy(), shipped(), personal)
    assert caught.value.status == 422
    return caught.value.code


def test_length_is_counted_in_code_points() -> None:
    fox = "🦊🐢🐙🦉🐌🦂🐳🐘🦔🐧🦒🐪🐊🦥🐝"
    assert len(fox) == MIN_ALONE
    assert check(fox, Policy(), shipped()) == fox
    assert refused(fox[1:]) is Code.PASSWORD_TOO_SHORT


def test_eight_suffice_where_everybody_has_a_second_factor() -> None:
    policy = Policy(shortest=MIN_WITH_SECOND)
    assert check("vqpm27rt", policy, shipped()) == "vqpm27rt"
    assert refused("vqpm27r", policy) is Code.PASSWORD_TOO_SHORT
    assert refused("iloveyou", policy) is Code.PASSWORD_COMMON


@pytest.mark.parametrize("size", [64, LONGEST])
def test_long_ones_are_taken_whole(size: int) -> None:
    text = ("kite river plum 4711 vq " * 6)[:size]
    assert len(check(text, Policy(), shipped())) == size


def test_beyond_the_longest_is_refused_and_never_cut() -> None:
    assert refused(("kite river plum 4711 vq " * 6)[: LONGEST + 1]) is Code.PASSWORD_TOO_LONG


@pytest.mark.parametrize(
    "password",
    [
        "password123456789", "Passw0rd!Passw0rd!", "aaaaaaaaaaaaaaaa", "abcdefghijklmnop",
        "qwertyuiopasdfgh", "12345678901234567", "iloveyouforever2024", "monkeydragon123456",
        "letmeinletmein!!", "Sotto-sotto-2026!",
    ],
)  # fmt: skip
def test_common_words_runs_and_repeats_are_refused(password: str) -> None:
    assert refused(password) in (Code.PASSWORD_COMMON, Code.PASSWORD_GUESSABLE)


def test_the_names_around_an_account_are_refused() -> None:
    policy = Policy(words=("Kiosk Gmbh",))
    assert refused("kiosk.gmbh.2026!!", policy) is Code.PASSWORD_GUESSABLE
    assert refused("ana.silva.ana.silva", policy, "ana.silva") is Code.PASSWORD_GUESSABLE
    assert refused("AnaSilva19901990", policy, "ana.silva") is Code.PASSWORD_GUESSABLE


@pytest.mark.parametrize(
    "password",
    [GOOD, "correct horse battery staple", "zebra-cactus-omelette", "alllowercaseisfinehere",
     "ВЕРХНИЕ буквы и пробелы", "ünïcödé is quite alright", "horse839201748329"],
)  # fmt: skip
def test_no_composition_is_asked_for(password: str) -> None:
    assert check(password, Policy(), shipped()) == normalise(password)


@given(st.text(min_size=0, max_size=300))
def test_any_text_is_judged_quickly_and_normalised_once(text: str) -> None:
    try:
        kept = check(text, Policy(), shipped())
    except ClientError as error:
        assert error.status == 422
        return
    assert normalise(kept) == kept
    assert MIN_ALONE <= len(kept) <= LONGEST


async def test_both_spellings_of_an_accent_sign_in(rig: Rig) -> None:
    composed = "plum r\u00edver 4711 kit\u00e9"
    await rig.invited("ana", composed)
    await rig.sign_in("ana", unicodedata.normalize("NFD", composed))
    await rig.sign_in("ana", composed)


async def test_sign_up_says_why_a_password_is_refused(rig: Rig) -> None:
    for password, code in [
        ("password123456789", Code.PASSWORD_GUESSABLE),
        ("kioskkioskkiosk", Code.PASSWORD_GUESSABLE),
        ("short", Code.PASSWORD_TOO_SHORT),
    ]:
        link = await rig.invitation()
        with pytest.raises(ClientError) as caught:
            await rig.service.joining.sign_up(APP, link, "ana", password, "", where())
        assert (caught.value.status, caught.value.code) == (422, code)
        await rig.service.joining.sign_up(
            APP, link, f"ana{code[-3:]}{len(password)}", PASSWORD, "", where()
        )


def test_the_shipped_list_knows_the_commonest() -> None:
    common = shipped()
    for word in ("password", "123456789", "iloveyou", "sunshine", "qwerty123", "football"):
        assert word in common


def test_a_bloom_filter_never_forgets_and_rarely_invents() -> None:
    words = [f"word{n}" for n in range(2000)]
    filled = Bloom.loads(build(words, 1e-4).dumps())
    assert all(word in filled for word in words)
    assert sum(f"other{n}" in filled for n in range(20_000)) < 20


@given(st.binary(max_size=200))
def test_a_damaged_filter_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        Bloom.loads(data)


async def test_hashing_is_argon2id_with_its_cost_and_a_fresh_salt() -> None:
    pool = HashPool(Cost(), SeededEntropy(), workers=1, waiting=1)
    try:
        one, two = await pool.hash(GOOD), await pool.hash(GOOD)
        assert one.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
        assert one != two
        assert (await pool.verify(one, GOOD)).right
        assert not (await pool.verify(one, GOOD + " ")).right
        assert not (await pool.verify(None, GOOD)).right
        assert not (await pool.verify("no hash", GOOD)).right
    finally:
        pool.close()


async def test_a_full_queue_says_come_back() -> None:
    pool = HashPool(Cost(memory_kib=8192, passes=1), SeededEntropy(), workers=1, waiting=2)
    try:
        done = await asyncio.gather(*(pool.hash(GOOD) for _ in range(10)), return_exceptions=True)
        turned_away = [one for one in done if isinstance(one, Unavailable)]
        assert len(turned_away) == 7
        assert turned_away[0].retry_after
    finally:
        pool.close()


async def test_hashing_never_stalls_the_loop() -> None:
    pool = HashPool(Cost(), SeededEntropy(), workers=1, waiting=64)
    late: list[float] = []

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            late.append(time.monotonic() - before - 0.005)

    ticking = asyncio.create_task(tick())
    began = time.monotonic()
    try:
        await asyncio.gather(*(pool.hash(GOOD) for _ in range(8)))
        one = (time.monotonic() - began) / 8
    finally:
        ticking.cancel()
        pool.close()
    # On the loop, each hash would be a stall as long as itself, and there would be eight ticks.
    assert sorted(late)[int(len(late) * 0.9)] < max(0.05, one / 2)
