"""Any order of publishing, subscribing and leaving ends where it should, in both modes.

Clients here do as real ones do: they add the sections that they are asked for, offer again, and
answer each offer. When all is quiet, everybody who subscribed to a published track has it, each on
a section of its own, and the engine knows of nothing else.
"""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediaserver.api import Kind, Mode, SubscribeSettings, Target, TrackSpec
from mediaserver.participant.subscribing import State
from mediaserver.sdp import parse
from tests.mediaserver.fakes import House
from tests.mediaserver.test_dual import answer_to

SETTINGS = SubscribeSettings()
TRACKS = 4
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "unpublish", "subscribe", "unsubscribe", "remove", "settle"]),
        st.integers(0, TRACKS - 1),
    ),
    max_size=40,
)
COMMON = (
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=setup:actpass\r\na=rtcp-mux\r\n"
    "a=fingerprint:sha-256 " + ":".join(["CD"] * 32) + "\r\n"
)


def offer(sections: list[tuple[Kind, str, str]]) -> str:
    """(kind, direction, msid track)."""
    mids = " ".join(str(i) for i in range(len(sections)))
    text = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mids}\r\n"
    for index, (kind, direction, track) in enumerate(sections):
        codec = "111" if kind is Kind.AUDIO else "96"
        name = "opus/48000/2" if kind is Kind.AUDIO else "VP8/90000"
        text += f"m={kind} 9 UDP/TLS/RTP/SAVPF {codec}\r\na=mid:{index}\r\na={direction}\r\n"
        text += f"a=rtpmap:{codec} {name}\r\n" + COMMON
        if track:
            text += f"a=msid:- {track}\r\n"
    return text


class Publisher:
    """Sends up to TRACKS tracks, audio and video in turn, each on a section that it keeps."""

    def __init__(self, house: House) -> None:
        self.participant, self.heard = house.join("PA_p")
        self.sending: dict[int, str] = {}
        self.count = 0

    async def offer(self) -> None:
        sections = [
            (
                kind_of(number),
                "sendonly" if number in self.sending else "inactive",
                self.sending.get(number, ""),
            )
            for number in range(TRACKS)
        ]
        await self.participant.offer(Target.PUBLISHER, offer(sections))

    async def publish(self, number: int) -> None:
        if number in self.sending:
            return
        self.count += 1
        cid = f"cid{self.count}"
        self.sending[number] = cid
        self.participant.declare_track(TrackSpec(f"TR_{number}", cid, kind_of(number)))
        await self.offer()

    async def unpublish(self, number: int) -> None:
        if self.sending.pop(number, None) is not None:
            await self.offer()

    async def remove(self, number: int) -> None:
        self.participant.remove_track(f"TR_{number}")
        await self.unpublish(number)


def kind_of(number: int) -> Kind:
    return Kind.VIDEO if number % 2 else Kind.AUDIO


class Subscriber:
    """Obeys: adds sections and offers when asked (SINGLE), answers what it is offered (DUAL)."""

    def __init__(self, house: House, mode: Mode) -> None:
        self.participant, self.heard = house.join("PA_s", mode)
        self.mode = mode
        self.sections: list[tuple[Kind, str, str]] = [(Kind.AUDIO, "recvonly", "")]
        self.done = 0
        self.wanted: set[int] = set()
        self.mid_to_track: dict[str, str] = {}

    async def settle(self) -> None:
        for _ in range(60):
            await asyncio.sleep(0)
            fresh = self.heard.told[self.done :]
            self.done = len(self.heard.told)
            for told in fresh:
                if told[0] == "sections":
                    self.sections += [(Kind.AUDIO, "recvonly", "")] * told[1]
                    self.sections += [(Kind.VIDEO, "recvonly", "")] * told[2]
                    await self.offer()
                elif told[0] == "offer":
                    await self.participant.answer(answer_to(told[1]), offer_id=told[1].offer_id)
            if not fresh and self.done == len(self.heard.told):
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                if self.done == len(self.heard.told):
                    return
        raise AssertionError("the negotiation never comes to rest")

    async def offer(self) -> None:
        answer = await self.participant.offer(Target.PUBLISHER, offer(self.sections))
        self.mid_to_track = dict(answer.mid_to_track)
        for section in parse(answer.sdp).sections:
            assert (section.direction == "sendonly") == (section.mid in self.mid_to_track)


def check(house: House, publisher: Publisher, subscriber: Subscriber) -> None:
    subscribing = subscriber.participant.subscribing
    assert subscribing is not None
    active = {s.track_id: s for s in subscribing.subscriptions() if s.state is State.ACTIVE}
    expected = {f"TR_{n}" for n in subscriber.wanted & set(publisher.sending)}
    assert set(active) == expected
    mids = [s.mid for s in active.values()]
    assert len(set(mids)) == len(mids)
    known = {s.engine_id for s in active.values()}
    assert set(house.engine.subscriptions) == known == set(house.context.subscriptions)
    assert len(house.engine.publications) == len(publisher.sending)
    if subscriber.mode is Mode.SINGLE:
        assert subscriber.mid_to_track == {s.mid: t for t, s in active.items()}
        assert len(subscriber.sections) <= 2 * TRACKS


async def scenario(mode: Mode, steps: list[tuple[str, int]]) -> None:
    house = House()
    publisher, subscriber = Publisher(house), Subscriber(house, mode)
    if mode is Mode.SINGLE:
        await subscriber.offer()
    for step, number in steps:
        if step in ("publish", "unpublish", "remove"):
            if step != "publish" and number in publisher.sending:
                subscriber.wanted.discard(number)
            await getattr(publisher, step)(number)
        elif step == "subscribe":
            subscriber.wanted.add(number)
            subscriber.participant.subscribe(f"TR_{number}", SETTINGS)
        elif step == "unsubscribe":
            subscriber.wanted.discard(number)
            subscriber.participant.unsubscribe(f"TR_{number}")
        else:
            await subscriber.settle()
    await subscriber.settle()
    # A track that ends takes its subscription with it, as LiveKit's clients expect.
    subscribing = subscriber.participant.subscribing
    assert subscribing is not None
    subscriber.wanted &= {int(s.track_id[3:]) for s in subscribing.subscriptions()}
    check(house, publisher, subscriber)
    await house.server.stop()
    assert not house.context.subscriptions and not house.context.publications


@pytest.mark.parametrize("mode", list(Mode))
def test_every_order_of_events_ends_well(mode: Mode) -> None:
    @settings(max_examples=30, deadline=None)
    @given(STEPS)
    def run(steps: list[tuple[str, int]]) -> None:
        asyncio.run(scenario(mode, steps))

    run()
