"""Row B33, ASVS 14.2.8, element-web#4426: where it was taken leaves with no file, in any format.

exiftool writes the tags into each sample, reads them there, and looks for them in everything that
the server gives out afterwards: the file, its preview, its thumbnail.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.signaling.files import samples
from tests.signaling.files.rig import There, every_byte

pytestmark = pytest.mark.asyncio(loop_scope="module")

Make = Callable[[Path], Path]
PICTURES: dict[str, Make] = {
    kind: (lambda folder, kind=kind: samples.picture(kind, folder))  # type: ignore[misc]
    for kind in ("jpg", "png", "webp", "gif", "tiff", "avif")
}
PICTURES["heic"] = samples.heic
MOVING: dict[str, Make] = {
    kind: (lambda folder, kind=kind: samples.film(kind, folder))  # type: ignore[misc]
    for kind in samples.FILMS
}
SOUNDS: dict[str, Make] = {
    kind: (lambda folder, kind=kind: samples.sound(kind, folder))  # type: ignore[misc]
    for kind in samples.SOUNDS
}
EVERY = {**PICTURES, **MOVING, **SOUNDS}
# exiftool writes places into these; ffmpeg's `location` tag does for the others what it can.
PLACED = {*PICTURES, "mp4", "mov", "3gp", "m4a"}


async def forms(there: There, info: Any, folder: Path) -> dict[str, Path]:
    found = {}
    for shape in info["shapes"]:
        got = await there.ana.fetch(info["id"], variant=shape["variant"])
        assert (got.status, len(got.body)) == (200, shape["size"])
        path = folder / f"{shape['variant']}.{info['name'].rpartition('.')[2]}"
        path.write_bytes(got.body)
        found[shape["variant"]] = path
    return found


@pytest.mark.parametrize("kind", sorted(EVERY))
async def test_b33_no_place_and_no_tag_in_any_form(there: There, tmp_path: Path, kind: str) -> None:
    path = EVERY[kind](tmp_path)
    if kind in PLACED:
        assert "48.85" in samples.place_of(path), samples.exiftool(str(path))
    data = path.read_bytes()
    assert any(canary in data for canary in samples.CANARIES) or kind == "gif"
    info = await there.ana.send(data, path.name)
    assert info["state"] == "ready", info
    assert "latitude" not in info
    given = tmp_path / "given"
    given.mkdir()
    found = await forms(there, info, given)
    assert "file" in found
    for form in found.values():
        assert not samples.place_of(form), samples.place_of(form)
        for canary in samples.CANARIES:
            assert canary not in form.read_bytes(), (kind, form.name, canary)


async def test_b33_jpeg_xl_is_refused(there: There, tmp_path: Path) -> None:
    info = await there.ana.send(samples.jxl(tmp_path).read_bytes(), "photo.jxl")
    assert (info["state"], info["reason"]) == ("refused", "file_type_refused")
    assert (await there.ana.link(info["id"])).code == "file_not_ready"


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tiff", "avif", "mp4", "mov"])
async def test_b33_the_place_is_kept_only_when_the_sender_chose_so(
    there: There, tmp_path: Path, kind: str
) -> None:
    path = EVERY[kind](tmp_path)
    info = await there.ana.send(path.read_bytes(), path.name, keep_location=True)
    assert info["state"] == "ready", info
    assert abs(info["latitude"] - 48.8577) < 0.001
    assert abs(info["longitude"] - 2.295) < 0.001
    found = await forms(there, info, tmp_path)
    # Into a TIFF it is not written back: there the message alone tells it.
    assert ("48.85" in samples.place_of(found["file"])) is (kind != "tiff")
    for canary in samples.CANARIES[:4]:
        assert canary not in found["file"].read_bytes()
    for small in {"thumbnail", "preview"} & set(found):
        assert not samples.place_of(found[small])


async def test_a03_nothing_of_them_lies_on_a_disk(there: There) -> None:
    """The samples above were uploaded to this server; no header of theirs and no tag is there."""
    kept = every_byte(there.house.state)
    assert len(kept) > 100_000
    for canary in (*samples.CANARIES, b"JFIF", b"IHDR", b"ftyp", b"photo.jpg"):
        assert canary not in kept, canary
