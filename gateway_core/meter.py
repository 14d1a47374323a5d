"""Counters and gauges by name, rendered as Prometheus text from a registry of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""What an HTTP answer that holds `Meter.render` says it is."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value read at scrape time.

    Attributes:
        name: Without ``_total``, which counters get by themselves.
        value: Finite.
        labels: Label to value; the same labels in every sample of a name.
        kind: ``counter`` for what only grows.
        help: One sentence; the first sample of a name gives it.
    """

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["counter", "gauge"] = "gauge"
    help: str = ""


class Meter:
    """The metrics of one program.

    What a part counts itself goes to `count` and `set`; what is already counted elsewhere (the
    spool's books) is read by a function given to `observe`, once for each scrape.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._times: dict[str, Histogram] = {}

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add ``amount`` (not negative) to the counter ``name`` (without ``_total``)."""
        counter = self._counters.get(name)
        if counter is None:
            counter = Counter(name, name.replace("_", " "), tuple(labels), registry=self._registry)
            self._counters[name] = counter
        (counter.labels(**labels) if labels else counter).inc(amount)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set the gauge ``name``."""
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = Gauge(name, name.replace("_", " "), tuple(labels), registry=self._registry)
            self._gauges[name] = gauge
        (gauge.labels(**labels) if labels else gauge).set(value)

    def time(self, name: str, seconds: float, **labels: str) -> None:
        """Enter a duration in seconds into the histogram ``name`` (ends in ``_seconds``)."""
        times = self._times.get(name)
        if times is None:
            times = Histogram(name, name.replace("_", " "), tuple(labels), registry=self._registry)
            self._times[name] = times
        (times.labels(**labels) if labels else times).observe(seconds)

    def observe(self, read: Callable[[], Iterable[Sample]]) -> None:
        """Call ``read`` at each scrape and show what it returns."""
        self._registry.register(_Observed(read))

    def render(self) -> bytes:
        """Return the metrics in the Prometheus text format."""
        return generate_latest(self._registry)


class _Observed(Collector):
    def __init__(self, read: Callable[[], Iterable[Sample]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Say nothing beforehand: the names are known when the samples are."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Turn the samples into families, one for each name."""
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for sample in self._read():
            family = families.get(sample.name)
            if family is None:
                shape = CounterMetricFamily if sample.kind == "counter" else GaugeMetricFamily
                text = sample.help or sample.name.replace("_", " ")
                family = shape(sample.name, text, labels=tuple(sample.labels))
                families[sample.name] = family
            family.add_metric(tuple(sample.labels.values()), sample.value)
        return families.values()
