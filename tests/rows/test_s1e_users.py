"""Row 1.E Users: what operators note on accounts, and how they find them by it."""

from __future__ import annotations

import asyncio
import io
import json
import secrets
import zipfile
from typing import Any

from tests.rows.house import Visit
from tests.rows.rightful import Person, ended, owner, people


async def noted(by: Person, one: Person, external_id: str = "", *tags: str) -> Any:
    body = {"external_id": external_id, "tags": list(tags)}
    return await by.must("PUT", f"/accounts/{one.id}/labels", body)


async def found(by: Person, **wanted: str) -> list[str]:
    """Ids of accounts, the oldest first."""
    return [one["id"] for one in (await by.must("GET", "/accounts", params=wanted))["items"]]


async def test_s1e_users_an_operators_id_is_one_accounts_and_finds_it(there: Visit) -> None:
    root, (ann, bob) = await owner(there), await people(there, 2)
    ident = f"crm/{secrets.token_hex(6)} Ä"
    told = await noted(root, ann, ident, "pilot", "berlin", "pilot")
    assert (told["id"], told["external_id"]) == (ann.id, ident)
    assert told["tags"] == ["berlin", "pilot"]
    assert await found(root, external_id=ident) == [ann.id]
    assert await found(root, external_id=ident.upper()) == []
    # Another's is refused, and changes nothing; one's own again is none.
    wish = {"external_id": ident, "tags": ["x"]}
    taken = await root.ask("PUT", f"/accounts/{bob.id}/labels", wish)
    assert (taken.status, taken.code) == (409, "conflict")
    shown = await root.must("GET", f"/accounts/{bob.id}")
    assert (shown["external_id"], shown["tags"]) == ("", [])
    await noted(root, ann, ident)
    # What it had is free again; of two at once one gets it.
    await noted(root, ann, ident + "2")
    answers = await asyncio.gather(
        *(root.ask("PUT", f"/accounts/{one.id}/labels", wish) for one in (ann, bob))
    )
    assert sorted(answer.status for answer in answers) == [200, 409]
    (winner,) = [one for one, got in zip((ann, bob), answers, strict=True) if got.status == 200]
    assert await found(root, external_id=ident) == [winner.id]


async def test_s1e_users_accounts_are_found_by_tag_login_and_age(there: Visit) -> None:
    root, (ann, bob, cy) = await owner(there), await people(there, 3)
    tag, other = secrets.token_hex(6), secrets.token_hex(6)
    for one in (ann, bob, cy):
        await noted(root, one, "", tag)
    await noted(root, bob, "", tag, other)
    assert await found(root, tag=tag) == [ann.id, bob.id, cy.id]
    assert await found(root, tag=other) == [bob.id]
    assert await found(root, tag=other, login=bob.login.upper()) == [bob.id]
    assert await found(root, tag=other, login=ann.login) == []
    assert await found(root, login="no.such.login") == []
    # In pages, each account once.
    first = await root.must("GET", "/accounts", params={"tag": tag, "limit": "2"})
    more = {"tag": tag, "limit": "2", "cursor": first["next_cursor"]}
    second = await root.must("GET", "/accounts", params=more)
    listed = [one["id"] for page in (first, second) for one in page["items"]]
    assert (listed, second["next_cursor"]) == ([ann.id, bob.id, cy.id], None)
    made = int(bob.id[:8] + bob.id[9:13], 16) / 1000
    assert await found(root, tag=tag, created_since=str(made)) == [bob.id, cy.id]
    assert await found(root, tag=tag, created_before=str(made)) == [ann.id]
    assert await found(root, created_since=str(made), created_before=str(made + 0.001)) == [bob.id]
    # A tag that is taken away finds nobody.
    await noted(root, bob)
    assert await found(root, tag=tag) == [ann.id, cy.id]
    assert await found(root, tag=other) == []


async def test_s1e_users_labels_are_administrators_to_set_and_ones_own_to_read(
    there: Visit,
) -> None:
    root, (ann, bob) = await owner(there), await people(there, 2)
    path, good = f"/accounts/{ann.id}/labels", {"external_id": "x", "tags": []}
    for who in (ann, bob):
        assert (await who.ask("PUT", path, good)).code == "not_permitted"
        assert (await who.ask("GET", "/accounts", params={"tag": "x"})).code == "not_permitted"
    assert (await there.ask("PUT", path, good)).status == 401
    assert (await root.ask("PUT", "/accounts/nobody/labels", good)).code == "not_found"
    wishes: tuple[dict[str, Any], ...] = (
        {"external_id": "x" * 129}, {"external_id": "a\nb"}, {"external_id": 7},
        {"external_id": None}, {"tags": [""]}, {"tags": ["x" * 65]}, {"tags": ["a\0b"]},
        {"tags": [str(number) for number in range(21)]}, {"tags": "x"}, {"login": "x"},
    )  # fmt: skip
    for wish in wishes:
        assert (await root.ask("PUT", path, wish)).code == "fields_invalid", wish
    queries: tuple[dict[str, str], ...] = (
        {"tag": ""}, {"external_id": ""}, {"created_since": "yesterday"}, {"created_since": "-1"},
        {"created_before": "1e300"}, {"created_before": "nan"}, {"role": "owner"},
    )  # fmt: skip
    for query in queries:
        assert (await root.ask("GET", "/accounts", params=query)).status == 422, query
    ident, tag = f"id-{secrets.token_hex(6)}", f"tag-{secrets.token_hex(6)}"
    await noted(root, ann, ident, tag)
    mine = await ann.must("GET", "/account")
    assert (mine["external_id"], mine["tags"]) == (ident, [tag])
    headers = {"Authorization": f"Bearer {ann.token}"}
    url = there.house.url + "/api/v1/account/export"
    async with there.client.get(url, headers=headers) as answer:
        archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
    shown = json.loads(archive.read("account.json"))
    assert (shown["external_id"], shown["tags"]) == (ident, [tag])


async def test_s1e_users_labels_go_with_the_account(there: Visit) -> None:
    root, (ann, bob) = await owner(there), await people(there, 2)
    ident, tag = f"id-{secrets.token_hex(6)}", f"tag-{secrets.token_hex(6)}"
    await noted(root, ann, ident, tag)
    asked = await ann.ask("POST", "/account/erasure", {"confirm": ann.id})
    assert (await ended(there, asked.body["id"]))["state"] == "done"
    assert await found(root, external_id=ident) == await found(root, tag=tag) == []
    assert (await noted(root, bob, ident))["external_id"] == ident
