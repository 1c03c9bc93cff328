"""What is a person's own beyond what they said in rooms: the account, and what lies beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from msgspec import Struct, convert

from signaling.accounts.devices import Devices
from signaling.accounts.oauth.consents import Consents as Allowed
from signaling.accounts.operations.diagnostics import Logs, log_answer
from signaling.accounts.registry import Registry
from signaling.accounts.sessions.service import SessionService
from signaling.chat.accounts import Accounts
from signaling.chat.doors import Doors
from signaling.chat.later import Later, Scheduled
from signaling.chat.presence import Presences
from signaling.chat.receipts import Receipts
from signaling.chat.reports import Reports
from signaling.chat.room import Room
from signaling.clock import Clock
from signaling.compliance.consent.ledger import Consents
from signaling.compliance.consent.operations import act_answer
from signaling.compliance.export.documents import (
    AccountOut,
    AllowedOut,
    DeviceOut,
    InviteOut,
    JoiningOut,
    PushOut,
    ReportOut,
    SessionOut,
)
from signaling.compliance.requests.operations import request_answer
from signaling.compliance.requests.tracker import Tracker
from signaling.compliance.restriction.operations import processing_answer
from signaling.compliance.restriction.restrictions import Restrictions
from signaling.delivery.push.model import PushSettings, Subscription
from signaling.storage.table import Table


@dataclass(frozen=True, slots=True)
class Own:
    """One for each process."""

    registry: Registry
    devices: Devices
    sessions: SessionService
    accounts: Accounts
    presences: Presences
    later: Later
    reports: Reports
    doors: Doors
    receipts: Receipts
    woken: Table[Subscription]
    waking: Table[PushSettings]
    consents: Consents
    restrictions: Restrictions
    allowed: Allowed
    logs: Logs
    tracker: Tracker
    clock: Clock

    def documents(
        self, app: str, account: str, rooms: Sequence[Room]
    ) -> dict[str, AsyncIterator[Struct]]:
        """By their names in the archive; `rooms` are all of the app's."""
        return {
            "push.ndjson": self._pushes(app, account),
            "consents.ndjson": self._consents(app, account),
            "applications.ndjson": self._applications(app, account),
            "scheduled.ndjson": self._scheduled(app, account),
            "read.ndjson": self._read(app, account, rooms),
            "reports.ndjson": _in_rooms(rooms, partial(self.reports.of, app, account), ReportOut),
            "invites.ndjson": _in_rooms(rooms, partial(self.doors.made, app, account), InviteOut),
            "joining.ndjson": self._joining(app, account, rooms),
            "logs.ndjson": self._logs(app, account),
            "requests.ndjson": self._asked(app, account),
        }

    async def profile(self, app: str, account: str) -> AccountOut:
        found = await self.registry.require(app, account)
        factors = ["totp"] if found.totp is not None else []
        factors += [f"passkey: {passkey.name}" for passkey in found.passkeys]
        waking = await self.waking.get(app, account)
        return AccountOut(
            id=found.id, login=found.login, name=found.name, mail=found.mail, roles=found.roles,
            created_at=_time(found.created), second_factors=tuple(factors),
            providers=tuple(one.provider for one in found.identities),
            external_id=found.external_id, tags=found.tags,
            devices=tuple([
                DeviceOut(
                    id=device.id, name=device.name, network=device.network,
                    first_seen=_time(device.created), last_seen=_time(device.seen),
                )
                for device in await self.devices.list(app, account)
            ]),
            sessions=tuple([
                SessionOut(
                    id=one.id, label=one.label, device=one.device,
                    created_at=_time(one.created_at), last_used_at=_time(one.last_used_at),
                )
                for one in await self.sessions.list(app, account)
            ]),
            own=await self.accounts.state_of(app, account),
            status=await self.presences.said(app, account),
            push=PushSettings() if waking is None else waking.value,
            processing=processing_answer(await self.restrictions.of(app, account)),
        )  # fmt: skip

    async def scheduled(self, app: str, account: str) -> list[Scheduled]:
        return await self.later.of(app, account)

    async def _scheduled(self, app: str, account: str) -> AsyncIterator[Struct]:
        for post in await self.scheduled(app, account):
            yield post

    async def _pushes(self, app: str, account: str) -> AsyncIterator[Struct]:
        for row in await self.woken.scan(app, term=f"account:{account}"):
            one = row.value
            yield PushOut(
                id=one.id, kind=one.kind.value, device=one.device, session=one.session,
                endpoint=one.endpoint, token=one.token, created_at=_time(one.created),
            )  # fmt: skip

    async def _consents(self, app: str, account: str) -> AsyncIterator[Struct]:
        for act in (await self.consents.ledger(app, account)).acts:
            yield act_answer(act)

    async def _applications(self, app: str, account: str) -> AsyncIterator[Struct]:
        for one in await self.allowed.of_account(app, account):
            scopes = tuple(sorted(one.scopes))
            yield AllowedOut(client=one.client, scopes=scopes, at=_time(one.granted_at))

    async def _read(self, app: str, account: str, rooms: Sequence[Room]) -> AsyncIterator[Struct]:
        for room in rooms:
            cursor = await self.receipts.cursor(app, room.id, account)
            if cursor.all or cursor.delivered or cursor.marked:
                yield cursor

    async def _joining(
        self, app: str, account: str, rooms: Sequence[Room]
    ) -> AsyncIterator[Struct]:
        for room in rooms:
            asked = await self.doors.asked(app, room.id, account)
            if asked is not None:
                yield JoiningOut(room=asked.room, text=asked.text, at=asked.at)

    async def _logs(self, app: str, account: str) -> AsyncIterator[Struct]:
        for row in await self.logs.of(app, account):
            yield log_answer(row)

    async def _asked(self, app: str, account: str) -> AsyncIterator[Struct]:
        for request in await self.tracker.of(app, account):
            yield request_answer(request, self.clock.unix())


async def _in_rooms(
    rooms: Sequence[Room], made: Callable[[str], AsyncIterator[Struct]], shown: type[Struct]
) -> AsyncIterator[Struct]:
    """What somebody made in each, as far as `shown` has fields for it."""
    for room in rooms:
        async for one in made(room.id):
            yield convert(one, shown, from_attributes=True)


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)
