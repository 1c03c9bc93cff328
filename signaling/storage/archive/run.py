"""Backing up, verifying and restoring: the steps of `sotto backup` and `sotto restore`.

A backup is written beside its name, read back whole, and only then gets its name. A restore reads
the whole archive before it touches the target, which must be empty. Where keys have a store of
their own, archives are of one of the two.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from signaling.clock import Clock
from signaling.config import Config
from signaling.config.mongo import Lasting as Settings
from signaling.errors import ConfigError
from signaling.ids import Entropy
from signaling.keys.port import INSTALLATION
from signaling.storage.apart import APART, MARK, MARKS, PAIR, Mark
from signaling.storage.archive import embedded
from signaling.storage.archive.records import (
    FORMAT,
    Any,
    Broken,
    Checker,
    Doc,
    End,
    Part,
    checked,
    is_key,
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
from signaling.storage.open import check_apart, directory_of, section_of


@dataclass(frozen=True)
class Place:
    """Where a store is, by configuration; `keys` where that of the keys is, if they have one."""

    settings: Settings
    state: Path
    keys: Place | None = None

    @staticmethod
    def of(config: Config, state: Path) -> Place:
        """Raises ConfigError where the two lie in each other."""
        check_apart(config, state)
        keys = Place(config.key_store, state) if config.key_store.apart else None
        return Place(config.store, state, keys)

    @property
    def directory(self) -> Path:
        return directory_of(self.settings, self.state)

    @property
    def is_mongo(self) -> bool:
        if self.settings.url == "memory:":
            raise ConfigError("store.url", "`memory:` has nothing to back up or restore")
        return bool(self.settings.url)

    def holding(self, part: Part) -> Place:
        """The store that an archive of this part is made of. Raises ConfigError."""
        if self.keys is None:
            return self
        if part is Part.ALL:
            raise ConfigError(
                "--part",
                "keys have a store of their own: make two archives, of `data` and of `keys`",
            )
        return self.keys if part is Part.KEYS else self


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
    source = place.holding(part)
    beside = out.with_name(f"{out.name}.part")
    try:
        end = await _write(
            source, key, beside, Header(FORMAT, part, clock.unix(), entropy.token(SALT_BYTES))
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


@dataclass(frozen=True)
class _Target:
    """A store, and which records go there. `marks` are added."""

    place: Place
    takes: Callable[[Any], bool]
    marks: tuple[Doc, ...] = ()


async def restore(place: Place, archives: list[Path], key: bytes, entropy: Entropy) -> End:
    """Into an empty store: `archives` are one of everything, or one of data and one of keys. Where
    keys have a store of their own, one part alone goes into its store, beside the other.

    Raises `Broken` or ConfigError with the target as it was.
    """
    found = [verify(archive, key) for archive in archives]
    parts = sorted(header.part for header, _ in found)
    targets = _targets(place, parts, archives, key, entropy)
    for target in targets:
        await _check_free(target.place)
    done: list[Place] = []
    try:
        for target in targets:
            await _load(target, archives, key, entropy)
            done.append(target.place)
    except BaseException:
        for one in done:
            await _clear(one)
        raise
    return End(*(sum(counts) for counts in zip(*(_counts(end) for _, end in found), strict=True)))


def _targets(
    place: Place, parts: list[Part], archives: list[Path], key: bytes, entropy: Entropy
) -> list[_Target]:
    whole = parts in ([Part.ALL], [Part.DATA, Part.KEYS])
    if not whole and (place.keys is None or parts not in ([Part.DATA], [Part.KEYS])):
        raise Broken("archives of one installation are one of all, or one of data and one of keys")
    if place.keys is None:
        return [_Target(place, lambda record: not _is_mark(record))]
    apart, pair = _marks(archives, key)
    if whole and (apart or pair) and apart != pair:
        raise Broken("the archives are of two installations, or of before and after a move of keys")
    if not whole and not (apart or pair):
        raise Broken("the archive is older than the store of keys: restore it with its keys")
    made: tuple[Doc, ...] = ()
    if not apart and not pair:
        mark = msgspec.msgpack.encode(Mark(entropy.token(16).hex()))
        made = tuple(Doc(INSTALLATION, kind, MARK, 1, mark, (), None) for kind in (APART, PAIR))
    data = _Target(place, lambda record: not is_key(record), made[:1])
    keys = _Target(place.keys, is_key, made[1:])
    chosen = {Part.DATA: [data], Part.KEYS: [keys]}
    return [keys, data] if whole else chosen[parts[0]]


def _is_mark(record: Any) -> bool:
    return isinstance(record, Doc) and record.kind in MARKS


def _marks(archives: list[Path], key: bytes) -> tuple[bytes, bytes]:
    """What the archives say of the pair that they are of: in the data, and beside the keys."""
    docs = (one for one in _merged(archives, key, _is_mark) if isinstance(one, Doc))
    found = {doc.kind: doc.value for doc in docs}
    return found.get(APART, b""), found.get(PAIR, b"")


async def _check_free(place: Place) -> None:
    if place.is_mongo:
        from signaling.storage.archive import mongo

        await mongo.check_free(place.settings, place.directory)
    else:
        embedded.check_empty(place.directory, section_of(place.settings))


async def _load(target: _Target, archives: list[Path], key: bytes, entropy: Entropy) -> None:
    place = target.place
    records = _merged(archives, key, target.takes, target.marks)
    if place.is_mongo:
        from signaling.storage.archive import mongo

        await mongo.load(place.settings, place.directory, records, entropy)
    else:
        embedded.load(place.directory, records)


async def _clear(place: Place) -> None:
    """Of what a restore put there: it was empty."""
    if place.is_mongo:
        from signaling.storage.archive import mongo

        await mongo.clear(place.settings, place.directory)
    else:
        shutil.rmtree(place.directory, ignore_errors=True)


def _counts(end: End) -> tuple[int, ...]:
    return end.docs, end.rooms, end.ops, end.cursors, end.blobs


def _merged(
    archives: list[Path],
    key: bytes,
    takes: Callable[[Any], bool],
    more: tuple[Doc, ...] = (),
) -> Iterator[Any]:
    """Of two parts, the list of apps with keys may be in both."""
    yield from more
    seen: set[tuple[str, str, str]] = set()
    for archive in archives:
        with archive.open("rb") as file:
            for record in checked(read_records(file, key)):
                if not takes(record):
                    continue
                if isinstance(record, Doc) and is_key(record):
                    place = (record.app, record.kind, record.key)
                    if place in seen:
                        continue
                    seen.add(place)
                yield record
