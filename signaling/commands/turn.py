"""`sotto turn`: renders coturn's configuration and runs it, beside a server that has
`turn.supervise` off.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from signaling.addresses import lan_addresses
from signaling.commands import common
from signaling.config import Config
from signaling.errors import ConfigError
from signaling.logs import setup
from signaling.relay import relay_from
from signaling.run import Stopper, unless
from signaling.service import notify
from turn import coturn
from turn.supervisor import Supervisor

HELP = "run the TURN relay (coturn), hardened"
ABOUT = """Render a hardened coturn configuration from the `turn` section and keep coturn running
with it. --render prints the configuration instead; it holds the secrets."""


def arguments(parser: argparse.ArgumentParser) -> None:
    common.config_arguments(parser, required=True)
    parser.add_argument("--render", action="store_true", help="print the configuration, end")


def run(arguments: argparse.Namespace) -> int:
    config = common.read(arguments)
    if config.turn.secret is None:
        raise ConfigError("turn.secret", "is not set")
    own = lan_addresses()
    relay = relay_from(config, config.media.advertise or own, own)
    program = coturn.find()
    directory = _directory(config)
    if arguments.render:
        sys.stdout.write(coturn.render(relay, program, directory))
        return 0
    setup(config.log.format, config.log.level)
    asyncio.run(supervise(Supervisor(program, relay, directory)))
    return 0


def _directory(config: Config) -> Path:
    return common.state_path(config) / "turn"


async def supervise(supervisor: Supervisor, stopper: Stopper | None = None) -> None:
    """Until a signal: the first ends coturn in its own time, the second kills it."""
    stopper = stopper or Stopper()
    stopper.install()
    await supervisor.start()
    notify("READY=1")
    await stopper.first.wait()
    notify("STOPPING=1")
    if not await unless(asyncio.ensure_future(supervisor.stop()), stopper.second):
        await supervisor.kill()
