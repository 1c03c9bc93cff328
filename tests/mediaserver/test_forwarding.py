"""A track that is forwarded to another call: watched there, told there, and gone there."""

import pytest

from mediaserver.api import CodecSpec, Kind, Mode, SubscribeSettings, Target, TrackSpec
from mediaserver.call import Call
from mediaserver.errors import ClientError, Code
from mediaserver.participant.participant import Participant
from tests.mediaserver.fakes import Heard, HeardCall, House
from tests.mediaserver.test_participants import FIREFOX, OFFERS, cids, publish

SETTINGS = SubscribeSettings()


def abroad(house: House) -> tuple[Call, Participant, Heard]:
    call = house.server.call("RM_other", HeardCall())
    assert isinstance(call, Call)
    heard = Heard()
    participant = call.add_participant("PA_s", Mode.SINGLE, heard)
    assert isinstance(participant, Participant)
    return call, participant, heard


async def test_a_forwarded_track_is_subscribed_in_the_other_call_until_it_ends() -> None:
    house = House()
    publisher, _ = await publish(house)
    call, subscriber, heard = abroad(house)
    subscriber.subscribe("TR_v", SETTINGS)
    house.call.forward("TR_v", call)
    answer = await subscriber.offer(Target.PUBLISHER, OFFERS["whep"])
    assert heard.named("subscribed") == [("subscribed", "TR_v")]
    assert "a=msid:PA_p|" in answer.sdp, "clients find the publisher by the sid it has at home"
    publisher.remove_track("TR_v")
    assert not house.engine.subscriptions and "TR_v" not in call.tracks
    await house.server.stop()


async def test_what_is_taken_back_ends_there_and_goes_on_here() -> None:
    house = House()
    await publish(house)
    call, subscriber, _ = abroad(house)
    house.call.forward("TR_v", call)
    subscriber.subscribe("TR_v", SETTINGS)
    await subscriber.offer(Target.PUBLISHER, OFFERS["whep"])
    assert house.engine.subscriptions
    for _ in range(2):
        house.call.stop_forwarding("TR_v", call)
    assert not house.engine.subscriptions and "TR_v" in house.call.tracks
    await house.server.stop()


async def test_only_a_track_of_the_call_itself_can_be_forwarded() -> None:
    house = House()
    await publish(house)
    call, _, _ = abroad(house)
    house.call.forward("TR_v", call)
    for source, track, to in ((house.call, "TR_none", call), (call, "TR_v", house.call)):
        with pytest.raises(ClientError) as refused:
            source.forward(track, to)
        assert refused.value.code is Code.TRACK_UNKNOWN
    await house.server.stop()


async def test_who_cannot_decode_it_there_asks_its_publisher_for_the_backup_codec() -> None:
    house = House()
    sdp = OFFERS["svc"]
    codecs = (CodecSpec("video/vp9", ""), CodecSpec("video/vp8", "later"))
    publisher, heard = house.join("PA_p")
    publisher.declare_track(TrackSpec("TR_v", cids(sdp)["video"], Kind.VIDEO, codecs=codecs))
    await publisher.offer(Target.PUBLISHER, sdp)
    call, subscriber, _ = abroad(house)
    house.call.forward("TR_v", call)
    subscriber.subscribe("TR_v", SETTINGS)
    await subscriber.offer(Target.PUBLISHER, FIREFOX["whep"].replace("VP9/90000", "NONE/90000"))
    assert any("video/vp8" in dict(told[2]) for told in heard.named("demand"))
    await house.server.stop()
