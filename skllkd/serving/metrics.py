"""Metrics of a server, in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from skllkd.serving.model import ServedModel

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class ServerMetrics(Collector):
    """Requests and their durations, and the counts of the model served at present."""

    def __init__(self, served: Callable[[], ServedModel]) -> None:
        self._served = served
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._requests = Counter(
            "skllkd_requests",
            "Requests to /predict",
            ["status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "skllkd_request_seconds",
            "Durations of requests to /predict",
            buckets=_SECONDS,
            registry=self._registry,
        )

    def add(self, status: int, seconds: float) -> None:
        """Count a request to /predict."""
        self._requests.labels(str(status)).inc()
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """Return the metrics as Prometheus reads them."""
        return bytes(generate_latest(self._registry))

    @override
    def collect(self) -> Iterator[Metric]:
        served = self._served()
        texts = CounterMetricFamily("skllkd_texts", "Texts answered", labels=["source"])
        for source, n in served.traffic.n_texts.items():
            texts.add_metric([source], n)
        yield texts
        audit = served.cascade.audit_
        counts = {
            "checks": ("Answers of the student that were checked", audit.n_checked),
            "checks_right": ("Answers checked that were right", audit.n_right),
            "teacher_errors": ("Failed calls of the teacher", served.n_teacher_errors),
        }
        for name, (meaning, n) in counts.items():
            yield CounterMetricFamily(f"skllkd_{name}", meaning, value=n)
        levels = {
            "promise_holds": ("Whether the promise holds", int(audit.holds)),
            "waiting": ("Texts that wait", served.students.n_waiting),
            "waiting_teacher": ("Texts that wait", served.teachers.n_waiting),
        }
        for name, (meaning, level) in levels.items():
            yield GaugeMetricFamily(f"skllkd_{name}", meaning, value=level)
