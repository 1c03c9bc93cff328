"""Names of files as people may see them: no paths, no tricks with writing direction. Pure."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

MAX_BYTES = 200
UNNAMED = "file"
# Devices of Windows, which opens them whatever the ending.
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{kind}{n}" for kind in ("com", "lpt") for n in "123456789¹²³"}
)
_FORBIDDEN = frozenset('<>:"|?*')
# RFC 8187 section 3.2.1: attr-char, without `*`, `'` and `%`.
_ATTR = "!#$&+-.^_`|~"


def cleaned(name: str) -> str:
    """The last part of a path, in NFC, without control and format characters (which hold those that
    turn the writing direction), at most 200 bytes; the ending is kept when it must be cut.
    """
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    kept = "".join(_shown(character) for character in name)
    kept = " ".join(kept.split()).strip(" .")
    stem, _, _ = kept.partition(".")
    if stem.strip().lower() in _DEVICES:
        kept = "_" + kept
    return _cut(kept) or UNNAMED


def _shown(character: str) -> str:
    if character in _FORBIDDEN:
        return "_"
    # Cc, Cf (bidi overrides, zero width), Cs, Co, Cn, Zl, Zp.
    category = unicodedata.category(character)
    if category in ("Zl", "Zp", "Zs"):
        return " "
    return "" if category[0] == "C" else character


def _cut(name: str) -> str:
    if len(name.encode()) <= MAX_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending.encode()) > 20:
        stem, ending = name, ""
    room = MAX_BYTES - len((dot + ending).encode()) if ending else MAX_BYTES
    short = stem.encode()[:room].decode(errors="ignore").rstrip(" .")
    return short + dot + ending if ending else short


def ending_of(name: str) -> str:
    """`photo.JPG` -> `jpg`."""
    stem, dot, ending = name.rpartition(".")
    return ending.lower() if dot and stem else ""


def with_ending(name: str, ending: str) -> str:
    """For a file that became another type: `beach.heic` -> `beach.jpg`."""
    stem, dot, _ = name.rpartition(".")
    return f"{stem if dot and stem else name}.{ending}"


def disposition(name: str, *, inline: bool) -> str:
    """RFC 6266: a plain name for the old, the whole one for everybody else."""
    kind = "inline" if inline else "attachment"
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_ATTR)}"
