"""Pictures whose age is their brightness, and settings of a run that takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from training.train.batches import Examples
from training.train.config import TrainSettings, validate

CONFIG = """
name = "tiny"
runs = "{root}/runs"
[data]
folder = "{root}/faces"
cache = "{root}/cache"
size = 80
[model]
size = 64
width = 0.1
[loop]
batch = 4
epochs = 1
epoch_steps = 2
"""
"""A run on the faces in a folder `root`, as a file has it."""


def examples(count: int = 24, size: int = 64, seed: int = 0) -> Examples:
    """Ages 0..99 in years, each picture twice as bright as its age and noisy."""
    random = np.random.default_rng(seed)
    ages = random.integers(0, 100, count).astype(np.float32)
    noise = random.integers(0, 40, (count, size, size, 3))
    crops = (noise + 2 * ages[:, None, None, None]).astype(np.uint8)
    return Examples(crops, np.arange(count), ages, ages)


def said(model: Any, crops: np.ndarray) -> np.ndarray:
    """What a network gives for crops, whatever Keras' backend."""
    import keras

    return np.asarray(keras.ops.convert_to_numpy(model(crops)))


def table(runs: Path, **sections: Any) -> dict[str, Any]:
    """The tables of a configuration file, with `sections` laid over them."""
    made: dict[str, Any] = {
        "name": "tiny",
        "runs": str(runs),
        "data": {"folder": "faces", "size": 64},
        "model": {"size": 64, "width": 0.1},
        "loop": {"batch": 4, "epochs": 2, "epoch_steps": 3},
    }
    for name, section in sections.items():
        made[name] = {**made.get(name, {}), **section} if isinstance(section, dict) else section
    return made


def settings(runs: Path, **sections: Any) -> TrainSettings:
    return validate(TrainSettings, table(runs, **sections), "tiny.toml")
