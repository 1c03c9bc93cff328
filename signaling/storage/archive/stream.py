"""The archive's file: a header in the clear, then records in chunks under AES-256-GCM.

The key is derived (HKDF, RFC 5869) from the operator's key file and a random salt, so every archive
has its own, and a chunk's number is its nonce. A chunk's associated data is the header, its number
and whether it is the last: changed, moved, cut or appended chunks do not open.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from signaling.storage.archive.records import FORMAT, Any, Broken, Part, decode, encode

MAGIC = b"SOTTO-BACKUP\n"
KEY_BYTES = 32
SALT_BYTES = 32
CHUNK = 1024 * 1024
TAG = 16
# A record is a document, an op or a blob with its names.
MAX_RECORD = 8 * 1024 * 1024
MAX_HEADER = 4096
_LENGTH = struct.Struct(">I")


class Header(msgspec.Struct, frozen=True):
    """`created` in Unix seconds."""

    format: int
    part: Part
    created: float
    salt: bytes


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    derived = HKDF(hashes.SHA256(), 32, salt, b"sotto backup 1").derive(key)
    return AESGCM(derived)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


class Writer:
    """`add` records, then `finish`."""

    def __init__(self, file: BinaryIO, key: bytes, header: Header) -> None:
        self._file = file
        packed = msgspec.msgpack.encode(header)
        self._header = MAGIC + packed
        self._cipher = _cipher(key, header.salt)
        self._buffer = bytearray()
        self._number = 0
        file.write(MAGIC + _LENGTH.pack(len(packed)) + packed)

    def add(self, record: Any) -> None:
        packed = encode(record)
        self._buffer += _LENGTH.pack(len(packed)) + packed
        while len(self._buffer) > CHUNK:
            self._seal(bytes(self._buffer[:CHUNK]), last=False)
            del self._buffer[:CHUNK]

    def finish(self) -> None:
        self._seal(bytes(self._buffer), last=True)

    def _seal(self, data: bytes, *, last: bool) -> None:
        bound = self._header + bytes([last])
        sealed = self._cipher.encrypt(_nonce(self._number), data, bound)
        self._file.write(_LENGTH.pack(len(sealed)) + sealed)
        self._number += 1


def read_header(file: BinaryIO) -> tuple[Header, bytes]:
    """And its bytes. Raises `Broken` for anything that is not an archive that we can read."""
    if file.read(len(MAGIC)) != MAGIC:
        raise Broken("this is not an archive of Sotto")
    (length,) = _LENGTH.unpack(_exactly(file, 4))
    if length > MAX_HEADER:
        raise Broken("the header cannot be read")
    try:
        packed = _exactly(file, length)
        header = msgspec.msgpack.decode(packed, type=Header)
    except msgspec.DecodeError as error:
        raise Broken("the header cannot be read") from error
    if header.format != FORMAT:
        raise Broken(f"the archive has format {header.format}; this version reads {FORMAT}")
    return header, MAGIC + packed


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise Broken("the archive was cut")
    return data


def read_records(file: BinaryIO, key: bytes) -> Iterator[Any]:
    """From the archive's beginning. Raises `Broken` as soon as something is wrong."""
    header, bound = read_header(file)
    cipher = _cipher(key, header.salt)
    buffer = bytearray()
    for data in _chunks(file, cipher, bound):
        buffer += data
        while len(buffer) >= 4:
            (length,) = _LENGTH.unpack_from(buffer)
            if length > MAX_RECORD:
                raise Broken("a record is too long")
            if len(buffer) < 4 + length:
                break
            yield decode(bytes(buffer[4 : 4 + length]))
            del buffer[: 4 + length]
    if buffer:
        raise Broken("the last record was cut")


def _chunks(file: BinaryIO, cipher: AESGCM, bound: bytes) -> Iterator[bytes]:
    number, head = 0, _exactly(file, 4)
    while head:
        (length,) = _LENGTH.unpack(head)
        if length > CHUNK + TAG:
            raise Broken("a chunk is too long")
        sealed = _exactly(file, length)
        head = file.read(4)
        if head and len(head) != 4:
            raise Broken("the archive was cut")
        try:
            yield cipher.decrypt(_nonce(number), sealed, bound + bytes([not head]))
        except InvalidTag as error:
            what = "the key is another's, or " if number == 0 else ""
            raise Broken(f"{what}the archive was changed or cut") from error
        number += 1
