"""One contract for everything that keeps chunks: memory, disk, and S3 against a real server."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from signaling.clock import SystemClock
from signaling.errors import Unavailable
from signaling.secret import Secret
from signaling.storage.blobs import DiskBlobs
from signaling.storage.memory import MemoryStore
from signaling.storage.port import MAX_VALUE, Blobs
from signaling.storage.s3 import Bucket, S3Blobs
from tests.ports import free_port
from tests.signaling.files import s3_server
from tests.signaling.files.rig import every_byte, people
from tests.signaling.files.s3_server import ACCESS, BUCKET, SECRET

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def endpoint(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("s3")
    async with s3_server.s3(folder) as url:
        yield url, folder


def bucket(url: str, **changed: str) -> Bucket:
    values = {"bucket": BUCKET, "secret": SECRET, "prefix": "sotto/", **changed}
    return Bucket(
        url, values["bucket"], "us-east-1", ACCESS, Secret(values["secret"]), values["prefix"],
        seconds=30.0,
    )  # fmt: skip


@pytest_asyncio.fixture(loop_scope="module", params=["memory", "disk", "s3"])
async def blobs(
    request: pytest.FixtureRequest, tmp_path: Path, endpoint: tuple[str, Path]
) -> AsyncIterator[Blobs]:
    if request.param == "memory":
        yield MemoryStore().blobs
    elif request.param == "disk":
        yield DiskBlobs(tmp_path)
    else:
        made = S3Blobs(bucket(endpoint[0]), SystemClock())
        yield made
        await made.close()


async def test_what_is_put_is_got_until_it_is_deleted(blobs: Blobs) -> None:
    name, data = os.urandom(32).hex(), os.urandom(70_000)
    assert await blobs.get("app", name) is None
    assert await blobs.delete("app", name) is False
    await blobs.put("app", name, data)
    assert await blobs.get("app", name) == data
    await blobs.put("app", name, data)
    await blobs.put("app", name, b"")
    assert await blobs.get("app", name) == b""
    assert await blobs.delete("app", name) is True
    assert await blobs.get("app", name) is None


async def test_apps_do_not_see_each_other(blobs: Blobs) -> None:
    name = os.urandom(32).hex()
    await blobs.put("one", name, b"1")
    await blobs.put("two/../one", name, b"2")
    assert await blobs.get("one", name) == b"1"
    assert await blobs.get("two/../one", name) == b"2"
    assert await blobs.delete("two/../one", name) is True
    assert await blobs.get("one", name) == b"1"


@pytest.mark.parametrize("name", ["", "../a", "A", "a/b", "a" * 129, "é", "a b", ".a", "a\0"])
async def test_names_that_cannot_be(blobs: Blobs, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        await blobs.put("app", name, b"x")
    assert await blobs.get("app", name) is None
    assert await blobs.delete("app", name) is False


async def test_as_large_as_a_blob_may_be(blobs: Blobs) -> None:
    name, data = "large.-_0", os.urandom(MAX_VALUE)
    await blobs.put("app", name, data)
    assert await blobs.get("app", name) == data
    with pytest.raises(ValueError, match="bytes"):
        await blobs.put("app", name, data + b"1")
    await blobs.delete("app", name)


@pytest.mark.parametrize("wrong", ["secret", "bucket"])
async def test_s3_that_refuses_us_is_an_outage(endpoint: tuple[str, Path], wrong: str) -> None:
    made = S3Blobs(bucket(endpoint[0], **{wrong: "no-such-thing-here"}), SystemClock())
    for work in (made.put("app", "a", b"x"), made.ready()):
        with pytest.raises(Unavailable):
            await work
    await made.close()


async def test_s3_that_is_away_is_an_outage() -> None:
    made = S3Blobs(bucket(f"http://127.0.0.1:{free_port()}"), SystemClock())
    with pytest.raises(Unavailable) as said:
        await made.put("app", "a", b"x")
    assert said.value.retry_after
    await made.close()


async def test_files_in_a_bucket_through_the_server(
    endpoint: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = endpoint
    canary = b"canary-in-a-bucket" * 10_000
    settings = {
        "files_s3__endpoint": url, "files_s3__bucket": BUCKET, "files_s3__access_key": ACCESS,
        "files_s3__secret_key": SECRET, "files_s3__prefix": "server/",
    }  # fmt: skip
    async with people(tmp_path, **settings) as there:
        info = await there.ana.send(canary, "a.txt")
        objects = [p for p in (folder / "data" / BUCKET / "server").rglob("*") if p.is_file()]
        assert len(objects) == 3
        assert all(len(path.name) == 64 for path in objects)
        got = await there.ana.fetch(info["id"], {"Range": "bytes=65530-65550"})
        assert got.body == canary[65530:65551]
        for place in (folder, tmp_path / "store"):
            assert b"canary-in-a-bucket" not in every_byte(place)
        assert (await there.ana.ask("DELETE", f"/files/{info['id']}")).status == 204
        assert not any(path.exists() for path in objects)
    with contextlib.suppress(FileNotFoundError):
        assert not list((tmp_path / "store" / "blobs").rglob("*"))
