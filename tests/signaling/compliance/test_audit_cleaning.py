"""What the audit cleans of many records at once: the same as of each alone, and nothing less."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from signaling.clock import FakeClock
from signaling.compliance.audit import entry, port
from signaling.compliance.audit.port import AuditEvent
from signaling.errors import Code
from signaling.ids import SeededIds

_TEXTS = st.one_of(
    st.from_regex(port._PLAIN, fullmatch=True),
    st.sampled_from(
        ["line\nbreak", "\n", "a b", "Ana1", "Bearer abcdef", "x" * 99, "x" * 100, "e\u0301"]
    ),
    st.text(max_size=300),
    st.sampled_from(Code),
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(_TEXTS, _TEXTS, st.sampled_from(["name", "kind", "password"])), max_size=4)
)
def test_cleaned_together_is_cleaned_alone(said: list[tuple[str, str, str]]) -> None:
    events = [
        AuditEvent(at=1.0, app="one", actor=one, action="x.y", target=other, details={name: one})
        for one, other, name in said
    ]
    together = entry.make_all(events, SeededIds(FakeClock()))
    ids = SeededIds(FakeClock())
    assert together == [entry.make(event, ids.new()) for event in events]
    assert all(type(record.target) is str for record in together)


def test_what_most_requests_leave_behind_is_looked_at_together() -> None:
    event = AuditEvent(
        at=1.0, app="one", actor="account:0197f0a0-7f3e-7b1c-8000-0123456789ab",
        action="getSession", request_id="0197f0a0-7f3e-7b1c-8000-0123456789ab", token_id="0f" * 16,
        details={"status": "200", "method": "GET"},
    )  # fmt: skip
    assert port.are_clean([event] * 64)
    assert not port.are_clean([event] * 63 + [replace(event, target="Ana 1")])
    assert not port.are_clean([replace(event, details={"password": "a"})])
