"""The device grant (RFC 8628): a device shows a code, a person types it somewhere else.

    PENDING --allowed--> ALLOWED --polled--> spent (deleted)
            --denied---> DENIED
            --time-----> gone

The code that is typed has eight letters without vowels (section 6.1): 2**34 of them, ten minutes to
live, and typing is throttled for each account.
"""

from __future__ import annotations

import hmac
from enum import StrEnum

import msgspec

from signaling.accounts.oauth.approvals import Approval
from signaling.accounts.oauth.errors import Error, OAuthError, bad_grant
from signaling.accounts.sessions.service import SessionService
from signaling.accounts.sessions.tokens import Prefix, Token, mint, read
from signaling.errors import Refused
from signaling.ids import Entropy, Ids
from signaling.storage.port import Conflict, Store
from signaling.storage.table import Missing, Table

KIND = "oauth_device"
USER_CODE = "oauth_user_code"
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH = 8
INTERVAL = 5.0
SLOWER = 5.0  # section 3.5: `slow_down` adds five seconds, for good


class State(StrEnum):
    PENDING = "pending"
    ALLOWED = "allowed"
    DENIED = "denied"


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One device that waits. `user_code` is stored as a keyed digest: eight letters are guessed."""

    id: str
    client: str
    user_code: str
    scopes: frozenset[str]
    expires_at: float
    interval: float = INTERVAL
    polled_at: float = 0.0
    state: State = State.PENDING
    approval: Approval | None = None


class Typed(msgspec.Struct, frozen=True):
    """From the code that is typed to the record; kept under the code's digest."""

    key: str


def user_code(entropy: Entropy) -> str:
    """Without bias: bytes beyond the last whole multiple of the alphabet are drawn again."""
    letters = ""
    bound = 256 - 256 % len(ALPHABET)
    while len(letters) < LENGTH:
        byte = entropy.token(1)[0]
        if byte < bound:
            letters += ALPHABET[byte % len(ALPHABET)]
    return letters


def spell(code: str) -> str:
    return f"{code[:4]}-{code[4:]}"


def normal(text: str) -> str:
    """As somebody types it: small letters, spaces and dashes are forgiven."""
    return "".join(c for c in text.upper()[:64] if c in ALPHABET)


class Devices:
    """See the module."""

    def __init__(self, store: Store, service: SessionService, ids: Ids) -> None:
        self._rows: Table[Device] = Table(store, KIND, Device)
        self._typed: Table[Typed] = Table(store, USER_CODE, Typed)
        self._service = service
        self._ids = ids

    async def begin(self, app: str, client: str, scopes: frozenset[str]) -> tuple[Token, Device]:
        service = self._service
        token = mint(service.keys, app, Prefix.DEVICE_CODE, self._ids.new(), service.entropy)
        expires = service.clock.unix() + service.lifetimes.device_code
        while True:
            code = user_code(service.entropy)
            digest = self._digests(app, code)[0]
            try:
                await self._typed.create(app, digest, Typed(token.subject), expires=expires)
            except Conflict:
                continue
            break
        device = Device(
            id=token.id, client=client, user_code=code, scopes=scopes, expires_at=expires
        )
        kept = msgspec.structs.replace(device, user_code=digest)
        await self._rows.create(app, token.subject, kept, expires=expires + 60)
        return token, device

    def _digests(self, app: str, code: str) -> list[str]:
        """By every key of the app, the newest first: a change of keys loses no code."""
        text = f"{USER_CODE}:{code}".encode()
        return [hmac.digest(key, text, "sha256").hex() for key in self._service.keys(app)]

    async def waiting(self, app: str, code: str) -> tuple[str, Device] | None:
        """The device that shows this code, if somebody may still decide about it."""
        letters = normal(code)
        for digest in self._digests(app, letters) if letters else ():
            found = await self._typed.get(app, digest)
            if found is not None:
                break
        else:
            return None
        row = await self._rows.get(app, found.value.key)
        if row is None or row.value.state is not State.PENDING:
            return None
        if row.value.expires_at <= self._service.clock.unix():
            return None
        return row.key, msgspec.structs.replace(row.value, user_code=letters)

    async def decide(self, app: str, key: str, approval: Approval | None) -> bool:
        """None: denied. False when somebody else decided first."""
        row = await self._rows.get(app, key)
        if row is None or row.value.state is not State.PENDING:
            return False
        decided = msgspec.structs.replace(
            row.value,
            state=State.DENIED if approval is None else State.ALLOWED,
            approval=approval,
        )
        try:
            await self._rows.replace(app, row, decided)
        except Conflict:
            return await self.decide(app, key, approval)
        await self._typed.delete(app, row.value.user_code)
        return True

    async def poll(self, app: str, text: str, client: str) -> Device:
        """What was allowed, once. Raises OAuthError in the words of section 3.5."""
        try:
            token = read(self._service.keys, app, text, Prefix.DEVICE_CODE)
        except Refused:
            raise bad_grant() from None
        row = await self._rows.get(app, token.subject)
        if row is None or row.value.id != token.id or row.value.client != client:
            raise bad_grant()
        device, now = row.value, self._service.clock.unix()
        if device.expires_at <= now:
            raise OAuthError(Error.EXPIRED_TOKEN, "The code has expired; begin again.")
        if device.state is State.DENIED:
            raise OAuthError(Error.ACCESS_DENIED, "It was refused.")
        if device.state is State.PENDING:
            await self._wait(app, row.key, device, now)
        if not await self._rows.delete(app, row.key):
            raise bad_grant()
        return device

    async def _wait(self, app: str, key: str, device: Device, now: float) -> None:
        early = now < device.polled_at + device.interval
        slower = device.interval + SLOWER if early else device.interval

        def polled(value: Device) -> Device:
            return msgspec.structs.replace(value, polled_at=now, interval=slower)

        try:
            await self._rows.change(app, key, polled)
        except Missing:
            raise bad_grant() from None
        if early:
            raise OAuthError(Error.SLOW_DOWN, "Wait five seconds longer between two questions.")
        raise OAuthError(Error.AUTHORIZATION_PENDING, "Nobody has decided yet.")
