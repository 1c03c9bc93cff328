"""Row B31: each device for itself, wiped from another, and none else disturbed."""

from __future__ import annotations

import re
from typing import Any

from tests.rows.house import PASSWORD, Visit, closed
from tests.rows.rightful import person


async def browser(there: Visit, login: str, name: str) -> str:
    """A sign-in of our own page: its cookie."""
    body = {"login": login, "password": PASSWORD, "cookie": True, "device_name": name}
    headers = {"Origin": there.house.url, "Sec-Fetch-Site": "same-origin"}
    answer = await there.ask("POST", "/sign-in/password", body, headers=headers)
    assert answer.status == 200, answer.text
    lines: list[str] = answer.headers.getall("Set-Cookie")  # type: ignore[attr-defined]  # aiohttp
    (cookie,) = [line for line in lines if line.startswith("__Host-sotto=")]
    return cookie.partition(";")[0]


async def seen(there: Visit, cookie: str, method: str = "GET", path: str = "/session") -> Any:
    headers = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
    return await there.ask(method, path, headers=headers)


def wiped(headers: Any) -> bool:
    """The browser drops what it kept of us, IndexedDB included, and the cookie."""
    kept = headers.get("Clear-Site-Data", "")
    cookies = headers.getall("Set-Cookie", [])
    return '"storage"' in kept and any(
        re.match(r"__Host-sotto=;.*Max-Age=0", line) for line in cookies
    )


async def test_b31_one_device_is_signed_out_from_another_and_wiped(there: Visit) -> None:
    ann = await person(there)
    lost = await browser(there, ann.login, "lost phone")
    kept = await browser(there, ann.login, "laptop")
    about = (await seen(there, lost)).body
    ws = there.client.ws_connect(
        there.house.url + "/sync", headers={"Cookie": lost, "Origin": there.house.url},
        protocols=("sotto.1",),
    )  # fmt: skip
    async with ws as socket:
        assert (await socket.receive_json(timeout=30))["type"] == "hello"
        listed = (await ann.must("GET", "/account/devices"))["items"]
        named = {one["name"]: one["id"] for one in listed}
        assert named["lost phone"] == about["device"]
        await ann.must("DELETE", f"/account/devices/{named['lost phone']}")
        assert await closed(socket) == 4401
    answer = await seen(there, lost)
    assert (answer.status, answer.code) == (401, "token_invalid")
    assert wiped(answer.headers)
    for other in (await seen(there, kept), await ann.ask("GET", "/session")):
        assert other.status == 200 and not wiped(other.headers)
    left = {one["name"] for one in (await ann.must("GET", "/account/devices"))["items"]}
    assert "lost phone" not in left and "laptop" in left


async def test_b31_signing_out_clears_what_the_browser_kept(there: Visit) -> None:
    ann = await person(there)
    cookie = await browser(there, ann.login, "kiosk")
    done = await seen(there, cookie, "DELETE")
    assert done.status == 204 and wiped(done.headers)
    assert (await ann.ask("GET", "/session")).status == 200


async def test_b31_a_bad_cookie_wipes_nobody(there: Visit) -> None:
    """Only what this server made and ended: who sends rubbish cannot make a browser forget."""
    ann = await person(there)
    cookie = await browser(there, ann.login, "laptop")
    for wrong in ("__Host-sotto=rubbish", cookie[:-3] + "AAA", cookie + "x"):
        answer = await seen(there, wrong)
        assert answer.status == 401 and not wiped(answer.headers)
    assert (await seen(there, cookie)).status == 200


async def test_b31_devices_of_others_are_not_there(there: Visit) -> None:
    ann, bob = await person(there), await person(there)
    await browser(there, ann.login, "phone")
    for one in (await ann.must("GET", "/account/devices"))["items"]:
        refused = await bob.ask("DELETE", f"/account/devices/{one['id']}")
        assert (refused.status, refused.code) == (404, "not_found")
    assert len((await ann.must("GET", "/account/devices"))["items"]) == 2
