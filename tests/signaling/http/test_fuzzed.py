"""schemathesis sends what the specification allows and what it does not: never a 5xx (row API9).

Run as somebody with every role but administrator's, which no account may have beside an owner's
(keys), then as an administrator where only they may, so that requests reach every handler, and once
more as nobody where nobody is asked. Every operation is really tested: its report is read. Answers
are checked against the document: status, content type, headers, and every member of every body,
refusals too.

`make test` sends what the schemas suggest (the coverage phase); what chance suggests beside it is
`make test-long PART=media`.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.signaling.accounts.rig import PASSWORD, secret_of
from tests.signaling.http.started import ROLES, People, people

PROGRAM = Path(sys.executable).with_name("schemathesis")
# All but two. A body that fits its schema may be refused all the same, for a cursor or a code that
# nobody gave out, a time zone that is none, an address that is not to be called. And who brings no
# access token where one counts is 403 (row B23), of which schemathesis wants 401.
LEFT_OUT = "positive_data_acceptance,missing_required_header"
# A body of the wrong form may be too large as well, which is found first.
SETTINGS = """[checks]
negative_data_rejection.expected-statuses = [
  400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429,
]
"""
# They end the session that asks, or lock its account: everything after them would be a 401.
LAST = ("endSession", "endOtherSessions", "endOneSession", "deleteAccount", "setPassword")
# A socket is no request.
NO_REQUEST = ("openSync",)
ADMINISTRATOR = "administrator"


async def fuzz(there: People, folder: Path, token: str, seconds: int, *more: str) -> str:
    """Everything that it printed; fails unless it found nothing and tested all it was to test."""
    assert PROGRAM.exists(), "schemathesis is missing: pip install -e .[test]"
    (folder / "schemathesis.toml").write_text(SETTINGS)
    words = [
        str(PROGRAM), "run", there.server.url + "/api/openapi.json", "--tls-verify", "false",
        "--checks", "all", "--exclude-checks", LEFT_OUT, "--seed", "1",
        "--max-time", str(seconds), "--continue-on-failure",
        "--suppress-health-check", "all", "--warnings", "off", "--no-color",
        "--request-timeout", "60", *more,
    ]  # fmt: skip
    if token:
        words += ["--header", f"Authorization: Bearer {token}"]
    process = await asyncio.create_subprocess_exec(
        *words, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output[-8000:]
    assert "No issues found" in output, output[-3000:]
    selected, tested = (re.search(rf"{word}: (\d+)", output) for word in ("Selected", "Tested"))
    assert selected is not None and tested is not None, output[-3000:]
    assert selected[1] == tested[1], output[-3000:]
    return output


def listed(there: People, *auths: str) -> list[str]:
    return [
        operation["operationId"]
        for methods in there.document["paths"].values()
        for operation in methods.values()
        if not auths or operation["x-sotto-access"]["auth"] in auths
    ]


async def everybody(there: People, login: str) -> str:
    """A token of an account with all roles that one account may have at once."""
    ask, wish = there.server.ask, {"roles": [role for role in ROLES if role != ADMINISTRATOR]}
    _, made = await ask("POST", "/invitations", wish, there.tokens["owner"])
    body = {"login": login, "password": PASSWORD, "link": secret_of(made["url"])}
    status, answer = await ask("POST", "/sign-up", body)
    assert status == 200, answer
    return str(answer["access_token"])


def administrators(there: People) -> list[str]:
    """What an owner may not."""
    found = [
        operation["operationId"]
        for methods in there.document["paths"].values()
        for operation in methods.values()
        if ADMINISTRATOR in (roles := operation["x-sotto-access"]["roles"] or ())
        and "owner" not in roles
    ]
    assert found
    return found


def no_errors(there: People) -> None:
    lines = there.server.output.read_text().splitlines()
    assert not [line for line in lines if "our error" in line]


async def test_no_request_makes_the_server_fail(tmp_path: Path) -> None:
    async with people(tmp_path, "api.reauth_seconds=86400") as there:
        assert set(LAST) | set(NO_REQUEST) < set(listed(there))
        skipped = [f"--exclude-operation-id={name}" for name in (*LAST, *NO_REQUEST)]
        token = await everybody(there, "every.role")
        await fuzz(there, tmp_path, token, 420, "--phases", "coverage", *skipped)
        for name in administrators(there):
            only = ("--phases", "coverage", f"--include-operation-id={name}")
            await fuzz(there, tmp_path, there.tokens[ADMINISTRATOR], 60, *only)
        for name in LAST:
            token = await everybody(there, f"for.{name.lower()}")
            only = ("--phases", "coverage", f"--include-operation-id={name}")
            await fuzz(there, tmp_path, token, 60, *only)
        no_errors(there)


async def test_no_request_of_nobody_makes_it_fail(tmp_path: Path) -> None:
    async with people(tmp_path) as there:
        wanted = [f"--include-operation-id={name}" for name in listed(there, "none")]
        await fuzz(there, tmp_path, "", 240, "--phases", "coverage", *wanted)
        no_errors(there)


@pytest.mark.long
async def test_no_chance_request_makes_it_fail(tmp_path: Path) -> None:
    """Twenty by chance for each operation, beside those that the schemas suggest."""
    async with people(tmp_path, "api.reauth_seconds=86400") as there:
        skipped = [f"--exclude-operation-id={name}" for name in (*LAST, *NO_REQUEST)]
        token = await everybody(there, "every.role")
        phases = ("--phases", "coverage,fuzzing", "--max-examples", "20")
        await fuzz(there, tmp_path, token, 2400, *phases, *skipped)
        no_errors(there)
