"""Two processes on one MongoDB, each with its own bus: what may happen once happens once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pyotp
import pytest

from signaling.accounts.principal import Role
from signaling.accounts.signing import Outcome
from signaling.errors import ClientError
from tests.signaling.accounts.rig import APP, PASSWORD, Rig, where
from tests.signaling.storage import places
from tests.signaling.storage.conftest import driver_sockets, stand_in

__all__ = ["driver_sockets", "stand_in"]  # fixtures

OWNER = frozenset({Role.OWNER})


@pytest.fixture
async def pair(
    tmp_path: Path, stand_in: Callable[[], int], driver_sockets: None
) -> AsyncIterator[tuple[Rig, Rig]]:
    place = places.make("mongo", tmp_path, stand_in)
    rigs: list[Rig] = []
    for seed in (1, 2):
        rig = Rig(tmp_path, seed=seed)
        rig.shared = await place.open(rig.clock)
        rigs.append(await rig.start())
        rig.change(tries_per_address=1000)
    one, two = rigs
    yield one, two
    for rig in rigs:
        await rig.close()
    await place.clear()


async def test_v2_3_one_use_is_one_account(pair: tuple[Rig, Rig]) -> None:
    one, _ = pair
    link = await one.invitation()
    done = await asyncio.gather(
        *(
            pair[n % 2].service.joining.sign_up(APP, link, f"user{n}", PASSWORD, "", where())
            for n in range(20)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Outcome) for each in done) == 1
    assert len(await one.people()) == 1


async def test_one_name_is_one_account(pair: tuple[Rig, Rig]) -> None:
    links = [await rig.invitation(uses=10) for rig in pair]
    done = await asyncio.gather(
        *(
            pair[n % 2].service.joining.sign_up(APP, links[n % 2], "ana", PASSWORD, "", where())
            for n in range(10)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Outcome) for each in done) == 1


async def test_c11_a_code_is_good_in_one_of_them(pair: tuple[Rig, Rig]) -> None:
    one, two = pair
    account = await one.invited("ana")
    offer = await one.service.factors.offer_totp(APP, account.id)
    totp = pyotp.TOTP(offer.secret)
    await two.service.factors.confirm_totp(APP, account.id, totp.at(int(one.clock.unix())))
    for rig in pair:
        rig.clock.advance(30)
    code = totp.at(int(one.clock.unix()))
    tickets = [(await rig.sign_in("ana")).ticket for rig in pair]
    # Each process even takes the other's ticket.
    done = await asyncio.gather(
        one.service.signing.code(APP, tickets[1], code, where()),
        two.service.signing.code(APP, tickets[0], code, where()),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Outcome) for each in done) == 1
    assert [each.status for each in done if isinstance(each, ClientError)] == [401]


async def test_of_two_owners_one_stays(pair: tuple[Rig, Rig]) -> None:
    one, _ = pair
    owners = [await one.owner(), await one.invited("bob", PASSWORD, Role.OWNER)]
    await asyncio.gather(
        *(
            rig.service.administration.set_roles(APP, OWNER, owner.id, frozenset({Role.MEMBER}))
            for rig, owner in zip(pair, owners, strict=True)
        ),
        return_exceptions=True,
    )
    roles = [(await one.registry.require(APP, owner.id)).roles for owner in owners]
    assert sum(Role.OWNER in each for each in roles) == 1
