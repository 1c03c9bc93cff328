"""Archives of three kinds, whatever is in them: read, or refused as bad, and nothing else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signaling.compliance.imports.bringing import Bringing, Cast, opening, size
from signaling.compliance.imports.port import Bad, Format, Place
from signaling.compliance.imports.zipped import elements, lines
from tests.signaling.compliance import archives
from tests.signaling.compliance.test_import_sources import NAMING, opened

NAMES = st.sampled_from(
    ["users.json", "channels.json", "dms.json", "general/2020-01-01.json", "import.jsonl",
     "manifest.json", "people.ndjson", f"rooms/{archives.ROOM}.json",
     f"rooms/{archives.ROOM}.ndjson", "account.json"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20)
    | st.sampled_from(["U1", "general", "message", "1.0", "version", "post", "user", "ann"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["id", "name", "ts", "user", "text", "type", "version", "post", "message",
                         "create_at", "team", "channel", "username", "members", "files", "body",
                         "reactions", "thread_ts", "format", "kind", "mode", "account"]),
        inner, max_size=6),
    max_leaves=12,
)  # fmt: skip
CONTENT = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())


def tried(kind: Format, data: bytes) -> None:
    """It is read, or refused as bad; nothing else."""
    with contextlib.suppress(Bad):
        source = opened(kind, data)
        sum(source.check())
        people, places = list(source.people()), list(source.places())
        assert all(isinstance(person.name, str) for person in people)
        cast = Cast(NAMING, {}, {})
        for place in places:
            opening(place, cast, "owner", kind)
        for _, message in source.messages():
            acts = Bringing(NAMING, cast, kind).acts(
                Place(id="p"), message, None, None, (), (), 0.0
            )  # fmt: skip
            assert len(acts) == size(message)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(list(Format)), st.dictionaries(NAMES, CONTENT, max_size=5), st.booleans())
def test_any_archive_is_read_or_refused(kind: Format, files: dict[str, bytes], sign: bool) -> None:
    tried(kind, archives.packed(archives.listed(files) if sign else files))


GOOD = {
    Format.SLACK: archives.slack(),
    Format.MATTERMOST: archives.mattermost(),
    Format.SOTTO: archives.sotto([archives.sotto_message(1, "first")]),
}


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(list(Format)),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=6),
    st.integers(0, 1 << 20) | st.none(),
)
def test_changed_bytes_are_read_or_refused(
    kind: Format, changes: list[tuple[int, int]], end: int | None
) -> None:
    data = bytearray(GOOD[kind])
    for at, byte in changes:
        data[at % len(data)] = byte
    tried(kind, bytes(data if end is None else data[: end % len(data)]))


@settings(max_examples=100, deadline=None)
@given(st.lists(JSON.filter(lambda value: isinstance(value, dict)), max_size=6), st.integers(1, 9))
def test_objects_of_a_list_come_out_as_they_went_in(found: list[Any], step: int) -> None:
    data = json.dumps(found).encode()
    parts = (data[at : at + step] for at in range(0, len(data), step))
    assert [json.loads(one) for one in elements(parts)] == found


@given(st.binary(max_size=300), st.integers(1, 9))
def test_any_list_is_split_or_refused(data: bytes, step: int) -> None:
    parts = [data[at : at + step] for at in range(0, len(data), step)]
    with contextlib.suppress(Bad):
        assert all(one[:1] in b"{[" for one in elements(iter(parts)))
    found = list(lines(iter(parts)))
    assert found == [line for line in data.split(b"\n") if line.strip()]
