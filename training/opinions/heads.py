"""Cross-fitting: the head that estimates a picture's age learned from other pictures, without its copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from edge.types import AGES
from training.opinions.settings import OpinionSettings
from training.train.targets import Floats, draw_weights, targets

CLIP = 6.0
"""Features are clipped to so many standard deviations: beyond, a face is unlike all the training faces."""

TINY = 1e-4
"""Added to standard deviations, as some features are the same for every face."""

Head = Callable[[Floats], Floats]
"""From features (N, D) to distributions over ages (N, 101)."""


def fold_of(groups: NDArray[np.intp], folds: int, seed: int) -> NDArray[np.intp]:
    """The fold of each picture, (N,), 0..folds-1; a group is in one fold; folds have equally many groups."""
    known, own = np.unique(groups, return_inverse=True)
    places = np.random.default_rng(seed).permutation(len(known)) % folds
    return np.asarray(places[own], np.intp)


def learn(said: Floats, low: Floats, high: Floats, settings: OpinionSettings, seed: int) -> Head:
    """Train a head on these pictures: features (N, D), youngest and oldest age (N,)."""
    import keras

    from training.train.losses import age_loss

    middle, spread = said.mean(0), said.std(0) + TINY

    def standard(features: Floats) -> Floats:
        return np.asarray(np.clip((features - middle) / spread, -CLIP, CLIP), np.float32)

    heads = settings.heads
    keras.utils.set_random_seed(seed)
    model = _network(said.shape[1], settings)
    steps = max(len(said) // heads.batch, 1) * heads.epochs
    rate = keras.optimizers.schedules.CosineDecay(heads.rate, steps)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=heads.weight_decay), age_loss(settings.loss))
    model.fit(
        standard(said),
        targets(low, high, settings.loss.target_sigma),
        sample_weight=draw_weights(low, high, settings.sampling.power, settings.sampling.smoothing),
        batch_size=heads.batch,
        epochs=heads.epochs,
        verbose=0,
    )
    return lambda features: np.asarray(softmax(keras.ops.convert_to_numpy(model(standard(features))), axis=1))


def _network(width: int, settings: OpinionSettings) -> Any:  # noqa: ANN401 (Keras has no types)
    import keras

    heads, layers = settings.heads, keras.layers
    return keras.Sequential(
        [
            keras.Input((width,)),
            layers.Dropout(heads.drop_in),
            layers.Dense(heads.hidden, "relu"),
            layers.Dropout(heads.drop),
            layers.Dense(AGES),
        ]
    )
