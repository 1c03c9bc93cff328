"""Rows B11, B13: a record of every call, who may read them, and where they go."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from signaling.http.api.role_table import operations_of
from tests.command import sotto
from tests.rows.house import API_SECRET, ROOT, House, Visit, standing, visiting
from tests.rows.oauth import FORM, Program
from tests.rows.pam import bind
from tests.rows.peer import posts, seated
from tests.rows.rightful import people
from tests.signaling.compliance.receivers import Rsyslog
from tests.signaling.http.test_roles import NOBODY, ROUTE_PARAMETER

CANARY = "canary-9f3a"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


async def test_b11_n_calls_of_every_kind_leave_n_records(there: Visit) -> None:
    """Every operation of the specification, anonymous, as a member and as the owner."""
    owner = await there.owner()
    auditor, _ = await there.joined("auditor", owner=owner)
    member, _ = await there.joined(owner=owner)
    document = (await there.send("GET", "/api/openapi.json")).body
    made: dict[str, tuple[str, int]] = {}
    people = {"": "", "member": member, "owner": owner}
    for method, path, operation in operations_of(document):
        for token in people.values():
            url = ROUTE_PARAMETER.sub(NOBODY, path) + f"?{CANARY}=1"
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answer = await there.send(method, url, headers=headers)
            made[answer.headers["X-Request-Id"]] = (operation["operationId"], answer.status)
    assert len(made) >= 300
    found = await all_of(there, auditor, made)
    assert sorted(one["request_id"] for one in found) == sorted(made)
    for one in found:
        name, status = made[one["request_id"]]
        expected = "denied" if status in (401, 403) else "allowed" if status < 400 else "failed"
        assert (one["action"], one["result"]) == (name, expected), one
        assert one["address"] in ("127.0.0.0/24", "::/48") and one["at"]
        assert CANARY not in repr(one)
        assert not [token for token in people.values() if token and token in repr(one)]


async def all_of(there: Visit, auditor: str, made: dict[str, Any]) -> list[dict[str, Any]]:
    """Every record of these requests, as soon as they are there."""
    async with asyncio.timeout(90):
        while True:
            found: list[dict[str, Any]] = []
            query = {"limit": "100"}
            while True:
                page = await there.ask("GET", "/audit", token=auditor, params=query)
                assert page.status == 200, page.text
                found += [one for one in page.body["items"] if one["request_id"] in made]
                if page.body["next_cursor"] is None or len(found) >= len(made):
                    break
                query = {"limit": "100", "cursor": page.body["next_cursor"]}
            if len(found) >= len(made):
                return found
            await asyncio.sleep(0.3)


async def test_b11_sockets_and_calls_leave_records_too(there: Visit) -> None:
    auditor, _ = await there.joined("auditor")
    token, _ = await there.joined()
    opened = await there.records(auditor, action="sync.open")
    before = sum(one["result"] == "allowed" for one in opened)
    async with there.socket(token):
        pass
    await there.recorded(auditor, "sync.open", "allowed", min(before + 1, 100))
    assert await there.recorded(auditor, "sync.close", "allowed")
    ann, bob, cy = await people(there, 3)
    room, hers = await ann.room(bob), await cy.room()
    encrypt = {"version": 4, "clock": 1, "op": {"type": "mode", "mode": "e2ee"}}
    async with seated(bob) as (peer,):
        await peer.bind(f"room:{room}")
        await peer.upload(*posts(1, 3), encrypt)
        await peer.until(lambda frame: frame.get("code") == 231)
        await peer.send("bind", session=2, path=f"room:{hers}")
        await peer.send("bind", session=3, path=f"room:{room}", token="am_rubbish")
        await peer.raw("canary")
        await peer.raw("unbind", session=1)
        await peer.until(lambda frame: frame["type"] == "unbound")
    actor = f"account:{bob.id}"
    for action, result, target, code, count in (
        ("sync.bind", "allowed", f"room:{room}", "", "1"),
        ("sync.upload", "allowed", f"room:{room}", "", "3"),
        ("sync.upload", "denied", f"room:{room}", "not_permitted", "1"),
        ("sync.bind", "failed", f"room:{hers}", "no_such_partition", "1"),
        ("sync.bind", "denied", f"room:{room}", "bad_authentication", "1"),
        ("sync.message", "failed", "", "unknown_message", "1"),
        ("sync.unbind", "allowed", f"room:{room}", "", "1"),
    ):
        wanted = await there.recorded(
            auditor, action, result, target=target, code=code, actor=actor
        )
        (one,) = wanted
        assert one["details"]["count"] == count and one["address"], one
        assert "am_" not in repr(one) and "canary" not in repr(one) and one["request_id"]
    client = await there.signer()
    granted = await client.granted({"resources": {"channels": {"hall": 1}}})
    async with there.socket(token) as socket:
        for number, channel in ((1, "hall"), (2, "else")):
            await bind(socket, number, granted, channels=[channel])
        await socket.send_json({"type": "here_now", "session": 1, "channels": ["else"]})
    for action, result, target in (
        ("sync.bind", "allowed", "hall"), ("sync.bind", "denied", "else"),
        ("sync.here_now", "denied", "else"),
    ):  # fmt: skip
        (one,) = await there.recorded(auditor, action, result, target=target)
        assert one["actor"].startswith("token:") and granted not in repr(one)
    await there.send("GET", "/rtc/validate?access_token=x")
    assert await there.recorded(auditor, "rtc.validate", "denied")
    await there.send("POST", "/twirp/livekit.RoomService/ListRooms", json={})
    assert await there.recorded(auditor, "twirp.RoomService.ListRooms", "denied")


async def test_b11_letting_a_program_in_leaves_a_record(there: Visit) -> None:
    """By its consent page and by a device's code, and what it was given then."""
    auditor, _ = await there.joined("auditor")
    cookie, _ = await there.joined()
    me = (await there.ask("GET", "/session", token=cookie)).body
    actor = f"account:{me['account']}"
    program = await Program.registered(there, "An app")
    tokens = await program.tokens(cookie)
    assert (await program.code(cookie, code_challenge=None))[1] == "invalid_request"
    device = await Program.registered(there, "A television", grants=[DEVICE], redirect_uris=[])
    for decision in ("allow", "deny"):
        shown = (await device.post("/oauth/device_authorization")).body["user_code"]
        headers = {
            "Cookie": f"__Host-sotto={cookie}", "Sec-Fetch-Site": "same-origin",
            "Content-Type": FORM,
        }  # fmt: skip
        form = urlencode({"user_code": shown, "decision": decision})
        answer = await there.send("POST", "/oauth/device", data=form, headers=headers)
        assert answer.status == 200, answer.text
    for action, result, client in (
        ("oauth.allow", "allowed", program), ("oauth.ask", "failed", program),
        ("oauth.device_allow", "allowed", device), ("oauth.device_deny", "allowed", device),
    ):  # fmt: skip
        (one,) = await there.recorded(auditor, action, result, actor=actor)
        assert one["details"]["session"] == me["session"], one
        assert one["request_id"] and one["token_id"] and one["address"]
        assert result == "failed" or one["target"] == f"client:{client.id}"
        assert cookie not in repr(one)
    held = (await there.ask("GET", "/session", token=tokens["access_token"])).body
    (one,) = await there.recorded(auditor, "oauthToken", "allowed", actor=f"client:{program.id}")
    assert one["target"] == f"account:{me['account']}"
    assert one["details"]["session"] == held["session"]
    assert tokens["access_token"] not in repr(one)


async def test_b13_only_auditors_read_and_nobody_writes(there: Visit) -> None:
    owner = await there.owner()
    auditor, _ = await there.joined("auditor", owner=owner)
    for role in ("member", "compliance", "administrator"):
        token, _ = await there.joined(role, owner=owner)
        for path in ("/audit", "/audit/export", "/audit/head"):
            answer = await there.ask("GET", path, token=token)
            assert (answer.status, answer.code) == (403, "not_permitted"), (role, path)
    assert (await there.ask("GET", "/audit")).status == 401
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = await there.ask(method, "/audit", {}, auditor)
        assert answer.status in (403, 405), method
        if answer.status == 405:
            assert "GET" in answer.headers["Allow"]
    # Reading is recorded as well.
    assert await there.recorded(auditor, "listAuditRecords", "allowed")


async def test_b13_filters_cursors_and_bad_ones(there: Visit) -> None:
    auditor, _ = await there.joined("auditor")
    for _ in range(6):
        await there.ask("GET", "/session")
    await there.recorded(auditor, "getSession", "denied", 6)
    first = await there.ask(
        "GET", "/audit", token=auditor, params={"limit": "3", "action": "getSession"}
    )
    cursor = first.body["next_cursor"]
    second = await there.ask(
        "GET", "/audit", token=auditor,
        params={"limit": "3", "action": "getSession", "cursor": cursor},
    )  # fmt: skip
    ids = [one["id"] for page in (first, second) for one in page.body["items"]]
    assert len(set(ids)) == 6
    forged = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
    for params in ({"cursor": forged}, {"limit": "0"}, {"limit": "101"}, {"result": "$ne"}):
        answer = await there.ask("GET", "/audit", token=auditor, params=params)
        assert answer.status in (400, 422), params


@pytest.mark.parametrize("sign", ["=", "+", "-", "@"])
async def test_b13_exports_are_ndjson_and_csv_without_formulas(there: Visit, sign: str) -> None:
    """The name of a participant is the actor of its records, and may be anything."""
    auditor, _ = await there.joined("auditor")
    name = f"{sign}cmd|' /C calc'!A0"
    claims = {
        "iss": "rows", "sub": name, "nbf": int(time.time()) - 5, "exp": int(time.time()) + 60,
        "video": {"room": "hall", "roomJoin": True},
    }  # fmt: skip
    token = jwt.encode(claims, API_SECRET, algorithm="HS256")
    assert (await there.send("GET", f"/rtc/validate?access_token={token}")).status == 200
    async with asyncio.timeout(120):
        while not [r for r in await there.records(auditor) if name in r["actor"]]:
            await asyncio.sleep(0.1)
    lines = await there.ask("GET", "/audit/export", token=auditor)
    assert lines.headers["Content-Type"].startswith("application/x-ndjson")
    assert all(json.loads(line)["id"] for line in lines.text.splitlines())
    table = await there.ask("GET", "/audit/export", token=auditor, params={"format": "csv"})
    assert "attachment" in table.headers["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(table.text)))
    assert rows[0][:5] == ["id", "at", "app", "actor", "action"] and len(rows) > 5
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


@pytest.fixture
async def rsyslog(tmp_path: Path) -> AsyncIterator[Rsyslog]:
    server = Rsyslog(tmp_path / "rsyslog")
    await server.start()
    yield server
    server.stop()


async def test_b13_rsyslog_over_tls_gets_everything_in_order_through_an_outage(
    rsyslog: Rsyslog, housed: Callable[..., House]
) -> None:
    house = housed({
        "audit_syslog.address": f"127.0.0.1:{rsyslog.port}",
        "audit_syslog.ca": str(rsyslog.files.authority),
    })  # fmt: skip
    async with visiting(house) as there:
        auditor, _ = await there.joined("auditor")
        made: dict[str, Any] = {}

        async def ask(count: int) -> None:
            for _ in range(count):
                answer = await there.ask("GET", "/session")
                made[answer.headers["X-Request-Id"]] = True

        await ask(20)
        await delivered(rsyslog, made)
        rsyslog.kill()
        await ask(20)
        await asyncio.sleep(1)
        await rsyslog.start()
        await ask(20)
        await delivered(rsyslog, made)
        kept = await all_of(there, auditor, made)
    order = [one["id"] for one in reversed(kept)]
    seen: dict[str, None] = {}
    for record in rsyslog.received():
        if record.get("request_id") in made:
            seen.setdefault(record["id"])
    assert list(seen) == order


async def delivered(rsyslog: Rsyslog, made: dict[str, Any]) -> None:
    async with asyncio.timeout(120):
        while not made.keys() <= {one.get("request_id") for one in rsyslog.received()}:
            await asyncio.sleep(0.2)


@pytest.fixture
def ended(tmp_path: Path) -> Iterator[House]:
    """A house whose audit is in a file as well."""
    settings = {"audit_file.path": str(tmp_path / "copy.ndjson")}
    with standing(House(tmp_path, settings)) as made:
        yield made


async def test_b13_a_file_gets_every_record_and_the_chain_verifies(ended: House) -> None:
    async with visiting(ended) as there:
        made = {}
        for _ in range(10):
            made[(await there.ask("GET", "/session")).headers["X-Request-Id"]] = True
        copy = ended.folder / "copy.ndjson"
        async with asyncio.timeout(120):
            while True:
                data = copy.read_bytes() if copy.exists() else b""
                whole = data[: data.rfind(b"\n") + 1].splitlines()
                got = [json.loads(line)["request_id"] for line in whole]
                if made.keys() <= set(got):
                    break
                await asyncio.sleep(0.2)
    assert [one for one in got if one in made] == list(made)


def verify(house: House) -> subprocess.CompletedProcess[str]:
    words = sotto("audit", "verify", f"--state-dir={house.state}")
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


async def test_b11_a_changed_record_is_found(ended: House) -> None:
    async with visiting(ended) as there:
        for _ in range(5):
            await there.ask("GET", "/session")
        await asyncio.sleep(2)  # the head of the chain is signed each second
    ended.stop()
    await asyncio.to_thread(changed_and_found, ended)


def changed_and_found(ended: House) -> None:
    done = verify(ended)
    assert done.returncode == 0 and "nothing was found" in done.stdout, done.stderr
    with sqlite3.connect(ended.state / "store" / "sotto.db") as store:
        rows = store.execute("SELECT rid, seq, body FROM op ORDER BY rid, seq").fetchall()
        # A record or a batch of them, not a head.
        rid, seq, body = min(row for row in rows if row[2][:1] in (b"R", b"B"))
        changed = body[:-1] + bytes([body[-1] ^ 1])
        words = "UPDATE op SET body = ? WHERE rid = ? AND seq = ?"
        store.execute(words, (changed, rid, seq))
    done = verify(ended)
    assert done.returncode == 1 and "changed at" in done.stdout
