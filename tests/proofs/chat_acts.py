"""One act of every kind, continued: what people say in rooms, what they keep for themselves, files.

As `acts`, with whose `Stage` it works.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

from PIL import Image, PngImagePlugin

from signaling.chat.bodies import PADDED, TAG_BYTES
from tests.proofs.acts import Stage
from tests.rows.peer import Peer, posted

TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


@dataclass
class Talk:
    """A room of the person and the owner; `ann` is the person's token and `bob` the owner's."""

    stage: Stage
    room: str
    ann: str
    bob: str

    def new(self, what: str) -> str:
        return self.stage.new(f"chat.{what}")

    async def said(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """Below the room."""
        where = f"/rooms/{self.room}{path}"
        return await self.stage.api.must(method, where, body, token or self.ann)

    async def posts(self, **more: Any) -> str:
        return str((await self.said("POST", "/messages", more))["id"])


async def begun(stage: Stage, what: str, **more: Any) -> Talk:
    """With a canary in everything that a room is made of."""
    owner = (await stage.api.must("GET", "/account", token=stage.owner))["id"]
    wish = {
        "name": stage.new(f"chat.{what} name"), "topic": stage.new(f"chat.{what} topic"),
        "custom": {"note": stage.new(f"chat.{what} custom")}, "members": [owner], **more,
    }  # fmt: skip
    room = str((await stage.api.must("POST", "/rooms", wish, stage.person))["id"])
    return Talk(stage, room, stage.person, stage.owner)


async def chatting(stage: Stage) -> None:
    """Messages and what becomes of them, in a room of each mode; over HTTP and by sync."""
    on = await begun(stage, "room")
    first = await on.posts(text=on.new("text"), custom={"x": on.new("post custom")})
    await on.said("PATCH", f"/messages/{first}", {"text": on.new("edited")})
    await on.said("PUT", f"/messages/{first}/reactions/{on.new('reaction')}", {}, on.bob)
    await on.said("PUT", f"/messages/{first}/pin")
    reply = await on.posts(text=on.new("reply"), parent=first)
    await on.said("DELETE", f"/messages/{reply}")
    asked = {"format": "m.plain.v1", "text": on.new("poll"), "options": [on.new("option"), "No"]}
    poll = await on.posts(body=asked, kind="poll", poll={"options": 2})
    await on.said("PUT", f"/messages/{poll}/vote", {"choices": [0]}, on.bob)
    await on.posts(text=on.new("short-lived"), ttl=3600)
    await changed(on)
    await synced(on)
    answer = await stage.api.ask("GET", f"/search?q={on.new('edited')}", token=on.bob)
    assert first.encode() in answer.raw, answer.raw
    passing = await begun(stage, "transient", mode="transient")
    await passing.posts(text=passing.new("transient text"))
    sealed = await begun(stage, "sealed", mode="e2ee")
    body = await encrypted(sealed)
    await sealed.posts(body=body, custom={"x": sealed.new("sealed custom")})


async def changed(on: Talk) -> None:
    """The room is called otherwise, and says of somebody why they were removed."""
    wish = {"name": on.new("second name"), "topic": on.new("second topic")}
    answer = await on.stage.api.send(
        "PATCH", f"/api/v1/rooms/{on.room}", wish, on.ann, headers={"If-Match": "*"}
    )
    assert answer.status == 200, answer.raw
    gone = await on.stage.api.invited(on.bob, on.new("gone login"), password=on.new("password"))
    them = (await on.stage.api.must("GET", "/account", token=gone["access_token"]))["id"]
    await on.said("PUT", f"/members/{them}", {"part": "banned", "reason": on.new("ban reason")})


async def synced(on: Talk) -> None:
    """A post by the socket, as the page sends it."""
    base = on.stage.api.installation.url.replace("https", "wss", 1)
    fields = {**on.stage.api.headers, "Authorization": f"Bearer {on.ann}"}
    async with on.stage.api.session.ws_connect(
        f"{base}/sync", protocols=["sotto.1"], headers=fields
    ) as socket:
        assert (await socket.receive_json(timeout=30))["type"] == "hello"
        peer = Peer(socket)
        await peer.bind(f"room:{on.room}")
        _, salt = peer.idents[1]
        on.stage.canaries.learn("salt of a file", salt)
        await peer.upload(posted(1, on.new("synced")))
        await peer.acknowledged(1)


async def encrypted(on: Talk) -> dict[str, Any]:
    """A body as an encrypting client sends it: what is sealed there is as private here."""
    session = await on.stage.api.must("GET", "/session", token=on.ann)

    def text(what: str, size: int) -> str:
        return base64.b64encode(on.new(what).encode().ljust(size, b"\1")[:size]).decode()

    return {
        "format": "m.e2ee.v1", "account": on.stage.account, "device": session["device"],
        "group_id": text("sealed group", 24), "epoch": 1, "leaf": 0, "sent_at": 1,
        "salt": text("sealed salt", 16), "ct": text("sealed text", PADDED[0] + TAG_BYTES),
        "sig": text("sealed signature", 64),
    }  # fmt: skip


async def keeping(stage: Stage) -> None:
    """What is one's own: a draft, what was saved, hidden and blocked, a status, how far one read;
    and what waits for its time.
    """
    on, api = await begun(stage, "kept"), stage.api
    message = await on.posts(text=on.new("kept text"))
    body = {"format": "m.plain.v1", "text": on.new("draft")}
    await on.said("PUT", "/draft", {"body": body})
    await on.said("PUT", f"/messages/{message}/saved", {"note": on.new("note")})
    await on.said("PUT", f"/messages/{message}/hidden", token=on.bob)
    await on.said("PUT", "/notify", {"level": "mentions"})
    await on.said("POST", "/read", {"seq": 2}, on.bob)
    await on.said("POST", "/delivered", {"seq": 2}, on.bob)
    other = await api.invited(on.bob, on.new("blocked login"), password=on.new("password"))
    them = (await api.must("GET", "/account", token=other["access_token"]))["id"]
    await api.must("PUT", f"/blocks/{them}", None, on.ann)
    await api.must("PATCH", "/preferences", {"custom": {"x": on.new("preference")}}, on.ann)
    status = {"text": on.new("status"), "emoji": on.new("status emoji")}
    await api.must("PUT", "/presence", status, on.ann)
    later = {"at": "2099-01-01T00:00:00Z", "message": {"text": on.new("scheduled")}}
    await on.said("POST", "/scheduled", later)


async def doors(stage: Stage) -> None:
    """Invitations, one of them used; somebody who asks to be let in; a report."""
    on, api = await begun(stage, "door", settings={"join": "request"}), stage.api
    secrets = [(await on.said("POST", "/invites", {}))["secret"] for _ in range(2)]
    guests = [
        (await api.invited(on.bob, on.new(f"{name} login"), password=on.new("password")))
        for name in ("let in", "waiting")
    ]
    let_in, waiting = (one["access_token"] for one in guests)
    await api.must("POST", "/room-invites/accept", {"secret": secrets[0]}, let_in)
    await on.said("POST", "/requests", {"text": on.new("request")}, waiting)
    message = await on.posts(text=on.new("reported text"))
    report = {"reason": "spam", "text": on.new("report")}
    await on.said("POST", f"/messages/{message}/reports", report, on.bob)


async def filing(stage: Stage) -> None:
    """A text and a picture, posted and fetched; and an upload that is never finished."""
    on = await begun(stage, "files")
    text = (on.new("file content") * 5000).encode()
    for name, data in (("text", text), ("picture", picture(on.new("file metadata")))):
        info = await uploaded(on, data, on.new(f"file {name} name"))
        info = await on.stage.api.must("POST", f"/files/{info['id']}/complete", token=on.ann)
        assert info["state"] == "ready", info
        stage.canaries.learn("key of a file", info["key"])
        file = {
            "id": info["id"], "key": info["key"], "size": info["size"],
            "name": on.new(f"file {name} name"), "caption": on.new("file caption"),
        }  # fmt: skip
        await on.posts(body={"format": "m.plain.v1", "text": on.new("with file"), "files": [file]})
        link = await stage.api.must(
            "POST", f"/files/{info['id']}/links", {"key": info["key"]}, on.bob
        )
        stage.canaries.learn("link of a file", link["url"].rpartition("/")[2])
        async with stage.api.session.get(link["url"], headers=stage.api.headers) as answer:
            assert answer.status == 200 and await answer.read()
    half = await uploaded(on, text[:70_000], on.new("file half name"), size=len(text))
    assert half["state"] != "ready"


def picture(said: str) -> bytes:
    made = io.BytesIO()
    about = PngImagePlugin.PngInfo()
    about.add_text("Comment", said)
    Image.new("RGB", (640, 480), (200, 30, 60)).save(made, "PNG", pnginfo=about)
    return made.getvalue()


async def uploaded(on: Talk, data: bytes, name: str, size: int = 0) -> Any:
    wish = {"room": on.room, "size": size or len(data), "name": name}
    info = await on.stage.api.must("POST", "/files", wish, on.ann)
    on.stage.canaries.learn("key of a file", info["key"])
    answer = await on.stage.api.send(
        "PATCH", f"/api/v1/uploads/{info['id']}", token=on.ann, data=data,
        headers={**TUS, "Upload-Offset": "0"},
    )  # fmt: skip
    assert answer.status == 204, answer.raw
    return info
