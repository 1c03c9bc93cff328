"""The `sotto` command: reads the arguments and hands over.

Every command's work is in a module of its own, and only the one that was asked for is loaded: a
server that starts again should not pay for what the others need.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from signaling.errors import ConfigError
from signaling.run import collect_seldom
from turn.errors import TurnError

Command = Callable[[argparse.Namespace], int]
# By their names; the module is of the same name unless it is said.
COMMANDS = (
    "dev", "serve", "doctor", "token", "turn", "access", "backup", "restore", "accounts", "keys",
    "audit", "import", "config",
)  # fmt: skip
MODULES = {"import": "bring", "config": "check"}

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


def parser(asked: str = "") -> argparse.ArgumentParser:
    """Of the command that was `asked` for; of all when there is none of that name."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(prog="sotto", description=ABOUT, formatter_class=raw)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in (asked,) if asked in COMMANDS else COMMANDS:
        module = import_module(f"signaling.commands.{MODULES.get(name, name)}")
        if name == "config":
            config = commands.add_parser(name, help="about the configuration file")
            verbs = config.add_subparsers(dest="verb", metavar="VERB", required=True)
            made = verbs.add_parser("check", help=module.HELP, description=module.ABOUT)
        else:
            made = commands.add_parser(
                name,
                help=module.HELP,
                description=module.ABOUT,
                epilog=KEYS_ABOUT if name in ("dev", "serve") else None,
                formatter_class=raw,
            )
        module.arguments(made)
        made.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done, 1 it did not work, 2 the arguments or the configuration are wrong."""
    collect_seldom()
    words = sys.argv[1:] if argv is None else argv
    arguments = parser(words[0] if words else "").parse_args(words)
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
