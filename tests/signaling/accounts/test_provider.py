"""Sign-in through a real OpenID provider, a process of its own, over TLS with a CA of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from signaling.accounts.oidc import Metadata, Provider
from signaling.accounts.service import Service
from signaling.accounts.signin import State
from signaling.egress import Egress
from signaling.errors import Code, Unavailable
from tests.peers import oidc_provider
from tests.signaling.accounts.provider_house import REDIRECT, asked, registered
from tests.signaling.accounts.rig import APP, PASSWORD, Rig, where
from tests.signaling.accounts.served import served
from tests.signaling.accounts.test_sign_in import refusal, signed, with_totp

# Its process is worth starting on one store only.
ONE_STORE = pytest.mark.parametrize("rig", ["embedded"], indirect=True)


@contextlib.asynccontextmanager
async def federated(
    rig: Rig, certificate: tuple[str, str, str], **more: Any
) -> AsyncIterator[Service]:
    """The services of the rig with the real provider, over TLS with a CA of its own."""
    pem, key, ca_file = certificate
    async with (
        oidc_provider.provider(REDIRECT, (pem, key)) as issuer,
        asked(issuer, ca_file, **more) as provider,
    ):
        yield Service(rig.parts, rig.registry, rig.sessions, rig.sessions, [provider])


async def came_back(service: Service, name: str, account: str = "") -> tuple[str, dict[str, str]]:
    begun = await service.federation.begin(APP, "id", where(), account)
    query = parse_qs(urlsplit(begun.location).query)
    assert query["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= set(query)
    return begun.ticket, await oidc_provider.sign_in(begun.location, name, REDIRECT)


async def finish(service: Service, ticket: str, back: dict[str, str]) -> Any:
    return await service.federation.finish(
        APP, ticket, back["state"], back["code"], back.get("iss"), where()
    )


@ONE_STORE
async def test_a_real_provider_makes_and_finds_an_account(
    rig: Rig, certificate: tuple[str, str, str]
) -> None:
    async with federated(rig, certificate, sign_up=True) as service:
        first = signed(await finish(service, *await came_back(service, "ana")))
        again = signed(await finish(service, *await came_back(service, "ana")))
        other = signed(await finish(service, *await came_back(service, "bob")))
    assert first.account == again.account != other.account
    assert (first.amr, first.mfa) == (("fed",), False)
    account = await rig.registry.require(APP, first.account)
    assert account.login.startswith("user.") or account.login.startswith("ana.")
    assert account.identities[0].subject == "ana"


@ONE_STORE
async def test_a_provider_makes_no_account_where_it_may_not(
    rig: Rig, certificate: tuple[str, str, str]
) -> None:
    await rig.invited("ana")
    async with federated(rig, certificate) as service:
        caught = await refusal(finish(service, *await came_back(service, "ana")))
    assert caught.code is Code.SIGN_UP_CLOSED


@ONE_STORE
async def test_a_connected_provider_signs_in_and_does_not_pass_the_second_factor(
    rig: Rig, certificate: tuple[str, str, str]
) -> None:
    account, totp, _ = await with_totp(rig)
    bob = await rig.invited("bob")
    async with federated(rig, certificate) as service:
        ticket, back = await came_back(service, "ana", account)
        await service.federation.link(
            APP, account, ticket, back["state"], back["code"], back.get("iss")
        )
        first = await finish(service, *await came_back(service, "ana"))
        assert (first.account, first.state) == (account, State.SECOND)
        code = totp.at(int(rig.clock.unix()))
        done = signed(await service.signing.code(APP, first.ticket, code, where()))
        assert (done.amr, done.mfa) == (("fed", "otp"), True)
        # Somebody else cannot take the same identity, and a trip for linking signs nobody in.
        ticket, back = await came_back(service, "ana", bob.id)
        taken = service.federation.link(
            APP, bob.id, ticket, back["state"], back["code"], back.get("iss")
        )
        assert (await refusal(taken)).code is Code.LOGIN_TAKEN
        assert (
            await refusal(finish(service, *await came_back(service, "ana", bob.id)))
        ).status == 401
        await service.federation.unlink(APP, account, "id")
        late = await refusal(finish(service, *await came_back(service, "ana")))
        assert late.code is Code.SIGN_UP_CLOSED


@ONE_STORE
async def test_a_return_is_good_once_for_its_own_trip_and_browser(
    rig: Rig, certificate: tuple[str, str, str]
) -> None:
    async with federated(rig, certificate, sign_up=True) as service:
        ticket, back = await came_back(service, "ana")
        other, _ = await came_back(service, "ana")
        assert (await refusal(finish(service, "A" * 32, back))).status == 401
        assert (await refusal(finish(service, other, back))).status == 401
        signed(await finish(service, ticket, back))
        assert (await refusal(finish(service, ticket, back))).status == 401
        # The code itself is spent as well.
        third, _ = await came_back(service, "ana")
        row = await rig.tables.flows.scan(APP)
        stolen = {**back, "state": row[-1].value.state}
        assert (await refusal(finish(service, third, stolen))).code in (
            Code.PROVIDER_REFUSED, Code.SIGN_IN_FAILED,
        )  # fmt: skip


@ONE_STORE
async def test_another_nonce_or_verifier_is_refused(
    rig: Rig, certificate: tuple[str, str, str]
) -> None:
    async with federated(rig, certificate, sign_up=True) as service:
        for change in ({"nonce": "x" * 32}, {"verifier": "x" * 64}):
            ticket, back = await came_back(service, "ana")
            (row,) = await rig.tables.flows.scan(APP)
            await rig.tables.flows.replace(APP, row, replace(row.value, **change))
            assert (await refusal(finish(service, ticket, back))).code is Code.PROVIDER_REFUSED


@ONE_STORE
async def test_a_certificate_of_another_authority_is_not_believed(
    rig: Rig, certificate: tuple[str, str, str]
) -> None:
    pem, key, _ = certificate
    async with oidc_provider.provider(REDIRECT, (pem, key)) as issuer, asked(issuer) as provider:
        with pytest.raises(Unavailable):
            await provider.metadata()


@ONE_STORE
async def test_over_http_from_the_page_to_the_session(
    rig: Rig, certificate: tuple[str, str, str]
) -> None:
    pem, key, ca_file = certificate
    async with (
        oidc_provider.provider(REDIRECT, (pem, key)) as issuer,
        asked(issuer, ca_file, sign_up=True) as provider,
        served(rig, [provider]) as api,
    ):
        page = (await api.ask("GET", "/sign-in")).body
        assert page["providers"] == [{"id": "id", "name": "Example"}]
        assert (await api.ask("POST", "/sign-in/providers/none", {})).status == 404
        begun = (await api.ask("POST", "/sign-in/providers/id", {})).body
        back = await oidc_provider.sign_in(begun["location"], "ana", REDIRECT)
        done = await api.ask("POST", "/sign-in/provider", {"ticket": begun["ticket"], **back})
        assert done.body["state"] == "done"
        me = (await api.ask("GET", "/account", token=done.body["access_token"])).body
        assert (me["providers"], me["password"]) == (["id"], False)
        only = await api.ask("DELETE", "/account/providers/id", token=done.body["access_token"])
        assert only.status == 409
        new = await api.ask(
            "PUT", "/account/password", {"password": PASSWORD}, done.body["access_token"]
        )
        assert new.status == 204
        assert (await api.sign_in(me["login"])).status == 200


class Told(Provider):
    """Its metadata is at hand."""

    promises = True

    async def metadata(self) -> Metadata:
        issuer = self.known.issuer
        return Metadata(
            issuer,
            f"{issuer}/authorize",
            f"{issuer}/token",
            f"{issuer}/keys",
            authorization_response_iss_parameter_supported=self.promises,
        )


class Silent(Told):
    promises = False


@ONE_STORE
async def test_10_2_2_one_of_several_providers_is_asked_only_if_it_promises_its_name(
    rig: Rig,
) -> None:
    egress = Egress([])
    told = Told(registered("https://told.example"), egress, rig.clock)
    known = replace(registered("https://silent.example"), id="silent")
    silent = Silent(known, egress, rig.clock)
    both = Service(rig.parts, rig.registry, rig.sessions, rig.sessions, [told, silent]).federation
    alone = Service(rig.parts, rig.registry, rig.sessions, rig.sessions, [silent]).federation
    assert (await both.begin(APP, "id", where())).location.startswith("https://told.example/")
    caught = await refusal(both.begin(APP, "silent", where()))
    assert caught.code is Code.PROVIDER_REFUSED and "RFC 9207" in caught.message
    # A trip that began while it was the only one does not end among several.
    begun = await alone.begin(APP, "silent", where())
    state = parse_qs(urlsplit(begun.location).query)["state"][0]
    caught = await refusal(both.finish(APP, begun.ticket, state, "code", None, where()))
    assert caught.code is Code.PROVIDER_REFUSED and "RFC 9207" in caught.message
    await egress.close()
