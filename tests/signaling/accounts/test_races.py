"""A sign-in that began with the old password, and a new one that is set while it is under way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from signaling.accounts.principal import Role
from signaling.accounts.sessions.service import SessionService
from tests.signaling.accounts.rig import APP, OTHER, PASSWORD, Rig, secret_of
from tests.signaling.accounts.served import Served, served

pytestmark = pytest.mark.parametrize("rig", ["memory"], indirect=True)


@pytest.fixture
async def api(rig: Rig) -> AsyncIterator[Served]:
    async with served(rig) as made:
        yield made


async def member(api: Served) -> str:
    token = await api.member(await api.owner(), "ana.ana")
    return str((await api.ask("GET", "/account", token=token)).body["id"])


async def reset(api: Served, account: str) -> None:
    do = api.service.administration
    link = await do.reset_link(APP, frozenset({Role.OWNER}), account)
    await do.reset(APP, secret_of(link), OTHER, api.service.joining)


def before(work: Callable[[], Awaitable[None]], then: Any) -> Any:
    async def both(*args: Any, **more: Any) -> Any:
        await work()
        return await then(*args, **more)

    return both


def after(first: Any, work: Callable[[], Awaitable[None]]) -> Any:
    async def both(*args: Any, **more: Any) -> Any:
        done = await first(*args, **more)
        await work()
        return done

    return both


@pytest.mark.parametrize("moment", ["verified", "read", "concluding", "opening"])
async def test_a_sign_in_with_the_old_password_opens_nothing_after_the_new_one(
    api: Served, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    account = await member(api)
    times = 0

    async def once() -> None:
        nonlocal times
        times += 1
        if times == 1:
            await reset(api, account)

    service = api.service
    if moment == "verified":
        monkeypatch.setattr(api.rig.hashes, "verify", after(api.rig.hashes.verify, once))
    elif moment == "read":
        monkeypatch.setattr(service.registry, "get", after(service.registry.get, once))
    elif moment == "concluding":
        monkeypatch.setattr(service.devices, "seen", before(once, service.devices.seen))
    else:
        monkeypatch.setattr(service.sessions, "open", before(once, service.sessions.open))
    answer = await api.sign_in("ana.ana", PASSWORD)
    assert (answer.status, answer.body["code"]) == (401, "sign_in_failed")
    assert times >= 1 and isinstance(service.sessions, SessionService)
    assert await service.sessions.list(APP, account) == []
    assert (await api.sign_in("ana.ana", OTHER)).status == 200


async def test_of_two_sign_ins_that_renew_the_hash_both_get_in(
    api: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await api.service.registry.require(APP, await member(api))
    times = 0

    async def renewed() -> None:
        nonlocal times
        times += 1
        if times == 1:
            claim = await api.service.registry.claim_of(APP, account.login)
            assert claim is not None
            fresh = await api.rig.hashes.hash(PASSWORD)
            await api.service.registry.set_password(APP, account, fresh, unless=claim.password)

    monkeypatch.setattr(api.rig.hashes, "verify", after(api.rig.hashes.verify, renewed))
    assert (await api.sign_in("ana.ana")).status == 200


async def test_a_sign_in_of_an_account_that_is_disabled_meanwhile_opens_nothing(
    api: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await member(api)

    async def disable() -> None:
        owner = frozenset({Role.OWNER})
        await api.service.administration.set_disabled(APP, owner, account, disabled=True)

    sessions = api.service.sessions
    monkeypatch.setattr(sessions, "open", before(disable, sessions.open))
    answer = await api.sign_in("ana.ana")
    assert (answer.status, answer.body["code"]) == (401, "sign_in_failed")
    assert isinstance(sessions, SessionService)
    assert await sessions.list(APP, account) == []
