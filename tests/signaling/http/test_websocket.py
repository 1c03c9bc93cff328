"""WebSocket messages that are written by hand say how long they are, as RFC 6455 asks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signaling.http.websocket import binary_frame, close_frame, text_frame


@pytest.mark.parametrize(("write", "first"), [(text_frame, 0x81), (binary_frame, 0x82)])
@given(size=st.integers(0, 70000))
@example(125)
@example(126)
@example(65535)
@example(65536)
def test_frames_have_the_length_that_they_say(
    write: Callable[[bytes], bytes], first: int, size: int
) -> None:
    made = write(b"x" * size)
    assert made[0] == first and made.endswith(b"x" * size)
    said, head = made[1], 2
    if said == 126:
        said, head = int.from_bytes(made[2:4], "big"), 4
        assert said > 125
    elif said == 127:
        said, head = int.from_bytes(made[2:10], "big"), 10
        assert said > 65535
    assert (said, len(made)) == (size, head + size)


@given(code=st.integers(1000, 4999), reason=st.text(max_size=200))
@example(4403, "é" * 100)
def test_a_close_frame_has_room_for_its_reason_and_cuts_no_character(
    code: int, reason: str
) -> None:
    made = close_frame(code, reason)
    assert made[0] == 0x88 and made[1] == len(made) - 2 <= 125
    assert int.from_bytes(made[2:4], "big") == code
    assert reason.startswith(made[4:].decode()) and len(made) > min(len(reason.encode()), 120)
