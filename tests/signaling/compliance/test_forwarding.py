"""A copy of the audit elsewhere: complete, in order, through outages of whoever receives it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import os
import resource
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)

from signaling.clock import SystemClock
from signaling.compliance.audit.entry import Record
from signaling.compliance.audit.forward.file import FileSink, append
from signaling.compliance.audit.forward.forwarder import Forwarder, Rhythm
from signaling.compliance.audit.forward.http import OtlpSink, WebhookSink
from signaling.compliance.audit.forward.port import Sink, head_from
from signaling.compliance.audit.forward.syslog import SyslogSink, SyslogTarget, frame, message
from signaling.errors import Unavailable
from signaling.secret import Secret
from tests.signaling.compliance.receivers import HttpReceiver, Rsyslog, first_of_each
from tests.signaling.compliance.rig import AuditRig, until
from tests.signaling.keys.fake_kms import served

QUICK = Rhythm(poll=0.02, retry=0.02, retry_most=0.2, save=0.0, lease=5.0)
SECRET = Secret("0123456789abcdef0123456789abcdef")


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[AuditRig]:
    made = await AuditRig(tmp_path / "kek").start()
    yield made
    await made.stop()


@pytest.fixture
async def rsyslog(tmp_path: Path) -> AsyncIterator[Rsyslog]:
    made = Rsyslog(tmp_path / "rsyslog")
    await made.start()
    yield made
    made.stop()


class HalfReal(SystemClock):
    """Connections are timed by the machine's clock; the store's documents expire by the rig's."""

    def __init__(self, rig: AuditRig) -> None:
        self._rig = rig

    def unix(self) -> float:
        return self._rig.clock.unix()


@contextlib.asynccontextmanager
async def forwarding(rig: AuditRig, sink: Sink, holder: str = "p1") -> AsyncIterator[Forwarder]:
    """With the machine's clock: what is timed here are connections."""
    forwarder = Forwarder(sink, rig.store.meta, rig.reader, rig.audit, SystemClock(), holder, QUICK)
    task = asyncio.create_task(forwarder.run())
    try:
        yield forwarder
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def ours(records: list[dict[str, Any]], prefix: str = "test.") -> list[str]:
    return [r["action"] for r in records if r["action"].startswith(prefix)]


async def write(rig: AuditRig, first: int, last: int) -> None:
    for number in range(first, last):
        rig.audit.note(rig.event(f"test.{number}", address="203.0.113.9"))
    await until(lambda: rig.audit.queued == 0, 60)


def named(first: int, last: int) -> list[str]:
    return [f"test.{number}" for number in range(first, last)]


async def test_b13_rsyslog_gets_every_record_over_tls_in_order(
    rig: AuditRig, rsyslog: Rsyslog
) -> None:
    async with forwarding(rig, SyslogSink(rsyslog.target)) as forwarder:
        await write(rig, 0, 500)
        await until(lambda: len(ours(rsyslog.received())) == 500)
        assert ours(rsyslog.received()) == named(0, 500)
        assert forwarder.state.up and forwarder.state.sent >= 500
    shown = rsyslog.received()[0]
    assert shown["address"] == "203.0.113.0/24" and shown["app"] == "one"
    head = (rsyslog.home / "heads").read_text().split("\n")[0]
    # 13 * 8 + 6: log audit, informational.
    assert head.startswith(
        "<110>1 2027-01-15T08:00:00.000Z host.example sotto - test.0 "
        '[origin software="sotto"] {"id":'
    )


async def outage(rig: AuditRig, rsyslog: Rsyslog, seconds: float, count: int) -> None:
    """Records before, while killing, during and after an outage of the receiver."""
    target = replace(rsyslog.target, overlap=60.0)
    async with forwarding(rig, SyslogSink(target)) as forwarder:
        await write(rig, 0, count)
        await until(lambda: len(ours(rsyslog.received())) > count // 2, 60)
        rsyslog.kill()
        await until(lambda: not forwarder.state.up)
        await write(rig, count, 2 * count)
        await asyncio.sleep(seconds)
        await rsyslog.start()
        await write(rig, 2 * count, 3 * count)
        await until(lambda: len({r["id"] for r in rsyslog.received()}) >= 3 * count, 120)
        await until(lambda: len(set(ours(rsyslog.received()))) == 3 * count, 60)
        await until(lambda: forwarder.state.up)
    received = first_of_each(rsyslog.received())
    assert ours(received) == named(0, 3 * count)


async def test_b13_a_killed_rsyslog_gets_what_it_lost_again(
    rig: AuditRig, rsyslog: Rsyslog
) -> None:
    await outage(rig, rsyslog, 1.0, 3000)
    actions = [e.action for e in await every(rig)]
    assert "audit.sink_down" in actions and "audit.sink_up" in actions


@pytest.mark.long
async def test_b13_through_a_ten_minute_outage_of_rsyslog(rig: AuditRig, rsyslog: Rsyslog) -> None:
    await outage(rig, rsyslog, float(os.environ.get("SOTTO_OUTAGE_SECONDS", "600")), 20_000)


async def every(rig: AuditRig) -> list[Record]:
    await until(lambda: rig.audit.queued == 0)
    found = []
    for app in await rig.audit.apps():
        found += [r for _, r in await rig.reader.following(app, 0, 100_000) if r is not None]
    return found


async def test_b13_a_receiver_whose_certificate_is_not_trusted_gets_nothing(
    rig: AuditRig, rsyslog: Rsyslog, tmp_path: Path
) -> None:
    from signaling.compliance.audit.forward.syslog import client_context

    other = Rsyslog(tmp_path / "other")
    strangers = (
        replace(rsyslog.target, context=other.context()),
        replace(rsyslog.target, server_name="audit.example.org"),
        replace(rsyslog.target, context=client_context("", "", "")),
    )
    await write(rig, 0, 5)
    for target in strangers:
        async with forwarding(rig, SyslogSink(target)) as forwarder:
            await until(lambda: not forwarder.state.up)
            assert "certificate is refused" in forwarder.state.error
    assert not rsyslog.received()


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Rsyslog]:
    """Wants a certificate of ours."""
    made = Rsyslog(tmp_path / "mutual", mutual=True)
    await made.start()
    yield made
    made.stop()


async def test_b13_rsyslog_may_ask_for_our_certificate(rig: AuditRig, strict: Rsyslog) -> None:
    await write(rig, 0, 5)
    async with forwarding(rig, SyslogSink(strict.target)):
        await asyncio.sleep(0.3)
        assert not strict.received()
    with_ours = replace(strict.target, context=strict.context(certificate=True))
    async with forwarding(rig, SyslogSink(with_ours)):
        await until(lambda: len(set(ours(strict.received()))) == 5)


async def test_b13_a_restart_of_ours_goes_on_where_it_stopped(
    rig: AuditRig, rsyslog: Rsyslog
) -> None:
    target = replace(rsyslog.target, overlap=0.0)
    async with forwarding(rig, SyslogSink(target)):
        await write(rig, 0, 50)
        await until(lambda: len(ours(rsyslog.received())) == 50)
    await write(rig, 50, 60)
    async with forwarding(rig, SyslogSink(target), "p2"):
        await until(lambda: len(ours(rsyslog.received())) == 60)
    assert ours(rsyslog.received()) == named(0, 60)


async def test_b13_one_process_forwards_and_another_takes_over(
    rig: AuditRig, tmp_path: Path
) -> None:
    path = tmp_path / "audit.ndjson"
    async with forwarding(rig, FileSink(path), "p2"):
        async with forwarding(rig, FileSink(path), "p1"):
            await write(rig, 0, 100)
            await until(lambda: len(lines(path)) >= 100)
        await write(rig, 100, 200)
        await until(lambda: len(set(ours(lines(path)))) >= 200)
    assert ours(first_of_each(lines(path))) == named(0, 200)
    assert path.stat().st_mode & 0o777 == 0o600


def lines(path: Path) -> list[dict[str, Any]]:
    """A line that is being written has no end yet."""
    data = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


async def test_b13_a_forwarded_head_finds_a_log_written_anew(rig: AuditRig, tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    async with forwarding(rig, FileSink(path)):
        await write(rig, 0, 20)
        await until(lambda: bool(ours(lines(path), "audit.head")))
    head = head_from([r for r in lines(path) if r["action"] == "audit.head"][-1])
    await rig.stop()
    assert (await rig.check(pinned=head)).good
    rig.store.log._rooms.clear()
    await rig.store.meta.delete("one", "audit_head", "audit_head")
    await (await rig.another()).record(rig.event())
    await rig.stop()
    assert not (await rig.check(pinned=head)).good
    with pytest.raises(ValueError, match="head"):
        head_from({"action": "test.1"})


async def test_b13_a_webhook_is_signed_and_tried_until_it_answers(rig: AuditRig) -> None:
    receiver = HttpReceiver(status=500)
    async with served(receiver.handle) as url:
        sink = WebhookSink(f"{url}/hook", SECRET, SystemClock())
        async with forwarding(rig, sink) as forwarder:
            await write(rig, 0, 450)
            await until(lambda: not forwarder.state.up)
            assert forwarder.state.error == "it answers 500"
            receiver.status = 302
            await asyncio.sleep(0.1)
            receiver.status = 200
            await until(lambda: len(posted(receiver)) >= 450)
            await until(lambda: forwarder.state.up)
    assert ours(posted(receiver)) == named(0, 450)
    headers, body = receiver.requests[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.digest(SECRET.reveal().encode(), signed, "sha256")
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert headers["content-type"] == "application/x-ndjson"


def posted(receiver: HttpReceiver) -> list[dict[str, Any]]:
    return [json.loads(line) for _, body in receiver.requests for line in body.splitlines()]


async def test_b13_a_collector_gets_logs_that_its_own_definition_accepts(rig: AuditRig) -> None:
    receiver = HttpReceiver(answer={"partialSuccess": {}})
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    said = {"reason": "role", "trace_id": trace}
    await rig.audit.record(rig.event("test.0", result="denied", details=said))
    async with served(receiver.handle) as url:
        sink = OtlpSink(f"{url}/v1/logs", Secret("collector-token"))
        async with forwarding(rig, sink):
            await until(lambda: bool(receiver.requests))
    headers, body = receiver.requests[0]
    assert headers["authorization"] == "Bearer collector-token"
    request = json_format.Parse(body, ExportLogsServiceRequest())
    (resource,) = request.resource_logs
    records = resource.scope_logs[0].log_records
    first = records[0]
    assert first.body.string_value == "test.0" and first.severity_number == 13
    assert first.time_unix_nano == 1_800_000_000 * 10**9
    named_values = {a.key: a.value.string_value for a in first.attributes}
    assert named_values["audit.actor"] == "account:a"
    assert named_values["audit.details.reason"] == "role"
    # Ids are hexadecimal in OTLP's own JSON, where Protobuf's would have base64.
    sent = json.loads(body)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    assert sent["traceId"] == trace


async def test_b13_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    append(path, b'{"whole":1}\n')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        with pytest.raises(OSError, match="large"):
            append(path, b'{"second":"which does not fit"}\n')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, kept)
    assert path.read_bytes() == b'{"whole":1}\n'
    record = Record(id="1", at=1.0, app="one", actor="a", action="b")
    with pytest.raises(Unavailable):
        await FileSink(tmp_path / "missing" / "file").send("one", [record])


async def test_b13_a_silent_end_of_the_connection_is_noticed_while_idle(rig: AuditRig) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    server.setblocking(False)
    target = SyslogTarget("127.0.0.1", server.getsockname()[1], None)
    async with forwarding(rig, SyslogSink(target)) as forwarder:
        await write(rig, 0, 1)
        loop = asyncio.get_running_loop()
        peer, _ = await loop.sock_accept(server)
        data = await loop.sock_recv(peer, 65536)
        assert data.split(b" ", 1)[0].isdigit()
        server.close()
        peer.close()
        await until(lambda: not forwarder.state.up)


def test_b13_frames_count_octets_and_headers_stay_ascii() -> None:
    target = SyslogTarget("h", 1, None, host_name="höst name", process="12")
    record = Record(
        id="1", at=1.5, app="one", actor="account:a", action="x" * 60,
        result="failed", details={"name": "ü\u2028"},
    )  # fmt: skip
    text = message(record, target)
    assert text.isascii() and b"\n" not in text
    length, _, rest = frame(text).partition(b" ")
    assert int(length) == len(rest) == len(text)
    pri, stamp, host, app, process, action, _ = text.decode().split(" ", 6)
    assert pri == f"<{13 * 8 + 3}>1" and stamp == "1970-01-01T00:00:01.500Z"
    assert (host, app, process, action) == ("h_st_name", "sotto", "12", "x" * 32)


class Refusing:
    """Never there, and once with an error of ours."""

    name = "refusing"
    overlap = 0.0

    def __init__(self) -> None:
        self.asked = 0

    async def send(self, app: str, records: Sequence[Record]) -> None:
        raise Unavailable("away")

    async def check(self) -> None:
        self.asked += 1
        if self.asked == 2:
            raise ValueError("our error")
        raise Unavailable("away")

    async def close(self) -> None:
        return None


async def test_b13_thousands_of_failures_end_nothing(rig: AuditRig) -> None:
    sink = Refusing()
    quick = replace(QUICK, retry=0.0, retry_most=0.0)
    forwarder = Forwarder(sink, rig.store.meta, rig.reader, rig.audit, HalfReal(rig), "p1", quick)
    for _ in range(1500):
        assert await forwarder._round() == 0.0
    assert not forwarder.state.up and sink.asked == 1500


async def test_b13_a_cursor_of_a_process_that_lost_its_lease_moves_nothing_back(
    rig: AuditRig, tmp_path: Path
) -> None:
    path = tmp_path / "audit.ndjson"
    for number in range(10):  # ten places of the log, not a batch at one
        await write(rig, number, number + 1)
    old = Forwarder(
        FileSink(tmp_path / "old"), rig.store.meta, rig.reader, rig.audit, SystemClock(), "p1",
        QUICK,
    )  # fmt: skip
    await old._load()
    old._safe = {"one": 3}
    async with forwarding(rig, FileSink(path), "p2"):
        await until(lambda: len(set(ours(lines(path)))) == 10)
    await old._save()
    await write(rig, 10, 12)
    async with forwarding(rig, FileSink(path), "p3"):
        await until(lambda: len(set(ours(lines(path)))) == 12)
    assert ours(first_of_each(lines(path))) == named(0, 12)
