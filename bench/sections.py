"""What each section of `make bench` measures, and how its figures are printed.

Servers alternate run by run; the first round of each is thrown away. `run.py` drives it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from servers import LIVEKIT_BATCHED, LIVEKIT_PLAIN, SOTTO_SERVER, BenchError, Kind, running
from sinks import LOOPBACK, Sink
from table import line, spread, title
from tools import Report, bare, build_all, client

# RTP payload bytes of a video and an audio packet.
VIDEO, AUDIO = 1100, 80
# A server that lost more than this was not measured at the load of the others.
LOST_MOST = 0.05
# Seconds until a server has forgotten those who left.
GONE = 35


@dataclass(frozen=True)
class Plan:
    """How often and how long; from the command line."""

    runs: int = 5
    seconds: float = 10
    mode: str = "dual"
    servers: tuple[Kind, ...] = (SOTTO_SERVER, LIVEKIT_PLAIN, LIVEKIT_BATCHED)
    extra: dict[str, object] = field(default_factory=dict)
    # Where `video` sends to, each in a table of its own.
    sinks: tuple[Sink, ...] = (LOOPBACK,)
    bursts: tuple[int, ...] = (1, 4, 8, 16)

    def measured(self) -> int:
        return max(1, self.runs - 1)


Results = dict[str, list[Report]]


def alternate(
    plan: Plan, servers: Sequence[Kind], options: dict[str, object], sink: Sink = LOOPBACK
) -> Results:
    """Reports of each server by name; a server that fails in a run has one report fewer."""
    results: Results = {kind.name: [] for kind in servers}
    flags = {"mode": plan.mode, "seconds": plan.seconds, **options, **plan.extra}
    for number in range(plan.runs):
        for kind in servers:
            try:
                with running(kind, sink) as server:
                    report = client(server, flags)
            except BenchError as error:
                line(f"  {kind.name}", f"run {number + 1} failed: {error}")
                continue
            if reason := _unfit(report):
                line(f"  {kind.name}", f"run {number + 1} does not count: {reason}")
            elif number > 0 or plan.runs == 1:
                results[kind.name].append(report)
    return results


def _unfit(report: Report) -> str:
    """Why a run says nothing of the load that was asked for; empty when it does."""
    lost = report.get("lost", 0) / max(1, report.get("expected", 1))
    return f"{100 * lost:.0f} % lost" if lost > LOST_MOST else ""


def _floats(reports: Sequence[Report], *path: str) -> list[float]:
    values = []
    for report in reports:
        value: object = report
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, int | float):
            values.append(float(value))
    return values


def _costs(results: Results) -> None:
    names = ("us/packet", "packets/s", "core share", "delivered %", "lost %", "p99 delay ms")
    line("", *names)
    for name, reports in results.items():
        lost = [100 * report["lost"] / max(1, report["expected"]) for report in reports]
        line(
            f"  {name}",
            spread(_floats(reports, "cpu_us_per_packet")),
            spread(_floats(reports, "packets_per_second"), 0),
            spread(_floats(reports, "cpu_share")),
            spread([100 * value for value in _floats(reports, "delivered")], 1),
            spread(lost, 3),
            spread([value / 1000 for value in _floats(reports, "delay_us", "p99")]),
        )
        if dropped := sum(_floats(reports, "dropped_by_device")):
            line(f"  {name}", f"{dropped:.0f} dropped by the TUN device: figures are too low")
        _runs(name, reports)
    profiles = {name: reports[0].get("profile") for name, reports in results.items() if reports}
    line("  srtp", *(f"{name} {profile}" for name, profile in profiles.items()))


def _runs(name: str, reports: Sequence[Report]) -> None:
    """How many packets went out in one send, as one subscriber's socket or the device saw it."""
    if not reports:
        return
    lengths = sorted({int(length) for report in reports for length in report["runs"]})
    shares = {length: _floats(reports, "runs", str(length)) for length in lengths}
    means = {length: sum(part) / len(reports) for length, part in shares.items()}
    cells = (f"{length}: {100 * share:.0f} %" for length, share in means.items() if share >= 0.005)
    print(f"  {name} runs  " + "  ".join(cells), flush=True)


def _median_cost(results: Results, name: str) -> float | None:
    costs = _floats(results.get(name, []), "cpu_us_per_packet")
    return median(costs) if costs else None


def _ratios(results: Results, limit: float | None) -> None:
    ours = _median_cost(results, SOTTO_SERVER.name)
    peers = [_median_cost(results, kind.name) for kind in (LIVEKIT_PLAIN, LIVEKIT_BATCHED)]
    best = min((cost for cost in peers if cost is not None), default=None)
    if ours and best:
        line("  livekit (better) / sotto", f"{best / ours:.2f}")
    if ours and limit:
        line("  sotto / bare loop", f"{ours / limit:.2f}")


def _limit(
    plan: Plan, size: int, run: int, receivers: int, rate: int, sink: Sink = LOOPBACK
) -> float:
    shape = {"size": size, "run": run, "receivers": receivers, "rate": rate}

    def once() -> float:
        report = bare(**shape, seconds=plan.seconds / 2, sink=sink)
        return float(report["cpu_us_per_packet"])

    costs = [once() for _ in range(plan.measured())]
    line(f"  bare loop, runs of {run}", spread(costs))
    return median(costs)


# Publishers and subscribers at each burst: about 20,000 packets/s, of which LiveKit's core is
# half full.
SHAPES = {1: (3, 200), 4: (1, 160), 8: (1, 80), 16: (1, 40)}


def video(plan: Plan) -> None:
    """CPU per forwarded packet at about 20,000 packets/s, then 1 to 200 without LiveKit."""
    for burst in plan.bursts:
        _video(plan, burst, *SHAPES[burst], plan.servers)
    only = [kind for kind in plan.servers if kind == SOTTO_SERVER]
    for burst in plan.bursts if only else ():
        _video(plan, burst, 1, 200, only)


def _video(
    plan: Plan, burst: int, publishers: int, subscribers: int, servers: Sequence[Kind]
) -> None:
    options = _media("video", burst, VIDEO, publishers, subscribers)
    rate = publishers * subscribers * burst * 30
    for sink in plan.sinks:
        shape = f"bursts of {burst}: {publishers} to {subscribers}, {VIDEO} B, 30 frames/s"
        title(f"video, {shape}, {sink.title}")
        build_all(servers)
        with sink.entered():
            results = alternate(plan, servers, options, sink)
            _costs(results)
            _ratios(results, _limit(plan, VIDEO, burst, subscribers, rate, sink))


def _media(
    kind: str, burst: int, size: int, publishers: int, subscribers: int
) -> dict[str, object]:
    return {
        "kind": kind,
        "burst": burst,
        "size": size,
        "publishers": publishers,
        "subscribers": subscribers,
    }


def audio(plan: Plan) -> None:
    """Ten speakers: 40 listeners beside LiveKit, 200 alone."""
    for subscribers, servers in ((40, plan.servers), (200, (SOTTO_SERVER,))):
        title(f"audio: 10 to {subscribers}, {AUDIO} B, one packet each 20 ms")
        chosen = [kind for kind in servers if kind in plan.servers]
        results = alternate(plan, chosen, _media("audio", 1, AUDIO, 10, subscribers))
        _costs(results)
        for run in (1, 4):
            _ratios(results, _limit(plan, AUDIO, run, subscribers, 500 * subscribers))


def meeting(plan: Plan) -> None:
    """Twenty people who all see each other."""
    title("meeting: 20 by 20, video in bursts of 2")
    options = {"kind": "video", "meeting": 20, "burst": 2, "size": VIDEO, "sample": 4}
    results = alternate(plan, plan.servers, options)
    _costs(results)
    _ratios(results, _limit(plan, VIDEO, 2, 20, 20 * 19 * 60))


def loss(plan: Plan) -> None:
    """Subscribers that lose one packet in a hundred and ask again."""
    for subscribers, servers in ((80, plan.servers), (200, (SOTTO_SERVER,))):
        title(f"loss: 1 to {subscribers}, bursts of 8, 1 % lost")
        chosen = [kind for kind in servers if kind in plan.servers]
        options = {**_media("video", 8, VIDEO, 1, subscribers), "loss": 1}
        results = alternate(plan, chosen, options)
        _costs(results)
        for name, reports in results.items():
            line(f"  {name} retransmitted", spread(_floats(reports, "retransmitted"), 0))
        _ratios(results, None)


def join(plan: Plan) -> None:
    """From opening the socket to the first packet and the first whole picture; joins per second."""
    title("join: 100 subscribers at 20 a second")
    options = {**_media("video", 4, VIDEO, 1, 100), "join-rate": 20, "in-flight": 1000}
    for name, reports in alternate(plan, plan.servers, options).items():
        _joined(f"{name} first", reports)
    title("join: 300 joins and leaves as fast as they are served")
    options = {**_media("video", 1, VIDEO, 1, 0), "churn": 300, "join-rate": 500, "fps": 60}
    for name, reports in alternate(plan, plan.servers, options).items():
        line(f"  {name} joins/s", spread(_floats(reports, "joins_per_second"), 1))
        _joined(f"{name} first", reports)


def _joined(what: str, reports: Sequence[Report]) -> None:
    for thing, name in (("packet", "join_us"), ("frame", "first_frame_us")):
        values = [_floats(reports, name, which) for which in ("p50", "p95")]
        times = (spread([v / 1000 for v in part], 0) for part in values)
        line(f"  {what} {thing}, p50, p95 ms", *times)


def data(plan: Plan) -> None:
    """Reliable messages from one to ten, offered faster than they can be relayed."""
    for rate in (500, 5000):
        title(f"data: 1 to 10, 100 B, {rate} offered each second")
        options: dict[str, object] = {
            "kind": "data",
            "publishers": 1,
            "subscribers": 10,
            "data-rate": rate,
        }
        line("", "relayed/s", "us/message", "p99 delay ms", "lost")
        for name, reports in alternate(plan, plan.servers, options).items():
            missing = [r["expected"] - r["received"] - r["late"] for r in reports]
            line(
                f"  {name}",
                spread(_floats(reports, "messages_per_second"), 0),
                spread(_floats(reports, "cpu_us_per_message"), 1),
                spread([v / 1000 for v in _floats(reports, "delay_us", "p99")]),
                spread(missing, 0),
            )


def memory(plan: Plan) -> None:
    """Resident memory for each subscriber, then what many joins and leaves left behind."""
    title("memory: 200 subscribers, then joins and leaves")
    churn = int(str(plan.extra.get("churn", 10_000)))
    for kind in plan.servers:
        with running(kind) as server:
            time.sleep(2)
            idle = server.memory_kb()
            flags: dict[str, object] = {"mode": plan.mode, "seconds": 2, "burst": 2}
            some = {**flags, **_media("video", 2, VIDEO, 1, 1)}
            client(server, some)
            before = server.memory_kb()
            full = {**some, "subscribers": 200}
            peak = _peak_of(server.memory_kb, partial(client, server, full))
            line(f"  {kind.name} idle MB, KB/participant", idle // 1024, (peak - before) // 200)
            time.sleep(GONE)
            base = server.holds()
            many = {**flags, "publishers": 1, "subscribers": 0, "churn": churn, "join-rate": 200}
            done = client(server, many, timeout=3600)
            time.sleep(GONE)
            after = server.holds()
            change = (f"{name} {base[name]} -> {after[name]}" for name in base)
            line(f"  {kind.name} after {done['joins']} joins", *change)


def _peak_of(probe: Callable[[], int], work: Callable[[], Report]) -> int:
    from concurrent.futures import ThreadPoolExecutor

    peak = probe()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        while not future.done():
            peak = max(peak, probe())
            time.sleep(0.2)
        future.result()
    return peak


def idle(plan: Plan) -> None:
    """A server that nobody uses, ten seconds after its start."""
    title("idle")
    for kind in plan.servers:
        with running(kind) as server:
            time.sleep(10)
            line(f"  {kind.name} MB, descriptors", server.memory_kb() // 1024, server.descriptors())


SECTIONS: dict[str, Callable[[Plan], None]] = {
    "video": video,
    "audio": audio,
    "meeting": meeting,
    "loss": loss,
    "join": join,
    "data": data,
    "memory": memory,
    "idle": idle,
}
