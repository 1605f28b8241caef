"""One of several workers, as TF_CONFIG says: trains on made-up pictures and prints a sum of its weights."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tests.training.train import made_up
from training.train.loop import fit


def main(runs: Path) -> None:
    import keras

    class Weigh(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            total = sum(float(np.abs(v.numpy()).sum()) for v in self.model.trainable_variables)
            sys.stdout.write(f"weights {total:.4f} loss {logs['loss']:.4f}\n")

    settings = made_up.settings(runs, loop={"epochs": 1, "epoch_steps": 2})
    fit(settings, made_up.examples(), made_up.examples(8), watch=[Weigh()])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
