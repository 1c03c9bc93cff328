"""An invitation into a room ends with its maker's right to invite, and comes back with it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.signaling.access.rig import ground
from tests.signaling.chat.rig import APP, Answer, Person, Served, serving
from tests.signaling.storage import places
from tests.signaling.storage.conftest import stand_in

__all__ = ["stand_in"]
ENDED = "The invitation is used up, expired or withdrawn."
Change = Callable[[Served, str], Awaitable[None]]


@pytest.fixture(params=["embedded", "mongo"])
async def there(
    request: pytest.FixtureRequest, tmp_path: Path, stand_in: Callable[[], int]
) -> AsyncIterator[Served]:
    place = places.make(request.param, tmp_path / "store", stand_in)
    async with ground(place, tmp_path) as made, serving(made) as served:
        yield served
    await place.clear()


async def link(maker: Person, room: str) -> str:
    made = await maker.ask("POST", f"/rooms/{room}/invites", {"uses": 0})
    assert made.status == 201, made.body
    return str(made.body["secret"])


async def used(who: Person, secret: str) -> Answer:
    return await who.ask("POST", "/room-invites/accept", {"secret": secret})


async def part(served: Served, room: str, account: str, part: str) -> None:
    answer = await served.ann.ask("PUT", f"/rooms/{room}/members/{account}", {"part": part})
    assert answer.status == 200, answer.body


async def leaves(served: Served, room: str) -> None:
    assert (await served.bob.ask("DELETE", f"/rooms/{room}/members/bob")).status == 204


async def is_banned(served: Served, room: str) -> None:
    await part(served, room, "bob", "banned")


async def is_a_member_only(served: Served, room: str) -> None:
    await part(served, room, "bob", "member")


async def is_disabled(served: Served, room: str) -> None:
    served.house.registry.disabled.add("bob")


async def is_removed(served: Served, room: str) -> None:
    served.house.registry.gone.add("bob")


async def is_a_moderator_again(served: Served, room: str) -> None:
    served.house.registry.disabled.discard("bob")
    served.house.registry.gone.discard("bob")
    await part(served, room, "bob", "moderator")


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        (leaves, "maker_outside"), (is_banned, "maker_banned"),
        (is_a_member_only, "maker_without_right"), (is_disabled, "maker_disabled"),
        (is_removed, "maker_removed"),
    ],
)  # fmt: skip
async def test_an_invitation_ends_with_its_makers_right_to_invite(
    there: Served, ends: Change, reason: str
) -> None:
    room = await there.room("bob", kind="private")
    await part(there, room, "bob", "moderator")
    secret, another = await link(there.bob, room), await link(there.ann, room)
    assert (await used(there.cy, secret)).body["part"] == "member"
    await ends(there, room)
    # Whoever is in already learns as little as whoever is not.
    for who in (there.dora, there.cy):
        refused = await used(who, secret)
        assert (refused.status, refused.code, refused.body["detail"]) == (
            410, "link_invalid", ENDED,
        )  # fmt: skip
        event = there.house.audit.events[-1]
        assert (event.action, event.actor) == ("acceptRoomInvite", f"account:{who.name}")
        assert (event.target, event.result, event.code) == (
            f"room:{room}", "failed", "link_invalid",
        )  # fmt: skip
        assert event.details["reason"] == reason
    assert (await there.dora.ask("GET", f"/rooms/{room}")).code == "room_not_found"
    assert (await used(there.eve, another)).status == 200, "what somebody else made stands"
    await is_a_moderator_again(there, room)
    assert (await used(there.dora, secret)).status == 200


async def test_where_members_invite_a_members_invitation_stands_until_only_moderators_do(
    there: Served,
) -> None:
    room = await there.room("bob", kind="private", settings={"invite": "members"})
    secret = await link(there.bob, room)
    assert (await used(there.cy, secret)).status == 200
    seen = await there.ann.ask("GET", f"/rooms/{room}")
    wish, etag = {"invite": "moderators"}, seen.headers["ETag"]
    changed = await there.ann.ask("PATCH", f"/rooms/{room}", wish, If_Match=etag)
    assert changed.status == 200, changed.body
    assert (await used(there.dora, secret)).code == "link_invalid"
    assert there.house.audit.events[-1].details["reason"] == "maker_without_right"


async def test_an_administrators_invitation_ends_with_the_role(there: Served) -> None:
    room = await there.room(kind="private")
    secret = await link(there.root, room)
    assert (await used(there.cy, secret)).status == 200
    there.house.registry.administrators.discard("root")
    assert (await used(there.dora, secret)).code == "link_invalid"
    assert there.house.audit.events[-1].details["reason"] == "maker_outside"


async def test_of_many_invitations_each_is_withdrawn_exported_and_forgotten(there: Served) -> None:
    room, doors = await there.room(kind="private"), there.house.chatting.doors
    secrets = {}
    for _ in range(102):
        made = (await there.ann.ask("POST", f"/rooms/{room}/invites", {})).body
        secrets[made["secret"]] = made["invite"]["id"]
    # The store has them by the hash of the secret.
    last = max(secrets, key=lambda secret: hashlib.sha256(secret.encode()).hexdigest())
    at = f"/rooms/{room}/invites/{secrets.pop(last)}"
    assert (await there.ann.ask("DELETE", at)).status == 204
    found = {one.id async for one in doors.made(APP, "ann", room)}
    assert found == set(secrets.values())
    assert await doors.forget_account(APP, room, "ann") == 101


async def pages(who: Person, at: str, limit: str = "") -> list[list[dict[str, Any]]]:
    """Every page of a list, by its cursors."""
    found, cursor = [], ""
    while True:
        answer = await who.ask("GET", f"{at}?{limit}{cursor}".rstrip("?"))
        assert answer.status == 200, answer.body
        found.append(answer.body["items"])
        if answer.body["next_cursor"] is None:
            return found
        cursor = f"&cursor={answer.body['next_cursor']}"


async def test_many_invitations_are_listed_in_pages_each_once(there: Served) -> None:
    room, made = await there.room(kind="private"), set()
    at = f"/rooms/{room}/invites"
    for _ in range(102):
        made.add((await there.ann.ask("POST", at, {})).body["invite"]["id"])
    for limit, sizes in (("", [50, 50, 2]), ("limit=100", [100, 2]), ("limit=51", [51, 51])):
        listed = await pages(there.ann, at, limit)
        assert [len(page) for page in listed] == sizes
        assert {one["id"] for page in listed for one in page} == made


async def test_many_requests_are_listed_in_pages_each_once(there: Served) -> None:
    room = await there.room(kind="private", settings={"join": "request"})
    at = f"/rooms/{room}/requests"
    for who in (there.bob, there.cy, there.dora):
        assert (await who.ask("POST", at, {})).status == 204
    listed = await pages(there.ann, at, "limit=2")
    assert [len(page) for page in listed] == [2, 1]
    assert {one["account"] for page in listed for one in page} == {"bob", "cy", "dora"}


@pytest.mark.parametrize("which", ["invites", "requests"])
async def test_a_wrong_limit_or_anothers_cursor_is_refused(there: Served, which: str) -> None:
    room = await there.room(kind="private")
    at = f"/rooms/{room}/{which}"
    for limit in ("0", "101", "-1", "many"):
        refused = await there.ann.ask("GET", f"{at}?limit={limit}")
        assert (refused.status, refused.code) == (422, "fields_invalid")
    for _ in range(2):
        await there.ann.ask("POST", f"/rooms/{room}/invites", {})
    theirs = (await there.ann.ask("GET", f"/rooms/{room}/invites?limit=1")).body["next_cursor"]
    for who, cursor in ((there.root, theirs), (there.ann, theirs[:-2] + "AA"), (there.ann, "x")):
        refused = await who.ask("GET", f"{at}?cursor={cursor}")
        assert (refused.status, refused.code) == (400, "cursor_invalid")
