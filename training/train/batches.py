"""The batches of a run, as functions of the seed alone.

Every batch depends on (seed, epoch, step) only, so that a resumed run continues with the batches that it
would have seen, and several workers share a batch without communication.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.preprocess import to_batch
from edge.types import AGES, Image
from training.dataset.prepare import Crops
from training.train.augment import augment, blend
from training.train.config import AugmentSettings, TrainSettings
from training.train.targets import Floats, draw_weights, targets

Indices = NDArray[np.int64]

NEIGHBOURS = 5.0
"""Two pictures whose ages lie at most this many years apart may be blended."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """N labelled pictures.

    crops: M crops, uint8 (S, S, 3) RGB, which may lie on disk. rows: (N,), the crop of each example. low,
    high: (N,), the youngest and the oldest age in years that its label allows. sets: (N,), the
    place of the data set of each in `data.sets`, of composites the one after the last; None for one set.
    opinions: float32 (N, 101), the estimates of a teacher, if there is one.
    """

    crops: Crops
    rows: Indices
    low: Floats
    high: Floats
    sets: Indices | None = None
    opinions: Floats | None = None

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.low) == len(self.high):
            raise ValueError(f"{len(self.rows)} rows, {len(self.low)} low and {len(self.high)} high ages")

    def __len__(self) -> int:
        return len(self.rows)

    def crop(self, index: int) -> Image:
        """The picture of example `index`."""
        return np.asarray(self.crops[self.rows[index]])

    def read(self, size: int) -> Image:
        """Every picture as a box shows it to the model, uint8 (N, size, size, 3)."""
        return to_batch([self.crop(index) for index in range(len(self))], size)


def draw(weights: NDArray[np.float64], count: int, random: np.random.Generator) -> Indices:
    """`count` indices in random order, each as often as its weight says, give or take one.

    Systematic resampling: unlike independent draws it repeats or leaves out no picture by chance.
    """
    order = random.permutation(len(weights))
    ends = np.cumsum(weights[order])
    points = (np.arange(count) + random.random()) * ends[-1] / count
    places = np.minimum(np.searchsorted(ends, points, side="right"), len(order) - 1)
    return np.asarray(random.permutation(order[places]), np.int64)


def shared(
    weights: NDArray[np.float64], sets: Indices | None, shares: Sequence[float]
) -> NDArray[np.float64]:
    """The weights, (N,), scaled so that those of each data set sum to its share of the whole.

    sets: (N,), places in `shares`; None, for one set, leaves the weights as they are.
    """
    if sets is None:
        return weights
    sums = np.bincount(sets, weights, minlength=len(shares))
    return np.asarray(weights * (np.asarray(shares) / np.maximum(sums, 1e-9))[sets] * len(weights))


class Batches:
    """The batches of a run, numbered from 0 through all epochs; `part` of `parts` is this worker's."""

    def __init__(self, examples: Examples, settings: TrainSettings, part: int = 0, parts: int = 1) -> None:
        self._examples = examples
        self._settings = settings
        self._part, self._parts = part, parts
        self._targets = _taught(examples, settings)
        sampling = settings.sampling
        weights = draw_weights(examples.low, examples.high, sampling.power, sampling.smoothing)
        self._weights = shared(weights, examples.sets, _shares(settings))
        self._by_age = np.argsort(examples.low + examples.high, kind="stable")
        self._epoch: tuple[int, Indices] = (-1, np.empty(0, np.int64))

    def make(self, step: int) -> tuple[Image, Floats]:
        """Batch `step`: crops uint8 (n, size, size, 3) and targets (n, 103), see `targets`."""
        settings = self._settings
        random = np.random.default_rng([settings.seed, 1, step])
        seeds = random.integers(0, 2**32, settings.loop.batch)
        own = slice(self._part, None, self._parts)
        made = [
            self._example(int(i), int(seed))
            for i, seed in zip(self._indices(step)[own], seeds[own], strict=True)
        ]
        return np.stack([image for image, _ in made]), np.stack([target for _, target in made])

    def _indices(self, step: int) -> Indices:
        loop = self._settings.loop
        epoch, place = divmod(step, loop.epoch_steps)
        known, indices = self._epoch  # read once: two threads make batches
        if known != epoch:
            random = np.random.default_rng([self._settings.seed, 0, epoch])
            indices = draw(self._weights, loop.epoch_steps * loop.batch, random)
            self._epoch = epoch, indices
        return indices[place * loop.batch :][: loop.batch]

    def _example(self, index: int, seed: int) -> tuple[Image, Floats]:
        random = np.random.default_rng(seed)
        image, target = self._augmented(index, random), self._targets[index]
        if random.random() >= self._settings.augment.mix:
            return image, target
        other = self._neighbour(index, random)
        share = float(random.uniform(0, 0.5))
        mixed = (1 - share) * target + share * self._targets[other]
        return blend(image, self._augmented(other, random), share), mixed.astype(np.float32)

    def _augmented(self, index: int, random: np.random.Generator) -> Image:
        settings: AugmentSettings = self._settings.augment
        return augment(self._examples.crop(index), settings, self._settings.model.size, random)

    def _neighbour(self, index: int, random: np.random.Generator) -> int:
        """A random picture of about the same age; the picture itself where there is none."""
        middle = self._examples.low + self._examples.high
        ordered = middle[self._by_age]
        first = int(np.searchsorted(ordered, middle[index] - 2 * NEIGHBOURS, "left"))
        last = int(np.searchsorted(ordered, middle[index] + 2 * NEIGHBOURS, "right"))
        return int(self._by_age[random.integers(first, last)])


def _shares(settings: TrainSettings) -> tuple[float, ...]:
    """The share of each data set, and of the composites after the last, if there are any."""
    own = settings.data.shares
    if not settings.teacher.composites:
        return own
    composed = settings.teacher.composites_share
    return (*((1 - composed) * share for share in own), composed)


def _taught(examples: Examples, settings: TrainSettings) -> Floats:
    """The targets of the examples, (N, 103), with the teacher's opinion in them; composites have no other."""
    wanted = targets(examples.low, examples.high, settings.loss.target_sigma)
    if examples.opinions is not None:
        share = np.full((len(examples), 1), settings.teacher.share, np.float32)
        if examples.sets is not None:
            share[examples.sets == len(settings.data.shares)] = 1
        wanted[:, :AGES] = (1 - share) * wanted[:, :AGES] + share * examples.opinions
    return wanted


def train_dataset(batches: Batches, first: int, settings: TrainSettings) -> Any:  # noqa: ANN401 (untyped)
    """The batches from number `first` to the last as a tf.data.Dataset, made beside the training."""
    import tensorflow as tf

    size, loop = settings.model.size, settings.loop

    def make(step: Any) -> tuple[Any, Any]:  # noqa: ANN401 (TensorFlow has no types)
        images, wanted = tf.numpy_function(lambda n: batches.make(int(n)), [step], [tf.uint8, tf.float32])
        return tf.ensure_shape(images, (None, size, size, 3)), tf.ensure_shape(wanted, (None, 103))

    steps = tf.data.Dataset.range(first, loop.epochs * loop.epoch_steps)
    return steps.map(make, num_parallel_calls=2, deterministic=True).prefetch(4)


def validation_dataset(examples: Examples, settings: TrainSettings) -> Any:  # noqa: ANN401 (untyped)
    """The crops as a box sees them, in their order, without augmentation."""
    import tensorflow as tf

    crops = examples.read(settings.model.size)
    wanted = targets(examples.low, examples.high, settings.loss.target_sigma)
    return tf.data.Dataset.from_tensor_slices((crops, wanted)).batch(settings.loop.batch).prefetch(2)
