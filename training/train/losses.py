"""The loss and the metric, in `keras.ops`, for any backend of Keras.

`wanted` is float32 (N, 103) as `targets` makes it, `logits` float32 (N, 101).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from edge.types import AGES
from training.train.config import LossSettings

Tensor = Any  # of Keras' backend
TINY = 1e-9


def age_loss(settings: LossSettings) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of each example, (N,): divergence from the target, and the error of the expected age."""
    by_divergence, by_years = settings.weights

    def loss(wanted: Tensor, logits: Tensor) -> Tensor:
        return by_divergence * divergence(wanted, logits) + by_years * mae(wanted, logits)

    return loss


def divergence(wanted: Tensor, logits: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the estimated distribution from the wanted one, (N,), in nats."""
    target = wanted[:, :AGES]
    gap = ops.log(ops.maximum(target, TINY)) - ops.log_softmax(logits)
    return ops.sum(target * gap, axis=-1)


def mae(wanted: Tensor, logits: Tensor) -> Tensor:
    """Years from the expected age to the interval of the label, (N,); 0 inside it."""
    ages = ops.arange(AGES, dtype="float32")
    expected = ops.sum(ops.softmax(logits) * ages, axis=-1)
    low, high = wanted[:, AGES], wanted[:, AGES + 1]
    return ops.maximum(ops.maximum(low - expected, expected - high), 0.0)
