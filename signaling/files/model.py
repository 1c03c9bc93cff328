"""Rows of files and the keys that protect them. Pure.

`Stored` lies under the app's metadata key and says nothing that was written by a person: the name
and what the content tells are in `private`, sealed with the file's own key. That key is in the row
(sealed with a key of its owner) until a message holds the file, and then in the message alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from signaling.errors import ClientError, Code
from signaling.files.port import OPAQUE, FileInfo, Shape, State, Variant
from signaling.storage.untold import Owing, untold_terms

KEY_BYTES = 32
NONCE_BYTES = 12


class Private(Struct, frozen=True, kw_only=True):
    """What the server reads only with the file's key."""

    name: str = ""
    declared: str = ""
    sha256: str = ""
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    waveform: tuple[int, ...] = ()
    latitude: float | None = None
    longitude: float | None = None


class Stored(Owing, frozen=True, kw_only=True):
    """One file. `charged` is what the quotas of owner and room count; `claim` until when (Unix
    time) a process works on it, `worker` which.
    """

    owner: str
    room: str
    created: float
    touched: float
    check: bytes
    private: bytes
    state: State = State.UPLOADING
    key: bytes = b""
    size: int = 0
    charged: int = 0
    media_type: str = OPAQUE
    opaque: bool = False
    voice: bool = False
    keep_location: bool = False
    scanned: bool = False
    posted: bool = False
    reason: str = ""
    shapes: tuple[Shape, ...] = ()
    claim: float = 0.0
    worker: str = ""

    def shape(self, variant: Variant) -> Shape | None:
        return next((shape for shape in self.shapes if shape.variant is variant), None)


class Upload(Struct, frozen=True, kw_only=True):
    """How far an upload came. `journal` names chunks that may lie in the blobs without belonging to
    the file: written before them, so that nothing is left behind by a crash.
    """

    length: int
    offset: int = 0
    journal: tuple[bytes, ...] = ()


class Page(Struct, frozen=True):
    """Names of up to `PAGE` chunks of one form, 32 bytes each."""

    names: bytes


class Used(Struct, frozen=True):
    """Bytes that count against a quota, and uploads that are not complete."""

    size: int = 0
    uploads: int = 0


class Reference(Struct, frozen=True, kw_only=True):
    """A message of a room holds a file. `begun` (Unix time) while it is only about to: from before
    its append until somebody noted that the log has it.
    """

    file: str
    room: str
    message: str
    begun: float = 0.0


def terms_of(stored: Stored) -> tuple[str, ...]:
    found = [f"state:{stored.state}", f"owner:{stored.owner}", f"room:{stored.room}"]
    if stored.state is State.READY and not stored.posted:
        found.append("unposted")
    return (*found, *untold_terms(stored))


def check_of(key: bytes) -> bytes:
    """By which a key is known again without being kept."""
    return hashlib.sha256(b"sotto file key\0" + key).digest()


def is_key(stored: Stored, key: bytes) -> bool:
    return hmac.compare_digest(check_of(key), stored.check)


def written(key: bytes) -> str:
    return base64.b64encode(key).decode()


def read_key(text: str) -> bytes:
    """Raises 422 for what was never a key."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ClientError(Code.FIELDS_INVALID, 422, "The key is 32 bytes in base64.")
    return key


def seal_private(key: bytes, file: str, private: Private, nonce: bytes) -> bytes:
    data = msgspec.msgpack.encode(private)
    return nonce + AESGCM(key).encrypt(nonce, data, _bound(file))


def open_private(key: bytes, file: str, sealed: bytes) -> Private:
    try:
        data = AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(file))
    except InvalidTag:
        raise ClientError(Code.NOT_FOUND, 404, "There is no such file.") from None
    return msgspec.msgpack.decode(data, type=Private)


def _bound(file: str) -> bytes:
    return b"sotto file private\0" + file.encode()


def info_of(
    ident: str, stored: Stored, key: bytes | None = None, offset: int | None = None
) -> FileInfo:
    """With the key everything, without it what the row says."""
    private = Private() if key is None else open_private(key, ident, stored.private)
    return FileInfo(
        id=ident,
        state=stored.state,
        room=stored.room,
        media_type=stored.media_type,
        size=stored.size,
        offset=offset,
        key="" if key is None else written(key),
        name=private.name,
        sha256=private.sha256,
        width=private.width,
        height=private.height,
        duration=private.duration,
        voice=stored.voice,
        waveform=private.waveform,
        latitude=private.latitude,
        longitude=private.longitude,
        opaque=stored.opaque,
        scanned=stored.scanned,
        reason=stored.reason,
        shapes=stored.shapes,
    )
