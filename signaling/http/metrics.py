"""Prometheus text (exposition format 0.0.4): counts and gauges of the node, the process and HTTP.

No room, name, identity or address is ever a label. Pure rendering; `operator` gathers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]


@dataclass(slots=True)
class Metric:
    """One family: its kind is `counter` or `gauge`."""

    name: str
    kind: str
    text: str
    samples: list[tuple[Labels, float]] = field(default_factory=list)

    def add(self, value: float, **labels: str) -> Metric:
        self.samples.append((labels, value))
        return self


def counter(name: str, text: str, value: float | None = None) -> Metric:
    metric = Metric(name, "counter", text)
    return metric if value is None else metric.add(value)


def gauge(name: str, text: str, value: float | None = None) -> Metric:
    metric = Metric(name, "gauge", text)
    return metric if value is None else metric.add(value)


def render(metrics: Iterable[Metric]) -> str:
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.text}", f"# TYPE {metric.name} {metric.kind}"]
        lines += [f"{metric.name}{_labels(labels)} {_value(v)}" for labels, v in metric.samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escape(value)}"' for key, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _value(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
