"""What a file is, by its first bytes; and whether its name and declared type say the same. Pure.

Pictures, sounds and films are recognised here, exactly enough to choose the one reader that may
open them; `puremagic` names the rest, which is only ever handed out as a download.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

import puremagic

from signaling.errors import ClientError, Code
from signaling.files.names import ending_of
from signaling.files.port import OPAQUE

HEAD = 4096
"""As many bytes are enough."""


class Family(StrEnum):
    IMAGE = "image"
    MEDIA = "media"  # sounds and films: one container may hold either
    ARCHIVE = "archive"
    OTHER = "other"


class Format(NamedTuple):
    """`reader` is the name by which the worker opens it, "" when nobody may."""

    family: Family
    reader: str
    media_type: str
    endings: tuple[str, ...]


def _image(reader: str, media_type: str, *endings: str) -> Format:
    return Format(Family.IMAGE, reader, media_type, endings)


def _media(reader: str, media_type: str, *endings: str) -> Format:
    return Format(Family.MEDIA, reader, media_type, endings)


def _archive(reader: str, media_type: str, *endings: str) -> Format:
    return Format(Family.ARCHIVE, reader, media_type, endings)


JPEG = _image("JPEG", "image/jpeg", "jpg", "jpeg", "jpe", "jfif")
PNG = _image("PNG", "image/png", "png", "apng")
GIF = _image("GIF", "image/gif", "gif")
WEBP = _image("WEBP", "image/webp", "webp")
TIFF = _image("TIFF", "image/tiff", "tif", "tiff")
BMP = _image("BMP", "image/bmp", "bmp", "dib")
HEIF = _image("HEIF", "image/heic", "heic", "heif", "hif")
AVIF = _image("AVIF", "image/avif", "avif", "avifs")
MP4 = _media("mp4", "video/mp4", "mp4", "m4v", "m4a", "m4b", "m4r")
MOV = _media("mov", "video/quicktime", "mov", "qt")
THREE_GP = _media("3gp", "video/3gpp", "3gp", "3gpp", "3g2")
M4A = _media("ipod", "audio/mp4", "m4a", "m4b", "m4r", "mp4")
WEBM = _media("webm", "video/webm", "webm", "weba")
MATROSKA = _media("matroska", "video/x-matroska", "mkv", "mka")
OGG = _media("ogg", "audio/ogg", "ogg", "oga", "opus", "ogv", "spx")
MP3 = _media("mp3", "audio/mpeg", "mp3", "mpga")
FLAC = _media("flac", "audio/flac", "flac")
WAV = _media("wav", "audio/wav", "wav", "wave")
AAC = _media("adts", "audio/aac", "aac")
ZIP = _archive(
    "zip", "application/zip",
    "zip", "docx", "xlsx", "pptx", "odt", "ods", "odp", "epub", "jar", "apk", "xpi", "kmz", "cbz",
    "whl", "vsdx", "pages", "numbers", "key", "usdz", "3mf", "ipa", "aab",
)  # fmt: skip
GZIP = _archive("gzip", "application/gzip", "gz", "tgz", "svgz")
BZIP2 = _archive("bz2", "application/x-bzip2", "bz2", "tbz", "tbz2")
XZ = _archive("xz", "application/x-xz", "xz", "txz")
OTHER = Format(Family.OTHER, "", OPAQUE, ())

# Pictures and films that nothing here can strip; cameras write where they were into them.
REFUSED_IMAGE = Format(Family.IMAGE, "", "image/*", ())
REFUSED_MEDIA = Format(Family.MEDIA, "", "video/*", ())

_STARTS: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),
    (b"MM\0+", TIFF),
    (b"\xff\x0a", REFUSED_IMAGE),  # JPEG XL, bare (ISO/IEC 18181-2)
    (b"\0\0\0\x0cJXL \r\n\x87\n", REFUSED_IMAGE),
    (b"\0\0\0\x0cjP  \r\n\x87\n", REFUSED_IMAGE),  # JPEG 2000
    (b"\xff\x4f\xff\x51", REFUSED_IMAGE),
    (b"8BPS", REFUSED_IMAGE),  # Photoshop
    (b"FUJIFILMCCD-RAW", REFUSED_IMAGE),
    (b"IIRO", REFUSED_IMAGE),  # Olympus
    (b"IIRS", REFUSED_IMAGE),
    (b"MMOR", REFUSED_IMAGE),
    (b"IIU\0", REFUSED_IMAGE),  # Panasonic
    (b"II\xbc\x01", REFUSED_IMAGE),  # JPEG XR
    (b"FOVb", REFUSED_IMAGE),  # Sigma
    (b"OggS", OGG),
    (b"ID3", MP3),
    (b"fLaC", FLAC),
    (b"FLV\x01", REFUSED_MEDIA),
    (b"0&\xb2u\x8ef\xcf\x11", REFUSED_MEDIA),  # ASF: WMV, WMA
    (b"\0\0\x01\xba", REFUSED_MEDIA),  # MPEG program stream
    (b"\0\0\x01\xb3", REFUSED_MEDIA),
    (b"#!AMR", REFUSED_MEDIA),
    (b"caff", REFUSED_MEDIA),
    (b".RMF", REFUSED_MEDIA),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"PK\x07\x08", ZIP),
    (b"\x1f\x8b", GZIP),
    (b"BZh", BZIP2),
    (b"\xfd7zXZ\0", XZ),
)
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
# The first box of QuickTime files from before `ftyp`.
_OLD_MOV = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_TEXT = re.compile(rb"[\t\n\r\f\x1b -\x7e\x80-\xff]*")
_MARKUP = re.compile(rb"(?i)<(?:!doctype|html|svg|\?xml|script|head|body|iframe)")

# Endings and declared types that promise a picture or a film.
_PROMISES: dict[str, Family] = {
    ending: form.family
    for form in (
        JPEG, PNG, GIF, WEBP, TIFF, BMP, HEIF, AVIF, MP4, MOV, THREE_GP, M4A, WEBM, MATROSKA, OGG,
        MP3, FLAC, WAV, AAC, ZIP, GZIP, BZIP2, XZ,
    )
    for ending in form.endings
}  # fmt: skip
_PROMISES |= dict.fromkeys(("jxl", "jp2", "psd", "dng", "cr2", "cr3", "nef", "arw"), Family.IMAGE)
_PROMISES |= dict.fromkeys(("avi", "wmv", "wma", "flv", "mpg", "mpeg", "amr"), Family.MEDIA)
_PROMISES["pdf"] = Family.OTHER
# Too common as plain words to say anything.
_LOOSE = frozenset({"key", "pages", "numbers"})
# TIFF with these endings is a camera's raw file: what Pillow reads of it is a stamp.
_RAW = frozenset({"dng", "cr2", "nef", "nrw", "arw", "srf", "sr2", "pef", "erf", "3fr", "iiq"})


def sniff(head: bytes) -> Format:
    """By content alone. `head`: the first `HEAD` bytes, or all of a shorter file."""
    for start, form in _STARTS:
        if head.startswith(start):
            return form
    if head[:4] == b"RIFF":
        return _riff(head[8:12])
    if head[4:8] == b"ftyp":
        return _ftyp(head)
    if head[4:8] in _OLD_MOV and len(head) >= 16:
        return MOV
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return WEBM if b"webm" in head[:64] else MATROSKA
    if head[:2] == b"BM" and len(head) > 26 and head[6:10] == b"\0\0\0\0":
        return BMP
    return _frames(head)


def _riff(kind: bytes) -> Format:
    return {b"WEBP": WEBP, b"WAVE": WAV, b"AVI ": REFUSED_MEDIA}.get(kind, OTHER)


def _ftyp(head: bytes) -> Format:
    """ISO/IEC 14496-12 section 4.3: the major brand, then the compatible ones."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    brands = {major} | {head[at : at + 4] for at in range(16, size - 3, 4)}
    if major == b"crx ":
        return REFUSED_IMAGE  # Canon's CR3
    if brands & _AVIF_BRANDS:
        return AVIF
    if brands & _HEIF_BRANDS:
        return HEIF
    if b"jxl " in brands:
        return REFUSED_IMAGE
    if major == b"qt  ":
        return MOV
    if major[:3] in (b"3gp", b"3g2", b"3gr", b"3gs"):
        return THREE_GP
    return M4A if major[:3] in (b"M4A", b"M4B") else MP4


def _frames(head: bytes) -> Format:
    """Formats without a signature: a first frame whose fields are possible."""
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return REFUSED_MEDIA  # MPEG transport stream
    if len(head) > 4 and head[0] == 0xFF:
        if head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 0xF <= 12:
            return AAC
        layer, rate, sampling = head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
        if head[1] & 0xE0 == 0xE0 and layer == 1 and rate not in (0, 15) and sampling != 3:
            return MP3
    return OTHER


def identify(head: bytes, name: str, declared: str) -> Format:
    """What the file is, when its name and declared type agree with that. Raises 422 when they
    promise another family, 415 for pictures and films that cannot be stripped.
    """
    form = sniff(head)
    ending = ending_of(name)
    for promised in (_PROMISES.get(ending), _declared(declared)):
        if promised is not None and promised is not form.family and ending not in _LOOSE:
            raise _mismatch()
    if ending == "pdf" and not head.lstrip()[:5] == b"%PDF-":
        raise _mismatch()
    if form.family in (Family.IMAGE, Family.MEDIA) and not form.reader:
        raise refused()
    if form is TIFF and ending in _RAW:
        raise refused()
    if form is OTHER:
        return form._replace(media_type=_named(head, name))
    if form is ZIP:
        return form._replace(media_type=_document(ending))
    return form


def _declared(media_type: str) -> Family | None:
    kind = media_type.partition(";")[0].strip().lower()
    if kind.startswith("image/"):
        return None if "svg" in kind else Family.IMAGE
    return Family.MEDIA if kind.startswith(("video/", "audio/")) else None


def _mismatch() -> ClientError:
    return ClientError(
        Code.FILE_TYPE_MISMATCH, 422, "The content is not what its name or type says."
    )


def refused() -> ClientError:
    return ClientError(Code.FILE_TYPE_REFUSED, 415, "Files of this type are not taken.")


_OFFICE = "application/vnd.openxmlformats-officedocument."
_DOCUMENTS = {
    "docx": _OFFICE + "wordprocessingml.document",
    "xlsx": _OFFICE + "spreadsheetml.sheet",
    "pptx": _OFFICE + "presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "epub": "application/epub+zip",
}


def _document(ending: str) -> str:
    return _DOCUMENTS.get(ending, ZIP.media_type)


def _named(head: bytes, name: str) -> str:
    """A label for people. What a browser would run is never called what it is."""
    if b"\0" not in head and _TEXT.fullmatch(head):
        try:
            head.decode()
        except UnicodeDecodeError as error:
            if error.start < len(head) - 4:
                return OPAQUE
        return OPAQUE if _MARKUP.search(head) else "text/plain"
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    try:
        found = puremagic.from_string(head, mime=True, filename=name)
    except (puremagic.PureError, ValueError):
        return OPAQUE
    safe = found.startswith(("application/", "font/")) and not re.search("html|xml|script", found)
    return found if safe else OPAQUE
