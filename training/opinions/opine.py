"""`instore-training opinions`: write age estimates of other networks as a teacher's file for `train`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError
from edge.ops.terminal import Progress, silent
from edge.types import AGES
from training.dataset import prepare
from training.evaluation.scores import expected_ages
from training.evaluation.truth import Truth
from training.opinions.composites import compose, pairs
from training.opinions.features import Network, features, opened
from training.opinions.heads import Head, fold_of, learn
from training.opinions.settings import OpinionSettings
from training.terms import AND
from training.train.batches import Examples, shared
from training.train.job import examples
from training.train.targets import Floats, draw_weights
from training.train.teacher import Opinions

LEARNING = "training heads"
SOURCE = "a head on the features of {}, trained on other faces of the same data"


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean absolute errors of the opinions in years.

    learnt: of the opinions in the file, each from a head that did not learn from the picture. held_out: of
    the mean of the heads on the validation part.
    """

    pictures: int
    learnt: float
    held_out: float


def opine(settings: OpinionSettings, out: Path, progress: Progress = silent) -> Quality:
    """Write the opinions on the pictures of the train part to the file `out`; their errors.

    With `composites.count` also faces put together from two of these, in a folder beside it (`beside`).
    Raises ConfigurationError on unusable data or networks, and where `out` exists or cannot be written.
    """
    _require_free(out)
    if settings.composites.count:
        _require_free(beside(out))
    networks, data = opened(settings.networks), settings.data
    prepared = prepare(
        data.folders, size=data.size, scale=data.scale, cache=data.cache, seed=data.seed, progress=progress
    )
    own, others = examples(prepared, "train"), examples(prepared, "validation")
    view = partial(_views, networks, settings=settings, progress=progress)
    all_said = view(_joined(own, others))
    said, apart = all_said[:, : len(own)], all_said[:, len(own) :]
    heads, fold = _cross_fitted(said, own, prepared.groups[own.rows], settings, progress)
    probs = _each_by_its_own(heads, said, fold)
    held_out = np.mean([head(apart) for head in heads], axis=0)
    source = SOURCE.format(" and ".join(network.source for network in settings.networks))
    terms = AND.join(network.terms for network in settings.networks)
    if settings.composites.count:
        chosen = _chosen(own, prepared.groups[own.rows], fold, settings)

        def judge(made: Examples, first: NDArray[np.intp]) -> Floats:
            return _each_by_its_own(heads, view(made), fold[first])

        keys, folder = prepared.keys[own.rows], beside(out)
        compose(own, chosen, judge, folder, keys=keys, seed=settings.seed, progress=progress)
    Opinions(prepared.keys[own.rows].tolist(), probs, source, terms).write(out)
    return Quality(len(own), _error(probs, own), _error(held_out, others))


def _chosen(
    own: Examples, groups: NDArray[np.intp], fold: NDArray[np.intp], settings: OpinionSettings
) -> NDArray[np.intp]:
    """The pairs of faces to put together, drawn as often as `train` draws the first of each."""
    weights = draw_weights(own.low, own.high, settings.sampling.power, settings.sampling.smoothing)
    weights = shared(weights, own.sets, settings.data.shares)
    random = np.random.default_rng([settings.seed, 2])
    ages, count = (own.low + own.high) / 2, settings.composites.count
    return pairs(ages, fold, groups, weights=weights, count=count, random=random)


def beside(out: Path) -> Path:
    """The folder of the composites that belong to a file of opinions."""
    return out.with_suffix(".composites")


def _joined(a: Examples, b: Examples) -> Examples:
    """The examples of two parts of the same data, one after the other."""
    rows = np.concatenate([a.rows, b.rows])
    return Examples(a.crops, rows, np.concatenate([a.low, b.low]), np.concatenate([a.high, b.high]))


def _views(
    networks: Sequence[Network], examples: Examples, *, settings: OpinionSettings, progress: Progress
) -> Floats:
    """The features of the faces, and of the mirrored ones where these are asked for, (V, N, D)."""
    turns = (False, True) if settings.heads.mirror else (False,)
    return np.stack([features(networks, examples, progress, mirrored=turn) for turn in turns])


def _cross_fitted(
    said: Floats, own: Examples, groups: NDArray[np.intp], settings: OpinionSettings, progress: Progress
) -> tuple[list[Head], NDArray[np.intp]]:
    """A head for each fold, trained on the other folds, and the fold of each picture, (N,).

    said: (V, N, D), the features of each view of the pictures.
    """
    folds, heads = settings.heads.folds, []
    fold = fold_of(groups, folds, settings.seed)
    for number in range(folds):
        rest = np.flatnonzero(fold != number)
        low, high = np.tile([own.low[rest], own.high[rest]], len(said))
        seeds = settings.seed + number + folds * np.arange(settings.heads.count)
        heads.append(
            _mean([learn(np.concatenate(said[:, rest]), low, high, settings, int(s)) for s in seeds])
        )
        progress(LEARNING, number + 1, folds)
    return heads, fold


def _mean(heads: Sequence[Head]) -> Head:
    """A head that says the mean of what these say of all views, (V, N, D)."""
    return lambda said: np.mean([head(view) for head in heads for view in said], axis=0)


def _each_by_its_own(heads: Sequence[Head], said: Floats, fold: NDArray[np.intp]) -> Floats:
    """For each picture the distribution from the head of its fold, (N, 101)."""
    probs = np.zeros((said.shape[1], AGES), np.float32)
    for number, head in enumerate(heads):
        probs[fold == number] = head(said[:, fold == number])
    return probs


def _error(probs: Floats, examples: Examples) -> float:
    """Mean years from the expected age to the interval of the label."""
    estimates = expected_ages(probs)
    return float(np.abs(estimates - Truth.of(examples.low, examples.high).nearest(estimates)).mean())


def _require_free(out: Path) -> None:
    if out.exists():
        raise ConfigurationError(f"{out}: exists already; give a new file or remove it first")
    if not out.parent.is_dir():
        raise ConfigurationError(f"{out.parent}: not a folder")
