"""A ZIP that a stranger made, read without ever trusting it: bounded, streamed, never unpacked.

Nothing is written under a name that it gives. Refused before a byte is inflated: what is no whole
ZIP, entries that lead elsewhere, come twice, overlap, are encrypted or packed in ways that we do
not read, and what would come to far more than it is (PKWARE APPNOTE 6.3.10; overlaps: the archive
of 42 kB that unpacks to 4.5 PB). Used from a thread; pure otherwise.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, cast

from signaling.compliance.imports.port import Bad
from signaling.errors import Code

PIECE = 64 * 1024
# The directory is read at once: about 150,000 entries with names as they are usual.
MOST_DIRECTORY = 16 * 1024 * 1024
MOST_ENTRIES = 200_000
# JSON of exports packs to a tenth; what packs better than this is made to do harm.
RATIO = 200
SMALL = 64 * 1024 * 1024
# One message with everything about it, all replies of its thread included.
MOST_ITEM = 4 * 1024 * 1024
MOST_DEPTH = 64
_BROKEN = (
    zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, EOFError,
    struct.error, ValueError, OverflowError, KeyError, IndexError, zlib.error,
    OSError,
)  # fmt: skip
_STRING = re.compile(rb'["\\]')
_PLAIN = re.compile(rb'["{}\[\]]')


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except _BROKEN:
        raise Bad("It is not a whole ZIP archive, or a part of it was changed.") from None


class _Guarded:
    """The archive as `zipfile` reads it: what it asks for at once is bounded."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._size = file, size

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            size = max(0, self._size - self.tell())
        if size > MOST_DIRECTORY:
            raise Bad(f"Its directory may have {MOST_DIRECTORY} bytes.", Code.ARCHIVE_TOO_LARGE)
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


class Zipped:
    """One archive of `size` bytes; `most` is what all of it may come to."""

    def __init__(self, file: IO[bytes], size: int, most: int) -> None:
        with _reading():
            self._zip = zipfile.ZipFile(cast("IO[bytes]", _Guarded(file, size)))
            entries = self._zip.infolist()
        if len(entries) > MOST_ENTRIES:
            raise Bad(f"It may have {MOST_ENTRIES} entries.", Code.ARCHIVE_TOO_LARGE)
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            _check(entry)
            if entry.filename in self._entries:
                raise Bad("Two of its entries have the same name.")
            self._entries[entry.filename] = entry
        self._check_sizes(size, most)
        self.names = [name for name in self._entries if not name.endswith("/")]

    def _check_sizes(self, size: int, most: int) -> None:
        entries = self._entries.values()
        packed = sum(entry.compress_size for entry in entries)
        whole = sum(entry.file_size for entry in entries)
        if packed > size:
            raise Bad("Its entries lie over each other.", Code.ARCHIVE_TOO_LARGE)
        if whole > min(most, max(SMALL, RATIO * size)):
            message = "It unpacks to more than an export of its size would."
            raise Bad(message, Code.ARCHIVE_TOO_LARGE)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def size(self, name: str) -> int:
        return self._entries[name].file_size

    @property
    def total(self) -> int:
        return sum(entry.file_size for entry in self._entries.values())

    def parts(self, name: str) -> Iterator[bytes]:
        """Its bytes; at their end size and CRC were right."""
        entry = self._entries.get(name)
        if entry is None:
            raise Bad(f"It has no {name[:100]}.")
        left = entry.file_size
        with _reading(), self._zip.open(entry) as opened:
            while part := opened.read(PIECE):
                left -= len(part)
                yield part
        if left:
            raise Bad("An entry is shorter than it says.")

    def whole(self, name: str) -> bytes:
        """Of something small."""
        if name in self._entries and self.size(name) > MOST_ITEM:
            raise Bad(f"{name[:100]} is too large.", Code.ARCHIVE_TOO_LARGE)
        return b"".join(self.parts(name))

    def digest(self, name: str) -> Iterator[tuple[int, str]]:
        """How many bytes were looked at since, and at the end their SHA-256."""
        made = hashlib.sha256()
        for part in self.parts(name):
            made.update(part)
            yield len(part), ""
        yield 0, made.hexdigest()

    def lines(self, name: str) -> Iterator[bytes]:
        return lines(self.parts(name))

    def elements(self, name: str) -> Iterator[bytes]:
        return elements(self.parts(name))


def _check(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    path = name[:-1] if name.endswith("/") else name
    leads_out = any(part in ("", ".", "..") for part in path.split("/"))
    if leads_out or "\\" in name or "\0" in entry.orig_filename or re.match(r"[A-Za-z]:", name):
        raise Bad("One of its entries leads out of the archive.")
    if len(name) > 1024:
        raise Bad("One of its entries has too long a name.")
    if entry.flag_bits & 0x1:
        raise Bad("It is encrypted.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Bad("It is packed in a way that is not read here: use deflate.")
    if (entry.external_attr >> 28) == 0xA:
        raise Bad("It has a symbolic link.")


def lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Without those that are empty. Raises Bad for one that never ends."""
    rest = b""
    for part in parts:
        *found, rest = (rest + part).split(b"\n")
        for line in found:
            if line.strip():
                yield line
        if len(rest) > MOST_ITEM:
            raise Bad("A line of it is too long.", Code.ARCHIVE_TOO_LARGE)
    if rest.strip():
        yield rest


def elements(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The objects of a JSON array (RFC 8259), one by one, not yet parsed."""
    split = _Splitter()
    for part in parts:
        yield from split.feed(part)
    if not split.ended:
        raise Bad("A list in it is cut short.")


class _Splitter:
    """Knows strings and brackets, which is all that it takes to find where an object ends."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at, self._start, self._depth, self._string = 0, -1, 0, False
        self.ended = False

    def feed(self, part: bytes) -> Iterator[bytes]:
        self._buffer += part
        while (found := self._next()) is not None:
            if found:
                yield found
        if self._start < 0:
            del self._buffer[: self._at]
            self._at = 0
        elif len(self._buffer) - self._start > MOST_ITEM:
            raise Bad("A part of it is too large.", Code.ARCHIVE_TOO_LARGE)

    def _next(self) -> bytes | None:
        """A whole object; nothing yet, but go on (empty); or None until there are more bytes."""
        met = (_STRING if self._string else _PLAIN).search(self._buffer, self._at)
        if met is None:
            self._at = len(self._buffer)
            return None
        where, sign = met.start(), met[0]
        if sign == b"\\":
            if where + 1 == len(self._buffer):
                self._at = where
                return None
            self._at = where + 2
            return b""
        self._at = where + 1
        if sign == b'"':
            self._string = not self._string
        elif sign in b"{[":
            self._deeper(where, sign)
        else:
            return self._shallower()
        return b""

    def _deeper(self, where: int, sign: bytes) -> None:
        if self.ended or self._depth == MOST_DEPTH or (self._depth == 0 and sign != b"["):
            raise Bad("A list in it is not one.")
        if self._depth == 1:
            self._start = where
        self._depth += 1

    def _shallower(self) -> bytes:
        self._depth -= 1
        if self._depth < 0:
            raise Bad("A list in it is not one.")
        self.ended = self._depth == 0
        if self._depth != 1:
            return b""
        found = bytes(self._buffer[self._start : self._at])
        del self._buffer[: self._at]
        self._at, self._start = 0, -1
        return found
