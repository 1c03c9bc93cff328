"""Rooms over the core: the chat service, who is in which room, and their operations."""

from __future__ import annotations

from dataclasses import dataclass

from signaling.access.door import Door
from signaling.accounts.signin import Directory
from signaling.chat.hub import Hub
from signaling.chat.operations import operations
from signaling.chat.operations.common import Deps
from signaling.chat.people import People as Members
from signaling.chat.rooms import Rooms
from signaling.chat.sealing import Sealing
from signaling.chat.service import Chat
from signaling.compose.core import Core
from signaling.http.api.operation import Operation


@dataclass(frozen=True, slots=True)
class Chatting:
    """`people` are the Access Manager's standings. Closed by the app."""

    core: Core
    chat: Chat
    people: Members

    def operations(self, door: Door) -> list[Operation]:
        core = self.core
        deps = Deps(self.chat, self.people, door, core.sealer, core.clock, core.ids)
        return operations(deps)

    async def close(self) -> None:
        self.chat.hub.close()
        await self.chat.rooms.close()


def make_chat(core: Core, directory: Directory) -> Chatting:
    """`directory` says who an account is."""
    process = core.ids.new()
    sealing = Sealing(core.store, core.sealer, core.clock, core.entropy)
    rooms = Rooms(core.store, core.sealer, sealing, core.clock, process)
    hub = Hub(core.bus, core.sealer.blind, process)
    chat = Chat(rooms, sealing, hub, core.clock, process)
    people = Members(core.store, core.sealer, rooms, core.ids, directory)
    chat.committed.append(people.committed)
    return Chatting(core, chat, people)
