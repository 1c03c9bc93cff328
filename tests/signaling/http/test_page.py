"""The page: its files, its headers, what is said without it, and the token for guests."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest
from multidict import CIMultiDict
from yarl import URL

from signaling.http.middleware import client_address, page_policy, parse_networks
from tests.signaling.house import KEY, SECRET, Running, serving

HTML = {"Accept": "text/html"}


def build(house: Running) -> Path:
    root = house.state / "client"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<!doctype html><title>page</title>")
    (root / "assets" / "main-abc.js").write_text("export {}")
    (root / "favicon.svg").write_text("<svg/>")
    (house.state / "secret.txt").write_text("secret")
    (root / "link.txt").symlink_to(house.state / "secret.txt")
    return root


async def test_without_a_build_it_says_what_to_do(house: Running) -> None:
    async with house.client.get(house.https + "/", headers=HTML) as answer:
        assert answer.status == 503
        assert "npm run build" in await answer.text()


async def test_the_page_and_its_files(house: Running) -> None:
    build(house)
    for path in ("/", "/room/somewhere"):
        async with house.client.get(house.https + path, headers=HTML) as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "no-cache"
            assert "page" in await answer.text()
    async with house.client.get(house.http + "/assets/main-abc.js") as answer:
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.content_type in ("text/javascript", "application/javascript")
    async with house.client.get(house.http + "/favicon.svg") as answer:
        assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/gone.js",
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/link.txt",
        "/a%00b",
        "//etc/passwd",
        "/assets",
    ],
)
async def test_nothing_else_is_served(house: Running, path: str) -> None:
    build(house)
    url = URL(house.http + path, encoded=True)
    async with house.client.get(url) as answer:
        assert answer.status in (400, 404)
        assert "secret" not in await answer.text()


async def test_the_page_has_a_strict_policy(house: Running) -> None:
    build(house)
    async with house.client.get(house.https + "/", headers=HTML) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        host = house.https.removeprefix("https://")
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";") if part.strip())
        mine, files = f"wss://{host}", directives["media-src"].split()[-1]
        assert files.startswith("https://localhost:") and files != house.https
        assert directives["connect-src"].split() == ["'self'", mine, files]
        assert "frame-ancestors 'none'" in policy
        assert "camera=(self)" in answer.headers["Permissions-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Strict-Transport-Security" not in answer.headers


async def test_production_asks_for_https_ever_after(tmp_path: Path) -> None:
    async with serving(tmp_path, development=False) as house:
        async with house.client.get(house.https + "/", headers=HTML) as answer:
            held = answer.headers["Strict-Transport-Security"]
            assert held == "max-age=31536000; includeSubDomains"
        async with house.client.get(house.http + "/", headers=HTML) as answer:
            assert "Strict-Transport-Security" not in answer.headers


async def test_behind_a_proxy_the_public_url_decides(tmp_path: Path) -> None:
    flags = {"http.public_url": "https://meet.example"}
    async with serving(tmp_path, flags, development=False) as house:
        async with house.client.get(house.http + "/", headers=HTML) as answer:
            assert "wss://127.0.0.1" in answer.headers["Content-Security-Policy"]
            assert "Strict-Transport-Security" in answer.headers
        wish = {"room": "a", "name": "b"}
        async with house.client.post(house.http + "/api/join", json=wish) as answer:
            assert (await answer.json())["url"] == "wss://meet.example"


@pytest.mark.parametrize("host", ["a;script-src *", "a b", "x'", "a\r\nb", ""])
def test_a_strange_host_does_not_enter_the_policy(host: str) -> None:
    assert "connect-src 'self';" in page_policy(host, True)["Content-Security-Policy"]


async def test_a_guest_gets_a_token_for_one_room(house: Running) -> None:
    wish = {"room": " stand-up ", "name": "Ann"}
    async with house.client.post(house.http + "/api/join", json=wish) as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
        made = await answer.json()
    assert made["url"] == house.http.replace("http", "ws", 1)
    claims = jwt.decode(made["token"], SECRET, algorithms=["HS256"])
    assert claims["iss"] == KEY
    assert claims["sub"] == made["identity"]
    assert claims["name"] == "Ann"
    assert claims["video"]["room"] == "stand-up"
    assert claims["video"]["roomJoin"] is True
    assert "roomAdmin" not in claims["video"]
    assert claims["exp"] - claims["nbf"] == 600
    async with house.client.post(house.https + "/api/join", json=wish) as answer:
        assert (await answer.json())["url"] == house.https.replace("http", "ws", 1)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"[]", 422),
        (b'{"room":"a"}', 422),
        (b'{"room":"","name":"a"}', 422),
        (b'{"room":"  ","name":"a"}', 422),
        (b'{"room":"a","name":"a\\u0000"}', 422),
        (b'{"room":"a\\nb","name":"a"}', 422),
        (b'{"room":{"$gt":""},"name":"a"}', 422),
        (b'{"room":"' + b"a" * 129 + b'","name":"a"}', 422),
        (b'{"room":"a","name":"' + b"a" * 400_000 + b'"}', 413),
        (b"[" * 50_000, 400),
        (b'{"room":"a","name":"a","more":1}', 422),
        (b'{"room":"a","name":"a","name":"b"}', 422),
    ],
)
async def test_a_bad_wish_is_a_problem(house: Running, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    async with house.client.post(house.http + "/api/join", data=body, headers=headers) as answer:
        assert answer.status == status
        assert answer.content_type == "application/problem+json"
        assert (await answer.json(content_type=None))["status"] == status


async def test_other_media_types_are_refused(house: Running) -> None:
    async with house.client.post(house.http + "/api/join", data=b"{}") as answer:
        assert answer.status == 415


async def test_guests_are_off_in_production_unless_asked_for(tmp_path: Path) -> None:
    async with serving(tmp_path, {"calls.guest_join": "false"}) as house:
        wish = {"room": "a", "name": "b"}
        async with house.client.post(house.http + "/api/join", json=wish) as answer:
            assert answer.status == 403
            assert (await answer.json(content_type=None))["code"] == "not_permitted"


async def test_an_unknown_api_is_a_problem_not_a_page(house: Running) -> None:
    build(house)
    for method in ("GET", "POST", "DELETE"):
        async with house.client.request(method, house.http + "/api/other", headers=HTML) as answer:
            assert answer.status == 404
            assert answer.content_type == "application/problem+json"


async def test_livekit_paths_answer_any_origin(house: Running) -> None:
    for path in ("/rtc/validate", "/rtc/v1/validate", "/twirp/livekit.RoomService/ListRooms"):
        async with house.client.get(house.http + path) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
        headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
        async with house.client.options(house.http + path, headers=headers) as answer:
            assert answer.status == 204
            assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    async with house.client.get(house.http + "/api/join") as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers


class Asked:
    """As much of a request as counting by address reads."""

    def __init__(self, remote: str, *forwarded: str) -> None:
        self.remote = remote
        self.headers = CIMultiDict([("X-Forwarded-For", f) for f in forwarded])


@pytest.mark.parametrize(
    ("remote", "forwarded", "found"),
    [
        ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.5, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1", "10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
    ],
)
def test_only_proxies_say_who_asks(remote: str, forwarded: list[str], found: str) -> None:
    asked = Asked(remote, *forwarded)
    assert client_address(asked, parse_networks(["10.0.0.0/8"])) == found  # type: ignore[arg-type]
