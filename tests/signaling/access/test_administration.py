"""Promises B25 and B27 from the first sign-in on, through a server started apart, over TLS."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from signaling.access.grants import BELIEVED_SECONDS
from signaling.access.keysets import KeySet, SecretKey
from signaling.clock import SystemClock
from tests.signaling.access.rig import Signer
from tests.signaling.accounts.rig import PASSWORD
from tests.signaling.accounts.test_server import Server

ROOM = {"resources": {"channels": {"room": 3}}}


async def test_b25_b27_an_owner_makes_a_key_set_through_a_server(tmp_path: Path) -> None:
    server = Server(tmp_path)
    async with server.running("accounts.sign_up=open") as api:
        owner = await api.owner()
        sign_up = {"login": "plain.bob", "password": PASSWORD + " too"}
        status, member = await api.ask("POST", "/sign-up", sign_up)
        assert status == 200, member
        bob = member["access_token"]
        assert (await api.ask("POST", "/access/key-sets", {"name": "x"}, bob))[0] == 403
        assert (await api.ask("POST", "/access/key-sets", {"name": "x"}))[0] == 401
        status, made = await api.ask("POST", "/access/key-sets", {"name": "shop"}, owner)
        assert status == 201, made
        signer = Signer(api.client, api.url, SystemClock(), key_set(made))
        token = await signer.granted(ROOM)
        assert (await signer.check(token, "publish", channels=["room"])).status == 200

        # The secret is in no other answer, nor in anything that the server wrote.
        secret = made["secret_key"]
        one = f"/access/key-sets/{made['key_set']['id']}"
        seen = [await api.ask("GET", path, token=owner) for path in ("/access/key-sets", one)]
        assert secret not in json.dumps(seen)
        status, fresh = await api.ask("POST", f"{one}/rotate", {"overlap_seconds": 0}, owner)
        assert status == 200, fresh
        refused = await signer.signed("POST", "/grant", {"ttl": 5, "permissions": ROOM})
        assert refused.status == 403

        await _disabling(api, signer, fresh["secret_key"], owner, bob)
    written = server.output.read_text()
    kept = b"".join(path.read_bytes() for path in server.state.rglob("*") if path.is_file())
    for canary in (secret, fresh["secret_key"], token):
        assert canary not in written
        assert canary.encode() not in kept


async def _disabling(api: Server, signer: Signer, secret: str, owner: str, bob: str) -> None:
    """A token for an account gives nothing while the account is disabled; others go on."""
    _, account = await api.ask("GET", "/account", token=bob)
    signer.keyset = key_set({"key_set": view(signer.keyset), "secret_key": secret})
    his = await signer.granted({**ROOM, "uuid": account["id"]})
    other = await signer.granted(ROOM)

    async def status(token: str) -> int:
        return (await signer.check(token, "publish", channels=["room"], uuid=account["id"])).status

    assert (await status(his), await status(other)) == (200, 200)
    path = f"/accounts/{account['id']}"
    done, body = await api.ask("PATCH", path, {"disabled": True}, owner)
    assert done == 200, body
    assert (await status(his), await status(other)) == (403, 200)
    assert (await api.ask("PATCH", path, {"disabled": False}, owner))[0] == 200
    await asyncio.sleep(BELIEVED_SECONDS + 0.1)
    assert await status(his) == 200
    gone, body = await api.ask("DELETE", path, token=owner)
    assert gone in (200, 202, 204), body
    await asyncio.sleep(BELIEVED_SECONDS + 0.1)
    answer = await signer.check(his, "publish", channels=["room"], uuid=account["id"])
    assert (answer.status, answer.body["message"]) == (403, "Token is revoked")
    assert await status(other) == 200


def key_set(made: Any) -> KeySet:
    keys = made["key_set"]
    return KeySet(
        id=keys["id"],
        name=keys["name"],
        subscribe_key=keys["subscribe_key"],
        publish_key=keys["publish_key"],
        secrets=(SecretKey(id="told", text=made["secret_key"], created=0.0),),
        created=0.0,
    )


def view(keyset: KeySet) -> dict[str, str]:
    return {
        "id": keyset.id,
        "name": keyset.name,
        "subscribe_key": keyset.subscribe_key,
        "publish_key": keyset.publish_key,
    }
