"""Section 4: the conventions of the API, over the wire."""

from __future__ import annotations

import asyncio
import io
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from tests.rows.house import House, Visit, visiting
from tests.rows.test_a12_keys import key_of, someone

HOME = "https://app.example/back"


async def test_s4_openapi_31_is_served_and_every_route_is_in_it(there: Visit) -> None:
    document = (await there.send("GET", "/api/openapi.json")).body
    assert document["openapi"].startswith("3.1")
    validate(document)
    asyncapi = (await there.send("GET", "/api/asyncapi.json")).body
    assert asyncapi["asyncapi"].startswith("3.")
    for path in ("/api/v1/nothing", "/docs", "/metrics", "/.git/config", "/swagger.json"):
        answer = await there.send("GET", path)
        assert answer.status in (404, 200), path
        # The page answers for paths of its own screens; never with what was asked for.
        assert answer.status == 404 or "text/html" in answer.headers["Content-Type"], path


async def test_s4_errors_are_problems_with_codes_that_are_explained(there: Visit) -> None:
    token, _ = await there.joined()
    answers = [
        await there.ask("GET", "/session"),
        await there.ask("GET", "/accounts", token=token),
        await there.ask("GET", "/nothing", token=token),
        await there.ask("PATCH", "/account", {"nothing": 1}, token, headers={"If-Match": "*"}),
        await there.send("PUT", "/api/v1/session", headers={"Authorization": f"Bearer {token}"}),
    ]
    assert [answer.status for answer in answers] == [401, 403, 404, 422, 405]
    for answer in answers:
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        assert {"type", "title", "status", "detail", "code", "request_id"} <= answer.body.keys()
        assert answer.body["status"] == answer.status
        assert answer.body["request_id"] == answer.headers["X-Request-Id"]
        assert "Traceback" not in answer.text and "/signaling/" not in answer.text
        page = await there.send("GET", answer.body["type"])
        assert page.status == 200 and answer.code in page.text
    assert answers[3].body["errors"][0]["pointer"] == "/nothing"
    assert answers[4].headers["Allow"]


async def test_s4_a_request_id_is_ours(there: Visit) -> None:
    answer = await there.ask("GET", "/session", headers={"X-Request-Id": "mine"})
    assert answer.headers["X-Request-Id"] not in ("mine", "")


async def test_s4_idempotency_keys(there: Visit) -> None:
    """Disabling twice is a conflict, unless it is the same act."""
    owner = await there.owner()
    _, account = await someone(there)
    path = f"/keys/{await key_of(there, account)}/versions/1"
    await there.ask("POST", f"{path.rpartition('/versions')[0]}/rotate", {}, owner)
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = await there.ask("POST", f"{path}/disable", None, owner, headers=key)
    again = await there.ask("POST", f"{path}/disable", None, owner, headers=key)
    assert (first.status, first.body) == (again.status, again.body) and first.status == 200
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (await there.ask("POST", f"{path}/disable", None, owner)).status == 409
    key = {"Idempotency-Key": str(uuid.uuid4())}
    made = await asyncio.gather(
        *(there.ask("POST", f"{path}/enable", None, owner, headers=key) for _ in range(8))
    )
    kinds = {(answer.status, answer.body.get("code")) for answer in made}
    assert (200, None) in kinds and kinds <= {(200, None), (409, "idempotency_in_flight")}


async def test_s4_an_idempotency_key_is_for_one_request(there: Visit) -> None:
    client = await there.signer()
    token = await client.granted({"resources": {"groups": {"team": 5}}})
    key = {"Idempotency-Key": str(uuid.uuid4())}
    path = "/access/groups/team"
    first = await there.ask("POST", path, {"add": ["one"]}, token, headers=key)
    again = await there.ask("POST", path, {"add": ["one"]}, token, headers=key)
    assert first.status == again.status == 200 and first.body == again.body
    other = await there.ask("POST", path, {"add": ["two"]}, token, headers=key)
    assert (other.status, other.code) == (422, "idempotency_mismatch")


@pytest.mark.parametrize(
    ("path", "wish"),
    [
        ("/invitations", {"uses": 1}),
        ("/guest-links", {"room": "lobby"}),
        ("/oauth/clients", {"name": "app", "scopes": ["rooms:read"], "redirect_uris": [HOME]}),
    ],
)
async def test_s4_links_and_clients_come_in_pages(
    there: Visit, path: str, wish: dict[str, Any]
) -> None:
    owner = await there.owner()
    made = [(await there.ask("POST", path, wish, owner)).body["id"] for _ in range(5)]
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = await there.ask("GET", path, token=owner, params=query)
        assert page.status == 200 and len(page.body["items"]) <= 2
        seen += [one["id"] for one in page.body["items"]]
        if page.body["next_cursor"] is None:
            break
        query["cursor"] = page.body["next_cursor"]
    assert len(seen) == len(set(seen)) and [one for one in seen if one in made] == made
    assert (await there.ask("GET", path, token=owner, params={"limit": "101"})).status == 422


async def test_s4_cursors_are_signed_and_lists_bounded(there: Visit) -> None:
    owner = await there.owner()
    for _ in range(5):
        await there.joined(owner=owner)
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = await there.ask("GET", "/accounts", token=owner, params=query)
        assert page.status == 200 and len(page.body["items"]) <= 2
        seen += [one["id"] for one in page.body["items"]]
        if len(seen) < 3:
            await there.joined(owner=owner)  # while paging: nothing twice, nothing left out
        if page.body["next_cursor"] is None or len(seen) > 8:
            break
        assert 'rel="next"' in page.headers["Link"]
        query = {"limit": "2", "cursor": page.body["next_cursor"]}
    assert len(seen) == len(set(seen))
    first = (await there.ask("GET", "/accounts", token=owner, params={"limit": "2"})).body
    cursor = first["next_cursor"]
    forged = cursor[:-3] + ("AAA" if cursor[-3:] != "AAA" else "BBB")
    for bad in (forged, "x", cursor + "A"):
        answer = await there.ask("GET", "/accounts", token=owner, params={"cursor": bad})
        assert (answer.status, answer.code) == (400, "cursor_invalid"), bad
    answer = await there.ask("GET", "/invitations", token=owner, params={"cursor": cursor})
    assert answer.status in (400, 422)
    for limit in ("0", "101", "x", "-1"):
        answer = await there.ask("GET", "/accounts", token=owner, params={"limit": limit})
        assert answer.status in (400, 422)


async def test_s4_a_lost_update_is_412(there: Visit) -> None:
    owner, client = await there.owner(), await there.signer()
    path = f"/access/key-sets/{client.keyset.id}"
    tag = (await there.ask("GET", path, token=owner)).headers["ETag"]

    async def change(**headers: str) -> int:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await there.ask("PATCH", path, {"name": "x"}, owner, headers=fields)
        return answer.status

    assert await change() == 428
    assert await change(If_Match=tag) == 200
    assert await change(If_Match=tag) == 412
    tag = (await there.ask("GET", path, token=owner)).headers["ETag"]
    answer = await there.ask("GET", path, token=owner, headers={"If-None-Match": tag})
    assert answer.status == 304


async def test_s4_rates_are_published_and_429_says_when(housed: Callable[..., House]) -> None:
    house = housed({"api.rate_factor": "1"})
    async with visiting(house) as there:
        token = await there.owner()
        answer = await there.ask("GET", "/account", token=token)
        assert "default" in answer.headers["RateLimit-Policy"] and answer.headers["RateLimit"]
        for _ in range(100):  # faster than the rate, however slow the machine is
            asked = [there.ask("GET", "/account", token=token) for _ in range(20)]
            answers = await asyncio.gather(*asked)
            answer = max(answers, key=lambda one: one.status)
            if answer.status == 429:
                break
        assert (answer.status, answer.code) == (429, "rate_limited")
        await asyncio.sleep(int(answer.headers["Retry-After"]))
        assert (await there.ask("GET", "/account", token=token)).status == 200


async def test_s4_well_known_documents(there: Visit) -> None:
    for name, kind in (
        ("security.txt", "text/plain"), ("oauth-authorization-server", "application/json"),
        ("oauth-protected-resource", "application/json"), ("webauthn", "application/json"),
        ("sotto", "application/json"),
    ):  # fmt: skip
        answer = await there.send("GET", f"/.well-known/{name}")
        assert answer.status == 200, name
        assert answer.headers["Content-Type"].startswith(kind), name
    answer = await there.send("GET", "/.well-known/change-password")
    assert answer.status == 302
    about = (await there.send("GET", "/.well-known/sotto")).body
    assert about["socket"].startswith("wss://") and about["openapi"] and about["versions"]
    server = (await there.send("GET", "/.well-known/oauth-authorization-server")).body
    assert server["code_challenge_methods_supported"] == ["S256"]
    assert "password" not in server["grant_types_supported"]


async def test_s4_the_operators_own_apps_are_well_known(
    there: Visit, housed: Callable[..., House]
) -> None:
    """From the configuration; without any there is no such document."""
    names = ("apple-app-site-association", "assetlinks.json")
    for name in names:
        answer = await there.send("GET", f"/.well-known/{name}")
        assert (answer.status, answer.code) == (404, "not_found")
    signed = ":".join(["14", "6D"] * 16)
    apple, android = "9JA89QQLNQ.org.example.talk", "org.example.talk"
    toml = (
        f'[native]\napple = ["{apple}"]\n'
        f'android = [{{ package = "{android}", fingerprints = ["{signed}"] }}]\n'
    )
    async with visiting(housed(toml=toml)) as other:
        answers = [await other.send("GET", f"/.well-known/{name}") for name in names]
    for answer in answers:
        assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    association, (link,) = (answer.body for answer in answers)
    assert association["applinks"]["details"] == [
        {"appIDs": [apple], "components": [{"/": "/r/*"}]}
    ]
    assert association["webcredentials"]["apps"] == [apple]
    assert "delegate_permission/common.handle_all_urls" in link["relation"]
    assert link["target"] == {
        "namespace": "android_app", "package_name": android, "sha256_cert_fingerprints": [signed],
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        'apple = ["org.example.talk"]', 'apple = ["9ja89qqlnq.org.example.talk"]',
        'android = [{ package = "talk", fingerprints = [] }]',
        'android = [{ package = "org.example.talk", fingerprints = [] }]',
        'android = [{ package = "org.example.talk", fingerprints = ["14:6D"] }]',
    ],
)  # fmt: skip
def test_s4_an_app_that_cannot_be_one_stops_the_server(tmp_path: Path, wrong: str) -> None:
    house = House(tmp_path, toml=f"[native]\n{wrong}\n")
    assert house.launch().wait(60) != 0
    assert "native." in house.written()


TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def test_s4_a_trace_goes_through_the_answer_the_log_and_the_audit(there: Visit) -> None:
    auditor, _ = await there.joined("auditor")
    trace = uuid.uuid4().hex
    for token, status in (("", 401), (auditor, 200)):
        for flags in ("00", "01"):
            said = {"traceparent": f"00-{trace}-{PARENT}-{flags}"}
            answer = await there.ask("GET", "/session", token=token, headers=said)
            assert answer.status == status
            ident = answer.headers["X-Request-Id"]
            span = ident.replace("-", "")[-16:]
            assert answer.headers["traceparent"] == f"00-{trace}-{span}-{flags}"
    async with asyncio.timeout(60):
        while True:
            kept = [one for one in await there.records(auditor) if one["request_id"] == ident]
            if kept:
                break
            await asyncio.sleep(0.2)
    assert kept[0]["details"]["trace_id"] == trace
    # The refusals were logged, and nothing after them on the same connection is of the trace.
    assert (await there.ask("GET", "/session")).status == 401
    lines = [line for line in there.house.written().splitlines() if trace in line]
    assert lines and all(f"trace_id={trace}" in line for line in lines)
    assert sum("refused a request: token_missing" in line for line in lines) == 2


@pytest.mark.parametrize(
    "bad",
    [
        "", "x", f"00-{TRACE}-{PARENT}", f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more", "x" * 4000,
    ],
)  # fmt: skip
async def test_s4_an_invalid_trace_is_ignored(there: Visit, bad: str) -> None:
    answer = await there.ask("GET", "/session", headers={"traceparent": bad})
    assert answer.status == 401 and "traceparent" not in answer.headers
    answer = await there.ask("GET", "/session", headers={"tracestate": "a=b"})
    assert answer.status == 401 and "traceparent" not in answer.headers


async def test_s4_times_ids_and_names(there: Visit) -> None:
    token, _ = await there.joined()
    me = (await there.ask("GET", "/account", token=token)).body
    assert uuid.UUID(me["id"]).version == 7
    assert all(name == name.lower() for name in me)


async def test_s4_a_browsers_cookie_and_cross_site_requests(there: Visit) -> None:
    _, login = await there.joined()
    own = there.house.url
    body = {"login": login, "password": "four words that nobody guesses", "cookie": True}
    answer = await there.ask("POST", "/sign-in/password", body, headers={"Origin": own})
    assert answer.status == 200, answer.text
    cookies = answer.headers.getall("Set-Cookie")  # type: ignore[attr-defined]  # of aiohttp
    (session,) = [one for one in cookies if one.startswith("__Host-sotto=")]
    for word in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/"):
        assert word in session
    assert "Domain" not in session and "access_token" not in answer.body
    cookie = session.split(";")[0]
    for headers, status in (
        ({"Origin": own}, 200), ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403), ({}, 403),
    ):  # fmt: skip
        fields = {"Cookie": cookie, "If-Match": "*", **headers}
        found = await there.ask("PATCH", "/account", {"name": "x"}, headers=fields)
        assert found.status == status, (headers, found.text)


async def test_s4_operators_are_elsewhere(there: Visit) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await there.send("GET", there.house.operator + path)).status == 200
        answer = await there.send("GET", path)
        assert answer.status == 404 or "text/html" in answer.headers["Content-Type"]


@pytest.mark.parametrize(
    ("kind", "data", "status"),
    [
        ("text/plain", b'{"name": "x"}', 415), ("application/xml", b"<x/>", 415),
        ("application/json", b"{", 400), ("application/json", b'{"name": "\xff"}', 400),
        ("application/json", b"[" * 50_000, 400),
        ("application/json", b'{"name": "' + b"x" * 2_000_000 + b'"}', 413),
        ("application/json", b'{"name": 1e999}', 422), ("application/json", b'{"name": {}}', 422),
        ("application/json", b'{"name": {"$gt": ""}}', 422),
        ("application/json", b'{"__proto__": {"roles": ["owner"]}}', 422),
        ("application/json", b'{"name": "a", "name": "b"}', 400),
    ],
)  # fmt: skip
async def test_s4_bad_bodies_have_their_codes(
    there: Visit, kind: str, data: bytes, status: int
) -> None:
    token, _ = await there.joined()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": kind, "If-Match": "*"}
    answer = await there.send("PATCH", "/api/v1/account", data=io.BytesIO(data), headers=headers)
    assert answer.status == status or {answer.status, status} == {400, 422}, answer.text
    assert answer.code and "Traceback" not in answer.text
    assert (await there.ask("GET", "/account", token=token)).body["name"] == ""
