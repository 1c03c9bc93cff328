"""`sotto serve`: production."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from signaling.commands import common
from signaling.config import check_production
from signaling.service import write_ready
from signaling.storage.volume import check_volumes

if TYPE_CHECKING:
    from signaling.app import App

HELP = "run the server in production"
ABOUT = """Run the server as the configuration says. Refuses the development key, secrets of less
than 32 characters, listeners without TLS off loopback, and unknown keys.

SIGTERM: no new calls, wait for those that run (process.drain_seconds), close
(process.stop_seconds), end. A second SIGTERM ends within a second, whatever is open."""


def arguments(parser: argparse.ArgumentParser) -> None:
    common.config_arguments(parser, required=True)
    common.store_arguments(parser)
    common.ready_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    config = common.read(arguments)
    volumes = check_volumes(config, common.state_path(config))
    common.refuse([*check_production(config), *volumes])

    def ready(app: App) -> None:
        if arguments.ready_file is not None:
            write_ready(arguments.ready_file, {**app.facts(), "pid": os.getpid()})

    return common.serve(config, ready)
