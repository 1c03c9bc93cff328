"""`sotto accounts`: for the operator at the machine, when nobody else can help somebody in.

Works on the store itself; the embedded one belongs to a running server, which has to stop first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys

from signaling.accounts import opening
from signaling.accounts.model import Account
from signaling.accounts.principal import Role
from signaling.accounts.service import Service
from signaling.commands import common
from signaling.compliance.audit.port import AuditEvent
from signaling.compose.core import Core, open_core
from signaling.compose.people import Outside, make_people
from signaling.config import Config
from signaling.errors import ClientError, Code, Unavailable

HELP = "accounts: who there is, and how to get somebody back in"
ABOUT = """  sotto accounts list --config sotto.toml
  sotto accounts password-link ana --config sotto.toml
      Prints a link, good once and for a day, with which ana sets a new password. A second factor
      is still asked for.
  sotto accounts remove-factors ana --config sotto.toml
      For who lost all of them. Ends every session of the account.

With the embedded store, stop the server first. Everything enters the audit."""
OPERATOR = frozenset({Role.OWNER})
PAGE = 100


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, what in (
        ("list", "login, roles, state; one a line"),
        ("password-link", "a one-time link to set a new password"),
        ("remove-factors", "remove every second factor"),
    ):
        made = verbs.add_parser(verb, help=what)
        if verb != "list":
            made.add_argument("login", help="the account's login name")
        made.add_argument("--state-dir", metavar="DIR", help="as the server has it")
        common.config_arguments(made, required=False)
        common.store_arguments(made)


def run(arguments: argparse.Namespace) -> int:
    more = [("process.state_dir", arguments.state_dir)] if arguments.state_dir else None
    config = common.read(arguments, None, more)
    try:
        lines = asyncio.run(_do(config, arguments.verb, getattr(arguments, "login", "")))
    except (ClientError, Unavailable) as error:
        print(f"sotto: {error.message}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


async def _do(config: Config, verb: str, login: str) -> list[str]:
    async with contextlib.AsyncExitStack() as stack:
        core = await open_core(config, common.state_path(config), stack)
        pool = stack.enter_context(contextlib.closing(opening.hash_pool(config, core.entropy)))
        service = make_people(core, Outside(pool), "https://localhost").service
        if verb == "list":
            return await _list(service, core.app)
        account = await service.registry.by_login(core.app, login)
        if account is None:
            raise ClientError(Code.NOT_FOUND, 404, f"There is no account {login}.")
        if verb == "password-link":
            link = await service.administration.reset_link(core.app, OPERATOR, account.id)
            lines = [link]
        else:
            await service.administration.remove_factors(core.app, OPERATOR, account.id)
            lines = [f"{account.login} signs in with the password alone now."]
        await _record(core, verb, account)
        return lines


async def _list(service: Service, app: str) -> list[str]:
    lines: list[str] = []
    after = ""
    while page := await service.registry.page(app, after, PAGE):
        lines += [_line(account) for account in page]
        after = page[-1].id
    return lines or ["There is no account."]


def _line(account: Account) -> str:
    state = "disabled" if account.disabled else "second factor" if account.second_factor else "-"
    roles = ",".join(sorted(account.roles))
    return f"{account.login or account.id}\t{roles}\t{state}"


async def _record(core: Core, verb: str, account: Account) -> None:
    await core.audit.record(
        AuditEvent(
            at=core.clock.unix(),
            app=core.app,
            actor="operator:command",
            action=f"accounts.{verb.replace('-', '_')}",
            target=f"account:{account.id}",
        )
    )
