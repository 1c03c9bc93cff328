"""Commands, events and the end of an engine: nothing leaks, nothing hangs, errors have codes."""

from __future__ import annotations

import gc
import json
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mediaserver import _engine
from mediaserver.engine_types import (
    CallSettings,
    Codec,
    Encoding,
    EngineConfig,
    EngineError,
    EngineErrorCode,
    EngineLimits,
    PublicationSpec,
    SrtpKeys,
    SubscriptionSettings,
    SubscriptionSpec,
)
from tests.mediaserver.engine.clients import UdpClient, binding, new_transport, running
from tests.slack import SLACK

OPUS = Codec(111, "opus", 48_000)
AUDIO = PublicationSpec("audio", "0", (OPUS,), {"mid": 1}, (Encoding(ssrc=1),))
LISTEN = SubscriptionSpec("0", 2, None, (OPUS,), {"mid": 1})
KEYS = SrtpKeys("AEAD_AES_128_GCM", bytes(16), bytes(12), bytes(16), bytes(12))


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def threads() -> list[str]:
    names = []
    for task in Path("/proc/self/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except OSError:
            continue
    return [name for name in names if name.startswith("sotto-media")]


def threads_become(count: int) -> list[str]:
    """A new thread names itself a moment after it was started."""
    deadline = time.monotonic() + 30
    while len(threads()) != count and time.monotonic() < deadline:
        time.sleep(0.005)
    return sorted(threads())


def code_of(caught: pytest.ExceptionInfo[EngineError]) -> EngineErrorCode:
    return caught.value.code


@pytest.mark.parametrize("times", [30, pytest.param(1000, marks=pytest.mark.long)])
def test_an_engine_leaves_no_thread_and_no_descriptor_behind(times: int) -> None:
    with running(workers=2):
        assert threads_become(2) == ["sotto-media-0", "sotto-media-1"]
    gc.collect()
    before = descriptors()
    for _ in range(times):
        with running(workers=2) as engine:
            assert UdpClient(engine).ask(binding(new_transport(engine))) is not None
    del engine
    gc.collect()
    assert (threads(), descriptors()) == ([], before)


def test_an_engine_that_is_dropped_without_close_ends_too() -> None:
    engine = _engine.Engine(EngineConfig(udp_addresses=("127.0.0.1",), workers=1))
    assert threads_become(1) == ["sotto-media-0"]
    del engine
    gc.collect()
    assert threads() == []


def test_a_thousand_transports_come_and_go_without_a_trace() -> None:
    with running(workers=2, max_transports=50) as engine:
        before = descriptors()
        for _ in range(1000):
            ice = new_transport(engine)
            publication = engine.publish(ice.transport, AUDIO)
            engine.subscribe(ice.transport, publication, LISTEN, SubscriptionSettings())
            engine.close_transport(ice.transport)
        assert descriptors() == before
        kinds = ("transports", "publications", "subscriptions")
        since = _moments(json.loads(engine.snapshot()))
        deadline = time.monotonic() + 30
        while True:  # a snapshot is of a moment ago
            report = json.loads(engine.snapshot())
            newer = zip(_moments(report), since, strict=True)
            if all(now > then for now, then in newer) and not any(report[kind] for kind in kinds):
                break
            assert time.monotonic() < deadline, report
            time.sleep(0.05)


def _moments(report: dict[str, Any]) -> list[int]:
    """When each worker said what the snapshot has."""
    workers = sorted(report["workers"], key=lambda worker: int(worker["worker"]))
    return [int(worker["at_ms"]) for worker in workers]


def test_commands_to_unknown_ids_are_refused() -> None:
    with running() as engine:
        settings = SubscriptionSettings()
        ice = engine.create_transport(1)
        commands: list[Callable[[], object]] = [
            lambda: engine.set_remote_ice(99, "abcd", "x" * 22),
            lambda: engine.restart_ice(99),
            lambda: engine.set_srtp(99, KEYS),
            lambda: engine.send_dtls(99, b"x"),
            lambda: engine.cap_transport(99, 1),
            lambda: engine.publish(99, AUDIO),
            lambda: engine.update_publication(99, AUDIO),
            lambda: engine.set_publication_muted(99, True),
            lambda: engine.subscribe(ice.transport, 99, LISTEN, settings),
            lambda: engine.update_subscription(99, settings),
            lambda: engine.respec_subscription(99, LISTEN),
        ]
        for command in commands:
            with pytest.raises(EngineError) as caught:
                command()
            assert code_of(caught) is EngineErrorCode.UNKNOWN


def test_ending_twice_is_no_error() -> None:
    with running() as engine:
        ice = engine.create_transport(1)
        publication = engine.publish(ice.transport, AUDIO)
        subscription = engine.subscribe(ice.transport, publication, LISTEN, SubscriptionSettings())
        for _ in range(2):
            engine.unsubscribe(subscription)
            engine.unpublish(publication)
            engine.close_transport(ice.transport)
        engine.close()
        engine.close()


def test_what_a_transport_carried_is_gone_with_it() -> None:
    with running() as engine:
        ice = engine.create_transport(1)
        publication = engine.publish(ice.transport, AUDIO)
        engine.close_transport(ice.transport)
        with pytest.raises(EngineError) as caught:
            engine.set_publication_muted(publication, True)
        assert code_of(caught) is EngineErrorCode.UNKNOWN


def test_a_closed_engine_refuses_everything_but_close() -> None:
    with running() as engine:
        pass
    for command in (lambda: engine.create_transport(1), engine.snapshot):
        with pytest.raises(EngineError) as caught:
            command()
        assert code_of(caught) is EngineErrorCode.CLOSED
    assert engine.events() == []


@pytest.mark.parametrize(
    "spec",
    [
        PublicationSpec("audio", "", (OPUS,), {}, (Encoding(ssrc=1),)),
        PublicationSpec("audio", "0", (), {}, (Encoding(ssrc=1),)),
        PublicationSpec("audio", "0", (OPUS,), {}, ()),
        PublicationSpec("audio", "0", (OPUS,), {"mid": 15}, (Encoding(ssrc=1),)),
        PublicationSpec("audio", "0", (OPUS,), {"smell": 1}, (Encoding(ssrc=1),)),
        PublicationSpec("audio", "0", (Codec(200, "opus", 48_000),), {}, (Encoding(ssrc=1),)),
        PublicationSpec("audio", "0", (OPUS,), {}, (Encoding(rid="a" * 17),)),
        PublicationSpec("video", "0", (OPUS,), {}, (Encoding(rid="q", quality=3),)),
    ],
)
def test_a_publication_out_of_bounds_is_refused(spec: PublicationSpec) -> None:
    with running() as engine:
        ice = engine.create_transport(1)
        with pytest.raises(EngineError) as caught:
            engine.publish(ice.transport, spec)
        assert code_of(caught) is EngineErrorCode.ARGUMENT


def test_keys_of_the_wrong_length_are_refused() -> None:
    with running() as engine:
        ice = engine.create_transport(1)
        engine.set_srtp(ice.transport, KEYS)
        wrong = SrtpKeys("AEAD_AES_256_GCM", bytes(16), bytes(12), bytes(16), bytes(12))
        with pytest.raises(EngineError) as caught:
            engine.set_srtp(ice.transport, wrong)
        assert code_of(caught) is EngineErrorCode.ARGUMENT


def test_limits_are_kept() -> None:
    limits = EngineLimits(publications_per_transport=1, subscriptions_per_transport=1)
    with running(max_transports=1, limits=limits) as engine:
        ice = engine.create_transport(1)
        publication = engine.publish(ice.transport, AUDIO)
        engine.subscribe(ice.transport, publication, LISTEN, SubscriptionSettings())
        for command in (
            lambda: engine.create_transport(1),
            lambda: engine.publish(ice.transport, AUDIO),
            lambda: engine.subscribe(ice.transport, publication, LISTEN, SubscriptionSettings()),
        ):
            with pytest.raises(EngineError) as caught:
                command()
            assert code_of(caught) is EngineErrorCode.LIMIT


def test_the_event_descriptor_sleeps_until_something_happens() -> None:
    with running() as engine:
        assert select.select([engine.event_fd()], [], [], 0.05)[0] == []
        ice = new_transport(engine)
        client = UdpClient(engine)
        client.ask(binding(ice))
        assert select.select([engine.event_fd()], [], [], 2)[0]
        assert engine.events(0) == []
        assert select.select([engine.event_fd()], [], [], 0)[0]
        assert len(engine.events()) >= 1
        assert select.select([engine.event_fd()], [], [], 0.05)[0] == []


def test_commands_from_many_threads_at_once() -> None:
    with running(workers=2) as engine:
        failures: list[BaseException] = []

        def work(call: int) -> None:
            try:
                for _ in range(50):
                    ice = engine.create_transport(call)
                    engine.set_call(call, CallSettings(top_audio=3))
                    engine.publish(ice.transport, AUDIO)
                    engine.close_transport(ice.transport)
            except EngineError as error:
                failures.append(error)

        workers = [threading.Thread(target=work, args=(call,)) for call in range(8)]
        for thread in workers:
            thread.start()
        for thread in workers:
            thread.join()
        assert failures == []


def test_the_snapshot_is_at_most_a_second_old() -> None:
    with running() as engine:
        ice = engine.create_transport(7)
        deadline = time.monotonic() + 1 + SLACK
        while str(ice.transport) not in json.loads(engine.snapshot())["transports"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        worker = json.loads(engine.snapshot())["workers"][0]
        assert worker["net"]["panics"] == 0
        assert set(worker["net"]["lag"]) == {"turns", "busy_us", "max_us", "buckets"}


def test_the_digest_is_a_sha256() -> None:
    assert len(bytes.fromhex(_engine.source_digest())) == 32


def test_sctp_packets_are_judged_with_a_reason() -> None:
    assert _engine.check_sctp(b"") is not None
    assert _engine.check_sctp(bytes(12)) is not None
