"""What a data set holds, as a report to look at before a model is trained on it."""

from __future__ import annotations

from training.explore.explore import explore

__all__ = ["explore"]
