"""Retention whose connection to the store is lost: the next round leaves nothing behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from signaling.chat.rooms import ABOUT
from signaling.compliance.holds.holds import Holds
from signaling.compliance.retention.policy import Policies, Policy
from signaling.compliance.retention.sweep import Sweep
from signaling.errors import Unavailable
from signaling.ids import SeededIds
from tests.signaling.access.rig import Ground
from tests.signaling.chat.rig import APP, Served

KEPT = 3600
Purge = Callable[[str, str, int], Awaitable[None]]


class NoFiles:
    async def released(self, app: str, room: str, message: str) -> int:
        return 0


def sweep_of(served: Served, ground: Ground) -> Sweep:
    store, sealer, clock, chat = ground.store, ground.sealer, ground.clock, served.house.chat
    holds = Holds(store, sealer, clock, SeededIds(clock, 1))
    policies = Policies(store, sealer, Policy(messages=KEPT, files=KEPT))
    return Sweep(chat, cast(Any, NoFiles()), policies, holds, served.house.audit, clock)


@pytest.mark.parametrize("arrives", [True, False])
async def test_retention_that_was_cut_short_is_finished_by_the_next_round(
    arrives: bool, served: Served, embedded: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is cut and its answer is lost, or the order itself: either way rows about messages
    that are gone go too.
    """
    store, sweep = embedded.store, sweep_of(served, embedded)
    room = await served.room("bob")
    sent = await served.bob.post(room, "of its time")
    await served.ann.ask("PUT", f"/rooms/{room}/messages/{sent['id']}/reactions/x", {})
    served.house.clock.advance(KEPT + 60)
    await served.bob.post(room, "of now")
    purge: Purge = store.log.purge

    async def lost(app: str, room: str, upto: int) -> None:
        if arrives:
            await purge(app, room, upto)
        raise Unavailable("gone")

    with monkeypatch.context() as broken:
        broken.setattr(store.log, "purge", lost)
        with pytest.raises(Unavailable):
            await sweep.round(APP)
    assert len(await store.meta.scan(APP, ABOUT)) == 1
    await sweep.round(APP)
    assert await store.meta.scan(APP, ABOUT) == []
    assert await served.ann.texts(room) == ["of now"]
    assert (await store.log.head(APP, room)).floor >= sent["seq"]
    (told,) = [one for one in served.house.audit.events if one.action == "retention.purge"]
    assert told.details == {"room": room, "count": "1"}
