"""DataPackets and data tracks between participants: who gets what, signed by whom, how often."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from livekit.protocol import models, rtc

from mediaserver.api import Channel, Code, Mode, Unavailable
from signaling.rtc.limits import RtcLimits, RtcSettings
from tests.signaling.rtc.fakes import Client, World, claims, grant

Packet = models.DataPacket


def send(client: Client, channel: Channel = Channel.RELIABLE, **fields: Any) -> None:
    client.media.listener.on_data(channel, Packet(**fields).SerializeToString())


def user(text: str, **fields: Any) -> models.UserPacket:
    return models.UserPacket(payload=text.encode(), **fields)


def texts(client: Client) -> list[str]:
    return [p.user.payload.decode() for p in client.media.packets()]


def test_data_reaches_everybody_but_its_sender_signed_by_the_server() -> None:
    world = World()
    alice, bob, carol = (world.join(name) for name in ("alice", "bob", "carol"))
    send(
        alice,
        user=user("hi", participant_sid="PA_lie", participant_identity="lie", topic="t"),
        participant_identity="lie",
        participant_sid="PA_lie",
    )
    assert not alice.media.sent
    for other in (bob, carol):
        (packet,) = other.media.packets()
        assert packet.participant_identity == "alice"
        assert packet.participant_sid == alice.me.sid
        assert packet.user.participant_identity == "alice"
        assert packet.user.participant_sid == alice.me.sid
        assert packet.user.topic == "t"
        assert packet.kind == Packet.Kind.RELIABLE


def test_lossy_data_stays_lossy_whatever_it_claims() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    send(alice, Channel.LOSSY, user=user("x"), kind=Packet.Kind.RELIABLE)
    ((channel, payload),) = bob.media.sent
    assert channel is Channel.LOSSY
    assert Packet.FromString(payload).kind == Packet.Kind.LOSSY


@pytest.mark.parametrize("where", ["packet", "user", "sid"])
def test_destinations_are_honoured(where: str) -> None:
    world = World()
    alice, bob, carol = (world.join(name) for name in ("alice", "bob", "carol"))
    if where == "packet":
        send(alice, user=user("x"), destination_identities=["bob"])
    elif where == "user":
        send(alice, user=user("x", destination_identities=["bob"]))
    else:
        send(alice, user=user("x", destination_sids=[bob.me.sid]))
    assert texts(bob) == ["x"]
    assert not carol.media.sent


def test_reliable_data_is_delivered_once_whatever_is_replayed() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    for sequence in (1, 2, 2, 1, 3, 3):
        send(alice, sequence=sequence, user=user(str(sequence)))
    assert texts(bob) == ["1", "2", "3"]
    alice.lose_socket()
    again = world.resume(alice)
    assert again.last("reconnect").reconnect.last_message_seq == 3


def test_reliable_data_waits_for_a_channel_that_is_not_open_yet() -> None:
    world = World()
    alice = world.join("alice")
    bob = world.join("bob", connect=False)
    send(alice, user=user("early"))
    send(alice, Channel.LOSSY, user=user("stale"))
    assert not bob.media.sent
    bob.media.connect()
    assert texts(bob) == ["early"]


def test_early_data_is_bounded() -> None:
    world = World(RtcSettings(limits=RtcLimits(early_data_bytes=500)))
    alice = world.join("alice")
    bob = world.join("bob", connect=False)
    for _ in range(10):
        send(alice, user=user("x" * 100))
    bob.media.connect()
    assert 0 < len(bob.media.sent) < 5
    assert world.rooms.services.counters.values["data_early_dropped"] > 5


def test_without_the_grant_nothing_passes() -> None:
    world = World()
    alice = world.join("alice", claim=claims("alice", video=grant(publish_data=False)))
    bob = world.join("bob")
    send(alice, user=user("x"))
    assert not bob.media.sent
    assert world.rooms.services.counters.values["data_not_permitted"] == 1


@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b"\x12\xff\xff\xff\xff\x0f", b"x" * 200_000])
def test_malformed_and_oversized_packets_are_counted_drops(payload: bytes) -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.media.listener.on_data(Channel.RELIABLE, payload)
    assert not bob.media.sent
    send(alice, user=user("still here"))
    assert texts(bob) == ["still here"]


def test_encrypted_packets_pass_unread() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    sealed = models.EncryptedPacket(iv=b"iv", encrypted_value=b"\xff\xfe", key_index=3)
    send(alice, encrypted_packet=sealed)
    (packet,) = bob.media.packets()
    assert packet.encrypted_packet == sealed
    assert packet.participant_identity == "alice"


@pytest.mark.parametrize(
    "value",
    [
        {"chat_message": models.ChatMessage(message="m")},
        {"transcription": models.Transcription(track_id="TR_x")},
        {"rpc_request": models.RpcRequest(id="1", method="m")},
        {"rpc_ack": models.RpcAck(request_id="1")},
        {"rpc_response": models.RpcResponse(request_id="1", payload="p")},
        {"stream_header": models.DataStream.Header(stream_id="s")},
        {"stream_chunk": models.DataStream.Chunk(stream_id="s", content=b"c")},
        {"stream_trailer": models.DataStream.Trailer(stream_id="s")},
        {"sip_dtmf": models.SipDTMF(code=1)},
    ],
)
def test_every_kind_of_packet_is_relayed(value: dict[str, Any]) -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    send(alice, **value)
    (packet,) = bob.media.packets()
    assert packet.WhichOneof("value") == next(iter(value))


def test_metrics_go_to_those_who_may_have_them() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    carol = world.join("carol", claim=claims("carol", video=grant(subscribe_metrics=True)))
    alice.media.listener.on_data(
        Channel.LOSSY, Packet(metrics={"timestamp_ms": 1}).SerializeToString()
    )
    assert not bob.media.sent
    assert len(carol.media.sent) == 1


def test_agents_may_speak_for_the_participant_they_transcribe() -> None:
    world = World()
    agent = world.join("agent", claim=claims("agent", kind="agent"))
    bob = world.join("bob")
    header = models.DataStream.Header(stream_id="s", text_header=models.DataStream.TextHeader())
    send(agent, stream_header=header, participant_identity="alice")
    send(bob, stream_header=header, participant_identity="alice")
    (from_agent,) = bob.media.packets()
    (from_bob,) = agent.media.packets()
    assert from_agent.participant_identity == "alice"
    assert from_agent.stream_header.text_header.generated
    assert from_bob.participant_identity == "bob"


def test_a_hidden_sender_stays_nameless() -> None:
    world = World()
    ghost = world.join("ghost", claim=claims("ghost", video=grant(hidden=True)))
    bob = world.join("bob")
    send(ghost, user=user("boo"))
    (packet,) = bob.media.packets()
    assert packet.participant_identity == packet.user.participant_identity == ""


def test_a_receiver_that_does_not_drain_loses_data_and_delays_nobody() -> None:
    world = World()
    alice, bob, carol = (world.join(name) for name in ("alice", "bob", "carol"))
    bob.media.send_error = Unavailable(Code.CHANNEL_FULL, "full", retry=True)
    send(alice, user=user("x"))
    assert texts(carol) == ["x"]
    assert world.rooms.services.counters.values["data_reliable_dropped"] == 1


# Data tracks


def frame(handle: int, *, number: int = 1, start: bool = True, payload: bytes = b"p") -> bytes:
    return struct.pack("!BBHHHI", 0x18 if start else 0x08, 0, handle, 1, number, 0) + payload


def publish(client: Client, handle: int = 9, name: str = "geo") -> str:
    client.ask(publish_data_track_request=rtc.PublishDataTrackRequest(pub_handle=handle, name=name))
    return client.last("publish_data_track_response").publish_data_track_response.info.sid


def test_a_data_track_is_relayed_with_the_subscribers_own_handle() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    publish(alice, 8, "other")
    sid = publish(alice)
    handles = bob.last("data_track_subscriber_handles").data_track_subscriber_handles.sub_handles
    handle = next(h for h, entry in handles.items() if entry.track_sid == sid)
    alice.media.listener.on_data(Channel.DATA_TRACK, frame(9))
    ((channel, packet),) = bob.media.sent
    assert channel is Channel.DATA_TRACK
    assert packet == frame(handle)


def test_a_late_joiner_gets_handles_and_asking_again_is_answered_again() -> None:
    world = World()
    alice = world.join("alice")
    sid = publish(alice)
    bob = world.join("bob", mode=Mode.DUAL)
    handles = bob.last("data_track_subscriber_handles").data_track_subscriber_handles.sub_handles
    assert [entry.track_sid for entry in handles.values()] == [sid]
    assert bob.responses[0].join.other_participants[0].data_tracks[0].sid == sid
    bob.forget()
    update = rtc.UpdateDataSubscription.Update(track_sid=sid, subscribe=True)
    bob.ask(update_data_subscription=rtc.UpdateDataSubscription(updates=[update]))
    again = bob.last("data_track_subscriber_handles").data_track_subscriber_handles.sub_handles
    assert list(again) == list(handles)
    carol = world.join("carol", auto_subscribe_data=False)
    assert not carol.all("data_track_subscriber_handles")


@pytest.mark.parametrize(
    "packet",
    [b"", b"\x00" * 11, frame(0), frame(77), b"\xe0" + frame(9)[1:], b"\x1c" + frame(9)[1:]],
)
def test_bad_data_track_packets_are_counted_drops(packet: bytes) -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    publish(alice)
    alice.media.listener.on_data(Channel.DATA_TRACK, packet)
    assert not bob.media.sent
    assert world.rooms.services.counters.values["data_track_refused"] == 1


def test_a_target_rate_thins_whole_frames() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    sid = publish(alice)
    options = models.DataTrackSubscriptionOptions(target_fps=5)
    update = rtc.UpdateDataSubscription.Update(track_sid=sid, subscribe=True, options=options)
    bob.ask(update_data_subscription=rtc.UpdateDataSubscription(updates=[update]))
    for number in range(100):  # two packets a frame, 50 frames a second, two seconds
        for start in (True, False):
            alice.media.listener.on_data(Channel.DATA_TRACK, frame(9, number=number, start=start))
        world.clock.advance(0.02)
    assert len(bob.media.sent) % 2 == 0
    assert 9 <= len(bob.media.sent) // 2 <= 11


def test_data_tracks_follow_the_publishers_permissions() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    publish(alice)
    alice.ask(subscription_permission=rtc.SubscriptionPermission(all_participants=False))
    alice.media.listener.on_data(Channel.DATA_TRACK, frame(9))
    assert not bob.media.sent
    alice.ask(subscription_permission=rtc.SubscriptionPermission(all_participants=True))
    alice.media.listener.on_data(Channel.DATA_TRACK, frame(9))
    assert len(bob.media.sent) == 1


def test_a_publisher_that_leaves_takes_its_data_tracks_along() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    publish(alice)
    alice.ask(leave=rtc.LeaveRequest())
    assert not bob.me.room.data_tracks()
    handles = bob.last("data_track_subscriber_handles").data_track_subscriber_handles
    assert not handles.sub_handles


@pytest.mark.parametrize(
    ("request_fields", "reason"),
    [
        ({"pub_handle": 0, "name": "n"}, "INVALID_HANDLE"),
        ({"pub_handle": 70_000, "name": "n"}, "INVALID_HANDLE"),
        ({"pub_handle": 1, "name": ""}, "INVALID_NAME"),
        ({"pub_handle": 1, "name": "n" * 257}, "INVALID_NAME"),
        ({"pub_handle": 9, "name": "n"}, "DUPLICATE_HANDLE"),
        ({"pub_handle": 1, "name": "geo"}, "DUPLICATE_NAME"),
        ({"pub_handle": 1, "name": "n", "frame_encoding": {"custom": ""}}, "INVALID_REQUEST"),
    ],
)
def test_refused_data_tracks_say_why(request_fields: dict[str, Any], reason: str) -> None:
    world = World()
    alice = world.join("alice")
    publish(alice)
    alice.ask(publish_data_track_request=rtc.PublishDataTrackRequest(**request_fields))
    answer = alice.last("request_response").request_response
    assert answer.reason == getattr(rtc.RequestResponse.Reason, reason)
    assert answer.publish_data_track.name == request_fields["name"]


@pytest.mark.parametrize("channel", list(Channel))
def test_a_flood_of_data_is_dropped_or_ends_its_sender(channel: Channel) -> None:
    world = World(RtcSettings(limits=RtcLimits(data_packets_per_second=10)))
    alice, bob, carol = (world.join(name) for name in ("alice", "bob", "carol"))
    publish(alice)
    payload = Packet(user=user("x")).SerializeToString()
    for _ in range(100):
        alice.media.listener.on_data(
            channel, frame(9) if channel is Channel.DATA_TRACK else payload
        )
    assert len(bob.media.sent) == 20
    assert alice.me.closed is (channel is Channel.RELIABLE)
    send(carol, user=user("still here"))
    assert Packet.FromString(bob.media.sent[-1][1]).user.payload == b"still here"
