"""Bad input of every class to every operation of a running server's own OpenAPI document.

Every refusal is a 4xx with a code of ours, says nothing of the inside, and leaves nothing behind:
the store is compared row by row. What an operation answers to good input is elsewhere. Long because
the classes stand beside each other and share one server.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from signaling.access import signature
from signaling.accounts.oauth.errors import Error
from signaling.errors import Code
from tests.proofs.document import FORM, JSON, NOBODY, Schema, Shapes, Wanted, operations, usual
from tests.proofs.server import Answered, Api, Installation, client

INSIDE = re.compile(
    r"Traceback|File \"|\.py\b|sqlite|msgspec|pymongo|aiohttp|asyncio|signaling[./]|0x[0-9a-f]{8}"
    r"|cryptography|object at|NoneType|line \d+, in",
    re.IGNORECASE,
)
# What looking at a request writes by nature: who asked, how often, when last.
NOTED = {
    "audit", "audit_app", "audit_head", "audit_sink", "audit_floor", "idempotency", "lease",
    "account_failures", "session", "access.nonce", "dpop_jti", "key", "key_app",
}  # fmt: skip
# Signing in and out of nowhere: what it makes lives minutes and opens nothing.
STARTED = {"account_pending", "account_flow"}
JSON_BODY = {"Content-Type": JSON}
SAFE = ("GET", "HEAD", "OPTIONS")
ROLES = ("owner", "auditor", "compliance", "member")


@dataclass
class House:
    """One server for all tests of this file, and a token of every role."""

    installation: Installation
    tokens: dict[str, str]
    document: Mapping[str, Any]
    keyset: dict[str, Any]

    def token_for(self, wanted: Wanted) -> str:
        roles = set(wanted.access["roles"] or ROLES)
        return next((self.tokens[role] for role in ROLES if role in roles), "")

    def rows(self) -> dict[tuple[str, str, str], str]:
        path = self.installation.store / "sotto.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            found = store.execute("SELECT app, kind, key, value FROM meta").fetchall()
        return {
            (app, kind, str(key)): hashlib.sha256(value).hexdigest()
            for app, kind, key, value in found
            if kind not in NOTED | STARTED
        }


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    installation = Installation(
        tmp_path_factory.mktemp("bad-input"), {"api.reauth_seconds": "3600"}
    )
    installation.start()
    try:
        yield asyncio.run(furnished(installation))
    finally:
        asyncio.run(installation.stop())
    errors = [line for line in installation.log.read_text().splitlines() if "our error" in line]
    assert not errors


async def furnished(installation: Installation) -> House:
    await installation.ready()
    async with client() as session:
        api = Api(installation, session)
        tokens = {"owner": await api.owner()}
        for role in ROLES[1:]:
            tokens[role] = (await api.invited(tokens["owner"], f"some.{role}", role))[
                "access_token"
            ]
        made = await api.must("POST", "/access/key-sets", {"name": "bad"}, tokens["owner"])
        path = f"/access/key-sets/{made['key_set']['id']}/tokens"
        grant = {"ttl": 5, "permissions": {"resources": {"channels": {"room": 1}}}}
        await api.must("POST", path, grant, tokens["owner"])  # makes the keys of tokens
        document = (await api.send("GET", "/api/openapi.json")).body
        return House(
            installation, tokens, document, {**made["key_set"], "secret": made["secret_key"]}
        )


@pytest.fixture
async def api(house: House) -> AsyncIterator[Api]:
    """Whatever the test sends: the rows are the same afterwards."""
    before = house.rows()
    async with client() as session:
        yield Api(house.installation, session)
    after = house.rows()
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert not changed, f"left behind or changed: {sorted(changed)[:10]}"


def judged(wanted: Wanted, answer: Answered, said: str = "") -> list[str]:
    """What is wrong with a refusal, however it came about."""
    where = f"{wanted.method} {wanted.path} {said}: {answer.status} {answer.raw[:200]!r}"
    wrong = []
    if answer.status >= 500:
        wrong.append(f"our error: {where}")
    if answer.status >= 400 and wanted.method != "HEAD":
        body = answer.body if isinstance(answer.body, dict) else {}
        code, error = body.get("code"), body.get("error")
        if code not in set(Code) and not (isinstance(error, str) and error in set(Error)):
            wrong.append(f"no code: {where}")
        if INSIDE.search(answer.raw.decode(errors="replace")):
            wrong.append(f"something of the inside: {where}")
        if "X-Request-Id" not in answer.headers:
            wrong.append(f"no request id: {where}")
    elif wanted.method not in SAFE:
        wrong.append(f"not refused: {where}")
    return wrong


def good(house: House, wanted: Wanted) -> Any:
    return Shapes(house.document).made(wanted.body, usual) if wanted.kind else None


def leaves(house: House, wanted: Wanted) -> list[str]:
    found: list[str] = []

    def note(where: str, schema: Schema) -> Any:
        found.append(where)
        return None

    if wanted.kind:
        Shapes(house.document).made(wanted.body, note)
    return found


async def sent(house: House, api: Api, wanted: Wanted, data: bytes, kind: str = "") -> Answered:
    fields = {"Content-Type": kind or wanted.kind or JSON}
    return await api.send(
        wanted.method, wanted.at(), None, house.token_for(wanted), data=data, headers=fields
    )


async def test_operators_and_prototype_keys(house: House, api: Api) -> None:
    """In the place of every text, and beside every field."""
    wrong: list[str] = []
    refused = 0
    for wanted in operations(house.document):
        if wanted.kind != JSON:
            continue
        for leaf in leaves(house, wanted):
            for bad in ({"$gt": ""}, {"$ne": None}, [{"$where": "1"}], {"__proto__": {"x": 1}}):

                def fill(where: str, schema: Schema, leaf: str = leaf, bad: Any = bad) -> Any:
                    return bad if where == leaf else usual(where, schema)

                body = Shapes(house.document).made(wanted.body, fill)
                answer = await sent(house, api, wanted, json.dumps(body).encode())
                wrong += judged(wanted, answer, leaf)
                refused += answer.status in (400, 422)
        for key in ("$where", "__proto__", "constructor", "prototype", "a.b", "role", "is_admin"):
            body = {**good(house, wanted), key: {"polluted": True}}
            answer = await sent(house, api, wanted, json.dumps(body).encode())
            wrong += judged(wanted, answer, key)
            refused += answer.status in (400, 422)
    assert not wrong, "\n".join(wrong[:30])
    assert refused > 300


async def test_operators_in_paths_and_queries(house: House, api: Api) -> None:
    wrong: list[str] = []
    for wanted in operations(house.document):
        if wanted.method == "GET" and not wanted.query and "{" not in wanted.path:
            continue
        token = house.token_for(wanted)
        for bad in (
            "%7B%22$gt%22%3A%22%22%7D",
            "__proto__",
            "..%2f..%2fetc%2fpasswd",
            "'%20OR%201=1--",
        ):
            answer = await api.send(wanted.method, f"{wanted.at(bad)}?$where=1", None, token)
            wrong += judged(wanted, answer, bad)
        for name, _ in wanted.query or (("x", {}),):
            for bad in (
                f"{name}[$ne]=1",
                f"{name}=%7B%22$gt%22%3A1%7D&{name}[]=2",
                "__proto__[x]=1",
            ):
                answer = await api.send(wanted.method, f"{wanted.at()}?{bad}", None, token)
                if answer.status != 404:  # a parameter may be any text, of something that is not
                    wrong += judged(wanted, answer, bad)
    assert not wrong, "\n".join(wrong[:30])


async def test_duplicate_parameters(house: House, api: Api) -> None:
    """In the query of everything, in JSON objects, and in forms."""
    wrong: list[str] = []
    for wanted in operations(house.document):
        token = house.token_for(wanted)
        name = wanted.query[0][0] if wanted.query else "x"
        answer = await api.send(wanted.method, f"{wanted.at()}?{name}=1&{name}=2", None, token)
        wrong += judged(wanted, answer, "query")
        if wanted.kind == JSON:
            body = json.dumps(good(house, wanted))
            first = next(iter(good(house, wanted)), "x")
            twice = f'{{"{first}": "admin", {body[1:]}'.encode()
            wrong += judged(wanted, await sent(house, api, wanted, twice), "member")
        if wanted.kind == FORM:
            form = b"grant_type=client_credentials&grant_type=password&token=a&token=b"
            wrong += judged(wanted, await sent(house, api, wanted, form), "form")
        double = {"Authorization": f"Bearer {token}", "authorization": "Bearer x"}
        answer = await api.send(wanted.method, f"{wanted.at()}?x=1", headers=double)
        wrong += judged(wanted, answer, "header")
    assert not wrong, "\n".join(wrong[:30])


async def test_wrong_content_types(house: House, api: Api) -> None:
    wrong: list[str] = []
    count = 0
    for wanted in operations(house.document):
        if wanted.method in SAFE:
            continue
        body = json.dumps(good(house, wanted) or {"x": 1}).encode()
        for kind in (
            "text/plain", "multipart/form-data; boundary=x", "application/xml", "text/html",
            "application/json; charset=utf-16", FORM if wanted.kind != FORM else JSON, "nonsense",
        ):  # fmt: skip
            answer = await sent(house, api, wanted, body, kind)
            wrong += judged(wanted, answer, kind)
            count += answer.status == 415
        for coding in ("gzip", "br", "identity, gzip"):
            fields = {"Content-Type": wanted.kind or JSON, "Content-Encoding": coding}
            answer = await api.send(
                wanted.method, wanted.at(), None, house.token_for(wanted), data=body,
                headers=fields,
            )  # fmt: skip
            wrong += judged(wanted, answer, coding)
    assert not wrong, "\n".join(wrong[:30])
    assert count > 250


async def test_deep_and_endless_json(house: House, api: Api) -> None:
    wrong: list[str] = []
    deep = [
        b"[" * 30_000, b'{"x":' * 9_000, b"[" * 20_000 + b"]" * 20_000,
        b'{"x":' * 5_000 + b"1" + b"}" * 5_000, b"1" * 40_000, b'"' + b"\\u0000" * 9_000 + b'"',
        b"-", b"", b"null", b"1e999999", b"NaN", b'{"x": 1e99999}', b"{} {}", b"\xef\xbb\xbf{}",
    ]  # fmt: skip
    for wanted in operations(house.document):
        if wanted.method in SAFE:
            continue
        for body in deep:
            if not wanted.kind and not body.strip():
                continue  # that is what it takes
            answer = await sent(house, api, wanted, body)
            wrong += judged(wanted, answer, repr(body[:8]))
    assert not wrong, "\n".join(wrong[:30])


async def test_invalid_utf8(house: House, api: Api) -> None:
    wrong: list[str] = []
    for wanted in operations(house.document):
        token = house.token_for(wanted)
        if wanted.method not in SAFE:
            for body in (b'{"name": "\xff\xfe"}', b"\xed\xa0\x80", b'{"\xc0\xaf": 1}', b"a=\xff"):
                wrong += judged(wanted, await sent(house, api, wanted, body), repr(body))
        for path in (wanted.at("%ff%fe"), wanted.at("%ed%a0%80"), wanted.at("%00")):
            if "{" in wanted.path:
                answer = await api.send(wanted.method, path, None, token)
                wrong += judged(wanted, answer, path)
        for query in ("x=%ff", "%c0%af=1", "x=%00"):
            answer = await api.send(wanted.method, f"{wanted.at()}?{query}", None, token)
            wrong += judged(wanted, answer, query)
    assert not wrong, "\n".join(wrong[:30])


def signed(house: House, method: str, tail: str, raw: bytes, **query: str) -> str:
    path = f"/v3/pam/{house.keyset['subscribe_key']}{tail}"
    written = urlencode(query)
    request = signature.read(method, f"{path}?{written}", raw)
    made = signature.sign(request, house.keyset["publish_key"], house.keyset["secret"])
    return f"{path}?{written}&signature={made}"


async def test_clock_skew(house: House, api: Api) -> None:
    """What a client thinks the time is: signed requests say so, everything else does not listen."""
    wrong: list[str] = []
    now = int(time.time())
    signs = [w for w in operations(house.document) if w.path.startswith("/v3/pam/")]
    assert len(signs) >= 5
    for wanted in signs:
        tail = wanted.path.partition("}")[2].replace("{token}", "am_x")
        raw = b"" if wanted.method in ("GET", "DELETE") else b"{}"
        for stamp in (now - 3600, now - 300, now + 300, now + 3600, 0, -1, 2**63, 10**30):
            target = signed(house, wanted.method, tail, raw, timestamp=str(stamp))
            answer = await api.send(wanted.method, target, data=raw or None, headers=JSON_BODY)
            wrong += judged(wanted, answer, str(stamp))
            assert answer.status in (400, 422), (stamp, answer.raw)
            if wanted.id == "grantToken":
                assert answer.code == "timestamp_skewed", (stamp, answer.raw)
    dates = {
        "Date": "Thu, 01 Jan 1970 00:00:00 GMT",
        "If-Modified-Since": "Fri, 31 Dec 9999 23:59:59 GMT",
        "If-Unmodified-Since": "nonsense", "Age": "-1", "Expires": "0",
    }  # fmt: skip
    for wanted in operations(house.document):
        token = house.token_for(wanted)
        plain = await api.send(wanted.method, f"{wanted.at()}?x=1", None, token)
        skewed = await api.send(wanted.method, f"{wanted.at()}?x=1", None, token, headers=dates)
        wrong += judged(wanted, skewed, "dates")
        if (plain.status, plain.code) != (skewed.status, skewed.code):
            wrong.append(f"{wanted.id}: a date made {plain.status} {skewed.status}")
    assert not wrong, "\n".join(wrong[:30])


async def test_replayed_and_reordered_requests(house: House, api: Api) -> None:
    """A second step without its first, a step of another's, and everything once more."""
    wrong: list[str] = []
    steps = 0
    for wanted in operations(house.document):
        body = good(house, wanted)
        words = set(body) if isinstance(body, dict) else set()
        second = words & {"ticket", "link", "code", "state", "credential", "registration"}
        if wanted.kind != JSON or not second:
            continue
        steps += 1
        for value in ("A" * 32, "x", house.tokens["member"][:100]):
            forged = {**body, **{name: value for name in second if isinstance(body[name], str)}}
            raw = json.dumps(forged).encode()
            for _ in range(2):  # the second is the replay of a refusal
                answer = await sent(house, api, wanted, raw)
                wrong += judged(wanted, answer, value)
                assert answer.status in (400, 401, 403, 404, 409, 410, 422, 429), answer.raw
    assert steps >= 15
    for wanted in operations(house.document):
        if wanted.method != "POST" or wanted.kind != JSON:
            continue
        key = {"Idempotency-Key": f"replay-{wanted.id}"}
        for x in (1, 1, 2):
            body = {**good(house, wanted), "no_such_field": x}
            answer = await api.send("POST", wanted.at(), body, house.token_for(wanted), headers=key)
            wrong += judged(wanted, answer, "replay")
    assert not wrong, "\n".join(wrong[:30])


async def test_a_signed_request_counts_once(house: House, api: Api) -> None:
    raw = json.dumps({"ttl": 5, "permissions": {"patterns": {}}}).encode()
    target = signed(house, "POST", "/grant", raw, timestamp=str(int(time.time())), nonce="once")
    first, again = [await api.send("POST", target, data=raw, headers=JSON_BODY) for _ in range(2)]
    assert (first.status, again.status) == (400, 409)
    assert again.code == "request_replayed"


async def test_methods_and_tokens_of_other_kinds(house: House, api: Api) -> None:
    """TRACE echoes nothing, unknown methods are 405, and a token of another kind opens nothing."""
    wrong: list[str] = []
    for wanted in operations(house.document):
        for method in ("TRACE", "PROPFIND"):
            answer = await api.send(method, wanted.at(), headers={"X-Canary": "echo"})
            assert answer.status in (404, 405), (method, wanted.path)
            assert b"echo" not in answer.raw
        if wanted.access["auth"] in ("none",) or wanted.path.startswith("/v3/"):
            continue
        for token in (
            "cr_" + "A" * 76,
            "am_" + "A" * 40,
            "cx_" + "A" * 76,
            "ct_" + "A" * 76,
            NOBODY,
        ):
            answer = await api.send(wanted.method, wanted.at(), None, token)
            wrong += judged(wanted, answer, token[:3])
            if answer.status not in (401, 403, 400, 426):
                wrong.append(f"{wanted.id} with {token[:3]}: {answer.status}")
    assert not wrong, "\n".join(wrong[:30])


SMUGGLED = [
    b"POST /api/v1/sign-in/password HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/v1/session HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /api/v1/sign-up HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n"
    b"\r\n{}{}{}",
    b"POST /api/v1/sign-up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n{}",
    b"POST /api/v1/sign-up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"GET /api/v1/session HTTP/1.1\r\nHost: x\r\n folded: yes\r\n\r\n",
    b"GET /api/v1/session HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
    b"GET /api/v1/session HTTP/1.1\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/v1/sign-up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: application/json\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
    b"POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nHost: x\r\n"
    b"Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
    b"GET /api/v1/session HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer smuggled-token\r\n\r\n",
    b"\x16\x03\x01\x00\x05hello\r\n\r\n",
]


@pytest.mark.parametrize("raw", SMUGGLED, ids=range(len(SMUGGLED)))
async def test_one_request_is_never_two(house: House, raw: bytes) -> None:
    """RFC 9112 sections 5.1, 6.1, 6.3: an ambiguous length ends the connection with a 400.

    Neither the answer nor the log repeats what was sent, nor says by what it was read.
    """
    trust = ssl.create_default_context(cafile=str(house.installation.tls.authority))
    port = house.installation.facts["https"]
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=trust, server_hostname="localhost"
    )
    writer.write(raw)
    async with asyncio.timeout(120):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert answer.count(b"HTTP/1.") == 1, answer
    assert head.split(b" ")[1] in (b"400", b"401"), head
    assert b"Server: sotto" in head
    assert json.loads(body)["code"] in set(Code)
    assert not INSIDE.search(answer.decode()), answer
    log = house.installation.log.read_text()
    assert "Traceback" not in log
    assert "smuggled-token" not in log + answer.decode()
