"""A server without a certificate gets one from `pebble`, by either challenge, and renews it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography import x509

from signaling.clock import FakeClock
from signaling.config import Tls
from signaling.config.acme import Acme
from signaling.errors import Unavailable
from signaling.http.acme.challenges import Pending, challenge_context, utc
from signaling.http.acme.keeper import Keeper, ensure_placeholder, files_of
from signaling.http.hello import Hello
from signaling.secret import Secret
from tests.ports import free_port
from tests.signaling.house import Running, serving
from tests.signaling.http.acme.authority import Authority, authority

WAIT = 120.0


async def shown(port: int, protocol: str = "http/1.1") -> tuple[x509.Certificate, str | None]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    _, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    try:
        tls = writer.get_extra_info("ssl_object")
        der = tls.getpeercert(True)
        return x509.load_der_x509_certificate(der), tls.selected_alpn_protocol()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


async def until(condition: Callable[[x509.Certificate], bool], port: int) -> x509.Certificate:
    async with asyncio.timeout(WAIT):
        while True:
            found, _ = await shown(port)
            if condition(found):
                return found
            await asyncio.sleep(0.1)


def by_pebble(certificate: x509.Certificate) -> bool:
    return "Pebble" in certificate.issuer.rfc4514_string()


def flags(made: Authority, challenge: str, tls: int, http: int) -> dict[str, str]:
    return {
        "acme.directory": made.directory,
        "acme.ca": str(made.ca),
        "acme.domains": "localhost",
        "acme.agree_terms": "true",
        "acme.challenge": challenge,
        "acme.http_listen": f"127.0.0.1:{http}" if challenge == "http-01" else "",
        "acme.retry_seconds": "1",
        "http.listen": f"127.0.0.1:{tls}",
    }


@contextlib.asynccontextmanager
async def served(place: Path, challenge: str) -> AsyncIterator[tuple[Running, Authority, int]]:
    tls, http = free_port(above=1), free_port()
    (place / "authority").mkdir()
    async with (
        authority(place / "authority", tls_port=tls, http_port=http) as made,
        serving(place, flags(made, challenge, tls, http)) as house,
    ):
        yield house, made, http


@pytest.mark.parametrize("challenge", ["tls-alpn-01", "http-01"])
async def test_a_server_gets_its_certificate(tmp_path: Path, challenge: str) -> None:
    async with served(tmp_path, challenge) as (house, made, http):
        port = house.app.facts()["https"]
        found = await until(by_pebble, port)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["localhost"]
        for name in ("certificate.pem", "certificate.key", "account.key"):
            assert (tmp_path / "acme" / name).stat().st_mode & 0o777 == 0o600
        # A client that trusts the authority talks to it, chain and name checked.
        trust = ssl.create_default_context(cadata=await made.roots())
        async with house.client.get(
            f"https://localhost:{port}/.well-known/sotto", ssl=trust
        ) as answer:
            assert answer.status == 200
        # Nothing is pending any more: nobody is shown a challenge.
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shown(port, "acme-tls/1")
        if challenge == "http-01":
            await _refuses_all_else(house, http)


async def _refuses_all_else(house: Running, port: int) -> None:
    base = f"http://127.0.0.1:{port}"
    for path, status in (
        ("/.well-known/acme-challenge/none", 404),
        ("/", 400),
        ("/api/v1/session", 400),
        ("/rtc/validate", 400),
    ):
        async with house.client.get(base + path, allow_redirects=False) as answer:
            assert answer.status == status, path


async def test_renewal_drops_no_connection(tmp_path: Path) -> None:
    async with served(tmp_path, "tls-alpn-01") as (house, _, _):
        port = house.app.facts()["https"]
        first = await until(by_pebble, port)
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        url = f"wss://localhost:{port}/rtc?protocol=15&access_token={house.token('a', 'ann')}"
        async with house.client.ws_connect(url, ssl=trusting) as socket:
            await socket.receive(timeout=30)
            keeper = house.app.keeper
            assert keeper is not None
            assert not keeper.due()
            await keeper.attempt()
            second = await until(by_pebble, port)
            assert second.serial_number != first.serial_number
            await socket.send_bytes(b"")
            assert not socket.closed


async def test_an_authority_that_cannot_verify_says_why_and_the_old_stays(tmp_path: Path) -> None:
    """The validation goes to a port where nobody listens."""
    async with authority(tmp_path, tls_port=free_port()) as made:
        settings = Acme(
            directory=made.directory, ca=str(made.ca), domains=("localhost",), agree_terms=True
        )
        tls = files_of(Tls(), tmp_path)
        clock = FakeClock()
        ensure_placeholder(tls, settings.domains, utc(clock.unix()))
        before = content(tls)
        renewals: list[bool] = []
        keeper = Keeper(settings, tmp_path, tls, Pending(), clock, lambda: renewals.append(True))
        assert keeper.due()
        with pytest.raises(Unavailable, match="could not verify: localhost"):
            await keeper.attempt()
        assert content(tls) == before
        assert not renewals


async def test_an_external_account_is_bound(tmp_path: Path) -> None:
    mac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    port = free_port()
    async with authority(tmp_path, tls_port=port, external={"kid-1": mac}) as made:
        settings = Acme(
            directory=made.directory,
            ca=str(made.ca),
            domains=("localhost",),
            agree_terms=True,
            external_key_id="kid-1",
            external_key=Secret(mac),
        )
        for wrong in (Secret(mac[::-1]), None):
            refused = Acme(
                directory=made.directory,
                ca=str(made.ca),
                domains=("localhost",),
                agree_terms=True,
                external_key_id="kid-1",
                external_key=wrong,
            )
            place = tmp_path / f"refused-{wrong is None}"
            keeper = _keeper(refused, place)
            with pytest.raises(Unavailable):
                await keeper.attempt()
        # The account is made; the order then fails at the port where nobody listens.
        with pytest.raises(Unavailable, match="could not verify"):
            await _keeper(settings, tmp_path).attempt()


async def test_an_authority_that_is_away_is_told_in_one_sentence(tmp_path: Path) -> None:
    settings = Acme(
        directory=f"https://127.0.0.1:{free_port()}/dir", domains=("localhost",), agree_terms=True
    )
    with pytest.raises(Unavailable, match="the ACME order failed"):
        await _keeper(settings, tmp_path).attempt()


def content(tls: Tls) -> bytes:
    return Path(tls.certificate).read_bytes()


def _keeper(settings: Acme, place: Path) -> Keeper:
    tls = files_of(Tls(), place)
    return Keeper(settings, place, tls, Pending(), FakeClock(), lambda: None)


def test_a_challenge_is_shown_for_its_name_and_its_time_only() -> None:
    pending = Pending()
    with pending.certificate("Meet.Example", "token.thumb", utc(1_800_000_000)):
        assert pending.context_of(Hello((b"acme-tls/1",), "meet.example")) is not None
        assert pending.context_of(Hello((b"acme-tls/1",), "other.example")) is None
    assert pending.context_of(Hello((b"acme-tls/1",), "meet.example")) is None


def test_the_challenge_certificate_carries_the_digest() -> None:
    """RFC 8737 section 3: a critical extension with the SHA-256 of the key authorization."""
    context = challenge_context("meet.example", "token.thumb", utc(1_800_000_000))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_other_names_or_a_near_end_make_it_due(tmp_path: Path) -> None:
    settings = Acme(directory="https://ca.example/dir", domains=("a.example", "b.example"))
    keeper = _keeper(settings, tmp_path)
    assert keeper.due()
    ensure_placeholder(files_of(Tls(), tmp_path), settings.domains, utc(1_800_000_000))
    assert keeper.due()
