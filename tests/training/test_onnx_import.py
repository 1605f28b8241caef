"""A bundle goes back to the Keras model that it was made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.bundle import BUILTIN
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

    wanted = backbone.build(backbone.read_weights(source), 64).get_weights()
    found = from_bundle(tmp_path / "bundle").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_a_graph_of_another_network_is_refused(keras, tmp_path: Path):
    from training.onnx_import import from_bundle

    bundles.write(tmp_path / "other")
    with pytest.raises(ConfigurationError, match=r"model\.onnx: is not the network that this package trains"):
        from_bundle(tmp_path / "other")
