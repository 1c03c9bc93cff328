"""What the outbound guard calls and what it never does: spellings, rebinding, redirects, bounds."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from signaling.egress import Allow, Egress, EgressFailed, EgressRefused, is_public

SPECIAL = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1",
    "2001:db8::1", "2002:7f00:1::", "fc00::1", "fd12::1", "fe80::1", "fec0::1", "ff02::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:1.1.1.1",
]


@pytest.mark.parametrize("text", SPECIAL)
def test_special_addresses_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@given(st.ip_addresses(v=4))
def test_an_address_in_ipv6_clothes_is_the_same(address: ipaddress.IPv4Address) -> None:
    assert is_public(ipaddress.ip_address(f"::ffff:{address}")) == is_public(address)


class Names(AbstractResolver):
    """Answers what the test says, one answer after the other; the last one stays."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = {name.replace("_", "."): list(found) for name, found in answers.items()}
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        found = self.answers.get(host)
        if not found:
            raise OSError("no such name")
        address = found.pop(0) if len(found) > 1 else found[0]
        return [
            ResolveResult(
                hostname=host, host=one, port=port, family=socket.AF_INET, proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for one in address.split(",")
        ]  # fmt: skip

    async def close(self) -> None: ...


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def site(handler: Handler) -> AsyncIterator[int]:
    """A plain server on loopback; its port."""
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def guard(port: int | None = None, names: Names | None = None) -> AsyncIterator[Egress]:
    """Loopback is allowed on this port only."""
    allow = [Allow(ipaddress.ip_network("127.0.0.1/32"), port)] if port else []
    made = Egress(allow, names)
    try:
        yield made
    finally:
        await made.close()


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.method} {request.headers.get('Authorization', '-')}")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "[::1]",
     "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0", "0.0.0.0", "169.254.169.254"],
)  # fmt: skip
@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_no_spelling_of_loopback_is_called(scheme: str, host: str) -> None:
    called = []

    async def note(request: web.Request) -> web.Response:
        called.append(request.path)
        return web.Response()

    async with site(note) as port, guard() as egress:
        with pytest.raises((EgressRefused, EgressFailed)) as caught:
            await egress.fetch("GET", f"{scheme}://{host}:{port}/", seconds=30)
        assert called == []
        if host in ("127.0.0.1", "localhost", "[::1]", "169.254.169.254"):
            assert caught.type is EgressRefused


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "gopher://example.org/", "ftp://example.org/", "//example.org/", "",
     "https://", "https://user@example.org/", "https://user:word@example.org/",
     "https://[fe80::1%25eth0]/", "https://example.org:99999/", "data:,x", "unix:/run/x",
     "http://1.1.1.1/"],
)  # fmt: skip
async def test_other_schemes_and_users_are_refused(url: str) -> None:
    async with guard() as egress:
        with pytest.raises(EgressRefused):
            await egress.fetch("GET", url, seconds=30)


@given(st.text(max_size=60))
def test_any_text_is_refused_or_a_url(text: str) -> None:
    from signaling.egress import _checked

    try:
        url = _checked(text)
    except EgressRefused:
        return
    assert url.scheme in ("http", "https")
    assert url.host


async def test_what_the_operator_named_is_called_on_that_port_only() -> None:
    async with site(hello) as port, site(hello) as other, guard(port) as egress:
        answer = await egress.fetch("GET", f"http://127.0.0.1:{port}/")
        assert (answer.status, answer.body) == (200, b"GET -")
        with pytest.raises(EgressRefused):
            await egress.fetch("GET", f"http://127.0.0.1:{other}/")


async def test_a_name_that_means_loopback_is_refused() -> None:
    names = Names(evil_example=["127.0.0.1"], both_example=["1.1.1.1,127.0.0.1"])
    async with guard(names=names) as egress:
        with pytest.raises(EgressRefused):
            await egress.fetch("GET", "https://evil.example/", seconds=30)


async def test_a_name_that_changes_its_mind_is_refused_on_connecting() -> None:
    """DNS rebinding: public when it is looked at, loopback when it is connected to."""
    called = []

    async def note(request: web.Request) -> web.Response:
        called.append(request.path)
        return web.Response()

    async with site(note) as port:
        names = Names(evil_example=["1.1.1.1", "127.0.0.1"])
        async with guard(names=names) as egress:
            with pytest.raises(EgressRefused):
                await egress.fetch("GET", f"https://evil.example:{port}/", seconds=30)
        assert len(names.asked) == 2
        assert called == []


async def test_an_allowed_name_that_moves_within_loopback_is_refused_too() -> None:
    async with site(hello) as port:
        names = Names(inner_example=["127.0.0.1", "127.0.0.2"])
        async with guard(port, names) as egress:
            with pytest.raises(EgressRefused):
                await egress.fetch("GET", f"http://inner.example:{port}/", seconds=30)


@pytest.mark.parametrize(
    "target", ["https://127.0.0.1:1/", "https://169.254.169.254/latest/meta-data/", "file:///etc/passwd",
               "//[::1]:1/", "https://localhost:1/"],
)  # fmt: skip
async def test_a_redirect_inwards_is_refused(target: str) -> None:
    async def away(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": target})

    async with site(away) as port, guard(port) as egress:
        answer = await egress.fetch("GET", f"http://127.0.0.1:{port}/")
        assert answer.status == 302
        with pytest.raises(EgressRefused):
            await egress.fetch("GET", f"http://127.0.0.1:{port}/", redirects=3, seconds=30)


async def test_thirty_redirects_are_too_many() -> None:
    async def around(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/again"})

    async with site(around) as port, guard(port) as egress:
        with pytest.raises(EgressRefused, match="too many"):
            await egress.fetch("GET", f"http://127.0.0.1:{port}/", redirects=3)


async def test_a_credential_stays_with_its_origin() -> None:
    async with site(hello) as there:

        async def away(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": f"http://127.0.0.1:{there}/"})

        async with site(away) as port:
            allow = [Allow(ipaddress.ip_network("127.0.0.0/8"), one) for one in (port, there)]
            egress = Egress(allow)
            try:
                answer = await egress.fetch(
                    "GET",
                    f"http://127.0.0.1:{port}/",
                    headers={"Authorization": "Bearer x"},
                    redirects=1,
                )
            finally:
                await egress.close()
            assert answer.body == b"GET -"


async def test_a_huge_answer_is_cut_off() -> None:
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(2000):
                await response.write(b"x" * 65536)
                sent += 65536
        return response

    async with site(flood) as port, guard(port) as egress:
        with pytest.raises(EgressRefused, match="more than"):
            await egress.fetch("GET", f"http://127.0.0.1:{port}/", most=100_000)
    assert sent < 20_000_000


async def test_a_compressed_answer_is_refused() -> None:
    async def bomb(request: web.Request) -> web.Response:
        assert request.headers["Accept-Encoding"] == "identity"
        body = gzip.compress(bytes(1_000_000))
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async with site(bomb) as port, guard(port) as egress:
        with pytest.raises(EgressRefused, match="compressed"):
            await egress.fetch("GET", f"http://127.0.0.1:{port}/")


async def test_a_slow_answer_is_given_up() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                await response.write(b"x")
                await asyncio.sleep(0.05)
        return response

    async with site(slow) as port, guard(port) as egress:
        with pytest.raises(EgressFailed, match="no answer"):
            await egress.fetch("GET", f"http://127.0.0.1:{port}/", seconds=1.0)


async def test_no_cookie_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    seen: list[Any] = []

    async def bake(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Cookie"))
        response = web.Response()
        response.set_cookie("a", "b")
        return response

    async with site(bake) as port, guard(port) as egress:
        for _ in range(2):
            await egress.fetch("GET", f"http://127.0.0.1:{port}/")
    assert seen == [None, None]


async def test_nothing_that_listens_is_a_failure_and_not_a_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with guard(port) as egress:
        with pytest.raises(EgressFailed):
            await egress.fetch("GET", f"http://127.0.0.1:{port}/", seconds=30)
