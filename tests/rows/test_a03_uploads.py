"""Row A3: what is uploaded lies nowhere in the clear: not in the store, not as an object of S3, not
in a temporary file, while it is looked through or afterwards.

A watcher reads, again and again while files are sent, everything below the house's folder (its
temporary directory is there too) and every regular file that a process of the server has open, with
a name or without one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from tests.rows.house import House, standing, visiting
from tests.rows.rightful import people
from tests.signaling.files import s3_server, samples
from tests.signaling.files.s3_server import ACCESS, BUCKET, SECRET

TEXT = b"canary-of-an-upload-"


class Watcher:
    """Where canaries were seen, and how often it looked."""

    def __init__(self, house: House, places: Sequence[Path], canaries: Sequence[bytes]) -> None:
        assert house.process is not None
        self.root, self.places, self.canaries = house.process.pid, places, canaries
        self.found: set[str] = set()
        self.rounds = self.read = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.look()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.look()

    def look(self) -> None:
        for path in [*files(self.places), *held(self.root)]:
            with contextlib.suppress(OSError):
                data = path.read_bytes()
                self.read += len(data)
                seen = [canary for canary in self.canaries if canary in data]
                if seen:
                    self.found.add(f"{path} -> {os.path.realpath(path)}: {seen}")
        self.rounds += 1


def files(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        for folder, _, names in os.walk(place):
            yield from (Path(folder) / name for name in names)


def held(root: int) -> Iterator[Path]:
    """What the server and its workers have open on a disk; memfd_create(2) is memory."""
    for process in family(root):
        with contextlib.suppress(OSError):
            for link in Path(f"/proc/{process}/fd").iterdir():
                with contextlib.suppress(OSError):
                    target = str(link.readlink())
                    if target.startswith("/") and not target.startswith(("/memfd:", "/dev/")):
                        yield link


def family(root: int) -> list[int]:
    found = [root]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


@contextlib.asynccontextmanager
async def kept(place: str, folder: Path) -> AsyncIterator[tuple[dict[str, str], Path]]:
    """Settings for where chunks go, and the directory where they then lie."""
    if place == "disk":
        yield {}, folder / "house" / "state" / "store"
        return
    async with s3_server.s3(folder / "s3") as url:
        yield {
            "files_s3.endpoint": url, "files_s3.bucket": BUCKET, "files_s3.access_key": ACCESS,
            "files_s3.secret_key": SECRET, "files_s3.prefix": "rows/",
        }, folder / "s3" / "data" / BUCKET  # fmt: skip


@pytest.mark.parametrize("place", ["disk", "s3"])
async def test_a03_an_upload_lies_nowhere_in_the_clear(tmp_path: Path, place: str) -> None:
    """A text, a photograph that workers decode and write anew, a film that ffmpeg takes apart."""
    canary = TEXT + secrets.token_hex(8).encode()
    text = canary * 20_000
    made = tmp_path / "samples"
    made.mkdir()
    photo, film = samples.picture("jpg", made), samples.film("mp4", made)
    sent = [(text, "notes.txt"), *((path.read_bytes(), path.name) for path in (photo, film))]
    # What is in the middle of a file stands for its pixels; its tags are canaries of their own.
    middles = [data[len(data) // 2 :][:64] for data, _ in sent[1:]]
    temporary = tmp_path / "house" / "tmp"
    temporary.mkdir(parents=True)
    environment = {name: str(temporary) for name in ("TMPDIR", "TMP", "TEMP")}
    async with kept(place, tmp_path) as (settings, where):
        house = House(tmp_path / "house", settings, environment=environment)
        standing_house = standing(house)
        await asyncio.to_thread(standing_house.__enter__)
        try:
            canaries = (canary, *samples.CANARIES, *middles)
            watched = (tmp_path / "house", tmp_path / "s3")
            async with visiting(house) as there:
                ann, bob = await people(there, 2)
                room = await ann.room(bob)
                with Watcher(house, watched, canaries) as watcher:
                    infos = [await ann.uploaded(room, data, name) for data, name in sent]
                    assert await ann.fetched(infos[0]) == text
                    for info in infos[1:]:
                        assert len(await ann.fetched(info)) > 1000
            assert watcher.rounds > 10 and watcher.read > 1_000_000
            assert not watcher.found
            lying = sum(path.stat().st_size for path in files([where]))
            assert lying > sum(len(data) for data, _ in sent) // 2, lying
        finally:
            await asyncio.to_thread(standing_house.__exit__, None, None, None)
