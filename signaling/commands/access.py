"""`sotto access`: makes a key set on this machine's store; explains what a grant allows."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path

from signaling.access.evaluate import Ask, Granted
from signaling.access.explain import explain, lines
from signaling.access.grant import Invalid, read_grant
from signaling.access.keysets import KeySet, KeySets
from signaling.access.permissions import Operation
from signaling.commands import common
from signaling.compliance.audit.port import AuditEvent
from signaling.compose.core import open_core
from signaling.config import Config
from signaling.errors import ConfigError, Unavailable

HELP = "key sets, and why somebody may or may not"
ABOUT = """  sotto access key-set shop --config sotto.toml
      Makes a key set and prints its keys. The secret key is shown this once.
  sotto access explain --grant grant.json --operation publish --channel room-1 --as ada
      Says whether a token with this grant (the body of a grant request) would allow it, and why.
      Exit code 0: allowed, 1: refused."""


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    making = verbs.add_parser("key-set", help="make a key set")
    making.add_argument("name", help="what administrators see")
    making.add_argument("--listing", action="store_true", help="its tokens may list everything")
    making.add_argument("--state-dir", metavar="DIR", help="as the server has it")
    common.config_arguments(making, required=False)
    common.store_arguments(making)
    explaining = verbs.add_parser("explain", help="explain a decision")
    explaining.add_argument("--grant", type=Path, required=True, metavar="FILE", help="JSON")
    explaining.add_argument(
        "--operation", required=True, choices=[operation.value for operation in Operation],
        metavar="OPERATION", help="publish, subscribe, join_call, ...",
    )  # fmt: skip
    for flag, what in (("--channel", "room"), ("--group", "group"), ("--uuid", "account")):
        explaining.add_argument(
            flag, action="append", default=[], metavar="NAME", help=f"a {what} that it is about"
        )
    explaining.add_argument("--as", dest="who", metavar="UUID", help="who uses the token")
    explaining.add_argument(
        "--after", type=float, default=0.0, metavar="MINUTES", help="so long after it was granted"
    )


def run(arguments: argparse.Namespace) -> int:
    return _explain(arguments) if arguments.verb == "explain" else _key_set(arguments)


def _explain(arguments: argparse.Namespace) -> int:
    try:
        grant = read_grant(arguments.grant.read_bytes())
    except OSError as error:
        raise ConfigError("--grant", f"cannot be read: {error.strerror}") from error
    except Invalid as error:
        place = f" ({error.location})" if error.location else ""
        raise ConfigError("--grant", f"{error.message}: {error.detail}{place}") from error
    now = time.time()  # noqa: TID251 - a command, not domain code
    since = int(now)
    granted = Granted(grant, app="", keyset="", ident="", since=since, listing=True)
    ask = Ask(
        Operation(arguments.operation),
        tuple(arguments.channel),
        tuple(arguments.group),
        tuple(arguments.uuid),
    )
    who = () if arguments.who is None else (arguments.who,)
    explained = explain(granted, ask, who, since + arguments.after * 60)
    print("\n".join(lines(explained)))
    return 0 if explained.allowed else 1


def _key_set(arguments: argparse.Namespace) -> int:
    more = [("process.state_dir", arguments.state_dir)] if arguments.state_dir else None
    config = common.read(arguments, None, more)
    try:
        made = asyncio.run(_make(config, arguments.name, listing=arguments.listing))
    except Unavailable as error:
        print(f"sotto: {error.message}", file=sys.stderr)
        return 1
    keys = {
        "id": made.id,
        "subscribe_key": made.subscribe_key,
        "publish_key": made.publish_key,
        "secret_key": made.secrets[-1].text,
    }
    print(json.dumps(keys, indent=2))
    return 0


async def _make(config: Config, name: str, *, listing: bool) -> KeySet:
    async with contextlib.AsyncExitStack() as stack:
        core = await open_core(config, common.state_path(config), stack)
        keysets = KeySets(core.store, core.sealer, core.clock, core.ids, core.entropy)
        made = await keysets.create(core.app, name, listing=listing)
        await core.audit.record(
            AuditEvent(
                at=core.clock.unix(),
                app=core.app,
                actor="operator:command",
                action="createKeySet",
                target=f"keyset:{made.id}",
            )
        )
        return made
