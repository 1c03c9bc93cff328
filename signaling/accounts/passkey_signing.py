"""Sign-in with a passkey: as the only proof (usernameless), as the second factor, or once again.

A challenge is answered once: it leaves its ticket before the answer is looked at.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from signaling.accounts import passkeys
from signaling.accounts.devices import Devices
from signaling.accounts.factors import key_method
from signaling.accounts.model import Account, Passkey, Pending, Why
from signaling.accounts.parts import Parts, Where
from signaling.accounts.passkeys import BadPasskey, Site
from signaling.accounts.registry import Registry
from signaling.accounts.signin import Proof, State
from signaling.accounts.signing import Concluding, Outcome, failed, usable
from signaling.accounts.throttle import Throttle


class PasskeySigning:
    def __init__(
        self,
        parts: Parts,
        registry: Registry,
        devices: Devices,
        throttle: Throttle,
        concluding: Concluding,
    ) -> None:
        self._parts = parts
        self._registry = registry
        self._devices = devices
        self._throttle = throttle
        self._concluding = concluding
        settings = parts.settings
        self._site = Site(settings.rp_id, settings.product, settings.origins)

    async def begin(self, app: str, where: Where) -> tuple[str, dict[str, Any]]:
        """Without a name: the authenticator says who it is, so nothing tells who exists."""
        known = await self._devices.recognise(app, where.device_token)
        await self._throttle.arrive(app, where, known.id if known is not None else "")
        challenge = self._challenge()
        pending = Pending(why=Why.SIGN_IN, challenge=challenge, network=where.network)
        ticket = await self._concluding.open(app, pending)
        return ticket, passkeys.authentication_options(self._site, challenge, (), verify_user=True)

    async def begin_second(self, app: str, ticket: str) -> tuple[str, dict[str, Any]]:
        """After a password; the same ticket goes on."""
        row = await self._concluding.find(app, ticket)
        if row.value.progress.state is not State.SECOND:
            raise failed()
        account = await self._registry.require(app, row.value.account)
        challenge = self._challenge()
        await self._concluding.keep(app, row, replace(row.value, challenge=challenge))
        return ticket, passkeys.authentication_options(
            self._site, challenge, account.passkeys, verify_user=False
        )

    async def begin_again(
        self, app: str, account_id: str, session: str
    ) -> tuple[str, dict[str, Any]]:
        """The owner of a session proves again who they are."""
        account = await self._registry.require(app, account_id)
        challenge = self._challenge()
        pending = Pending(why=Why.AGAIN, account=account_id, session=session, challenge=challenge)
        ticket = await self._concluding.open(app, pending)
        return ticket, passkeys.authentication_options(
            self._site, challenge, account.passkeys, verify_user=True
        )

    async def finish(
        self, app: str, ticket: str, credential: dict[str, Any], where: Where
    ) -> Outcome:
        """Raises Refused 401 for whatever is not right."""
        row = await self._concluding.find(app, ticket)
        pending = row.value
        if not pending.challenge or pending.why not in (Why.SIGN_IN, Why.AGAIN):
            raise failed()
        await self._concluding.keep(app, row, replace(pending, challenge=b""))
        first = pending.progress.state is State.STARTED
        account = await self._whose(app, pending, credential)
        passkey = passkeys.find(account.passkeys, credential)
        if passkey is None or account.disabled:
            raise failed()
        if not first:
            usable(account, pending)
        try:
            shown = passkeys.authenticate(
                self._site, credential, pending.challenge, passkey, verify_user=first
            )
        except BadPasskey:
            raise failed() from None
        account = await self._counted(app, account, passkey, shown.count)
        spent = await self._concluding.find(app, ticket)
        await self._concluding.take(app, spent)
        proof = Proof(key_method(passkey), multi=shown.verified_user)
        return await self._concluding.conclude(app, account, pending, proof, where)

    async def _whose(self, app: str, pending: Pending, credential: dict[str, Any]) -> Account:
        """The user handle, when there is one, must name the account that the ticket is about."""
        named = passkeys.user_handle(credential)
        if pending.account and named is not None and named != pending.account:
            raise failed()
        account = await self._registry.get(app, pending.account or named or "")
        if account is None:
            raise failed()
        return account

    async def _counted(self, app: str, account: Account, passkey: Passkey, count: int) -> Account:
        """Remember the counter. One that did not grow is refused and enters the audit."""
        now = self._parts.clock.unix()
        copied = False

        def remember(row: Account) -> Account:
            nonlocal copied
            stored = next((one for one in row.passkeys if one.id == passkey.id), None)
            if stored is None:
                raise failed()
            copied = passkeys.cloned(stored, count)
            after = replace(stored, sign_count=max(count, stored.sign_count), used=now)
            kept = (after if one.id == passkey.id else one for one in row.passkeys)
            return row if copied else replace(row, passkeys=tuple(kept))

        after = await self._registry.change(app, account.id, remember)
        if copied:
            self._parts.note(app, account.id, "passkey_counter", denied=True, reason="not_growing")
            if account.mail:
                self._parts.mail(app, account.mail, "passkey_copied", "")
            raise failed()
        return after

    def _challenge(self) -> bytes:
        return self._parts.entropy.token(passkeys.CHALLENGE_BYTES)
