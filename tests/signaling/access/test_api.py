"""Decision 7, promises B22 and B27 on our own API: groups, key sets, explanations, both planes."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.signaling.access.rig import APP, Client, serving
from tests.signaling.access.words import ROOM, members


async def test_b22_groups_over_http(client: Client) -> None:
    """add, remove, list and delete: group manage, and nothing else will do."""
    manager = await client.granted({"resources": {"groups": {"team": 4}}})
    reader = await client.granted(
        {"resources": {"groups": {"team": 1, "other": 5}, "channels": {"team": 239, "a": 239}}}
    )
    path = "/api/v1/access/groups/team"

    async def ask(token: str | None, method: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else msgspec.json.encode(body)
        return await client.send(method, path, data=data, headers=headers)

    for token in (reader, None):
        for method, body in (
            ("GET", None), ("POST", {"add": ["a"]}), ("POST", {"remove": ["a"]}), ("DELETE", None),
        ):  # fmt: skip
            answer = await ask(token, method, body)
            assert answer.status == 403
            assert answer.body["payload"] == {"channel-groups": ["team"]}
    assert (await ask(manager, "GET")).body == {"name": "team", "rooms": []}
    added = await ask(manager, "POST", {"add": ["b", "a", "c"]})
    assert added.body == {"name": "team", "rooms": ["a", "b", "c"]}
    assert (await ask(manager, "POST", {"remove": ["b"]})).body["rooms"] == ["a", "c"]
    assert (await ask(manager, "GET")).body["rooms"] == ["a", "c"]
    # A refusal does not tell a group that is there from one that is not.
    there = await ask(reader, "GET")
    assert (await ask(manager, "DELETE")).status == 204
    gone = await ask(reader, "GET")
    assert members(there) == members(gone)
    assert (await ask(manager, "DELETE")).status == 204
    assert (await ask(manager, "GET")).body["rooms"] == []
    assert (await ask(manager, "POST", {"add": ["a\n"]})).status == 422


async def test_decision_7_the_session_plane(client: Client) -> None:
    async def ask(who: str | None, operation: str, **names: Any) -> int:
        return (await client.check(who, operation, **names)).status

    assert await ask("ann", "publish", channels=["anns"]) == 200
    assert await ask("ann", "publish", channels=["elsewhere"]) == 403
    assert await ask("root", "publish", channels=["anns"]) == 403
    assert await ask("root", "moderate_call", channels=["anns"]) == 200
    assert await ask("nobody-we-know", "publish", channels=["anns"]) == 401
    assert await ask("narrow", "publish", channels=["anns"]) == 403
    assert await ask("ann", "set_user", uuids=["ann"]) == 200
    assert await ask("ann", "set_user", uuids=["ann-phone"]) == 200
    assert await ask("ann", "set_user", uuids=["root"]) == 403
    assert await ask("ann", "where_now", uuids=["ann"]) == 200
    assert await ask("ann", "where_now", uuids=["root"]) == 403
    assert await ask("root", "get_all_users") == 200
    assert await ask("ann", "get_all_users") == 403
    answer = await client.check("ann", "publish", channels=["elsewhere"])
    assert "payload" not in answer.body
    assert answer.body["code"] == "not_permitted"


async def test_b27_key_sets_over_http(client: Client) -> None:
    async def ask(who: str | None, method: str, path: str, body: Any = None, **headers: str) -> Any:
        if who:
            headers["Authorization"] = f"Bearer {who}"
        data = None if body is None else msgspec.json.encode(body)
        headers["Content-Type"] = "application/json"
        return await client.send(
            method, f"/api/v1/access/key-sets{path}", data=data, headers=headers
        )

    for who, status in ((None, 401), ("ann", 403), ("unscoped", 403)):
        assert (await ask(who, "POST", "", {"name": "x"})).status == status
        assert (await ask(who, "GET", "")).status == status
    made = await ask("root", "POST", "", {"name": "shop"})
    assert made.status == 201
    secret = made.body["secret_key"]
    assert secret.startswith("sec_") and len(secret) == 47
    ident = made.body["key_set"]["id"]
    seen = [await ask("root", "GET", ""), await ask("root", "GET", f"/{ident}")]
    assert all(secret not in answer.text for answer in seen)
    etag = seen[1].headers["ETag"]
    assert (await ask("root", "PATCH", f"/{ident}", {"listing": True})).status == 428
    changed = await ask("root", "PATCH", f"/{ident}", {"listing": True}, **{"If-Match": etag})
    assert changed.body["listing"] is True
    assert (
        await ask("root", "PATCH", f"/{ident}", {"listing": False}, **{"If-Match": etag})
    ).status == 412

    keyset = (await client.process.keysets.get(APP, ident)).value
    async with serving(client.process, keyset) as shop:
        token = await shop.granted({"patterns": {"uuids": {".*": 32}}})
        assert (await shop.check(token, "get_all_users")).status == 200
        rotated = await ask("root", "POST", f"/{ident}/rotate", {"overlap_seconds": 60})
        fresh = rotated.body["secret_key"]
        body = {"ttl": 5, "permissions": ROOM}
        for key in (secret, fresh):
            assert (await shop.signed("POST", "/grant", body, secret=key)).status == 200
        client.process.clock.advance(60)
        assert (await shop.signed("POST", "/grant", body, secret=secret)).status == 403
        assert (await shop.signed("POST", "/grant", body, secret=fresh)).status == 200
        assert (await ask("root", "DELETE", f"/{ident}")).status == 204
        assert (await shop.signed("POST", "/grant", body, secret=fresh, nonce="z")).status == 403
        assert (await shop.check(token, "get_all_users")).body["message"] == "Token is revoked"
    assert (await ask("root", "GET", f"/{ident}")).status == 404


async def test_whatever_changes_a_key_set_asks_for_a_fresh_proof(client: Client) -> None:
    one = f"/api/v1/access/key-sets/{client.keyset.id}"
    for method, path, body in (
        ("PATCH", one, {"enabled": False}), ("PATCH", one, {"listing": True}),
        ("DELETE", one, None),
        ("DELETE", f"{one}/secrets/{client.keyset.secrets[-1].id}", None),
        ("POST", f"{one}/rotate", {"overlap_seconds": 0}),
    ):  # fmt: skip
        headers = {
            "Authorization": "Bearer stale", "Content-Type": "application/json", "If-Match": "*",
        }  # fmt: skip
        data = None if body is None else msgspec.json.encode(body)
        answer = await client.send(method, path, data=data, headers=headers)
        assert (answer.status, answer.body["code"]) == (403, "reauthentication_required"), path
    assert (await client.process.keysets.get(APP, client.keyset.id)).value == client.keyset


async def test_b22_explain(client: Client) -> None:
    token = await client.granted({"patterns": {"channels": {"room-": 1, "room-.*": 1}}})
    body = {"token": token, "operation": "publish", "channels": ["room-1"]}
    answer = await client.signed("POST", "/explain", body, nonce="a")
    assert answer.status == 200
    assert (answer.body["allowed"], answer.body["reason"]) == (False, "not_granted")
    (part,) = answer.body["parts"]
    assert (part["needs"], part["has"]) == (["write"], ["read"])
    assert part["patterns"] == [{"pattern": "room-.*", "gives": ["read"]}]
    assert (await client.signed("POST", "/explain", body, secret="sec_x")).status == 403
    assert (await client.signed("POST", "/explain", {"token": 1}, nonce="b")).status == 422
