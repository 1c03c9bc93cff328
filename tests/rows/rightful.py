"""People of one house with a room: posting, files, and waiting for an erasure to end."""

from __future__ import annotations

import asyncio
import base64
import io
import secrets
from dataclasses import dataclass
from typing import Any

from signaling.chat.bodies import PADDED, TAG_BYTES
from tests.rows.house import Answer, Visit

TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


@dataclass
class Person:
    """Somebody who is signed in."""

    there: Visit
    token: str
    login: str
    id: str

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.there.ask(method, path, body, self.token, **more)

    async def must(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = await self.ask(method, path, body, **more)
        assert answer.status < 300, (method, path, answer.text)
        return answer.body

    async def room(self, *others: Person, **more: Any) -> str:
        body = {"name": "Tea", "members": [one.id for one in others], **more}
        return str((await self.must("POST", "/rooms", body))["id"])

    async def post(self, room: str, text: str, **more: Any) -> Any:
        return await self.must("POST", f"/rooms/{room}/messages", {"text": text, **more})

    async def texts(self, room: str) -> list[str]:
        """The oldest first."""
        found = await self.must("GET", f"/rooms/{room}/messages", params={"limit": "100"})
        return [m["body"]["text"] for m in reversed(found["items"]) if m.get("body")]

    async def log(self, room: str) -> list[Any]:
        found = await self.must("GET", f"/rooms/{room}/log", params={"limit": "500"})
        return list(found["entries"])

    async def found(self, word: str = "", **more: str) -> list[str]:
        """Texts that a search finds."""
        params = {**({"q": word} if word else {}), **more}
        answer = await self.ask("GET", "/search", params=params)
        assert answer.status == 200, answer.text
        return [one["message"]["body"]["text"] for one in answer.lines if "message" in one]

    async def sealed(self, size: int = PADDED[0] + TAG_BYTES) -> dict[str, Any]:
        """A body as an encrypting client of this device sends it; its ciphertext is made up."""

        def text(count: int) -> str:
            return base64.b64encode(secrets.token_bytes(count)).decode()

        device = (await self.must("GET", "/session"))["device"]
        return {
            "format": "m.e2ee.v1", "account": self.id, "device": device, "group_id": text(16),
            "epoch": 1, "leaf": 0, "sent_at": 1, "salt": text(16), "ct": text(size),
            "sig": text(64),
        }  # fmt: skip

    async def uploaded(self, room: str, data: bytes, name: str, **more: Any) -> Any:
        """What the server says of a file that it takes."""
        info = await self.looked_through(room, data, name, **more)
        assert info["state"] == "ready", info
        return info

    async def looked_through(self, room: str, data: bytes, name: str, **more: Any) -> Any:
        """What the server says of the file once its checks ended."""
        wish = {"room": room, "size": len(data), "name": name, **more}
        made = await self.must("POST", "/files", wish)
        patched = await self.there.send(
            "PATCH", f"/api/v1/uploads/{made['id']}", data=io.BytesIO(data),
            headers={**TUS, "Upload-Offset": "0", "Authorization": f"Bearer {self.token}"},
        )  # fmt: skip
        assert patched.status == 204, patched.text
        return await self.must("POST", f"/files/{made['id']}/complete")

    async def sent(
        self, room: str, data: bytes, text: str, name: str = "canary.bin"
    ) -> tuple[Any, Any]:
        """A message with a file: the message, and what is said of the file."""
        info = await self.uploaded(room, data, name)
        file = {"id": info["id"], "key": info["key"], "size": info["size"], "name": name}
        body = {"format": "m.plain.v1", "text": text, "files": [file]}
        message = await self.must("POST", f"/rooms/{room}/messages", {"body": body})
        return message, info

    async def fetched(self, info: Any, variant: str = "file") -> bytes:
        """A form of a file, over a link of one's own."""
        wish = {"key": info["key"], "variant": variant}
        link = await self.must("POST", f"/files/{info['id']}/links", wish)
        async with self.there.client.get(link["url"]) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read()

    async def erased(self, answer: Answer, state: str = "done", seconds: float = 120) -> Any:
        """The erasure that was asked for, as soon as it is in this state."""
        assert answer.status in (200, 202), answer.text
        return await ended(self.there, answer.body["id"], state, seconds)


async def ended(there: Visit, ident: str, state: str = "done", seconds: float = 120) -> Any:
    """Asked without any credential: the id is enough."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await there.ask("GET", f"/erasures/{ident}")
            assert answer.status == 200, answer.text
            if answer.body["state"] == state:
                return answer.body
            await asyncio.sleep(0.05)


async def person(there: Visit, *roles: str, login: str = "") -> Person:
    token, login = await there.joined(*roles, login=login or f"some.{secrets.token_hex(6)}")
    account = await there.ask("GET", "/account", token=token)
    return Person(there, token, login, str(account.body["id"]))


async def people(there: Visit, count: int) -> list[Person]:
    return [await person(there) for _ in range(count)]


async def owner(there: Visit) -> Person:
    token = await there.owner()
    account = await there.ask("GET", "/account", token=token)
    return Person(there, token, there.house.login, str(account.body["id"]))


async def until(condition: Any, seconds: float = 90) -> None:
    """`condition` is asked again until it says yes."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.1)
