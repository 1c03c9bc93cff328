"""The REST face that a device needs beside its socket: signing in, rooms, who one is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from sotto_client.ring import LogRing


class Refused(Exception):  # noqa: N818 - names what happened
    """The server said no; `code` is the problem's code (RFC 9457)."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status, self.code = status, code


class Api:
    """Borrowed from its client."""

    def __init__(
        self,
        url: str,
        token: Callable[[], Awaitable[str]],
        session: Callable[[], aiohttp.ClientSession],
    ) -> None:
        self._url, self._token, self._session = url + "/api/v1", token, session

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """JSON in, JSON out. Raises Refused."""
        fields = {"Authorization": f"Bearer {await self._token()}", **headers}
        async with self._session().request(
            method, self._url + path, json=body, headers=fields
        ) as answer:
            return await read(answer)

    async def me(self) -> Any:
        return await self.call("GET", "/account")

    async def create_room(self, name: str, kind: str = "private", **more: Any) -> Any:
        return await self.call("POST", "/rooms", {"name": name, "kind": kind, **more})

    async def send_log(self, log: LogRing, note: str = "") -> Any:
        """Only when the person has read it and agrees: there is no other call that sends it."""
        kept = log.lines()[-400:]
        lines = [{"at": at, "level": level, "text": text} for at, level, text in kept]
        body = {"consent": True, "lines": lines, "client": "sotto-client", "note": note}
        return await self.call("POST", "/diagnostics", body)

    async def rooms(self) -> Any:
        return await self.call("GET", "/rooms")


async def read(answer: aiohttp.ClientResponse) -> Any:
    data = await answer.json(content_type=None) if answer.content_length != 0 else None
    if answer.status >= 400:
        problem = data if isinstance(data, dict) else {}
        raise Refused(answer.status, problem.get("code", ""), problem.get("detail", ""))
    return data


async def sign_in(
    url: str, login: str, password: str, *, http: aiohttp.ClientSession, device: str = "Python"
) -> str:
    """An access token, by password. Raises Refused; a second factor is asked for there."""
    body = {"login": login, "password": password, "device_name": device}
    async with http.post(f"{url.rstrip('/')}/api/v1/sign-in/password", json=body) as answer:
        found = await read(answer)
    token: str = found["access_token"]
    return token
