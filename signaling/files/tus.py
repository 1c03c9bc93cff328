"""The header fields of tus 1.0 (https://tus.io/protocols/resumable-upload), read and checked. Pure.

Extensions: creation, creation-with-upload, expiration, checksum, termination.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Protocol

from signaling.errors import ClientError, Code

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,checksum,termination"
# The specification asks for sha1; it guards against accidents only, TLS against people.
ALGORITHMS = ("sha1", "sha256", "sha512")
CONTENT_TYPE = "application/offset+octet-stream"
RESUMABLE = {"Tus-Resumable": VERSION}
METADATA_BYTES = 4096
_KEY = re.compile(r"[!-+\--~]{1,64}")  # ASCII without space and comma
_NUMBER = re.compile(r"[0-9]{1,16}")


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class Checksum:
    """`Upload-Checksum` of one PATCH."""

    def __init__(self, algorithm: str, wanted: bytes) -> None:
        self._hash: _Hash = hashlib.new(algorithm, usedforsecurity=False)
        self._wanted = wanted

    def update(self, data: bytes) -> None:
        self._hash.update(data)

    @property
    def matches(self) -> bool:
        return hmac.compare_digest(self._hash.digest(), self._wanted)


def require_version(given: str | None) -> None:
    """Raises 412 with `Tus-Version`."""
    if given != VERSION:
        raise ClientError(
            Code.TUS_VERSION_UNSUPPORTED,
            412,
            f"Send Tus-Resumable: {VERSION}.",
            headers={"Tus-Version": VERSION},
        )


def number(text: str | None, name: str) -> int:
    """Raises 400: a non-negative integer, as the specification wants each of them."""
    if text is None or not _NUMBER.fullmatch(text):
        raise ClientError(Code.BAD_REQUEST, 400, f"{name} is a number from 0.")
    return int(text)


def metadata(text: str | None) -> dict[str, str]:
    """`filename d29ybGQ=,voice` -> a dictionary. Raises 400."""
    found: dict[str, str] = {}
    if not text:
        return found
    if len(text) > METADATA_BYTES:
        raise _bad_metadata("It is too long.")
    for pair in text.split(","):
        key, _, value = pair.strip(" ").partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise _bad_metadata("Keys are ASCII, and each comes once.")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except ValueError:
            raise _bad_metadata("Values are base64 of UTF-8.") from None
    return found


def flag(found: Mapping[str, str], name: str) -> bool:
    """Present without a value, or `true`."""
    text = found.get(name, "false")
    if text not in ("", "true", "false", "1", "0"):
        raise _bad_metadata(f"{name} is true or false.")
    return text in ("", "true", "1")


def checksum(text: str | None) -> Checksum | None:
    """Raises 400 for an algorithm that is not offered."""
    if text is None:
        return None
    algorithm, _, value = text.partition(" ")
    try:
        wanted = base64.b64decode(value, validate=True)
    except ValueError:
        wanted = b""
    if algorithm not in ALGORITHMS or not wanted:
        raise ClientError(
            Code.BAD_REQUEST, 400, "Upload-Checksum is one of Tus-Checksum-Algorithm and base64."
        )
    return Checksum(algorithm, wanted)


def expires(unix: float) -> str:
    """RFC 9110 section 5.6.7."""
    return format_datetime(datetime.fromtimestamp(unix, UTC), usegmt=True)


def options(max_bytes: int) -> dict[str, str]:
    return {
        **RESUMABLE,
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(max_bytes),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }


def _bad_metadata(why: str) -> ClientError:
    return ClientError(Code.BAD_REQUEST, 400, f"Upload-Metadata is wrong. {why}")
