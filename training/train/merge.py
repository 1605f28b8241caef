"""A run without training: the weights of several networks, averaged.

Networks that were fine-tuned from one another lie in one valley of the loss, and the mean of their weights
often judges better than each ("model soups", Wortsman et al. 2022, arXiv 2203.05482). A share of the network
before fine-tuning helps on pictures of another origin (Wortsman et al. 2021, arXiv 2109.01903).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import ConfigurationError
from edge.types import AGES
from training.train.config import ModelSettings, TrainSettings
from training.train.network import starting_model
from training.train.runs import open_folder, write_model


def parts(settings: TrainSettings) -> Iterator[tuple[ModelSettings, float]]:
    """The averaged networks with their shares, which sum to 1."""
    others = settings.merge
    yield settings.model, 1 - sum(part.share for part in others)
    for part in others:
        own = {"run": part.run, "bundle": part.bundle, "backbone": part.backbone}
        yield settings.model.model_copy(update=own), part.share


def merge(settings: TrainSettings) -> Path:
    """Write the averaged network as the model of a run, and return the run's folder.

    Raises ConfigurationError where a part is missing, or is another network.
    """
    model, mean = None, None
    for start, share in parts(settings):
        part = starting_model(start, settings.seed)
        weights = [share * weight for weight in part.get_weights()]
        if mean is not None and [w.shape for w in mean] != [w.shape for w in weights]:
            raise ConfigurationError(
                f"merge: {_named(start)} is another network than {_named(settings.model)}"
            )
        mean = weights if mean is None else [a + b for a, b in zip(mean, weights, strict=True)]
        model = model or part
    folder = open_folder(settings)
    _tilt(model, mean, settings.tilt)
    write_model(model, folder)
    return folder


def _tilt(model: Any, weights: Any, tilt: float) -> None:  # noqa: ANN401 (Keras has no types)
    """Set the weights, with `tilt` x age added to the logit of each age: the last bias takes it."""
    model.set_weights(weights)
    head = model.get_layer("age")
    kernel, bias = head.get_weights()
    head.set_weights([kernel, bias + np.float32(tilt) * np.arange(AGES, dtype=np.float32)])


def _named(start: ModelSettings) -> str:
    return str(start.run or start.bundle or start.backbone or "random weights")
