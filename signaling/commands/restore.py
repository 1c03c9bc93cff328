"""`sotto restore`: puts an archive of `sotto backup` into an empty store."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from signaling.commands import common
from signaling.commands.backup import elsewhere
from signaling.errors import ClientError, Unavailable
from signaling.ids import SystemEntropy
from signaling.storage.archive.run import Place, read_key, restore, verify

HELP = "put an archive of `sotto backup` into an empty store"
ABOUT = """Put an archive of `sotto backup` into an empty store, while no server runs on it. The
archive is read whole first: one that was changed, cut, or made with another key is refused, and the
target stays as it was. An archive of SQLite can go into MongoDB, and the other way round.

  sotto restore --config sotto.toml --key /etc/sotto/backup.key /backup/monday.sotto
  sotto restore --check --key /etc/sotto/backup.key /backup/monday.sotto

Two archives, of data and of keys, are given together. Files in a bucket (`files_s3`) are in no
archive.

Exit codes: 0 done, 1 it did not work, 2 the arguments or the configuration are wrong."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archives", metavar="ARCHIVE", type=Path, nargs="+")
    parser.add_argument("--key", metavar="FILE", type=Path, required=True, help="the key file")
    parser.add_argument("--check", action="store_true", help="read the archive only")
    common.store_arguments(parser)
    common.config_arguments(parser, required=False)


def run(arguments: argparse.Namespace) -> int:
    key = read_key(arguments.key)
    try:
        if arguments.check:
            for archive in arguments.archives:
                header, end = verify(archive, key)
                print(f"{archive}: {header.part.value}, {end.rows} rows, sound")
            return 0
        config = common.read(arguments)
        place = Place.of(config, common.state_path(config))
        end = asyncio.run(restore(place, arguments.archives, key, SystemEntropy()))
    except (ClientError, Unavailable, OSError) as error:
        print(f"sotto restore: {error}", file=sys.stderr)
        return 1
    print(f"{end.rows} rows restored, {end.blobs} of them pieces of files")
    if bucket := elsewhere(config):
        print(f"Not restored: {bucket}. Put back the copy that was made after the archive.")
    return 0
