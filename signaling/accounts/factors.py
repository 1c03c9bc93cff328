"""Second factors of an account: enrolled, confirmed, renewed, removed.

Who may do so (a session that proved itself lately, or a sign-in that policy sent to enrol) is the
caller's to check; what must not be removed is checked here.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from signaling.accounts import passkeys, recovery, totp
from signaling.accounts.model import Account, Passkey, Pending, Totp, Why
from signaling.accounts.parts import Parts
from signaling.accounts.passkeys import BadPasskey, Site
from signaling.accounts.registry import Registry
from signaling.accounts.signin import Amr, Proof
from signaling.accounts.signing import Concluding, failed, malformed
from signaling.errors import ClientError, Code


class TotpOffer(Struct, frozen=True, kw_only=True):
    """Shown once: the secret for typing, its URI, and the QR code as SVG."""

    secret: str
    uri: str
    qr: str


class Enrolled(Struct, frozen=True, kw_only=True):
    """`codes` when these are the account's first recovery codes."""

    account: Account
    proof: Proof
    codes: tuple[str, ...] = ()
    passkey: Passkey | None = None


class Factors:
    def __init__(self, parts: Parts, registry: Registry, concluding: Concluding) -> None:
        self._parts = parts
        self._registry = registry
        self._concluding = concluding
        settings = parts.settings
        self._site = Site(settings.rp_id, settings.product, settings.origins)

    # One-time passwords

    async def offer_totp(self, app: str, account_id: str) -> TotpOffer:
        """Begin; nothing counts until it is confirmed. Beginning again replaces the offer."""
        secret = totp.encode_secret(self._parts.entropy.token(totp.SECRET_BYTES))
        wish = Totp(secret=secret, added=self._parts.clock.unix())
        account = await self._registry.change(
            app, account_id, lambda row: replace(row, totp_wish=wish)
        )
        uri = totp.uri(secret, account.login, self._parts.settings.product)
        return TotpOffer(secret=secret, uri=uri, qr=totp.picture(uri))

    async def confirm_totp(self, app: str, account_id: str, code: str) -> Enrolled:
        """The first code proves that the app has the secret; it is used up by that."""
        digits = totp.parse(code)
        if digits is None:
            raise malformed()
        now = self._parts.clock.unix()
        codes, spelled = self._fresh_codes(account_id)

        def confirm(row: Account) -> Account:
            wish = row.totp_wish
            step = None if wish is None else totp.check(wish.secret, digits, now, 0)
            if wish is None or step is None:
                raise failed()
            after = replace(row, totp=replace(wish, last_step=step), totp_wish=None)
            return after if row.recovery else replace(after, recovery=spelled)

        after = await self._registry.change(app, account_id, confirm)
        self._tell(app, after, "totp_added")
        shown = codes if after.recovery == spelled else ()
        return Enrolled(account=after, proof=Proof(Amr.OTP), codes=shown)

    async def remove_totp(self, app: str, account_id: str) -> None:
        def remove(row: Account) -> Account:
            if row.totp is None:
                raise _no_factor()
            return self._allowed(replace(row, totp=None, totp_wish=None))

        self._tell(app, await self._registry.change(app, account_id, remove), "totp_removed")

    # Recovery codes

    async def renew_codes(self, app: str, account_id: str) -> tuple[str, ...]:
        """Ten new ones; the old ones are void."""
        codes, spelled = self._fresh_codes(account_id)

        def renew(row: Account) -> Account:
            if not row.second_factor:
                raise _no_factor()
            return replace(row, recovery=spelled)

        after = await self._registry.change(app, account_id, renew)
        self._tell(app, after, "recovery_codes_renewed")
        return codes

    def _fresh_codes(self, account: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        codes = recovery.generate(self._parts.entropy.token)
        return codes, recovery.digests(account, codes)

    # Passkeys

    async def passkey_options(self, app: str, account: Account) -> tuple[str, dict[str, Any]]:
        """A ticket and what to ask the authenticator for."""
        if len(account.passkeys) >= passkeys.MOST:
            raise ClientError(Code.CONFLICT, 409, f"An account has {passkeys.MOST} at most.")
        challenge = self._parts.entropy.token(passkeys.CHALLENGE_BYTES)
        pending = Pending(why=Why.REGISTER, account=account.id, challenge=challenge)
        ticket = await self._concluding.open(app, pending)
        options = passkeys.registration_options(
            self._site, account.id, account.login, account.name, challenge, account.passkeys
        )
        return ticket, options

    async def add_passkey(
        self, app: str, account_id: str, ticket: str, credential: dict[str, Any], name: str
    ) -> Enrolled:
        row = await self._concluding.find(app, ticket)
        if row.value.why is not Why.REGISTER or row.value.account != account_id:
            raise failed()
        await self._concluding.take(app, row)
        passkey = self.verified(credential, row.value.challenge, name)
        codes, spelled = self._fresh_codes(account_id)

        def add(account: Account) -> Account:
            if any(one.id == passkey.id for one in account.passkeys):
                raise ClientError(Code.CONFLICT, 409, "This passkey is there already.")
            after = replace(account, passkeys=(*account.passkeys, passkey))
            return after if account.recovery else replace(after, recovery=spelled)

        after = await self._registry.change(app, account_id, add)
        self._tell(app, after, "passkey_added")
        shown = codes if after.recovery == spelled else ()
        proof = Proof(key_method(passkey), multi=True)
        return Enrolled(account=after, proof=proof, codes=shown, passkey=passkey)

    def verified(self, credential: dict[str, Any], challenge: bytes, name: str) -> Passkey:
        """Raises Refused 401 for an answer that does not verify."""
        now = self._parts.clock.unix()
        try:
            return passkeys.register(self._site, credential, challenge, name, now)
        except BadPasskey:
            raise failed() from None

    async def remove_passkey(self, app: str, account_id: str, passkey_id: str) -> None:
        account = await self._registry.require(app, account_id)
        claim = await self._registry.claim_of(app, account.login)
        can_type = claim is not None and claim.password is not None

        def remove(row: Account) -> Account:
            left = tuple(one for one in row.passkeys if one.id != passkey_id)
            if len(left) == len(row.passkeys):
                raise _no_factor()
            if not left and not can_type and not row.identities:
                raise ClientError(Code.CONFLICT, 409, "There would be no way left to sign in.")
            return self._allowed(replace(row, passkeys=left))

        self._tell(app, await self._registry.change(app, account_id, remove), "passkey_removed")

    async def rename_passkey(self, app: str, account_id: str, passkey_id: str, name: str) -> None:
        def rename(row: Account) -> Account:
            if all(one.id != passkey_id for one in row.passkeys):
                raise _no_factor()
            renamed = (
                replace(one, name=name) if one.id == passkey_id else one for one in row.passkeys
            )
            return replace(row, passkeys=tuple(renamed))

        await self._registry.change(app, account_id, rename)

    # All of them

    async def remove_all(self, app: str, account_id: str) -> None:
        """By an administrator, after proof of identity outside of this server (ASVS 6.4.4)."""

        def remove(row: Account) -> Account:
            return replace(row, totp=None, totp_wish=None, recovery=(), passkeys=())

        self._tell(app, await self._registry.change(app, account_id, remove), "factors_removed")

    def _allowed(self, account: Account) -> Account:
        """After removing a factor: recovery codes alone are nothing; policy may need one left."""
        if account.second_factor:
            return account
        if self._parts.settings.requires_second(account):
            raise ClientError(Code.SECOND_FACTOR_NEEDED, 409, "Policy asks for a second factor.")
        return replace(account, recovery=())

    def _tell(self, app: str, account: Account, what: str) -> None:
        if account.mail:
            self._parts.mail(app, account.mail, what, "")


def key_method(passkey: Passkey) -> Amr:
    return Amr.SOFTWARE_KEY if passkey.synced else Amr.HARDWARE_KEY


def _no_factor() -> ClientError:
    return ClientError(Code.NOT_FOUND, 404, "There is no such factor.")
