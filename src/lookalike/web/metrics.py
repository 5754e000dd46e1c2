"""Figures about the running server, in the text format that Prometheus reads.

Names of collections and people are never among them.
"""

from typing import Final

from django.db.models import Count
from django.http import HttpRequest
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from lookalike.web.models import Job, JobState, LearningRun, UploadedPicture

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

SECONDS: Final = Histogram(
    "lookalike_request_seconds",
    "Time to answer a request.",
    ("route", "status"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
REFUSED: Final = Gauge(
    "lookalike_requests_refused",
    "Requests that were asked to come again, as too many came at once.",
    registry=REGISTRY,
)
JOBS: Final = Gauge("lookalike_jobs", "Jobs in each state.", ("state",), registry=REGISTRY)
RUNS: Final = Gauge(
    "lookalike_learning_runs",
    "Models that are learned, in each state.",
    ("state",),
    registry=REGISTRY,
)
UPLOADS: Final = Gauge("lookalike_uploads", "Pictures held to search with.", registry=REGISTRY)


def observe(request: HttpRequest, status: int, seconds: float) -> None:
    """Note a request that was answered."""
    match = request.resolver_match
    SECONDS.labels(match.view_name if match else "none", status).observe(seconds)


def figures() -> bytes:
    """Return all figures as of now."""
    for kind, gauge in ((Job, JOBS), (LearningRun, RUNS)):
        counted = kind._default_manager.values_list("state").annotate(Count("pk")).order_by()
        counts = dict(counted)
        for state in JobState.values:
            gauge.labels(state).set(counts.get(state, 0))
    UPLOADS.set(UploadedPicture.objects.count())
    return generate_latest(REGISTRY)
