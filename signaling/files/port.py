"""What the rest of the server sees of files, and what files ask of it. Types and protocols only.

A file belongs to who uploaded it until a message holds it (`Files.attach`, then `Files.posted`);
from then on whoever may read one of the rooms that hold it may fetch it, with the key that lies in
the message: the server forgets its own copy of the key. Of an `attach` that no `posted` followed,
the room's log decides (`Files.look_after`). `Files.released` takes references away, and with the
last one the file goes; `Files.delete` is for erasure.

    uploading -> uploaded -> ready | refused | quarantined        (gone at any time)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from signaling.access.evaluate import Holder

CHUNK = 64 * 1024
"""Plain bytes in each sealed chunk but the last."""
OPAQUE = "application/octet-stream"


class State(StrEnum):
    UPLOADING = "uploading"
    UPLOADED = "uploaded"  # all bytes are there; checks have not ended
    READY = "ready"
    REFUSED = "refused"  # the content is gone; `reason` says why
    QUARANTINED = "quarantined"  # a scanner named it; nobody gets it


class Variant(StrEnum):
    """The forms of one file. `SOURCE` is what was uploaded, kept only where nothing replaces it."""

    SOURCE = "source"
    FILE = "file"
    PREVIEW = "preview"
    THUMBNAIL = "thumbnail"


class Mode(StrEnum):
    """Of a room, as far as files care."""

    SEARCHABLE = "searchable"
    E2EE = "e2ee"
    TRANSIENT = "transient"


class Shape(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One form that can be fetched."""

    variant: Variant
    media_type: str
    size: int
    width: int | None = None
    height: int | None = None


class FileInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `FileRef` of a message is filled from. `key` (base64, 32 bytes), `name` and what follows
    from the content are there for the owner until the first post, and for who has the key.
    """

    id: str
    state: State
    room: str
    media_type: str
    size: int
    offset: int | None = None
    key: str = ""
    name: str = ""
    sha256: str = ""
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    voice: bool = False
    waveform: tuple[int, ...] = ()
    latitude: float | None = None
    longitude: float | None = None
    opaque: bool = False
    scanned: bool = False
    reason: str = ""
    shapes: tuple[Shape, ...] = ()


class Caller(Protocol):
    """Who acts, on either plane; chat's `Actor` is one."""

    @property
    def app(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def holder(self) -> Holder: ...
    @property
    def who(self) -> tuple[str, ...]: ...


class Rooms(Protocol):
    """Chat's answer about a room."""

    async def mode(self, app: str, room: str) -> Mode | None:
        """None: there is no such room."""

    async def shows(self, app: str, room: str, message: str, account: str) -> bool:
        """Whether a message is not over, nor from before an account came, where that is hidden."""

    async def holds(self, app: str, room: str, message: str, file: str) -> bool:
        """Whether a message that was not deleted has this file, in one of its versions."""

    async def expects(self, app: str, message: str) -> bool:
        """Whether it was scheduled, and its time has not come."""


class AnyRoom:
    """Where nobody keeps rooms: each is there, searchable, hides nothing and has every file."""

    async def mode(self, app: str, room: str) -> Mode | None:
        return Mode.SEARCHABLE

    async def shows(self, app: str, room: str, message: str, account: str) -> bool:
        return True

    async def holds(self, app: str, room: str, message: str, file: str) -> bool:
        return True

    async def expects(self, app: str, message: str) -> bool:
        return False


class Verdict(Struct, frozen=True):
    """`infected` names what was found; empty: nothing was."""

    infected: str = ""


class Scanner(Protocol):
    """A virus scanner. Raises Unavailable when it gives no verdict."""

    async def scan(self, data: AsyncIterator[bytes], size: int) -> Verdict: ...
