"""Acts on accounts: roles, disabling, one-time links, invitations, removal, passwords.

Everything that takes rights away reaches open sockets and running calls through `sessions` and the
`Revoker` before it returns. An administrator starts a reset, but never learns or chooses a password
(ASVS 6.4.6), and a reset leaves the second factor where it is (6.4.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from signaling.accounts import names
from signaling.accounts.devices import Devices
from signaling.accounts.factors import Factors
from signaling.accounts.joining import Joining
from signaling.accounts.links import Links, invalid
from signaling.accounts.makers import MAIL, OPERATOR, require_maker
from signaling.accounts.model import Account, Link, Purpose
from signaling.accounts.parts import Parts
from signaling.accounts.passwords.rules import normalise
from signaling.accounts.principal import Kind, Role
from signaling.accounts.registry import Registry, not_found
from signaling.accounts.roles import require_give, require_manage
from signaling.accounts.sessions.port import Change, Revocation, Revoker
from signaling.accounts.signin import Sessions
from signaling.accounts.signing import failed
from signaling.accounts.throttle import Throttle
from signaling.errors import ClientError, Code

LETTERS_PER_HOUR = 5  # reset letters to one account
MOST_USES = 10_000


class Administration:
    def __init__(
        self,
        parts: Parts,
        registry: Registry,
        links: Links,
        devices: Devices,
        factors: Factors,
        throttle: Throttle,
        sessions: Sessions,
        revoker: Revoker,
        trusted: frozenset[str],
    ) -> None:
        """`trusted`: issuers whose second factor counts as ours."""
        self._parts = parts
        self._registry = registry
        self._links = links
        self._devices = devices
        self._factors = factors
        self._throttle = throttle
        self._sessions = sessions
        self._revoker = revoker
        self._trusted = trusted

    # Of others

    async def managed(self, app: str, actor: Iterable[Role], account_id: str) -> Account:
        """Raises Refused 403, ClientError 404."""
        account = await self._registry.require(app, account_id)
        require_manage(actor, account.roles)
        return account

    async def set_roles(
        self,
        app: str,
        actor: frozenset[Role],
        account_id: str,
        roles: frozenset[Role],
        expect: int | None = None,
    ) -> Account:
        """`expect`: only while the account's `changed` is this (412 otherwise)."""
        account = await self._registry.require(app, account_id)
        if account.kind is not Kind.ACCOUNT or not roles:
            raise ClientError(Code.CONFLICT, 409, "The roles of this account are fixed.")
        require_give(actor, account.roles, roles)

        def change(row: Account) -> Account:
            require_give(actor, row.roles, roles)
            _require_version(row, expect)
            return replace(row, roles=tuple(sorted(roles)), changed=row.changed + 1)

        leaves = Role.OWNER in account.roles and Role.OWNER not in roles
        after = await self._change(app, account, change, drops_owner=leaves)
        if Role.OWNER in roles:
            await self._registry.add_owner(app, account_id)
        changed = Revocation(
            app=app, account=account_id, change=Change.CHANGED, reason="roles_changed"
        )
        await self._revoker.revoke(changed)
        self._tell(app, after, "roles_changed")
        return after

    async def set_disabled(
        self,
        app: str,
        actor: frozenset[Role],
        account_id: str,
        disabled: bool,
        expect: int | None = None,
    ) -> Account:
        account = await self.managed(app, actor, account_id)

        def change(row: Account) -> Account:
            require_manage(actor, row.roles)
            _require_version(row, expect)
            return replace(row, disabled=disabled, changed=row.changed + 1)

        leaves = disabled and Role.OWNER in account.roles
        after = await self._change(app, account, change, drops_owner=leaves)
        if disabled:
            await self._sessions.end(app, account_id)
            # What was opened for the account without a session of it: by access tokens.
            await self._revoker.revoke(Revocation(app=app, account=account_id, reason="disabled"))
        elif Role.OWNER in after.roles:
            await self._registry.add_owner(app, account_id)
        return after

    async def _change(
        self, app: str, account: Account, change: Callable[[Account], Account], *, drops_owner: bool
    ) -> Account:
        """The list of owners first, so that the last two cannot leave at once."""
        if drops_owner:
            await self._registry.drop_owner(app, account.id)
        try:
            return await self._registry.change(app, account.id, change)
        except ClientError:
            if drops_owner:
                await self._registry.add_owner(app, account.id)
            raise

    async def reset_link(
        self, app: str, actor: frozenset[Role], account_id: str, maker: str = OPERATOR
    ) -> str:
        """For the administrator to hand over; the account's earlier ones are void."""
        account = await self.managed(app, actor, account_id)
        if not await self._has_password_to_set(app, account):
            raise ClientError(Code.CONFLICT, 409, "This account has no password to set.")
        lives = self._parts.settings.admin_reset
        return await self._reset_link(app, account, maker, lives)

    async def remove_factors(self, app: str, actor: frozenset[Role], account_id: str) -> None:
        """For who lost all of them and proved to the administrator who they are."""
        await self.managed(app, actor, account_id)
        await self._factors.remove_all(app, account_id)
        await self._sessions.end(app, account_id)

    async def remove(self, app: str, actor: frozenset[Role], account_id: str) -> None:
        await self._remove(app, await self.managed(app, actor, account_id))

    async def _remove(self, app: str, account: Account) -> None:
        if Role.OWNER in account.roles and not account.disabled:
            await self._registry.drop_owner(app, account.id)
        fenced = await self._registry.change(
            app, account.id, lambda row: replace(row, disabled=True, changed=row.changed + 1)
        )
        await self._sessions.end(app, account.id)
        await self._revoker.revoke(Revocation(app=app, account=account.id, reason="removed"))
        await self._devices.remove_all(app, account.id)
        await self._links.withdraw_all(app, f"account:{account.id}")
        await self._registry.forget(app, fenced)

    async def invite(
        self,
        app: str,
        actor: frozenset[Role],
        maker: str,
        *,
        roles: frozenset[Role],
        uses: int,
        lives: float | None,
        label: str,
    ) -> tuple[str, Link]:
        """An invitation gives no role that its maker could not give."""
        require_give(actor, (), roles or {Role.MEMBER})
        link = Link(
            id=self._parts.ids.new(),
            purpose=Purpose.INVITE,
            made=self._parts.clock.unix(),
            maker=maker,
            label=names.display(label),
            uses=min(uses, MOST_USES),
            roles=tuple(sorted(roles)) or (Role.MEMBER,),
        )
        secret = await self._links.make(app, link, lives or self._parts.settings.invite)
        return f"{self._parts.settings.public_url}/join#{secret}", link

    async def guest_link(
        self, app: str, maker: str, *, room: str, uses: int, lives: float | None, label: str
    ) -> tuple[str, Link]:
        link = Link(
            id=self._parts.ids.new(),
            purpose=Purpose.GUEST,
            made=self._parts.clock.unix(),
            maker=maker,
            label=names.display(label),
            uses=uses,
            room=room,
            roles=(Role.GUEST,),
        )
        secret = await self._links.make(app, link, lives or self._parts.settings.invite)
        return f"{self._parts.settings.public_url}/guest#{secret}", link

    # Of oneself

    async def change_password(
        self, app: str, account_id: str, session: str | None, current: str, text: str
    ) -> None:
        """`text` is acceptable already. Other sessions end; the current password is asked for."""
        account = await self._registry.require(app, account_id)
        claim = await self._registry.claim_of(app, account.login)
        if claim is not None and claim.password is not None:
            await self._throttle.guess(
                app, self._parts.tables.sealer.blind(app, f"change\0{account_id}"), ""
            )
            verdict = await self._parts.hashes.verify(claim.password, normalise(current))
            if not verdict.right:
                raise failed()
            await self._throttle.right(
                app, self._parts.tables.sealer.blind(app, f"change\0{account_id}")
            )
        await self._registry.set_password(app, account, await self._parts.hashes.hash(text))
        await self._sessions.end(app, account_id, keep=session)
        self._tell(app, account, "password_changed")

    async def forget_device(self, app: str, account_id: str, device: str) -> None:
        """Its sessions end, and it is a stranger again."""
        if not await self._devices.remove(app, account_id, device):
            raise ClientError(Code.NOT_FOUND, 404, "There is no such device.")
        await self._sessions.end(app, account_id, device=device)

    async def leave(self, app: str, account_id: str) -> None:
        """The owner of an account deletes it."""
        await self._remove(app, await self._registry.require(app, account_id))

    # Resets

    async def ask_reset(self, app: str, login: str) -> None:
        """Says nothing. A letter goes out if there is an account with a confirmed address.

        The caller answers first and lets this run beside, so that time tells nothing either.
        """
        account = await self._registry.by_login(app, login)
        if account is None or not account.mail or account.disabled or not self._parts.mail_works:
            return
        if not await self._has_password_to_set(app, account):
            return
        await self._throttle.once(app, "reset", account.id, LETTERS_PER_HOUR)
        link = await self._reset_link(app, account, MAIL, self._parts.settings.reset)
        self._parts.mail(app, account.mail, "password_reset", link)

    async def _has_password_to_set(self, app: str, account: Account) -> bool:
        """Not where it would be the first, and a way past a second factor at a provider."""
        if account.kind is not Kind.ACCOUNT or not account.login:
            return False
        if account.second_factor:
            return True
        if not any(one.issuer in self._trusted for one in account.identities):
            return True
        claim = await self._registry.claim_of(app, account.login)
        return claim is not None and claim.password is not None

    async def _reset_link(self, app: str, account: Account, maker: str, lives: float) -> str:
        # Anybody may ask for a letter: it voids no link that an administrator handed over.
        await self._links.withdraw_resets(app, account.id, maker=MAIL if maker == MAIL else "")
        link = Link(
            id=self._parts.ids.new(),
            purpose=Purpose.RESET,
            made=self._parts.clock.unix(),
            maker=maker,
            account=account.id,
        )
        secret = await self._links.make(app, link, lives)
        return f"{self._parts.settings.public_url}/reset#{secret}"

    async def reset(self, app: str, secret: str, password: str, joining: Joining) -> str:
        """A new password; every session ends; the second factor stays; nobody is signed in."""
        row = await self._links.look(app, Purpose.RESET, secret)
        account = await self._registry.require(app, row.value.account)
        await require_maker(self._registry, app, row.value, account)
        if not await self._has_password_to_set(app, account):
            raise invalid()
        text = await joining.acceptable(app, password, (account.login, account.name, account.mail))
        await self._links.claim(app, Purpose.RESET, row.key)
        await self._registry.set_password(app, account, await self._parts.hashes.hash(text))
        await self._links.withdraw_resets(app, account.id)
        subject = self._parts.tables.login_key(app, names.canonical(account.login))
        await self._throttle.right(app, subject)
        await self._sessions.end(app, account.id)
        self._tell(app, account, "password_changed")
        return account.id

    # Mail addresses

    async def wish_mail(self, app: str, account_id: str, address: str) -> None:
        """A letter with a link; the address counts when the link is followed."""
        if not self._parts.mail_works:
            raise ClientError(Code.CONFLICT, 409, "This server sends no mail.")
        wanted = names.mail(address)
        await self._throttle.once(app, "mail", account_id, LETTERS_PER_HOUR)
        link = Link(
            id=self._parts.ids.new(),
            purpose=Purpose.MAIL,
            made=self._parts.clock.unix(),
            maker=account_id,
            account=account_id,
            mail=wanted,
        )
        secret = await self._links.make(app, link, self._parts.settings.reset)
        address_url = f"{self._parts.settings.public_url}/confirm-mail#{secret}"
        self._parts.mail(app, wanted, "mail_confirmation", address_url)

    async def confirm_mail(self, app: str, account_id: str, secret: str) -> None:
        row = await self._links.look(app, Purpose.MAIL, secret)
        if row.value.account != account_id:
            raise not_found()
        link = await self._links.claim(app, Purpose.MAIL, row.key)
        before = await self._registry.require(app, account_id)
        await self._registry.rectify(app, account_id, mail=link.mail)
        self._tell(app, before, "mail_changed")

    async def drop_mail(self, app: str, account_id: str) -> None:
        before = await self._registry.require(app, account_id)
        await self._registry.rectify(app, account_id, mail="")
        self._tell(app, before, "mail_changed")

    def _tell(self, app: str, account: Account, what: str) -> None:
        if account.mail:
            self._parts.mail(app, account.mail, what, "")


def _require_version(account: Account, expect: int | None) -> None:
    if expect is not None and account.changed != expect:
        raise ClientError(Code.PRECONDITION_FAILED, 412, "Somebody changed it in the meantime.")
