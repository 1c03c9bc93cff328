"""Promise B26: a revocation is obeyed everywhere within a second, with a bus and without one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from signaling.access.door import principal_of, whose
from signaling.access.evaluate import Ask, Granted, Nobody, Reason, evaluate
from signaling.access.grant import read_grant
from signaling.access.grants import BELIEVED_SECONDS
from signaling.access.permissions import Operation
from signaling.accounts.principal import Kind, Principal
from signaling.accounts.sessions.port import Revocation
from signaling.accounts.sessions.revocation import POLL_SECONDS
from signaling.accounts.signin import AccountView
from signaling.bus.local import LocalBus
from tests.signaling.access.rig import APP, Ground, Process
from tests.slack import within

GRANT = read_grant(
    msgspec.json.encode({"ttl": 5, "permissions": {"resources": {"channels": {"room": 3}}}})
)
READ = Ask(Operation.SUBSCRIBE, ("room",))


class Subscription:
    """Something open that a token opened."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.closed: Revocation | None = None

    def ended(self, revocation: Revocation) -> None:
        self.closed = revocation

    def changed(self, principal: Principal) -> None: ...

    def unsure(self) -> None: ...


async def held(
    process: Process, token: str, principal: Callable[[Granted], Principal] = principal_of
) -> tuple[Granted, Subscription]:
    found = await process.grants.find(APP, token)
    assert isinstance(found, Granted)
    subscription = Subscription(principal(found))
    process.revocations.register.hold(subscription)
    return found, subscription


async def test_b26_on_one_bus_at_once(base: Ground) -> None:
    bus = LocalBus(base.clock)
    here, there = Process(base, bus, 1), Process(base, bus, 2)
    keyset = await here.keysets.create(APP, "k")
    token = await here.grants.grant(APP, keyset, GRANT)
    other = await here.grants.grant(APP, keyset, GRANT)
    opened = [await held(process, token) for process in (here, there)]
    bystander, still_open = await held(there, other)
    await here.grants.revoke(APP, keyset, token)
    # The bus calls on the next turns of the loop; the clock has not moved.
    for _ in range(10):
        await asyncio.sleep(0)
    for granted, subscription in opened:
        assert evaluate(granted, READ, (), base.clock.unix()).reason is Reason.REVOKED
        assert subscription.closed is not None
    assert evaluate(bystander, READ, (), base.clock.unix()).allowed
    assert still_open.closed is None


async def test_b26_without_a_bus_within_a_second(base: Ground) -> None:
    """Two processes that cannot hear each other: requests ask the store again, and what is open
    is reached by the poll of the log.
    """
    here = Process(base, LocalBus(base.clock), 1)
    there = Process(base, LocalBus(base.clock), 2)
    keyset = await here.keysets.create(APP, "k")
    tokens = [await here.grants.grant(APP, keyset, GRANT) for _ in range(5)]
    there.revocations.start(there.door.look_again)
    opened = [await held(there, token) for token in tokens]
    other, still_open = await held(there, await here.grants.grant(APP, keyset, GRANT))
    await asyncio.sleep(POLL_SECONDS * 1.5)  # it has begun to follow the log
    took = []
    for token, (granted, subscription) in zip(tokens, opened, strict=True):
        began = time.monotonic()
        await here.grants.revoke(APP, keyset, token)
        async with asyncio.timeout(30):
            while subscription.closed is None:
                await asyncio.sleep(0.01)
        took.append(time.monotonic() - began)
        assert granted.fault is Reason.REVOKED
    within(1, took)
    assert (other.fault, still_open.closed) == (None, None)
    await there.revocations.stop()


async def test_b26_what_was_missed_is_looked_up(base: Ground) -> None:
    """Opened just before the process began to follow the log: the first look asks the store."""
    here = Process(base, LocalBus(base.clock), 1)
    there = Process(base, LocalBus(base.clock), 2)
    keyset = await here.keysets.create(APP, "k")
    token = await here.grants.grant(APP, keyset, GRANT)
    _, subscription = await held(there, token)
    await here.grants.revoke(APP, keyset, token)
    there.revocations.start(there.door.look_again)
    async with asyncio.timeout(30):
        while subscription.closed is None:
            await asyncio.sleep(0.01)
    await there.revocations.stop()


async def test_b26_a_request_elsewhere_asks_again_after_half_a_second(base: Ground) -> None:
    here = Process(base, LocalBus(base.clock), 1)
    there = Process(base, LocalBus(base.clock), 2)
    keyset = await here.keysets.create(APP, "k")
    token = await here.grants.grant(APP, keyset, GRANT)
    granted = await there.grants.find(APP, token)
    await here.grants.revoke(APP, keyset, token)
    base.clock.advance(BELIEVED_SECONDS)
    again = await there.grants.find(APP, token)
    # The same object: who holds it from before is refused too.
    assert again is granted
    assert again.fault is Reason.REVOKED


async def test_b26_a_revocation_during_the_first_look(base: Ground) -> None:
    """The store said yes before the revocation, the answer is used after it."""
    process = Process(base, LocalBus(base.clock))
    keyset = await process.keysets.create(APP, "k")
    token = await process.grants.grant(APP, keyset, GRANT)
    looks: list[Any] = await asyncio.gather(
        *(process.grants.find(APP, token) for _ in range(20)),
        process.grants.revoke(APP, keyset, token),
        *(process.grants.find(APP, token) for _ in range(20)),
    )
    base.clock.advance(BELIEVED_SECONDS)
    assert (await process.grants.find(APP, token)).fault is Reason.REVOKED
    granted = {id(found) for found in looks if isinstance(found, Granted)}
    assert len(granted) <= 1  # one compiled form, however many asked at once


async def test_b26_a_key_set_ends_with_all_its_tokens(base: Ground) -> None:
    process = Process(base, LocalBus(base.clock))
    keyset = await process.keysets.create(APP, "k")
    kept = await process.keysets.create(APP, "kept")
    tokens = [await process.grants.grant(APP, keyset, GRANT) for _ in range(130)]
    other = await process.grants.grant(APP, kept, GRANT)
    opened = [await held(process, token) for token in tokens[:3]]
    assert await process.grants.revoke_all(APP, keyset.id) == 130
    for token in tokens:
        assert (await process.grants.find(APP, token)).fault is Reason.REVOKED
    assert all(subscription.closed is not None for _, subscription in opened)
    assert isinstance(await process.grants.find(APP, other), Granted)
    assert await process.grants.revoke_all(APP, keyset.id) == 0


async def test_b24_every_kind_of_bad_token(base: Ground) -> None:
    process = Process(base, LocalBus(base.clock))
    keyset = await process.keysets.create(APP, "k")
    token = await process.grants.grant(APP, keyset, GRANT)
    bad = ["", "am_", "garbage", token[:-1], token + "A", token[3:], "am_" + "A" * 64]
    bad += [token.lower(), "cs_" + token[3:], token[:20] + "é" + token[21:], "\ud800" * 67]
    bad += [
        token[:i] + ("A" if token[i] != "A" else "B") + token[i + 1 :] for i in range(3, len(token))
    ]
    for text in bad:
        found = await process.grants.find(APP, text)
        assert isinstance(found, Nobody), text
        assert found.fault is Reason.INVALID
    # Another app has another tag key: nothing crosses.
    found = await process.grants.find("another", token)
    assert found.fault is Reason.INVALID
    base.clock.advance(300)
    assert (await process.grants.find(APP, token)).fault is Reason.EXPIRED


async def test_b24_a_forgery_falls_without_a_look_up(base: Ground) -> None:
    process = Process(base, LocalBus(base.clock))
    keyset = await process.keysets.create(APP, "k")
    token = await process.grants.grant(APP, keyset, GRANT)
    await process.grants.find(APP, token)
    asked = 0
    get = base.store.meta.get

    async def counted(app: str, kind: str, key: str) -> Any:
        nonlocal asked
        asked += 1
        return await get(app, kind, key)

    base.store.meta.get = counted  # type: ignore[method-assign]
    for text in (token[:-1] + ("A" if token[-1] != "A" else "B"), "am_" + "B" * 64, "x"):
        await process.grants.find(APP, text)
    assert asked == 0
    base.clock.advance(1)
    await process.grants.find(APP, token)
    assert asked == 1


async def test_the_cache_is_bounded_by_what_grants_may_take(base: Ground) -> None:
    process = Process(base, LocalBus(base.clock))
    keyset = await process.keysets.create(APP, "k")
    large = read_grant(
        msgspec.json.encode(
            {"ttl": 5, "permissions": {"patterns": {"channels": {
                f"r{mask}.*": mask for mask in (1, 2, 4, 8, 32, 64, 128)}}}}
        )
    )  # fmt: skip
    tokens = [await process.grants.grant(APP, keyset, large) for _ in range(20)]
    for token in tokens:
        found = await process.grants.find(APP, token)
        assert isinstance(found, Granted)
        assert found.memory > 7 * 4 << 20
    assert len(process.grants._known) < 15
    assert isinstance(await process.grants.find(APP, tokens[0]), Granted)


class Accounts:
    """One account, enabled or not."""

    def __init__(self) -> None:
        self.disabled = False

    async def view(self, app: str, account: str) -> AccountView | None:
        if account != "ada":
            return None
        return AccountView(
            app=app, id="ada", login="ada", name="ada", kind=Kind.ACCOUNT, roles=frozenset(),
            disabled=self.disabled, second_factor=False, changed=1,
        )  # fmt: skip

    async def guest_left(self, app: str, account: str) -> None: ...


async def test_b26_a_disabled_account_has_no_use_of_its_tokens(base: Ground) -> None:
    accounts = Accounts()
    process = Process(base, LocalBus(base.clock), directory=accounts)
    keyset = await process.keysets.create(APP, "k")
    ada = await process.grants.grant(APP, keyset, msgspec.structs.replace(GRANT, uuid="ada"))
    bob = await process.grants.grant(APP, keyset, msgspec.structs.replace(GRANT, uuid="bob"))
    granted, subscription = await held(process, ada, whose)
    other, still_open = await held(process, bob, whose)
    now = base.clock.unix()
    assert evaluate(granted, READ, ("ada",), now).allowed
    accounts.disabled = True
    await process.revocations.revoke(Revocation(app=APP, account="ada"))
    assert subscription.closed is not None
    assert (await process.grants.find(APP, ada)).fault is Reason.DISABLED
    assert evaluate(granted, READ, ("ada",), now).reason is Reason.DISABLED
    assert evaluate(other, READ, ("bob",), now).allowed
    assert still_open.closed is None
    accounts.disabled = False
    base.clock.advance(BELIEVED_SECONDS)
    assert (await process.grants.find(APP, ada)).fault is None
    await process.grants.revoke(APP, keyset, ada)
    base.clock.advance(BELIEVED_SECONDS)
    assert (await process.grants.find(APP, ada)).fault is Reason.REVOKED
