from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import ConfigurationError
from tests.training import backbones
from tests.training.train.made_up import said
from training import backbone
from training.train.config import ModelSettings

CROPS = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)

# Keras 3.15 copies variables in a way that NumPy 2 will not know.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    arrays = backbones.weights()
    arrays["age_pred/kernel"] /= 50
    return backbones.write(tmp_path / "backbone", arrays)


def test_the_learning_network_says_what_the_shipped_one_says(keras, tiny: Path):
    from training.train.network import starting_model, trainable

    settings = ModelSettings(size=64, backbone=tiny, dropout=0.5)
    shipped = starting_model(settings, 0)
    logits = said(trainable(shipped, settings, "float32"), CROPS)
    assert np.allclose(softmax(logits), said(shipped, CROPS), atol=1e-5)


def test_weights_go_there_and_back_again(keras):
    from training.train.network import copy_weights, starting_model, trainable

    settings = ModelSettings(size=64, width=0.1)
    first, second = starting_model(settings, 0), starting_model(settings, 1)
    assert not np.allclose(said(first, CROPS), said(second, CROPS), atol=1e-4)
    copy_weights(trainable(first, settings, "float32"), second)
    assert np.allclose(said(first, CROPS), said(second, CROPS), atol=1e-6)


def test_pointwise_convolutions_are_dense_while_learning_and_not_as_shipped(keras):
    from training.train.network import starting_model, trainable

    settings = ModelSettings(size=64, width=0.1)
    shipped = starting_model(settings, 0)
    learning = trainable(shipped, settings, "float32")
    assert type(shipped.get_layer("conv_pw_3")) is keras.layers.Conv2D
    assert type(learning.get_layer("conv_pw_3")) is keras.layers.Dense


def test_age_0_starts_as_age_1_does(keras, tiny: Path):
    from training.train.network import starting_model

    probs = said(starting_model(ModelSettings(size=64, backbone=tiny), 0), CROPS)
    assert np.allclose(probs[:, 0], probs[:, 1])
    assert (probs[:, 0] > 0).all()


def test_frozen_layers_do_not_learn(keras):
    from training.train.network import starting_model, trainable

    settings = ModelSettings(size=64, width=0.1, frozen=2)
    model = trainable(starting_model(settings, 0), settings, "float32")
    names = {variable.path.split("/")[0] for variable in model.trainable_variables}
    assert not names & {"conv1", "conv_dw_1", "conv_pw_1", "conv_dw_2", "conv_pw_2"}
    assert {"conv_dw_3", "conv_pw_13", "features", "age"} <= names


def test_half_precision_ends_in_full_logits(keras):
    from training.train.network import starting_model, trainable

    settings = ModelSettings(size=64, width=0.1)
    model = trainable(starting_model(settings, 0), settings, "mixed_bfloat16")
    assert model.get_layer("conv_pw_5").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"


@pytest.mark.parametrize("size", [64, 80])
def test_weights_for_places_begin_as_the_mean_and_then_tell_places_apart(keras, size: int):
    from training.train.network import starting_model, trainable

    crops = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)
    mean = said(starting_model(ModelSettings(size=size, width=0.1), 0), crops)
    settings = ModelSettings(size=size, width=0.1, pooling="places")
    places = starting_model(settings, 0)
    assert np.allclose(said(places, crops), mean, atol=1e-6)
    assert np.allclose(softmax(said(trainable(places, settings, "float32"), crops)), mean, atol=1e-6)
    kernel = places.get_layer("pool").get_weights()[0]
    assert kernel.shape[:2] == (-(-size // 32),) * 2
    kernel[0] *= 3
    places.get_layer("pool").set_weights([kernel])
    assert not np.allclose(said(places, crops), mean, atol=1e-4)


def test_weights_for_places_learn_unless_there_are_none(keras):
    from training.train.network import starting_model, trainable

    cases: tuple[tuple[Any, bool], ...] = (("average", False), ("places", True))
    for pooling, learns in cases:
        settings = ModelSettings(size=64, width=0.1, pooling=pooling)
        model = trainable(starting_model(settings, 0), settings, "float32")
        assert ("pool" in {v.path.split("/")[0] for v in model.trainable_variables}) == learns


@pytest.mark.parametrize(("size", "pooling"), [(80, "places"), (64, "average"), (80, "average")])
def test_weights_for_places_are_not_lost_without_a_word(keras, size: int, pooling: backbone.Pooling):
    from training.train.network import fitted, starting_model

    model = starting_model(ModelSettings(size=64, width=0.1, pooling="places"), 0)
    with pytest.raises(ConfigurationError, match=r"set model\.pooling = 'places' and model\.size = 64$"):
        fitted(model, size, pooling)
    assert np.array_equal(said(fitted(model, 64, "places"), CROPS), said(model, CROPS))


def test_a_run_without_a_model_is_refused(keras, tmp_path: Path):
    from training.train.network import starting_model

    with pytest.raises(ConfigurationError, match=r"holds no model\.keras"):
        starting_model(ModelSettings(size=64, run=tmp_path), 0)
