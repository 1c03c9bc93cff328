"""Arguments and steps that several commands share.

Reading the configuration, starting the media server.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import resource
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediaserver.api import MediaError
from signaling import config as configuration
from signaling.config import Config
from signaling.errors import ConfigError
from signaling.logs import setup

if TYPE_CHECKING:
    from signaling.app import App

PR_SET_DUMPABLE = 4  # <linux/prctl.h>


def config_arguments(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--config", metavar="FILE", type=Path, required=required, help="the TOML file"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="one key of the configuration; may be repeated",
    )


def store_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store", metavar="URL", help="mongodb://..., instead of SQLite (store.url)"
    )
    parser.add_argument("--bus", metavar="URL", help="rediss://..., for several servers (bus.url)")
    parser.add_argument(
        "--insecure-store-without-auth",
        action="store_true",
        help="take a MongoDB on loopback that knows neither TLS nor sign-in; /readyz shows it",
    )


def ready_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ready-file",
        metavar="FILE",
        type=Path,
        help="write the ports in use there as JSON once everything listens",
    )


def allow_development_key() -> None:
    """The published development secret is short on purpose; `sotto serve` refuses it."""
    from jwt.warnings import InsecureKeyLengthWarning  # most commands sign nothing

    warnings.filterwarnings("ignore", category=InsecureKeyLengthWarning)


def flags(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for item in arguments.set:
        key, equals, value = item.partition("=")
        if not equals:
            raise ConfigError("--set", f"{item!r} is not KEY=VALUE")
        found.append((key.strip(), value))
    return [*_store_flags(arguments), *found]


def _store_flags(arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    for name, key in (("store", "store.url"), ("bus", "bus.url")):
        if getattr(arguments, name, None) is not None:
            yield key, getattr(arguments, name)
    if getattr(arguments, "insecure_store_without_auth", False):
        yield "store.insecure_without_auth", "true"


def read(
    arguments: argparse.Namespace,
    base: Mapping[str, Any] | None = None,
    more: list[tuple[str, str]] | None = None,
) -> Config:
    return configuration.load(
        arguments.config, os.environ, [*(more or []), *flags(arguments)], base
    )


def refuse(problems: list[ConfigError]) -> None:
    """Print all of them, raise the last: the operator mends the file once."""
    for problem in problems[:-1]:
        print(f"sotto: configuration: {problem}", file=sys.stderr)
    if problems:
        raise problems[-1]


def default_state() -> Path:
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "sotto"


def state_path(config: Config) -> Path:
    return Path(config.process.state_dir) if config.process.state_dir else default_state()


def allow_descriptors() -> None:
    """As many as the administrator allows: the usual soft limit of 1,024 is some 500 sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def forbid_cores() -> None:
    """A core is the memory of a process that died: keys, tokens, what people wrote (ASVS 13.3).

    The limit is for cores that are files; a kernel that pipes them to a program ignores it and asks
    whether the process is dumpable (core(5), PR_SET_DUMPABLE(2const)). That also keeps other
    processes of the same user from reading its memory.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def serve(config: Config, on_ready: Callable[[App], None], *, authority: Path | None = None) -> int:
    """Production without `authority`; with one, `sotto dev`."""
    setup(config.log.format, config.log.level)
    allow_descriptors()
    if authority is None:
        forbid_cores()
    asyncio.run(_serve(config, on_ready, authority))
    return 0


async def _serve(config: Config, on_ready: Callable[[App], None], authority: Path | None) -> None:
    # Here and not above: the commands that serve nothing start in half the time without them.
    from mediaserver.node import MediaServer
    from signaling.app import App, media_config
    from signaling.run import run, settle

    development = authority is not None
    try:
        media = await MediaServer.start(media_config(config, loopback=development))
    except MediaError as error:
        raise ConfigError("media", error.message) from error
    state = state_path(config)

    def ready(app: App) -> None:
        settle()
        on_ready(app)
        announce_setup(app.setup_link)

    await run(App(config, media, state, development=development, authority=authority), ready)


def announce_setup(link: str | None) -> None:
    """On standard output and nowhere else: it is a secret until somebody used it."""
    if link is not None:
        print(f"Nobody administers this server yet. Who opens this link does:\n  {link}")
        sys.stdout.flush()
