"""From prepared faces to a run: the network, its targets, its batches, the loop, the run's files."""

from __future__ import annotations

from training.train.config import TrainSettings, load_config
from training.train.runs import Run, load_run

__all__ = ["Run", "TrainSettings", "load_config", "load_run"]
