"""What happened to accounts and files, and what a push service refused, is told wherever the
process dies: at every single write of the act and of its telling, before and after it, on both
stores.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace

from signaling.accounts.model import Account
from signaling.accounts.principal import Kind, Role
from signaling.accounts.registry import Registry
from signaling.accounts.tables import Tables
from signaling.bus.local import LocalBus
from signaling.chat.rooms import Rooms
from signaling.delivery.events import EventFilter
from signaling.delivery.feed import Place
from signaling.delivery.happenings import Happenings
from signaling.delivery.port import Gone, Item, Outcome
from signaling.delivery.push.content import encode
from signaling.delivery.push.model import Parcel, PushKind
from signaling.delivery.push.model import Subscription as Device
from signaling.delivery.push.register import Register as Devices
from signaling.delivery.push.sender import PushSender
from signaling.delivery.subscriptions import Https, Subscription, Subscriptions
from signaling.errors import Unavailable
from signaling.files.model import Stored
from signaling.files.port import State
from signaling.files.register import Register, changed
from signaling.ids import SystemIds
from signaling.storage.port import Store
from signaling.storage.untold import ABANDONED, SWEEP_SECONDS
from tests.signaling.access.rig import APP, Ground
from tests.signaling.accounts.test_crash import Died, Mortal
from tests.signaling.delivery.rig import Recorder, outbox_on

MOST_WRITES = 60
ROUTE = "r"


class Service:
    """Of push, with the `devices` that are registered: says of each that it is gone."""

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}

    async def get(self, app: str, ident: str) -> Device | None:
        return self.devices.get(ident)

    async def remove(self, app: str, account: str, ident: str) -> None:
        self.devices.pop(ident, None)

    async def send(self, one: Device, parcel: Parcel, ident: str, ttl: int) -> Outcome:
        return Gone("the push service answered 410")

    async def close(self) -> None:
        """Nothing is open."""


async def always(app: str, one: Device, parcel: Parcel) -> bool:
    return True


async def lives(app: str, session: str) -> float | None:
    return 2e9


@dataclass
class Told:
    """What the receiver got, over all lives of the server: (id, type) by subject."""

    came: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    service: Service = field(default_factory=Service)

    async def take(self, items: Sequence[Item]) -> None:
        for one in items:
            event = msgspec.json.decode(one.body, type=Place).event
            assert event is not None
            said = (event["id"], event["type"].removeprefix("sotto."))
            self.came.setdefault(event["subject"], []).append(said)

    def of(self, subject: str) -> list[str]:
        """As a receiver has it that makes doubles one by their ids."""
        return [kind for _, kind in dict.fromkeys(self.came.get(subject, []))]


class Life:
    """One process, from start to death, over a store that all of them share."""

    def __init__(self, ground: Ground, told: Told) -> None:
        self.ground, self.clock = ground, ground.clock
        self.mortal = Mortal(ground.store.meta)
        inner = ground.store
        store = cast("Store", SimpleNamespace(meta=self.mortal, log=inner.log, blobs=inner.blobs))
        tables = Tables(store, ground.sealer)
        self.registry, self.files = Registry(tables, self.clock), Register(store, ground.sealer)
        self.outbox = outbox_on(store, ground.sealer, self.clock, Recorder(before=told.take))
        self.subscriptions = Subscriptions(store, ground.sealer, LocalBus(self.clock), [APP])
        self.happenings = Happenings(
            self.outbox, self.subscriptions, rooms(), self.clock, SystemIds(self.clock), "/api"
        )
        push = {PushKind.FCM: told.service}
        sender = PushSender(cast("Devices", told.service), push, always, lives, self.clock)
        sender.failed = self.happenings.push
        self.outbox.register("push", sender)
        self.untold = (tables.untold, self.files.untold)
        tables.untold.listen(self.happenings.account, self.happenings.tell, self.clock)
        self.files.untold.listen(self.happenings.file, self.happenings.tell, self.clock)

    async def start(self) -> Life:
        await self.subscriptions.start()
        await self.registry.finish_erasures(APP)
        return self

    async def tell(self) -> None:
        for one in self.untold:
            await one.round(APP)

    async def settle(self) -> None:
        await self.tell()
        await self.outbox.settle()


def rooms() -> Rooms:
    """One room that is what files may be told of; nobody is withheld."""
    settings = SimpleNamespace(phi=False)
    state = SimpleNamespace(mode=SimpleNamespace(value="searchable"), settings=settings)

    async def there(app: str, room: str) -> Any:
        return SimpleNamespace(transient=False, state=state)

    return cast("Rooms", SimpleNamespace(withheld=lambda app, account: False, find_there=there))


Act = Callable[[Life, str], Awaitable[object]]
Check = Callable[[Life, str], Awaitable[None]]


async def asking(life: Life, *events: str) -> None:
    made = Subscription(
        id=ROUTE, kind="route", name="", to=Https(url="https://a.example/"), created=1.0, since=1.0,
        filter=EventFilter(events=events),
    )  # fmt: skip
    await life.subscriptions.create(APP, made)


async def every_death(ground: Ground, told: Told, prepare: Act, act: Act, check: Check) -> None:
    """`act` and its telling, by a process that dies at each write; `check` in the next one."""
    for write in range(MOST_WRITES):
        survived = 0
        for after in (False, True):
            ident = f"id-{write}-{after}"
            life = await Life(ground, told).start()
            await prepare(life, ident)
            await life.settle()
            life.mortal.die_at(write, after=after)
            try:
                await act(life, ident)
                await life.tell()
                survived += 1
            except Died:
                pass
            ground.clock.advance(120)
            following = await Life(ground, told).start()
            await following.settle()
            await check(following, ident)
        if survived == 2:
            assert write > 3, "the telling has writes too"
            return
    raise AssertionError("the act has too many writes")


async def nothing(life: Life, ident: str) -> None:
    """Is prepared."""


def somebody(ident: str) -> Account:
    return Account(id=ident, login=ident, kind=Kind.ACCOUNT, roles=(Role.MEMBER,), created=1.0)


async def appear(life: Life, ident: str) -> None:
    made = await life.registry.create(APP, somebody(ident))
    assert made.untold == ()


async def test_b15_an_account_is_told_if_and_only_if_it_was_made(lasting: Ground) -> None:
    told = Told()
    await asking(await Life(lasting, told).start(), "account.*")

    async def check(life: Life, ident: str) -> None:
        made = await life.registry.get(APP, ident)
        assert told.of(ident) == ([] if made is None else ["account.created"])
        assert made is None or made.untold == ()

    await every_death(lasting, told, nothing, appear, check)


async def test_b15_changes_of_an_account_are_told_in_their_order(lasting: Ground) -> None:
    told = Told()
    await asking(await Life(lasting, told).start(), "account.*")

    async def act(life: Life, ident: str) -> None:
        roles = (Role.MEMBER, Role.AUDITOR)
        await life.registry.change(APP, ident, lambda row: replace(row, roles=roles))
        await life.registry.change(APP, ident, lambda row: replace(row, name="of no event"))
        await life.registry.change(APP, ident, lambda row: replace(row, disabled=True))

    async def check(life: Life, ident: str) -> None:
        made = await life.registry.require(APP, ident)
        wanted = ["account.created"]
        wanted += ["account.changed"] if Role.AUDITOR in made.roles else []
        wanted += ["account.disabled"] if made.disabled else []
        assert told.of(ident) == wanted and made.untold == ()

    await every_death(lasting, told, appear, act, check)


async def test_b15_a_removal_is_told_once_the_account_is_gone(lasting: Ground) -> None:
    """With what was not told of it before. Of a removal that did not come to pass nothing is."""
    told = Told()
    await asking(await Life(lasting, told).start(), "account.*")

    async def act(life: Life, ident: str) -> None:
        await life.registry.change(APP, ident, lambda row: replace(row, disabled=True))
        await life.registry.forget(APP, await life.registry.require(APP, ident))

    async def check(life: Life, ident: str) -> None:
        made = await life.registry.get(APP, ident)
        wanted = ["account.created"]
        wanted += ["account.disabled"] if made is None or made.disabled else []
        wanted += ["account.removed"] if made is None else []
        assert told.of(ident) == wanted

    await every_death(lasting, told, appear, act, check)
    lasting.clock.advance(ABANDONED + SWEEP_SECONDS)
    await (await Life(lasting, told).start()).settle()
    assert await lasting.store.meta.scan(APP, "farewell") == [], "nor is anything left"


async def uploaded(life: Life, ident: str) -> None:
    stored = Stored(
        owner="ann", room="tea", created=1.0, touched=1.0, check=b"", private=b"",
        state=State.UPLOADED, size=5,
    )  # fmt: skip
    await life.files.files.create(APP, ident, stored)


async def ended(life: Life, ident: str, state: State = State.READY) -> None:
    """As `Completing` writes it."""
    row = await life.files.get(APP, ident)
    done = changed(row.value, state=state)
    await life.files.files.replace(APP, row, life.files.untold.noted(APP, ident, row.value, done))
    life.files.untold.nudge(APP, ident)


async def gone(life: Life, ident: str) -> None:
    """As `Files.delete` does it."""
    await life.files.untold.parting(APP, ident)
    await life.files.files.delete(APP, ident)
    life.files.untold.nudge(APP, ident)


async def test_b15_a_file_is_told_as_it_became_and_that_it_went(lasting: Ground) -> None:
    told = Told()
    await asking(await Life(lasting, told).start(), "file.*")

    async def act(life: Life, ident: str) -> None:
        await ended(life, ident)
        await gone(life, ident)

    async def check(life: Life, ident: str) -> None:
        row = await life.files.files.get(APP, ident)
        wanted = ["file.ready", "file.deleted"]
        if row is not None:
            wanted = ["file.ready"] if row.value.state is State.READY else []
            assert row.value.untold == ()
        assert told.of(ident) == wanted

    await every_death(lasting, told, uploaded, act, check)


async def test_nothing_is_written_for_events_that_nobody_asks_for(memory: Ground) -> None:
    told = Told()
    life = await Life(memory, told).start()
    await asking(life, "message.*")
    await appear(life, "ann")
    await life.registry.forget(APP, await life.registry.require(APP, "ann"))
    await uploaded(life, "file")
    await ended(life, "file", State.REFUSED)
    await life.files.untold.parting(APP, "file")
    assert (await life.files.get(APP, "file")).value.untold == ()
    assert await memory.store.meta.scan(APP, "farewell") == []
    await life.settle()
    assert told.came == {}


async def test_a_store_that_fails_a_while_delays_the_telling(memory: Ground) -> None:
    told = Told()
    life = await Life(memory, told).start()
    await asking(life, "account.*")
    put, life.outbox.put = life.outbox.put, unavailable  # type: ignore[method-assign]
    await appear(life, "ann")
    with pytest.raises(Unavailable):
        await life.tell()
    life.outbox.put = put  # type: ignore[method-assign]
    await life.settle()
    assert told.of("ann") == ["account.created"]


async def unavailable(items: Sequence[Item], *, ephemeral: bool = False) -> None:
    raise Unavailable("the store does not answer")


async def test_b15_a_push_error_is_told_under_one_id(lasting: Ground) -> None:
    """Before the subscription is removed: who dies in between is refused again, and tells it
    again.
    """
    told = Told()
    await asking(await Life(lasting, told).start(), "push.*")

    async def act(life: Life, ident: str) -> None:
        told.service.devices[ident] = Device(
            id=ident, account="ann", session="s", device="d", kind=PushKind.FCM, created=1.0
        )
        await life.outbox.put([woken(ident)])
        await life.outbox.settle()

    async def check(life: Life, ident: str) -> None:
        assert told.of(ident) == ([] if ident in told.service.devices else ["push.gone"])

    await every_death(lasting, told, nothing, act, check)


def woken(ident: str) -> Item:
    parcel = Parcel(account="ann", kind="wake", content="{}", urgency="normal", tag="t")
    return Item(
        app=APP, lane=f"push:{ident}", kind="push", target=ident, body=encode(parcel), id=ident
    )
