"""How accounts begin: the first administrator, sign-up by invitation or in the open, guests.

A name, and a password or a passkey: nothing else is asked. Where anybody may sign up the server
completes the login name with digits, so that the answer never tells which names are taken.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from signaling.accounts import names, passkeys
from signaling.accounts.factors import Factors, key_method
from signaling.accounts.links import Links, invalid
from signaling.accounts.makers import require_maker
from signaling.accounts.model import Account, Link, Passkey, Pending, Purpose, Why
from signaling.accounts.parts import Parts, Where
from signaling.accounts.passkeys import Site
from signaling.accounts.passwords import rules
from signaling.accounts.principal import Kind, Role
from signaling.accounts.registry import Registry
from signaling.accounts.settings import SignUp
from signaling.accounts.signin import Amr, Progress, Proof, State
from signaling.accounts.signing import Concluding, Outcome, failed
from signaling.accounts.throttle import Throttle
from signaling.errors import ClientError, Code

OPEN_PER_HOUR = 20  # accounts of one address where anybody may sign up
GUESTS_PER_HOUR = 120
SUFFIX_DIGITS = 5


class Joining:
    def __init__(
        self,
        parts: Parts,
        registry: Registry,
        links: Links,
        throttle: Throttle,
        concluding: Concluding,
        factors: Factors,
    ) -> None:
        self._parts = parts
        self._registry = registry
        self._links = links
        self._throttle = throttle
        self._concluding = concluding
        self._factors = factors
        settings = parts.settings
        self._site = Site(settings.rp_id, settings.product, settings.origins)

    # The first administrator

    async def setup_link(self, app: str) -> str | None:
        """A fresh one while the app has no owner, and any older one is void; None otherwise."""
        found = await self._registry.ensure_app(app)
        await self._registry.finish_erasures(app)
        for owner in found.owners:
            if await self._registry.get(app, owner) is not None:
                return None
        half_made = await self._registry.find_owner(app)
        if half_made is not None:
            await self._registry.add_owner(app, half_made.id)
            return None
        await self._links.withdraw_all(app, Purpose.SETUP.value)
        link = Link(
            id=self._parts.ids.new(),
            purpose=Purpose.SETUP,
            made=self._parts.clock.unix(),
            maker="system",
            roles=(Role.OWNER,),
        )
        secret = await self._links.make(app, link, self._parts.settings.setup)
        return f"{self._parts.settings.public_url}/setup#{secret}"

    # With a password

    async def sign_up(
        self, app: str, link: str | None, login: str, password: str, name: str, where: Where
    ) -> Outcome:
        """`link`: an invitation or the first administrator's. Raises ClientError 4xx."""
        key, given = await self._admitted(app, link, where)
        login, name = names.login(login), names.display(name)
        text = await self.acceptable(app, password, (login, name))
        await self._use(app, key, given)
        try:
            stored = await self._parts.hashes.hash(text)
            account = self._account(login, name, given)
            account = await self._create(app, account, stored, completed=key is None)
        except BaseException:
            await self._give_back(app, key)
            raise
        pending = Pending(why=Why.SIGN_IN, network=where.network)
        return await self._concluding.conclude(app, account, pending, Proof(Amr.PASSWORD), where)

    async def acceptable(self, app: str, password: str, personal: tuple[str, ...]) -> str:
        """The normalised password. Raises ClientError 422 with the reason."""
        found = await self._registry.ensure_app(app)
        policy = self._parts.settings.password_policy(found.name)
        text = rules.check(password, policy, self._parts.blocked, personal)
        if self._parts.breaches is not None and await self._parts.breaches.has(text):
            raise rules.common()
        return text

    # With a passkey alone

    async def begin_passkey(
        self, app: str, link: str | None, login: str, name: str, where: Where
    ) -> tuple[str, dict[str, Any]]:
        key, given = await self._admitted(app, link, where)
        login, name = names.login(login), names.display(name)
        account = self._account(login, name, given)
        challenge = self._parts.entropy.token(passkeys.CHALLENGE_BYTES)
        pending = Pending(
            why=Why.SIGN_UP,
            account=account.id,
            challenge=challenge,
            login=login,
            name=name,
            link=key or "",
        )
        ticket = await self._concluding.open(app, pending)
        options = passkeys.registration_options(self._site, account.id, login, name, challenge, ())
        return ticket, options

    async def finish_passkey(
        self, app: str, ticket: str, credential: dict[str, Any], label: str, where: Where
    ) -> Outcome:
        row = await self._concluding.find(app, ticket)
        pending = row.value
        if pending.why is not Why.SIGN_UP:
            raise failed()
        await self._concluding.take(app, row)
        passkey = self._factors.verified(credential, pending.challenge, label)
        given = await self._links_row(app, pending.link)
        await self._use(app, pending.link or None, given)
        try:
            account = self._account(pending.login, pending.name, given)
            account = replace(account, id=pending.account, passkeys=(passkey,))
            account = await self._create(app, account, None, completed=not pending.link)
        except BaseException:
            await self._give_back(app, pending.link or None)
            raise
        return await self._by_passkey(app, account, passkey, where)

    async def _by_passkey(
        self, app: str, account: Account, passkey: Passkey, where: Where
    ) -> Outcome:
        """It verified its user when it was made: two factors at once."""
        proof = Proof(key_method(passkey), multi=True)
        pending = Pending(why=Why.SIGN_IN, network=where.network)
        return await self._concluding.conclude(app, account, pending, proof, where)

    # Guests

    async def guest(self, app: str, secret: str, name: str, where: Where) -> tuple[Outcome, Link]:
        """An account that lives as long as its session; the link says where it may go."""
        await self._throttle.once(app, "guest", where.address, GUESTS_PER_HOUR)
        row = await self._links.look(app, Purpose.GUEST, secret)
        await require_maker(self._registry, app, row.value)
        name = names.display(name)
        link = await self._links.claim(app, Purpose.GUEST, row.key)
        now = self._parts.clock.unix()
        until = now + self._parts.settings.guest
        if row.expires is not None:
            until = min(until, row.expires)
        account = Account(
            id=self._parts.ids.new(),
            login="",
            kind=Kind.GUEST,
            roles=(Role.GUEST,),
            created=now,
            name=name,
            lives_until=until,
            room=link.room,
        )
        await self._registry.create(app, account)
        pending = Pending(why=Why.SIGN_IN, network=where.network)
        progress = Progress(State.DONE)
        return await self._concluding.reached(app, account, pending, progress, where), link

    # What they share

    async def _admitted(
        self, app: str, secret: str | None, where: Where
    ) -> tuple[str | None, Link | None]:
        """By a link, or because anybody may. Tells nothing about names before it is sure."""
        if secret is not None:
            await self._throttle.arrive(app, where, "")
            for purpose in (Purpose.INVITE, Purpose.SETUP):
                try:
                    row = await self._links.look(app, purpose, secret)
                except ClientError:
                    continue
                if purpose is Purpose.INVITE and self._closed():
                    break
                await require_maker(self._registry, app, row.value)
                return row.key, row.value
            raise invalid()
        if self._parts.settings.sign_up is not SignUp.OPEN:
            raise ClientError(Code.SIGN_UP_CLOSED, 403, "New accounts are by invitation here.")
        await self._throttle.once(app, "sign_up", where.address, OPEN_PER_HOUR)
        return None, None

    def _closed(self) -> bool:
        return self._parts.settings.sign_up is SignUp.CLOSED

    async def _links_row(self, app: str, key: str) -> Link | None:
        row = await self._parts.tables.links.get(app, key) if key else None
        if key and row is None:
            raise invalid()
        if row is None:
            return None
        await require_maker(self._registry, app, row.value)
        return row.value

    async def _use(self, app: str, key: str | None, link: Link | None) -> None:
        if key is not None and link is not None:
            await self._links.claim(app, link.purpose, key)

    async def _give_back(self, app: str, key: str | None) -> None:
        if key is not None:
            await self._links.release(app, key)

    def _account(self, login: str, name: str, link: Link | None) -> Account:
        return Account(
            id=self._parts.ids.new(),
            login=login,
            kind=Kind.ACCOUNT,
            roles=link.roles if link is not None and link.roles else (Role.MEMBER,),
            created=self._parts.clock.unix(),
            name=name,
        )

    async def _create(
        self, app: str, account: Account, stored: str | None, *, completed: bool
    ) -> Account:
        """`completed`: digits are added to the login name until it is free, and always."""
        wish = account.login
        for attempt in range(8):
            if completed:
                account = replace(account, login=f"{wish}.{self._digits()}")
            try:
                made = await self._registry.create(app, account, stored)
                break
            except ClientError:
                if not completed or attempt == 7:
                    raise
        if Role.OWNER in made.roles:
            await self._registry.add_owner(app, made.id)
        return made

    def _digits(self) -> str:
        number = int.from_bytes(self._parts.entropy.token(8), "big")
        return f"{number % 10**SUFFIX_DIGITS:0{SUFFIX_DIGITS}d}"
