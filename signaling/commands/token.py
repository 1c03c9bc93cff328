"""`sotto token`: makes a call token, or a new API key."""

from __future__ import annotations

import argparse
import secrets
import time

from signaling.commands import common
from signaling.config import DEV_KEY, DEV_SECRET, Config
from signaling.errors import ConfigError
from signaling.rtc.grants import VideoGrant
from signaling.rtc.tokens import ApiKeys, Claims, issue
from signaling.secret import Secret

HELP = "make a call token"
ABOUT = """Print a call token. Without --config it is signed with the development key, which only
`sotto dev` accepts. --new-key prints a new API secret instead."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--room", help="the room that it opens")
    parser.add_argument("--identity", help="who it is for; unique in the call")
    parser.add_argument("--name", default="", help="the name that others see")
    parser.add_argument("--metadata", default="", help="text that others can read")
    parser.add_argument("--ttl", type=float, default=3600, metavar="SECONDS", help="default 3600")
    parser.add_argument("--key", help="name of the API key (default: the first)")
    for flag, meaning in (
        ("--admin", "may moderate the room"),
        ("--create", "may create rooms"),
        ("--list", "may list rooms"),
        ("--hidden", "others do not see it"),
        ("--no-publish", "may not publish"),
        ("--no-subscribe", "may not subscribe"),
    ):
        parser.add_argument(flag, action="store_true", help=meaning)
    parser.add_argument("--new-key", action="store_true", help="print a new API secret, end")
    common.config_arguments(parser, required=False)


def run(arguments: argparse.Namespace) -> int:
    if arguments.new_key:
        print(secrets.token_urlsafe(36))
        return 0
    if bool(arguments.room) != bool(arguments.identity):
        raise ConfigError("sotto token", "--room and --identity go together")
    config = Config(keys={DEV_KEY: Secret(DEV_SECRET)})
    if arguments.config is not None:
        config = common.read(arguments)
    else:
        common.allow_development_key()
    keys = ApiKeys(config.keys)
    key = arguments.key or next(iter(config.keys), "")
    if key not in config.keys:
        raise ConfigError("keys", f"there is no API key named {key!r}")
    now = time.time()  # noqa: TID251 - a command, not domain code
    print(issue(keys, _claims(arguments, key), now, arguments.ttl))
    return 0


def _claims(arguments: argparse.Namespace, key: str) -> Claims:
    grant = VideoGrant(
        room=arguments.room or "",
        room_join=bool(arguments.identity),
        room_admin=arguments.admin,
        room_create=arguments.create,
        room_list=arguments.list,
        hidden=arguments.hidden,
        publish=False if arguments.no_publish else None,
        subscribe=False if arguments.no_subscribe else None,
    )
    return Claims(
        key=key,
        identity=arguments.identity or "",
        name=arguments.name,
        metadata=arguments.metadata,
        video=grant,
        has_video=True,
    )
