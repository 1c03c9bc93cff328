"""The process dies before or after every single write of an act: what the next start finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from signaling.accounts.model import Account
from signaling.accounts.principal import Role
from signaling.accounts.signin import State
from signaling.errors import ClientError, Code
from signaling.keys.port import KeyDestroyed
from signaling.storage.port import Document, Meta
from tests.signaling.accounts.rig import APP, OTHER, PASSWORD, Rig, secret_of, where

MOST_WRITES = 60


class Died(BaseException):
    """No cleanup runs in a process that was killed."""


class Mortal:
    """A `Meta` that dies at the n-th write, before or after it took place."""

    def __init__(self, inner: Meta) -> None:
        self.inner = inner
        self.left: int | None = None
        self.after = False

    def die_at(self, write: int | None, *, after: bool = False) -> None:
        self.left, self.after = write, after

    def _count(self, done: bool) -> None:
        if self.left is None or done != self.after:
            return
        if self.left == 0:
            raise Died
        self.left -= 1

    async def get(self, app: str, kind: str, key: str) -> Document | None:
        return await self.inner.get(app, kind, key)

    async def put(
        self,
        app: str,
        kind: str,
        key: str,
        value: bytes,
        *,
        expect: int,
        terms: Sequence[str] = (),
        expires: float | None = None,
    ) -> int:
        self._count(done=False)
        made = await self.inner.put(
            app, kind, key, value, expect=expect, terms=terms, expires=expires
        )
        self._count(done=True)
        return made

    async def delete(self, app: str, kind: str, key: str, *, expect: int | None = None) -> bool:
        self._count(done=False)
        gone = await self.inner.delete(app, kind, key, expect=expect)
        self._count(done=True)
        return gone

    async def remove(self, app: str, kind: str, keys: Sequence[str]) -> int:
        self._count(done=False)
        gone = await self.inner.remove(app, kind, keys)
        self._count(done=True)
        return gone

    async def scan(
        self, app: str, kind: str, *, term: str | None = None, after: str = "", limit: int = 100
    ) -> list[Document]:
        return await self.inner.scan(app, kind, term=term, after=after, limit=limit)


Act = Callable[[Rig], Awaitable[object]]


async def every_death(
    folder: Path, prepare: Act, act: Callable[[Rig, object], Awaitable[object]], check: Act
) -> int:
    """How many writes the act has. `check` runs on what each death left, a minute later."""
    for write in range(MOST_WRITES):
        survived = 0
        for after in (False, True):
            place = folder / f"{write}{after}"
            place.mkdir()
            rig = await Rig(place).start()
            mortal = Mortal(rig.store.meta)
            vars(rig.store)["meta"] = mortal
            rig.use_store()
            try:
                prepared = await prepare(rig)
                mortal.die_at(write, after=after)
                try:
                    await act(rig, prepared)
                    survived += 1
                except Died:
                    pass
                mortal.die_at(None)
                rig.clock.advance(120)
                rig.build()
                await check(rig)
            finally:
                await rig.close()
        if survived == 2:
            return write
    raise AssertionError("the act has too many writes")


async def signs_in(rig: Rig, login: str, password: str = PASSWORD) -> bool:
    try:
        return (await rig.sign_in(login, password)).state is State.DONE
    except ClientError as error:
        assert error.code is Code.SIGN_IN_FAILED
        return False


async def test_the_first_administrator_or_another_link(tmp_path: Path) -> None:
    async def prepare(rig: Rig) -> str:
        return secret_of(await rig.service.joining.setup_link(APP) or "")

    async def act(rig: Rig, link: object) -> None:
        await rig.service.joining.sign_up(APP, str(link), "root", PASSWORD, "", where())

    async def check(rig: Rig) -> None:
        again = await rig.service.joining.setup_link(APP)
        if again is None:
            assert await signs_in(rig, "root")
            account = await rig.registry.by_login(APP, "root")
            assert account is not None
            assert Role.OWNER in account.roles
            return
        assert not await signs_in(rig, "root")
        joined = await rig.service.joining.sign_up(
            APP, secret_of(again), "root", OTHER, "", where()
        )
        assert joined.state is State.DONE
        assert await rig.service.joining.setup_link(APP) is None

    assert await every_death(tmp_path, prepare, act, check) >= 4


async def test_an_invitation_makes_one_account_or_none(tmp_path: Path) -> None:
    async def prepare(rig: Rig) -> str:
        return await rig.invitation(uses=1)

    async def act(rig: Rig, link: object) -> None:
        await rig.service.joining.sign_up(APP, str(link), "ana", PASSWORD, "", where())

    async def check(rig: Rig) -> None:
        accounts = await rig.people()
        assert len(accounts) <= 1
        assert await signs_in(rig, "ana") == bool(accounts)
        if not accounts:
            assert (await rig.invited("ana", OTHER)).login == "ana"

    assert await every_death(tmp_path, prepare, act, check) >= 3


async def test_a_deleted_account_is_gone_or_can_be_deleted_again(tmp_path: Path) -> None:
    async def prepare(rig: Rig) -> Account:
        await rig.owner()
        return await rig.invited("ana")

    async def act(rig: Rig, account: object) -> None:
        assert isinstance(account, Account)
        await rig.service.administration.leave(APP, account.id)

    async def check(rig: Rig) -> None:
        await rig.service.joining.setup_link(APP)
        left = [one for one in await rig.people() if one.login == "ana"]
        for one in left:
            if one.disabled:
                assert not await signs_in(rig, "ana")
            await rig.service.administration.leave(APP, one.id)
        assert [one.login for one in await rig.people()] == ["root.ana"]
        assert await rig.tables.erasures.scan(APP) == []
        await rig.invited("ana", OTHER)
        assert await signs_in(rig, "ana", OTHER)

    assert await every_death(tmp_path, prepare, act, check) >= 5


async def test_an_owner_who_steps_down_leaves_one(tmp_path: Path) -> None:
    async def prepare(rig: Rig) -> Account:
        await rig.owner()
        return await rig.invited("ana", PASSWORD, Role.OWNER)

    async def act(rig: Rig, account: object) -> None:
        assert isinstance(account, Account)
        await rig.service.administration.set_roles(
            APP, frozenset({Role.OWNER}), account.id, frozenset({Role.MEMBER})
        )

    async def check(rig: Rig) -> None:
        assert await rig.service.joining.setup_link(APP) is None
        owner = await rig.registry.by_login(APP, "root.ana")
        assert owner is not None
        ana = await rig.registry.by_login(APP, "ana")
        assert ana is not None
        await rig.service.administration.set_roles(
            APP, frozenset({Role.OWNER}), ana.id, frozenset({Role.MEMBER})
        )
        leaving = rig.service.administration.leave(APP, owner.id)
        with pytest.raises(ClientError) as caught:
            await leaving
        assert caught.value.code is Code.LAST_OWNER

    assert await every_death(tmp_path, prepare, act, check) >= 2


async def test_a_new_password_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    async def prepare(rig: Rig) -> Account:
        return await rig.invited("ana")

    async def act(rig: Rig, account: object) -> None:
        assert isinstance(account, Account)
        await rig.service.administration.change_password(APP, account.id, None, PASSWORD, OTHER)

    async def check(rig: Rig) -> None:
        assert await signs_in(rig, "ana") != await signs_in(rig, "ana", OTHER)

    assert await every_death(tmp_path, prepare, act, check) >= 2


async def test_the_key_of_a_deleted_account_is_destroyed(tmp_path: Path) -> None:
    rig = await Rig(tmp_path).start()
    try:
        await rig.owner()
        account = await rig.invited("ana")
        kept = await rig.store.meta.get(APP, "account", account.id)
        assert kept is not None
        await rig.service.administration.leave(APP, account.id)
        await rig.store.meta.put(APP, "account", account.id, kept.value, expect=0)
        with pytest.raises(KeyDestroyed):
            await rig.tables.accounts.get(APP, account.id)
    finally:
        await rig.close()
