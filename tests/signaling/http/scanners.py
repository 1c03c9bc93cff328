"""A certificate that scanners have nothing to say about, and the scanners themselves."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# In a virtual environment of its own: it pins libraries that the server uses in other versions.
SSLYZE = "sslyze==6.3.1"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sotto"


@dataclass(frozen=True)
class Signed:
    authority: Path
    certificate: Path
    key: Path


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _begin(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=89))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def signed(place: Path, crl: str = "http://crl.example/authority.crl") -> Signed:
    """An authority and a leaf for localhost that names a list of revocations."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    authority = (
        _begin("Test authority", "Test authority", ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    list_at = x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)
    leaf = (
        _begin("localhost", "Test authority", key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer, critical=False)
        .add_extension(x509.CRLDistributionPoints([list_at]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    found = Signed(place / "authority.pem", place / "leaf.pem", place / "leaf.key")
    pem = serialization.Encoding.PEM
    found.authority.write_bytes(authority.public_bytes(pem))
    found.certificate.write_bytes(leaf.public_bytes(pem) + authority.public_bytes(pem))
    found.key.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return found


async def run(*words: str, seconds: float = 300) -> tuple[int, str]:
    """Exit code and everything printed."""
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    return process.returncode or 0, output.decode(errors="replace")


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is missing: apt-get install {package}"
    return found


async def sslyze() -> str:
    home = CACHE / SSLYZE.replace("==", "-")
    command = home / "bin" / "sslyze"
    if not command.exists():
        for words in (
            (sys.executable, "-m", "venv", str(home)),
            (str(home / "bin" / "pip"), "install", "--quiet", SSLYZE),
        ):
            code, output = await run(*words)
            assert code == 0, output
    return str(command)
