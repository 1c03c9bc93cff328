"""`sotto config check`: would `sotto serve` take this configuration?"""

from __future__ import annotations

import argparse
import sys

from signaling.commands import common
from signaling.config import check_production

HELP = "say everything that is wrong with a configuration"
ABOUT = "Read the configuration as `sotto serve` would, say everything that is wrong with it, end."


def arguments(parser: argparse.ArgumentParser) -> None:
    common.config_arguments(parser, required=True)


def run(arguments: argparse.Namespace) -> int:
    config = common.read(arguments)
    problems = check_production(config)
    for problem in problems:
        print(f"sotto: configuration: {problem}", file=sys.stderr)
    if not problems:
        print("The configuration is good.")
    return 2 if problems else 0
