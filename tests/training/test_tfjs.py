"""The reader of weights against written files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import ConfigurationError
from tests.training import backbones
from training.tfjs import hashes, read_weights


def test_reads_back_what_was_written_across_files(tmp_path: Path):
    arrays = backbones.weights()
    found = read_weights(backbones.write(tmp_path, arrays, split=3))
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


def test_all_its_files_are_hashed_in_order(tmp_path: Path):
    backbones.write(tmp_path, backbones.weights(), split=2)
    found = hashes(tmp_path)
    assert list(found) == ["tiny.json", "tiny-0.bin", "tiny-1.bin"]
    assert found["tiny-1.bin"] == hashlib.sha256((tmp_path / "tiny-1.bin").read_bytes()).hexdigest()


def fault(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_weights(folder)
    return str(caught.value)


def test_a_missing_folder_is_named(tmp_path: Path):
    assert f"{tmp_path / 'nowhere'}: is not a folder" in fault(tmp_path / "nowhere")


def test_a_folder_without_model_is_named(tmp_path: Path):
    assert ": 0 JSON files" in fault(tmp_path)


def test_two_models_in_one_folder_are_refused(tmp_path: Path):
    backbones.write(tmp_path, backbones.weights())
    (tmp_path / "other.json").write_text("{}")
    assert ": 2 JSON files" in fault(tmp_path)


def test_a_missing_weights_file_is_named(tmp_path: Path):
    backbones.write(tmp_path, backbones.weights())
    (tmp_path / "tiny-1.bin").unlink()
    assert str(tmp_path / "tiny-1.bin") in fault(tmp_path)


@pytest.mark.parametrize("extra", [-1, 1, 4])
def test_weights_of_a_wrong_size_are_refused_with_both_sizes(tmp_path: Path, extra: int):
    backbones.write(tmp_path, backbones.weights(), split=1)
    path = tmp_path / "tiny-0.bin"
    content = path.read_bytes()
    path.write_bytes((content + b"\0" * 4)[: len(content) + extra])
    message = fault(tmp_path)
    assert f"{len(content) + extra} bytes" in message
    assert f"names {len(content)} bytes" in message


@pytest.mark.parametrize("content", ["", "not JSON", "[]", "{}", '{"weightsManifest": 3}'])
def test_what_is_no_model_is_refused(tmp_path: Path, content: str):
    (tmp_path / "tiny.json").write_text(content)
    assert "is not a model of TensorFlow.js" in fault(tmp_path)
    with pytest.raises(ConfigurationError, match=r"tiny\.json: is not a model of TensorFlow\.js"):
        hashes(tmp_path)


def test_no_hashes_are_told_where_a_file_is_missing(tmp_path: Path):
    backbones.write(tmp_path, backbones.weights())
    (tmp_path / "tiny-1.bin").unlink()
    with pytest.raises(ConfigurationError, match=r"tiny-1\.bin: cannot be read"):
        hashes(tmp_path)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"quantization": {"dtype": "int8"}}, "'float32', stored as 'int8'"),
        ({"dtype": "int32", "quantization": {"dtype": "uint8"}}, "'int32', stored as 'uint8'"),
        ({"dtype": "complex64"}, "'complex64', stored as 'complex64'"),
    ],
)
def test_a_type_that_is_not_known_is_refused(tmp_path: Path, spec: dict[str, Any], said: str):
    path = backbones.write(tmp_path, backbones.weights()) / "tiny.json"
    model = json.loads(path.read_text())
    model["weightsManifest"][0]["weights"][0] |= spec
    path.write_text(json.dumps(model))
    assert f"weight 'age_pred/kernel': is {said}" in fault(tmp_path)


def test_weights_in_half_precision_are_read_as_float32(tmp_path: Path):
    arrays = backbones.weights()
    halves = {n: a.astype(np.float16) if a.dtype == np.float32 else a for n, a in arrays.items()}
    path = backbones.write(tmp_path, halves) / "tiny.json"
    model = json.loads(path.read_text())
    for spec in model["weightsManifest"][0]["weights"]:
        if spec["dtype"] == "float16":
            spec.update(dtype="float32", quantization={"dtype": "float16", "original_dtype": "float32"})
    path.write_text(json.dumps(model))
    found = read_weights(tmp_path)
    assert {n: a.dtype for n, a in found.items()} == {n: a.dtype for n, a in arrays.items()}
    assert all(np.array_equal(found[n], half) for n, half in halves.items())


@pytest.mark.parametrize("stored", [np.uint8, np.uint16])
def test_integers_with_a_step_are_read_from_a_manifest_of_its_own(tmp_path: Path, stored: type[np.generic]):
    """As face-api has dlib's network: a step of 0.5 from -1 on, after an array of whole float32."""
    specs = [
        {"name": "bias", "shape": [2], "dtype": "float32"},
        {
            "name": "fc",
            "shape": [2, 2],
            "dtype": "float32",
            "quantization": {"dtype": np.dtype(stored).name, "scale": 0.5, "min": -1.0},
        },
    ]
    content = np.array([0.25, -3], np.float32).tobytes() + np.array([0, 1, 2, 255], stored).tobytes()
    (tmp_path / "tiny.bin").write_bytes(content)
    manifest = [{"paths": ["tiny.bin"], "weights": specs}]
    (tmp_path / "tiny-weights_manifest.json").write_text(json.dumps(manifest))
    found = read_weights(tmp_path)
    assert np.array_equal(found["bias"], [0.25, -3])
    assert np.array_equal(found["fc"], [[-1, -0.5], [0, 126.5]])
    assert found["fc"].dtype == np.float32
