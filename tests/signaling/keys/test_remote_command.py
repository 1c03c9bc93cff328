"""`sotto keys --url`: the same acts through a running server, as somebody with a token."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signaling.commands import keys as command
from signaling.errors import ConfigError, Unavailable
from signaling.keys.header import parse
from tests.signaling.compliance.served import Served, served


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path / "kek") as made:
        yield made


async def run(api: Served, directory: Path, who: str, *words: str) -> int:
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    token = directory / "token"
    token.write_text(f"{who}\n")
    return await command._chosen(
        parser.parse_args([*words, f"--url={api.url}/", f"--token={token}"])
    )


async def test_a12_the_life_of_a_key_from_the_command_line(
    api: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = await api.rig.keys.envelope.seal("one", "room:r", b"aad", b"text")
    key = f"--key={parse(value).key.hex()}"
    one = (key, "--version=1")
    assert await run(api, tmp_path, "owner", "rotate", key) == 0
    assert await run(api, tmp_path, "owner", "generate", key) == 0
    assert await run(api, tmp_path, "administrator", "activate", key, "--version=3") == 0
    assert await run(api, tmp_path, "compliance", "disable", *one) == 0
    assert await run(api, tmp_path, "compliance", "enable", *one) == 0
    assert await run(api, tmp_path, "compliance", "disable", *one) == 0
    assert await run(api, tmp_path, "compliance", "schedule", *one) == 0
    assert await run(api, tmp_path, "compliance", "approve", *one) == 1
    assert "second_approver_needed" in capsys.readouterr().err
    assert await run(api, tmp_path, "owner", "approve", *one) == 0
    assert await run(api, tmp_path, "owner", "cancel", *one) == 0
    assert await run(api, tmp_path, "administrator", "rotate") == 0
    assert await run(api, tmp_path, "administrator", "rewrap") == 0
    capsys.readouterr()
    assert await run(api, tmp_path, "auditor", "status") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [v["state"] for v in shown["versions"]] == ["decrypt_only", "active"]
    assert shown["versions"][0]["wraps"] == 0


async def test_a13_a_member_is_refused_and_a_missing_token_is_said(
    api: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(api, tmp_path, "member", "status") == 1
    assert "not_permitted" in capsys.readouterr().err
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    with pytest.raises(ConfigError):
        await command._chosen(parser.parse_args(["status", f"--url={api.url}"]))
    for words in (
        ("--url=http://meet.example.org", f"--token={tmp_path}/token"),
        (f"--url={api.url}", f"--token={tmp_path}/missing"),
    ):
        with pytest.raises(ConfigError):
            await command._chosen(parser.parse_args(["status", *words]))
    (tmp_path / "token").write_text("owner")
    nowhere = ["status", "--url=http://127.0.0.1:9", f"--token={tmp_path}/token"]
    with pytest.raises(Unavailable):
        await command._chosen(parser.parse_args(nowhere))
