"""The report on a data set, to read before training a model on it."""

from __future__ import annotations

from training.explore.explore import explore

__all__ = ["explore"]
