"""The optional breach list: what it learns, what its answers mean, and that it keeps nobody out."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha1
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from signaling.accounts import opening
from signaling.accounts.passwords.breaches import Breaches, count
from signaling.accounts.service import Service
from signaling.egress import Allow, Egress
from signaling.errors import ClientError, Code, ConfigError
from tests.signaling.accounts.rig import APP, OTHER, PASSWORD, Rig, where
from tests.signaling.accounts.test_opening import config

SEEN = sha1(PASSWORD.encode()).hexdigest().upper()


@contextlib.asynccontextmanager
async def listed(body: str, status: int = 200) -> AsyncIterator[tuple[Breaches, list[str]]]:
    """A service that gives this answer, and what it was asked."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        assert request.headers["Add-Padding"] == "true"
        return web.Response(text=body, status=status)

    app = web.Application()
    app.router.add_get("/range/{prefix}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    egress = Egress([Allow(ipaddress.ip_network("127.0.0.1/32"), port)])
    try:
        yield Breaches(f"http://127.0.0.1:{port}/range/", egress), asked
    finally:
        await egress.close()
        await runner.cleanup()


async def test_it_learns_five_digits_and_says_whether(tmp_path: Path) -> None:
    padding = f"{'0' * 35}:0\r\n{sha1(OTHER.encode()).hexdigest().upper()[5:]}:0\r\n"
    async with listed(f"{padding}{SEEN[5:]}:42\r\n") as (breaches, asked):
        assert await breaches.has(PASSWORD)
        assert not await breaches.has(OTHER)
    assert asked[0] == f"/range/{SEEN[:5]}"
    assert all(len(path) == len("/range/") + 5 for path in asked)


@pytest.mark.parametrize(("body", "status"), [("", 503), ("x" * 400_000, 200), ("<html>", 200)])
async def test_a_broken_service_keeps_nobody_out(body: str, status: int) -> None:
    async with listed(body, status) as (breaches, _):
        assert not await breaches.has(PASSWORD)


async def test_a_service_that_is_away_keeps_nobody_out() -> None:
    async with listed("") as (breaches, _):
        pass
    assert not await breaches.has(PASSWORD)


async def test_a_breached_password_is_refused_at_sign_up(rig: Rig) -> None:
    async with listed(f"{SEEN[5:]}:3\r\n") as (breaches, _):
        parts = replace(rig.parts, breaches=breaches)
        service = Service(parts, rig.registry, rig.sessions, rig.sessions)
        link = await rig.invitation()
        with pytest.raises(ClientError) as caught:
            await service.joining.sign_up(APP, link, "ana", PASSWORD, "", where())
        assert caught.value.code is Code.PASSWORD_COMMON
        await service.joining.sign_up(APP, link, "ana", OTHER, "", where())


async def test_it_is_off_unless_it_is_named(tmp_path: Path) -> None:
    made = opening.egress(config(tmp_path, ""))
    try:
        assert opening.breaches(config(tmp_path, ""), made) is None
        for url in ("http://example.org/range/", "https://example.org/range", "x"):
            with pytest.raises(ConfigError, match="breach_list_url"):
                opening.breaches(config(tmp_path, f'[accounts]\nbreach_list_url = "{url}"'), made)
        text = '[accounts]\nbreach_list_url = "https://example.org/range/"'
        assert opening.breaches(config(tmp_path, text), made) is not None
    finally:
        await made.close()


@given(st.text(max_size=300))
def test_any_answer_is_counted_or_ignored(text: str) -> None:
    assert count(text, "A" * 35) >= 0
