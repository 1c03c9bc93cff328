"""Imports over the core, chat and files: wired beside the other rights."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, cast

from signaling.compliance.imports import operations as import_operations
from signaling.compliance.imports.archives import Archives
from signaling.compliance.imports.jobs import Jobs
from signaling.compliance.imports.running import Running, Tools
from signaling.compliance.imports.service import Imports
from signaling.compose.core import Core
from signaling.compose.people import People
from signaling.files.completing import Parts
from signaling.files.service import Files
from signaling.http.api.operation import Operation


@dataclass(frozen=True, slots=True)
class Importing:
    """`tasks` run until they are cancelled. An `Eraser`: names of a room's earlier authors."""

    core: Core
    people: People
    imports: Imports
    name: str = "placeholders"

    def operations(self) -> list[Operation]:
        deps = self.people.chatting.deps(self.people.access.door)
        return import_operations.operations(deps, self.imports, self.people.service.registry)

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        return [self.imports.run(self.core.app)]

    async def erase(
        self, app: str, *, room: str = "", account: str = "", messages: Sequence[str] = ()
    ) -> int:
        return await self.imports.jobs.forget_room(app, room) if room and not messages else 0


def make_importing(core: Core, people: People, files: Files) -> Importing:
    chatting, settings = people.chatting, core.config.imports
    # For the documents there is none.
    parts = files.parts if files is not None else cast("Parts", None)
    jobs = Jobs(core.store, core.sealer, core.clock, core.ids.new())
    archives = Archives(parts, settings.max_unpacked_bytes)
    tools = Tools(
        chatting.chat, chatting.people, chatting.accounts, files, core.sealer, core.clock
    )  # fmt: skip
    running = Running(tools, jobs, archives)
    imports = Imports(
        jobs, archives, running, core.audit, core.clock, core.ids, core.entropy, settings
    )  # fmt: skip
    return Importing(core, people, imports)
