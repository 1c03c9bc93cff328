"""Requests that are not what an operation takes: each has a documented 4xx and names the fault."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.errors import ClientError
from signaling.http.api import Auth, Operation, decode
from signaling.http.api.operation import refuses_unknown
from tests.signaling.http.api.shop import NewThing, Open, Shop, Thing, Token


class Lax(msgspec.Struct):
    name: str


class Nested(msgspec.Struct, forbid_unknown_fields=True):
    inner: list[Lax]


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b"\xff\xfe", 400, None),
        (b'{"name":"\xff"}', 400, None),
        (b'{"name":"\\ud800"}', 400, None),
        (b'{"name":NaN}', 400, None),
        (b"[" * 5000, 400, None),
        (b'{"extra":' + b'{"a":' * 40 + b"1" + b"}" * 41, 400, None),
        (b'{"name":"a"} {}', 400, None),
        (b"[]", 422, ""),
        (b"{}", 422, "/name"),
        (b'{"name":""}', 422, "/name"),
        (b'{"name":{"$gt":""}}', 422, "/name"),
        (b'{"name":"a","price":-1}', 422, "/price"),
        (b'{"name":"a","price":"1"}', 422, "/price"),
        (b'{"name":"a","price":1e400}', 422, "/price"),
        (b'{"name":"a","tags":["x",1]}', 422, "/tags/1"),
        (b'{"name":"a","role":"owner"}', 422, "/role"),
        (b'{"name":"a","__proto__":{}}', 422, "/__proto__"),
        (b'{"name":"a","extra":{"__proto__":{"admin":true}}}', 422, "/__proto__"),
        (b'{"name":"a","extra":{"constructor":1}}', 422, "/constructor"),
        (b'{"name":"a","extra":{"$where":"1"}}', 422, "/$where"),
        (b'{"name":"a","name":"b"}', 422, "/name"),
        (b'{"name":"a","extra":{"x":1,"x":2}}', 422, "/x"),
        (b'{"name":"' + b"a" * 70_000 + b'"}', 413, None),
    ],
)
async def test_a_bad_body_is_a_problem(
    shop: Open, body: bytes, status: int, pointer: str | None
) -> None:
    got, problem, headers = await shop.ask("POST", "/things", data=body, headers=JSON)
    assert got == status, problem
    assert headers["Content-Type"].startswith("application/problem+json")
    assert problem["status"] == status
    assert problem["type"] == f"/problems/{problem['code']}"
    assert problem["request_id"] == headers["X-Request-Id"]
    if pointer is not None:
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert not shop.shop.things


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("below=1&below=2", 400, "parameter_duplicated"),
        ("below[]=1", 422, "fields_invalid"),
        ("below[$gt]=1", 422, "fields_invalid"),
        ("below=0", 422, "fields_invalid"),
        ("below=x", 422, "fields_invalid"),
        ("below=%ff", 400, "bad_request"),
        ("other=1", 422, "fields_invalid"),
        ("access_token=x", 422, "fields_invalid"),
        ("limit=0", 422, "fields_invalid"),
        ("limit=101", 422, "fields_invalid"),
        ("limit=-1", 422, "fields_invalid"),
        ("limit=1.5", 422, "fields_invalid"),
        ("limit=%D9%A1", 422, "fields_invalid"),
        ("cursor=", 400, "cursor_invalid"),
        ("cursor=AAAA", 400, "cursor_invalid"),
        ("cursor=%00", 400, "cursor_invalid"),
        ("&".join(f"p{n}=1" for n in range(70)), 400, "bad_request"),
    ],
)
async def test_a_bad_query_is_a_problem(shop: Open, query: str, status: int, code: str) -> None:
    got, problem, _ = await shop.ask("GET", f"/things?{query}")
    assert (got, problem["code"]) == (status, code), problem


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/json; charset=utf-16", "application/octet-stream", ""],
)  # fmt: skip
async def test_other_content_types_are_refused(shop: Open, kind: str) -> None:
    got, problem, _ = await shop.ask(
        "POST", "/things", data=b'{"name":"a"}', headers={"Content-Type": kind}
    )
    assert (got, problem["code"]) == (415, "unsupported_media_type")


async def test_a_compressed_body_is_refused(shop: Open) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    got, problem, _ = await shop.ask("POST", "/things", data=b"\x1f\x8b", headers=headers)
    assert got in (400, 415), problem


async def test_a_body_where_none_is_taken_is_refused(shop: Open) -> None:
    got, problem, _ = await shop.ask("POST", "/admin", "root", data=b"x" * 10)
    assert got == 403
    shop.shop.proved = shop.shop.clock.unix()
    got, problem, _ = await shop.ask("POST", "/admin", "root", data=b"x" * 10)
    assert (got, problem["code"]) == (400, "bad_request")
    got, _, _ = await shop.ask("POST", "/admin", "root", data=b"{}")
    assert got == 204


@pytest.mark.parametrize("path", ["/things/%ff", "/things/%00", "/things/a%0d%0ab"])
async def test_a_path_that_is_no_text_is_refused(shop: Open, path: str) -> None:
    from yarl import URL

    url = URL(shop.base + "/api/v1" + path, encoded=True)
    async with shop.client.get(url) as answer:
        assert answer.status == 400
        assert (await answer.json(content_type=None))["code"] == "bad_request"


async def test_another_method_is_named(shop: Open) -> None:
    got, problem, headers = await shop.ask("DELETE", "/things")
    assert (got, problem["code"]) == (405, "method_not_allowed")
    assert headers["Allow"] == "GET, HEAD, POST"
    got, _, _ = await shop.ask("TRACE", "/things")
    assert got == 405


async def test_a_form_takes_each_parameter_once(shop: Open) -> None:
    async def post(data: bytes, kind: str = "application/x-www-form-urlencoded") -> tuple[int, str]:
        got, body, headers = await shop.ask(
            "POST", "/oauth/token", "", data=data, headers={"Content-Type": kind}
        )
        assert headers["Content-Type"].startswith("application/json")
        return got, body.get("error", body["code"])

    assert await post(b"grant_type=x") == (400, "unsupported_grant_type")
    assert await post(b"grant_type=x&grant_type=y") == (400, "parameter_duplicated")
    assert await post(b"grant_type=x&scope=y") == (422, "fields_invalid")
    assert await post(b"code=x") == (422, "fields_invalid")
    assert await post(b"grant_type=%ff") == (400, "bad_request")
    assert await post(b"\xff") == (400, "bad_request")
    assert await post(b"{}", "application/json") == (415, "unsupported_media_type")


async def test_the_refusal_of_a_field_repeats_no_control_characters(shop: Open) -> None:
    body = json.dumps({"name": "a", "x\n\u202e/~": 1}).encode()
    _, problem, _ = await shop.ask("POST", "/things", data=body, headers=JSON)
    assert problem["errors"][0]["pointer"] == "/x??~1~0"


async def test_our_own_errors_tell_nothing(shop: Open, caplog: pytest.LogCaptureFixture) -> None:
    got, problem, headers = await shop.ask("POST", "/fail")
    assert (got, problem["code"]) == (500, "internal")
    assert "4711" not in json.dumps(problem)
    assert headers["X-Request-Id"] in caplog.text
    got, problem, headers = await shop.ask("GET", "/away")
    assert (got, headers["Retry-After"]) == (503, "7")


def test_a_body_must_refuse_what_it_does_not_know() -> None:
    assert refuses_unknown(NewThing)
    assert not refuses_unknown(Lax)
    assert not refuses_unknown(Nested)
    with pytest.raises(ValueError, match="takes fields that it does not know"):
        Operation("POST", "/x", "x", "X", Shop().nothing, Lax)
    with pytest.raises(ValueError, match="none is named"):
        Operation("POST", "/x", "x", "X", Shop().nothing, auth=Auth.ROLE)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_refusal(data: bytes) -> None:
    for read in (
        lambda: decode.json_body(data, NewThing),
        lambda: decode.json_body(data, Thing),
        lambda: decode.form_body(data, Token),
        lambda: decode.query(data.decode("latin-1"), None),
        lambda: decode.check_path("/" + data.decode("latin-1")),
    ):
        try:
            read()
        except ClientError as error:
            assert 400 <= error.status < 500


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_any_json_is_taken_or_refused(value: object) -> None:
    data = json.dumps({"name": "a", "extra": {"x": value}}).encode()
    try:
        assert decode.json_body(data, NewThing).name == "a"
    except ClientError as error:
        assert error.status in (400, 422)
