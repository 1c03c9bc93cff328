"""Redirects of what has a body: how far they are followed, where to, and what goes along."""

from __future__ import annotations

import ipaddress
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver

from signaling.egress import Allow, Answer, Egress, EgressRefused
from tests.signaling.test_egress import Names, guard, site


async def test_a_redirect_to_a_name_that_changes_its_mind_is_refused_on_connecting() -> None:
    called = []

    async def away(request: web.Request) -> web.Response:
        called.append(request.path)
        return web.Response(status=307, headers={"Location": f"http://moved.example:{port}/in"})

    async with site(away) as port:
        names = Names(moved_example=["127.0.0.1", "127.0.0.2"])
        async with guard(port, names) as egress:
            url = f"http://127.0.0.1:{port}/"
            with pytest.raises(EgressRefused, match="private or special"):
                await egress.fetch("POST", url, body=b"x", redirects=3, seconds=30)
        assert len(names.asked) == 2
    assert called == ["/"]


@pytest.mark.parametrize("status", [307, 308])
async def test_a_post_moves_on_with_its_body_three_times_at_most(status: int) -> None:
    heard: list[tuple[str, str, bytes]] = []

    async def on(request: web.Request) -> web.Response:
        heard.append((request.method, request.path, await request.read()))
        left = int(request.path[1:])
        if not left:
            return web.Response(text="here")
        return web.Response(status=status, headers={"Location": f"/{left - 1}"})

    async with site(on) as port, guard(port) as egress:
        url = f"http://127.0.0.1:{port}"
        answer = await egress.fetch("POST", f"{url}/3", body=b"said", redirects=3)
        assert (answer.status, answer.body) == (200, b"here")
        assert heard == [("POST", f"/{left}", b"said") for left in (3, 2, 1, 0)]
        with pytest.raises(EgressRefused, match="too many"):
            await egress.fetch("POST", f"{url}/4", body=b"said", redirects=3)


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirect_that_drops_the_body_is_refused_and_says_so(status: int) -> None:
    heard: list[str] = []

    async def away(request: web.Request) -> web.Response:
        heard.append(request.path)
        return web.Response(status=status, headers={"Location": "/there"})

    async with site(away) as port, guard(port) as egress:
        with pytest.raises(EgressRefused, match=f"{status}.*307 and 308 only"):
            await egress.fetch("POST", f"http://127.0.0.1:{port}/", body=b"x", redirects=3)
    assert heard == ["/"]


@pytest.mark.parametrize("target", ["http://[::1", "http://a:b/", "http://127.0.0.1:99999/"])
async def test_a_redirect_to_what_is_no_url_is_refused(target: str) -> None:
    async def away(request: web.Request) -> web.Response:
        return web.Response(status=308, headers={"Location": target})

    async with site(away) as port, guard(port) as egress:
        with pytest.raises(EgressRefused, match="a redirect"):
            await egress.fetch("POST", f"http://127.0.0.1:{port}/", body=b"x", redirects=3)


class _Moving(Egress):
    """Answers without a network; `public` ones are looked up, and never called."""

    def __init__(self, allow: list[Allow], location: str, resolver: AbstractResolver) -> None:
        super().__init__(allow, resolver)
        self._location, self.called = location, list[str]()

    async def _once(self, way: Any, method: str, url: Any, *_: Any) -> Answer:
        self.called.append(str(url))
        return Answer(307, {"location": self._location}, b"", str(url))


@pytest.mark.parametrize(
    ("target", "reason"),
    [("http://1.1.1.1/", "from https to http"), ("https://10.1.2.3:5671/", "egress.allow"),
     ("https://10.1.2.3/", "private"), ("ftp://1.1.1.1/", "not an http URL"),
     ("https://user:pw@1.1.1.1/", "user name"), ("//127.0.0.1/", "private")],
)  # fmt: skip
async def test_a_redirect_of_the_public_stays_public_and_encrypted(
    target: str, reason: str
) -> None:
    allow = [Allow(ipaddress.ip_network("10.1.2.3/32"), 5671)]
    egress = _Moving(allow, target, aiohttp.ThreadedResolver())
    try:
        with pytest.raises(EgressRefused, match=reason):
            await egress.fetch("POST", "https://1.1.1.1/", body=b"x", redirects=3)
        assert egress.called == ["https://1.1.1.1/"]
    finally:
        await egress.close()


async def test_a_signature_stays_with_its_origin() -> None:
    heard: list[dict[str, str]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(text=(await request.read()).decode())

    async with site(hear) as there:

        async def away(request: web.Request) -> web.Response:
            place = "/next" if request.path == "/" else f"http://127.0.0.1:{there}/"
            heard.append({name.lower(): value for name, value in request.headers.items()})
            return web.Response(status=307, headers={"Location": place})

        async with site(away) as port:
            allow = [Allow(ipaddress.ip_network("127.0.0.0/8"), one) for one in (port, there)]
            egress = Egress(allow)
            signed = {"webhook-id": "a", "Webhook-Timestamp": "1", "webhook-signature": "v1,x"}
            try:
                answer = await egress.fetch(
                    "POST", f"http://127.0.0.1:{port}/", headers=signed, body=b"said", redirects=3
                )
            finally:
                await egress.close()
    assert answer.body == b"said"
    names = {name.lower() for name in signed}
    assert [names & set(fields) for fields in heard] == [names, names, set()]
