"""Promises B22 to B27 and section 1.D over HTTP: what is sent, and exactly what comes back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from signaling.access.grant import read_grant
from tests.signaling.access import oracle
from tests.signaling.access.cells import every_cell
from tests.signaling.access.rig import APP, Client
from tests.signaling.access.words import ROOM, SERVICE, members, refusal


async def test_b25_a_signed_grant(client: Client) -> None:
    answer = await client.signed("POST", "/grant", {"ttl": 1, "permissions": ROOM})
    assert answer.status == 200
    token = answer.body["data"]["token"]
    assert answer.body == {
        "data": {"message": "Success", "token": token},
        "service": SERVICE,
        "status": 200,
    }
    assert token.startswith("am_")
    assert answer.headers["Cache-Control"] == "no-store"
    assert (await client.check(token, "publish", channels=["room"])).status == 200


@pytest.mark.parametrize("ttl", [0, 43201, "text", None])
async def test_b26_ttl_refused(client: Client, ttl: Any) -> None:
    answer = await client.signed("POST", "/grant", {"ttl": ttl, "permissions": ROOM})
    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert members(answer) == refusal(
        "ttl", "grant", "ttl", "body", "Range should be 1 to 43200 minute(s).", 400
    )
    assert answer.body["code"] == "grant_invalid"


@pytest.mark.parametrize("ttl", [1, 43200])
async def test_b26_ttl_accepted(client: Client, ttl: int) -> None:
    token = await client.granted(ROOM, ttl)
    client.process.clock.advance(ttl * 60 - 1)
    assert (await client.check(token, "publish", channels=["room"])).status == 200
    client.process.clock.advance(1)
    answer = await client.check(token, "publish", channels=["room"])
    assert answer.status == 403
    assert members(answer) == {
        "message": "Token is expired", "error": True, "service": SERVICE, "status": 403,
    }  # fmt: skip


@pytest.mark.parametrize(
    "permissions",
    [
        {},
        {"resources": {"uuids": {"ada": 2}}},
        {"resources": {"groups": {"g": 128}}},
        {"patterns": {"channels": {"(": 1}}},
        {"patterns": {"channels": {"a{1001}": 1}}},
        {"patterns": {"channels": {"a" * 4097: 1}}},
        {**ROOM, "meta": {"k": []}},
        {**ROOM, "meta": {"k": {}}},
        {**ROOM, "more": 1},
    ],
)
async def test_b26_grants_refused(client: Client, permissions: Any) -> None:
    answer = await client.signed("POST", "/grant", {"ttl": 5, "permissions": permissions})
    assert answer.status == 400
    assert members(answer)["error"]["source"] == "grant"


async def test_b22_an_exponential_pattern_is_accepted(client: Client) -> None:
    token = await client.granted({"patterns": {"channels": {"^(a+)+$": 2}}})
    name = "a" * 200
    assert (await client.check(token, "publish", channels=[name])).status == 200
    assert (await client.check(token, "publish", channels=[name + "!"])).status == 403


WRONG = {
    "another_secret": {"secret": "sec_" + "A" * 43},
    "another_publish_key": {"publish": "pub_other"},
    "an_unknown_key_set": {"subkey": "sub_unknown"},
}


@pytest.mark.parametrize("wrong", WRONG, ids=str)
async def test_b25_wrong_signatures_are_alike(client: Client, wrong: str) -> None:
    body = {"ttl": 5, "permissions": ROOM}
    answer = await client.signed("POST", "/grant", body, **WRONG[wrong])
    assert answer.status == 403
    assert members(answer) == refusal(
        "signature", "grant", "signature", "query",
        "Client and server produced different signatures for the same inputs.", 403,
    )  # fmt: skip
    assert client.process.audit.actions()[-1] == ("grantToken", "denied")


async def test_b25_no_signature(client: Client) -> None:
    path = f"/v3/pam/{client.keyset.subscribe_key}/grant"
    for query in ("", "?timestamp=1", "?signature=", "?signature=v2."):
        answer = await client.send("POST", path + query, data=b"{}")
        assert answer.status == 403
        assert members(answer)["error"]["message"] == "Invalid signature"


async def test_b25_the_secret_of_another_key_set(client: Client) -> None:
    other = await client.process.keysets.create(APP, "other")
    body = {"ttl": 5, "permissions": ROOM}
    answer = await client.signed("POST", "/grant", body, secret=other.secrets[0].text)
    assert answer.status == 403


@pytest.mark.parametrize("seconds", [-61, 61, -3600])
async def test_b25_a_skewed_clock(client: Client, seconds: int) -> None:
    at = client.process.clock.unix() + seconds
    answer = await client.signed("POST", "/grant", {"ttl": 5, "permissions": ROOM}, timestamp=at)
    assert answer.status == 400
    assert members(answer)["error"]["message"] == "Invalid timestamp"
    unsigned = await client.signed(
        "POST", "/grant", {"ttl": 5, "permissions": ROOM}, timestamp=at, secret="sec_wrong"
    )
    assert unsigned.status == 403


async def test_b25_a_request_counts_once(client: Client) -> None:
    body = msgspec.json.encode({"ttl": 5, "permissions": ROOM})
    path = f"/v3/pam/{client.keyset.subscribe_key}/grant"
    queries: list[dict[str, Any]] = [{}, {"nonce": "n1"}]
    for query in queries:
        target = client.target("POST", path, body, **query)
        assert (await client.send("POST", target, data=body)).status == 200
        again = await client.send("POST", target, data=body)
        assert again.status == 409
        assert again.body["code"] == "request_replayed"
    other = client.target("POST", path, body, nonce="n1", more="1")
    assert (await client.send("POST", other, data=body)).status == 409
    client.process.clock.advance(122)
    later = client.target("POST", path, body, nonce="n1")
    assert (await client.send("POST", later, data=body)).status == 200


async def test_b25_a_nonce_is_spent_by_the_rightly_signed_only(client: Client) -> None:
    body = {"ttl": 5, "permissions": ROOM}
    wrong = await client.signed("POST", "/grant", body, nonce="n2", secret="sec_wrong")
    assert wrong.status == 403
    assert (await client.signed("POST", "/grant", body, nonce="n2")).status == 200


async def test_b26_revocation(client: Client) -> None:
    token = await client.granted(ROOM)
    assert (await client.check(token, "publish", channels=["room"])).status == 200
    done = {"data": {"message": "Success"}, "service": SERVICE, "status": 200}
    for _ in range(2):
        answer = await client.signed("DELETE", f"/grant/{token}")
        assert (answer.status, answer.body) == (200, done)
    for name in ("room", "nowhere"):
        answer = await client.check(token, "publish", channels=[name])
        assert answer.status == 403
        assert members(answer) == {
            "message": "Token is revoked", "error": True, "service": SERVICE, "status": 403,
        }  # fmt: skip


async def test_b26_what_cannot_be_revoked(client: Client) -> None:
    token = await client.granted(ROOM, 1)
    other = await client.process.keysets.create(APP, "other")
    grant = read_grant(msgspec.json.encode({"ttl": 5, "permissions": ROOM}))
    foreign = await client.process.grants.grant(APP, other, grant)
    unknown = "Token is not one of this key set."
    for text, detail in (
        ("garbage", unknown),
        (token[:-1], unknown),
        (token[:-1] + ("A" if token[-1] != "A" else "B"), unknown),
        (foreign, unknown),
    ):
        answer = await client.signed("DELETE", f"/grant/{text}")
        assert answer.status == 400
        assert members(answer) == refusal("token", "revoke", "token", "path", detail, 400)
    client.process.clock.advance(60)
    answer = await client.signed("DELETE", f"/grant/{token}")
    assert answer.status == 400
    assert members(answer) == refusal("token", "revoke", "token", "path", "Token is expired.", 400)


async def test_b26_parse(client: Client) -> None:
    permissions: dict[str, Any] = {
        "resources": {"channels": {"room": 129}, "groups": {"g": 5}, "uuids": {"ada": 104}},
        "patterns": {"channels": {"^r.*$": 2}},
        "meta": {"shift": "night", "floor": 3},
        "uuid": "ada",
    }
    token = await client.granted(permissions, 15)

    async def parse(text: str) -> Any:
        return await client.send(
            "POST", f"/v3/pam/{client.keyset.subscribe_key}/parse",
            data=msgspec.json.encode({"token": text}),
            headers={"Content-Type": "application/json"},
        )  # fmt: skip

    answer = await parse(token)
    assert answer.status == 200
    body = answer.body
    assert body.keys() == {
        "version", "timestamp", "ttl", "authorized_uuid", "resources", "patterns", "meta",
    }  # fmt: skip
    assert body["timestamp"] == int(client.process.clock.unix())
    assert (body["ttl"], body["authorized_uuid"]) == (15, "ada")
    assert body["meta"] == {"shift": "night", "floor": 3}
    for side in ("resources", "patterns"):
        for kind, names in body[side].items():
            for name, words in names.items():
                mask = permissions[side].get(kind, {})[name]
                assert {w for w, yes in words.items() if yes} == oracle.words(mask)
                assert words.keys() == oracle.words(oracle.SUMS[kind])
    assert (await parse(token)).body == body
    assert (await parse("am_" + "A" * 64)).status == 403
    await client.signed("DELETE", f"/grant/{token}")
    assert (await parse(token)).body["message"] == "Token is revoked"


async def test_b26_list(client: Client) -> None:
    tokens = [await client.granted({"resources": {"channels": {f"r{i}": 1}}}) for i in range(5)]
    await client.signed("DELETE", f"/grant/{tokens[0]}")
    listed: list[Any] = []
    after = ""
    while True:
        answer = await client.signed("GET", "/grants", limit="2", after=after)
        assert answer.status == 200
        assert not any(token in answer.text for token in tokens)
        listed += answer.body["data"]["tokens"]
        if answer.body["data"]["next"] is None:
            break
        after = answer.body["data"]["next"]
    assert len(listed) == len({item["id"] for item in listed}) == 5
    assert sum(item["revoked"] for item in listed) == 1
    assert {next(iter(i["grant"]["resources"]["channels"])) for i in listed} == {
        f"r{i}" for i in range(5)
    }
    for bad in ("0", "101", "x", "-1"):
        assert (await client.signed("GET", "/grants", limit=bad)).status == 400
    for bad in ("x" * 2000, "\x00", "{$gt:1}"):
        assert (await client.signed("GET", "/grants", after=bad)).status == 400


async def test_b27_never_from_a_browser(client: Client) -> None:
    body = {"ttl": 5, "permissions": ROOM}
    own = client.base
    for headers in (
        {"Origin": own},
        {"Origin": "https://evil.example"},
        {"Origin": "https://friend.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Mode": "cors"},
    ):
        answer = await client.signed("POST", "/grant", body, headers=headers)
        assert answer.status == 403, headers
        assert answer.body["code"] == "origin_refused"
        assert "Access-Control-Allow-Origin" not in answer.headers
        event = client.process.audit.events[-1]
        assert (event.action, event.result, event.code) == (
            "grantToken",
            "denied",
            "origin_refused",
        )
    token = await client.granted(ROOM)
    for method, tail in (("DELETE", f"/grant/{token}"), ("GET", "/grants")):
        answer = await client.signed(method, tail, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status == 403
    preflight = await client.send(
        "OPTIONS", f"/v3/pam/{client.keyset.subscribe_key}/grant",
        headers={"Origin": "https://friend.example", "Access-Control-Request-Method": "POST"},
    )  # fmt: skip
    assert preflight.status >= 400
    assert not any(name.lower().startswith("access-control-") for name in preflight.headers)


async def test_b24_refusals_of_bad_tokens(client: Client) -> None:
    token = await client.granted({**ROOM, "uuid": "ada"})
    other = await client.granted(ROOM)
    invalid = {"message": "Invalid token", "error": True, "service": SERVICE, "status": 403}
    for bad in ("am_garbage", token[:-4], "am_" + token[4:] + "A", token.swapcase(), "am_", "am_é"):
        if not bad.startswith("am_"):
            continue
        answer = await client.check(bad.encode().decode("latin-1"), "publish", channels=["room"])
        assert answer.status == 403, bad
        assert members(answer) == invalid
        assert "WWW-Authenticate" not in answer.headers
    forbidden = {
        "message": "Forbidden", "payload": {"channels": ["room"]}, "error": True,
        "service": SERVICE, "status": 403,
    }  # fmt: skip
    for uuid in (None, "bob", "ADA"):
        answer = await client.check(token, "publish", channels=["room"], uuid=uuid)
        assert members(answer) == forbidden
    assert (await client.check(token, "publish", channels=["room"], uuid="ada")).status == 200
    assert (await client.check(other, "publish", channels=["room"], uuid="bob")).status == 200


async def test_b23_without_a_token(client: Client) -> None:
    for operation in oracle.MATRIX:
        answer = await client.check(None, operation, channels=["room"], groups=["g"], uuids=["u"])
        assert answer.status == 403
        assert members(answer) == {
            "message": "Forbidden",
            "payload": {"channels": ["room"], "channel-groups": ["g"], "uuids": ["u"]},
            "error": True, "service": SERVICE, "status": 403,
        }  # fmt: skip
    for operation in oracle.NOTHING:
        assert (await client.check(None, operation)).status == 200


async def test_b22_every_cell_over_http(client: Client) -> None:
    assert await every_cell(client) >= 3 * len(oracle.MATRIX)


async def test_b22_a_subscription_names_the_refused(client: Client) -> None:
    token = await client.granted({"resources": {"channels": {"a": 1}, "groups": {"g": 1}}})
    answer = await client.check(
        token, "subscribe", channels=["a", "not-permitted-channel"], groups=["g", "h"]
    )
    assert members(answer) == {
        "message": "Forbidden",
        "payload": {"channels": ["not-permitted-channel"], "channel-groups": ["h"]},
        "error": True, "service": SERVICE, "status": 403,
    }  # fmt: skip


HOSTILE = [
    ("POST", "/v3/pam/{}/grant", b"\xff\xfe"),
    ("POST", "/v3/pam/{}/grant?a=%ff", b"{}"),
    ("POST", "/v3/pam/{}/grant?timestamp=1&timestamp=2", b"{}"),
    ("POST", "/v3/pam/{}/grant?" + "&".join(f"p{i}=1" for i in range(80)), b"{}"),
    ("POST", "/v3/pam/{}/grant?nonce=", b"{}"),
    ("POST", "/v3/pam/%00/grant", b"{}"),
    ("POST", "/v3/pam/" + "s" * 3000 + "/grant", b"{}"),
    ("POST", "/v3/pam/{}/grant", b" " * (300 * 1024)),
    ("POST", "/v3/pam/{}/parse", b'{"token": "am_x", "token": "am_y"'),
    ("POST", "/v3/pam/{}/parse", b"[" * 50_000),
    ("POST", "/v3/pam/{}/parse", b'{"token": {"$gt": ""}}'),
    ("DELETE", "/v3/pam/{}/grant/%2e%2e", b""),
    ("DELETE", "/v3/pam/{}/grant/" + "a" * 5000, b""),
    ("GET", "/v3/pam/{}/grant", b""),
    ("PUT", "/v3/pam/{}/grants", b""),
    ("GET", "/v3/pam", b""),
]


@pytest.mark.parametrize(("method", "path", "body"), HOSTILE, ids=range(len(HOSTILE)))
async def test_b25_hostile_requests_get_a_4xx(
    client: Client, method: str, path: str, body: bytes
) -> None:
    """Each has a code, nothing of the inside shows, and nothing is left behind."""
    headers = {"Content-Type": "application/json"}
    target = path.replace("{}", client.keyset.subscribe_key)
    answer = await client.send(method, target, data=body or None, headers=headers)
    assert 400 <= answer.status < 500, answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.body["code"]
    assert "Traceback" not in answer.text and "/signaling/" not in answer.text
    assert (await client.signed("GET", "/grants")).body["data"]["tokens"] == []
