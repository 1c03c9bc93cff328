"""Push over rooms, accounts and the outbox: who asks whom, which services there are, the hooks."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from signaling.accounts.sessions import records
from signaling.accounts.sessions.service import SessionService
from signaling.calls.port import CallNotice, CallNoticeKind
from signaling.chat.account_ops import Notify
from signaling.chat.ops import Mode
from signaling.chat.state import RANK
from signaling.compose.core import Core
from signaling.compose.delivery import Delivering
from signaling.compose.people import People
from signaling.config.push import Push as Settings
from signaling.delivery.lanes import Limits
from signaling.delivery.notify import Notice, NoticeKind, RoomFacts
from signaling.delivery.port import Outbox
from signaling.delivery.push.model import ITEM_KIND, ApnsEnvironment, PushKind
from signaling.delivery.push.news import News
from signaling.delivery.push.notifier import Devices
from signaling.delivery.push.operations import Deps, operations
from signaling.delivery.push.register import Register
from signaling.delivery.push.sender import PushSender
from signaling.delivery.push.ways import Way, WebPush
from signaling.delivery.push.webpush import Vapid
from signaling.egress import Egress
from signaling.errors import ConfigError, Refused
from signaling.http.api.operation import Operation
from signaling.http.api.secret import shared_secret
from signaling.keys.port import KeyDestroyed

if TYPE_CHECKING:
    from signaling.delivery.push.http2 import Open

# What was not taken is kept for who looks after the server, and not for long.
DAY = 86400.0


class Neighbours:
    """`notify.Around`, over chat, accounts and presence."""

    def __init__(self, people: People, *, previews: bool) -> None:
        chatting = people.chatting
        self._rooms, self._accounts = chatting.chat.rooms, chatting.accounts
        self._receipts, self._directory = chatting.receipts, people.service.registry
        self._attendance, self._previews = chatting.presences.attendance, previews

    async def room(self, app: str, room: str) -> RoomFacts | None:
        try:
            found = await self._rooms.find(app, room)
        except KeyDestroyed:
            return None
        if found is None:
            return None
        state = found.state
        return RoomFacts(
            name=state.name,
            open=state.mode is Mode.SEARCHABLE and not state.settings.phi,
            transient=state.mode is Mode.TRANSIENT,
            preview=state.settings.preview and self._previews,
        )

    async def blocks(self, app: str, account: str, other: str) -> bool:
        return (await self._accounts.state_of(app, account)).blocks(other)

    async def muted(self, app: str, account: str, room: str) -> bool:
        chosen = (await self._accounts.state_of(app, account)).notify.get(room)
        return chosen is not None and chosen.level is Notify.NOTHING

    async def member(self, app: str, account: str, room: str) -> bool:
        try:
            found = await self._rooms.find(app, room)
        except KeyDestroyed:
            return False
        return found is not None and found.state.part(account) in RANK

    async def read_upto(self, app: str, account: str, room: str, parent: str | None) -> int:
        return (await self._receipts.cursor(app, room, account)).at(parent)

    async def here(self, app: str, account: str) -> Sequence[str]:
        return await self._attendance.devices((app, account))

    async def name(self, app: str, account: str) -> str:
        view = await self._directory.view(app, account)
        return "" if view is None else view.name or view.login


class DeviceErasing:
    """A `compliance.erasure.port.Eraser`: an account's devices, and what may wake them."""

    name = "subscriptions"

    def __init__(self, register: Register) -> None:
        self._register = register

    async def erase(
        self, app: str, *, room: str = "", account: str = "", messages: Sequence[str] = ()
    ) -> int:
        return await self._register.forget(app, account) if account else 0


class Ringer:
    """`calls.port.Notifier`: what rings, on devices that sleep."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices

    async def notify(self, app: str, account: str, notice: CallNotice) -> None:
        said = Notice(
            kind=_RINGS[notice.kind], room=notice.room, sender=notice.sender,
            collapse=notice.collapse, ttl_s=notice.ttl_s, call=notice.call, video=notice.video,
            reject=notice.reject,
        )  # fmt: skip
        await self._devices.notify(app, account, said)


_RINGS: dict[CallNoticeKind, NoticeKind] = {
    CallNoticeKind.CALL: "call",
    CallNoticeKind.MISSED: "missed",
    CallNoticeKind.OVER: "over",
}


@dataclass(frozen=True, slots=True)
class Pushing:
    """Run and stopped by the app. `ringer` is for whoever rings."""

    register: Register
    devices: Devices
    news: News
    sender: PushSender
    listed: Sequence[Operation]

    @property
    def ringer(self) -> Ringer:
        return Ringer(self.devices)

    @property
    def eraser(self) -> DeviceErasing:
        return DeviceErasing(self.register)

    def operations(self) -> list[Operation]:
        return list(self.listed)

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Each runs until it is cancelled."""
        return [self.register.run(), self.news.run()]

    async def stop(self) -> None:
        await self.register.close()
        await self.sender.close()


async def make_push(core: Core, people: People, delivering: Delivering) -> Pushing:
    """Its sender takes the outbox's items of kind `push`. Raises ConfigError."""
    outbox = delivering.outbox
    egress = people.outside.egress
    assert egress is not None
    settings = core.config.push
    secret = await shared_secret(core.store, core.sealer, core.entropy, "vapid")
    subject = settings.subject or core.config.http.public_url or "https://localhost"
    vapid = Vapid(secret, subject, core.clock)
    ways = _ways(core, settings, egress, vapid)
    made = _make(core, people, outbox, ways, vapid.public_key, egress)
    made.sender.failed = delivering.happenings.push
    await made.register.load()
    outbox.register(
        ITEM_KIND, made.sender, Limits(give_up_s=float(settings.ttl_seconds), bury_s=DAY)
    )
    people.chatting.chat.committed.append(made.news.committed)
    people.chatting.receipts.seen.append(made.news.read)
    people.revocations.listen(made.register.hear)
    return made


def _make(
    core: Core, people: People, outbox: Outbox, ways: Mapping[PushKind, Way], public_key: str,
    egress: Egress | None,
) -> Pushing:  # fmt: skip
    settings, chatting = core.config.push, people.chatting
    register = Register(core.store, core.sealer, core.bus, outbox, core.app)
    devices = Devices(
        register, Neighbours(people, previews=settings.previews), outbox, core.sealer, core.bus,
        core.clock, core.ids, ttl=settings.ttl_seconds, grace=settings.grace_seconds,
    )  # fmt: skip
    lives = _Lives(people.sessions)
    deps = Deps(register, devices, public_key, tuple(ways), egress, lives, core.ids)
    return Pushing(
        register,
        devices,
        News(register, devices, chatting.chat.rooms, chatting.accounts),
        PushSender(register, ways, devices.wanted, lives, core.clock),
        operations(deps),
    )


def described_push(core: Core, people: People) -> list[Operation]:
    """For the documents: handlers that nobody calls."""
    return _make(core, people, _Nowhere(), {}, "", None).operations()


class _Nowhere:
    """An outbox of nothing."""

    async def put(self, items: Sequence[Any], *, ephemeral: bool = False) -> None:
        return None

    async def drop(self, app: str, *, target: str = "", room: str = "", subject: str = "") -> int:
        return 0


class _Lives:
    """`register.Lives`, of sessions."""

    def __init__(self, sessions: SessionService) -> None:
        self._sessions = sessions

    async def __call__(self, app: str, session: str) -> float | None:
        row = await self._sessions.rows.get(app, session)
        try:
            return records.require_alive(
                row.value if row else None, self._sessions.clock.unix()
            ).ends_at
        except Refused:
            return None


def _ways(core: Core, settings: Settings, egress: Egress, vapid: Vapid) -> dict[PushKind, Way]:
    """Those that the operator has keys for. Raises ConfigError."""
    web = WebPush(egress, vapid, core.entropy, core.clock)
    found: dict[PushKind, Way] = {PushKind.WEB_PUSH: web, PushKind.UNIFIED_PUSH: web}
    if settings.apns_key is not None:
        from signaling.delivery.push.apns import Apns, ApnsKey  # brings HTTP/2 with it

        urls = {
            ApnsEnvironment.PRODUCTION: settings.apns_url,
            ApnsEnvironment.SANDBOX: settings.apns_sandbox_url,
        }
        key = ApnsKey(
            settings.apns_key_id, settings.apns_team, settings.apns_topic, settings.apns_key
        )
        try:
            found[PushKind.APNS] = Apns(key, urls, lambda url: _opener(egress, url), core.clock)
        except (ValueError, TypeError):
            raise ConfigError("push.apns_key", "is no P-256 key in PEM") from None
    if settings.fcm_account is not None:
        from signaling.delivery.push.fcm import Fcm, read_account

        try:
            account = read_account(settings.fcm_account)
            found[PushKind.FCM] = Fcm(account, settings.fcm_url, egress, core.clock)
        except (ValueError, TypeError):
            raise ConfigError("push.fcm_account", "is no service account with an RSA key") from None
    return found


def _opener(egress: Egress, url: str) -> Open:
    async def opened() -> Any:
        return await egress.connect(url, alpn=("h2",))

    return opened
