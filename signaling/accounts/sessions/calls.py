"""Calls as sessions see them: tokens for one room, TURN credentials beside them, and their end.

A call token is LiveKit's JWT, signed with the installation's own API key, minutes to live; it names
the session that asked for it (`Binding`). Its record says whether it was taken back. What it gives
is asked anew whenever it is used, and a participant follows its account's rights: it leaves when
its token is taken back, its session ends, or its account may not be in the call any more, and may
more or less from the moment that its role or its part in the room changes. As long as the store
cannot be asked, a call that is up stays up. Implements `rtc.Admission`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

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
from signaling.rtc import Binding, Claims, IceServer, Participant, moderation
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
        self.door = policy
        """The same for who comes in, who may have to wait first."""

    async def issue(self, principal: Principal, room: str, name: str = "") -> IssuedCall:
        """Raises Refused (401, 403)."""
        require_scope(principal, SCOPE)
        account, session = principal.account, principal.session
        view, grant = await self._grant(principal, room, self.door)
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

    async def _grant(
        self, principal: Principal, room: str, policy: Policy
    ) -> tuple[AccountView, VideoGrant]:
        account = principal.account
        view = None if account is None else await self._directory.view(principal.app, account)
        if view is None:
            raise _nobody()
        return view, await policy(principal, view, room)

    async def rights(self, binding: Binding, *, inside: bool) -> VideoGrant:
        """What the owner of a token that was issued may do in its room's call now. Who is `inside`
        does not wait to be let in. Raises Refused (401) when the token gives nothing any more.
        """
        row = await self.rows.get(binding.app, binding.id)
        if row is None or row.value.revoked or row.value.session != binding.session:
            raise _revoked()
        held = Principal(app=binding.app, session=binding.session)
        principal = await self._service.look_again(held)
        if principal is None or SCOPE not in principal.scopes:
            raise _revoked()
        try:
            policy = self.policy if inside else self.door
            return (await self._grant(principal, row.value.room, policy))[1]
        except ClientError:
            raise _revoked() from None

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


def _revoked() -> Refused:
    return Refused(Code.TOKEN_INVALID, 401, "token was revoked")


def turn_name(account: str, device: str, room: str) -> str:
    """coturn logs the name of a credential: it is bound to all three and says none of them."""
    parts = "\x00".join((account, device, room))
    return hashlib.sha256(parts.encode()).hexdigest()[:24]


class CallHolder:
    """One participant whose token a session asked for. Implements `Holder`.

    `rights` are its owner's as they were last seen, None before the first look; `turn` is held
    while they are asked for, so that the last answer is the newest.
    """

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
        self.rights: VideoGrant | None = None
        self.turn = asyncio.Lock()

    def ended(self, revocation: Revocation) -> None:
        self.leave()

    def leave(self) -> None:
        self.participant.leave(models.DisconnectReason.PARTICIPANT_REMOVED)

    def changed(self, principal: Principal) -> None:
        if SCOPE not in principal.scopes:
            self.leave()
        else:
            self._admission.look(self)

    def unsure(self) -> None:
        self._admission.look(self, ASK_AGAIN)

    def follow(self, rights: VideoGrant) -> None:
        """What a moderator took from this participant, or gave it, stays until that changes."""
        grant, before = self.participant.grant, self.rights
        self.rights = rights
        grant = grant.under(rights) if before is None else grant.after(before, rights)
        moderation.set_grant(self.participant, grant)


class SessionAdmission:
    """Implements `rtc.Admission`. See the module."""

    def __init__(self, tokens: CallTokens, revocations: Revocations) -> None:
        self._tokens = tokens
        self._register = revocations.register
        self._held: dict[str, Callable[[], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def check(self, claims: Claims, room: str) -> Claims:
        if claims.binding is None:
            return claims
        rights = await self._tokens.rights(claims.binding, inside=False)
        return replace(claims, video=claims.video.under(rights))

    def joined(self, participant: Participant) -> None:
        binding = participant.claims.binding
        if binding is None:
            return
        holder = CallHolder(self, participant, binding)
        release = self._register.hold(holder, room=participant.room.name, token=binding.id)
        self._held[participant.sid] = release
        # It may have ended, or changed, between the look at the token and now.
        self.look(holder)

    def left(self, participant: Participant) -> None:
        release = self._held.pop(participant.sid, None)
        if release is not None:
            release()

    def look(self, holder: CallHolder, wait: float = 0.0) -> None:
        """At its owner's rights, in the background."""
        task = asyncio.get_running_loop().create_task(self._look(holder, wait))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self, holder: CallHolder, wait: float) -> None:
        await asyncio.sleep(wait)
        async with holder.turn:
            while not holder.participant.closed:
                inside = holder.rights is not None
                try:
                    rights = await self._tokens.rights(holder.binding, inside=inside)
                except Unavailable:
                    await asyncio.sleep(ASK_AGAIN)
                    continue
                except Refused:
                    holder.leave()
                    return
                if not holder.participant.closed:
                    holder.follow(rights)
                return

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
