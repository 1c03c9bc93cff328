"""The worker process: one job, then the end. Started by `pool`, with a socket as its only way out.

Imports and tries all readers first, then gives its rights away, then waits for the job: so the
libraries that read what strangers send can neither open a file nor reach anybody.
"""

from __future__ import annotations

import io
import mmap
import os
import socket
import sys
from collections.abc import Callable
from typing import BinaryIO, cast

import msgspec

from signaling.errors import Code
from signaling.files.work.job import (
    MESSAGE_BYTES,
    Done,
    Failed,
    Job,
    Reply,
    TooComplex,
    Unreadable,
    Untakable,
)

READY = b"ready"


def warm() -> None:
    """Everything that is loaded late must be loaded before `lock`."""
    import encodings.ascii
    import encodings.cp437
    import encodings.idna
    import encodings.latin_1
    import encodings.utf_16  # noqa: F401 - loaded by name, when a file has such text

    import av
    from PIL import Image, ImageCms

    from signaling.files.work import archives, images, media  # noqa: F401

    Image.init()
    picture = Image.new("RGB", (4, 4))
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "AVIF", "BMP"):
        data = io.BytesIO()
        picture.save(data, kind)
        data.seek(0)
        with Image.open(data) as again:
            again.load()
            images.shown(again, None).thumbnail((2, 2))
    with av.open(io.BytesIO(), "w", format="wav") as sound:
        sound.add_stream("pcm_s16le", rate=8000)
    ImageCms.createProfile("sRGB")


def answer(job: Job, source: BinaryIO, target: BinaryIO) -> Reply:
    from signaling.files.work import archives, images, media

    readers: dict[str, Callable[[], Done]] = {
        "image": lambda: images.clean(job, source, target),
        "media": lambda: media.clean(job, source, target),
        "archive": lambda: archives.check(job, source),
    }
    try:
        return readers[job.family]()
    except Unreadable:
        return Failed(code=Code.FILE_UNREADABLE)
    except (TooComplex, MemoryError, RecursionError):
        return Failed(code=Code.FILE_TOO_COMPLEX)
    except Untakable:
        return Failed(code=Code.FILE_TYPE_REFUSED)


def main(descriptor: int, memory: int, seconds: int, written: int) -> None:
    from signaling.files.work.sandbox import limit, lock

    channel = socket.socket(fileno=descriptor)
    warm()
    limit(memory, seconds, written)
    locked = lock()
    channel.send(READY if locked else b"open")
    message, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, 2)
    if not message or len(descriptors) != 2:
        return
    job = msgspec.json.decode(message, type=Job)
    source, target = (os.fdopen(fd, "r+b", buffering=0) for fd in descriptors)
    if job.size:
        with mmap.mmap(source.fileno(), job.size, access=mmap.ACCESS_READ) as mapped:
            reply = answer(job, cast(BinaryIO, _Mapped(mapped)), cast(BinaryIO, target))
            channel.send(msgspec.json.encode(reply))
    # Without tidying up: libraries may hold on to what was mapped.
    os._exit(0)


class _Mapped(io.RawIOBase):
    """A mapped file as readers want it: never written, never closed by them."""

    def __init__(self, mapped: mmap.mmap) -> None:
        self._mapped, self._size, self._at = mapped, len(mapped), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("before the beginning")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        end = self._size if size is None or size < 0 else min(self._size, self._at + size)
        data = self._mapped[self._at : end] if self._at < end else b""
        self._at += len(data)
        return data

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Pillow closes what it opened; the next reader begins anew."""


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:5]))
