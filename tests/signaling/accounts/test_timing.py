"""Time tells no known login name from an unknown one (ASVS 6.3.8, attack class 20).

Interleaved tries over HTTP with a cheap hash, so that whatever else differs would show; then the
medians, and the Mann-Whitney statistic: how often one kind takes longer than the other.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.signaling.accounts.rig import APP, OTHER, Rig, secret_of
from tests.signaling.accounts.served import Answer, Served, served

TRIES = 1000  # of each kind
MEDIAN = 0.005  # seconds
# 0.5 is no difference at all; 1,000 against 1,000 put a chance result within 0.5 +- 0.04.
LEANING = 0.08

Try = Callable[[str], Awaitable[Answer]]


def leaning(one: list[float], two: list[float]) -> float:
    """The probability that a try of the first kind takes longer: U / (n m)."""
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in two])
    total = sum(rank for rank, (_, kind) in enumerate(ranked, 1) if kind == 0)
    return (total - len(one) * (len(one) + 1) / 2) / (len(one) * len(two))


async def measure(api: Served, attempt: Try, status: int) -> tuple[list[float], list[float]]:
    """Known and unknown, in random order; the clock moves so that no throttle has a say."""
    known: list[float] = []
    unknown: list[float] = []
    order = ["bob", "nobody"] * TRIES
    random.Random(7).shuffle(order)
    for login in order:
        api.rig.clock.advance(200)
        await api.rig.tables.failures.delete(APP, api.rig.tables.login_key(APP, login))
        before = time.perf_counter()
        answer = await attempt(login)
        taken = time.perf_counter() - before
        assert answer.status == status
        (known if login == "bob" else unknown).append(taken)
    return known, unknown


def alike(known: list[float], unknown: list[float]) -> bool:
    difference = abs(statistics.median(known) - statistics.median(unknown))
    lean = leaning(known, unknown)
    print(f"medians differ by {difference * 1e6:.0f} us, leaning {lean:.3f}")
    return difference < MEDIAN and abs(lean - 0.5) < LEANING


async def judge(api: Served, attempt: Try, status: int) -> None:
    """What tells names apart does so each time; what else the machine does, does not."""
    for _ in range(3):
        if alike(*await measure(api, attempt, status)):
            return
    raise AssertionError("time tells known names from unknown ones")


async def test_sign_in_takes_as_long_for_unknown_names(tmp_path: Path) -> None:
    rig = await Rig(tmp_path).start()
    try:
        async with served(rig) as api:
            await api.member(await api.owner(), "bob")
            await judge(api, lambda login: api.sign_in(login, OTHER), 401)
    finally:
        await rig.close()


async def test_asking_for_a_reset_takes_as_long_for_unknown_names(tmp_path: Path) -> None:
    rig = await Rig(tmp_path).start()
    try:
        async with served(rig) as api:
            member = await api.member(await api.owner(), "bob")
            await api.ask("POST", "/account/mail", {"mail": "bob@example.org"}, member)
            link = {"link": secret_of(rig.letters[-1][2])}
            await api.ask("POST", "/account/mail/confirmation", link, member)

            async def ask(login: str) -> Answer:
                return await api.ask("POST", "/password-resets", {"login": login})

            await judge(api, ask, 202)
            assert [what for _, what, _ in rig.letters].count("password_reset") > 0
    finally:
        await rig.close()
