"""Rows A12, A13: keys in a KMS, their life, and who may do what to them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from signaling.http.api.role_table import operations_of
from signaling.keys.header import parse
from tests.ports import free_port
from tests.rows.house import House, Visit, visiting
from tests.rows.kept import Kept

NOBODY = "0" * 32


async def staff(there: Visit) -> dict[str, str]:
    owner = await there.owner()
    found = {
        role: (await there.joined(role, owner=owner))[0]
        for role in ("owner", "administrator", "compliance", "auditor", "member")
    }
    return {**found, "guest": await there.guest(), "": ""}


async def key_of(there: Visit, account: str) -> str:
    """The id of the data key that seals the account's row."""
    return parse(Kept(there.house).rows("account")[account]).key.hex()


async def someone(there: Visit) -> tuple[str, str]:
    """A new account's token and id."""
    token, _ = await there.joined()
    return token, (await there.ask("GET", "/account", token=token)).body["id"]


# verb -> method, path, body, who may: generate, use and revoke are three permissions.
VERBS: dict[str, tuple[str, str, Any, set[str]]] = {
    "status": ("GET", "/keys/{key}", None, {"owner", "administrator", "compliance", "auditor"}),
    "rotate": ("POST", "/keys/{key}/rotate", {}, {"owner", "administrator"}),
    "generate": ("POST", "/keys/{key}/versions", None, {"owner", "administrator"}),
    "rewrap": ("POST", "/keys/rewrap", None, {"administrator"}),
    "disable": ("POST", "/keys/{key}/versions/1/disable", None, {"owner", "compliance"}),
    "activate": ("POST", "/keys/{key}/versions/4/activate", None, {"owner", "administrator"}),
    "schedule": ("POST", "/keys/{key}/versions/1/destruction", None, {"owner", "compliance"}),
    "approve": (
        "POST",
        "/keys/{key}/versions/1/destruction/approval",
        None,
        {"owner", "compliance"},
    ),
    "cancel": ("DELETE", "/keys/{key}/versions/1/destruction", None, {"owner", "compliance"}),
    "enable": ("POST", "/keys/{key}/versions/1/enable", None, {"owner", "compliance"}),
}


async def test_a13_each_role_may_what_its_permissions_say_and_denials_are_recorded(
    there: Visit,
) -> None:
    people = await staff(there)
    _, account = await someone(there)
    key = await key_of(there, account)
    denied = 0
    for method, path, body, allowed in VERBS.values():
        for role, token in people.items():
            answer = await there.ask(method, path.format(key=key), body, token)
            if role in allowed:
                # The second of two who may finds it done.
                assert answer.status in (200, 201, 409), (path, role, answer.text)
            else:
                assert answer.status == (403 if role else 401), (path, role, answer.text)
                denied += 1
    answer = await there.ask("POST", f"/keys/{key}/versions/1/enable", None, people["compliance"])
    assert answer.status in (200, 409), answer.text
    # No role may all three.
    assert not VERBS["rotate"][3] & VERBS["rewrap"][3] & VERBS["disable"][3]
    assert denied > 20
    wanted = {
        "rotateKey", "generateKeyVersion", "activateKeyVersion", "rewrapKeys", "disableKeyVersion",
        "enableKeyVersion", "scheduleKeyDestruction", "approveKeyDestruction",
        "cancelKeyDestruction",
    }  # fmt: skip
    async with asyncio.timeout(60):  # they are written beside the answers
        while wanted - {
            one["action"] for one in await there.records(people["auditor"], result="denied")
        }:
            await asyncio.sleep(0.1)


async def test_a13_no_account_makes_uses_and_revokes_keys_not_even_the_first(there: Visit) -> None:
    """Of the account that the set-up link made, and of every set of roles that it can give."""
    first = await there.owner()
    me = (await there.ask("GET", "/account", token=first)).body
    assert me["roles"] == ["owner"]
    _, account = await someone(there)
    key = await key_of(there, account)
    assert (await there.ask("POST", f"/keys/{key}/rotate", {}, first)).status == 200
    answer = await there.ask("POST", f"/keys/{key}/versions/1/disable", None, first)
    assert answer.status == 200, answer.text
    answer = await there.ask("POST", f"/keys/{key}/versions/1/enable", None, first)
    assert answer.status == 200, answer.text
    answer = await there.ask("POST", "/keys/rewrap", None, first)
    assert (answer.status, answer.code) == (403, "not_permitted")
    any_version = {"If-Match": "*"}
    for more in (["administrator", "owner"], ["administrator", "compliance"]):
        for path in (f"/accounts/{account}", f"/accounts/{me['id']}"):
            body = {"roles": more}
            answer = await there.ask("PATCH", path, body, first, headers=any_version)
            assert (answer.status, answer.code) == (403, "not_permitted"), (path, more)
        answer = await there.ask("POST", "/invitations", {"roles": more}, first)
        assert (answer.status, answer.code) == (403, "not_permitted"), more
    # The first person lacks nothing else, and gives the missing part to somebody.
    document = (await there.send("GET", "/api/openapi.json")).body
    may = {
        operation["operationId"]: operation["x-sotto-access"].get("roles", ())
        for _, _, operation in operations_of(document)
    }
    theirs = {name for name, roles in may.items() if "administrator" in roles}
    assert {name for name in theirs if "owner" not in may[name]} == {"rewrapKeys"}
    administrator, _ = await there.joined("administrator", owner=first)
    answer = await there.ask("POST", "/keys/rewrap", None, administrator)
    assert answer.status == 200, answer.text
    auditor, _ = await there.joined("auditor", owner=first)
    for action in ("rewrapKeys", "changeOneAccount", "createInvitation"):
        assert await there.recorded(auditor, action, "denied", actor=f"account:{me['id']}")


async def test_a13_destruction_takes_two_people(there: Visit) -> None:
    people = await staff(there)
    _, account = await someone(there)
    key = await key_of(there, account)
    await there.ask("POST", f"/keys/{key}/rotate", {}, people["owner"])
    version = f"/keys/{key}/versions/1"
    answer = await there.ask("POST", f"{version}/disable", None, people["compliance"])
    assert answer.status == 200, answer.text
    for role in ("administrator", "auditor", "member"):
        answer = await there.ask("POST", f"{version}/destruction", None, people[role])
        assert answer.status == 403, role
    answer = await there.ask("POST", f"{version}/destruction", None, people["compliance"])
    assert answer.status == 200, answer.text
    for _ in range(2):
        answer = await there.ask(
            "POST", f"{version}/destruction/approval", None, people["compliance"]
        )
        assert (answer.status, answer.code) == (409, "second_approver_needed")
    answer = await there.ask("POST", f"{version}/destruction/approval", None, people["owner"])
    assert answer.status == 200, answer.text


async def test_a12_rotation_leaves_old_rows_readable_and_new_ones_under_version_2(
    there: Visit,
) -> None:
    owner = await there.owner()
    token, account = await someone(there)
    key = await key_of(there, account)
    kept = Kept(there.house)
    assert parse(kept.rows("account")[account]).version == 1
    answer = await there.ask("POST", f"/keys/{key}/rotate", {}, owner)
    assert [one["state"] for one in answer.body["versions"]] == ["decrypt_only", "active"]
    assert (await there.ask("GET", "/account", token=token)).status == 200
    body = {"name": "anew"}
    assert (
        await there.ask("PATCH", "/account", body, token, headers={"If-Match": "*"})
    ).status == 200
    assert parse(kept.rows("account")[account]).version == 2
    assert (await there.ask("GET", "/account", token=token)).body["name"] == "anew"


async def test_a12_a_disabled_version_locks_its_rows_and_no_other(there: Visit) -> None:
    people = await staff(there)
    first, account = await someone(there)
    _, other = await someone(there)
    key = await key_of(there, account)
    await there.ask("POST", f"/keys/{key}/rotate", {}, people["owner"])
    path = f"/keys/{key}/versions/1"
    assert (await there.ask("POST", f"{path}/disable", None, people["compliance"])).status == 200
    answer = await there.ask("GET", f"/accounts/{account}", token=people["owner"])
    assert answer.status == 409 and answer.code == "key_inactive", answer.text
    answer = await there.ask("GET", f"/accounts/{other}", token=people["owner"])
    assert answer.status == 200
    assert await listed(there, people["owner"]) >= {other}
    assert account not in await listed(there, people["owner"])
    # What was written since is under version 2, which the first one's end does not touch.
    token, renewed = await someone(there)
    own = await key_of(there, renewed)
    await there.ask("POST", f"/keys/{own}/rotate", {}, people["owner"])
    changed = await there.ask("PATCH", "/account", {"name": "v2"}, token, headers={"If-Match": "*"})
    assert changed.status == 200, changed.text
    old = f"/keys/{own}/versions/1/disable"
    assert (await there.ask("POST", old, None, people["compliance"])).status == 200
    answer = await there.ask("GET", f"/accounts/{renewed}", token=people["owner"])
    assert (answer.status, answer.body["name"]) == (200, "v2"), answer.text
    assert (await there.ask("POST", f"{path}/enable", None, people["compliance"])).status == 200
    assert (await there.ask("GET", "/account", token=first)).status == 200


async def listed(there: Visit, owner: str) -> set[str]:
    """Every account, page by page: a locked one hides no other."""
    found: set[str] = set()
    query = {"limit": "100"}
    while True:
        page = await there.ask("GET", "/accounts", token=owner, params=query)
        assert page.status == 200, page.text
        found |= {one["id"] for one in page.body["items"]}
        if page.body["next_cursor"] is None:
            return found
        query = {"limit": "100", "cursor": page.body["next_cursor"]}


async def test_a12_a_destroyed_key_is_410_an_unknown_one_422(
    housed: Callable[..., House],
) -> None:
    house = housed({"kms.destroy_wait_hours": "0"})
    async with visiting(house) as there:
        people = await staff(there)
        _, account = await someone(there)
        key = await key_of(there, account)
        owner = people["owner"]
        await there.ask("POST", f"/keys/{key}/rotate", {}, owner)
        version = f"/keys/{key}/versions/1"
        for path, who in (
            ("disable", "compliance"), ("destruction", "compliance"),
            ("destruction/approval", "owner"),
        ):  # fmt: skip
            answer = await there.ask("POST", f"{version}/{path}", None, people[who])
            assert answer.status == 200, answer.text
        # The sweep of the keeper destroys it; a start begins with one.
        house.stop()
        house.start()
        async with asyncio.timeout(90):
            while (
                answer := await there.ask("POST", f"{version}/enable", None, owner)
            ).status != 410:
                await asyncio.sleep(0.2)
        assert answer.code == "key_destroyed"
        answer = await there.ask("GET", f"/accounts/{account}", token=owner)
        assert (answer.status, answer.code) == (410, "key_destroyed")
        for path in (f"/keys/{NOBODY}", "/keys/nothing"):
            answer = await there.ask("GET", path, token=owner)
            assert (answer.status, answer.code) == (422, "key_unknown")
        answer = await there.ask("POST", f"/keys/{key}/versions/9/disable", None, owner)
        assert (answer.status, answer.code) == (422, "key_unknown")


async def test_a12_a_changed_wrapped_key_is_an_error_and_an_event(
    housed: Callable[..., House],
) -> None:
    house = housed({"kms.cache_seconds": "1"})
    async with visiting(house) as there:
        auditor, _ = await there.joined("auditor")
        _, account = await someone(there)
        kept = Kept(house)
        name = parse(kept.rows("account")[account]).key.hex()
        value = kept.rows("key")[name]
        kept.write("key", name, changed_wrapping(value))
        await asyncio.sleep(1.2)
        answer = await there.ask("GET", f"/accounts/{account}", token=await there.owner())
        assert (answer.status, answer.code) == (500, "integrity_error"), answer.text
        assert await there.recorded(auditor, "keys.integrity", "failed")


def changed_wrapping(value: bytes) -> bytes:
    """One bit of each wrapped key in the row."""
    row = msgspec.msgpack.decode(value)
    for version in row["versions"]:
        wrapped = bytearray(version["wrapped"])
        wrapped[len(wrapped) // 2] ^= 1
        version["wrapped"] = bytes(wrapped)
    return msgspec.msgpack.encode(row)


class Moto:
    """AWS KMS as moto has it, in a process of its own."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [sys.executable, "-m", "moto.server", "-p", str(self.port)]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 180
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/moto-api/", timeout=60):
                    return
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def moto() -> Iterator[Moto]:
    made = Moto(free_port())
    made.start()
    yield made
    made.stop()


async def test_a12_aws_kms_and_its_outage(moto: Moto, housed: Callable[..., House]) -> None:
    """Cached data keys serve for their time; after it everything that needs one is 503."""
    settings = {
        "kms.provider": "aws",
        "kms.cache_seconds": "5",
        "kms.timeout_seconds": "10",
        "kms_aws.region": "eu-west-1",
        "kms_aws.endpoint": f"http://127.0.0.1:{moto.port}",
        "kms_aws.access_key_id": "AKIDEXAMPLE",
        "kms_aws.secret_access_key": "of-the-rows",
    }
    secret = {
        name: settings.pop(f"kms_aws.{name}") for name in ("access_key_id", "secret_access_key")
    }
    house = housed(settings, environment={
        f"SOTTO_KMS_AWS__{name.upper()}": value for name, value in secret.items()
    })  # fmt: skip
    async with visiting(house) as there:
        owner = await there.owner()
        shown = await there.ask("GET", "/keys/master", token=owner)
        assert shown.body["versions"][0]["provider"] == "aws"
        token, _ = await someone(there)
        await asyncio.sleep(5.5)  # what this needs is all fetched at one time, a moment ago
        assert (await there.ask("GET", "/account", token=token)).status == 200
        moto.stop()
        assert (await there.ask("GET", "/account", token=token)).status == 200
        async with asyncio.timeout(90):
            while (answer := await there.ask("GET", "/account", token=token)).status == 200:
                await asyncio.sleep(0.3)
        assert (answer.status, answer.code) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        body = {"name": "x"}
        answer = await there.ask("PATCH", "/account", body, token, headers={"If-Match": "*"})
        assert answer.status == 503


async def test_a12_a_new_master_wraps_everything_anew(housed: Callable[..., House]) -> None:
    house = housed()
    async with visiting(house) as there:
        people = await staff(there)
        token, _ = await someone(there)
        answer = await there.ask("POST", "/keys/master/rotate", {}, people["owner"])
        assert answer.status == 200, answer.text
        answer = await there.ask("POST", "/keys/rewrap", None, people["administrator"])
        assert answer.status == 200 and answer.body["failed"] == 0 and answer.body["moved"] > 0
        shown = (await there.ask("GET", "/keys/master", token=people["owner"])).body["versions"]
        assert [one["state"] for one in shown] == ["decrypt_only", "active"]
        assert shown[0]["wraps"] == 0
        assert (await there.ask("GET", "/account", token=token)).status == 200
