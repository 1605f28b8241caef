"""The shipped bundle, and copies of it that are broken in one place each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.bundle import (
    BUILTIN,
    Bundle,
    PartTerms,
    Terms,
    calibrate,
    load_bundle,
    load_confusion,
    sha256_of,
)
from edge.errors import ConfigurationError
from edge.types import CommercialUse

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUILTIN, tmp_path / "bundle"))


def edit(folder: Path, change: Edit) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def fault(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_bundle(folder)
    return str(caught.value)


def test_the_shipped_bundle_is_whole():
    bundle = load_bundle(BUILTIN)
    assert bundle.sha256 == sha256_of(bundle.model_path.read_bytes())
    assert bundle.model_path.stat().st_size <= 15_000_000
    assert bundle.crop_scale == pytest.approx(1.04)
    assert bundle.metrics["mae"] < 6
    assert bundle.metrics["parity_max_difference"] <= 1e-4
    terms = (BUILTIN / "LICENSE").read_text(encoding="utf-8")
    for name in ("MIT", "Apache"):
        assert name in bundle.licence
        assert f"{name} License" in terms


def test_the_shipped_bundle_states_the_terms_of_all_that_it_was_made_from():
    terms = load_bundle(BUILTIN).terms
    assert terms.commercial_use == "forbidden"
    parts = [(part.part, part.commercial_use) for part in terms.parts]
    assert parts[:2] == [("faces (labels.csv), aaf (labels.csv)", "forbidden"), ("faceres-deep", "allowed")]
    two, four = parts[2:]
    assert "faceplugin-face-recognition-js 0.0.1" in two[0]
    assert "@vladmandic/face-api 1.7.15" in four[0]
    assert (two[1], four[1]) == ("unknown", "unknown")


@pytest.mark.parametrize(
    ("parts", "due"),
    [
        ([], "unknown"),
        (["allowed", "allowed"], "allowed"),
        (["allowed", "unknown"], "unknown"),
        (["unknown", "forbidden", "allowed"], "forbidden"),
    ],
)
def test_commercial_use_follows_from_every_part(parts: list[CommercialUse], due: CommercialUse):
    own = [PartTerms(part="faces", licence="of these", commercial_use=use) for use in parts]
    assert Terms.of(own).commercial_use == due


def test_the_terms_of_a_manifest_that_states_none_are_unknown(folder: Path):
    edit(folder, lambda manifest: manifest.pop("terms"))
    assert load_bundle(folder).terms.commercial_use == "unknown"


def test_a_verdict_that_its_parts_contradict_is_refused(folder: Path):
    edit(folder, lambda manifest: manifest["terms"].update(commercial_use="allowed"))
    assert "terms: commercial_use = 'allowed': by its parts it is 'forbidden'" in fault(folder)


def test_the_shipped_confusion_tells_the_error_of_its_figures():
    bundle = load_bundle(BUILTIN)
    table = load_confusion(bundle)
    true, estimated = np.indices(table.shape)
    assert table.shape == (101, 101)
    assert table.sum() > 1000
    # Other faces than those of the figures, and whole years: the same error to within one year.
    assert (np.abs(true - estimated) * table).sum() / table.sum() == pytest.approx(
        bundle.metrics["mae"], abs=1
    )


def test_a_bundle_without_confusion_has_an_empty_one(folder: Path):
    edit(folder, lambda m: m.pop("confusion"))
    assert load_confusion(load_bundle(folder)).sum() == 0


def test_variants_are_found_and_checked(folder: Path):
    (folder / "model.fp16.onnx").write_bytes(b"half")
    edit(
        folder,
        lambda m: m.update(variants={"fp16": {"file": "model.fp16.onnx", "sha256": sha256_of(b"half")}}),
    )
    assert load_bundle(folder).variants == {"fp16": folder / "model.fp16.onnx"}
    (folder / "model.fp16.onnx").write_bytes(b"other")
    assert "model.fp16.onnx" in fault(folder)


def test_a_changed_model_is_refused_with_both_hashes(folder: Path):
    model = folder / "model.onnx"
    wanted = sha256_of(model.read_bytes())
    model.write_bytes(model.read_bytes() + b"\0")
    message = fault(folder)
    assert str(model) in message
    assert wanted in message
    assert sha256_of(model.read_bytes()) in message


def test_a_changed_confusion_is_refused(folder: Path):
    (folder / "confusion.json").write_text("{}")
    assert "confusion.json" in fault(folder)


def test_a_confusion_that_is_none_is_named(folder: Path):
    content = b'{"counts": [[101, 0, 1]]}'
    (folder / "confusion.json").write_bytes(content)
    edit(folder, lambda m: m["confusion"].update(sha256=sha256_of(content)))
    with pytest.raises(ConfigurationError, match=r"confusion\.json: counts\.0\.0 = 101"):
        load_confusion(load_bundle(folder))


def test_another_preprocessing_version_is_refused(folder: Path):
    edit(folder, lambda m: m["input"].update(preprocessing=2))
    message = fault(folder)
    assert "input.preprocessing = 2: " in message
    assert "allowed: 1;" in message


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "confusion.json"])
def test_a_missing_file_is_named(folder: Path, name: str):
    (folder / name).unlink()
    message = fault(folder)
    assert str(folder / name) in message
    assert "No such file" in message


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    assert str(tmp_path / "nowhere") in fault(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"not JSON", b"\xff\xfe\x00", b'{"schema": '])
def test_a_manifest_that_is_not_json_is_refused(folder: Path, content: bytes):
    (folder / "manifest.json").write_bytes(content)
    message = fault(folder)
    assert "manifest.json" in message
    assert "JSON" in message


@pytest.mark.parametrize("content", ["[]", "3", "null", '"text"'])
def test_a_manifest_that_is_no_object_is_refused(folder: Path, content: str):
    (folder / "manifest.json").write_text(content)
    assert "manifest.json" in fault(folder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda m: m.update(schema="instore.bundle/2"), "'instore.bundle/2'"),
        (lambda m: m.update(schema=7), "7"),
        (lambda m: m.pop("crop"), "crop"),
        (lambda m: m.update(colour="red"), "colour"),
        (lambda m: m.update(temperature=0), "temperature = 0"),
        (lambda m: m.update(temperature="warm"), "temperature = 'warm'"),
        (lambda m: m["input"].update(size=160.5), "input.size = 160.5"),
        (lambda m: m["input"].update(size=8), "input.size = 8"),
        (lambda m: m["input"].update(channels="BGR"), "input.channels = 'BGR'"),
        (lambda m: m["output"].update(classes=100), "output.classes = 100"),
        (lambda m: m["crop"].update(scale=0), "crop.scale = 0"),
        (lambda m: m["model"].update(sha256="abc"), "model.sha256 = 'abc'"),
        (lambda m: m["model"].update(file="../model.onnx"), "model.file = '../model.onnx'"),
        (lambda m: m.update(name=""), "name = ''"),
    ],
)
def test_a_bad_value_is_named_with_its_key(folder: Path, change: Edit, named: str):
    edit(folder, change)
    message = fault(folder)
    assert str(folder / "manifest.json") in message
    assert named in message


def test_a_bundle_cannot_be_changed():
    bundle: Any = load_bundle(BUILTIN)
    assert isinstance(bundle, Bundle)
    with pytest.raises(AttributeError):
        bundle.temperature = 2.0


def distribution(*weights: float) -> np.ndarray:
    probs = np.zeros((1, 101), np.float32)
    probs[0, 20 : 20 + len(weights)] = weights
    return probs


def test_temperature_1_changes_nothing():
    probs = distribution(0.2, 0.5, 0.3)
    assert np.allclose(calibrate(probs, 1.0), probs)


def test_temperature_divides_the_logits():
    logits = np.random.default_rng(0).normal(size=(5, 101)) * 4

    def softmax(x: np.ndarray) -> np.ndarray:
        return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)

    calibrated = calibrate(softmax(logits).astype(np.float32), 1.7)
    assert calibrated.dtype == np.float32
    assert np.allclose(calibrated, softmax(logits / 1.7), atol=1e-6)


def test_a_high_temperature_flattens_what_is_possible_and_nothing_else():
    assert np.allclose(
        calibrate(distribution(0.7, 0.2, 0.1), 100.0), distribution(1 / 3, 1 / 3, 1 / 3), atol=0.01
    )
