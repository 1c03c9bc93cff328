"""`make bench WHAT=...`: Sotto, LiveKit and the bare loop, side by side on this machine.

Figures are ratios of medians from the same run, with minimum, maximum and load average beside
them. The server has core 0, the client core 1. Nothing here is a capacity claim.
"""

from __future__ import annotations

import argparse
import sys

from people import SECTIONS as PEOPLE
from sections import SECTIONS as MEDIA
from sections import SHAPES, Plan
from servers import LIVEKIT_BATCHED, LIVEKIT_PLAIN, SOTTO_SERVER, BenchError
from sinks import SINKS, Sink, SinkError, missing

SECTIONS = {**MEDIA, **PEOPLE}


def parse(words: list[str]) -> tuple[list[str], Plan]:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("what", nargs="*", metavar="WHAT", help=", ".join(SECTIONS))
    parser.add_argument("--runs", type=int, default=5, help="rounds; the first is thrown away")
    parser.add_argument("--seconds", type=float, default=10, help="length of a measured window")
    parser.add_argument("--mode", choices=("dual", "single"), default="dual")
    parser.add_argument("--servers", default="sotto,livekit,livekit-batched")
    parser.add_argument("--sinks", default=",".join(SINKS), help="where video goes")
    parser.add_argument("--bursts", default="1,4,8,16", help="packets of a video frame")
    parser.add_argument("--client", action="append", default=[], metavar="NAME=VALUE")
    found = parser.parse_args(words)
    known = {kind.name: kind for kind in (SOTTO_SERVER, LIVEKIT_PLAIN, LIVEKIT_BATCHED)}
    names = [name for name in found.servers.split(",") if name]
    what = found.what or list(SECTIONS)
    if unknown := [name for name in [*what] if name not in SECTIONS]:
        parser.error(f"unknown section: {', '.join(unknown)}")
    if unknown := [name for name in names if name not in known]:
        parser.error(f"unknown server: {', '.join(unknown)}")
    if unknown := [name for name in found.sinks.split(",") if name not in SINKS]:
        parser.error(f"unknown sink: {', '.join(unknown)}")
    if unknown := [text for text in found.bursts.split(",") if text not in map(str, SHAPES)]:
        parser.error(f"unknown burst: {', '.join(unknown)}")
    extra: dict[str, object] = dict(pair.split("=", 1) for pair in found.client)
    servers = tuple(known[name] for name in names)
    sinks = usable(found.sinks.split(","))
    bursts = tuple(int(text) for text in found.bursts.split(","))
    return what, Plan(found.runs, found.seconds, found.mode, servers, extra, sinks, bursts)


def usable(names: list[str]) -> tuple[Sink, ...]:
    """The sinks that this machine has; says in a line why one is left out."""
    wanted = tuple(SINKS[name] for name in names)
    reason = missing() if any(sink.is_tun for sink in wanted) else ""
    if reason:
        print(f"bench: without the TUN tables: {reason}", file=sys.stderr)
    return tuple(sink for sink in wanted if not (sink.is_tun and reason))


def main() -> int:
    what, plan = parse(sys.argv[1:])
    try:
        for name in what:
            SECTIONS[name](plan)
    except (BenchError, SinkError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
