"""Every case of SignalRequest and SignalResponse has a transcript, and every transcript holds."""

from __future__ import annotations

import pytest
from livekit.protocol import rtc

from signaling.rtc.dispatch import HANDLERS
from tests.signaling.rtc.transcript import Player, load, names


def cases(message: type[rtc.SignalRequest] | type[rtc.SignalResponse]) -> set[str]:
    return {field.name for field in message.DESCRIPTOR.oneofs_by_name["message"].fields}


@pytest.mark.parametrize("name", names())
def test_transcript(name: str) -> None:
    Player().play(load(name))


def test_every_request_has_a_handler() -> None:
    assert set(HANDLERS) == cases(rtc.SignalRequest)


def test_every_case_of_the_protocol_has_a_transcript() -> None:
    sent: set[str] = set()
    expected: set[str] = set()
    for name in names():
        player = Player()
        player.play(load(name))
        sent |= player.sent
        expected |= player.expected
    assert sorted(cases(rtc.SignalRequest) - sent) == []
    assert sorted(cases(rtc.SignalResponse) - expected) == []
