"""`sotto backup`: the store, encrypted, into one file; also beside a running server."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from signaling.clock import SystemClock
from signaling.commands import common
from signaling.config import Config
from signaling.errors import ClientError, ConfigError, Unavailable
from signaling.ids import SystemEntropy
from signaling.storage.archive.records import Part
from signaling.storage.archive.run import Place, backup, new_key, read_key

HELP = "write the store into an encrypted archive"
ABOUT = """Write the store into an encrypted archive, read it back whole, and only then give it its
name. The server may run meanwhile. Files that people sent are in it when they lie beside the store;
with `files_s3` they are in the bucket and not in the archive: copy the bucket after it.

  sotto backup --new-key /etc/sotto/backup.key
  sotto backup --config sotto.toml --key /etc/sotto/backup.key --out /backup/monday.sotto

Keep the key elsewhere: without it the archive opens nowhere. Master keys of a local KMS are not
in it. `--part data` and `--part keys` make two archives: if those of keys live shorter, what was
erased by destroying a key cannot be read in an old archive of data either.

Exit codes: 0 done, 1 it did not work, 2 the arguments or the configuration are wrong."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--new-key", metavar="FILE", type=Path, help="make a key file, and end")
    parser.add_argument("--key", metavar="FILE", type=Path, help="the key file")
    parser.add_argument("--out", metavar="FILE", type=Path, help="the archive to write")
    parser.add_argument(
        "--part", type=Part, choices=list(Part), default=Part.ALL, help="all, data or keys"
    )
    common.store_arguments(parser)
    common.config_arguments(parser, required=False)


def run(arguments: argparse.Namespace) -> int:
    if arguments.new_key is not None:
        new_key(arguments.new_key, SystemEntropy())
        return 0
    if arguments.key is None or arguments.out is None:
        raise ConfigError("", "sotto backup needs --key and --out")
    config = common.read(arguments)
    place = Place.of(config, common.state_path(config))
    key = read_key(arguments.key)
    work = backup(place, key, arguments.out, arguments.part, SystemClock(), SystemEntropy())
    try:
        end = asyncio.run(work)
    except (ClientError, Unavailable, OSError) as error:
        print(f"sotto backup: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.out}: {end.rows} rows, {end.blobs} of them pieces of files, verified")
    if arguments.part is not Part.KEYS and (bucket := elsewhere(config)):
        print(f"Not in it: {bucket}. Copy the bucket now, after the archive.")
    return 0


def elsewhere(config: Config) -> str:
    """What no archive holds, in words; empty when files lie beside the store."""
    settings = config.files_s3
    return f"files, which lie in the bucket {settings.bucket}" if settings.endpoint else ""
