"""`sotto audit`: verifies the audit log, and prints the public keys to verify with elsewhere."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from signaling.clock import SystemClock
from signaling.commands import common
from signaling.commands.reading import Readable, open_readable
from signaling.compliance.audit.check import Report, check
from signaling.compliance.audit.entry import SignedHead, key_name
from signaling.compliance.audit.forward.port import head_from
from signaling.compliance.audit.port import MemoryAudit
from signaling.compliance.audit.signer import Signers
from signaling.compliance.audit.writer import audited_apps
from signaling.config import Config
from signaling.errors import ClientError, ConfigError, Unavailable
from signaling.ids import SystemEntropy
from signaling.keys.envelope import Envelope
from signaling.keys.masters import Masters
from signaling.keys.open import providers
from signaling.keys.table import KeyTable

HELP = "verify the audit log"
ABOUT = """  sotto audit verify   finds changed, removed, reordered and cut off records
  sotto audit keys     the public keys that signed; keep them elsewhere
With --public-key FILE (what `sotto audit keys` printed) verifying needs no KMS and trusts no key
of the store. With --head FILE (lines that were forwarded) a log that was written anew is found.
Exit code 0: nothing was found, 1: something was."""


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verify = verbs.add_parser("verify", help="look for what does not fit")
    verify.add_argument("--app", help="only this app")
    verify.add_argument("--public-key", metavar="FILE", type=Path, help="keys to believe")
    verify.add_argument("--head", metavar="FILE", type=Path, help="forwarded records with heads")
    verify.add_argument("--json", action="store_true", help="print JSON")
    keys = verbs.add_parser("keys", help="print the public keys")
    for verb in (verify, keys):
        verb.add_argument("--state-dir", metavar="DIR", help="as the server has it")
        common.config_arguments(verb, required=False)
        common.store_arguments(verb)


def run(arguments: argparse.Namespace) -> int:
    more = [("process.state_dir", arguments.state_dir)] if arguments.state_dir else None
    config = common.read(arguments, None, more)
    try:
        return asyncio.run(_chosen(config, arguments))
    except (ClientError, Unavailable) as error:
        print(f"sotto: {error.message}", file=sys.stderr)
        return 1


async def _chosen(config: Config, arguments: argparse.Namespace) -> int:
    store = await open_readable(config, common.state_path(config))
    try:
        if arguments.verb == "keys":
            public = await _public_keys(config, store)
            print("\n".join(key.hex() for key in public.values()))
            return 0
        return await _verify(config, store, arguments)
    finally:
        await store.close()


async def _verify(config: Config, store: Readable, arguments: argparse.Namespace) -> int:
    pinned = _heads(arguments.head) if arguments.head is not None else {}
    public = (
        _read_keys(arguments.public_key)
        if arguments.public_key is not None
        else await _public_keys(config, store)
    )
    apps = [arguments.app] if arguments.app else await audited_apps(store.meta)
    # An app whose whole log was removed is still named by the head that is kept elsewhere.
    apps += [] if arguments.app else sorted(set(pinned) - set(apps))
    reports = [await check(store.meta, store.log, app, public, pinned.get(app)) for app in apps]
    if arguments.json:
        print(json.dumps([dataclasses.asdict(report) for report in reports], indent=2))
    else:
        print("\n".join(line for report in reports for line in _lines(report)))
    return 0 if all(report.good for report in reports) else 1


def _lines(report: Report) -> list[str]:
    verdict = "nothing was found" if report.good else f"{len(report.findings)} findings"
    lines = [
        f"{report.app}: {report.records} records up to {report.last}, signed up to"
        f" {report.signed_to}, {report.unsigned} after the last head: {verdict}"
    ]
    lines += [f"  {f.kind} at {f.seq}: {f.text}" for f in report.findings]
    return lines


async def _public_keys(config: Config, store: Readable) -> dict[str, bytes]:
    """From the store, opened under the KMS: what was not sealed by this installation raises."""
    clock, entropy, audit = SystemClock(), SystemEntropy(), MemoryAudit()
    table = KeyTable(store.meta)
    state = common.state_path(config)
    masters = Masters(table, providers(config, state, clock, entropy), audit, clock)
    try:
        envelope = Envelope(table, masters, audit, clock, entropy)
        return await Signers(store.meta, envelope, clock, entropy).public_keys()
    finally:
        await masters.close()


def _read_keys(path: Path) -> Mapping[str, bytes]:
    try:
        keys = [bytes.fromhex(line) for line in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError) as error:
        raise ConfigError("--public-key", f"cannot be read: {error}") from error
    if not keys or any(len(key) != 32 for key in keys):
        raise ConfigError("--public-key", "has lines of 64 hexadecimal digits")
    return {key_name(key): key for key in keys}


def _heads(path: Path) -> dict[str, SignedHead]:
    """The newest head of each app among forwarded lines; other lines do not matter."""
    found: dict[str, SignedHead] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError("--head", f"cannot be read: {error.strerror}") from error
    for line in lines:
        try:
            head = head_from(json.loads(line))
        except (ValueError, AttributeError):
            continue
        if head.app not in found or found[head.app].seq < head.seq:
            found[head.app] = head
    if not found:
        raise ConfigError("--head", "holds no forwarded head")
    return found
