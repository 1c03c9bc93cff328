"""Rows A6, A15, B4, C1, C2: the policy of the https listener, as scanners and clients meet it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.signaling.house import Running, serving
from tests.signaling.http.scanners import Signed, program, run, signed, sslyze
from tests.slack import within

GROUPS = ["X25519", "secp256r1", "secp384r1"]
# What testssl says of itself and not of the server: its openssl has no engine for GOST's suites.
# Nothing else is excused: the certificate names a list of revocations, and its authority is given.
ITS_OWN = {"engine_problem"}


@pytest.fixture
async def scanned(tmp_path: Path) -> AsyncIterator[tuple[Running, Signed]]:
    made = signed(tmp_path)
    flags = {"tls.certificate": str(made.certificate), "tls.key": str(made.key)}
    async with serving(tmp_path, flags, development=False) as house:
        yield house, made


async def test_a06_sslyze_finds_mozillas_intermediate_profile(
    scanned: tuple[Running, Signed],
) -> None:
    house, made = scanned
    port = house.app.facts()["https"]
    code, output = await run(
        await sslyze(), "--mozilla_config=intermediate", f"--certinfo_ca_file={made.authority}",
        f"localhost:{port}",
    )  # fmt: skip
    assert code == 0, output[-4000:]
    found = re.search(r"Supported curves:\s+(.*)", output)
    assert found is not None
    assert [curve.strip() for curve in found[1].split(",")] == GROUPS


async def test_a06_nmap_grades_it_a(scanned: tuple[Running, Signed]) -> None:
    house, _ = scanned
    port = str(house.app.facts()["https"])
    code, output = await run(
        program("nmap", "nmap"), "-Pn", "-p", port, "--script", "+ssl-enum-ciphers", "127.0.0.1"
    )
    assert code == 0, output
    assert "least strength: A" in output, output
    suites = re.findall(r"\b(TLS_\w+) \(", output)
    assert len(suites) >= 6
    for suite in suites:
        assert re.search(r"_(GCM|POLY1305)(_|$)", suite), suite
        assert suite.startswith(("TLS_ECDHE_", "TLS_AKE_")), suite
    assert "TLSv1.0" not in output
    assert "TLSv1.1" not in output


@pytest.mark.long
async def test_a06_testssl_finds_nothing_of_medium_or_above(
    scanned: tuple[Running, Signed], tmp_path: Path
) -> None:
    house, made = scanned
    findings = tmp_path / "findings.json"
    _, output = await run(
        program("testssl", "testssl.sh"), "--quiet", "--color", "0", "--warnings", "off",
        "-p", "-s", "-f", "-U", "-S", "--add-ca", str(made.authority),
        "--jsonfile", str(findings), f"localhost:{house.app.facts()['https']}",
        seconds=600,
    )  # fmt: skip
    listed = json.loads(findings.read_text())
    assert len(listed) > 50, output
    bad = [
        f"{one['severity']} {one['id']}: {one['finding']}"
        for one in listed
        if one["severity"] not in ("OK", "INFO", "LOW")
        and one["id"] not in ITS_OWN
        and "Local problem" not in one["finding"]
    ]
    assert not bad, bad
    found = {one["id"]: one["severity"] for one in listed}
    assert found["cert_trust"] == found["cert_chain_of_trust"] == "OK"


async def test_a15_a_socket_over_tls_13_and_never_in_the_clear(tmp_path: Path) -> None:
    async with serving(tmp_path, {"tls.tls13_only": "true"}, development=False) as house:
        token = house.token("a", "ann")
        url = f"wss://localhost:{house.app.facts()['https']}/rtc?protocol=15&access_token={token}"
        async with house.client.ws_connect(url) as socket:
            tls = socket.get_extra_info("ssl_object")
            assert tls.version() == "TLSv1.3"
            assert (await socket.receive(timeout=30)).type is aiohttp.WSMsgType.BINARY
        # `sync` and everything below /api in the clear: refused before anybody looks at a token.
        plain = house.http.replace("http", "ws", 1)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await house.client.ws_connect(plain + "/sync", protocols=["sotto.1"])
        assert refused.value.status == 400
        old = ssl.create_default_context(cafile=str(house.state / "tls" / "authority.crt"))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError)):
            await house.client.ws_connect(url, ssl=old)


@pytest.mark.parametrize(
    ("forwarded", "public", "status"),
    [
        (None, "", 400),
        ("http", "", 400),
        ("https", "", 401),
        (None, "https://meet.example", 401),
        ("http", "https://meet.example", 400),
    ],
)
async def test_a06_the_api_in_the_clear_is_refused_and_not_redirected(
    tmp_path: Path, forwarded: str | None, public: str, status: int
) -> None:
    flags = {"http.public_url": public} if public else {}
    async with serving(tmp_path, flags, development=False) as house:
        headers = {"Authorization": "Bearer cs_x"}
        if forwarded is not None:
            headers["X-Forwarded-Proto"] = forwarded
        url = house.http + "/api/v1/session"
        async with house.client.get(url, headers=headers, allow_redirects=False) as answer:
            assert answer.status == status
            body = await answer.json(content_type=None)
            assert body["code"] == ("tls_required" if status == 400 else "token_invalid")
            assert "Location" not in answer.headers


async def test_b04_every_open_port_is_tls_or_loopback(tmp_path: Path) -> None:
    async with serving(tmp_path, development=False) as house:
        facts = house.app.facts()
        for kind in ("http", "operator"):
            # Plain listeners bind loopback only; the configuration refuses anything else.
            assert facts[kind] is not None
        assert urlsplit(house.https).port == facts["https"]
        _, writer = await asyncio.open_connection(
            "localhost", facts["https"], ssl=house.trust, server_hostname="localhost"
        )
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


async def test_slow_clients_are_gone_in_ten_seconds_while_others_are_served(
    tmp_path: Path,
) -> None:
    """Slow in the handshake, the header and the body, 30 of each, with the bounds that ship."""
    async with serving(tmp_path) as house:
        port = house.app.facts()["https"]
        began, served = time.monotonic(), []
        crawling = [_crawl(house, port, kind) for kind in ("hello", "header", "body") * 30]
        tasks = [asyncio.create_task(one) for one in crawling]
        while not all(task.done() for task in tasks):
            asked = time.monotonic()
            async with house.client.get(house.https + "/.well-known/sotto") as answer:
                assert answer.status in (200, 429)
            served.append(time.monotonic() - asked)
            await asyncio.sleep(0.5)
            assert time.monotonic() - began < 60
        ends = [task.result() for task in tasks]
        # The server counts ten from when it has accepted, a client from when it has connected.
        within(11, ends)
        within(1, served)
        assert min(ends) > 5, min(ends)


async def _crawl(house: Running, port: int, kind: str) -> float:
    """Seconds until the server ended it; a byte every half second."""
    tls = house.trust if kind != "hello" else None
    name = "localhost" if tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    began = time.monotonic()
    head = b"POST /api/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    first = {"hello": b"\x16\x03\x01\x02", "header": head, "body": head}[kind]
    if kind == "body":
        first += b"Content-Length: 1000\r\n\r\n{"
    writer.write(first)
    try:
        while time.monotonic() - began < 40:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    got = await reader.read(65536)
                    if kind != "body" or not got:
                        break
                    if b" 408 " in got:
                        break
            writer.write(b"a")
    except (ConnectionError, ssl.SSLError):
        pass
    took = time.monotonic() - began
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    return took
