"""Medians with minimum and maximum, and the lines that are printed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from statistics import median


def spread(values: Sequence[float], digits: int = 2) -> str:
    """`median (min-max)`."""
    if not values:
        return "-"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def load() -> str:
    return "load " + " ".join(f"{value:.1f}" for value in os.getloadavg())


def line(*cells: object) -> None:
    first, *rest = cells
    print(f"{first!s:<34}" + "".join(f"{cell!s:>24}" for cell in rest), flush=True)


def title(text: str) -> None:
    print(f"\n{text}  [{load()}]", flush=True)
