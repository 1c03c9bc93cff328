"""Links to set a password: which of them end when others are made or used."""

from __future__ import annotations

from signaling.accounts.model import Account
from signaling.accounts.principal import Role
from signaling.errors import Code
from tests.signaling.accounts.rig import APP, OTHER, PASSWORD, Rig, secret_of
from tests.signaling.accounts.test_administration import with_mail
from tests.signaling.accounts.test_sign_in import refusal, signed

OWNER = frozenset({Role.OWNER})


async def asked(rig: Rig, account: Account) -> str:
    """The secret of a mailed link."""
    await rig.service.administration.ask_reset(APP, account.login)
    assert rig.letters[-1][1] == "password_reset"
    return secret_of(rig.letters[-1][2])


async def void(rig: Rig, secret: str) -> bool:
    attempt = rig.service.administration.reset(APP, secret, PASSWORD, rig.service.joining)
    return (await refusal(attempt)).code is Code.LINK_INVALID


async def test_who_asks_for_a_letter_voids_nothing_but_letters(rig: Rig) -> None:
    account = await with_mail(rig)
    administration = rig.service.administration
    handed = secret_of(await administration.reset_link(APP, OWNER, account.id))
    await administration.wish_mail(APP, account.id, "new@example.org")
    confirmation = secret_of(rig.letters[-1][2])
    older = await asked(rig, account)
    await asked(rig, account)
    assert await void(rig, older)
    await administration.confirm_mail(APP, account.id, confirmation)
    assert (await rig.registry.require(APP, account.id)).mail == "new@example.org"
    await administration.reset(APP, handed, OTHER, rig.service.joining)
    signed(await rig.sign_in("ana", OTHER))


async def test_an_administrators_link_voids_every_other(rig: Rig) -> None:
    account = await with_mail(rig)
    mailed = await asked(rig, account)
    first = secret_of(await rig.service.administration.reset_link(APP, OWNER, account.id))
    assert await void(rig, mailed)
    second = secret_of(await rig.service.administration.reset_link(APP, OWNER, account.id))
    assert await void(rig, first)
    await rig.service.administration.reset(APP, second, OTHER, rig.service.joining)


async def test_a_new_password_voids_the_links_that_are_left(rig: Rig) -> None:
    account = await with_mail(rig)
    handed = secret_of(await rig.service.administration.reset_link(APP, OWNER, account.id))
    mailed = await asked(rig, account)
    await rig.service.administration.reset(APP, mailed, OTHER, rig.service.joining)
    assert await void(rig, handed)
    signed(await rig.sign_in("ana", OTHER))
