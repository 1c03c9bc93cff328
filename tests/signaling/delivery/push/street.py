"""People with devices that may be woken, on one `sotto serve`, and what its store holds of them.

One server for all tests; everybody in them is new. Nothing private may be called but what
`egress.allow` names, so the services here are there by the operator's word.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any

import pytest

from tests.rows.house import Answer, House, Visit
from tests.signaling.delivery.push.services import ApnsService, Browser, FcmService, WebPushService

SECRET = "the canary sings at noon"
# Of every file with tests on the street.
SCENE = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <(socket|asyncio|_SSL|function _)"
        ":pytest.PytestUnraisableExceptionWarning"
    ),
]
QUICK = {"push.grace_seconds": "4", "push.subject": "mailto:ops@example.org"}


@dataclass
class Street:
    house: House
    there: Visit
    web: WebPushService
    apns: ApnsService
    fcm: FcmService
    owner: str

    async def person(self) -> Person:
        token, login = await self.there.joined(owner=self.owner)
        account = await self.there.ask("GET", "/account", token=token)
        return Person(self, token, login, str(account.body["id"]))

    async def pair(self) -> tuple[Person, Person]:
        return await self.person(), await self.person()


@dataclass
class Person:
    street: Street
    token: str
    login: str
    id: str

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        return await self.street.there.ask(method, path, body, self.token)

    async def must(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.ask(method, path, body)
        assert answer.status < 300, f"{method} {path}: {answer.status} {answer.text}"
        return answer.body

    async def again(self) -> Person:
        """Signed in on one more device."""
        return Person(self.street, await self.street.there.sign_in(self.login), self.login, self.id)

    async def browser(self, kind: str = "web_push", **more: Any) -> Browser:
        """A device of this session that may be woken."""
        made = self.street.web.browser(secrets.token_hex(8))
        await self.must("POST", "/push/subscriptions", made.wish(kind, **more))
        return made

    async def room(self, *others: Person, **more: Any) -> str:
        body = {"name": "Tea", "members": [one.id for one in others], **more}
        return str((await self.must("POST", "/rooms", body))["id"])

    async def post(self, room: str, text: str = SECRET, **more: Any) -> Any:
        return await self.must("POST", f"/rooms/{room}/messages", {"text": text, **more})

    async def settings(self, **more: Any) -> None:
        await self.must("PUT", "/push/settings", {"invites": False, **more})

    async def subscriptions(self) -> list[dict[str, Any]]:
        return list((await self.must("GET", "/push/subscriptions"))["items"])


def kept(house: House, kind: str) -> int:
    with contextlib.closing(sqlite3.connect(house.state / "store" / "sotto.db")) as store:
        (count,) = store.execute("SELECT count(*) FROM meta WHERE kind = ?", (kind,)).fetchone()
        return int(count)


def stored(house: House) -> bytes:
    files = [path for path in house.state.rglob("*") if path.is_file()]
    return b"\n".join(path.read_bytes() for path in files)
