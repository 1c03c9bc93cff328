"""Sign-in as a service: passwords and codes, checked, counted and carried through `signin.advance`.

Every refusal is the same sentence, status and, as far as a hash goes, time, whoever exists.
Passkeys are in `passkey_signing`, outside providers in `oidc`; both end in `Concluding`.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from signaling.accounts import names, recovery, totp
from signaling.accounts.devices import Devices
from signaling.accounts.model import Account, Claim, Pending, Why, standing
from signaling.accounts.parts import Parts, Where
from signaling.accounts.passwords.rules import normalise
from signaling.accounts.principal import Kind
from signaling.accounts.registry import Registry
from signaling.accounts.signin import (
    Amr,
    OutOfOrder,
    Progress,
    Proof,
    SignedIn,
    State,
    advance,
)
from signaling.accounts.tables import secret_key
from signaling.accounts.throttle import Throttle
from signaling.accounts.tokens import is_secret, new_secret
from signaling.errors import ClientError, Code, Refused
from signaling.storage.port import Conflict
from signaling.storage.table import Row

MANY_FAILED = 5  # wrong passwords in a row that are worth a letter


class Outcome(Struct, frozen=True, kw_only=True):
    """Where a sign-in stands for its client: `signed` when it is over, else a ticket to go on."""

    state: State
    why: Why
    account: str = ""
    ticket: str = ""
    factors: tuple[str, ...] = ()
    signed: SignedIn | None = None
    device_token: str | None = None
    session: str = ""


class SignInFailed(Refused):
    """401. `account`, when there is one, is for the audit; the answer never tells."""

    def __init__(self, account: str = "") -> None:
        super().__init__(Code.SIGN_IN_FAILED, 401, "That did not work.")
        self.account = account


def failed(account: str = "") -> SignInFailed:
    """One answer for everything that a wrong guess, a replay or an unknown name can be."""
    return SignInFailed(account)


class Concluding:
    """What follows every verified proof: the next step's ticket, or the signed-in account."""

    def __init__(self, parts: Parts, devices: Devices) -> None:
        self._parts = parts
        self._devices = devices
        self._rows = parts.tables.pending

    async def open(self, app: str, pending: Pending) -> str:
        """A ticket for an unfinished sign-in."""
        ticket = new_secret(self._parts.entropy)
        expires = self._parts.clock.unix() + self._parts.settings.ticket
        await self._rows.create(app, secret_key(ticket), pending, expires=expires)
        return ticket

    async def find(self, app: str, ticket: str) -> Row[Pending]:
        """Raises Refused (401) for a ticket that was never given out, was used up or is old."""
        row = await self._rows.get(app, secret_key(ticket)) if is_secret(ticket) else None
        if row is None:
            raise failed()
        return row

    async def take(self, app: str, row: Row[Pending]) -> None:
        """Use the ticket up. Of several at once one gets through, the others are refused."""
        try:
            if not await self._rows.delete(app, row.key, expect=row.version):
                raise failed()
        except Conflict:
            raise failed() from None

    async def keep(self, app: str, row: Row[Pending], pending: Pending) -> None:
        try:
            await self._rows.replace(app, row, pending)
        except Conflict:
            raise failed() from None

    async def conclude(
        self, app: str, account: Account, pending: Pending, proof: Proof, where: Where
    ) -> Outcome:
        """Take a verified proof of this account."""
        # Who proves again what they proved before may be about to enrol: policy waits for them.
        required = self._parts.settings.requires_second(account) and pending.why is not Why.AGAIN
        try:
            progress = advance(pending.progress, proof, standing(account, required))
        except OutOfOrder:
            raise failed() from None
        return await self.reached(app, account, pending, progress, where)

    async def reached(
        self, app: str, account: Account, pending: Pending, progress: Progress, where: Where
    ) -> Outcome:
        if progress.state is not State.DONE:
            ticket = await self.open(
                app,
                replace(
                    pending,
                    account=account.id,
                    epoch=account.epoch,
                    progress=progress,
                    challenge=b"",
                ),
            )
            return Outcome(
                state=progress.state,
                why=pending.why,
                account=account.id,
                ticket=ticket,
                factors=factors(account) if progress.state is State.SECOND else (),
                session=pending.session,
            )
        device, token = pending.device, None
        if pending.why is not Why.AGAIN:
            known = await self._devices.recognise(app, where.device_token)
            device, token = await self._devices.seen(app, account.id, where, known)
            if token is not None and account.mail:
                self._parts.mail(app, account.mail, "new_device", "")
        return Outcome(
            state=State.DONE,
            why=pending.why,
            account=account.id,
            signed=self.signed(app, account, progress, device),
            device_token=token,
            session=pending.session,
        )

    def signed(self, app: str, account: Account, progress: Progress, device: str) -> SignedIn:
        return SignedIn(
            app=app,
            account=account.id,
            kind=account.kind,
            roles=frozenset(account.roles),
            amr=progress.amr,
            mfa=progress.mfa,
            at=self._parts.clock.unix(),
            device=device,
            epoch=account.epoch,
            lives_until=account.lives_until,
        )


def usable(account: Account | None, pending: Pending) -> Account:
    """Raises Refused when the account was disabled or got a new password since the first step."""
    if account is None or account.disabled or account.epoch != pending.epoch:
        raise failed()
    return account


def factors(account: Account) -> tuple[str, ...]:
    """Which second factors this account may show; told to who has shown the first one only."""
    found = []
    if account.passkeys:
        found.append("passkey")
    if account.totp is not None:
        found.append("totp")
    if account.recovery:
        found.append("recovery_code")
    return tuple(found)


class Signing:
    """Passwords and codes. One for each process; keeps nothing between calls."""

    def __init__(
        self, parts: Parts, registry: Registry, devices: Devices, throttle: Throttle
    ) -> None:
        self._parts = parts
        self._registry = registry
        self._devices = devices
        self._throttle = throttle
        self.concluding = Concluding(parts, devices)

    async def password(self, app: str, login: str, password: str, where: Where) -> Outcome:
        """The first step. Raises Refused 401, ClientError 429, Unavailable."""
        pending = Pending(why=Why.SIGN_IN, network=where.network)
        return await self._password(app, login, password, pending, where)

    async def again(
        self, app: str, account_id: str, session: str, password: str, where: Where
    ) -> Outcome:
        """The owner of a session proves again who they are, with the password first."""
        account = await self._registry.require(app, account_id)
        pending = Pending(why=Why.AGAIN, session=session, network=where.network)
        return await self._password(app, account.login, password, pending, where)

    async def _password(
        self,
        app: str,
        login: str,
        password: str,
        pending: Pending,
        where: Where,
    ) -> Outcome:
        subject = self._parts.tables.login_key(app, names.canonical(login))
        known = await self._devices.recognise(app, where.device_token)
        claim = await self._registry.claim_of(app, login)
        # A device is known to its own account; for any other it is a stranger like all.
        device = known.id if known and claim and known.account == claim.account else ""
        await self._throttle.arrive(app, where, device)
        await self._throttle.guess(app, subject, device)
        account = await self._verified(app, login, claim, password)
        if await self._throttle.right(app, subject) >= MANY_FAILED:
            self._tell(app, account, "failed_attempts")
        pending = replace(pending, device=device)
        return await self.concluding.conclude(app, account, pending, Proof(Amr.PASSWORD), where)

    async def _verified(self, app: str, login: str, claim: Claim | None, password: str) -> Account:
        """Raises Refused unless the password is right and the account may sign in."""
        text = normalise(password)
        stored = claim.password if claim is not None else None
        verdict = await self._parts.hashes.verify(stored, text)
        if claim is None or not verdict.right:
            raise failed(claim.account if claim is not None else "")
        account = await self._registry.get(app, claim.account)
        if account is None or account.disabled or account.kind is not Kind.ACCOUNT:
            raise failed(claim.account)
        # A new password is stored before the account's epoch grows: as long as this one still
        # stands, the epoch is that of this password, and `Sessions.open` will compare it.
        now = await self._registry.claim_of(app, login)
        if now is None or now.password != stored:
            return await self._verified(app, login, now, password)
        if verdict.rehash:
            fresh = await self._parts.hashes.hash(text)
            await self._registry.set_password(app, account, fresh, unless=stored)
        return account

    async def code(self, app: str, ticket: str, code: str, where: Where) -> Outcome:
        """A one-time or a recovery code as second factor. 422 for what can be neither."""
        digits, bare = totp.parse(code), recovery.parse(code)
        if digits is None and bare is None:
            raise malformed()
        row = await self.concluding.find(app, ticket)
        pending = row.value
        if pending.progress.state is not State.SECOND:
            raise failed()
        subject = self.code_subject(app, pending.account)
        await self._throttle.guess(app, subject, pending.device)
        proof = await self._spend(app, pending.account, digits, bare)
        await self._throttle.right(app, subject)
        await self.concluding.take(app, row)
        account = usable(await self._registry.get(app, pending.account), pending)
        return await self.concluding.conclude(app, account, pending, proof, where)

    def code_subject(self, app: str, account: str) -> str:
        return self._parts.tables.sealer.blind(app, f"code\0{account}")

    async def _spend(self, app: str, account: str, digits: str | None, bare: str | None) -> Proof:
        now = self._parts.clock.unix()

        def spend(row: Account) -> Account:
            if digits is not None:
                return _with_step(row, digits, now)
            left = recovery.spend(row.recovery, row.id, bare or "")
            if left is None:
                raise failed(row.id)
            return replace(row, recovery=left)

        after = await self._registry.change(app, account, spend)
        if digits is None:
            self._parts.note(app, account, "recovery_code_used", count=str(len(after.recovery)))
            self._tell(app, after, "recovery_code_used")
        return Proof(Amr.OTP if digits is not None else Amr.RECOVERY)

    def _tell(self, app: str, account: Account, what: str) -> None:
        if account.mail:
            self._parts.mail(app, account.mail, what, "")


def _with_step(account: Account, digits: str, now: float) -> Account:
    """Raises Refused for a wrong code and for one whose step was used already."""
    if account.totp is None:
        raise failed()
    step = totp.check(account.totp.secret, digits, now, account.totp.last_step)
    if step is None:
        raise failed(account.id)
    return replace(account, totp=replace(account.totp, last_step=step))


def malformed() -> ClientError:
    return ClientError(Code.FIELDS_INVALID, 422, "This is no code.")
