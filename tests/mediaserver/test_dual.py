"""The subscriber connection that we offer: one negotiation in flight, coalesced, matched."""

import asyncio

import pytest

from mediaserver.api import Mode, Offer, ParticipantOptions, SubscribeSettings, Target
from mediaserver.errors import ClientError, Code
from mediaserver.participant import dual
from mediaserver.participant.participant import Participant
from mediaserver.participant.subscribing import spacing
from mediaserver.sdp import parse
from tests.mediaserver.fakes import Heard, House
from tests.mediaserver.test_participants import publish, turn

SETTINGS = SubscribeSettings()


def answer_to(offer: Offer, *, reject: str = "", strip: str = "") -> str:
    """What a client would answer: everything, as it was offered, to receive."""
    prints = ":".join(["CD"] * 32)
    lines = []
    for line in offer.sdp.split("\r\n"):
        if line.startswith(("a=candidate", "a=end-of", "a=ssrc", "a=msid:", "a=ice-lite")):
            continue
        if strip and strip in line:
            continue
        if reject and line.startswith(f"m={reject} 9"):
            line = line.replace(" 9 ", " 0 ", 1)
        if line.startswith("a=ice-ufrag"):
            line = "a=ice-ufrag:client"
        elif line.startswith("a=ice-pwd"):
            line = "a=ice-pwd:" + "c" * 24
        elif line.startswith("a=fingerprint"):
            line = f"a=fingerprint:sha-256 {prints}"
        lines.append(line.replace("a=sendonly", "a=recvonly").replace("actpass", "active"))
    return "\r\n".join(lines)


def last_offer(heard: Heard) -> Offer:
    offer = heard.named("offer")[-1][1]
    assert isinstance(offer, Offer)
    return offer


async def joined(house: House) -> tuple[Participant, Heard]:
    await publish(house)
    return house.join("PA_d", Mode.DUAL)


async def test_first_offer_creates_the_data_section_unasked() -> None:
    house = House()
    participant, heard = house.join("PA_d", Mode.DUAL)
    participant.negotiate()
    await turn()
    sections = parse(last_offer(heard).sdp).sections
    assert [s.kind for s in sections] == ["application"]
    await house.server.stop()


async def test_subscriptions_of_one_moment_share_one_offer() -> None:
    house = House()
    participant, heard = await joined(house)
    participant.subscribe("TR_a", SETTINGS)
    participant.subscribe("TR_v", SETTINGS)
    await turn()
    assert len(heard.named("offer")) == 1
    offer = last_offer(heard)
    assert dict(offer.mid_to_track) == {"1": "TR_a", "2": "TR_v"}
    await participant.answer(answer_to(offer), offer_id=offer.offer_id)
    assert {t[1] for t in heard.named("subscribed")} == {"TR_a", "TR_v"}
    await turn()
    assert len(heard.named("offer")) == 1
    await house.server.stop()


async def test_changes_while_an_answer_is_due_wait_for_it() -> None:
    house = House()
    participant, heard = await joined(house)
    participant.subscribe("TR_a", SETTINGS)
    await turn()
    first = last_offer(heard)
    participant.subscribe("TR_v", SETTINGS)
    await turn()
    assert len(heard.named("offer")) == 1
    await participant.answer(answer_to(first), offer_id=first.offer_id)
    await turn()
    second = last_offer(heard)
    assert second.offer_id == 2 and "TR_v" in second.mid_to_track.values()
    await house.server.stop()


async def test_unsubscribed_while_the_answer_is_due() -> None:
    house = House()
    participant, heard = await joined(house)
    participant.subscribe("TR_v", SETTINGS)
    await turn()
    offer = last_offer(heard)
    participant.unsubscribe("TR_v")
    await participant.answer(answer_to(offer))
    assert not house.engine.subscriptions
    await turn()
    sections = parse(last_offer(heard).sdp).sections
    assert [s.direction for s in sections if s.kind == "video"] == ["inactive"]
    await house.server.stop()


async def test_section_is_used_again_after_it_was_answered_inactive() -> None:
    house = House()
    participant, heard = await joined(house)
    participant.subscribe("TR_v", SETTINGS)
    await turn()
    await participant.answer(answer_to(last_offer(heard)))
    participant.unsubscribe("TR_v")
    await turn()
    await participant.answer(answer_to(last_offer(heard)))
    participant.subscribe("TR_v", SETTINGS)
    await turn()
    offer = last_offer(heard)
    assert dict(offer.mid_to_track) == {"1": "TR_v"}
    assert len(parse(offer.sdp).sections) == 2
    await house.server.stop()


async def test_rejected_section_fails_its_subscription_alone() -> None:
    house = House()
    participant, heard = await joined(house)
    participant.subscribe("TR_a", SETTINGS)
    participant.subscribe("TR_v", SETTINGS)
    await turn()
    await participant.answer(answer_to(last_offer(heard), reject="video"))
    assert heard.named("subscribed") == [("subscribed", "TR_a")]
    assert heard.named("subscription_failed")[0][1] == "TR_v"
    await house.server.stop()


async def test_restart_offers_new_credentials_at_once() -> None:
    house = House()
    participant, heard = await joined(house)
    participant.subscribe("TR_v", SETTINGS)
    await turn()
    first = last_offer(heard)
    participant.restart_ice(Target.SUBSCRIBER)
    await turn()
    second = last_offer(heard)
    ufrags = [parse(o.sdp).sections[0].transport.ufrag for o in (first, second)]
    assert ufrags[0] != ufrags[1]
    await participant.answer(answer_to(first), offer_id=first.offer_id)
    assert not house.engine.subscriptions, "an answer to the older offer is ignored"
    await participant.answer(answer_to(second), offer_id=second.offer_id)
    assert len(house.engine.subscriptions) == 1
    await house.server.stop()


async def test_unexpected_answers_are_refused() -> None:
    house = House()
    participant, heard = await joined(house)
    participant.subscribe("TR_v", SETTINGS)
    await turn()
    offer = last_offer(heard)
    await participant.answer(answer_to(offer))
    with pytest.raises(ClientError) as error:
        await participant.answer(answer_to(offer))
    assert error.value.code is Code.ANSWER_UNEXPECTED
    with pytest.raises(ClientError):
        await participant.offer(Target.SUBSCRIBER, offer.sdp)
    await house.server.stop()


async def test_negotiation_without_an_answer_fails_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dual, "ANSWER_SECONDS", 0.01)
    house = House()
    participant, heard = house.join("PA_d", Mode.DUAL)
    participant.negotiate()
    async with asyncio.timeout(60):
        await heard.event("failed")
    assert heard.named("failed") == [("failed", Target.SUBSCRIBER, "negotiation_timeout")]
    await house.server.stop()


async def test_without_permission_there_is_no_subscriber_connection() -> None:
    house = House()
    participant, _ = house.join("PA_d", Mode.DUAL, ParticipantOptions(can_subscribe=False))
    assert set(participant.connections) == {Target.PUBLISHER}
    with pytest.raises(ClientError):
        participant.subscribe("TR_v", SETTINGS)
    with pytest.raises(ClientError):
        await participant.answer("v=0")
    await house.server.stop()


async def test_track_that_changes_its_codec_is_offered_again() -> None:
    house = House()
    participant, heard = await joined(house)
    participant.subscribe("TR_v", SETTINGS)
    await turn()
    await participant.answer(answer_to(last_offer(heard)))
    track = house.call.tracks.get("TR_v")
    assert track is not None
    publication = track.publications[0]
    codec = publication.plan.spec.codecs[0]
    from dataclasses import replace

    spec = replace(
        publication.plan.spec, codecs=(replace(codec, name="h264", fmtp="packetization-mode=1"),)
    )
    publication.plan = replace(publication.plan, spec=spec)
    house.call.tracks.changed(track)
    await turn()
    offer = last_offer(heard)
    assert "H264/90000" in offer.sdp
    await participant.answer(answer_to(offer))
    respec = house.engine.named("respec_subscription")
    assert respec and respec[-1][2].codecs[0].name == "h264"
    await house.server.stop()


def test_negotiations_of_large_calls_are_gathered() -> None:
    assert spacing(0) == spacing(8) == 0
    assert 0.5 < spacing(100) < 1.5
    assert spacing(5000) == 2.0
