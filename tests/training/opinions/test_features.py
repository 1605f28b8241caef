from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigurationError
from edge.ops.terminal import silent
from tests.training import backbones
from tests.training.opinions import graphs
from training import backbone
from training.opinions.features import features, framed, opened
from training.opinions.settings import NetworkSettings
from training.tfjs import read_weights
from training.train.batches import Examples

NAMED = {"source": "a network", "terms": "MIT"}


def network(**settings: object) -> NetworkSettings:
    return NetworkSettings.model_validate({**NAMED, **settings})


def some(count: int, size: int = 80) -> Examples:
    crops = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)
    ages = np.full(count, 30, np.float32)
    return Examples(crops, np.arange(count), ages, ages)


def test_a_face_lies_in_the_middle_with_its_border_repeated():
    crop = np.arange(64 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(64, 64, 3)
    shown = framed(crop, network(backbone=Path("any"), size=96, face=64))
    assert shown.shape == (96, 96, 3)
    assert np.array_equal(shown[16:80, 16:80], crop)
    assert (shown[:16, 16:80] == crop[:1]).all()
    assert (shown[16:80, 80:] == crop[:, -1:]).all()


@pytest.mark.parametrize("batch", ["N", 1])
def test_a_graph_says_its_tensors_of_scaled_pictures(keras, tmp_path: Path, batch: int | str):
    path = graphs.write(tmp_path / "colours.onnx", 80, batch)
    asked = network(graph=path, outputs=("seen", "mean"), size=80, mean=100.0, scale=50.0)
    told: list[tuple[str, int, int]] = []
    said = features(opened([asked]), some(70), lambda *step: told.append(step))
    wanted = (np.stack([*some(70).crops]).astype(np.float32).mean((1, 2)) - 100) / 50
    assert said.shape == (70, 6)
    assert np.allclose(said[:, :3], wanted, atol=1e-4)  # the mean over the places of a map
    assert np.allclose(said[:, 3:], wanted, atol=1e-4)
    assert told == [("running network 1 of 1", done, 70) for done in (32, 64, 70)]


def test_a_mirrored_face_is_shown_as_one(keras, tmp_path: Path):
    path = graphs.write(tmp_path / "colours.onnx", 80)
    asked = opened([network(graph=path, outputs=("left",), size=80, mean=0.0, scale=1.0)])
    said, turned = (features(asked, some(3), silent, mirrored=turn) for turn in (False, True))
    crops = np.stack([*some(3).crops])
    assert np.allclose(said, crops[:, :, :40].mean((1, 2)), atol=1e-3)
    assert np.allclose(turned, crops[:, :, 40:].mean((1, 2)), atol=1e-3)


def test_the_backbone_says_its_last_layers_beside_those_of_a_graph(keras, tmp_path: Path):
    folder = backbones.write(tmp_path / "backbone", backbones.weights())
    path = graphs.write(tmp_path / "colours.onnx", 64)
    asked = network(backbone=folder, size=80), network(graph=path, outputs=("mean",), size=64)
    said = features(opened(asked), some(3), silent)
    model = backbone.build(read_weights(folder), 80)
    last = keras.Model(model.input, [model.get_layer(name).output for name in ("pool", "features")])
    pooled, units = (np.asarray(one) for one in last(some(3).crops))
    assert np.allclose(said[:, :-3], np.concatenate([pooled, units], 1), rtol=1e-4, atol=1e-3)
    assert said.shape == (3, pooled.shape[1] + units.shape[1] + 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"graph": Path("nowhere.onnx")}, "nowhere.onnx: cannot be read (No such file or directory)"),
        ({"outputs": ("last",)}, "no tensor 'last'; the last ones are seen, pooled, mean"),
        (
            {"size": 96},
            "its inputs are tensor(float) ['N', 3, 80, 80]; needed: one tensor(float) [N, 3, 96, 96]",
        ),
        ({"scale": 1e-45}, "gives a feature that is not a finite number"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_graph_that_cannot_be_asked_is_named(
    keras, tmp_path: Path, changes: dict[str, object], message: str
):
    path = graphs.write(tmp_path / "colours.onnx", 80)
    asked = network(**{"graph": path, "outputs": ("mean",), "size": 80, **changes})
    with pytest.raises(ConfigurationError) as caught:
        features(opened([asked]), some(2), silent)
    assert message in str(caught.value)


def test_a_file_that_is_no_graph_is_named(keras, tmp_path: Path):
    path = tmp_path / "colours.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(ConfigurationError, match=r"colours\.onnx: not an ONNX graph that can be run"):
        opened([network(graph=path, outputs=("mean",), size=80)])
