"""Incoming webhooks of a real server: programs post as bots; who may, and what ends it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from signaling.delivery.inlets import FORM, text_of
from signaling.errors import ClientError, Code
from tests.rows.house import House, Visit, standing, visiting
from tests.signaling.delivery.served import house_at, must, room

NOBODY = "01a00000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("incoming")
    with standing(house_at(folder, {9: ""}, {"delivery.incoming_per_minute": "40"})) as made:
        yield made


@pytest.fixture
async def there(house: House) -> AsyncIterator[Visit]:
    async with visiting(house) as visit:
        yield visit


async def posted(there: Visit, url: str, body: Any, **more: Any) -> Any:
    path = url.partition("/api/v1")[2]
    return await there.ask("POST", path, body, **more)


async def texts(there: Visit, where: str) -> list[tuple[str, str]]:
    items = (await must(there, "GET", f"/rooms/{where}/messages"))["items"]
    return [(one["account"], one["body"]["text"]) for one in reversed(items)]


async def test_a_program_posts_as_a_bot_until_its_address_is_revoked(there: Visit) -> None:
    where = await room(there)
    made = await must(there, "POST", "/incoming-webhooks", {"room": where, "name": "Build"})
    answer = await posted(there, made["url"], {"text": "**green**"})
    assert (answer.status, answer.text) == (200, "ok")
    assert await texts(there, where) == [(made["bot"], "**green**")]
    shown = await must(there, "GET", f"/bots/{made['bot']}")
    assert shown["name"] == "Build"
    listed = (await must(there, "GET", "/incoming-webhooks"))["items"]
    assert made["id"] in [one["id"] for one in listed]
    assert not [one for one in listed if one["url"]], "shown once"
    # What a payload of Slack's has, as text; in its older form too.
    slack = {
        "text": "fallback", "username": "x",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": "see <https://a.example|it>"}}
        ],
        "attachments": [{"title": "Log", "text": "a &lt; b", "color": "#f00"}],
    }  # fmt: skip
    assert (await posted(there, made["url"], slack)).status == 200
    url = there.house.url + "/api/v1" + made["url"].partition("/api/v1")[2]
    form = await there.send("POST", url, data={"payload": json.dumps({"text": "old"})})
    assert form.status == 200, form.text
    assert [text for _, text in await texts(there, where)][1:] == [
        "see [it](https://a.example)\nLog\na < b", "old"
    ]  # fmt: skip
    # The same request twice is one message.
    key = {"headers": {"Idempotency-Key": "one"}}
    for _ in range(2):
        assert (await posted(there, made["url"], {"text": "once"}, **key)).status == 200
    assert [text for _, text in await texts(there, where)].count("once") == 1
    gone = await there.ask("DELETE", f"/incoming-webhooks/{made['id']}", token=await there.owner())
    assert gone.status == 204
    assert (await posted(there, made["url"], {"text": "late"})).status == 404
    assert len(await texts(there, where)) == 4
    token = made["url"].rpartition("/")[2]
    assert re.fullmatch(r"hook_0A[A-Za-z0-9_-]{40}", token)
    auditor, _ = await there.joined("auditor")
    records = json.dumps(await there.records(auditor))
    assert token not in there.house.written() and token not in records
    assert "incoming:" + made["id"] in records


async def test_a_disabled_bot_and_a_wrong_address_post_nothing(there: Visit) -> None:
    where = await room(there)
    bot = await must(there, "POST", "/bots", {"name": "Helper"})
    wish = {"room": where, "name": "Helper", "bot": bot["id"]}
    made = await must(there, "POST", "/incoming-webhooks", wish)
    assert made["bot"] == bot["id"]
    for token in ("hook_0Awrong", "x", NOBODY):
        assert (await posted(there, f"/api/v1/incoming/{token}", {"text": "x"})).status == 404
    for body, status in (({}, 422), ({"text": ""}, 422), ({"text": "x" * 16_001}, 422), ([], 422)):
        assert (await posted(there, made["url"], body)).status == status
    url = there.house.url + "/api/v1" + made["url"].partition("/api/v1")[2]
    assert (await there.send("POST", url, data=b"{")).status == 415
    broken = await there.send("POST", url, data=b"{", headers={"Content-Type": "application/json"})
    assert broken.status == 400
    big = {"text": "x" * 70_000}
    assert (await posted(there, made["url"], big)).status == 413
    answer = await there.ask(
        "PATCH", f"/accounts/{bot['id']}", {"disabled": True}, await there.owner()
    )
    assert answer.status == 200, answer.text
    assert (await posted(there, made["url"], {"text": "x"})).status == 404
    assert await texts(there, where) == []


async def test_one_address_takes_so_much_and_no_more(there: Visit) -> None:
    where = await room(there)
    made = await must(there, "POST", "/incoming-webhooks", {"room": where, "name": "Loud"})
    statuses = []
    for n in range(20):
        answer = await posted(there, made["url"], {"text": f"n{n}"})
        statuses.append(answer.status)
    assert statuses[:10] == [200] * 10 and 429 in statuses[10:]
    refused = await posted(there, made["url"], {"text": "again"})
    assert refused.status == 429 and int(refused.headers["Retry-After"]) >= 1


async def test_where_a_program_cannot_post(there: Visit) -> None:
    encrypted = await room(there, mode="e2ee")
    owner = await there.owner()
    answer = await there.ask("POST", "/incoming-webhooks", {"room": encrypted, "name": "x"}, owner)
    assert (answer.status, answer.code) == (422, "plaintext_refused")
    answer = await there.ask("POST", "/incoming-webhooks", {"room": NOBODY, "name": "x"}, owner)
    assert (answer.status, answer.code) == (404, "room_not_found")
    token, _ = await there.joined()
    where = await room(there)
    wish = {"room": where, "name": "x"}
    assert (await there.ask("POST", "/incoming-webhooks", wish, token)).status == 403
    nobot = {**wish, "bot": NOBODY}
    assert (await there.ask("POST", "/incoming-webhooks", nobot, owner)).status == 404
    # A room that became encrypted since takes no plain text any more.
    made = await must(there, "POST", "/incoming-webhooks", wish)
    await must(there, "POST", f"/rooms/{where}/mode", {"mode": "e2ee"})
    refused = await posted(there, made["url"], {"text": "plain"})
    assert (refused.status, refused.code) == (422, "plaintext_refused")


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("application/json", b'{"text": "a"}', "a"),
        ("application/json", b'{"text": "a", "unknown": [1, {"b": null}]}', "a"),
        ("application/json", b'{"attachments": [{"fields": [{"title": "T", "value": "V"}]}]}',
         "**T** V"),
        (FORM, b"payload=%7B%22text%22%3A%22a+b%22%7D", "a b"),
        ("application/json", b'{"text": "<https://x.example> &amp; <@U1>"}',
         "https://x.example & <@U1>"),
    ],
)  # fmt: skip
def test_what_a_payload_says(kind: str, body: bytes, text: str) -> None:
    assert text_of(kind, body) == text


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'{"text": 1}', b'{"blocks": 3}', b"\xff", b"[" * 100_000]
)
def test_what_says_nothing_is_refused(body: bytes) -> None:
    with pytest.raises(ClientError) as refused:
        text_of("application/json", body)
    assert refused.value.code in (Code.BAD_REQUEST, Code.FIELDS_INVALID)
