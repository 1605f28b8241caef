"""A bundle goes back to the Keras model that it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.bundle import BUILTIN, load_bundle
from edge.errors import ConfigurationError
from tests.training import backbones, bundles
from training.predict import run_bundle

# Keras 3.15 copies variables in a way that NumPy 2 will not know.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_the_model_of_the_shipped_bundle_says_what_the_graph_says(keras):
    from training.onnx_import import from_bundle

    model = from_bundle(BUILTIN)
    crops = np.random.default_rng(1).integers(0, 256, (3, *model.input_shape[1:]), np.uint8)
    assert np.abs(model.predict(crops, verbose=0) - run_bundle(BUILTIN, crops).probs).max() < 1e-5


def test_every_weight_comes_back(keras, tmp_path: Path):
    from training.convert import Plan, convert
    from training.onnx_import import from_bundle

    source = backbones.write(tmp_path / "backbone", backbones.weights())
    convert(Plan(source, tmp_path / "bundle", 64))
    from training import backbone
    from training.tfjs import read_weights

    wanted = backbone.build(read_weights(source), 64).get_weights()
    found = from_bundle(tmp_path / "bundle").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


def places_bundle(folder: Path) -> Any:
    """A bundle with weights for places, and the model that it was made from."""
    from training import backbone
    from training.bundles import Identity, write_draft
    from training.train.network import fitted

    arrays = backbones.weights()
    arrays["age_pred/kernel"] /= 50  # noise for weights makes it certain; a trained model is not
    model = fitted(backbone.build(arrays, 64), 64, "places")
    kernel = model.get_layer("pool").get_weights()[0]
    random = np.random.default_rng(2).uniform(-1, 3, kernel.shape)
    model.get_layer("pool").set_weights([kernel * random])
    folder.mkdir()
    write_draft(folder, model, Identity("places", "1", bundles.TERMS, 1.04))
    return model


def test_weights_for_places_go_into_the_graph_and_come_back(keras, tmp_path: Path):
    from training.bundles import require_parity
    from training.onnx_import import from_bundle

    model = places_bundle(tmp_path / "bundle")
    crops = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), np.uint8)
    assert require_parity(tmp_path / "bundle", model, list(crops)) < 1e-5
    for found, wanted in zip(
        from_bundle(tmp_path / "bundle").get_weights(), model.get_weights(), strict=True
    ):
        assert np.array_equal(found, wanted)


def test_a_run_goes_on_from_a_bundle_with_weights_for_places_only_as_it_is(keras, tmp_path: Path):
    from training.train.config import ModelSettings
    from training.train.network import starting_model

    model = places_bundle(tmp_path / "bundle")
    settings = ModelSettings(size=64, bundle=tmp_path / "bundle", pooling="places")
    crops = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), np.uint8)
    assert np.allclose(starting_model(settings, 0)(crops), model(crops), atol=1e-6)
    with pytest.raises(ConfigurationError, match="has weights for places at 64 px"):
        starting_model(settings.model_copy(update={"pooling": "average"}), 0)


def test_a_run_goes_on_from_the_shipped_bundle_with_weights_for_places(keras):
    from training.train.config import ModelSettings
    from training.train.network import starting_model

    size = load_bundle(BUILTIN).input_size
    model = starting_model(ModelSettings(size=size, bundle=BUILTIN, pooling="places"), 0)
    crops = np.random.default_rng(1).integers(0, 256, (2, size, size, 3), np.uint8)
    assert np.abs(model.predict(crops, verbose=0) - run_bundle(BUILTIN, crops).probs).max() < 1e-5
    assert "pool" in {layer.name for layer in model.layers if layer.weights}


def test_a_graph_of_another_network_is_refused(keras, tmp_path: Path):
    from training.onnx_import import from_bundle

    bundles.write(tmp_path / "other")
    with pytest.raises(ConfigurationError, match=r"model\.onnx: is not the network that this package trains"):
        from_bundle(tmp_path / "other")
