"""A whole call, its log at the most talkative level: no address, token, name or text is in it."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

from tests.interop import clients, scenario
from tests.interop.peer import running
from tests.interop.servers import Place, serving

ROOM = "Kranichzug"
NAMES = ("Ottilie", "Balduin")
TEXT = "Das-bleibt-unter-uns"
ADDRESS = re.compile(
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])|\b(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]"
)


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def test_a_whole_call_leaves_nothing_private_in_the_log(tmp_path: Path) -> None:
    flags = ("--set=log.format=json", "--set=log.level=debug")
    issued: list[str] = []
    with serving(tmp_path / "server", Place(extra=flags), "sotto") as server:
        starting = [clients.start("libwebrtc", tmp_path, name=name) for name in NAMES]
        async with running(*starting) as (one, two):
            await scenario.join_all(server, ROOM, (one, two))
            await one.do("publish", kind="audio")
            await one.do("publish", kind="video")
            await scenario.hears_and_sees(two, within=60)
            await one.do("send", data=TEXT, topic="chat")
            await two.until(lambda s: any(i["data"] == TEXT for i in s["inbox"]), 30, "the text")
        wish = json.dumps({"room": ROOM, "name": NAMES[0]}).encode()
        _, made = ask(f"{server.http}/api/join", wish, **{"Content-Type": "application/json"})
        token = json.loads(made)["token"]
        issued += [token, server.token(ROOM, NAMES[1]), server.token("other", "eve")]
        for bad in (issued[2], token[:-4], "nonsense"):
            ask(f"{server.http}/rtc/validate?access_token={bad}")
            ask(
                f"{server.http}/whip/{ROOM}",
                b"v=0\r\no=- 1 1 IN IP4 192.0.2.77\r\n",
                **{"Content-Type": "application/sdp", "Authorization": f"Bearer {bad}"},
            )
        ask(
            f"{server.http}/whip/{ROOM}",
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.77\r\n" + TEXT.encode(),
            **{"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"},
        )
    lines = [line for line in server.log().splitlines() if line.startswith("{")]
    assert len(lines) > 5, server.log()[-2000:]
    log = "\n".join(lines)
    for private in (ROOM, *NAMES, TEXT, *issued, *(part for t in issued for part in t.split("."))):
        assert private not in log, next(line for line in lines if private in line)
    assert not [line for line in lines if ADDRESS.search(line)]
    bound = [json.loads(line) for line in lines if "participant" in line]
    assert any(b["participant"].startswith("PA_") and b["call"].startswith("RM_") for b in bound)
    assert "traceback" not in log
