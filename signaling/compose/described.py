"""Every operation without a server: for the documents, the generated types and the tests.

Handlers are made over a store in memory and never called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from aiohttp import web

from signaling.bus.local import LocalBus
from signaling.clock import SystemClock
from signaling.compose.api import Collected, documents
from signaling.compose.calling import make_calling
from signaling.compose.core import Core
from signaling.compose.delivery import make_delivery
from signaling.compose.files import described_files
from signaling.compose.keeping import described_keeping
from signaling.compose.people import described_people
from signaling.compose.push import described_push
from signaling.compose.rights import described_rights
from signaling.config import Config
from signaling.http.api.operation import Operation
from signaling.http.guests import Guests
from signaling.ids import SystemEntropy, SystemIds
from signaling.rtc.tokens import ApiKeys
from signaling.storage.memory import MemoryStore


class _Sealer:
    """As much of one as is asked when parts are made."""

    def blind(self, app: str, text: str) -> str:
        return text


def _nowhere(request: web.Request) -> str:
    return ""


def collected() -> Collected:
    config, clock = Config(), SystemClock()
    absent = cast(Any, None)
    core = Core(
        config,
        Path(),
        clock,
        SystemIds(clock),
        SystemEntropy(),
        MemoryStore(clock),
        LocalBus(clock),
        cast(Any, _Sealer()),
        absent,
        absent,
        absent,
    )
    people = described_people(core)
    made = Collected(channels=people.channels())
    made.operations += Guests(config, ApiKeys({}), str).operations()
    made.operations += people.operations()
    made.operations += make_calling(people, ApiKeys({}), lambda name: ()).operations(_nowhere)
    made.operations += described_keeping()
    made.operations += described_files(core, people)
    made.operations += described_push(core, people)
    made.operations += make_delivery(core, people, "").operations()
    made.operations += described_rights(core, people)
    documents(config, made)
    return made


def described() -> list[Operation]:
    return collected().operations
