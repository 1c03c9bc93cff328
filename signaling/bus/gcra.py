"""The generic cell rate algorithm (ITU-T I.371, annex A): one number per key. Pure.

`redis.py` holds the same arithmetic in Lua; a test compares the two.
"""

from __future__ import annotations

from signaling.bus.port import Limit


def gcra(arrival: float, now: float, rate: float, burst: int, cost: int = 1) -> tuple[float, Limit]:
    """`arrival` is the stored theoretical arrival time (0 for a new key); returns the next one.

    A refused request costs nothing. A cost above the burst is never allowed.
    """
    if rate <= 0 or burst < 1 or cost < 1:
        raise ValueError("rate, burst and cost are positive")
    interval = 1.0 / rate
    if arrival < now:
        arrival = now
    after = arrival + cost * interval
    earliest = after - burst * interval
    # Half a microsecond forgives the rounding of binary fractions, never a whole request.
    if earliest > now + 5e-7:
        left = burst - (arrival - now) / interval + 1e-6
        return arrival, Limit(False, int(left) if left > 0 else 0, earliest - now, arrival - now)
    left = burst - (after - now) / interval + 1e-6
    return after, Limit(True, int(left) if left > 0 else 0, 0.0, after - now)
