"""Callbacks of a run: they stop it on an invalid loss, keep the best weights and the state to resume from."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edge.errors import ConfigurationError, InstoreError
from edge.ops.terminal import Progress
from training.train.config import LoopSettings
from training.train.runs import drafted, write_text, writing

Logs = dict[str, Any]

TRAINING = "training"

WORD = 4
"""Bytes per number of the state, except a few counters."""

ROOM = 1 << 20
"""Bytes of the file format besides the numbers."""

DECIMALS = 6
"""Decimals of the history's figures, which also choose the best epoch: a resumed run reads them there."""


class DivergedError(InstoreError):
    """The loss is not a finite number."""


class StopOnNaN(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends the run at the first loss that is no finite number, and names the step."""

    def __init__(self, epoch_steps: int) -> None:
        super().__init__()
        self._epoch_steps = epoch_steps
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Take note of the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss, which is the mean over the epoch: one NaN makes it NaN."""
        loss = float((logs or {})["loss"])
        if not math.isfinite(loss):
            step = self._epoch * self._epoch_steps + batch
            raise DivergedError(
                f"step {step} (epoch {self._epoch + 1}): the loss is {loss}; "
                "lower optimiser.backbone_rate and optimiser.head_rate, or raise optimiser.warmup"
            )


class ReportSteps(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports how many steps are done."""

    def __init__(self, loop: LoopSettings, progress: Progress) -> None:
        super().__init__()
        self._loop = loop
        self._progress = progress
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Take note of the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Report the step."""
        steps = self._loop.epoch_steps
        self._progress(TRAINING, self._epoch * steps + batch + 1, self._loop.epochs * steps)


class SeedEpochs(keras.callbacks.Callback):  # type: ignore[misc]
    """Seeds dropout by the run's seed and the epoch: Keras' checkpoints do not hold its state."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Seed every random layer for this epoch."""
        for layer in self.model.layers:
            if generator := getattr(layer, "seed_generator", None):
                generator.state.assign(np.array([self._seed % 2**32, epoch], np.uint32))


class Checkpoint(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the state after the last whole epoch, the optimiser's included, as `last-<epochs>.weights.h5`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Replace the last state, whole or not at all."""
        new = self._folder / f"last-{epoch + 1:04}.weights.h5"
        _require_room(self._folder, self._size())
        with drafted(new) as draft:
            self.model.save_weights(draft)
        with writing(self._folder):
            for old in set(checkpoints(self._folder)) - {new}:
                old.unlink()

    def _size(self) -> int:
        """Bytes that the state takes at most."""
        kept = [*self.model.variables, *self.model.optimizer.variables]
        return ROOM + sum(WORD * int(math.prod(variable.shape)) for variable in kept)


def _require_room(folder: Path, needed: int) -> None:
    """Raised before writing: the library below `save_weights` kills the process when the disk fills up."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        room = f"the state takes {needed / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB are free"
        raise ConfigurationError(f"{folder}: cannot be written to ({room})")


def checkpoints(folder: Path) -> list[Path]:
    """The states kept in a run's folder, the latest last."""
    return sorted(folder.glob("last-*.weights.h5"))


def epochs_done(checkpoint: Path) -> int:
    """How many epochs the state in this file has seen."""
    return int(checkpoint.name.split(".")[0].removeprefix("last-"))


class History(keras.callbacks.Callback):  # type: ignore[misc]
    """One line of JSON per epoch in `history.jsonl`; a resumed run reads its earlier figures there."""

    def __init__(self, path: Path, epochs: int) -> None:
        """Continue after `epochs` epochs; lines of later epochs, from before an interruption, are dropped."""
        super().__init__()
        self._path = path
        self._lines = [json.dumps(line) for line in read_history(path)[:epochs]]

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write down the epoch's figures."""
        figures = {name: round(float(value), DECIMALS) for name, value in (logs or {}).items()}
        self._lines.append(json.dumps({"epoch": epoch + 1, **figures}))
        write_text(self._path, "\n".join(self._lines))


def read_history(path: Path) -> list[dict[str, float]]:
    """The lines of a run's `history.jsonl`; none where the file does not exist."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Averaged(keras.callbacks.Callback):  # type: ignore[misc]
    """Validates the moving average of the weights instead of the weights.

    Keras' SwapEMAWeights swaps by adding and subtracting, which rounds: a resumed run would drift from one
    that was never interrupted.
    """

    def __init__(self, averages: Sequence[Any]) -> None:
        super().__init__()
        self._averages = averages
        self._own: list[Any] = []

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Put the averages into the model."""
        self._own = [variable.numpy() for variable in self.model.trainable_variables]
        self._assign([average.numpy() for average in self._averages])

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Put the weights back."""
        self._assign(self._own)

    def _assign(self, values: list[Any]) -> None:
        for variable, value in zip(self.model.trainable_variables, values, strict=True):
            variable.assign(value)


class KeepBest(keras.callbacks.Callback):  # type: ignore[misc]
    """Calls `keep` after the best validation so far, and ends the run after `patience` epochs without one."""

    def __init__(self, errors: Sequence[float], patience: int, keep: Callable[[], None]) -> None:
        """errors: those of the epochs before an interruption."""
        super().__init__()
        self._errors = list(errors)
        self._patience = patience
        self._keep = keep

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch's mean absolute error in years with the best one."""
        self._errors.append(round(float((logs or {})["val_mae"]), DECIMALS))
        waited = waiting(self._errors)
        if not waited:
            self._keep()
        if waited >= self._patience:
            self.model.stop_training = True


def waiting(errors: Sequence[float]) -> int:
    """Epochs since the one with the least error; `errors`: of each epoch so far."""
    return len(errors) - 1 - errors.index(min(errors)) if errors else 0
