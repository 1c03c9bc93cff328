"""Rows A2, A4, B1, B5: what is kept is written down, and what everybody may fetch is right."""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from signaling.http.api.classification import TABLE, kinds
from signaling.keys import header
from tests.signaling.accounts.rig import PASSWORD
from tests.signaling.house import Running, serving
from tests.signaling.http.started import People, people


async def busy(there: People) -> None:
    """One act of every kind that leaves something."""
    ask, tokens = there.server.ask, there.tokens
    await ask("POST", "/sync/tickets", token=tokens["member"])
    await ask("POST", "/access/key-sets", {"name": "canary set"}, tokens["owner"])
    await ask("POST", "/sign-in/password", {"login": "some.member", "password": "wrong" + PASSWORD})
    await ask("POST", "/account/totp", token=tokens["member"])
    client = {
        "name": "app", "redirect_uris": ["https://app.example/back"],
        "grants": ["authorization_code"], "scopes": ["account:read"],
    }  # fmt: skip
    await ask("POST", "/oauth/clients", client, tokens["owner"])
    url = there.server.url + "/api/v1/account/recovery-codes"
    headers = {"Authorization": f"Bearer {tokens['member']}", "Idempotency-Key": "k1"}
    async with there.server.client.post(url, headers=headers) as answer:
        await answer.read()


async def test_a02_everything_that_is_stored_is_in_the_table(tmp_path: Path) -> None:
    async with people(tmp_path) as there:
        await busy(there)
    listed = kinds()
    with sqlite3.connect(there.server.state / "store" / "sotto.db") as store:
        rows = store.execute("SELECT kind, key, value FROM meta").fetchall()
        terms = store.execute("SELECT kind, term FROM term").fetchall()
    found = {kind for kind, _, _ in rows}
    assert len(found) >= 12, found
    assert found <= set(listed), found - set(listed)
    for kind, key, value in rows:
        if listed[kind].sealed:
            header.parse(value)  # raises for what is no ciphertext of ours
        assert b"some.member" not in value, kind
        assert "some.member" not in key, kind
    assert not [term for _, term in terms if "some." in term]


async def test_a02_the_security_page_and_its_contact(house: Running) -> None:
    async with house.client.get(house.https + "/security") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        page = await answer.text()
    for kept in TABLE:
        assert kept.level.value in page
    assert "AES-256-GCM" in page
    assert "master key that never leaves the KMS" in page
    async with house.client.get(house.https + "/.well-known/security.txt") as answer:
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        fields = dict(line.split(": ", 1) for line in (await answer.text()).splitlines())
    expires = datetime.strptime(fields["Expires"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert expires > datetime.now(UTC)
    assert fields["Contact"].endswith("/security")


async def test_a02_the_operators_own_contact(tmp_path: Path) -> None:
    flags = {"api.security_contact": "mailto:security@meet.example"}
    async with (
        serving(tmp_path, flags) as house,
        house.client.get(house.https + "/.well-known/security.txt") as answer,
    ):
        assert "Contact: mailto:security@meet.example\n" in await answer.text()


async def test_well_known_documents_have_their_types(house: Running) -> None:
    wanted = {
        "security.txt": (200, "text/plain"),
        "oauth-authorization-server": (200, "application/json"),
        "oauth-protected-resource": (200, "application/json"),
        "webauthn": (200, "application/json"),
        "sotto": (200, "application/json"),
        "change-password": (302, None),
    }
    for name, (status, kind) in wanted.items():
        url = f"{house.https}/.well-known/{name}"
        async with house.client.get(url, allow_redirects=False) as answer:
            assert answer.status == status, name
            if kind is not None:
                assert answer.content_type == kind, name
    async with house.client.get(house.https + "/.well-known/sotto") as answer:
        about = await answer.json()
    for key in ("openapi", "asyncapi"):
        async with house.client.get(about[key]) as answer:
            assert answer.status == 200
            assert (await answer.json())[key]
    assert about["socket"].startswith("wss://")
    assert about["versions"]["sync"]


async def test_b05_https_for_a_year_and_its_subdomains(tmp_path: Path) -> None:
    async with serving(tmp_path, development=False) as house:
        for path in ("/security", "/api/v1/session", "/rtc/validate"):
            async with house.client.get(house.https + path) as answer:
                held = answer.headers["Strict-Transport-Security"]
                assert re.fullmatch(r"max-age=(\d+); includeSubDomains", held)
                assert int(held.split("=")[1].split(";")[0]) >= 31536000


async def test_b01_pages_load_nothing_from_elsewhere(house: Running) -> None:
    for path in ("/security", "/problems/not_found"):
        async with house.client.get(house.https + path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'")
            assert "http" not in policy
            assert "://" not in (await answer.text()).replace("https://www.w3.org", "")


async def test_problems_lead_to_a_page_that_explains_them(house: Running) -> None:
    async with house.client.get(house.https + "/api/v1/session") as answer:
        problem = await answer.json(content_type=None)
    async with house.client.get(house.https + problem["type"]) as answer:
        assert answer.status == 200
        assert problem["code"] in await answer.text()
