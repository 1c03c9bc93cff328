"""Which `traceparent` is one, by the Recommendation (W3C Trace Context level 1, section 3.2)."""

from __future__ import annotations

import pytest

from signaling.http.trace_context import Trace, parse

ID, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{ID}-{PARENT}-01"


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (GOOD, True),
        (f"00-{ID}-{PARENT}-00", False),
        (f"00-{ID}-{PARENT}-03", True),  # bits that level 1 does not know
        (f"00-{ID}-{PARENT}-fe", False),
        (f"cc-{ID}-{PARENT}-01", True),  # a later version
        (f"cc-{ID}-{PARENT}-01-", True),
        (f"cc-{ID}-{PARENT}-01-what-it-says-more", True),
        (f"00-{'0' * 31}1-{'0' * 15}1-00", False),
    ],
)
def test_the_trace_of_a_valid_one(text: str, sampled: bool) -> None:
    assert parse(text) == Trace(text[3:35], sampled)


@pytest.mark.parametrize(
    "text",
    [
        "", "-", "00", GOOD[:-1], GOOD + "0", GOOD + "-", GOOD + "-more",  # 00 says no more
        GOOD.upper(), GOOD.replace("a", "A", 1), GOOD.replace("0a", "0g"), GOOD.replace("-", "_"),
        f"ff-{ID}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", f"00-{ID}-{'0' * 16}-01",
        f"00-{ID[:-1]}-{PARENT}-01", f"00-{ID}0-{PARENT}-01", f"00-{ID}-{PARENT[:-1]}-01",
        f"00-{ID}-{PARENT}-1", f"00-{ID}-{PARENT}-0x", f"cc-{ID}-{PARENT}-01.more", f"0-{ID}-01",
        f" {GOOD}", f"{GOOD}\n", f"{GOOD},{GOOD}", GOOD.replace("7", "\u0667"),
        GOOD.replace("0", "\uff10"),
    ],
)  # fmt: skip
def test_what_is_invalid_is_none(text: str) -> None:
    assert parse(text) is None


def test_the_answer_is_of_the_same_trace_and_names_the_request() -> None:
    ident = "01a20405-a305-7caf-b571-4c744be9e94d"
    assert Trace(ID, True).answer(ident) == f"00-{ID}-b5714c744be9e94d-01"
    assert Trace(ID, False).answer(ident) == f"00-{ID}-b5714c744be9e94d-00"
