"""A server that is killed while it owes somebody a notification."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.rows.house import House, standing, visiting
from tests.signaling.compliance.certificates import make
from tests.signaling.delivery.push import services
from tests.signaling.delivery.push.street import QUICK, SCENE, SECRET, kept, stored

pytestmark = SCENE


async def test_a_killed_server_has_its_key_its_devices_and_what_it_owed_them(
    tmp_path: Path,
) -> None:
    pki = make(tmp_path / "pki")
    async with services.web_push(pki) as web:
        folder = tmp_path / "home"
        folder.mkdir()
        with standing(House(folder, QUICK, toml=services.allow(pki, web.port))) as house:
            async with visiting(house) as there:
                token = await there.owner()
                key = (await there.ask("GET", "/push", token=token)).body
                assert key["kinds"] == ["web_push", "unified_push"], "nothing else is set up"
                web.public_key = key["public_key"]
                browser = web.browser("mine")
                made = await there.ask("POST", "/push/subscriptions", browser.wish(), token)
                assert made.status == 201
                apns = await there.ask(
                    "POST", "/push/subscriptions", {"kind": "apns", "token": "ab" * 32}, token
                )
                assert apns.body["errors"][0]["pointer"] == "/kind"
                other, _ = await there.joined(owner=token)
                me = (await there.ask("GET", "/account", token=token)).body["id"]
                body = {"kind": "direct", "members": [me], "settings": {"preview": True}}
                room = (await there.ask("POST", "/rooms", body, other)).body["id"]
                await there.ask("PUT", "/push/settings", {"previews": True}, token)
                browser.arrivals.answers.append((503, {"Retry-After": "12"}))
                await there.ask("POST", f"/rooms/{room}/messages", {"text": SECRET}, other)
                while not browser.arrivals.tries:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.5)
            assert kept(house, "delivery.item") == 1
            assert browser.endpoint.encode() not in stored(house)
            assert SECRET.encode() not in stored(house), "sealed while it waits"
            assert house.process is not None
            house.process.kill()
            house.process.wait()
            house.start()
            (told,) = await browser.arrivals.until(1)
            assert (told.said["room"], told.said["text"]) == (room, SECRET)
            async with visiting(house) as there:
                assert (await there.ask("GET", "/push", token=token)).body == key
                await there.ask("POST", f"/rooms/{room}/messages", {"text": "again"}, other)
                await browser.arrivals.until(2)
            for word in (browser.path, browser.endpoint, "127.0.0.1:" + str(web.port)):
                assert word not in house.written()
