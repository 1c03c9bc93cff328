"""From the configuration to the parts: what an operator wrote, and what cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from signaling.accounts import opening
from signaling.accounts.settings import SecondFactor, SignUp
from signaling.clock import SystemClock
from signaling.config import Config, load
from signaling.errors import ConfigError
from signaling.ids import SystemEntropy


def config(folder: Path, text: str) -> Config:
    file = folder / "sotto.toml"
    file.write_text(text)
    return load(file)


def test_everything_that_is_written_arrives(tmp_path: Path) -> None:
    made = opening.settings_of(
        config(
            tmp_path,
            """
            [http]
            public_url = "https://meet.example.org"
            [accounts]
            sign_up = "open"
            second_factor = "staff"
            words = ["Villa"]
            rp_id = "example.org"
            origins = ["https://meet.example.org", "https://example.org"]
            """,
        )
    )
    assert (made.sign_up, made.second_factor) == (SignUp.OPEN, SecondFactor.STAFF)
    assert (made.rp_id, made.public_url) == ("example.org", "https://meet.example.org")
    assert made.password_policy("").words == ("Villa",)


def test_development_knows_its_own_address() -> None:
    made = opening.settings_of(Config(), "https://localhost:7443")
    assert (made.rp_id, made.origins) == ("localhost", ("https://localhost:7443",))


@pytest.mark.parametrize("origin", ["https://evil.example", "https://notexample.org"])
def test_a_page_outside_of_the_domain_has_no_passkeys(tmp_path: Path, origin: str) -> None:
    text = f'[accounts]\nrp_id = "example.org"\norigins = ["{origin}"]'
    with pytest.raises(ConfigError, match=r"accounts\.origins"):
        opening.settings_of(config(tmp_path, text))


async def test_exceptions_of_the_guard_are_networks(tmp_path: Path) -> None:
    good = config(tmp_path, '[[egress.allow]]\nnetwork = "10.1.2.3/32"\nport = 8443')
    await opening.egress(good).close()
    for network in ("10.1.2.3/8", "example.org", ""):
        bad = config(tmp_path, f'[[egress.allow]]\nnetwork = "{network}"\nport = 8443')
        with pytest.raises(ConfigError, match=r"egress\.allow\[0\]"):
            opening.egress(bad)


PROVIDER = """
[[accounts.providers]]
id = "work"
name = "Work"
issuer = "https://id.example.org"
client_id = "sotto"
"""


async def test_providers_are_named_once_and_ask_for_openid(tmp_path: Path) -> None:
    through = opening.egress(Config())
    try:
        made = opening.providers(config(tmp_path, PROVIDER), through, SystemClock())
        assert [one.known.id for one in made] == ["work"]
        for text in (PROVIDER + PROVIDER, PROVIDER + 'scopes = ["profile"]'):
            with pytest.raises(ConfigError, match=r"accounts\.providers"):
                opening.providers(config(tmp_path, text), through, SystemClock())
    finally:
        await through.close()


@pytest.mark.parametrize("ident", ["Work", "a b", "", "x" * 33, "a/b"])
def test_odd_ids_of_providers_are_refused(tmp_path: Path, ident: str) -> None:
    with pytest.raises(ConfigError):
        config(tmp_path, PROVIDER.replace('"work"', f'"{ident}"'))


def test_a_mail_server_needs_a_sender(tmp_path: Path) -> None:
    assert opening.mailer(Config(), "Sotto") is None
    with pytest.raises(ConfigError, match=r"mail\.sender"):
        opening.mailer(config(tmp_path, '[mail]\nhost = "mail.example.org"'), "Sotto")
    text = '[mail]\nhost = "mail.example.org"\nsender = "sotto@example.org"'
    assert opening.mailer(config(tmp_path, text), "Sotto") is not None


def test_the_cost_of_a_hash_has_a_floor(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"accounts\.hash_memory_kib"):
        config(tmp_path, "[accounts]\nhash_memory_kib = 1024")
    opening.hash_pool(config(tmp_path, "[accounts]\nhash_workers = 1"), SystemEntropy()).close()
