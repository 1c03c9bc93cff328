"""B11: calls of every kind at a server that was started separately, and a record for each."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from livekit.protocol import models, rtc

from signaling.rtc.grants import VideoGrant
from signaling.rtc.tokens import ApiKeys, Claims, issue
from signaling.secret import Secret
from tests.signaling.compliance.test_commands import server


def token(**grant: Any) -> str:
    video = VideoGrant(room="hall", room_join=True, **grant)
    claims = Claims(key="devkey", identity="ada", video=video, has_video=True)
    return issue(ApiKeys({"devkey": Secret("secret")}), claims, time.time(), 300)


def ask(url: str, method: str = "GET", bearer: str = "", kind: str = "application/json") -> int:
    headers = {"Content-Type": kind, **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
    data = b"{}" if method == "POST" else None
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


async def attend(url: str, bearer: str) -> None:
    """Joins, is refused a track, leaves."""
    query = {"access_token": bearer, "protocol": "15", "sdk": "js", "version": "2.0.0"}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}rtc", params=query) as socket,
    ):
        await socket.receive_bytes()
        add = rtc.AddTrackRequest(cid="c", name="t", source=models.TrackSource.CAMERA)
        await socket.send_bytes(rtc.SignalRequest(add_track=add).SerializeToString())
        await socket.send_bytes(rtc.SignalRequest(ping=1).SerializeToString())
        await socket.send_bytes(rtc.SignalRequest(leave=rtc.LeaveRequest()).SerializeToString())
        async for _ in socket:
            pass


def records(path: Path) -> list[dict[str, Any]]:
    """A line that is being written has no end yet."""
    data = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


EXPECTED = {
    ("listAuditRecords", "denied", "anonymous"): 1,
    ("listKeys", "denied", "anonymous"): 1,
    ("rtc.validate", "denied", "anonymous"): 1,
    ("rtc.validate", "allowed", "participant:ada"): 1,
    ("twirp.RoomService.ListRooms", "denied", "anonymous"): 1,
    ("twirp.RoomService.ListRooms", "allowed", "key:devkey"): 1,
    ("twirp.Egress.StartEgress", "failed", "anonymous"): 1,
    ("whip.publish", "denied", "anonymous"): 1,
    ("rtc.connect", "allowed", "participant:ada"): 1,
    ("call.room_started", "allowed", "system:calls"): 1,
    ("rtc.add_track", "denied", "participant:ada"): 1,
    ("rtc.leave", "allowed", "participant:ada"): 1,
    ("call.participant_connection_aborted", "allowed", "participant:ada"): 1,
}


def counted(path: Path) -> Counter[tuple[str, str, str]]:
    return Counter((r["action"], r["result"], r["actor"]) for r in records(path))


# The development key is short on purpose, and known to everybody.
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_b11_every_kind_of_call_leaves_its_record(tmp_path: Path) -> None:
    copy = tmp_path / "copy.ndjson"
    guest = token(publish=False)
    admin = token(room_admin=True, room_list=True, room_create=True)
    with server(tmp_path, "--set", f"audit_file.path={copy}") as facts:
        http = facts["http_url"]
        assert ask(f"{http}api/v1/audit") == 401
        assert ask(f"{http}api/v1/keys") == 401
        assert ask(f"{http}rtc/validate") == 401
        assert ask(f"{http}rtc/validate?access_token={guest}") == 200
        rooms = f"{http}twirp/livekit.RoomService"
        assert ask(f"{rooms}/ListRooms", "POST") == 401
        assert ask(f"{rooms}/ListRooms", "POST", admin) == 200
        assert ask(f"{http}twirp/livekit.Egress/StartEgress", "POST", admin) == 501
        assert ask(f"{http}whip/hall", "POST", kind="application/sdp") == 401
        asyncio.run(attend(http.replace("http", "ws", 1), guest))
        end = time.monotonic() + 120
        while not EXPECTED.keys() <= counted(copy).keys():
            assert time.monotonic() < end, EXPECTED.keys() - counted(copy).keys()
            time.sleep(0.1)
    found = counted(copy)
    assert {key: found[key] for key in EXPECTED} == EXPECTED
    text = copy.read_text()
    assert guest not in text and admin not in text and guest.split(".")[2] not in text
    connected = next(r for r in records(copy) if r["action"] == "rtc.connect")
    assert connected["address"] == "127.0.0.0/24" and len(connected["token_id"]) == 32
    assert not [r for r in records(copy) if r["action"] == "rtc.ping"]
