"""The audit log: what is written, in what form, and what `verify` finds out about hands on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from signaling.compliance.audit import entry, port
from signaling.compliance.audit.port import AuditEvent, clean_text, truncated
from signaling.compliance.audit.reader import Filter, Place
from signaling.compliance.audit.retention import Retention
from signaling.compliance.audit.writer import Pace
from signaling.errors import Unavailable
from signaling.storage.port import Appended, NewOp
from tests.signaling.compliance.rig import AuditRig, until


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[AuditRig]:
    made = await AuditRig(tmp_path / "kek").start()
    yield made
    await made.stop()


async def filled(rig: AuditRig, count: int = 20) -> None:
    for number in range(count):
        await rig.audit.record(rig.event(f"test.{number}"))
    await rig.stop()
    assert (await rig.check()).good


async def test_b11_every_note_and_record_is_written_in_order(rig: AuditRig) -> None:
    for number in range(1200):
        rig.audit.note(rig.event(f"test.{number}"))
    await rig.audit.record(rig.event("test.last"))
    found = await rig.reader.page("one", Filter(), limit=2000)
    assert [item.record.action for item in found.items] == [
        "test.last", *(f"test.{n}" for n in reversed(range(1200))),
    ]  # fmt: skip
    assert len({item.record.id for item in found.items}) == 1201
    await rig.stop()
    report = await rig.check()
    assert report.good and report.records == 1201 and report.unsigned == 0 and report.heads >= 1


async def test_b11_a_note_is_written_soon(rig: AuditRig) -> None:
    rig.audit.note(rig.event())
    await until(lambda: rig.audit.queued == 0)
    assert (await rig.reader.page("one", Filter())).items


async def test_b11_nothing_secret_gets_in(rig: AuditRig) -> None:
    canaries = [
        "cs_9fQ2aa81bXcD7Ee31Zq0pLm4", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl",
        "Bearer abcdef", "203.0.113.77", "2001:db8:1:2::77", "hunter2",
    ]  # fmt: skip
    await rig.audit.record(
        rig.event(
            target=f"room {canaries[0]}",
            token_id=canaries[1],
            address=canaries[3],
            details={"reason": canaries[2], "password": canaries[5], "name": "line\nbreak"},
        )
    )
    await rig.audit.record(rig.event(address=canaries[4]))
    second, first = (await rig.reader.page("one", Filter())).items
    shown = repr(first) + repr(second)
    assert not [canary for canary in canaries if canary in shown]
    assert first.record.address == "203.0.113.0/24" and second.record.address == "2001:db8:1::/48"
    assert first.record.details == {"reason": "***", "name": "line break", "redacted": "1"}
    stored = b"".join(op.body for op in rig.ops())
    assert b"203.0.113" not in stored and b"account:a" not in stored


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("listAccountSessionsOfDevice", True),
        ("0197f0a0-7f3e-7b1c-8000-0123456789ab", True),
        ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", True),
        ("idempotency_in_flight_for_another_request", True),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", False),
        ("am_AbCdEf0123456789ABCDEFGHIJ.tag-0", False),
    ],
)
def test_ids_stay_and_credentials_go(text: str, kept: bool) -> None:
    assert (clean_text(text) == text) is kept


@settings(max_examples=300)
@given(st.from_regex(port._PLAIN, fullmatch=True))
def test_the_short_way_lets_nothing_through_that_the_long_one_stops(text: str) -> None:
    assert not port._SECRET.search(text) and not port._CONTROL.search(text)


def test_truncating_twice_changes_nothing() -> None:
    for address in ("192.0.2.9", "::ffff:192.0.2.9", "2001:db8::1", "fe80::1%eth0", "nonsense"):
        assert truncated(truncated(address)) == truncated(address)


async def test_b11_a_changed_record_is_found(rig: AuditRig) -> None:
    await filled(rig)
    op = rig.ops()[6]
    rig.ops()[6] = replace(op, body=op.body[:-1] + bytes([op.body[-1] ^ 1]))
    report = await rig.check()
    assert ("changed", 7) in {(f.kind, f.seq) for f in report.findings}
    rig.forge_chain()
    report = await rig.check()
    assert {f.kind for f in report.findings} == {"mismatch"}
    found = await rig.reader.page("one", Filter(action="audit.damaged"))
    assert [item.seq for item in found.items] == [7]


async def test_b11_a_removed_record_is_found(rig: AuditRig) -> None:
    await filled(rig)
    del rig.ops()[6]
    assert ("missing", 7) in {(f.kind, f.seq) for f in (await rig.check()).findings}
    rig.forge_chain()
    assert "mismatch" in {f.kind for f in (await rig.check()).findings}


async def test_b11_reordered_records_are_found(rig: AuditRig) -> None:
    await filled(rig)
    ops = rig.ops()
    ops[6], ops[7] = ops[7], ops[6]
    assert {"missing", "order"} <= {f.kind for f in (await rig.check()).findings}
    rig.forge_chain()
    assert "mismatch" in {f.kind for f in (await rig.check()).findings}


@pytest.mark.parametrize("kept", [0, 1, 5, 19, 20])
async def test_b11_a_cut_end_is_found_and_recorded_by_the_next_process(
    rig: AuditRig, kept: int
) -> None:
    await filled(rig)
    room = rig.store.log._rooms["one", entry.ROOM]
    del room.ops[kept:]
    room.chain = room.ops[-1].chain if room.ops else bytes(32)
    room.cursors.clear()
    assert "truncated" in {f.kind for f in (await rig.check()).findings}
    again = await rig.another()
    for number in range(30):
        await again.record(rig.event(f"later.{number}"))
    await rig.stop()
    found = await rig.reader.page("one", Filter(action="audit.truncated"))
    assert len(found.items) == 1


async def test_b11_a_head_of_another_key_does_not_count(rig: AuditRig, tmp_path: Path) -> None:
    await filled(rig)
    other = await AuditRig(tmp_path / "other").start()
    rig.forge_chain()
    ops = rig.ops()
    place = len(ops) - 1
    forged = other.signers.sign("one", place, ops[place - 1].chain)
    ops[place] = replace(ops[place], body=entry.encode_head(forged))
    rig.forge_chain()
    assert "signature" in {f.kind for f in (await rig.check()).findings}
    await other.stop()


async def test_b11_a_pinned_head_finds_a_log_that_was_written_anew(rig: AuditRig) -> None:
    await filled(rig)
    pinned = entry.decode_head(rig.ops()[-1].body)
    assert (await rig.check(pinned=pinned)).good
    rig.store.log._rooms.clear()
    await rig.store.meta.delete("one", "audit_head", "audit_head")
    await (await rig.another()).record(rig.event())
    await rig.stop()
    assert (await rig.check()).good
    assert not (await rig.check(pinned=pinned)).good


async def test_b11_two_processes_write_one_log(rig: AuditRig) -> None:
    other = await rig.another()
    both = (rig.audit, other)
    await asyncio.gather(*(both[n % 2].record(rig.event(f"test.{n}")) for n in range(300)))
    await asyncio.gather(*(both[n % 2].record(rig.event(f"test.{n}")) for n in range(300)))
    await rig.stop()
    report = await rig.check()
    assert report.findings == () and report.records == 600 and report.unsigned == 0


async def test_b11_heads_follow_the_records_and_survive_a_restart(rig: AuditRig) -> None:
    await rig.audit.record(rig.event())
    await until(lambda: len(rig.ops()) >= 2)
    await rig.stop()
    again = await rig.another()
    await again.record(rig.event("second"))
    await rig.stop()
    report = await rig.check()
    assert report.good and report.heads >= 2 and report.unsigned == 0


class Failing:
    """The store's log while the store is away, or slow."""

    def __init__(self, rig: AuditRig) -> None:
        self.inner = rig.store.log
        self.fail = 0
        self.after = False

    async def append(self, app: str, room: str, ops: list[NewOp]) -> list[Appended]:
        if self.fail and not self.after:
            self.fail -= 1
            raise Unavailable("away")
        done = await self.inner.append(app, room, ops)
        if self.fail:
            self.fail -= 1
            raise Unavailable("the reply was lost")
        return done

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


@pytest.mark.parametrize("after", [False, True])
async def test_b11_an_outage_of_the_store_loses_and_doubles_nothing(
    rig: AuditRig, after: bool
) -> None:
    failing = Failing(rig)
    failing.fail, failing.after = 5, after
    rig.audit._ops = failing  # type: ignore[assignment]
    for number in range(700):
        rig.audit.note(rig.event(f"test.{number}"))
    with pytest.raises(Unavailable):
        await rig.audit.record(rig.event("act"))
    assert not rig.audit.healthy
    await until(lambda: failing.fail == 0)
    await rig.audit.record(rig.event("end"))
    await until(lambda: rig.audit.healthy)
    found = await rig.reader.page("one", Filter(), limit=2000)
    actions = [item.record.action for item in reversed(found.items)]
    assert actions[:700] == [f"test.{n}" for n in range(700)]
    assert actions[700:] == ["act", "act", "end"]
    refused = next(i.record for i in found.items if i.record.result == "failed")
    assert refused.code == "unavailable"
    await rig.stop()
    assert (await rig.check()).good


async def test_b11_a_full_queue_says_how_much_it_lost(tmp_path: Path) -> None:
    rig = await AuditRig(tmp_path, Pace(queue=10, flush_seconds=0.01)).start()
    for number in range(25):
        rig.audit.note(rig.event(f"test.{number}"))
    with pytest.raises(Unavailable):
        await rig.audit.record(rig.event())
    await until(lambda: rig.audit.queued == 0)
    await rig.stop()
    found = await rig.reader.page("one", Filter(action="audit.lost"))
    assert [item.record.details for item in found.items] == [{"lost": "15"}]


async def test_b11_retention_keeps_the_rest_verifiable(rig: AuditRig) -> None:
    for number in range(10):
        await rig.audit.record(rig.event(f"old.{number}"))
    await until(lambda: rig.ops()[-1].body[:1] == entry.HEAD)
    rig.clock.advance(100 * 86400)
    for number in range(10):
        await rig.audit.record(rig.event(f"new.{number}"))
    retention = Retention(rig.store.meta, rig.store.log, rig.audit, rig.clock, seconds=90 * 86400)
    assert await retention.apply("one") >= 10
    assert await retention.apply("one") == 0
    await rig.stop()
    assert (await rig.check()).findings == ()
    kept = [i.record.action for i in (await rig.reader.page("one", Filter())).items]
    assert kept == ["audit.purge", *(f"new.{n}" for n in reversed(range(10)))]
    await rig.store.meta.delete("one", "audit_floor", "audit_floor")
    assert {f.kind for f in (await rig.check()).findings} >= {"floor"}


async def test_b11_no_byte_of_a_record_changes_unseen_or_hides_the_others(rig: AuditRig) -> None:
    await filled(rig, 5)
    place_of = next(n for n, op in enumerate(rig.ops()) if op.version > 2 and op.body[:1] == b"R")
    op = rig.ops()[place_of]
    found = await rig.reader.page("one", Filter(action="test.*"))
    (hidden,) = [i.record.action for i in found.items if i.seq == op.seq]
    others = [i.record.action for i in found.items if i.seq != op.seq]
    assert hidden
    for place in range(len(op.body)):
        changed = op.body[:place] + bytes([op.body[place] ^ 1]) + op.body[place + 1 :]
        rig.ops()[place_of] = replace(op, body=changed)
        assert not (await rig.check()).good, place
        found = await rig.reader.page("one", Filter(action="test.*"))
        assert [i.record.action for i in found.items] == others
    rig.ops()[place_of] = op
    assert (await rig.check()).good


async def test_b11_a_busy_server_writes_batches_and_a_damaged_one_hides_no_other(
    rig: AuditRig,
) -> None:
    for number in range(3 * entry.MOST):
        rig.audit.note(rig.event(f"test.{number}"))
    await rig.audit.record(rig.event("test.last"))
    await rig.stop()
    kept = [op for op in rig.ops() if op.body[:1] == entry.BATCH]
    assert len(kept) >= 3 and all(entry.count_of(op.body) <= entry.MOST for op in kept)
    report = await rig.check()
    assert report.good and report.records == 3 * entry.MOST + 1
    # Said to hold one record less: the seal is bound to the count.
    place = next(n for n, op in enumerate(rig.ops()) if op == kept[1])
    count = entry.count_of(kept[1].body)
    body = entry.BATCH + (count - 1).to_bytes(2, "big") + kept[1].body[3:]
    rig.ops()[place] = replace(kept[1], body=body)
    assert {finding.kind for finding in (await rig.check()).findings} >= {"changed"}
    found = (await rig.reader.page("one", Filter(), limit=2000)).items
    damaged = [item.record for item in found if item.record.action == "audit.damaged"]
    assert [record.details["seq"] for record in damaged] == [str(kept[1].seq)]
    assert len(found) == 3 * entry.MOST + 1 - count + 1


async def test_b11_long_records_are_split_before_the_store_refuses_them() -> None:
    event = AuditEvent(at=1.0, app="one", actor="a", action="b")
    long = dict.fromkeys(sorted(port.DETAILS - {"redacted"}), "\U0001f600" * 256)
    records = [entry.make(replace(event, details=long), str(n)) for n in range(entry.MOST)]
    parts = list(entry.packed(records))
    assert [one for count, data in parts for one in entry.opened(data, count)] == records
    assert len(parts) > 1 and all(len(data) <= entry.MOST_BYTES for _, data in parts)


async def test_b11_a_destroyed_floor_or_head_is_a_finding_not_a_crash(rig: AuditRig) -> None:
    await filled(rig)
    for kind in ("audit_head", "audit_floor"):
        document = await rig.store.meta.get("one", kind, kind)
        version = 0 if document is None else document.version
        await rig.store.meta.put("one", kind, kind, b"nonsense", expect=version)
    await rig.store.log.purge("one", entry.ROOM, 3)
    assert not (await rig.check()).good


async def test_b11_an_intruder_cannot_pass_a_purge_off_as_retention(rig: AuditRig) -> None:
    await filled(rig)
    await rig.store.log.purge("one", entry.ROOM, 7)
    assert not (await rig.check()).good


async def test_b13_filters_pages_and_times(rig: AuditRig) -> None:
    for number in range(1500):
        rig.clock.advance(60)
        rig.audit.note(
            rig.event(
                "room.read" if number % 2 else "key.rotate",
                actor=f"account:{number % 3}",
                result="denied" if number % 5 == 0 else "allowed",
                request_id=f"r{number}",
            )
        )
    await rig.audit.record(rig.event("end"))
    start = rig.clock.unix() - 1500 * 60
    wanted = Filter(actor="account:1", action="room.*", result="denied")
    expected = [n for n in range(1500) if n % 3 == 1 and n % 2 and n % 5 == 0]
    found: list[str] = []
    before: Place | None = None
    while True:
        page = await rig.reader.page("one", wanted, before=before, limit=7)
        found += [item.record.request_id for item in page.items]
        before = page.next
        if before is None:
            break
    assert found == [f"r{n}" for n in reversed(expected)]
    window = Filter(since=start + 60 * 100, until=start + 60 * 110)
    page = await rig.reader.page("one", window)
    assert [i.record.request_id for i in page.items] == [f"r{n}" for n in range(108, 98, -1)]
    assert not (await rig.reader.page("two", Filter())).items


async def test_b11_notes_before_the_start_are_kept(rig: AuditRig) -> None:
    from signaling.compliance.audit.writer import AuditLog
    from signaling.ids import SeededIds

    log = AuditLog(rig.store.meta, rig.store.log, rig.clock, SeededIds(rig.clock, 99), rig.pace)
    log.note(AuditEvent(at=1.0, app="two", actor="system:keys", action="keys.unwrap"))
    with pytest.raises(Unavailable):
        await log.record(rig.event())
    await log.start(rig.keys.envelope, rig.signers)
    await until(lambda: log.queued == 0)
    await log.close()
    assert len((await rig.reader.page("two", Filter())).items) == 1
