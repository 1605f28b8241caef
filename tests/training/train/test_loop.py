"""Runs of a few steps: what is written, that they learn, resume exactly, stop early and stop on NaN."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge.errors import ConfigurationError
from tests.training.train import made_up

pytestmark = [
    # Keras 3.15 copies variables in a way that NumPy 2 will not know.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    # Without compiled steps the input pipeline is compiled all the same, and says so.
    pytest.mark.filterwarnings("ignore:Even though the `tf.config:UserWarning"),
]


@pytest.fixture(scope="module")
def fit(keras):
    from training.train.loop import fit

    return fit


@pytest.fixture(scope="module")
def finished(fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two epochs, `tiny`."""
    root = tmp_path_factory.mktemp("finished")
    return fit(made_up.settings(root), made_up.examples(), made_up.examples(8))


@pytest.fixture(scope="module")
def half(fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in half precision."""
    root = tmp_path_factory.mktemp("half")
    return fit(made_up.settings(root, loop=HALF), made_up.examples(), made_up.examples(8))


HALF = {"precision": "mixed_float16"}


def predict(folder: Path) -> np.ndarray:
    from training.train.runs import read_model

    return made_up.said(read_model(folder), np.stack([*made_up.examples(8, seed=9).crops]))


def history(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_learns_what_brightness_means(fit, tmp_path: Path):
    settings = made_up.settings(
        tmp_path,
        augment={"light": 0.0, "erase": 0.0},
        optimiser={"head_rate": 3e-3, "backbone_rate": 3e-3, "ema": 0.9},
        loop={"batch": 8, "epochs": 3, "epoch_steps": 40},
    )
    folder = fit(settings, made_up.examples(200), made_up.examples(40, seed=1))
    errors = [line["val_mae"] for line in history(folder)]
    assert min(errors) < 15  # guessing the middle gives 25


def test_writes_a_model_a_history_and_the_state_of_the_last_epoch(finished: Path):
    assert finished.name == "tiny"
    assert [line["epoch"] for line in history(finished)] == [1, 2]
    assert [path.name for path in finished.glob("last-*")] == ["last-0002.weights.h5"]
    assert list(finished.glob(".*")) == []  # no draft
    assert list(finished.glob("tensorboard/*/events*"))
    assert np.allclose(predict(finished).sum(1), 1, atol=1e-5)


def test_the_kept_model_is_the_one_that_was_validated(finished: Path):
    from training.train.runs import read_model

    judge = made_up.examples(8)
    expected = made_up.said(read_model(finished), np.stack([*judge.crops])) @ np.arange(101)
    best = min(line["val_mae"] for line in history(finished))
    assert np.abs(expected - judge.low).mean() == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("pooling", ["average", "places"])
def test_an_interrupted_run_ends_as_if_it_had_not_been(fit, keras, tmp_path: Path, pooling: str):
    class Interrupt(keras.callbacks.Callback):
        """Ctrl-C in the middle of the second epoch."""

        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            if self.steps == 5:
                raise KeyboardInterrupt

    sections = {"model": {"dropout": 0.3, "pooling": pooling}, "loop": {"epochs": 3}}
    data = made_up.examples(), made_up.examples(8)
    whole = fit(made_up.settings(tmp_path / "whole", **sections), *data)
    settings = made_up.settings(tmp_path / "parts", **sections)
    with pytest.raises(KeyboardInterrupt):
        fit(settings, *data, watch=[Interrupt()])
    assert len(history(settings.folder)) == 1
    parts = fit(settings, *data)
    assert history(parts) == history(whole)
    assert np.array_equal(predict(parts), predict(whole))


@pytest.mark.parametrize("loop", [{"epochs": 2}, {"epochs": 9, "patience": 2}], ids=["all", "early"])
def test_a_run_that_was_broken_off_after_its_last_epoch_learns_no_more(fit, eager, tmp_path: Path, loop):
    rates = {"head_rate": 1e-12, "backbone_rate": 1e-12}
    settings = made_up.settings(tmp_path, optimiser=rates, loop={"epoch_steps": 1, **loop})
    data = made_up.examples(), made_up.examples(8)
    folder = fit(settings, *data)
    told, said = history(folder), predict(folder)
    assert fit(settings, *data) == folder  # `train` had not yet written that it is finished
    assert history(folder) == told
    assert np.array_equal(predict(folder), said)


def test_the_same_seed_gives_the_same_run(fit, finished: Path, tmp_path: Path):
    again = fit(made_up.settings(tmp_path), made_up.examples(), made_up.examples(8))
    assert history(again) == history(finished)


def test_nan_stops_the_run_and_names_the_step(fit, tmp_path: Path):
    from training.train.callbacks import DivergedError

    settings = made_up.settings(
        tmp_path, optimiser={"head_rate": 1e30, "backbone_rate": 1e30, "warmup": 0.0, "clip": 1e30}
    )
    with pytest.raises(DivergedError, match=r"step [0-5] \(epoch [12]\): the loss is (nan|inf)"):
        fit(settings, made_up.examples(), made_up.examples(8))


@pytest.mark.parametrize("there", [True, False])
def test_a_gpu_is_seen_by_torch_of_whose_devices_keras_cannot_tell(
    keras, monkeypatch: pytest.MonkeyPatch, there: bool
):
    from training.train import loop

    torch = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: there))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    monkeypatch.delattr(keras.distribution, "list_devices")
    assert loop.precision("auto") == ("mixed_float16" if there else "float32")


def test_what_dropout_drops_follows_from_a_seed(keras):
    """Keras' torch backend takes a layer's seed only where one was given; the others always do."""
    from training.train.config import ModelSettings
    from training.train.network import starting_model, trainable

    settings = ModelSettings(size=64, width=0.1, dropout=0.5)
    dropout = trainable(starting_model(settings, 0), settings, "float32").get_layer("dropout")
    assert dropout.seed is not None


def test_ends_early_when_validation_stays_bad(fit, eager, tmp_path: Path):
    settings = made_up.settings(
        tmp_path,
        optimiser={"head_rate": 1e-12, "backbone_rate": 1e-12},
        loop={"epochs": 9, "epoch_steps": 1, "patience": 2},
    )
    folder = fit(settings, made_up.examples(), made_up.examples(8))
    assert len(history(folder)) < 9


def test_goes_on_from_another_run_at_another_size(fit, eager, tmp_path: Path):
    data = made_up.examples(size=80), made_up.examples(8, size=80)
    first = fit(made_up.settings(tmp_path, data={"size": 80}), *data)
    sections = {"data": {"size": 80}, "model": {"size": 80, "run": str(first)}}
    second = fit(made_up.settings(tmp_path, name="second", **sections), *data)
    assert history(second)[0]["val_mae"] == pytest.approx(history(first)[-1]["val_mae"], abs=8)


def test_half_precision_trains_and_ships_single(half: Path):
    assert predict(half).dtype == np.float32
    assert all(np.isfinite(line["loss"]) for line in history(half))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float32"])
def test_small_gradients_survive_half_precision(keras, tmp_path: Path, policy: str):
    from training.train.loop import Pupil

    pupil = Pupil.made(made_up.settings(tmp_path, loop={"precision": policy}))
    scaled = isinstance(pupil.model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    before = [average.numpy() for average in pupil.optimiser.averages()]
    pupil.model.optimizer.apply([keras.ops.ones(v.shape) for v in pupil.model.trainable_variables])
    after = [average.numpy() for average in pupil.optimiser.averages()]
    assert any((a != b).any() for a, b in zip(before, after, strict=True))


def test_half_precision_goes_on_where_it_was_broken_off(fit, half: Path):
    assert len(history(half)) == 2
    said = predict(half)
    settings = made_up.settings(half.parent, loop=HALF)
    assert fit(settings, made_up.examples(), made_up.examples(8)) == half
    assert len(history(half)) == 2
    assert np.array_equal(predict(half), said)


def test_another_configuration_in_the_same_folder_is_refused(fit, finished: Path):
    with pytest.raises(ConfigurationError, match=r"another configuration \(seed differ\)"):
        fit(made_up.settings(finished.parent, seed=5), made_up.examples(), made_up.examples(8))


@pytest.mark.parametrize(("learn", "judge", "name"), [(1, 8, "training"), (8, 0, "validation")])
def test_too_few_pictures_are_refused(fit, tmp_path: Path, learn: int, judge: int, name: str):
    with pytest.raises(ConfigurationError, match=f"pictures for {name}; at least 2"):
        fit(made_up.settings(tmp_path), made_up.examples(learn), made_up.examples(judge))
    assert not (tmp_path / "tiny").exists()


def test_a_disk_without_room_for_the_state_is_told_before_it_is_full(fit, eager, tmp_path: Path, monkeypatch):
    usage = SimpleNamespace(free=1000)
    monkeypatch.setattr("training.train.callbacks.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(
        ConfigurationError, match=r"tiny: cannot be written to \(the state takes .* MB are free"
    ):
        fit(made_up.settings(tmp_path), made_up.examples(), made_up.examples(8))
    assert not list(tmp_path.glob("tiny/*.h5"))


def test_a_disk_that_tensorboard_finds_full_is_told(fit, keras, tmp_path: Path):
    import tensorflow as tf

    class Full(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise tf.errors.ResourceExhaustedError(None, None, "events.v2; No space left on device")

    with pytest.raises(ConfigurationError, match=r"tiny: cannot be written to \(No space left on device\)"):
        fit(made_up.settings(tmp_path), made_up.examples(), made_up.examples(8), watch=[Full()])


def test_the_head_learns_faster_than_the_backbone(keras, tmp_path: Path):
    from training.train.network import HEAD
    from training.train.optimiser import make_optimiser

    settings = made_up.settings(
        tmp_path, optimiser={"head_rate": 0.4, "backbone_rate": 0.1, "warmup": 0.0, "weight_decay": 0.0}
    )
    layers = [keras.layers.Dense(1, name=name) for name in ("conv1", *HEAD)]
    variables = []
    for layer in layers:
        layer.build((None, 1))
        layer.kernel.assign([[1.0]])
        variables.append(layer.kernel)
    make_optimiser(settings).apply([keras.ops.ones((1, 1))] * 3, variables)
    moved = [1 - float(variable.numpy()[0, 0]) for variable in variables]
    assert moved == pytest.approx([0.1, 0.4, 0.4], rel=1e-3)
