"""`sotto keys`: the state of keys, and the acts on them, on the store or through a server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from msgspec.structs import replace

from signaling.clock import SystemClock
from signaling.commands import common
from signaling.commands.reading import BUSY, open_readable
from signaling.compliance.audit.port import AuditEvent, MemoryAudit
from signaling.compose.core import open_core
from signaling.config import Config
from signaling.config.key_store import KeyStore
from signaling.config.rules import is_loopback
from signaling.errors import ClientError, ConfigError, Unavailable
from signaling.ids import SystemEntropy
from signaling.keys.custodian import MasterStatus
from signaling.keys.lifecycle import State
from signaling.keys.masters import Masters
from signaling.keys.moving import is_moved, move, move_back
from signaling.keys.permissions import OPERATOR
from signaling.keys.rewrap import Rewrapped
from signaling.keys.table import KeyTable
from signaling.storage.apart import ApartStore, has_keys
from signaling.storage.open import open_stores

HELP = "state, rotation and life of the keys that seal what is stored"
ABOUT = """  sotto keys status    the master keys, and how much each of them still wraps
  sotto keys rotate    a new master key; --key ID: a new version of one data key
  sotto keys rewrap    wrap data keys under the active master key, now
  sotto keys move      bring them into the store that [key_store] names, while no server runs;
                       --back: into the store again
With --url and --token (a file) a running server does it, and these as well; each needs the
permission that docs/operations/keys.md names, and destruction two people:
  sotto keys generate|activate|disable|enable|schedule|cancel|approve --key ID --version N"""

STOP = "a server has the store open; stop it first"
T = TypeVar("T")

PATHS = {
    "generate": ("POST", "/versions"),
    "activate": ("POST", "/versions/{version}/activate"),
    "disable": ("POST", "/versions/{version}/disable"),
    "enable": ("POST", "/versions/{version}/enable"),
    "schedule": ("POST", "/versions/{version}/destruction"),
    "cancel": ("DELETE", "/versions/{version}/destruction"),
    "approve": ("POST", "/versions/{version}/destruction/approval"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in ("status", "rotate", "rewrap", *PATHS):
        verb = verbs.add_parser(name)
        verb.add_argument("--url", help="a running server, such as https://meet.example.org")
        verb.add_argument("--token", metavar="FILE", type=Path, help="access token for --url")
        verb.add_argument("--trust", metavar="FILE", help="PEM file of an authority to believe")
        verb.add_argument("--json", action="store_true", help="print JSON")
        if name == "rotate":
            verb.add_argument("--provider", default="", help="make it there instead")
            verb.add_argument("--reference", default="", help="a key that you made there")
        if name not in ("status", "rewrap"):
            verb.add_argument("--key", default="master", help="id of a data key; default: master")
        if name in PATHS and name != "generate":
            verb.add_argument("--version", type=int, required=True)
        _places(verb)
    moving = verbs.add_parser("move")
    moving.add_argument("--back", action="store_true", help="into the store again")
    moving.set_defaults(url=None)
    _places(moving)


def _places(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--state-dir", metavar="DIR", help="as the server has it")
    common.config_arguments(verb, required=False)
    common.store_arguments(verb)


def run(arguments: argparse.Namespace) -> int:
    try:
        return asyncio.run(_chosen(arguments))
    except (ClientError, Unavailable) as error:
        print(f"sotto: {error.message}", file=sys.stderr)
        return 1


async def _chosen(arguments: argparse.Namespace) -> int:
    if arguments.url is not None:
        return await _remote(arguments)
    more = [("process.state_dir", arguments.state_dir)] if arguments.state_dir else None
    config = common.read(arguments, None, more)
    if arguments.verb == "status":
        return await _status(config, as_json=arguments.json)
    if arguments.verb == "move":
        return await _move(config, back=arguments.back)
    if arguments.verb in PATHS:
        raise ConfigError("sotto keys", f"{arguments.verb} goes through a server: --url, --token")
    return await _act(config, arguments)


async def _status(config: Config, *, as_json: bool) -> int:
    state = common.state_path(config)
    store = await open_readable(config, state)
    try:
        table = KeyTable(store.meta)
        register = await Masters(table, {}, MemoryAudit(), SystemClock()).register()
        masters = [MasterStatus(v, await table.wrapped_under(v.number)) for v in register.versions]
    finally:
        await store.close()
    print(json.dumps([_as_dict(m) for m in masters], indent=2) if as_json else _table(masters))
    return 0


def _as_dict(master: MasterStatus) -> dict[str, Any]:
    version = master.version
    return {
        "version": version.number,
        "state": version.state.value,
        "provider": version.provider,
        "reference": version.reference,
        "wraps": master.wraps,
        "created_at": _day(version.created),
    }


def _table(masters: list[MasterStatus]) -> str:
    lines = [f"{'version':8}{'state':14}{'provider':10}{'wraps':>8}  created     reference"]
    for master in masters:
        shown = _as_dict(master)
        lines.append(
            f"{shown['version']:<8}{shown['state']:14}{shown['provider']:10}"
            f"{shown['wraps']:>8}  {shown['created_at']}  {shown['reference']}"
        )
    left = sum(m.wraps for m in masters if m.version.state is not State.ACTIVE)
    if left:
        lines.append(
            f"{left} keys wait to be wrapped anew: the server does it, or sotto keys rewrap"
        )
    return "\n".join(lines)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


async def _act(config: Config, arguments: argparse.Namespace) -> int:
    """On the store itself, which no server has open then."""
    async with contextlib.AsyncExitStack() as stack:
        core = await _free(open_core(config, common.state_path(config), stack))
        custodian = core.keyring.custodian
        if arguments.verb == "rewrap":
            _print_moved(await custodian.rewrap(OPERATOR, core.keyring.rewrap))
        elif arguments.key == "master":
            made = await custodian.rotate_master(OPERATOR, arguments.provider, arguments.reference)
            print(f"master key {made.number} ({made.provider}) is active")
            _print_moved(await custodian.rewrap(OPERATOR, core.keyring.rewrap))
        else:
            keys = await custodian.rotate_data(OPERATOR, core.app, arguments.key)
            print(f"{keys.scope}: version {keys.newest()} is active")
    return 0


async def _move(config: Config, *, back: bool) -> int:
    """While no server runs. The audit knows of it before, sealed where keys count then."""
    if not config.key_store.apart:
        raise ConfigError("key_store", "is not configured: it says where keys lie apart")
    state = common.state_path(config)
    async with _both(config, state) as stores:
        moved, left = await is_moved(stores.data.meta), await has_keys(stores.data.meta)
    if moved == back and not (moved and left):
        present = config if moved else replace(config, key_store=KeyStore())
        await _record_move(present, state, back=back)
    async with _both(config, state) as stores:
        data, keys = stores.data.meta, stores.keys.meta
        count = await move_back(data, keys) if back else await move(data, keys, SystemEntropy())
    print(f"{count} rows moved {'into the store' if back else 'into the store of keys'}")
    if not back:
        print("backups of the store from before still hold them: let those expire")
    return 0


@contextlib.asynccontextmanager
async def _both(config: Config, state: Path) -> AsyncIterator[ApartStore]:
    stores = await _free(open_stores(config, state), STOP)
    assert isinstance(stores, ApartStore)
    try:
        await stores.ready()
        yield stores
    finally:
        await stores.close()


async def _record_move(config: Config, state: Path, *, back: bool) -> None:
    places = ("key_store", "store") if back else ("store", "key_store")
    async with contextlib.AsyncExitStack() as stack:
        core = await _free(open_core(config, state, stack), STOP)
        event = AuditEvent(
            at=core.clock.unix(), app=core.app, actor=OPERATOR.name, action="keys.move",
            target="keys", details=dict(zip(("from", "to"), places, strict=True)),
        )  # fmt: skip
        await core.audit.record(event)


async def _free(opening: Awaitable[T], busy: str = BUSY) -> T:
    """What a server has open, it keeps."""
    try:
        return await opening
    except ConfigError as error:
        if error.path == "store":
            raise ConfigError("store", busy) from error
        raise


def _print_moved(moved: Rewrapped) -> None:
    print(f"{moved.done} keys wrapped anew, {moved.failed} failed")


async def _remote(arguments: argparse.Namespace) -> int:
    if arguments.token is None:
        raise ConfigError("--token", "names the file of an access token")
    parts = urlsplit(arguments.url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ConfigError("--url", "must be https: a token goes along")
    try:
        token = arguments.token.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError("--token", f"cannot be read: {error.strerror}") from error
    method, path, body = _request(arguments)
    context = ssl.create_default_context(cafile=arguments.trust)
    url = f"{arguments.url.rstrip('/')}/api/v1{path}"
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session,
            session.request(
                method, url, json=body, headers=headers, ssl=context, allow_redirects=False
            ) as response,
        ):
            answer = await response.json(content_type=None)
            status = response.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Unavailable(f"{arguments.url} does not answer: {type(error).__name__}") from error
    if status >= 400:
        shown = answer if isinstance(answer, dict) else {}
        print(f"sotto: {shown.get('code')}: {shown.get('detail')}", file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=2))
    return 0


def _request(arguments: argparse.Namespace) -> tuple[str, str, dict[str, str] | None]:
    if arguments.verb == "status":
        return "GET", "/keys/master", None
    if arguments.verb == "rewrap":
        return "POST", "/keys/rewrap", None
    if arguments.verb == "rotate":
        wish = {"provider": arguments.provider, "reference": arguments.reference}
        return "POST", f"/keys/{arguments.key}/rotate", wish
    method, path = PATHS[arguments.verb]
    version = getattr(arguments, "version", None)
    return method, f"/keys/{arguments.key}" + path.format(version=version), None
