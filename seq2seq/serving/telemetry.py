"""Metrics for Prometheus, using its own client library."""

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """Counts what one application does, in its own registry."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "seq2seq_requests_total",
            "Requests answered.",
            ("path", "status"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "seq2seq_request_seconds",
            "Time from the head of a request to its answer.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=registry,
        )
        self.texts = Counter(
            "seq2seq_texts_total", "Texts translated: lines, HTML blocks.", registry=registry
        )
        self.characters = Counter(
            "seq2seq_characters_total", "Characters of requests answered.", registry=registry
        )
        self.batch_texts = Histogram(
            "seq2seq_batch_texts",
            "Texts translated together.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=registry,
        )
        self._waiting = Gauge(
            "seq2seq_waiting_requests", "Requests whose texts wait.", registry=registry
        )
        ProcessCollector(registry=registry)

    def watch_waiting(self, waiting: Callable[[], int]) -> None:
        """Ask `waiting` at each scrape how many requests wait."""
        self._waiting.set_function(waiting)

    def render(self) -> bytes:
        """Return the response to a scrape, in Prometheus's text format."""
        return generate_latest(self._registry)
