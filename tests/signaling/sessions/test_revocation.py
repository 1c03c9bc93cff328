"""A revocation reaches what is open: here at once, in other processes by the bus or by the log."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from signaling.accounts.principal import Principal, Role
from signaling.accounts.sessions.holders import Register
from signaling.accounts.sessions.port import Change, Revocation
from signaling.accounts.sessions.service import changed
from signaling.bus.local import LocalBus
from signaling.errors import Unavailable
from tests.signaling.sessions.house import ALICE, APP, BOB, Held, House
from tests.signaling.sessions.test_sessions import grant, look
from tests.slack import SLACK, within


async def until(what: Any, seconds: float = 1.0 + SLACK) -> None:
    """Waits for the condition; fails when it is not there soon after the promised second."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < seconds, "not within a second"
        await asyncio.sleep(0.005)


def other(house: House, bus: LocalBus | None = None) -> House:
    """Another process on the same store; on the same bus unless it has one of its own."""
    second = House(house.store, bus or house.bus, house.clock, seed=2)
    second.accounts = house.accounts
    second.service._directory = house.accounts
    second.revocations.start(second.service.look_again)
    return second


async def test_8_3_2_ending_a_session_closes_what_it_holds_open_and_nothing_else(
    house: House,
) -> None:
    mine, others = Held(await look(house, await house.sign_in())), None
    others = Held(await look(house, await house.sign_in()))
    for held in (mine, others):
        house.revocations.register.hold(held)
    assert mine.principal.session is not None
    await house.service.end_session(APP, mine.principal.session, reason="signed_out")
    assert [ending.reason for ending in mine.endings] == ["signed_out"] and not others.endings


@pytest.mark.parametrize("shares_bus", [True, False], ids=["by the bus", "by the log alone"])
async def test_another_process_follows_within_a_second(house: House, shares_bus: bool) -> None:
    second, took = other(house, None if shares_bus else LocalBus(house.clock)), []
    for _ in range(5):
        held = Held(await look(house, await house.sign_in()))
        second.revocations.register.hold(held)
        await second.revocations.catch_up(APP)
        assert held.principal.session is not None
        began = time.monotonic()
        await house.service.end_session(APP, held.principal.session)
        await until(lambda held=held: held.endings)
        took.append(time.monotonic() - began)
    within(1, took)
    await second.revocations.stop()


@pytest.mark.parametrize("shares_bus", [True, False], ids=["by the bus", "by the log alone"])
async def test_a_changed_role_is_looked_up_anew(house: House, shares_bus: bool) -> None:
    second = other(house, None if shares_bus else LocalBus(house.clock))
    held = Held(await look(house, await house.sign_in()))
    bob = Held(await look(house, await house.sign_in(BOB)))
    for one in (held, bob):
        second.revocations.register.hold(one)
    await second.revocations.catch_up(APP)
    first_looks = len(bob.changes)
    house.accounts.change(ALICE, roles=frozenset({Role.AUDITOR}))
    await house.revocations.revoke(changed(APP, account=ALICE))
    await until(lambda: held.principal.roles == {Role.AUDITOR})
    house.accounts.change(ALICE, disabled=True, roles=frozenset())
    await house.revocations.revoke(changed(APP, account=ALICE))
    await until(lambda held=held: held.endings)
    assert len(bob.changes) == first_looks
    await second.revocations.stop()


async def test_what_came_before_the_first_look_into_the_log_is_not_missed(house: House) -> None:
    """The session ended after this process looked at it and before it read the log at all."""
    second = other(house, LocalBus(house.clock))
    held = Held(await look(house, await house.sign_in()))
    assert held.principal.session is not None
    await house.service.end_session(APP, held.principal.session)
    second.revocations.register.hold(held)
    await until(lambda held=held: held.endings)
    await second.revocations.stop()


async def test_a_token_taken_back_closes_what_it_opened(house: House) -> None:
    tokens = await grant(house)
    held = Held(await look(house, tokens.access.text))
    house.revocations.register.hold(held)
    await house.service.drop_access(APP, tokens.session.id, tokens.access.id)
    assert held.endings


async def test_what_a_token_opened_outlives_it_with_no_more_rights(house: House) -> None:
    tokens = await grant(house, scopes=frozenset({"messages:read", "account:write"}))
    assert tokens.refresh is not None
    narrow = await house.service.refresh(
        APP, tokens.refresh.text, "client-1", lambda granted: frozenset({"messages:read"}), None
    )
    held = Held(await look(house, narrow.access.text))
    house.clock.advance(3601)
    again = await house.service.look_again(held.principal)
    assert again is not None and again.scopes == {"messages:read"}


class Away:
    """A log that is away."""

    def __init__(self, log: Any) -> None:
        self.log, self.away = log, True

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise Unavailable("away")
        return getattr(self.log, name)


async def test_a_revocation_is_written_when_the_store_is_back(house: House) -> None:
    store: Any = house.store
    log, away = store.log, Away(store.log)
    second = other(house, LocalBus(house.clock))
    held = Held(await look(house, await house.sign_in()))
    second.revocations.register.hold(held)
    await second.revocations.catch_up(APP)
    house.revocations._store = type("S", (), {"log": away})()
    session = held.principal.session
    await house.revocations.revoke(Revocation(app=APP, session=session))
    await house.revocations.revoke(Revocation(app=APP, session="another"))
    await asyncio.sleep(0.5)
    assert not held.endings
    away.away = False
    await until(lambda held=held: held.endings)
    await second.revocations.stop()
    assert (await log.head(APP, "\x00revoked")).seq == 2


async def test_when_the_store_cannot_be_asked_about_rights_it_closes(house: House) -> None:
    held = Held(await look(house, await house.sign_in()))

    async def away(principal: Principal) -> Principal | None:
        raise Unavailable("away")

    house.revocations._look_again = away
    house.revocations.register.hold(held)
    await house.revocations.revoke(changed(APP, account=ALICE))
    await until(lambda: held.unsure_times)


async def test_rubbish_on_the_bus_closes_nothing(house: House) -> None:
    held = Held(await look(house, await house.sign_in()))
    house.revocations.register.hold(held)
    for payload in (b"", b"\xff", b"\x80", b"\x81\xa3app\x01", b"{}" * 9):
        await house.bus.publish("revoked", payload)
    await asyncio.sleep(0.01)
    assert not held.endings


@pytest.mark.parametrize("field", ["account", "session", "device", "token", "client", "room"])
def test_every_field_that_is_set_must_match(field: str) -> None:
    values = {name: name for name in ("account", "session", "device", "token", "client")}
    held = Held(Principal(app=APP, **values))  # type: ignore[arg-type]  # five texts
    register = Register()
    release = register.hold(held, room="room")
    assert len(register.hit_by(Revocation(app=APP, **{field: field}))) == 1  # type: ignore[arg-type]
    assert not register.hit_by(Revocation(app=APP, **{field: "other"}))  # type: ignore[arg-type]
    assert not register.hit_by(Revocation(app="other", **{field: field}))  # type: ignore[arg-type]
    assert not register.hit_by(Revocation(app=APP, account="account", session="other"))
    assert register.sessions() == {(APP, "session")}
    release()
    release()
    assert not len(register) and not register.apps() and not register.sessions()


def test_changed_is_not_ended() -> None:
    assert changed(APP, account=ALICE).change is Change.CHANGED
