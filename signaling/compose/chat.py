"""Rooms over the core: the chat service, who is in which room, and their operations."""

from __future__ import annotations

from dataclasses import dataclass

from signaling.access.door import Door
from signaling.accounts.signin import Directory
from signaling.chat.accounts import Accounts
from signaling.chat.attendance import Attendance
from signaling.chat.bystanders import Bystanders
from signaling.chat.circles import Circles
from signaling.chat.doors import Doors
from signaling.chat.hub import Hub
from signaling.chat.later import Later
from signaling.chat.moves import Moves
from signaling.chat.operations import operations
from signaling.chat.operations.common import Deps
from signaling.chat.passing import Passing
from signaling.chat.people import People as Members
from signaling.chat.presence import Presences
from signaling.chat.receipts import Receipts
from signaling.chat.reports import Reports
from signaling.chat.rooms import Rooms
from signaling.chat.sealing import Sealing
from signaling.chat.service import Chat
from signaling.chat.wishes import Wishes
from signaling.compose.core import Core
from signaling.http.api.operation import Operation


@dataclass(frozen=True, slots=True)
class Chatting:
    """`people` are the Access Manager's standings. Closed by the app."""

    core: Core
    chat: Chat
    people: Members
    accounts: Accounts
    receipts: Receipts
    doors: Doors
    reports: Reports
    presences: Presences
    bystanders: Bystanders
    circles: Circles
    later: Later
    wishes: Wishes

    def deps(self, door: Door) -> Deps:
        core = self.core
        return Deps(
            self.chat, self.accounts, self.people, door, core.sealer, core.clock, core.ids,
            self.wishes,
        )  # fmt: skip

    def operations(self, door: Door) -> list[Operation]:
        deps = self.deps(door)
        return operations(deps, self.receipts, self.doors, self.reports, self.presences, self.later)

    async def close(self) -> None:
        self.circles.close()
        self.presences.close()
        self.chat.passing.close()
        self.chat.hub.close()
        await self.chat.rooms.close()


def make_chat(core: Core, directory: Directory) -> Chatting:
    """`directory` says who an account is."""
    process = core.ids.new()
    sealing = Sealing(core.store, core.sealer, core.clock, core.entropy)
    rooms = Rooms(core.store, core.sealer, sealing, core.clock, process)
    hub = Hub(core.bus, core.sealer.blind, process)
    chat = Chat(rooms, sealing, hub, core.clock, Passing(hub, core.sealer, rooms))
    people = Members(core.store, core.sealer, rooms, core.ids, directory)
    chat.committed.append(people.committed)
    store, sealer = core.store, core.sealer
    later = Later(store, sealer, chat, people)
    chat.committed.append(later.committed)
    rooms.folded.append(later.committed)
    accounts = Accounts(store, sealer, sealing, hub, core.clock, process)
    wishes = Wishes(accounts, people)
    chat.addable = wishes.may_add
    attendance = Attendance(core.bus, sealer.blind, core.clock, process)
    moves = Moves(core.bus, process)
    presences = Presences(store, sealer, chat, people, accounts, hub, attendance, moves)
    return Chatting(
        core,
        chat,
        people,
        accounts,
        Receipts(store, sealer, chat, accounts, hub),
        Doors(store, sealer, chat, people, core.ids, core.entropy),
        Reports(store, sealer, chat, core.ids),
        presences,
        Bystanders(presences, people, directory, core.clock),
        Circles(presences, people),
        later,
        wishes,
    )
