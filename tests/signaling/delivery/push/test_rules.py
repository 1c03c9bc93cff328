"""What is decided without a socket: quiet hours, what a notification says, what a device may be."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.delivery.notify import Notice, RoomFacts
from signaling.delivery.push import checks
from signaling.delivery.push.apns import headers, payload
from signaling.delivery.push.content import MAX_TEXT, content, encode
from signaling.delivery.push.fcm import reason as fcm_reason
from signaling.delivery.push.model import Parcel, PushKind, PushSettings, Quiet, Subscription
from signaling.delivery.push.notifier import takes
from signaling.delivery.push.quiet import quiet_until, zone
from signaling.delivery.push.ways import wait_of
from signaling.delivery.push.webpush import MAX_PLAIN
from signaling.errors import ClientError
from tests.signaling.delivery.push.services import b64url


def at(text: str, where: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(where)).timestamp()


def until(settings: PushSettings, text: str, where: str) -> str | None:
    found = quiet_until(settings, at(text, where))
    return None if found is None else datetime.fromtimestamp(found, ZoneInfo(where)).isoformat()


NIGHT = Quiet(start="22:00", end="07:00")


def test_a_night_goes_over_midnight_by_the_persons_own_clock() -> None:
    wish = PushSettings(time_zone="Asia/Kolkata", quiet=NIGHT)
    assert until(wish, "2026-11-20T21:59", "Asia/Kolkata") is None
    assert until(wish, "2026-11-20T22:00", "Asia/Kolkata") == "2026-11-21T07:00:00+05:30"
    assert until(wish, "2026-11-21T06:59", "Asia/Kolkata") == "2026-11-21T07:00:00+05:30"
    assert until(wish, "2026-11-21T07:00", "Asia/Kolkata") is None
    assert until(wish, "2026-11-20T10:00", "UTC") is None
    assert until(wish, "2026-11-20T18:00", "UTC") == "2026-11-21T01:30:00+00:00"


def test_days_are_those_on_which_it_begins() -> None:
    friday = Quiet(start="22:00", end="10:00", days=(4,))
    wish = PushSettings(time_zone="Europe/Berlin", quiet=friday)
    assert until(wish, "2026-11-20T23:00", "Europe/Berlin") is not None  # a Friday
    assert until(wish, "2026-11-21T09:00", "Europe/Berlin") is not None
    assert until(wish, "2026-11-21T23:00", "Europe/Berlin") is None
    assert until(wish, "2026-11-20T09:00", "Europe/Berlin") is None


def test_one_time_for_both_is_the_whole_day() -> None:
    wish = PushSettings(quiet=Quiet(start="08:00", end="08:00"))
    assert until(wish, "2026-11-20T07:59", "UTC") == "2026-11-20T08:00:00+00:00"
    assert until(wish, "2026-11-20T08:00", "UTC") == "2026-11-21T08:00:00+00:00"


@pytest.mark.parametrize("day", ["2026-03-28", "2026-10-24"])
def test_a_night_in_which_clocks_change_still_ends_at_seven(day: str) -> None:
    wish = PushSettings(time_zone="Europe/Berlin", quiet=NIGHT)
    found = until(wish, f"{day}T23:30", "Europe/Berlin")
    assert found is not None
    assert found[11:16] == "07:00"


def test_no_quiet_hours_and_no_such_zone() -> None:
    assert quiet_until(PushSettings(), 1_800_000_000.0) is None
    assert zone("Mars/Olympus") is None
    assert zone("../../etc/passwd") is None
    assert zone("") is None


# What it says

PREVIEW = RoomFacts(name="Tea", open=True, preview=True)
SECRET = "the canary sings at noon"
NOTICE = Notice(kind="mention", room="r1", sender="ann", preview=SECRET, id="m1", seq=7, emoji="🐤")


@pytest.mark.parametrize(
    ("facts", "wished"),
    [
        (RoomFacts(name="Tea"), True),  # e2ee and phi
        (RoomFacts(name="Tea", preview=True), True),
        (RoomFacts(name="Tea", open=True), True),  # the room does not allow it
        (PREVIEW, False),  # its recipient does not want it
        (RoomFacts(name="Tea", transient=True, preview=True), True),
        (RoomFacts(name="Tea", open=True, transient=True, preview=True), True),
    ],
)
def test_nothing_that_was_written_is_in_it(facts: RoomFacts, wished: bool) -> None:
    said = encode(content(NOTICE, facts, "tag", wished=wished, name="Ann Canary")).decode()
    for word in (SECRET, "Ann Canary", "Tea", "🐤"):
        assert word not in said


def test_a_preview_where_room_and_recipient_allow_it() -> None:
    said = content(NOTICE, PREVIEW, "tag", wished=True, name="Ann")
    assert (said.text, said.sender_name, said.room_name) == (SECRET, "Ann", "Tea")
    assert (said.room, said.id, said.seq, said.kind) == ("r1", "m1", 7, "mention")


def test_a_transient_room_says_that_there_is_something_and_a_ring_which() -> None:
    facts = RoomFacts(transient=True)
    said = msgspec.to_builtins(content(NOTICE, facts, "tag", wished=True))
    assert said == {"kind": "wake", "tag": "tag"}
    ring = Notice(
        kind="call", room="r1", sender="ann", collapse="c1", ttl_s=30, call="c1", reject="no-1"
    )
    said = msgspec.to_builtins(content(ring, facts, "tag", wished=True, expires=1030.0))
    assert said == {
        "kind": "call",
        "tag": "tag",
        "room": "r1",
        "expires_at": 1030,
        "call": "c1",
        "reject": "no-1",
    }


@given(st.text(max_size=20_000), st.text(max_size=500))
@settings(max_examples=50, deadline=None)
def test_whatever_was_written_fits(text: str, name: str) -> None:
    notice = msgspec.structs.replace(NOTICE, preview=text)
    facts = msgspec.structs.replace(PREVIEW, name=name)
    said = content(notice, facts, "t" * 32, wished=True, name=name)
    assert len(said.text) <= MAX_TEXT
    assert len(encode(said)) <= MAX_PLAIN


# What a device may be

POINT = b64url(
    bytes.fromhex(
        "04"
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    )
)


def test_good_keys_are_taken_padded_or_not() -> None:
    assert len(checks.point(POINT)) == len(checks.point(POINT + "=")) == 65
    assert checks.auth("BTBZMqHH6r4Tts7J_aSIgg==") == checks.auth("BTBZMqHH6r4Tts7J_aSIgg")


@pytest.mark.parametrize(
    "text",
    ["", "AA", POINT[:-2], POINT + "AAAA", "!" * 87, b64url(b"\x04" + bytes(64)),
     b64url(b"\x02" + bytes(64)), b64url(b"\x04" + b"\x01" * 64), POINT.replace("B", "é", 1)],
)  # fmt: skip
def test_what_is_no_point_of_the_curve_is_refused(text: str) -> None:
    with pytest.raises(ClientError) as caught:
        checks.point(text)
    assert caught.value.status == 422
    assert caught.value.errors[0].pointer == "/p256dh"


@pytest.mark.parametrize("text", ["", "AAAA", b64url(bytes(15)), b64url(bytes(17)), "not base64!"])
def test_an_auth_of_another_length_is_refused(text: str) -> None:
    with pytest.raises(ClientError):
        checks.auth(text)


@pytest.mark.parametrize(
    "text",
    ["", "ftp://push.example/x", "push.example/x", "https://", "https://a:b@push.example/",
     "https://push.example/#x", "https://push.example:99999/", "https://push.example/\u00fc",
     "https://push.example/a b", "https://[::1/", "javascript:alert(1)"],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ClientError):
        checks.endpoint(text)


@pytest.mark.parametrize(
    ("kind", "text", "good"),
    [
        (PushKind.APNS, "ab" * 32, True), (PushKind.APNS, "AB" * 40, True),
        (PushKind.APNS, "ab" * 31, False),
        (PushKind.APNS, "ab" * 32 + "a", False), (PushKind.APNS, "../" + "ab" * 32, False),
        (PushKind.FCM, "dGVzdA:APA91b" + "x" * 120, True), (PushKind.FCM, "short", False),
        (PushKind.FCM, "x" * 30 + "/../", False), (PushKind.FCM, "x" * 4097, False),
    ],
)  # fmt: skip
def test_tokens(kind: PushKind, text: str, good: bool) -> None:
    if good:
        assert checks.token(kind, text)
    else:
        with pytest.raises(ClientError):
            checks.token(kind, text)


# How it travels


def device(kind: PushKind = PushKind.APNS, **more: object) -> Subscription:
    return Subscription(
        id="s1", account="bob", session="x", device="phone", kind=kind, created=0.0,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def parcel(kind: str, **more: object) -> Parcel:
    wish = {"account": "bob", "kind": kind, "content": "{}", "urgency": "normal", "tag": "t" * 32}
    return msgspec.convert({**wish, **more}, Parcel)


def test_what_takes_something_away_shows_nothing_and_is_not_urgent() -> None:
    for kind in ("read", "deleted", "over"):
        made = parcel(kind, urgency="high")
        assert payload(device(), made)["aps"] == {"content-available": 1}
        fields = headers(device(), made, "x", "org.example", 99)
        assert (fields["apns-push-type"], fields["apns-priority"]) == ("background", "5")


def test_an_alert_without_a_preview_has_words_of_the_app_only() -> None:
    aps = payload(device(), parcel("message"))["aps"]
    assert aps["alert"] == {"loc-key": "sotto.message"}
    shown = payload(device(), parcel("message", title="Tea", text="hello"))["aps"]["alert"]
    assert shown == {"title": "Tea", "body": "hello"}


def test_a_ring_goes_to_the_token_that_rings() -> None:
    plain, voip = device(), device(voip=True)
    other = msgspec.structs.replace(device(), device="tablet")
    mine = [plain, voip, other]
    assert [takes(one, "call", mine) for one in mine] == [False, True, True]
    assert [takes(one, "message", mine) for one in mine] == [True, False, True]
    assert takes(plain, "call", [plain])
    loud = device(PushKind.WEB_PUSH, withdrawals=False)
    assert not takes(loud, "read", [loud])
    assert takes(loud, "message", [loud])
    fields = headers(voip, parcel("call", urgency="high"), "x", "org.example", 99)
    assert (fields["apns-topic"], fields["apns-priority"]) == ("org.example.voip", "10")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("", 0.0), ("soon", 0.0), ("-5", 0.0), ("999999999", 3600.0), ("٣", 0.0),
     ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0), ("Fri, 15 Jan 2021 08:01:00 GMT", 0.0)],
)  # fmt: skip
def test_retry_after_in_both_forms(text: str, seconds: float) -> None:
    assert wait_of({"retry-after": text}, 1_800_000_000.0) == seconds


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"\xff", b'{"error": 5}', b'{"error":{"details":5}}',
     b'{"error":{"status":{"a":1}}}'],
)  # fmt: skip
def test_a_hostile_answer_has_no_reason(body: bytes) -> None:
    assert fcm_reason(body) == ""
