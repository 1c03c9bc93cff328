"""What a message says: the body of a post or an edit, in the form that the room's mode asks for.

Searchable and transient rooms take `m.plain.v1`, encrypted rooms `m.e2ee.v1`, which is checked for
shape and lengths and never opened. Pure types; `checks` holds what a type cannot say.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from signaling.ids import UUID7

# A message id is made by its author's device; accounts and rooms get theirs from the server. What
# signs in with an access token may have any name that the Access Manager takes.
BASE64 = r"^[A-Za-z0-9+/]*={0,2}$"
# The whole of a change must fit a frame of 64 KiB with room for its envelope.
MAX_TEXT = 16_000
MAX_CIPHERTEXT = 40 * 1024
SALT_BYTES = 16
SIGNATURE_BYTES = 64
TAG_BYTES = 16
# What `pad` of an encrypted body may come to; above 512 steps of 512.
PADDED = (32, 64, 128, 256, 512)
PAD_STEP = 512

MessageId = Annotated[str, Meta(pattern=UUID7)]
RoomId = Annotated[str, Meta(pattern=UUID7)]
AccountId = Annotated[str, Meta(min_length=1, max_length=256)]
FileId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Base64 = Annotated[str, Meta(pattern=BASE64, max_length=4 * MAX_CIPHERTEXT // 3 + 4)]
Pixels = Annotated[int, Meta(ge=1, le=100_000)]


class FileRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file of a message, with the key that opens it. `voice` marks a voice message: `duration`
    in seconds and a `waveform` of up to 128 loudnesses go with it. `latitude` and `longitude` only
    when the sender chose to say where.
    """

    id: FileId
    key: Annotated[str, Meta(max_length=88, pattern=BASE64)] = ""
    name: Annotated[str, Meta(max_length=255)] = ""
    media_type: Annotated[str, Meta(max_length=127)] = "application/octet-stream"
    size: Annotated[int, Meta(ge=0, le=2**53)] = 0
    sha256: Annotated[str, Meta(max_length=64)] = ""
    width: Pixels | None = None
    height: Pixels | None = None
    duration: Annotated[float, Meta(ge=0, le=10_000_000)] | None = None
    voice: bool = False
    waveform: Annotated[tuple[Annotated[int, Meta(ge=0, le=255)], ...], Meta(max_length=128)] = ()
    blurhash: Annotated[str, Meta(max_length=64)] = ""
    caption: Annotated[str, Meta(max_length=1000)] = ""
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None


Option = Annotated[str, Meta(min_length=1, max_length=200)]


class Plain(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True,
    tag_field="format", tag="m.plain.v1",
):  # fmt: skip
    """Text in Markdown, files, and of a poll the question (`text`) with its `options`."""

    text: Annotated[str, Meta(max_length=MAX_TEXT)] = ""
    files: Annotated[tuple[FileRef, ...], Meta(max_length=20)] = ()
    options: Annotated[tuple[Option, ...], Meta(max_length=20)] = ()


class Sealed(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
    tag_field="format", tag="m.e2ee.v1",
):  # fmt: skip
    """docs e2ee 5.5. `account` and `device` must be the sender's own; `sent_at` is the sender's
    clock in ms. `salt` has 16 bytes, `sig` 64, `ct` a padded length and the tag of 16.
    """

    account: AccountId
    device: Annotated[str, Meta(max_length=256)]
    group_id: Annotated[str, Meta(min_length=4, max_length=344, pattern=BASE64)]
    epoch: Annotated[int, Meta(ge=0, le=2**53)]
    leaf: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    sent_at: Annotated[int, Meta(ge=0, le=2**53)]
    salt: Annotated[str, Meta(min_length=24, max_length=24, pattern=BASE64)]
    ct: Base64
    sig: Annotated[str, Meta(min_length=88, max_length=88, pattern=BASE64)]


Body = Plain | Sealed


def padded(size: int) -> bool:
    """Whether a ciphertext of `size` bytes, tag included, has one of the allowed lengths."""
    inner = size - TAG_BYTES
    return inner in PADDED or (inner > PADDED[-1] and inner % PAD_STEP == 0)
