"""A datagram echo and its prober, for measuring the rig: `probe.py echo PORT` or
`probe.py ask ADDRESS PORT COUNT GAP_MS BYTES`, which prints what came back as JSON."""

from __future__ import annotations

import json
import socket
import sys
import time
from itertools import pairwise


def echo(port: int) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", port))
    print("ready", flush=True)
    while True:
        data, sender = sock.recvfrom(2048)
        sock.sendto(data, sender)


def ask(address: str, port: int, count: int, gap_ms: float, size: int) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((address, port))
    sock.setblocking(False)
    sent: dict[int, float] = {}
    trips: list[float] = []
    order: list[int] = []
    end = 0.0
    due = time.monotonic()
    while not end or time.monotonic() < end:
        now = time.monotonic()
        if len(sent) < count and now >= due:
            number = len(sent)
            sent[number] = now
            sock.send(number.to_bytes(4, "big").ljust(size, b"."))
            due += gap_ms / 1000
        if len(sent) == count and not end:
            end = now + 1.0
        try:
            number = int.from_bytes(sock.recv(2048)[:4], "big")
            trips.append((time.monotonic() - sent[number]) * 1000)
            order.append(number)
        except OSError:
            time.sleep(0.0005)
    late = sum(1 for a, b in pairwise(order) if b < a)
    answers = {"sent": count, "unique": len(set(order)), "all": len(order), "late": late}
    middle = sorted(trips)[len(trips) // 2] if trips else 0.0
    print(json.dumps({**answers, "median_ms": middle}))


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        echo(int(sys.argv[2]))
    else:
        where, to, many, gap, length = sys.argv[2:]
        ask(where, int(to), int(many), float(gap), int(length))
