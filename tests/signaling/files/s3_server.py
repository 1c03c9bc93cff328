"""versitygw over a directory: a real S3 server, built through the Go proxy, kept in the cache."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from tests.building import alone
from tests.ports import free_port
from tests.signaling.files.scanners import running

VERSION = "v1.7.0"
CACHE = Path(os.environ.get("SOTTO_CACHE", Path.home() / ".cache" / "sotto"))
ACCESS, SECRET, BUCKET = "sotto-test", "sotto-test-secret-key", "files"


def binary() -> Path:
    folder = CACHE / f"versitygw-{VERSION}"
    path = folder / "versitygw"
    with alone(path) as missing:
        if missing:
            go = shutil.which("go")
            assert go is not None, "versitygw is built with Go 1.24 or newer"
            subprocess.run(
                [go, "install", f"github.com/versity/versitygw/cmd/versitygw@{VERSION}"],
                env={**os.environ, "GOBIN": str(folder)}, check=True, capture_output=True,
            )  # fmt: skip
    return path


@contextlib.asynccontextmanager
async def s3(folder: Path) -> AsyncIterator[str]:
    """Its endpoint. Objects are files below `folder/data/<bucket>`."""
    data = folder / "data"
    (data / BUCKET).mkdir(parents=True, exist_ok=True)
    port = free_port()
    words = [
        str(binary()), "--access", ACCESS, "--secret", SECRET, "--port", f"127.0.0.1:{port}",
        "--region", "us-east-1", "--quiet", "posix", str(data),
    ]  # fmt: skip
    async with running(*words, port=port):
        yield f"http://127.0.0.1:{port}"
