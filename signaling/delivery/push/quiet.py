"""Until when is it quiet for somebody, by the clock on their wall? Pure."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from signaling.delivery.push.model import PushSettings, Quiet


def zone(name: str) -> ZoneInfo | None:
    """None for a name that the IANA database does not have."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def quiet_until(settings: PushSettings, now: float) -> float | None:
    """Unix time of its end; None when it is not quiet."""
    quiet, where = settings.quiet, zone(settings.time_zone) or ZoneInfo("UTC")
    if quiet is None:
        return None
    today = datetime.fromtimestamp(now, where).date()
    ends = [
        end
        for day in (today - timedelta(days=1), today)
        for start, end in [_window(quiet, day, where)]
        if start <= now < end and (not quiet.days or day.weekday() in quiet.days)
    ]
    return max(ends, default=None)


def _window(quiet: Quiet, day: date, where: ZoneInfo) -> tuple[float, float]:
    """Of that which begins on `day`. An end that is not later is the next day's."""
    start, end = time.fromisoformat(quiet.start), time.fromisoformat(quiet.end)
    last = day if end > start else day + timedelta(days=1)
    begins = datetime.combine(day, start, where).timestamp()
    return begins, datetime.combine(last, end, where).timestamp()
