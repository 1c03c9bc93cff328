"""Outgoing webhooks: who makes them, what they are told, how it is signed, and what fails.

Long because each thing that a receiver may rely on has its own test.
"""

from __future__ import annotations

import base64
import hmac
from datetime import datetime
from typing import Any

import msgspec
import pytest

from signaling.accounts.principal import Role
from signaling.chat.ops import CallOp, CallState
from signaling.delivery import shelf, signing
from signaling.ids import SeededEntropy
from tests.signaling.access.rig import APP, Ground
from tests.signaling.chat.test_messages import sealed
from tests.signaling.delivery.house import DAY, Post, delivering


def verified(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """As the specification of Standard Webhooks tells a receiver to do it."""
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(raw, said, "sha256").digest()).decode()
    return wanted in headers["webhook-signature"].split(" ")


def test_a_signature_is_that_of_the_published_example() -> None:
    key = signing.Key(text="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", created=0.0)
    made = signing.headers(
        [key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330.9, b'{"test": 2432232314}'
    )
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert made["webhook-timestamp"] == "1614265330"


def test_secrets_are_long_and_prefixed() -> None:
    made = signing.secret(SeededEntropy(1).token(signing.SECRET_BYTES))
    assert made.startswith("whsec_") and len(base64.b64decode(made[6:])) == 32


async def test_a_message_arrives_as_a_signed_cloud_event(post: Post) -> None:
    made = await post.webhook(name="ours")
    room = await post.served.room("bob")
    message = await post.served.ann.post(room, "hello", custom={"ticket": 7})
    await post.settle()
    assert post.receiver.types == [
        "sotto.room.created", "sotto.member.changed", "sotto.message.posted"
    ]  # fmt: skip
    headers, body = post.receiver.requests[-1]
    assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert verified(headers, body, made["secret"])
    assert not verified(headers, body + b" ", made["secret"])
    event = msgspec.json.decode(body)
    assert {event[name] for name in ("specversion", "datacontenttype")} == {
        "1.0", "application/json"
    }  # fmt: skip
    assert event["source"] == f"https://chat.example/api/v1/rooms/{room}"
    assert event["subject"] == message["id"] and event["id"] == f"{room}:3"
    assert datetime.fromisoformat(event["time"]).timestamp() == post.house.clock.unix()
    data = event["data"]
    assert (data["room"], data["account"], data["part"]) == (room, "ann", "owner")
    assert data["op"]["body"] == {"format": "m.plain.v1", "text": "hello"}
    assert data["op"]["custom"] == {"ticket": 7}
    # Each event has an id of its own, so that a receiver knows doubles.
    assert len({headers["webhook-id"] for headers, _ in post.receiver.requests}) == 3


async def test_edits_reactions_members_and_calls_are_told(post: Post) -> None:
    room = await post.served.room("bob")
    await post.webhook(filter={"events": ["message.*", "member.left", "call.*"]})
    message = await post.served.ann.post(room, "first")
    at = f"/rooms/{room}/messages/{message['id']}"
    assert (await post.served.ann.ask("PATCH", at, {"text": "second"})).status == 200
    assert (await post.served.bob.ask("PUT", f"{at}/reactions/%F0%9F%91%8D", {})).status < 300
    assert (await post.served.ann.ask("DELETE", at)).status < 300
    assert (await post.served.ann.ask("DELETE", f"/rooms/{room}/members/bob")).status == 204
    held = await post.house.chat.rooms.find(APP, room)
    assert held is not None
    call = CallOp(id=message["id"], state=CallState.MISSED, accounts=("ann", "bob"))
    await post.house.chat.say(held, call)
    await post.settle()
    assert post.receiver.types == [
        "sotto.message.posted", "sotto.message.edited", "sotto.message.reacted",
        "sotto.message.deleted", "sotto.member.left", "sotto.call.missed",
    ]  # fmt: skip


async def test_only_what_is_asked_for_is_told(post: Post) -> None:
    room, other = await post.served.room("bob"), await post.served.room("cy")
    await post.webhook(room=room, filter={"accounts": ["bob"], "custom": {"urgent": True}})
    await post.served.bob.post(room, "one", custom={"urgent": True})
    await post.served.bob.post(room, "two")
    await post.served.ann.post(room, "three", custom={"urgent": True})
    await post.served.ann.post(other, "four", custom={"urgent": True})
    await post.served.bob.post(room, "five", custom={"urgent": True, "more": 1})
    await post.settle()
    assert post.receiver.texts == ["one", "five"]


async def test_nothing_from_before_it_was_made_is_told(post: Post) -> None:
    room = await post.served.room("bob")
    for n in range(5):
        await post.served.ann.post(room, f"old {n}")
    post.house.clock.advance(1)
    await post.webhook()
    await post.served.ann.post(room, "new")
    await post.settle()
    assert post.receiver.texts == ["new"] and len(post.receiver.events) == 1


async def test_of_an_encrypted_room_the_envelope_alone_is_told(post: Post) -> None:
    await post.webhook(filter={"custom": {"urgent": True}})
    room = await post.served.room("bob", mode="e2ee")
    body = {"body": sealed(), "custom": {"urgent": True}}
    answer = await post.served.bob.ask("POST", f"/rooms/{room}/messages", body)
    assert answer.status == 201, answer.body
    await post.settle()
    [event] = post.receiver.events
    op = event["data"]["op"]
    assert "body" not in op and op["custom"] == {"urgent": True}
    assert sealed()["ct"] not in post.receiver.requests[0][1].decode()


async def test_of_a_transient_room_nothing_is_told_unless_that_was_asked_for(post: Post) -> None:
    room = await post.served.room("bob", mode="transient")
    refused = await post.ask("POST", "/webhooks", {"url": post.receiver.url, "room": room})
    assert refused.status == 422 and refused.body["errors"][0]["pointer"] == "/transient"
    await post.webhook()
    await post.served.ann.post(room, "canary one")
    await post.settle()
    assert post.receiver.events == []
    await post.webhook(transient=True, filter={"events": ["message.posted"]})
    post.receiver.status = 503
    await post.served.ann.post(room, "canary two")
    await post.settle()
    meta = post.house.ground.store.meta
    for kind in (shelf.ITEMS, shelf.LANES, shelf.DEAD):
        assert await meta.scan(APP, kind, limit=10) == []
    post.receiver.status = 200
    await post.waited(2)
    assert post.receiver.texts == ["canary two"]


async def test_what_was_erased_while_it_waited_is_never_sent(post: Post) -> None:
    await post.webhook(filter={"events": ["message.posted", "message.erased"]})
    room = await post.served.room("bob")
    post.receiver.status = 503
    message = await post.served.ann.post(room, "a secret")
    await post.settle()
    held = await post.house.chat.rooms.find(APP, room)
    assert held is not None
    known = await post.house.chat.rooms.known(held, message["id"])
    assert known is not None
    await post.house.chat.erase(held, [(message["id"], known.seq)], "erasure")
    post.receiver.status = 200
    await post.waited(5)
    assert post.receiver.types == ["sotto.message.erased"]
    assert post.receiver.events[0]["data"]["op"]["ids"] == [message["id"]]
    assert not any(b"a secret" in body for _, body in post.receiver.requests)


async def test_receivers_are_told_that_a_room_was_erased(post: Post) -> None:
    await post.webhook(filter={"events": ["message.*"]})
    deaf = await post.webhook(filter={"events": ["call.*"]})
    room = await post.served.room("bob")
    post.receiver.status = 503
    await post.served.ann.post(room, "a secret")
    await post.settle()
    # What erasure does with a room: its key is destroyed, what waits is dropped.
    await post.house.ground.sealer.shred(APP, f"room:{room}")
    await post.house.outbox.drop(APP, room=room)
    post.receiver.status = 200
    await post.waited(5)
    assert post.receiver.types == ["sotto.room.erased"] and deaf["enabled"]
    assert post.receiver.events[0]["data"] == {"room": room}
    assert post.receiver.events[0]["subject"] == room


async def test_keys_of_files_never_leave(post: Post) -> None:
    await post.webhook(filter={"events": ["message.posted"]})
    room = await post.served.room("bob")
    file = {"id": "f1", "key": base64.b64encode(bytes(32)).decode(), "name": "plan.pdf"}
    body = {"format": "m.plain.v1", "text": "see", "files": [file]}
    answer = await post.served.ann.ask(
        "POST", f"/rooms/{room}/messages", {"body": body, "attachments": [{"id": "f1"}]}
    )
    assert answer.status == 201, answer.body
    await post.settle()
    [event] = post.receiver.events
    [shown] = event["data"]["op"]["body"]["files"]
    assert shown["name"] == "plan.pdf" and "key" not in shown


# Failing


async def test_an_outage_loses_nothing_and_keeps_the_order(post: Post) -> None:
    await post.webhook(filter={"events": ["message.posted"]})
    room, other = await post.served.room("bob"), await post.served.room("cy")
    post.receiver.status = 503
    for n in range(30):
        await post.served.ann.post(room, f"a{n}")
        await post.served.ann.post(other, f"b{n}")
        await post.waited(20)
    post.receiver.status = 200
    await post.waited(901)
    await post.waited(1)
    assert [text for text in post.receiver.texts if text[0] == "a"] == [f"a{n}" for n in range(30)]
    assert [text for text in post.receiver.texts if text[0] == "b"] == [f"b{n}" for n in range(30)]


async def test_a_process_that_died_between_log_and_outbox_is_made_good(
    embedded: Ground,
) -> None:
    async with delivering(embedded) as post:
        await post.webhook(filter={"events": ["message.posted"]})
        room = await post.served.room("bob")
        await post.served.ann.post(room, "told")
        await post.settle()
        # The hook is never called: what a kill just after the append leaves.
        post.house.chat.committed.remove(post.house.feed.committed)
        await post.served.ann.post(room, "forgotten one")
        await post.served.ann.post(room, "forgotten two")
        assert post.receiver.texts == ["told"]
        url = post.receiver.url
        async with delivering(embedded) as other:
            hook = (await other.ask("GET", "/webhooks")).body["items"][0]
            assert hook["url"] == url
            await other.settle()
        assert post.receiver.texts == ["told"], "the other process may not call that port"
        post.house.feed._swept = float("-inf")
        await post.waited(61)
        assert post.receiver.texts == ["told", "forgotten one", "forgotten two"]


async def test_who_fails_for_days_is_disabled_and_what_waited_can_be_replayed(post: Post) -> None:
    made = await post.webhook(filter={"events": ["message.posted"]})
    room = await post.served.room("bob")
    post.receiver.status = 500
    await post.served.ann.post(room, "one")
    await post.served.ann.post(room, "two")
    await post.settle()
    at = f"/webhooks/{made['id']}"
    assert (await post.ask("GET", at)).body["failing_since"] is not None
    for _ in range(int(3 * DAY / 900) + 2):
        await post.waited(900)
    shown = (await post.ask("GET", at)).body
    assert not shown["enabled"] and shown["reason"] == "it answers 500"
    events = [e for e in post.house.audit.events if e.action == "delivery.webhook_disabled"]
    assert [event.target for event in events] == [f"webhook:{made['id']}"]
    await post.served.ann.post(room, "three")
    await post.settle()
    letters = (await post.ask("GET", at + "/dead-letters")).body["items"]
    assert [letter["room"] for letter in letters] == [room, room]
    post.receiver.status = 200
    assert (await post.ask("PATCH", at, {"enabled": True})).body["enabled"]
    await post.waited(1)
    assert post.receiver.texts == ["three"], "what was missed follows from the log"
    assert (await post.ask("POST", at + "/replay")).body == {"count": 2}
    await post.waited(1)
    assert post.receiver.texts == ["three", "one", "two"]


async def test_who_says_gone_is_disabled_at_once(post: Post) -> None:
    made = await post.webhook(filter={"events": ["message.posted"]})
    room = await post.served.room("bob")
    post.receiver.status = 410
    await post.served.ann.post(room, "one")
    await post.settle()
    asked = post.receiver.asked
    await post.served.ann.post(room, "two")
    await post.waited(3600)
    assert post.receiver.asked == asked
    shown = (await post.ask("GET", f"/webhooks/{made['id']}")).body
    assert not shown["enabled"] and "410" in shown["reason"]


async def test_retry_after_is_honoured(post: Post) -> None:
    await post.webhook(filter={"events": ["message.posted"]})
    room = await post.served.room("bob")
    post.receiver.statuses, post.receiver.headers = [429], {"Retry-After": "100"}
    await post.served.ann.post(room, "one")
    await post.settle()
    await post.waited(99)
    assert post.receiver.asked == 1
    await post.waited(2)
    assert post.receiver.texts == ["one"]


async def test_a_redirect_is_no_delivery(post: Post) -> None:
    await post.webhook(filter={"events": ["message.posted"]})
    room = await post.served.room("bob")
    post.receiver.status, post.receiver.headers = 307, {"Location": "http://169.254.169.254/"}
    await post.served.ann.post(room, "one")
    await post.settle()
    assert post.receiver.asked == 1 and post.receiver.requests == []
    assert post.house.outbox.counters["retried"] == 1


# Secrets, addresses, roles


async def test_a_rotated_secret_overlaps_with_the_one_before(post: Post) -> None:
    made = await post.webhook(filter={"events": ["message.posted"]})
    at = f"/webhooks/{made['id']}"
    answer = await post.ask("POST", at + "/rotation", {"overlap_seconds": 3600})
    assert answer.status == 201
    first, second = made["secret"], answer.body["secret"]
    assert first != second and second.startswith("whsec_")
    assert (await post.ask("GET", at)).body["secret"] is None, "shown once"
    room = await post.served.room("bob")

    async def signed_by() -> list[str]:
        await post.served.ann.post(room, "hello")
        await post.settle()
        headers, body = post.receiver.requests[-1]
        return [name for name, key in (("first", first), ("second", second))
                if verified(headers, body, key)]  # fmt: skip

    assert await signed_by() == ["first", "second"]
    post.house.clock.advance(3601)
    assert await signed_by() == ["second"]
    gone = await post.ask("POST", at + "/rotation", {"overlap_seconds": 0})
    assert await signed_by() == [] and gone.status == 201


@pytest.mark.parametrize(
    "url",
    [
        "http://chat.example/in", "https://127.0.0.1/in", "https://127.1/in",
        "https://0x7f000001/in", "https://2130706433/in", "https://[::ffff:127.0.0.1]/in",
        "https://169.254.169.254/latest", "https://10.0.0.1/", "https://[::1]/",
        "https://user:pw@chat.example/", "ftp://chat.example/", "gopher://chat.example/",
        "file:///etc/passwd", "chat.example", "https://", "https://localhost/",
    ],
)  # fmt: skip
async def test_b15_addresses_that_are_nobodys_or_our_own_are_refused(post: Post, url: str) -> None:
    answer = await post.ask("POST", "/webhooks", {"url": url})
    assert answer.status == 422, (url, answer.body)
    assert answer.body["errors"][0]["pointer"] == "/url"
    made = await post.webhook()
    changed = await post.ask("PATCH", f"/webhooks/{made['id']}", {"url": url})
    assert changed.status == 422, url


async def test_without_the_operators_word_loopback_is_not_called(post: Post) -> None:
    elsewhere = f"http://127.0.0.1:{post.receiver.port + 1}/in"
    assert (await post.ask("POST", "/webhooks", {"url": elsewhere})).status == 422


async def test_only_administrators_have_webhooks(post: Post) -> None:
    made = await post.webhook()
    at = f"/webhooks/{made['id']}"
    wishes: list[tuple[str, str, Any]] = [
        ("GET", "/webhooks", None), ("POST", "/webhooks", {"url": post.receiver.url}),
        ("GET", at, None), ("PATCH", at, {"name": "x"}), ("DELETE", at, None),
        ("POST", at + "/rotation", {}), ("POST", at + "/test", None),
        ("GET", at + "/dead-letters", None), ("POST", at + "/replay", None),
    ]  # fmt: skip
    for method, path, body in wishes:
        assert (await post.ask(method, path, body, who="ann")).status == 403, path
        assert (await post.ask(method, path, body, who="")).status == 401, path
    assert Role.ADMINISTRATOR in post.house.principal("root").roles
    nowhere = at.replace(made["id"], "0190163d-8694-739b-aea5-000000000001")
    assert (await post.ask("GET", nowhere)).status == 404


async def test_one_can_be_tried_listed_changed_and_removed(post: Post) -> None:
    made = await post.webhook(name="first")
    at = f"/webhooks/{made['id']}"
    assert (await post.ask("POST", at + "/test")).body == {"delivered": True, "reason": ""}
    assert post.receiver.types == ["sotto.test"]
    headers, body = post.receiver.requests[0]
    assert verified(headers, body, made["secret"])
    post.receiver.status = 404
    tried = (await post.ask("POST", at + "/test")).body
    assert tried == {"delivered": False, "reason": "it answers 404"}
    post.receiver.status = 200
    changed = await post.ask("PATCH", at, {"name": "second", "filter": {"kinds": ["poll"]}})
    assert changed.body["name"] == "second" and changed.body["filter"] == {"kinds": ["poll"]}
    await post.ask("PATCH", at, {"enabled": False})
    room = await post.served.room("bob")
    await post.served.ann.post(room, "unheard")
    await post.settle()
    assert post.receiver.texts == []
    post.house.clock.advance(1)
    second = await post.webhook()
    listed = (await post.ask("GET", "/webhooks?limit=1")).body
    assert [one["id"] for one in listed["items"]] == [made["id"]] and listed["next_cursor"]
    assert (await post.ask("DELETE", at)).status == 204
    assert (await post.ask("GET", at)).status == 404
    rest = (await post.ask("GET", "/webhooks")).body["items"]
    assert [one["id"] for one in rest] == [second["id"]]
    assert all("secret" not in one or one["secret"] is None for one in rest)


async def test_what_waits_for_a_removed_one_is_forgotten(post: Post) -> None:
    made = await post.webhook()
    post.receiver.status = 503
    room = await post.served.room("bob")
    await post.served.ann.post(room, "one")
    await post.settle()
    assert (await post.ask("DELETE", f"/webhooks/{made['id']}")).status == 204
    post.receiver.status = 200
    await post.waited(3600)
    assert post.receiver.requests == []
    for kind in (shelf.ITEMS, shelf.LANES):
        assert await post.house.ground.store.meta.scan(APP, kind, limit=10) == []
