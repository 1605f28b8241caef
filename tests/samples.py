"""One figure of the metrics, exported or not."""

from __future__ import annotations

from collections.abc import Mapping

from edge.ops.metrics import Metrics


def sample(metrics: Metrics, name: str, labels: Mapping[str, str] | None = None) -> float | None:
    """The value of a series, such as `instore_batch_crops_sum`; None where there is none."""
    found = metrics.registry.get_sample_value(name, dict(labels or {}))
    return metrics.private.get_sample_value(name, dict(labels or {})) if found is None else found
