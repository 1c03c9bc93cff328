"""Sign-in through an outside provider: a trip there and back, bound to the browser by its ticket.

An identity is (issuer, subject). A mail address or a name that a provider tells never finds an
account: whoever wants both ways in connects them while signed in.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from signaling.accounts import names
from signaling.accounts.devices import Devices
from signaling.accounts.model import Account, Identity, Pending, Why
from signaling.accounts.oidc import (
    Flow,
    Metadata,
    Provider,
    Who,
    check_one_of_several,
    check_return,
    location,
)
from signaling.accounts.parts import Parts, Where
from signaling.accounts.principal import Kind, Role
from signaling.accounts.registry import Registry
from signaling.accounts.signin import Amr, Proof
from signaling.accounts.signing import Concluding, Outcome, failed
from signaling.accounts.tables import secret_key
from signaling.accounts.throttle import Throttle
from signaling.accounts.tokens import is_secret, new_secret
from signaling.errors import ClientError, Code

RETURN = "/sign-in/provider"  # the page of ours that the provider sends back to


class Begun(Struct, frozen=True):
    ticket: str
    location: str


class Federation:
    def __init__(
        self,
        parts: Parts,
        registry: Registry,
        devices: Devices,
        throttle: Throttle,
        concluding: Concluding,
        providers: Sequence[Provider],
    ) -> None:
        self._parts = parts
        self._registry = registry
        self._devices = devices
        self._throttle = throttle
        self._concluding = concluding
        self._providers = {provider.known.id: provider for provider in providers}
        self._redirect = parts.settings.public_url + RETURN

    def providers(self) -> list[Provider]:
        return list(self._providers.values())

    async def begin(self, app: str, provider_id: str, where: Where, account: str = "") -> Begun:
        """Raises ClientError 404, 429, Refused, Unavailable."""
        provider = self._provider(provider_id)
        known = await self._devices.recognise(app, where.device_token)
        await self._throttle.arrive(app, where, known.id if known is not None else "")
        metadata = await self._metadata(provider)
        flow = Flow(
            provider=provider_id,
            state=new_secret(self._parts.entropy),
            nonce=new_secret(self._parts.entropy),
            # RFC 7636 section 4.1 asks for 43 characters at least.
            verifier=new_secret(self._parts.entropy) + new_secret(self._parts.entropy),
            account=account,
        )
        ticket = new_secret(self._parts.entropy)
        expires = self._parts.clock.unix() + self._parts.settings.ticket
        await self._parts.tables.flows.create(app, secret_key(ticket), flow, expires=expires)
        return Begun(ticket, location(provider.known, metadata, flow, self._redirect))

    async def finish(
        self, app: str, ticket: str, state: str, code: str, iss: str | None, where: Where
    ) -> Outcome:
        """Signs in, or makes the account where the operator lets the provider do so."""
        who, provider, account_id = await self._returned(app, ticket, state, code, iss)
        if account_id:
            raise failed()
        account = await self._registry.by_identity(app, who.issuer, who.subject)
        if account is None:
            account = await self._made(app, who, provider)
        if account.disabled:
            raise failed()
        pending = Pending(why=Why.SIGN_IN, network=where.network)
        proof = Proof(Amr.FEDERATED, multi=who.mfa)
        return await self._concluding.conclude(app, account, pending, proof, where)

    async def link(
        self, app: str, account: str, ticket: str, state: str, code: str, iss: str | None
    ) -> None:
        """The identity becomes one more way into this account. 409 if it is somebody else's."""
        who, provider, wanted = await self._returned(app, ticket, state, code, iss)
        if wanted != account:
            raise failed()
        await self._registry.claim_identity(app, who.issuer, who.subject, account)
        identity = Identity(who.issuer, who.subject, provider.known.id)

        def add(row: Account) -> Account:
            others = tuple(one for one in row.identities if one.provider != identity.provider)
            return replace(row, identities=(*others, identity))

        after = await self._registry.change(app, account, add)
        if after.mail:
            self._parts.mail(app, after.mail, "provider_added", "")

    async def unlink(self, app: str, account_id: str, provider_id: str) -> None:
        account = await self._registry.require(app, account_id)
        identity = next((one for one in account.identities if one.provider == provider_id), None)
        if identity is None:
            raise ClientError(Code.NOT_FOUND, 404, "No such provider is connected.")
        claim = await self._registry.claim_of(app, account.login)
        can_type = claim is not None and claim.password is not None

        def drop(row: Account) -> Account:
            left = tuple(one for one in row.identities if one != identity)
            if not left and not can_type and not row.passkeys:
                raise ClientError(Code.CONFLICT, 409, "There would be no way left to sign in.")
            return replace(row, identities=left)

        await self._registry.change(app, account_id, drop)
        await self._registry.release_identity(app, identity)

    async def _returned(
        self, app: str, ticket: str, state: str, code: str, iss: str | None
    ) -> tuple[Who, Provider, str]:
        rows = self._parts.tables.flows
        row = await rows.get(app, secret_key(ticket)) if is_secret(ticket) else None
        if row is None or not await rows.delete(app, row.key):
            raise failed()
        provider = self._provider(row.value.provider)
        check_return(row.value, await self._metadata(provider), state, iss)
        return await provider.exchange(code, row.value, self._redirect), provider, row.value.account

    async def _metadata(self, provider: Provider) -> Metadata:
        metadata = await provider.metadata()
        if len(self._providers) > 1:
            check_one_of_several(metadata)
        return metadata

    def _provider(self, ident: str) -> Provider:
        provider = self._providers.get(ident)
        if provider is None:
            raise ClientError(Code.NOT_FOUND, 404, "There is no such provider.")
        return provider

    async def _made(self, app: str, who: Who, provider: Provider) -> Account:
        """The login name that the provider tells, with digits: it says nothing about others."""
        if not provider.known.sign_up:
            raise ClientError(Code.SIGN_UP_CLOSED, 403, "New accounts are by invitation here.")
        ident = self._parts.ids.new()
        await self._registry.claim_identity(app, who.issuer, who.subject, ident)
        account = Account(
            id=ident,
            login="",
            kind=Kind.ACCOUNT,
            roles=(Role.MEMBER,),
            created=self._parts.clock.unix(),
            name=_display(who.name),
            identities=(Identity(who.issuer, who.subject, provider.known.id),),
        )
        return await self._registry.create(
            app, replace(account, login=f"{_login(who.login)}.{ident[-12:]}")
        )


def _login(wish: str) -> str:
    try:
        return names.login(wish.partition("@")[0])[:32].strip(names.JOINERS)
    except ClientError:
        return "user"


def _display(text: str) -> str:
    try:
        return names.display(text)
    except ClientError:
        return ""
