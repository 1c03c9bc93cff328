"""Data channels: opening, waiting, bounds, back-pressure, and what happens at the end."""

import asyncio
from collections.abc import Sequence

import pytest

from mediaserver._engine import DataTransport
from mediaserver.api import Channel, Unavailable
from mediaserver.data_channels import DataChannels, DataLimits, Freshness
from mediaserver.errors import ClientError, Code
from tests.mediaserver.fakes import FakeAssociation, Happened


class Wire:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send_records(self, packets: Sequence[bytes]) -> None:
        self.sent += packets


class Channels:
    """DataChannels on a fake association, with what they said."""

    def __init__(self, limits: DataLimits | None = None, *, create: bool = False) -> None:
        self.messages: list[tuple[Channel, bytes]] = []
        self.wire = Wire()
        self.made: list[FakeAssociation] = []
        self.channels = DataChannels(
            limits or DataLimits(),
            self._make,
            lambda channel, payload: self.messages.append((channel, payload)),
            create=create,
        )

    def _make(self, server: bool, limits: DataLimits) -> FakeAssociation:
        self.made.append(FakeAssociation(server, limits))
        return self.made[-1]

    def start(self, remote_limit: int = 0) -> FakeAssociation:
        self.channels.start(self.wire, dtls_server=True, remote_limit=remote_limit)
        return self.made[0]

    async def happen(self, *events: Happened) -> None:
        self.made[0].happened += events
        self.channels.receive(b"packet")
        await asyncio.sleep(0)


OPENED = Happened("opened", 1, "_reliable")


async def test_reliable_messages_wait_for_their_channel_and_keep_their_order() -> None:
    made = Channels()
    made.channels.send(Channel.RELIABLE, b"1")
    association = made.start()
    made.channels.send(Channel.RELIABLE, b"2")
    await made.happen(OPENED)
    made.channels.send(Channel.RELIABLE, b"3")
    assert association.sent == [(1, b"1"), (1, b"2"), (1, b"3")]
    assert made.channels.is_open(Channel.RELIABLE)


async def test_lossy_messages_do_not_wait() -> None:
    made = Channels()
    assert made.channels.send(Channel.LOSSY, b"x") is False
    made.start()
    assert made.channels.send(Channel.LOSSY, b"x") is False
    assert made.channels.drops["channel_not_open"] == 2


async def test_we_create_all_three_when_asked() -> None:
    made = Channels(create=True)
    association = made.start()
    assert association.opened == [
        ("_reliable", True, None),
        ("_lossy", False, 0),
        ("_data_track", False, 0),
    ]
    made.start()
    assert len(made.made) == 1


async def test_messages_carry_the_channel_they_came_on() -> None:
    made = Channels()
    made.start()
    await made.happen(
        OPENED,
        Happened("opened", 3, "_lossy"),
        Happened("received", 1, data=b"r"),
        Happened("received", 3, data=b"l"),
        Happened("received", 9, data=b"?"),
        Happened("opened", 5, "chat of the application"),
        Happened("received", 5, data=b"?"),
    )
    assert made.messages == [(Channel.RELIABLE, b"r"), (Channel.LOSSY, b"l")]
    assert made.channels.drops["channel_unknown"] == 2


async def test_peer_that_does_not_drain() -> None:
    made = Channels(DataLimits(send_buffer_bytes=100, lossy_buffer_bytes=50))
    made.start()
    await made.happen(OPENED, Happened("opened", 3, "_lossy"))
    assert made.channels.send(Channel.RELIABLE, bytes(60))
    assert made.channels.send(Channel.LOSSY, bytes(10)) is False
    with pytest.raises(Unavailable) as error:
        made.channels.send(Channel.RELIABLE, bytes(60))
    assert error.value.code is Code.CHANNEL_FULL and error.value.retry


def test_lossy_bound_follows_what_the_peer_drains() -> None:
    fresh = Freshness(256 * 1024)
    assert fresh.limit(0.0, 0) == Freshness.FLOOR
    fresh.sent(1_000_000)
    assert fresh.limit(1.0, 200_000) == 160_000, "800 kB left in a second: 160 kB are 200 ms"
    fresh.sent(5_000_000)
    assert fresh.limit(2.0, 0) == 256 * 1024
    assert fresh.limit(3.0, 0) == Freshness.FLOOR


async def test_what_waits_for_a_channel_is_bounded() -> None:
    made = Channels(DataLimits(send_buffer_bytes=100))
    made.channels.send(Channel.RELIABLE, bytes(100))
    with pytest.raises(Unavailable):
        made.channels.send(Channel.RELIABLE, b"x")
    assert made.channels.buffered == 100


async def test_sizes_are_bounded_by_us_and_by_the_peer() -> None:
    made = Channels(DataLimits(message_bytes=100))
    made.start(remote_limit=50)
    await made.happen(OPENED)
    with pytest.raises(ClientError) as error:
        made.channels.send(Channel.RELIABLE, bytes(101))
    assert error.value.code is Code.MESSAGE_TOO_LARGE
    assert made.channels.send(Channel.RELIABLE, bytes(51)) is False
    assert made.channels.drops["peer_message_size"] == 1


async def test_malformed_and_early_packets_are_counted() -> None:
    made = Channels()
    made.channels.receive(b"early")
    made.start()
    made.channels.receive(b"malformed")
    assert made.channels.drops == {"sctp_early": 1, "sctp_malformed": 1}


async def test_lost_association_says_so() -> None:
    made = Channels()
    made.start()
    await made.happen(OPENED, Happened("lost", reason="abort"))
    assert not made.channels.is_open(Channel.RELIABLE)
    with pytest.raises(Unavailable) as error:
        made.channels.send(Channel.RELIABLE, b"x")
    assert error.value.code is Code.CHANNEL_CLOSED and not error.value.retry


async def test_closed_channel_is_opened_again_by_its_label() -> None:
    made = Channels()
    association = made.start()
    await made.happen(OPENED, Happened("closed", 1), Happened("opened", 7, "_reliable"))
    made.channels.send(Channel.RELIABLE, b"x")
    assert association.sent == [(7, b"x")]


async def test_timers_of_the_association_are_kept() -> None:
    made = Channels()
    association = made.start()
    association.wait = 0.001
    await made.happen()
    async with asyncio.timeout(60):
        while not association.expired:
            await asyncio.sleep(0.001)
    assert association.expired == 1


async def test_close_aborts_once_and_stops_its_timers() -> None:
    made = Channels()
    association = made.start()
    association.wait = 60.0
    await made.happen(OPENED)
    made.channels.close()
    made.channels.close()
    assert made.wire.sent == [b"abort"]
    assert not made.channels.is_open(Channel.RELIABLE)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\0",
        bytes(11),
        bytes(12),
        bytes(16),
        bytes(4000),
        bytes.fromhex("1388138800000000000000000100000401000000"),
    ],
)
def test_malformed_packets_never_reach_the_association(packet: bytes) -> None:
    association = DataTransport(True)
    assert association.receive(packet) is False
    assert association.transmit() == []
