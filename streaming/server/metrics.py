"""Metrics for Prometheus: those of the streams, and the sum over several processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from streaming.server.limits import StreamSlots

DELAYS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """Figures of this process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.audio_seconds = Counter(
            "rill_heard_seconds", "Seconds of audio recognised.", registry=self.registry
        )
        self.work_seconds = Counter(
            "rill_work_seconds", "Seconds of recognition.", registry=self.registry
        )
        self.refusals = Counter(
            "rill_refusals", "Requests refused.", ["code"], registry=self.registry
        )
        self.delay_seconds = Histogram(
            "rill_delay_seconds",
            "Seconds from the arrival of a chunk's last samples until its words are ready.",
            buckets=DELAYS,
            registry=self.registry,
        )


class SlotMetrics(Collector):
    """Streams and processes of the whole server."""

    def __init__(self, slots: StreamSlots) -> None:
        self._slots = slots

    def collect(self) -> Iterator[Metric]:
        """The figures now."""
        slots = self._slots
        yield GaugeMetricFamily("rill_streams", "Running streams.", value=slots.taken)
        yield GaugeMetricFamily(
            "rill_processes", "Processes that accept connections.", value=slots.processes
        )
        yield CounterMetricFamily(
            "rill_processes_replaced",
            "Processes that ended unasked and were replaced.",
            value=slots.replaced,
        )
        yield GaugeMetricFamily(
            "rill_processes_not_responding",
            "Processes that are late to respond.",
            value=slots.not_responding,
        )
        yield CounterMetricFamily(
            "rill_processes_hung",
            "Processes that did not respond and were killed.",
            value=slots.hung,
        )


def exposition(own: CollectorRegistry, slots: StreamSlots, is_shared: bool) -> bytes:
    """All figures in Prometheus' text format.

    Args:
        own: figures of this process.
        is_shared: other processes have such figures too, in the files of prometheus-client's
            multiprocess mode; the answer is the sum.
    """
    registry = CollectorRegistry()
    registry.register(SlotMetrics(slots))
    if is_shared:
        with suppress(ValueError):  # somebody has removed the folder
            MultiProcessCollector(registry)
        return generate_latest(registry)
    return generate_latest(own) + generate_latest(registry)
