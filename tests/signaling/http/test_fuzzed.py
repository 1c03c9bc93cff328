"""schemathesis sends what the specification allows and what it does not: never a 5xx (row API9).

Run as an owner, so that requests reach the handlers; once more as nobody. Answers are checked
against the document: status, content type, schema.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.signaling.http.started import People, people

PROGRAM = Path(sys.executable).with_name("schemathesis")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"
# They end the session that asks, or lock its account: everything after them would be a 401.
LAST = ("endSession", "endOtherSessions", "endOneSession", "deleteAccount", "changePassword")
# A socket is no request; a rewrap of all keys is no subject of fuzzing.
NO_REQUEST = ("openSync",)


async def fuzz(there: People, folder: Path, token: str, seconds: int, *more: str) -> str:
    """Everything that it printed; fails unless it found nothing."""
    assert PROGRAM.exists(), "schemathesis is missing: pip install -e .[test]"
    words = [
        str(PROGRAM), "run", there.server.url + "/api/openapi.json", "--tls-verify", "false",
        "--phases", "examples,coverage,fuzzing", "--checks", CHECKS, "--seed", "1",
        "--max-examples", "5", "--max-time", str(seconds), "--continue-on-failure",
        "--suppress-health-check", "all", "--warnings", "off", "--no-color",
        "--request-timeout", "20", *more,
    ]  # fmt: skip
    if token:
        words += ["--header", f"Authorization: Bearer {token}"]
    process = await asyncio.create_subprocess_exec(
        *words, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output[-8000:]
    return output


@pytest.mark.parametrize("person", ["owner", "anonymous"])
async def test_no_request_makes_the_server_fail(tmp_path: Path, person: str) -> None:
    async with people(tmp_path) as there:
        operations = [
            operation["operationId"]
            for methods in there.document["paths"].values()
            for operation in methods.values()
        ]
        assert set(LAST) & set(operations)
        skipped = [f"--exclude-operation-id={name}" for name in (*LAST, *NO_REQUEST)]
        output = await fuzz(there, tmp_path, there.tokens[person], 40, *skipped)
        assert "No issues found" in output, output[-3000:]
        errors = [
            line for line in there.server.output.read_text().splitlines() if "our error" in line
        ]
        assert not errors
