"""Links to set a password: which of them end when others are made or used."""

from __future__ import annotations

from typing import cast

from signaling.accounts.model import Account, Identity
from signaling.accounts.oidc import Provider, Registration
from signaling.accounts.principal import Kind, Role
from signaling.accounts.service import Service
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


ISSUER = "https://people.example"


class AProvider:
    """As much of one as is asked for who has been there."""

    def __init__(self, *, trust_mfa: bool) -> None:
        self.known = Registration(
            id="people", name="People", issuer=ISSUER, client_id="us",
            trust_mfa=trust_mfa,
        )  # fmt: skip


async def federated(rig: Rig, *, trust_mfa: bool) -> Account:
    """An account that a provider made: it has no password of ours."""
    provider = cast("Provider", AProvider(trust_mfa=trust_mfa))
    rig.service = Service(rig.parts, rig.registry, rig.sessions, rig.sessions, [provider])
    account = Account(
        id=rig.parts.ids.new(), login="ana.12345", kind=Kind.ACCOUNT, roles=(Role.MEMBER,),
        created=rig.clock.unix(), mail="ana@example.org",
        identities=(Identity(ISSUER, "ana", "people"),),
    )  # fmt: skip
    return await rig.registry.create(APP, account)


async def test_a_reset_is_no_way_past_the_second_factor_at_a_provider(rig: Rig) -> None:
    account = await federated(rig, trust_mfa=True)
    administration = rig.service.administration
    await administration.ask_reset(APP, account.login)
    assert rig.letters == []
    refused = await refusal(administration.reset_link(APP, OWNER, account.id))
    assert (refused.status, refused.code) == (409, Code.CONFLICT)


async def test_a_link_that_was_made_before_the_provider_was_trusted_is_void(rig: Rig) -> None:
    account = await federated(rig, trust_mfa=False)
    mailed = await asked(rig, account)
    provider = cast("Provider", AProvider(trust_mfa=True))
    rig.service = Service(rig.parts, rig.registry, rig.sessions, rig.sessions, [provider])
    assert await void(rig, mailed)


async def test_who_has_a_password_sets_another_whatever_provider_they_have(rig: Rig) -> None:
    account = await federated(rig, trust_mfa=True)
    await rig.registry.set_password(APP, account, await rig.hashes.hash(PASSWORD))
    mailed = await asked(rig, account)
    await rig.service.administration.reset(APP, mailed, OTHER, rig.service.joining)
    signed(await rig.sign_in(account.login, OTHER))
