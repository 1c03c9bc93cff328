"""Master keys in files: 32 bytes each, readable by the server's account alone (0600), or handed
over by systemd as credentials. For installations without a KMS, air-gapped ones among them.

Wraps with AES-256-GCM; the context is authenticated. Losing the files loses everything they wrap.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from signaling.errors import ClientError, Code, ConfigError, Unavailable
from signaling.ids import Entropy
from signaling.keys.port import Context, IntegrityError, KeyDestroyed

KEY_BYTES = 32
NONCE_BYTES = 12
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DESTROYED = b"destroyed\n"


def canonical(context: Context) -> bytes:
    return json.dumps(dict(context), sort_keys=True, separators=(",", ":")).encode()


class LocalKms:
    """`directory` holds `<name>.key`; `credentials` is systemd's directory, looked at first."""

    provider = "local"

    def __init__(
        self, directory: Path | None, entropy: Entropy, credentials: Path | None = None
    ) -> None:
        self._directory = directory
        self._credentials = credentials
        self._entropy = entropy

    async def create(self, name: str) -> str:
        if self._directory is None:
            raise ClientError(
                Code.CONFLICT,
                409,
                "Credentials are made outside of the server: add one of 32 bytes and name it.",
            )
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        reference, number = name, 1
        while (path := self._path(self._directory, reference)).exists():
            number += 1
            reference = f"{name}-{number}"
        _write(path, self._entropy.token(KEY_BYTES))
        return reference

    async def wrap(self, reference: str, plaintext: bytes, context: Context) -> bytes:
        nonce = self._entropy.token(NONCE_BYTES)
        return nonce + self._cipher(reference).encrypt(nonce, plaintext, canonical(context))

    async def unwrap(self, reference: str, wrapped: bytes, context: Context) -> bytes:
        nonce, body = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return self._cipher(reference).decrypt(nonce, body, canonical(context))
        except (InvalidTag, ValueError):
            raise IntegrityError("A wrapped key was changed.") from None

    async def destroy(self, reference: str) -> None:
        """Overwrites the file in place. What a disk or a backup kept of it is the operator's."""
        found = self._find(reference)
        if found is None:
            return
        if self._directory is None or found.parent != self._directory:
            raise ClientError(
                Code.CONFLICT, 409, "Remove the credential itself, then confirm its destruction."
            )
        with found.open("r+b") as file:
            file.write(bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            file.truncate()
            file.write(DESTROYED)
            file.flush()
            os.fsync(file.fileno())

    async def close(self) -> None:
        return None

    def _cipher(self, reference: str) -> AESGCM:
        """Read each time: taking the file away is how an operator locks everything."""
        path = self._find(reference)
        if path is None:
            raise Unavailable(f"The master key file {reference} is not there.", retry_after=60)
        try:
            mode = path.stat().st_mode & 0o777
            material = path.read_bytes()
        except OSError as error:
            raise Unavailable(f"The master key file {reference} cannot be read.", 60) from error
        if material == DESTROYED:
            raise KeyDestroyed
        if mode & 0o077 and path.parent == self._directory:
            raise ConfigError(f"kms.local {path.name}", f"mode is {mode:o}; run chmod 600 on it")
        if len(material) != KEY_BYTES:
            raise ConfigError(f"kms.local {path.name}", f"must hold exactly {KEY_BYTES} bytes")
        return AESGCM(material)

    def _find(self, reference: str) -> Path | None:
        if self._credentials is not None:
            path = self._credentials / _checked(reference)
            if path.is_file():
                return path
        if self._directory is not None:
            path = self._path(self._directory, reference)
            if path.is_file():
                return path
        return None

    @staticmethod
    def _path(directory: Path, reference: str) -> Path:
        return directory / f"{_checked(reference)}.key"


def _checked(reference: str) -> str:
    """A reference comes from the register; it must not walk out of its directory all the same."""
    if NAME.fullmatch(reference) is None:
        raise IntegrityError("The register names a key that cannot be a file's name.")
    return reference


def _write(path: Path, material: bytes) -> None:
    """Durable before it wraps anything: a key lost with a power cut would take its data along."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(material)
        file.flush()
        os.fsync(file.fileno())
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
