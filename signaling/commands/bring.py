"""`sotto import`: brings an archive into a running server, through its API, and says how far it is.

What broke off goes on where it was with `--import ID`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import ssl
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from signaling.config.rules import is_loopback
from signaling.errors import ConfigError, Unavailable

HELP = "bring rooms from another Sotto, from Slack or from Mattermost"
ABOUT = """  sotto import team.zip --format slack --url https://chat.example.org --token FILE
      Uploads the archive, has it checked, and prints who is in it. Nothing is brought yet.
  sotto import --import ID --start --person U012AB3CD=ACCOUNT --url ... --token ...
      Brings everything. Whom no --person names stays a placeholder, and is never an account.
  sotto import team.zip --import ID --url ... --token ...
      Goes on with an upload that broke off.

The token (a file) is an administrator's who signed in a moment ago. docs/concepts/rights.md says
what comes of which archive."""
PIECE = 8 * 1024 * 1024
WAIT_SECONDS = 1.0
OVER = frozenset({"done", "refused", "cancelled"})


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", type=Path, nargs="?", help="the ZIP file")
    parser.add_argument("--format", choices=("sotto", "slack", "mattermost"), default="sotto")
    parser.add_argument("--url", required=True, help="the server, as https://chat.example.org")
    parser.add_argument(
        "--token", metavar="FILE", type=Path, required=True, help="an administrator's access token"
    )
    parser.add_argument("--trust", metavar="FILE", help="PEM file of an authority to believe")
    parser.add_argument("--label", default="", help="keeps two archives of one format apart")
    parser.add_argument("--import", dest="ident", metavar="ID", help="one that was begun")
    parser.add_argument("--start", action="store_true", help="bring everything, and wait for it")
    parser.add_argument("--owner", help="account that gets the rooms; else your own")
    parser.add_argument(
        "--person", metavar="ID=ACCOUNT", action="append", default=[],
        help="whose account somebody in the archive has; may be repeated",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    try:
        return asyncio.run(bring(arguments))
    except Unavailable as error:
        print(f"sotto: {error.message}", file=sys.stderr)
        return 1


class Refused(Exception):  # noqa: N818 - names what happened
    """The server said no; the message is its own."""


class _Server:
    """One server's API, as somebody with a token."""

    def __init__(self, session: aiohttp.ClientSession, arguments: argparse.Namespace) -> None:
        self._session, self._url = session, arguments.url.rstrip("/")
        self._context = ssl.create_default_context(cafile=arguments.trust)
        try:
            token = arguments.token.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError("--token", f"cannot be read: {error.strerror}") from error
        self._headers = {"Authorization": f"Bearer {token}"}

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        headers = {**self._headers, **more.pop("headers", {})}
        try:
            async with self._session.request(
                method, f"{self._url}/api/v1{path}", headers=headers, ssl=self._context,
                allow_redirects=False, **more,
            ) as response:  # fmt: skip
                answer = await response.json(content_type=None) if response.status != 204 else {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unavailable(f"{self._url} does not answer: {type(error).__name__}") from error
        if response.status >= 400:
            raise Refused(f"{answer.get('code')}: {answer.get('detail')}")
        return answer


async def bring(arguments: argparse.Namespace) -> int:
    parts = urlsplit(arguments.url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ConfigError("--url", "must be https: a token goes along")
    if arguments.archive is None and arguments.ident is None:
        raise ConfigError("sotto import", "name an archive, or --import of one that was begun")
    timeout = aiohttp.ClientTimeout(total=600)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            return await _bring(_Server(session, arguments), arguments)
    except Refused as error:
        print(f"sotto: {error}", file=sys.stderr)
        return 1


async def _bring(server: _Server, arguments: argparse.Namespace) -> int:
    ident = arguments.ident or await _begun(server, arguments)
    if arguments.archive is not None:
        await _upload(server, ident, arguments.archive)
    found = await _waited(server, ident, "ready")
    if found["state"] == "ready" and not arguments.start:
        await _people(server, ident)
        print(f"{found['counts']}\nTo bring it: sotto import --import {ident} --start ...")
        return 0
    if found["state"] == "ready":
        wish: dict[str, Any] = {"people": _named(arguments.person)}
        if arguments.owner:
            wish["owner"] = arguments.owner
        await server.ask("POST", f"/imports/{ident}/start", json=wish)
        found = await _waited(server, ident, "done")
    if found["problem"]:
        print(f"sotto: {found['problem']['code']}: {found['problem']['detail']}", file=sys.stderr)
    else:
        print(f"{found['state']}: {found['counts']}")
    return 0 if found["state"] == "done" else 1


async def _begun(server: _Server, arguments: argparse.Namespace) -> str:
    size, digest = await asyncio.to_thread(_measured, arguments.archive)
    wish = {"format": arguments.format, "size": size, "label": arguments.label, "sha256": digest}
    ident = str((await server.ask("POST", "/imports", json=wish))["id"])
    print(f"import {ident}")
    return ident


def _measured(archive: Path) -> tuple[int, str]:
    try:
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return file.tell(), digest
    except OSError as error:
        raise ConfigError(str(archive), f"cannot be read: {error.strerror}") from error


async def _upload(server: _Server, ident: str, archive: Path) -> None:
    offset = int((await server.ask("GET", f"/imports/{ident}"))["received"])
    with archive.open("rb") as file:
        file.seek(offset)
        while piece := file.read(PIECE):
            headers = {
                "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream",
            }  # fmt: skip
            await server.ask("PATCH", f"/imports/{ident}/archive", data=piece, headers=headers)
            offset += len(piece)


async def _waited(server: _Server, ident: str, state: str) -> Any:
    """As soon as it is so far, or over; progress goes to the terminal meanwhile."""
    while True:
        found = await server.ask("GET", f"/imports/{ident}")
        if found["state"] in (state, *OVER):
            return found
        if found["state"] == "uploading":
            raise Refused(f"{found['received']} of {found['size']} bytes are there: name the file")
        print(f"{found['state']}: {found['done']} of {found['total']}", file=sys.stderr)
        await asyncio.sleep(WAIT_SECONDS)


async def _people(server: _Server, ident: str) -> None:
    cursor = ""
    while True:
        params = {"limit": "100", **({"cursor": cursor} if cursor else {})}
        page = await server.ask("GET", f"/imports/{ident}/people", params=params)
        for one in page["items"]:
            print(f"  {one['id']}  {one['name']}")
        cursor = page["next_cursor"] or ""
        if not cursor:
            return


def _named(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        person, sign, account = pair.rpartition("=")
        if not sign or not person or not account:
            raise ConfigError("--person", f"{pair!r} is not ID=ACCOUNT")
        found[person] = account
    return found
