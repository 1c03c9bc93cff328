"""Promise B25: PubNub's signature v2, checked against what its own library produced."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.access.signature import (
    BadQueryError,
    Signed,
    is_signed_by,
    is_timely,
    message,
    read,
    sign,
    single_use,
)

# Made with PubNub's Python library 10.8.0: publish key pub_demo, secret sec_demo.
GRANT_BODY = (
    '{"ttl": 15, "permissions": {"resources": {"channels": {"inbox \\u00e9": 3}, "groups": {}, '
    '"uuids": {"ada": 96}, "users": {"ada": 96}, "spaces": {"inbox \\u00e9": 3}}, "patterns": '
    '{"channels": {"^room-[0-9]+$": 1}, "groups": {}, "uuids": {}, "users": {}, "spaces": '
    '{"^room-[0-9]+$": 1}}, "meta": {"a": "b"}, "uuid": "ada"}}'
)
VECTORS = [
    (
        "POST",
        "/v3/pam/sub_demo/grant?pnsdk=PubNub-Python%2F10.4.0"
        "&signature=v2.aMLyC8Qgmqj5UhZ2lvXGOjPd1v61H_-4oD4k-ZWM4Lw"
        "&timestamp=1800000000&uuid=server%20*1*%20(%C3%A9)~!'",
        GRANT_BODY,
    ),
    (
        "DELETE",
        "/v3/pam/sub_demo/grant/am_abc-DEF_123?pnsdk=PubNub-Python%2F10.4.0"
        "&uuid=server%20%2A1%2A%20%28%C3%A9%29%7E%21%27&timestamp=1800000000"
        "&signature=v2.TIOeOYbzV124umG3PJg51yTXug_Q2_3kdJlMCYKg1kw",
        "",
    ),
]


@pytest.mark.parametrize(("method", "target", "body"), VECTORS, ids=["grant", "revoke"])
def test_b25_reproduces_pubnubs_signature(method: str, target: str, body: str) -> None:
    request = read(method, target, body.encode())
    assert is_signed_by(request, "pub_demo", ["sec_demo"])
    assert is_signed_by(request, "pub_demo", ["older", "sec_demo"])
    for publish, secrets in (("pub_other", ["sec_demo"]), ("pub_demo", ["sec_other"])):
        assert not is_signed_by(request, publish, secrets)
    assert not is_signed_by(request, "pub_demo", [])


@pytest.mark.parametrize(("method", "target", "body"), VECTORS, ids=["grant", "revoke"])
def test_b25_every_part_is_signed(method: str, target: str, body: str) -> None:
    changed = [
        ("PATCH", target, body),
        (method, target.replace("/v3/", "/V3/"), body),
        (method, target.replace("1800000000", "1800000001"), body),
        (method, target + "&more=1", body),
        (method, target, body + " "),
        (method, target.replace("signature=v2.", "signature=v3."), body),
        (method, target.replace("signature=v2.", "signature="), body),
        (method, target.replace("signature=", "signatur="), body),
        (method, target.replace("pnsdk", "Pnsdk"), body),
    ]
    for method_, target_, body_ in changed:
        request = read(method_, target_, body_.encode())
        assert not is_signed_by(request, "pub_demo", ["sec_demo"]), target_


def independently(method: str, path: str, query: dict[str, str], body: bytes) -> str:
    """The form as the documents have it, written without ours."""
    pairs = [
        f"{quote(k, safe='').replace('~', '%7E')}={quote(query[k], safe='').replace('~', '%7E')}"
        for k in sorted(query)
    ]
    text = f"{method}\npub\n{path}\n{'&'.join(pairs)}\n".encode() + body
    digest = hmac.new(b"secret", text, hashlib.sha256).digest()
    return "v2." + base64.urlsafe_b64encode(digest).decode().replace("=", "")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(
    query=st.dictionaries(TEXT.filter(lambda name: name != "signature"), TEXT, max_size=5),
    body=st.binary(max_size=30),
    method=st.sampled_from(["GET", "POST", "DELETE"]),
)
def test_b25_agrees_with_another_hand(query: dict[str, str], body: bytes, method: str) -> None:
    right = independently(method, "/v3/pam/x/grant", query, body)
    written = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}"
        for name, value in [*query.items(), ("signature", right)]
    )
    request = read(method, f"/v3/pam/x/grant?{written}", body)
    assert sign(request, "pub", "secret") == right
    assert is_signed_by(request, "pub", ["secret"])


@given(st.text(max_size=60), st.binary(max_size=10))
def test_any_target_is_read_or_refused(target: str, body: bytes) -> None:
    try:
        request = read("GET", target, body)
    except BadQueryError:
        return
    assert not is_signed_by(request, "pub", ["secret"])
    assert message(request, "pub")


@pytest.mark.parametrize(
    "query", ["a=1&a=2", "a=1&%61=2", "signature=x&signature=y", "a=%ff&b=1&%ff=1", "&" * 40]
)
def test_b25_ambiguous_queries_are_refused(query: str) -> None:
    with pytest.raises(BadQueryError):
        read("GET", f"/x?{query}", b"")


def test_b25_a_plus_is_a_plus() -> None:
    request = read("GET", "/x?a=1+2", b"")
    assert request.parameter("a") == "1+2"
    assert b"a=1%2B2" in message(request, "pub")


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "timely"),
    [
        ("1800000000", True),
        ("1799999940", True),
        ("1800000060", True),
        ("1799999939", False),
        ("1800000061", False),
        ("1800000000000", False),
        ("-1800000000", False),
        ("1.8e9", False),
        ("١٨٠٠٠٠٠٠٠٠", False),
        ("", False),
        ("text", False),
    ],
)
def test_b25_a_minute_either_way(text: str, timely: bool) -> None:
    request = Signed("POST", "/", (("timestamp", text.encode()),), b"", "v2.x")
    assert is_timely(request, NOW) is timely
    assert not is_timely(Signed("POST", "/", (), b"", "v2.x"), NOW)


def test_b25_what_is_used_once() -> None:
    nonce = (("nonce", b"n1"),)
    assert single_use(Signed("DELETE", "/", nonce, b"", "v2.x")) == "nonce:n1"
    assert single_use(Signed("POST", "/", nonce, b"", "v2.x")) == "nonce:n1"
    assert single_use(Signed("POST", "/", (), b"", "v2.x")) == "signature:v2.x"
    assert single_use(Signed("DELETE", "/", (), b"", "v2.x")) is None
    for bad in (b"", b"n" * 129):
        with pytest.raises(BadQueryError):
            single_use(Signed("POST", "/", (("nonce", bad),), b"", "v2.x"))
