"""A run from its configuration to its folder: `model.fit` with callbacks, alone or among several workers."""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cv2
import keras

from edge.errors import ConfigurationError, InstoreError
from edge.ops.terminal import Progress, silent
from training.train.batches import Batches, Examples, train_dataset, validation_dataset
from training.train.callbacks import (
    Averaged,
    Checkpoint,
    History,
    KeepBest,
    ReportSteps,
    SeedEpochs,
    StopOnNaN,
    checkpoints,
    epochs_done,
    read_history,
    waiting,
)
from training.train.config import TrainSettings
from training.train.losses import age_loss, mae
from training.train.network import copy_averages, starting_model, trainable
from training.train.optimiser import TwoRateAdamW, make_optimiser, scaled
from training.train.runs import HISTORY, open_folder, write_model
from training.train.workers import Workers, is_chief

LEAST = 2
"""Fewest pictures for training and for validation."""


def fit(
    settings: TrainSettings,
    learn: Examples,
    judge: Examples,
    progress: Progress = silent,
    watch: Sequence[Any] = (),
) -> Path:
    """Train on `learn`, choose the best epoch on `judge`, and return the run's folder.

    An interrupted run continues after its last whole epoch, with the same result. watch: further
    callbacks of Keras. Raises ConfigurationError on unusable settings or data, DivergedError when the loss
    is not a number.
    """
    _require_enough(learn, judge)
    workers = Workers()
    folder = open_folder(settings) if is_chief() else settings.folder
    cv2.setNumThreads(1)  # crops are so small that OpenCV's threads would only wait for each other
    keras.utils.set_random_seed(settings.seed)
    with workers.scope():
        pupil = Pupil.made(settings)
    workers.adopt(pupil.model, Batches(learn, settings).make(0))
    done = pupil.resume(folder)
    errors = [line["val_mae"] for line in read_history(folder / HISTORY)[:done]]
    if done >= settings.loop.epochs or waiting(errors) >= settings.loop.patience:
        return folder  # it was interrupted after its last epoch
    with _FullDiskNamed(folder):
        pupil.model.fit(
            workers.share(lambda part: _batches(settings, learn, done, part, workers.count)),
            validation_data=validation_dataset(judge, settings),
            steps_per_epoch=settings.loop.epoch_steps,
            epochs=settings.loop.epochs,
            initial_epoch=done,
            callbacks=[
                *_callbacks(settings, folder, pupil, errors),
                *watch,
                ReportSteps(settings.loop, progress),
            ],
            shuffle=False,  # the batches are in their order
            verbose=2 if is_chief() else 0,  # one line per epoch
        )
    return folder


class _FullDiskNamed:
    """Turns the error of TensorBoard's writer on a full disk into a ConfigurationError that names the run.

    It is recognised by its text: its type is TensorFlow's, which code for every Keras backend must not
    import.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        """Nothing is opened."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        full = os.strerror(errno.ENOSPC)
        if isinstance(error, Exception) and not isinstance(error, InstoreError) and full in str(error):
            raise ConfigurationError(f"{self._folder}: cannot be written to ({full})") from error


@dataclass(frozen=True, slots=True, eq=False)
class Pupil:
    """The network that learns, its optimiser, and the network to be shipped."""

    model: Any
    optimiser: TwoRateAdamW
    shipped: Any

    @classmethod
    def made(cls, settings: TrainSettings) -> Self:
        """As configured, ready for `fit`."""
        shipped = starting_model(settings.model, settings.seed)
        policy = precision(settings.loop.precision)
        model = trainable(shipped, settings.model, policy)
        optimiser = make_optimiser(settings)
        steps = scaled(optimiser, policy)
        error = keras.metrics.MeanMetricWrapper(mae, name="mae")
        model.compile(steps, age_loss(settings.loss), metrics=[error], jit_compile=compilation())
        steps.build(model.trainable_variables)
        return cls(model, optimiser, shipped)

    def resume(self, folder: Path) -> int:
        """Load the last state in `folder`, if any; returns its number of epochs."""
        found = checkpoints(folder)
        if not found:
            return 0
        self.model.load_weights(found[-1])
        return epochs_done(found[-1])

    def ship(self) -> Any:  # noqa: ANN401
        """The network to be shipped, with the averaged weights."""
        copy_averages(self.model, self.optimiser.averages(), self.shipped)
        return self.shipped


def has_gpu() -> bool:
    """Whether Keras' backend finds a GPU."""
    if keras.backend.backend() == "torch":  # Keras does not list its devices
        return bool(importlib.import_module("torch").cuda.is_available())
    return not all(device.lower().startswith("cpu") for device in keras.distribution.list_devices())


def compilation() -> bool | str:
    """Whether to compile with XLA: Keras chooses, but not with TensorFlow on a CPU: ten times slower."""
    return "auto" if has_gpu() or keras.backend.backend() != "tensorflow" else False


def precision(wanted: str) -> str:
    """The name of Keras' policy for `loop.precision`."""
    if wanted != "auto":
        return wanted
    return "mixed_float16" if has_gpu() else "float32"


def _batches(settings: TrainSettings, learn: Examples, done: int, part: int, parts: int) -> Any:  # noqa: ANN401
    return train_dataset(Batches(learn, settings, part, parts), done * settings.loop.epoch_steps, settings)


def _callbacks(settings: TrainSettings, folder: Path, pupil: Pupil, errors: Sequence[float]) -> list[Any]:
    """The chief writes; all workers average, and end together. errors: of the epochs that are done."""
    every = [
        SeedEpochs(settings.seed),
        StopOnNaN(settings.loop.epoch_steps),
        Averaged(pupil.optimiser.averages()),
    ]
    patience = settings.loop.patience
    if not is_chief():
        return [*every, KeepBest(errors, patience, lambda: None)]
    return [
        *every,
        KeepBest(errors, patience, lambda: write_model(pupil.ship(), folder)),
        History(folder / HISTORY, len(errors)),
        *_tensorboard(folder),
        Checkpoint(folder),  # last: the epochs that it reports are written by then
    ]


def _tensorboard(folder: Path) -> list[Any]:
    return [keras.callbacks.TensorBoard(folder / "tensorboard", write_graph=False, update_freq=50)]


def _require_enough(learn: Examples, judge: Examples) -> None:
    for name, examples in (("training", learn), ("validation", judge)):
        if len(examples) < LEAST:
            raise ConfigurationError(f"{len(examples)} pictures for {name}; at least {LEAST} are needed")
