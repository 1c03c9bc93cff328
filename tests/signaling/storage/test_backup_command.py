"""`sotto backup` and `sotto restore` say whether files are in the archive, and it is so."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from signaling.ids import SystemEntropy
from signaling.storage.archive.run import new_key
from signaling.storage.embedded import EmbeddedStore
from tests.command import sotto

ROOT = Path(__file__).resolve().parents[3]
BUCKET = """
[files_s3]
endpoint = "http://127.0.0.1:1"
bucket = "our-files"
access_key = "key"
secret_key = { env = "OUR_SECRET" }
"""


def command(*words: str) -> str:
    done = subprocess.run(sotto(*words), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def stored(directory: Path) -> None:
    store = EmbeddedStore(directory / "store")
    await store.meta.put("app", "kind", "key", b"value", expect=0)
    await store.blobs.put("app", "piece", b"a sealed piece of a file")
    await store.close()


@pytest.mark.parametrize("where", ["beside", "bucket"])
async def test_backup_says_whether_files_are_in_it(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_SECRET", "of the bucket")
    config, key, archive = tmp_path / "sotto.toml", tmp_path / "key", tmp_path / "archive"
    config.write_text(BUCKET if where == "bucket" else "")
    new_key(key, SystemEntropy())
    await stored(tmp_path / "from")
    given = (f"--config={config}", f"--key={key}")
    said = command("backup", *given, f"--set=process.state_dir={tmp_path}/from", f"--out={archive}")
    assert "2 rows, 1 of them pieces of files, verified" in said
    assert ("Not in it: files, which lie in the bucket our-files" in said) is (where == "bucket")
    said = command("restore", *given, f"--set=process.state_dir={tmp_path}/to", str(archive))
    assert ("Not restored: files, which lie in the bucket our-files" in said) is (where == "bucket")
    store = EmbeddedStore(tmp_path / "to" / "store")
    assert await store.blobs.get("app", "piece") == b"a sealed piece of a file"
    await store.close()
    said = command("backup", "--help")
    assert "files_s3" in said and "bucket" in said
