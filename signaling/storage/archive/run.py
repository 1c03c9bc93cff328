"""Backing up, verifying and restoring: the steps of `sotto backup` and `sotto restore`.

A backup is written beside its name, read back whole, and only then gets its name. A restore reads
the whole archive before it touches the target, which must be empty.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from signaling.clock import Clock
from signaling.config.store import Store as Settings
from signaling.errors import ConfigError
from signaling.ids import Entropy
from signaling.storage.archive import embedded
from signaling.storage.archive.records import (
    FORMAT,
    Any,
    Broken,
    Checker,
    End,
    Part,
    checked,
    wanted,
)
from signaling.storage.archive.stream import (
    KEY_BYTES,
    SALT_BYTES,
    Header,
    Writer,
    read_header,
    read_records,
)
from signaling.storage.open import directory_of


@dataclass(frozen=True)
class Place:
    """Where a store is, by configuration."""

    settings: Settings
    state: Path

    @property
    def directory(self) -> Path:
        return directory_of(self.settings, self.state)

    @property
    def is_mongo(self) -> bool:
        if self.settings.url == "memory:":
            raise ConfigError("store.url", "`memory:` has nothing to back up or restore")
        return bool(self.settings.url)


def new_key(path: Path, entropy: Entropy) -> None:
    """Raises ConfigError when the file exists: a key that is overwritten opens nothing any more."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError("--new-key", f"cannot make {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(entropy.token(KEY_BYTES).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_key(path: Path) -> bytes:
    """Raises ConfigError unless it holds 32 bytes in hexadecimal that only its owner can read."""
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError("--key", f"{path} can be read by others: chmod 600")
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise ConfigError("--key", f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError("--key", f"{path} is not a key file") from error
    if len(key) != KEY_BYTES:
        raise ConfigError("--key", f"{path} is not a key file")
    return key


async def _dump(place: Place) -> AsyncIterator[Any]:
    if place.is_mongo:
        from signaling.storage.archive import mongo

        async for record in mongo.dump(place.settings, place.directory):
            yield record
        return
    for record in embedded.dump(place.directory):
        yield record


async def backup(
    place: Place, key: bytes, out: Path, part: Part, clock: Clock, entropy: Entropy
) -> End:
    """Raises ConfigError, Unavailable or OSError; then there is no file at `out`."""
    _check_new(out)
    beside = out.with_name(f"{out.name}.part")
    try:
        end = await _write(
            place, key, beside, Header(FORMAT, part, clock.unix(), entropy.token(SALT_BYTES))
        )
        if verify(beside, key)[1] != end:
            raise Broken("what was written reads differently")
        beside.rename(out)
    finally:
        beside.unlink(missing_ok=True)
    return end


def _check_new(out: Path) -> None:
    if out.exists():
        raise ConfigError("--out", f"{out} exists; nothing was written")


async def _write(place: Place, key: bytes, path: Path, header: Header) -> End:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    checker = Checker()
    with os.fdopen(descriptor, "wb") as file:
        writer = Writer(file, key, header)
        async for record in _dump(place):
            if wanted(record, header.part):
                checker.take(record)
                writer.add(record)
        end = checker.end()
        writer.add(end)
        writer.finish()
        file.flush()
        os.fsync(file.fileno())
    return end


def verify(archive: Path, key: bytes) -> tuple[Header, End]:
    """Reads all of it. Raises `Broken`."""
    try:
        with archive.open("rb") as file:
            header, _ = read_header(file)
            file.seek(0)
            checker = Checker()
            for record in read_records(file, key):
                checker.take(record)
            return header, checker.finish()
    except OSError as error:
        raise Broken(f"cannot read {archive}: {error.strerror}") from error


async def restore(place: Place, archives: list[Path], key: bytes, entropy: Entropy) -> End:
    """Into an empty store; `archives` are one of everything, or one of data and one of keys.

    Raises `Broken` or ConfigError with the target as it was.
    """
    parts = []
    for archive in archives:
        header, _ = verify(archive, key)
        parts.append(header.part)
    if sorted(parts) not in ([Part.ALL], [Part.DATA], [Part.KEYS], [Part.DATA, Part.KEYS]):
        raise Broken("archives of one installation are one of all, or one of data and one of keys")
    records = _merged(archives, key)
    if place.is_mongo:
        from signaling.storage.archive import mongo

        await mongo.check_free(place.settings, place.directory)
        await mongo.load(place.settings, place.directory, records, entropy)
    else:
        embedded.load(place.directory, records)
    ends = [verify(archive, key)[1] for archive in archives]
    return End(*(sum(counts) for counts in zip(*(_counts(end) for end in ends), strict=True)))


def _counts(end: End) -> tuple[int, ...]:
    return end.docs, end.rooms, end.ops, end.cursors, end.blobs


def _merged(archives: list[Path], key: bytes) -> Iterator[Any]:
    for archive in archives:
        with archive.open("rb") as file:
            yield from checked(read_records(file, key))
