"""Runs `pebble` on loopback: an ACME authority whose checks come to the ports that a test names."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from signaling.http.certificates import ensure
from tests.ports import free_port

# Debian's package of that name; `apt-get install pebble`.
PROGRAM = "pebble"


@dataclass(frozen=True)
class Authority:
    directory: str
    ca: Path
    management: str
    trust: ssl.SSLContext

    async def roots(self) -> str:
        """The root that signs what it issues; made anew at each start."""
        connector = aiohttp.TCPConnector(ssl=self.trust)
        async with (
            aiohttp.ClientSession(connector=connector) as client,
            client.get(self.management + "/roots/0") as answer,
        ):
            return await answer.text()


@contextlib.asynccontextmanager
async def authority(
    place: Path, *, tls_port: int = 0, http_port: int = 0, external: dict[str, str] | None = None
) -> AsyncIterator[Authority]:
    """`tls_port` and `http_port`: where its validations go."""
    program = shutil.which(PROGRAM)
    assert program is not None, "pebble is missing: apt-get install pebble"
    files = ensure(place / "own", ["localhost", "127.0.0.1"], datetime.now(UTC))
    listen, manage = free_port(), free_port()
    settings = {
        "listenAddress": f"127.0.0.1:{listen}",
        "managementListenAddress": f"127.0.0.1:{manage}",
        "certificate": str(files.certificate),
        "privateKey": str(files.key),
        "httpPort": http_port or 1,
        "tlsPort": tls_port or 1,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": external is not None,
        "externalAccountMACKeys": external or {},
    }
    config = place / "pebble.json"
    config.write_text(json.dumps({"pebble": settings}))
    environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    with (place / "pebble.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, "-config", str(config), stdout=log, stderr=log, env=environment
        )
    trust = ssl.create_default_context(cafile=str(files.authority))
    made = Authority(
        f"https://localhost:{listen}/dir", files.authority, f"https://localhost:{manage}", trust
    )
    try:
        async with asyncio.timeout(120):
            while not await _answers(made):
                await asyncio.sleep(0.05)
        yield made
    finally:
        process.terminate()
        await process.wait()


async def _answers(made: Authority) -> bool:
    connector = aiohttp.TCPConnector(ssl=made.trust)
    async with aiohttp.ClientSession(connector=connector) as client:
        try:
            async with client.get(made.directory) as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False
