"""The `sotto` command: reads the arguments and hands over.

Every command's work is in a module of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from signaling.commands import (
    access,
    accounts,
    audit,
    backup,
    bring,
    check,
    dev,
    doctor,
    keys,
    restore,
    serve,
    token,
    turn,
)
from signaling.errors import ConfigError
from turn.errors import TurnError

Command = Callable[[argparse.Namespace], int]

ABOUT = """Sotto: a server for private voice and video calls that every LiveKit client,
WHIP and WHEP can use.

  sotto dev                        a server on this machine, nothing to configure
  sotto dev --lan                  ... and for a phone on the same network
  sotto serve --config sotto.toml  production
  sotto doctor --config sotto.toml tests what a client would do, hop by hop
"""
KEYS_ABOUT = """Every key of the configuration can be given three ways; the later wins:
  [media] udp_port = 7882          in the file
  SOTTO_MEDIA__UDP_PORT=7882       in the environment
  --set media.udp_port=7882        on the command line
All keys: docs/operations/configuration.md"""


def parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(prog="sotto", description=ABOUT, formatter_class=raw)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in (
        ("dev", dev),
        ("serve", serve),
        ("doctor", doctor),
        ("token", token),
        ("turn", turn),
        ("access", access),
        ("backup", backup),
        ("restore", restore),
        ("accounts", accounts),
        ("keys", keys),
        ("audit", audit),
        ("import", bring),
    ):
        made = commands.add_parser(
            name,
            help=module.HELP,
            description=module.ABOUT,
            epilog=KEYS_ABOUT if name in ("dev", "serve") else None,
            formatter_class=raw,
        )
        module.arguments(made)
        made.set_defaults(run=module.run)
    config = commands.add_parser("config", help="about the configuration file")
    verbs = config.add_subparsers(dest="verb", metavar="VERB", required=True)
    checking = verbs.add_parser("check", help=check.HELP, description=check.ABOUT)
    check.arguments(checking)
    checking.set_defaults(run=check.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 it did not work, 2 the arguments or the configuration are wrong."""
    arguments = parser().parse_args(argv)
    command: Command = arguments.run
    try:
        return command(arguments)
    except ConfigError as error:
        print(f"sotto: configuration: {error}", file=sys.stderr)
        return 2
    except TurnError as error:
        print(f"sotto: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
