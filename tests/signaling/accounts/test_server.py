"""Rows C11, B28, B32 and first start through a server started apart, over its TLS listener."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pyotp

from tests.command import sotto
from tests.signaling.accounts.authenticator import Authenticator
from tests.signaling.accounts.rig import OTHER, PASSWORD, secret_of

ROOT = Path(__file__).resolve().parents[3]
PORTS = ("https", "http", "operator", "udp", "tcp")
# One address asks for everything here, and hashes are as cheap as the server lets them be.
QUICK = ("api.rate_factor=1000", "accounts.hash_memory_kib=19456", "accounts.hash_passes=1")


class Server:
    """One `sotto dev`; `output` is everything that it wrote."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.ready = folder / "ready.json"
        self.output = folder / "output"
        self.url = ""
        self.client: aiohttp.ClientSession

    @contextlib.asynccontextmanager
    async def running(self, *settings: str) -> AsyncIterator[Server]:
        self.ready.unlink(missing_ok=True)
        more = (*QUICK, *settings)
        words = sotto(
            "dev", "--no-turn", f"--state-dir={self.state}", f"--ready-file={self.ready}",
            *(f"--{name}-port=0" for name in PORTS), *(f"--set={one}" for one in more),
        )  # fmt: skip
        process = self._start(words)
        try:
            end = time.monotonic() + 120
            while not self.ready.exists():
                assert process.poll() is None, self.output.read_text()
                assert time.monotonic() < end
                await asyncio.sleep(0.05)
            self.url = json.loads(self.ready.read_text())["url"].rstrip("/")
            connector = aiohttp.TCPConnector(ssl=False)
            jar = aiohttp.DummyCookieJar()
            async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as self.client:
                yield self
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, words: list[str]) -> subprocess.Popen[bytes]:
        with self.output.open("ab") as log:
            return subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log)

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = ""
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.url}/api/v1{path}"
        async with self.client.request(method, url, json=body, headers=headers) as answer:
            data = await answer.read()
            return answer.status, json.loads(data) if data else None

    def setup_secrets(self) -> list[str]:
        return re.findall(r"/setup#([A-Za-z0-9_-]{32})", self.output.read_text())

    async def owner(self) -> str:
        async with asyncio.timeout(60):
            while not self.setup_secrets():
                await asyncio.sleep(0.05)
        body = {"login": "root.ana", "password": PASSWORD, "link": self.setup_secrets()[-1]}
        status, answer = await self.ask("POST", "/sign-up", body)
        assert status == 200, answer
        return str(answer["access_token"])


def in_seconds(totp: pyotp.TOTP, seconds: int) -> str:
    return totp.at(int(time.time()) + seconds)


async def test_c11_totp_through_a_server(tmp_path: Path) -> None:
    server = Server(tmp_path)
    async with server.running() as api:
        token = await api.owner()
        _, offer = await api.ask("POST", "/account/totp", token=token)
        assert offer["uri"].startswith("otpauth://totp/Sotto:root.ana?secret=")
        assert offer["qr"].lstrip().startswith("<svg")
        totp = pyotp.TOTP(offer["secret"])
        confirm = "/account/totp/confirmation"
        assert (await api.ask("POST", confirm, {"code": "12345"}, token))[0] == 422
        body = {"code": in_seconds(totp, 0)}
        status, done = await api.ask("POST", confirm, body, token)
        assert (status, len(done["recovery_codes"])) == (200, 10)
        login = {"login": "root.ana", "password": PASSWORD}
        _, first = await api.ask("POST", "/sign-in/password", login)
        assert first["state"] == "mfa_pending"
        assert (await api.ask("GET", "/account", token=first["ticket"]))[0] == 401
        step = {"ticket": first["ticket"], "code": body["code"]}
        replayed = await api.ask("POST", "/sign-in/code", step)
        wrong = await api.ask("POST", "/sign-in/code", {**step, "code": "000000"})
        expired = await api.ask("POST", "/sign-in/code", {**step, "code": in_seconds(totp, -300)})
        codes = [one["code"] for _, one in (replayed, wrong, expired)]
        assert codes == ["sign_in_failed"] * 3
        assert {status for status, _ in (replayed, wrong, expired)} == {401}
        assert (await api.ask("POST", "/sign-in/code", {**step, "code": "x"}))[0] == 422
        status, done2 = await api.ask(
            "POST", "/sign-in/code", {**step, "code": in_seconds(totp, 30)}
        )
        assert (status, done2["state"]) == (200, "done")
        _, first = await api.ask("POST", "/sign-in/password", login)
        step = {"ticket": first["ticket"], "code": done["recovery_codes"][0]}
        assert (await api.ask("POST", "/sign-in/code", step))[1]["state"] == "done"
        _, first = await api.ask("POST", "/sign-in/password", login)
        step["ticket"] = first["ticket"]
        statuses = [(await api.ask("POST", "/sign-in/code", step))[0] for _ in range(6)]
        assert set(statuses) <= {401, 429}
        assert statuses[-1] == 429
    for secret in (offer["secret"], PASSWORD, token, *done["recovery_codes"]):
        assert secret not in server.output.read_text()


async def test_b28_b32_an_account_needs_neither_mail_nor_phone_nor_name(tmp_path: Path) -> None:
    async with Server(tmp_path).running() as api:
        owner = await api.owner()
        _, made = await api.ask("POST", "/invitations", {"uses": 3}, owner)
        body = {"login": "bob", "password": OTHER, "link": secret_of(made["url"])}
        for extra in ("email", "phone", "contacts", "role", "is_admin", "birthday"):
            status, refusal = await api.ask("POST", "/sign-up", {**body, extra: "x"})
            assert (status, refusal["code"]) == (422, "fields_invalid")
        status, done = await api.ask("POST", "/sign-up", body)
        assert status == 200
        _, me = await api.ask("GET", "/account", token=done["access_token"])
        assert (me["name"], me["mail"]) == ("", "")
        assert not {"phone", "email", "contacts"} & set(me)
        device = Authenticator(origin=api.url)
        start = {"login": "eve", "link": body["link"]}
        _, begun = await api.ask("POST", "/sign-up/passkey/options", start)
        step = {"ticket": begun["ticket"], "credential": device.create(begun["options"])}
        status, done = await api.ask("POST", "/sign-up/passkey", step)
        assert (status, done["state"]) == (200, "done")
        _, begun = await api.ask("POST", "/sign-in/passkey/options", {})
        step = {"ticket": begun["ticket"], "credential": device.get(begun["options"])}
        status, done = await api.ask("POST", "/sign-in/passkey", step)
        assert (status, done["state"]) == (200, "done")


async def test_v2_3_a_hundred_joins_on_one_use_through_a_server(tmp_path: Path) -> None:
    async with Server(tmp_path).running("accounts.tries_per_address=1000") as api:
        owner = await api.owner()
        _, made = await api.ask("POST", "/invitations", {}, owner)
        link = secret_of(made["url"])
        answers = await asyncio.gather(*(
            api.ask("POST", "/sign-up", {"login": f"user{n}", "password": PASSWORD, "link": link})
            for n in range(100)
        ))  # fmt: skip
        statuses = [status for status, _ in answers]
        assert statuses.count(200) == 1
        assert set(statuses) == {200, 404}
        _, page = await api.ask("GET", "/accounts", token=owner)
        assert len(page["items"]) == 2


async def test_an_account_outlives_the_server_and_its_link_does_not(tmp_path: Path) -> None:
    server = Server(tmp_path)
    async with server.running() as api:
        async with asyncio.timeout(60):
            while not api.setup_secrets():
                await asyncio.sleep(0.05)
    async with server.running() as api:
        void, good = api.setup_secrets()[0], await api.owner()
        body = {"login": "eve", "password": OTHER, "link": void}
        assert (await api.ask("POST", "/sign-up", body))[0] == 404
    async with server.running() as api:
        assert len(api.setup_secrets()) == 2
        assert (await api.ask("GET", "/account", token=good))[0] == 200
        login = {"login": "root.ana", "password": PASSWORD}
        assert (await api.ask("POST", "/sign-in/password", login))[0] == 200
    for path in server.state.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for canary in (b"root.ana", b"argon2id", PASSWORD.encode(), good.encode()):
                assert canary not in data, path


def command(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    line = sotto("accounts", *words, f"--state-dir={server.state}")
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


async def test_the_operator_gets_somebody_back_in(tmp_path: Path) -> None:
    server = Server(tmp_path)
    async with server.running() as api:
        token = await api.owner()
        _, offer = await api.ask("POST", "/account/totp", token=token)
        code = {"code": in_seconds(pyotp.TOTP(offer["secret"]), 0)}
        await api.ask("POST", "/account/totp/confirmation", code, token)
        busy = await asyncio.to_thread(command, server, "list")
        assert busy.returncode != 0
    listed = command(server, "list")
    assert listed.stdout == "root.ana\towner\tsecond factor\n"
    assert command(server, "password-link", "nobody").returncode == 1
    link = secret_of(command(server, "password-link", "root.ana").stdout.strip())
    async with server.running() as api:
        body = {"link": link, "password": OTHER}
        assert (await api.ask("POST", "/password-resets/completion", body))[0] == 204
        login = {"login": "root.ana", "password": OTHER}
        _, first = await api.ask("POST", "/sign-in/password", login)
        assert first["state"] == "mfa_pending"
    assert command(server, "remove-factors", "root.ana").returncode == 0
    async with server.running() as api:
        assert (await api.ask("GET", "/account", token=token))[0] == 401
        _, first = await api.ask("POST", "/sign-in/password", login)
        assert first["state"] == "done"
