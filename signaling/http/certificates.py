"""A certificate for `sotto dev`: a small authority made once, and a leaf for the names in use.

Kept in the state directory, keys with mode 0600. The authority is constrained to this machine's
host
names: somebody who steals its key cannot pose as another site to whoever trusts it. Driven by
`sotto dev`.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Apple refuses server certificates that live longer than 398 days (825 for private authorities).
LEAF_DAYS = 90
RENEW_DAYS = 30
AUTHORITY_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Files:
    """`authority` is what people trust; `certificate` and `key` are what the listener uses."""

    authority: Path
    certificate: Path
    key: Path
    fingerprint: str


def ensure(directory: Path, names: list[str], now: datetime) -> Files:
    """Make what is missing, nearly expired, or lacks one of `names` (host names and addresses)."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca_path, ca_key_path = directory / "authority.crt", directory / "authority.key"
    if not (ca_path.exists() and ca_key_path.exists() and _covers(ca_path, names)):
        key = ec.generate_private_key(ec.SECP256R1())
        _write_key(ca_key_path, key)
        _write(ca_path, _pem(_authority(key, names, now)))
    authority = x509.load_pem_x509_certificate(ca_path.read_bytes())
    ca_key = serialization.load_pem_private_key(ca_key_path.read_bytes(), None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{ca_key_path} does not hold the key that we made; remove it")
    leaf_path, key_path = directory / "server.crt", directory / "server.key"
    if not _usable(leaf_path, key_path, authority, names, now):
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _leaf(key, names, authority, ca_key, now)
        _write_key(key_path, key)
        _write(leaf_path, _pem(leaf) + _pem(authority))
    digest = authority.fingerprint(hashes.SHA256()).hex(":").upper()
    return Files(ca_path, leaf_path, key_path, digest)


def _usable(
    leaf_path: Path, key_path: Path, authority: x509.Certificate, names: list[str], now: datetime
) -> bool:
    if not (leaf_path.exists() and key_path.exists()):
        return False
    leaf = x509.load_pem_x509_certificate(leaf_path.read_bytes())
    if leaf.not_valid_after_utc < now + timedelta(days=RENEW_DAYS):
        return False
    if leaf.issuer != authority.subject:
        return False
    alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(_general_names(names)) <= set(alternative)


def _general_names(names: list[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host_names(names: list[str]) -> set[str]:
    found = _general_names(["localhost", *names])
    return {name.value for name in found if isinstance(name, x509.DNSName)}


def _covers(path: Path, names: list[str]) -> bool:
    """Addresses are not constrained: this machine's change from network to network."""
    authority = x509.load_pem_x509_certificate(path.read_bytes())
    try:
        constraints = authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return False  # an authority of an older version
    allowed = {name.value for name in constraints.permitted_subtrees or ()}
    return _host_names(names) <= allowed


def _authority(
    key: ec.EllipticCurvePrivateKey, names: list[str], now: datetime
) -> x509.Certificate:
    # The serial number in the name keeps two machines' authorities apart in a trust store.
    serial = x509.random_serial_number()
    name = _name(f"Sotto development {serial & 0xFFFFFF:06x}")
    builder = _builder(name, name, key, serial, now, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(authority=True), critical=True)
    allowed = [x509.DNSName(host) for host in sorted(_host_names(names))]
    constraints = x509.NameConstraints(permitted_subtrees=allowed, excluded_subtrees=None)
    builder = builder.add_extension(constraints, critical=True)
    return builder.sign(key, hashes.SHA256())


def _leaf(
    key: ec.EllipticCurvePrivateKey,
    names: list[str],
    authority: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    serial = x509.random_serial_number()
    builder = _builder(_name(names[0]), authority.subject, key, serial, now, LEAF_DAYS)
    alternative = x509.SubjectAlternativeName(_general_names(names))
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    builder = builder.add_extension(alternative, critical=False)
    builder = builder.add_extension(_usage(authority=False), critical=True)
    builder = builder.add_extension(usage, critical=False).add_extension(issuer, critical=False)
    return builder.sign(ca_key, hashes.SHA256())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    serial: int,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(hours=1))  # a phone's clock may be a little behind
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    data = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
