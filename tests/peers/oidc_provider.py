"""Starts the real OpenID provider of `oidc/` and walks through its pages as a browser would."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp

from tests.building import alone, copied

SOURCE = Path(__file__).parent / "oidc"
CACHE = Path(os.environ.get("SOTTO_CACHE", Path.home() / ".cache" / "sotto")) / "npm"
CLIENT, SECRET = "sotto", "a-secret of the tests: %&=+"


def installed() -> Path:
    """A folder with node_modules, for each state of the lock file."""
    parts = [(SOURCE / name).read_bytes() for name in ("package.json", "package-lock.json")]
    home = CACHE / ("oidc-" + hashlib.sha256(b"".join(parts)).hexdigest()[:16])
    with alone(home / "installed") as missing:
        if missing:
            for name, data in zip(("package.json", "package-lock.json"), parts, strict=True):
                (home / name).write_bytes(data)
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run(command, cwd=home, check=True, stdout=subprocess.DEVNULL)
            (home / "installed").touch()
        copied(SOURCE / "provider.mjs", home / "provider.mjs")
    return home


@contextlib.asynccontextmanager
async def provider(redirect: str, certificate: tuple[str, str] | None = None) -> AsyncIterator[str]:
    """Its issuer. `certificate` as PEM (certificate, key): it speaks TLS then."""
    home = await asyncio.to_thread(installed)
    process = await asyncio.create_subprocess_exec(
        "node", "provider.mjs", cwd=home,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    wish = {"clientId": CLIENT, "clientSecret": SECRET, "redirect": redirect}
    if certificate is not None:
        wish["cert"], wish["key"] = certificate
    try:
        process.stdin.write(json.dumps(wish).encode() + b"\n")
        await process.stdin.drain()
        async with asyncio.timeout(30):
            while not (line := await process.stdout.readline()).startswith(b"{"):
                assert line, "the provider did not start"
        yield json.loads(line)["issuer"]
    finally:
        process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def sign_in(location: str, name: str, redirect: str) -> dict[str, str]:
    """Follow the provider's pages from `location`; what its last redirect brings to ours."""
    jar = aiohttp.CookieJar(unsafe=True)
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(cookie_jar=jar, connector=connector) as browser:
        method, url, form = "GET", location, None
        for _ in range(12):
            async with browser.request(method, url, data=form, allow_redirects=False) as page:
                if page.status in (302, 303):
                    method, form = "GET", None
                    url = str(page.url.join(type(page.url)(page.headers["Location"])))
                    if url.startswith(redirect):
                        return {k: v[0] for k, v in parse_qs(urlsplit(url).query).items()}
                    continue
                text = await page.text()
            prompt = re.search(r'name="prompt" value="(\w+)"', text)
            action = re.search(r'action="([^"]+)"', text)
            assert prompt is not None and action is not None, text[:400]
            method, url = "POST", action[1]
            form = {"prompt": prompt[1], "login": name, "password": "any"}
    raise AssertionError("the provider never came back")
