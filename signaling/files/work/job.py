"""What the server asks a worker and what it answers. Pure; both sides check what they read."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from signaling.files.port import Variant

MESSAGE_BYTES = 64 * 1024
WAVES = 100
Pixels = Annotated[int, Meta(ge=1, le=1_000_000)]


class Job(Struct, frozen=True, kw_only=True):
    """With it go two files in memory: one to read, one to write."""

    family: str
    reader: str
    size: int
    max_pixels: int
    max_unpacked: int
    keep_location: bool = False


class Output(Struct, frozen=True, kw_only=True):
    """`size` bytes from `start` of the second file."""

    variant: Variant
    media_type: Annotated[str, Meta(max_length=64, pattern=r"^(image|video|audio)/[a-z0-9.+-]+$")]
    start: Annotated[int, Meta(ge=0)]
    size: Annotated[int, Meta(ge=1)]
    width: Pixels | None = None
    height: Pixels | None = None


class Done(Struct, frozen=True, kw_only=True, tag="done"):
    """No outputs: the file stays as it is. `ending` is what a name of the new type ends with."""

    outputs: Annotated[tuple[Output, ...], Meta(max_length=4)] = ()
    ending: Annotated[str, Meta(max_length=8, pattern=r"^[a-z0-9]*$")] = ""
    width: Pixels | None = None
    height: Pixels | None = None
    duration: Annotated[float, Meta(ge=0, le=10_000_000)] | None = None
    waveform: Annotated[tuple[Annotated[int, Meta(ge=0, le=255)], ...], Meta(max_length=128)] = ()
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None


class Failed(Struct, frozen=True, kw_only=True, tag="failed"):
    """`code` is one of `file_unreadable`, `file_too_complex`, `file_type_refused`."""

    code: str


Reply = Done | Failed


class Unreadable(Exception):  # noqa: N818 - names what happened
    """It is not what its first bytes say, or is damaged."""


class TooComplex(Exception):  # noqa: N818 - names what happened
    """It would take more than it may."""


class Untakable(Exception):  # noqa: N818 - names what happened
    """A kind that cannot be stripped."""
