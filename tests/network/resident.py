"""Two people on a server, by its public interfaces: what `test_nothing_leaves` runs beside it.

`python -m tests.network.resident URL LINK PICTURE` ends with 0 when all of it worked.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp

from sotto_client import Client, Local

PASSWORD = "four words that nobody guesses"
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


class Resident:
    """Somebody who is signed in."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http, self.url, self.token, self.id = http, url, "", ""

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= more.pop("headers", {})
        url = f"{self.url}/api/v1{path}"
        async with self.http.request(method, url, json=body, headers=headers, **more) as answer:
            data = await answer.read()
            assert answer.status < 300, (method, path, answer.status, data)
            return json.loads(data) if data and answer.content_type == "application/json" else data

    async def sign_up(self, login: str, link: str) -> Resident:
        body = {"login": login, "password": PASSWORD, "link": link}
        self.token = (await self.ask("POST", "/sign-up", body))["access_token"]
        self.id = (await self.ask("GET", "/account"))["id"]
        return self

    def device(self) -> Client:
        async def token() -> str:
            return self.token

        return Client(self.url, Local(":memory:"), token, http=self.http)


async def files(ann: Resident, room: str, data: bytes) -> None:
    """A picture that is looked through, made smaller, posted and fetched again."""
    made = await ann.ask("POST", "/files", {"room": room, "size": len(data), "name": "a.jpg"})
    headers = {**TUS, "Upload-Offset": "0"}
    await ann.ask("PATCH", f"/uploads/{made['id']}", headers=headers, data=data)
    info = await ann.ask("POST", f"/files/{made['id']}/complete")
    assert info["state"] == "ready", info
    file = {name: info[name] for name in ("id", "key", "size")}
    body = {"format": "m.plain.v1", "text": "a photo", "files": [file]}
    await ann.ask("POST", f"/rooms/{room}/messages", {"body": body})
    for shape in info["shapes"]:
        wish = {"key": info["key"], "variant": shape["variant"]}
        link = await ann.ask("POST", f"/files/{info['id']}/links", wish)
        async with ann.http.get(link["url"]) as answer:
            assert answer.status == 200 and len(await answer.read()) == shape["size"]


async def live(url: str, link: str, picture: bytes) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        root = await Resident(http, url).sign_up("root.ana", link)
        invited = await root.ask("POST", "/invitations", {"roles": ["member"]})
        bob = await Resident(http, url).sign_up("some.bob", invited["url"].rpartition("#")[2])
        made = await root.ask("POST", "/rooms", {"name": "Tea", "members": [bob.id]})
        room = str(made["id"])
        async with root.device() as one, bob.device() as other:
            await other.room(room).synced()
            one.room(room).post("hello https://example.org/ and @everybody@example.com")
            await one.room(room).synced()
            await other.wait(lambda: bool(other.room(room).messages()), 20)
        await files(root, room, picture)
        found = await bob.ask("GET", "/search", params={"q": "hello"})
        assert b"hello" in found
        for path in ("/accounts", "/keys", "/retention", "/push", "/webhooks", "/account/export"):
            await root.ask("GET", path)


if __name__ == "__main__":
    asyncio.run(live(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes()))
