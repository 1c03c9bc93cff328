"""A real Chromium signs in with password and one-time code, and with a passkey of a virtual
authenticator, over cookies that no script sees."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyotp
import pytest

from tests.interop.clients import node_peers
from tests.signaling.accounts.rig import PASSWORD
from tests.signaling.accounts.test_server import Server, in_seconds

pytestmark = pytest.mark.browser


class Browser:
    """One page of the server, driven line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._count = 0

    async def do(self, command: str, **arguments: Any) -> Any:
        self._count += 1
        line = json.dumps({"id": self._count, "do": command, "args": arguments}) + "\n"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line.encode())
        await self._process.stdin.drain()
        async with asyncio.timeout(120):
            answer = json.loads(await self._process.stdout.readline())
        assert "error" not in answer, answer
        return answer["ok"]

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = await self.do("ask", method=method, path=path, body=body)
        return answer["status"], answer["body"]


@contextlib.asynccontextmanager
async def chromium(url: str) -> AsyncIterator[Browser]:
    home = await asyncio.to_thread(node_peers)
    process = await asyncio.create_subprocess_exec(
        "node", "accounts.mjs", url, cwd=home,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=2**20,
    )  # fmt: skip
    try:
        yield Browser(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def test_password_code_and_passkey_in_a_real_browser(tmp_path: Path) -> None:
    server = Server(tmp_path)
    async with server.running() as api, chromium(api.url + "/") as page:
        async with asyncio.timeout(120):
            while not api.setup_secrets():
                await asyncio.sleep(0.05)
        login = {"login": "root.ana", "password": PASSWORD, "cookie": True}
        status, done = await page.ask(
            "POST", "/sign-up", {**login, "link": api.setup_secrets()[-1]}
        )
        assert (status, done["state"]) == (200, "done")
        assert "access_token" not in done
        assert (await page.ask("GET", "/account"))[1]["login"] == "root.ana"
        assert await page.do("scripts") == {"cookie": "", "kept": []}
        _, offer = await page.ask("POST", "/account/totp")
        totp = pyotp.TOTP(offer["secret"])
        # Not on the last second of a step: the same code must not be asked for twice.
        while time.time() % 30 > 25:
            await asyncio.sleep(0.5)
        code = {"code": in_seconds(totp, 0)}
        assert (await page.ask("POST", "/account/totp/confirmation", code))[0] == 200
        assert (await page.ask("DELETE", "/session"))[0] == 204
        assert (await page.ask("GET", "/account"))[0] == 401
        _, first = await page.ask("POST", "/sign-in/password", login)
        assert first["state"] == "mfa_pending"
        step = {"ticket": first["ticket"], "code": in_seconds(totp, 30), "cookie": True}
        assert (await page.ask("POST", "/sign-in/code", step))[1]["state"] == "done"
        await page.do("authenticator", verifies=True)
        _, begun = await page.ask("POST", "/account/passkeys/options")
        credential = await page.do("create", options=begun["options"])
        new = {"ticket": begun["ticket"], "credential": credential, "name": "this machine"}
        assert (await page.ask("POST", "/account/passkeys", new))[0] == 200
        assert (await page.ask("DELETE", "/session"))[0] == 204
        _, begun = await page.ask("POST", "/sign-in/passkey/options", {})
        credential = await page.do("get", options=begun["options"])
        step = {"ticket": begun["ticket"], "credential": credential, "cookie": True}
        status, done = await page.ask("POST", "/sign-in/passkey", step)
        assert (status, done["state"]) == (200, "done")
        _, me = await page.ask("GET", "/account")
        assert [one["name"] for one in me["passkeys"]] == ["this machine"]
        _, session = await page.ask("GET", "/session")
        assert session["mfa"] is True
