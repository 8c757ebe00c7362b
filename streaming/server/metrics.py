"""Metrics for Prometheus: those of the streams, and the sum over several processes."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from streaming.server.limits import StreamSlots


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
        MultiProcessCollector(registry)
        return generate_latest(registry)
    return generate_latest(own) + generate_latest(registry)
