"""What a log line shows: ids yes; addresses, tokens and names no; and never a second line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from signaling.logs import Private, bind, mask, setup


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    setup("json", "info", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)


def test_ids_are_bound_to_the_lines_inside(written: io.StringIO) -> None:
    log = logging.getLogger("test")
    with bind(room="RM_a", call="C_a"), bind(participant="PA_b"):
        log.info("inside")
    log.info("outside")
    inside, outside = (json.loads(line) for line in written.getvalue().splitlines())
    assert (inside["room"], inside["call"], inside["participant"]) == ("RM_a", "C_a", "PA_b")
    assert "room" not in outside


def test_private_values_do_not_print(written: io.StringIO) -> None:
    logging.getLogger("test").info("%s %r", Private("203.0.113.9", "address"), Private("Ann"))
    assert "[address] [private]" in written.getvalue()
    assert f"{Private('Ann')}" == "[private]"


@pytest.mark.parametrize(
    "text",
    [
        "from 192.0.2.7",
        "from 192.0.2.7:4000",
        "from ('10.1.2.3', 5)",
        "to [2001:db8::17]:443",
        "fe80::1%eth0",
        "access_token=abcdef",
        "Authorization: Bearer-abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
    ],
)
def test_what_slips_through_is_masked(text: str) -> None:
    shown = mask(text)
    for private in ("192.0.2.7", "10.1.2.3", "2001:db8", "fe80::1", "abcdef", "eyJzdWIi"):
        assert private not in shown
    assert "[address]" in shown or "[token]" in shown


@pytest.mark.parametrize("text", ["took 10.5 s", "12:30:59", "version 4.18", "a::b", "RM_x PA_y"])
def test_other_numbers_stay(text: str) -> None:
    assert mask(text) == text or text == "a::b"


def test_a_traceback_is_masked_too(written: io.StringIO) -> None:
    try:
        raise OSError("connect to 192.0.2.9 failed")
    except OSError:
        logging.getLogger("test").exception("our bug")
    assert "192.0.2.9" not in written.getvalue()
    assert "Traceback" in written.getvalue()


def test_a_value_cannot_write_a_line_of_its_own() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        setup("readable", "info", stream)
        logging.getLogger("test").info("room %s", "x\n2026 error forged: yes\u2028\x1b[2J")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(False)
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()
