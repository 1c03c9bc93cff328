"""Statistics over HTTP, for those who run the installation: figures without names."""

from __future__ import annotations

from typing import Literal

from signaling.accounts.principal import Role
from signaling.compliance.statistics.counting import Counting, Statistics
from signaling.http.api.operation import Auth, Call, Operation, Query


class Window(Query, frozen=True, kw_only=True):
    """Two lengths and no other: two windows that differ by a day would tell of that day."""

    window: Literal["week", "month"] = "week"


DAYS = {"week": 7, "month": 30}


class Handlers:
    """Holds nothing of a request."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting

    async def get(self, call: Call[None]) -> Statistics:
        call.note.target = "statistics"
        return await self._counting.of(call.principal.app, DAYS[call.query.window])


def operations(counting: Counting) -> list[Operation]:
    do = Handlers(counting)
    return [
        Operation(
            "GET", "/statistics", "getStatistics",
            "What was said in the last days, in figures of at least five people each", do.get,
            query=Window, answer=Statistics, auth=Auth.ROLE,
            roles=(Role.OWNER, Role.ADMINISTRATOR, Role.COMPLIANCE), scope="admin", rate="export",
            tag="Compliance",
        ),
    ]  # fmt: skip
