"""Calls as sessions see them: tokens for one room, TURN credentials beside them, and their end.

A call token is LiveKit's JWT, signed with the installation's own API key, minutes to live; it names
the session that asked for it (`Binding`). Its record says whether it was taken back. A participant
leaves when its token is taken back, its session ends, or its account may not be in calls any more;
as long as the store cannot be asked, a call that is up stays up. Implements `rtc.Admission`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import msgspec
from livekit.protocol import models

from signaling.accounts.principal import Kind, Principal, require_scope
from signaling.accounts.sessions.port import Revocation
from signaling.accounts.sessions.revocation import Revocations
from signaling.accounts.sessions.service import SessionService
from signaling.accounts.signin import AccountView, Directory
from signaling.errors import ClientError, Code, Refused, Unavailable
from signaling.ids import Ids
from signaling.keys.port import Sealer
from signaling.rtc import Binding, Claims, IceServer, Participant
from signaling.rtc.grants import VideoGrant
from signaling.rtc.tokens import ApiKeys, issue
from signaling.storage.port import Store
from signaling.storage.table import Missing, Table

KIND = "call_token"
SCOPE = "calls:join"
ASK_AGAIN = 1.0
"""Seconds until a store that could not be asked about a participant is asked again."""

Policy = Callable[[Principal, AccountView, str], Awaitable[VideoGrant]]
"""What an account may do in a room's call. Raises Refused (403)."""


class CallToken(msgspec.Struct, frozen=True, kw_only=True):
    """One that was issued."""

    session: str
    account: str
    device: str
    room: str
    revoked: bool = False


class IssuedCall(msgspec.Struct, frozen=True, kw_only=True):
    """`turn` are the relay's addresses and credentials of this device for this room."""

    id: str
    token: str
    identity: str
    expires_in: int
    turn: Sequence[IceServer]


async def own_room(principal: Principal, view: AccountView, room: str) -> VideoGrant:
    """The rule as long as no room has members: a guest enters the one room of its link."""
    if principal.kind is Kind.GUEST and view.room != room:
        raise Refused(Code.NOT_PERMITTED, 403, "You may not join this call.")
    return VideoGrant(room=room, room_join=True, update_own_metadata=True)


class CallTokens:
    """Issues and takes back. See the module."""

    def __init__(
        self,
        store: Store,
        service: SessionService,
        directory: Directory,
        revocations: Revocations,
        keys: ApiKeys,
        ids: Ids,
        ice_servers: Callable[[str], Sequence[IceServer]],
        life: float,
        policy: Policy = own_room,
        sealer: Sealer | None = None,
    ) -> None:
        self.rows: Table[CallToken] = Table(store, KIND, CallToken, sealer)
        self._service = service
        self._directory = directory
        self._revocations = revocations
        self._keys = keys
        self._ids = ids
        self._ice_servers = ice_servers
        self._life = life
        self.policy = policy

    async def issue(self, principal: Principal, room: str, name: str = "") -> IssuedCall:
        """Raises Refused (401, 403)."""
        require_scope(principal, SCOPE)
        account, session = principal.account, principal.session
        view, grant = await self.grant(principal, room)
        if account is None or session is None:
            raise _nobody()
        now, device = self._service.clock.unix(), principal.device or session
        binding = Binding(self._ids.new(), principal.app, account, device, session)
        record = CallToken(session=session, account=account, device=device, room=room)
        # A running call outlives its token, and the record its call: as long as a session may.
        kept = now + self._service.lifetimes.absolute
        await self.rows.create(principal.app, binding.id, record, expires=kept)
        identity = f"{account}:{device}"
        claims = Claims(
            key=self._keys.first(),
            identity=identity,
            name=name or view.name,
            video=grant,
            has_video=True,
            binding=binding,
        )
        token = issue(self._keys, claims, now, self._life)
        turn = self._ice_servers(turn_name(account, device, room))
        return IssuedCall(
            id=binding.id, token=token, identity=identity, expires_in=int(self._life), turn=turn
        )

    async def grant(self, principal: Principal, room: str) -> tuple[AccountView, VideoGrant]:
        """What this account may do in the room's call now. Raises Refused (403)."""
        account = principal.account
        view = None if account is None else await self._directory.view(principal.app, account)
        if view is None:
            raise _nobody()
        return view, await self.policy(principal, view, room)

    async def take_back(self, principal: Principal, token: str) -> None:
        """One's own. Raises ClientError (404)."""
        app = principal.app

        def revoke(record: CallToken) -> CallToken:
            if record.account != principal.account:
                raise _no_token()
            return msgspec.structs.replace(record, revoked=True)

        try:
            await self.rows.change(app, token, revoke)
        except Missing:
            raise _no_token() from None
        await self._revocations.revoke(Revocation(app=app, token=token, reason="revoked"))


def _nobody() -> Refused:
    return Refused(Code.NOT_PERMITTED, 403, "Only an account joins a call.")


def _no_token() -> ClientError:
    return ClientError(Code.NOT_FOUND, 404, "You have no such call token.")


def turn_name(account: str, device: str, room: str) -> str:
    """coturn logs the name of a credential: it is bound to all three and says none of them."""
    parts = "\x00".join((account, device, room))
    return hashlib.sha256(parts.encode()).hexdigest()[:24]


class CallHolder:
    """One participant whose token a session asked for. Implements `Holder`."""

    def __init__(self, admission: SessionAdmission, participant: Participant, binding: Binding):
        self.principal = Principal(
            app=binding.app,
            kind=Kind.ACCOUNT,
            account=binding.account,
            device=binding.device,
            session=binding.session,
        )
        self._admission = admission
        self.participant = participant
        self.binding = binding

    def ended(self, revocation: Revocation) -> None:
        self.participant.leave(models.DisconnectReason.PARTICIPANT_REMOVED)

    def changed(self, principal: Principal) -> None:
        if SCOPE not in principal.scopes:
            self.participant.leave(models.DisconnectReason.PARTICIPANT_REMOVED)

    def unsure(self) -> None:
        self._admission.ask_again(self)


class SessionAdmission:
    """Implements `rtc.Admission`. See the module."""

    def __init__(
        self,
        tokens: Table[CallToken],
        service: SessionService,
        revocations: Revocations,
        grant: Callable[[Principal, str], Awaitable[object]] | None = None,
    ) -> None:
        """`grant` raises Refused for who may not be in the room's call any more."""
        self._tokens = tokens
        self._grant = grant
        self._service = service
        self._register = revocations.register
        self._held: dict[str, Callable[[], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def check(self, claims: Claims, room: str) -> None:
        binding = claims.binding
        if binding is not None and not await self._stands(binding):
            raise Refused(Code.TOKEN_INVALID, 401, "token was revoked")

    async def _stands(self, binding: Binding) -> bool:
        row = await self._tokens.get(binding.app, binding.id)
        if row is None or row.value.revoked or row.value.session != binding.session:
            return False
        held = Principal(app=binding.app, session=binding.session)
        principal = await self._service.look_again(held)
        if principal is None or SCOPE not in principal.scopes:
            return False
        return await self._may(principal, row.value.room)

    async def _may(self, principal: Principal, room: str) -> bool:
        """A token outlives what its owner was in the room."""
        try:
            if self._grant is not None:
                await self._grant(principal, room)
        except ClientError:
            return False
        return True

    def joined(self, participant: Participant) -> None:
        binding = participant.claims.binding
        if binding is None:
            return
        holder = CallHolder(self, participant, binding)
        release = self._register.hold(holder, room=participant.room.name, token=binding.id)
        self._held[participant.sid] = release
        # It may have ended between the look at the token and now.
        self._spawn(self._review(holder, 0.0))

    def left(self, participant: Participant) -> None:
        release = self._held.pop(participant.sid, None)
        if release is not None:
            release()

    def ask_again(self, holder: CallHolder) -> None:
        self._spawn(self._review(holder, ASK_AGAIN))

    async def _review(self, holder: CallHolder, wait: float) -> None:
        await asyncio.sleep(wait)
        while not holder.participant.closed:
            try:
                stands = await self._stands(holder.binding)
            except Unavailable:
                await asyncio.sleep(ASK_AGAIN)
                continue
            if not stands:
                holder.participant.leave(models.DisconnectReason.PARTICIPANT_REMOVED)
            return

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
