"""Tokens: what is accepted, what is refused, and that a refusal says no more than its class."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit import api
from livekit.protocol import models
from livekit.protocol import room as room_pb

from signaling.errors import Code, Refused
from signaling.rtc.grants import VideoGrant, grant_from_claim
from signaling.rtc.tokens import ApiKeys, bearer, issue, verify
from tests.signaling.rtc.fakes import KEY, SECRET

KEYS = ApiKeys({KEY: SECRET, "other": "another-secret-of-sufficient-length-here"})
NOW = 1_800_000_000.0


def made(**changes: Any) -> str:
    payload: dict[str, Any] = {
        "iss": KEY,
        "sub": "alice",
        "nbf": NOW - 10,
        "exp": NOW + 600,
        "video": {"roomJoin": True, "room": "r"},
    }
    payload.update(changes)
    payload = {key: value for key, value in payload.items() if value is not None}
    return jwt.encode(payload, SECRET, algorithm="HS256")


def refused(token: str) -> Refused:
    with pytest.raises(Refused) as error:
        verify(KEYS, token, NOW)
    assert error.value.status == 401
    return error.value


def test_a_token_of_livekit_api_is_accepted_with_all_its_claims() -> None:
    token = (
        api.AccessToken(KEY, SECRET)
        .with_identity("alice")
        .with_name("Alice")
        .with_kind("agent")
        .with_metadata("m")
        .with_attributes({"k": "v"})
        .with_ttl(timedelta(hours=1))
        .with_room_config(room_pb.RoomConfiguration(max_participants=3))
        .with_grants(
            api.VideoGrants(
                room_join=True,
                room="r",
                can_publish=False,
                can_publish_sources=["camera", "screen_share"],
                can_update_own_metadata=True,
                hidden=True,
            )
        )
        .to_jwt()
    )
    now = jwt.decode(token, options={"verify_signature": False})["nbf"]
    claims = verify(KEYS, token, now)
    assert (claims.identity, claims.name, claims.kind) == ("alice", "Alice", "agent")
    assert claims.attributes == {"k": "v"}
    assert claims.room_config is not None
    assert claims.room_config.max_participants == 3
    video = claims.video
    assert video.room_join
    assert not video.can_publish
    assert video.can_subscribe
    assert video.can_update_own_metadata
    assert video.hidden


def test_times_have_a_minute_of_leeway() -> None:
    assert verify(KEYS, made(exp=NOW - 59), NOW).identity == "alice"
    assert verify(KEYS, made(nbf=NOW + 59), NOW).identity == "alice"
    assert refused(made(exp=NOW - 61)).code is Code.TOKEN_EXPIRED
    assert refused(made(nbf=NOW + 61)).code is Code.TOKEN_INVALID


def forged_none() -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    payload = {"iss": KEY, "sub": "alice", "exp": NOW + 600, "video": {"roomJoin": True}}
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(payload)}."


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b.c",
        forged_none(),
        jwt.encode({"iss": KEY, "exp": NOW + 600}, "wrong-secret-of-sufficient-length", "HS256"),
        jwt.encode({"iss": KEY, "exp": NOW + 600}, SECRET * 3, "HS512"),
        jwt.encode({"iss": "nobody", "exp": NOW + 600}, SECRET, "HS256"),
        jwt.encode({"iss": "other", "exp": NOW + 600}, SECRET, "HS256"),
        jwt.encode({"exp": NOW + 600}, SECRET, "HS256"),
        made(exp=None),
        made(exp="tomorrow"),
        made(exp=True),
        made(video="everything"),
        made(video={"roomJoin": "yes"}),
        made(video={"room": 5}),
        made(video={"canPublishSources": "camera"}),
        made(attributes=[1]),
        made(attributes={"a": 1}),
        made(name=7),
        made(roomConfig={"maxParticipants": "many"}),
        "A" * 70_000,
    ],
)
def test_bad_tokens_are_all_the_same_refusal(token: str) -> None:
    error = refused(token)
    assert (error.code, error.message) == (Code.TOKEN_INVALID, "invalid token")


def test_no_token_is_said_to_be_missing() -> None:
    assert refused("").code is Code.TOKEN_MISSING


def test_the_header_wins_over_the_query() -> None:
    assert bearer("Bearer abc", "xyz") == "abc"
    assert bearer(None, "xyz") == "xyz"
    with pytest.raises(Refused):
        bearer("Basic abc", "xyz")


@given(st.text(max_size=200))
def test_no_text_ever_passes_or_crashes(token: str) -> None:
    with pytest.raises(Refused):
        verify(KEYS, token, NOW)


def test_an_issued_token_says_what_was_verified() -> None:
    claims = verify(KEYS, made(name="Alice", attributes={"a": "b"}), NOW)
    again = verify(KEYS, issue(KEYS, claims, NOW, 600), NOW)
    assert (again.identity, again.name, again.video) == ("alice", "Alice", claims.video)
    assert again.expires_at == NOW + 600


@pytest.mark.parametrize(
    ("claim", "publishes", "data", "camera", "microphone"),
    [
        ({}, True, True, True, True),
        ({"canPublish": False}, False, False, False, False),
        ({"canPublish": False, "canPublishData": True}, False, True, False, False),
        ({"canPublishSources": ["camera"]}, True, True, True, False),
        ({"canPublishSources": ["nonsense"]}, True, True, False, False),
        ({"canPublish": False, "canPublishSources": ["camera"]}, False, False, False, False),
    ],
)
def test_publishing_grants(
    claim: dict[str, Any], publishes: bool, data: bool, camera: bool, microphone: bool
) -> None:
    grant = grant_from_claim(claim)
    assert grant.can_publish is publishes
    assert grant.can_publish_data is data
    assert grant.can_publish_source(models.TrackSource.CAMERA) is camera
    assert grant.can_publish_source(models.TrackSource.MICROPHONE) is microphone


def test_a_grant_survives_the_wire_both_ways() -> None:
    grant = grant_from_claim(
        {"roomJoin": True, "room": "r", "canPublish": False, "hidden": True, "roomAdmin": True}
    )
    assert grant_from_claim(grant.to_claim()) == grant
    permission = grant.to_permission()
    assert permission.hidden
    assert not permission.can_publish
    assert VideoGrant(room="r").with_permission(permission).to_permission() == permission
