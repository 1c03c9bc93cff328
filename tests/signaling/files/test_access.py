"""Rows 1.D for files: send needs write, list and fetch read, delete delete; each both ways."""

from __future__ import annotations

import pytest

from signaling.access.evaluate import Ask, Granted
from signaling.access.grant import Grant, Permissions
from signaling.access.permissions import DELETE, GET, JOIN, MANAGE, READ, UPDATE, WRITE
from signaling.access.permissions import Operation as Act
from signaling.errors import ClientError
from signaling.files.asking import Asking
from signaling.files.service import Wish
from tests.signaling.files.rig import Person, There

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVERY = (READ, WRITE, MANAGE, DELETE, GET, UPDATE, JOIN)
OTHERS = {need: sum(bit for bit in EVERY if bit is not need) for need in (READ, WRITE, DELETE)}


def holder(there: There, mask: int, uuid: str = "device") -> Asking:
    """Whoever has an access token with these bits on the room."""
    grant = Grant(
        ttl=60,
        uuid=None,
        resources=Permissions(channels={there.room: mask}),
        patterns=Permissions(),
    )
    granted = Granted(grant, app=there.app, keyset="k", ident="t", since=2**31)
    return Asking(app=there.app, account=f"uuid:{uuid}", holder=granted, who=(uuid,))


async def code(work: object) -> str:
    with pytest.raises(ClientError) as refused:
        await work  # type: ignore[misc]
    return f"{refused.value.status} {refused.value.code}"


async def test_sending_needs_write(there: There) -> None:
    wish = Wish(room=there.room, size=1)
    made = await there.files.create(holder(there, int(WRITE)), wish)
    assert made.state == "uploading"
    assert await code(there.files.create(holder(there, OTHERS[WRITE]), wish)) == "403 access_denied"
    other = Wish(room="another room", size=1)
    assert await code(there.files.create(holder(there, int(WRITE)), other)) == "403 access_denied"


async def test_listing_and_fetching_need_read(there: There) -> None:
    info = await there.ana.send(b"x", "a.bin")
    await there.post(info["id"], "access")
    may, may_not = holder(there, int(READ)), holder(there, OTHERS[READ])
    listed, _ = await there.files.of_room(may, there.room, "", 10)
    assert info["id"] in [one.id for one in listed]
    assert await code(there.files.of_room(may_not, there.room, "", 10)) == "403 access_denied"
    assert await there.files.may(may, info["id"])
    assert not await there.files.may(may_not, info["id"])
    assert await code(there.files.info(may_not, info["id"])) == "404 not_found"
    assert await code(there.files.info(may_not, "no-such-file")) == "404 not_found"


async def test_deleting_needs_delete(there: There) -> None:
    info = await there.ana.send(b"x", "a.bin")
    await there.post(info["id"], "access2")
    for mask, said in ((OTHERS[DELETE], "403 access_denied"), (int(WRITE), "404 not_found")):
        assert await code(there.files.remove(holder(there, mask), info["id"])) == said
    await there.files.remove(holder(there, int(DELETE)), info["id"])
    assert (await there.ana.ask("GET", f"/files/{info['id']}")).status == 404


async def test_the_tables_of_both_planes_say_the_same(there: There) -> None:
    for act, scope in (
        (Act.SEND_FILE, "files:write"), (Act.LIST_FILES, "files:read"),
        (Act.DOWNLOAD_FILE, "files:read"), (Act.DELETE_FILE, "files:write"),
    ):  # fmt: skip
        assert act.scope == scope
        assert Ask(act, (there.room,)).operation is act


async def test_who_never_signed_in_gets_nothing(there: There) -> None:
    nobody = Person(there.house, "")
    info = await there.ana.send(b"x", "a.bin")
    for answer in (
        await nobody.ask("POST", "/files", {"room": there.room, "size": 1}),
        await nobody.ask("GET", f"/rooms/{there.room}/files"),
        await nobody.ask("GET", f"/files/{info['id']}"),
        await nobody.link(info["id"], key=info["key"]),
        await nobody.ask("DELETE", f"/files/{info['id']}"),
    ):
        assert (answer.status, answer.code) == (401, "token_missing")
    assert (await nobody.head(info["id"])).status == 401
