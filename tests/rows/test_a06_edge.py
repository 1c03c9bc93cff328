"""Rows A2, A6, B1, B4, B5, C1, C25: what the listeners speak, show, refuse, and never do."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from signaling.http.api.classification import TABLE
from sotto_client.client import Client
from sotto_client.local import Local
from tests.peers.redis_server import Authority
from tests.rows.house import ROOT, House, Visit, standing, visiting
from tests.signaling.http.scanners import program, run


async def test_a02_the_security_page_says_what_is_sealed_with_what(there: Visit) -> None:
    page = await there.send("GET", "/security")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    for kept in TABLE:
        assert kept.level.value in page.text
    for word in ("AES-256-GCM", "master key that never leaves the KMS", "DTLS"):
        assert word in page.text
    assert (ROOT / "SECURITY.md").read_text().startswith("# Security")
    table = (ROOT / "docs" / "security" / "data-classification.md").read_text()
    assert all(kept.level.value in table for kept in TABLE) and "AES-256-GCM" in table


async def test_a02_the_security_contact_has_not_expired(there: Visit) -> None:
    answer = await there.send("GET", "/.well-known/security.txt")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
    expires = datetime.strptime(fields["Expires"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert datetime.now(UTC) < expires < datetime.now(UTC) + timedelta(days=366)
    assert fields["Contact"].startswith(("https:", "mailto:"))


def hello(house: House, *words: str) -> str:
    """`openssl s_client` against the listener."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{house.facts['https']}", *words],
        input="", capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("-tls1",), ("-tls1_1",), ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "AES128-GCM-SHA256:AES256-SHA:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0"),
    ],
    ids=["tls 1.0", "tls 1.1", "cbc", "no forward secrecy", "null", "cbc with ecdsa"],
)  # fmt: skip
def test_a06_old_protocols_and_ciphers_are_refused(house: House, words: tuple[str, ...]) -> None:
    """RC4, 3DES and export suites are in no OpenSSL any more; nmap's own list has them."""
    said = hello(house, *words)
    assert "Cipher is (NONE)" in said or "no cipher match" in said or "no protocols" in said, said


@pytest.mark.parametrize(
    ("words", "suite"),
    [
        (("-tls1_3",), r"TLSv1\.3, Cipher is TLS_(AES_(128|256)_GCM|CHACHA20_POLY1305)_SHA"),
        (("-tls1_2",), r"TLSv1\.2, Cipher is ECDHE-ECDSA-(AES(128|256)-GCM|CHACHA20-POLY1305)"),
    ],
)
def test_a06_c01_tls_12_and_13_are_spoken_with_aead_and_forward_secrecy(
    house: House, words: tuple[str, ...], suite: str
) -> None:
    said = hello(house, *words, "-CAfile", str(house.authority.file), "-servername", "localhost")
    assert re.search(suite, said), said
    assert "Verify return code: 0 (ok)" in said


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """For what the store has no part in."""
    with standing(House(tmp_path_factory.mktemp("single"))) as made:
        yield made


async def test_a06_nmap_grades_it_a(single: House) -> None:
    port = str(single.facts["https"])
    code, output = await run(
        program("nmap", "nmap"), "-Pn", "-p", port, "--script", "+ssl-enum-ciphers", "127.0.0.1"
    )
    assert code == 0 and "least strength: A" in output, output
    suites = re.findall(r"\b(TLS_\w+) \(", output)
    assert len(suites) >= 3
    for suite in suites:
        assert re.search(r"_(GCM|POLY1305)(_|$)", suite), suite
        assert not re.search(r"RC4|3DES|CBC|NULL|EXPORT", suite), suite
    assert "TLSv1.0" not in output and "TLSv1.1" not in output


async def test_a06_c01_the_api_in_the_clear_is_refused_and_not_redirected(there: Visit) -> None:
    """On the listener of a proxy's side, and as plain words to the port of TLS."""
    for method, path in (
        ("GET", "/api/v1/session"), ("POST", "/oauth/token"), ("GET", "/v3/pam/sub_x/grants"),
    ):  # fmt: skip
        answer = await there.send(method, there.house.plain + path)
        assert answer.status == 400 and answer.code == "tls_required", path
        assert "Location" not in answer.headers
    reader, writer = await asyncio.open_connection("127.0.0.1", there.house.facts["https"])
    writer.write(b"GET /api/v1/session HTTP/1.1\r\nHost: localhost\r\n\r\n")
    said = await asyncio.wait_for(reader.read(4096), 60)
    writer.close()
    assert b"Location" not in said and b" 30" not in said[:20]
    assert said == b"" or said.startswith((b"HTTP/1.1 400", b"\x15\x03"))


def listening(process: int) -> list[tuple[str, str, int]]:
    """Protocol, address and port of every socket that the process listens on."""
    done = subprocess.run(["ss", "-Hlntup"], capture_output=True, text=True, check=True)
    found = []
    for line in done.stdout.splitlines():
        if f"pid={process}," in line:
            words = line.split()
            host, _, port = words[4].rpartition(":")
            found.append((words[0], host, int(port)))
    return found


async def test_b04_every_open_port_is_tls_dtls_or_loopback(single: House) -> None:
    assert single.process is not None
    ports = listening(single.process.pid)
    plain = {single.facts["http"], single.facts["operator"]}
    media = {single.facts["udp"], single.facts["tcp"]}
    kinds = {"plain": 0, "media": 0, "tls": 0}
    for protocol, host, port in ports:
        if port in plain:
            assert host.strip("[]") in ("127.0.0.1", "::1"), (host, port)
            kinds["plain"] += 1
        elif port in media:
            # STUN and DTLS; whoever says anything else gets nothing.
            assert await answer_to(protocol, port) == b""
            kinds["media"] += 1
        else:
            assert protocol == "tcp"
            said = await answer_to(protocol, port)
            if is_tls(port, single):
                assert not said.startswith(b"HTTP/1.1 200")
                kinds["tls"] += 1
            else:
                assert host.strip("[]") in ("127.0.0.1", "::1"), (host, port)
    assert kinds["plain"] == 2 and kinds["media"] >= 2 and kinds["tls"] >= 1, ports


async def answer_to(protocol: str, port: int) -> bytes:
    """What a plain HTTP request gets there."""
    asked = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    if protocol == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.5)
            sock.sendto(asked, ("127.0.0.1", port))
            try:
                return sock.recv(2048)
            except OSError:
                return b""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asked)
    try:
        return await asyncio.wait_for(reader.read(2048), 1)
    except (TimeoutError, ConnectionError):
        return b""
    finally:
        writer.close()


def is_tls(port: int, house: House) -> bool:
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 30) as raw,
            house.trust.wrap_socket(raw, server_hostname="localhost") as found,
        ):
            return found.version() in ("TLSv1.2", "TLSv1.3")
    except (ssl.SSLError, OSError):
        return False


def test_b04_a_plain_listener_off_loopback_is_refused(tmp_path: Path) -> None:
    house = House(tmp_path, {"http.plain": "0.0.0.0:0"})
    done = subprocess.run(house.command, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 2 and "http.plain" in done.stderr


async def test_b05_https_for_a_year_and_its_subdomains(there: Visit) -> None:
    for path in ("/security", "/api/v1/session", "/rtc/validate", "/problems/not_found"):
        held = (await there.send("GET", path)).headers["Strict-Transport-Security"]
        found = re.fullmatch(r"max-age=(\d+); includeSubDomains", held)
        assert found is not None and int(found[1]) >= 31536000, path


@dataclass
class Middle:
    """Listeners behind a certificate of another authority than ours, by name."""

    ports: dict[str, int]
    knocked: set[str]
    heard: list[bytes]

    async def visited_by(self, *names: str) -> None:
        async with asyncio.timeout(120):
            while not {*names} <= self.knocked:
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def in_the_middle(folder: Path, *names: str) -> AsyncIterator[Middle]:
    certificate, key = Authority(folder).issue("middle")
    made = Middle({}, set(), [])

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.heard.append(await reader.read(100))
        writer.close()

    def noting(name: str) -> Callable[..., None]:
        def knocked(*_: object) -> None:
            made.knocked.add(name)

        return knocked

    asyncio.get_running_loop().set_exception_handler(lambda loop, what: None)
    async with contextlib.AsyncExitStack() as stack:
        for name in names:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            # Whoever begins to speak TLS here.
            context.sni_callback = noting(name)
            server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
            stack.callback(server.close)
            made.ports[name] = server.sockets[0].getsockname()[1]
        yield made


async def test_b05_a_stranger_in_the_middle_gets_nothing_of_ours(tmp_path: Path) -> None:
    """Webhook of the audit, sign-in provider, mail server and a client, each behind a certificate
    of another authority: nobody says a word to them. MongoDB and Redis: rows A9 to A11.
    """
    async with in_the_middle(tmp_path / "foreign", "hook", "provider", "mail", "client") as middle:
        (tmp_path / "house").mkdir()
        issuer = f"https://127.0.0.1:{middle.ports['provider']}"
        house = House(
            tmp_path / "house",
            {
                "audit_webhook.url": f"https://localhost:{middle.ports['hook']}/",
                "mail.host": "localhost", "mail.port": str(middle.ports["mail"]),
                "mail.tls": "tls", "mail.sender": "sotto@example.org",
            },
            environment={"SOTTO_AUDIT_WEBHOOK__SECRET": "s" * 40},
            toml='[egress]\nallow = [{ network = "127.0.0.1/32", '
            f'port = {middle.ports["provider"]} }}]\n'
            f'[[accounts.providers]]\nid = "outside"\nname = "Outside"\nissuer = "{issuer}"\n'
            'client_id = "sotto"\n',
        )  # fmt: skip
        try:
            await asyncio.to_thread(house.start)
            await asyncio.to_thread(house.setup)
            async with visiting(house) as there:
                token = await there.owner()
                letter = await there.ask("POST", "/account/mail", {"mail": "a@example.org"}, token)
                assert letter.status < 300, letter.text
                gone = await there.ask("POST", "/sign-in/providers/outside", {})
                assert gone.status in (502, 503), gone.text
                await speak_to(middle.ports["client"], token, middle)
                await middle.visited_by("hook", "provider", "mail", "client")
        finally:
            await asyncio.to_thread(house.stop)
        assert "certificate" in house.written().lower()
    assert middle.heard == []


async def speak_to(port: int, token: str, middle: Middle) -> None:
    """The Python client, with somebody's token."""

    async def bearer() -> str:
        return token

    local = Local(":memory:")
    async with Client(f"https://localhost:{port}", local, bearer) as client:
        await middle.visited_by("client")
        assert not client.is_connected
    local.close()


async def test_b01_c25_pages_load_nothing_from_elsewhere(there: Visit) -> None:
    home = await there.send("GET", "/")
    paths = ["/", "/security", "/problems/not_found"]
    paths += re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css))"', home.text)
    for path in paths:
        answer = await there.send("GET", path)
        if "Content-Security-Policy" in answer.headers and not path.endswith((".js", ".css")):
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith(("default-src 'none'", "default-src 'self'")), path
            assert "http" not in policy.replace("https://localhost", "")
        for word in ("googleapis", "google-analytics", "gstatic", "doubleclick", "unpkg",
                     "jsdelivr", "cdnjs", "sentry.io", "stun.l.google.com"):  # fmt: skip
            assert word not in answer.text, (path, word)


async def test_b01_c25_every_call_works_and_nothing_leaves(
    housed: Callable[..., House], tmp_path: Path
) -> None:
    """Every connect and every datagram of the server, as the kernel saw them."""
    trace = tmp_path / "trace"
    house = housed(
        prefix=("strace", "-D", "-f", "-qq", "-e", "trace=connect,sendto", "-o", str(trace))
    )
    async with visiting(house) as there:
        token, _ = await there.joined()
        async with there.socket(token):
            pass
        assert (await there.ask("POST", "/calls/tokens", {"room": "r"}, token)).status == 201
    house.stop()
    text = trace.read_text()
    assert "connect(" in text or "sendto(" in text
    outside = {
        address for address in re.findall(r'inet_addr\("([0-9.]+)"\)', text)
        if not address.startswith(("127.", "0."))
    }  # fmt: skip
    outside |= {
        address for address in re.findall(r'inet_pton\(AF_INET6, "([^"]+)"', text)
        if address not in ("::1", "::") and not address.startswith("::ffff:127.")
    }  # fmt: skip
    assert not outside
