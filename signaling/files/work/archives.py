"""What an archive would come to when somebody unpacks it, within bounds. Runs in the worker only.

Nothing is kept of what is read: the archive is handed out as it came, or refused.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, Protocol

from signaling.files.work.job import Done, Job, TooComplex, Unreadable

ENTRIES = 50_000
DEPTH = 4
PIECE = 1024 * 1024
# Archives inside archives are looked into up to this size each; larger ones count as they are.
NESTED_BYTES = 64 * 1024 * 1024
XZ_MEMORY = 128 * 1024 * 1024
# Deflate makes at most 1,032 bytes of one; text that people send some 10, logs some 50.
RATIO = 200
RATIO_FROM = 64 * 1024 * 1024
_STARTS = {b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "xz"}


class _Stream(Protocol):
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


class Budget:
    """Bytes that may still come out; of all layers together."""

    def __init__(self, most: int, size: int) -> None:
        self._left, self._out, self._size = most, 0, max(1, size)

    def take(self, count: int) -> None:
        self._out += count
        if self._out > self._left:
            raise TooComplex
        if self._out > RATIO_FROM and self._out // self._size > RATIO:
            raise TooComplex


def check(job: Job, source: BinaryIO) -> Done:
    budget = Budget(job.max_unpacked, job.size)
    try:
        _look(job.reader, source, budget, 1)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise Unreadable(type(error).__name__) from error
    except (ValueError, RuntimeError, KeyError, IndexError) as error:
        raise Unreadable(type(error).__name__) from error
    return Done()


def _look(kind: str, source: BinaryIO, budget: Budget, depth: int) -> None:
    if depth > DEPTH:
        raise TooComplex
    if kind == "zip":
        _zip(source, budget, depth)
    else:
        _nested(_unpacked(kind, source), budget, depth)


def _zip(source: BinaryIO, budget: Budget, depth: int) -> None:
    with zipfile.ZipFile(source) as archive:
        entries = archive.infolist()
        if len(entries) > ENTRIES:
            raise TooComplex
        size = source.seek(0, io.SEEK_END)
        if sum(entry.compress_size for entry in entries) > size:
            raise TooComplex  # entries that share their bytes
        for entry in entries:
            readable = not entry.flag_bits & 1 and entry.compress_type in (0, 8, 12, 14)
            if not readable:
                budget.take(entry.file_size)
                continue
            with archive.open(entry) as file:
                _nested(_read(file), budget, depth)


def _read(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _unpacked(kind: str, source: BinaryIO) -> Iterator[bytes]:
    """What comes out of a stream, which may hold several members one after another."""
    rest = source.read(PIECE)
    while rest:
        engine = _engine(kind)
        while not engine.eof:
            if engine.needs_input and not rest:
                rest = source.read(PIECE)
                if not rest:
                    raise EOFError
            piece = engine.decompress(rest if engine.needs_input else b"", PIECE)
            rest = b""
            if piece:
                yield piece
        # Padding between members (RFC 1952 section 2.2 allows none, tapes had it).
        rest = (engine.unused_data or source.read(PIECE)).lstrip(b"\0")


def _engine(kind: str) -> _Stream:
    if kind == "gzip":
        return _Gzip()
    if kind == "bz2":
        return bz2.BZ2Decompressor()
    return lzma.LZMADecompressor(memlimit=XZ_MEMORY)


class _Gzip:
    """zlib's decompressor with the face of the other two."""

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def needs_input(self) -> bool:
        return not self._engine.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def decompress(self, data: bytes, max_length: int = PIECE) -> bytes:
        return self._engine.decompress(self._engine.unconsumed_tail + data, max_length)


def _nested(pieces: Iterator[bytes], budget: Budget, depth: int) -> None:
    """Counts what comes out, and looks into it when it is an archive itself."""
    kind, kept = "", bytearray()
    first = True
    for piece in pieces:
        budget.take(len(piece))
        if first:
            kind = next((k for start, k in _STARTS.items() if piece.startswith(start)), "")
            first = False
        if kind and len(kept) <= NESTED_BYTES:
            kept += piece
    if kind and len(kept) <= NESTED_BYTES:
        try:
            _look(kind, io.BytesIO(bytes(kept)), budget, depth + 1)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
            return
