"""The TLS policy as a client meets it, the development certificate, and renewal while running."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from signaling.config import Tls
from signaling.errors import ConfigError
from signaling.http.certificates import Files, ensure
from signaling.http.tls import CertificateWatch, server_context
from tests.signaling.house import Running, serving

NOW = datetime(2026, 11, 21, tzinfo=UTC)
# asyncio drops the alert that OpenSSL wrote when a handshake fails: clients see a reset.
REFUSED = (ssl.SSLError, ConnectionResetError)


async def handshake(house: Running, context: ssl.SSLContext) -> tuple[str, str]:
    port = house.app.facts()["https"]
    _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    found = writer.get_extra_info("ssl_object")
    version, cipher = found.version(), found.cipher()[0]
    writer.close()
    await writer.wait_closed()
    return version, cipher


def client(house: Running, version: ssl.TLSVersion, ciphers: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(house.state / "tls" / "authority.crt"))
    context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    return context


async def test_tls_13_and_12_with_aead_are_spoken(house: Running) -> None:
    version, _ = await handshake(house, client(house, ssl.TLSVersion.TLSv1_3))
    assert version == "TLSv1.3"
    version, cipher = await handshake(house, client(house, ssl.TLSVersion.TLSv1_2))
    assert version == "TLSv1.2"
    assert "GCM" in cipher or "CHACHA20" in cipher


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384"])
async def test_cbc_suites_are_refused(house: Running, suite: str) -> None:
    with pytest.raises(REFUSED):
        await handshake(house, client(house, ssl.TLSVersion.TLSv1_2, suite))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_tls_11_is_refused(house: Running) -> None:
    context = client(house, ssl.TLSVersion.TLSv1_2)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(REFUSED):
        await handshake(house, context)


@pytest.mark.parametrize(("curve", "spoken"), [("prime256v1", True), ("secp521r1", False)])
async def test_only_the_listed_curves_are_spoken(house: Running, curve: str, spoken: bool) -> None:
    context = client(house, ssl.TLSVersion.TLSv1_3)
    context.set_ecdh_curve(curve)
    if spoken:
        await handshake(house, context)
    else:
        with pytest.raises(REFUSED):
            await handshake(house, context)


async def test_tls13_only_refuses_12(tmp_path: Path) -> None:
    async with serving(tmp_path, {"tls.tls13_only": "true"}) as house:
        with pytest.raises(REFUSED):
            await handshake(house, client(house, ssl.TLSVersion.TLSv1_2))
        assert (await handshake(house, client(house, ssl.TLSVersion.TLSv1_3)))[0] == "TLSv1.3"


async def test_a_connection_buffers_one_record(house: Running) -> None:
    assert asyncio.sslproto.SSLProtocol.max_size == 16 * 1024


async def test_a_swap_of_certificates_drops_nobody(house: Running) -> None:
    """F8: open sockets go on with the old one, the next connection gets the new one."""
    url = f"{house.https}/rtc?protocol=15&access_token="
    before = ensure(house.state / "tls", ["localhost", "127.0.0.1"], datetime.now(UTC))
    async with contextlib.AsyncExitStack() as stack:
        sockets = []
        for number in range(20):
            token = house.token("plan", f"p{number}")
            socket = await stack.enter_async_context(house.client.ws_connect(url + token))
            await socket.receive(timeout=30)
            sockets.append(socket)
        old = serial(before)
        for name in ("192.0.2.1", "192.0.2.2"):
            after = ensure(house.state / "tls", ["localhost", "127.0.0.1", name], datetime.now(UTC))
            house.app.reload()
            port = house.app.facts()["https"]
            pem = await asyncio.to_thread(ssl.get_server_certificate, ("localhost", port))
            seen = x509.load_pem_x509_certificate(pem.encode()).serial_number
            assert seen == serial(after) != old
            old = seen
        for socket in sockets:
            await socket.send_bytes(b"")
            assert not socket.closed


def serial(files: Files) -> int:
    return x509.load_pem_x509_certificate(files.certificate.read_bytes()).serial_number


def test_a_renewed_certificate_is_taken_and_a_broken_one_is_not(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    files = ensure(tmp_path, ["localhost"], now)
    tls = Tls(certificate=str(files.certificate), key=str(files.key))
    watch = CertificateWatch(server_context(tls), tls)
    assert not watch.look()
    ensure(tmp_path, ["localhost", "other"], now)
    assert watch.look()
    assert not watch.look()
    files.certificate.write_text("broken")
    assert not watch.look()
    ensure_again = files.certificate.with_name("missing")
    files.key.rename(ensure_again)
    assert not watch.look()


def test_an_unusable_certificate_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tls\.certificate"):
        server_context(Tls(certificate=str(tmp_path / "none"), key=str(tmp_path / "none")))


def test_the_certificate_is_made_once_and_again_when_it_must(tmp_path: Path) -> None:
    first = ensure(tmp_path, ["localhost", "127.0.0.1"], NOW)
    number = serial(first)
    assert serial(ensure(tmp_path, ["localhost"], NOW)) == number
    more = ensure(tmp_path, ["localhost", "192.0.2.7"], NOW)
    assert serial(more) != number
    assert more.fingerprint == first.fingerprint
    number = serial(more)
    later = ensure(tmp_path, ["localhost", "192.0.2.7"], NOW + timedelta(days=61))
    assert serial(later) != number
    assert later.fingerprint == first.fingerprint
    for name in ("authority.key", "server.key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_another_authority_means_another_certificate(tmp_path: Path) -> None:
    first = ensure(tmp_path, ["localhost"], NOW)
    number = serial(first)
    (tmp_path / "authority.key").unlink()
    second = ensure(tmp_path, ["localhost"], NOW)
    assert second.fingerprint != first.fingerprint
    assert serial(second) != number


def test_the_authority_cannot_sign_for_other_sites(tmp_path: Path) -> None:
    files = ensure(tmp_path, ["localhost", "desk", "192.0.2.7"], NOW)
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    found = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert found.critical
    assert {name.value for name in found.value.permitted_subtrees or ()} == {"localhost", "desk"}
    same = ensure(tmp_path, ["localhost", "198.51.100.9"], NOW)
    assert same.fingerprint == files.fingerprint
    renamed = ensure(tmp_path, ["localhost", "laptop"], NOW)
    assert renamed.fingerprint != files.fingerprint
