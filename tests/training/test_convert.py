"""From a tiny backbone to a bundle, and what is left when that fails: nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import BUILTIN, load_bundle, load_confusion
from edge.errors import ConfigurationError
from tests.training import backbones, bundles
from tests.training.evaluation.people import labelled_folder
from training.bundles import Identity, require_parity, write_draft
from training.convert import Plan, command_line, convert
from training.predict import run_raw


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return backbones.write(tmp_path / "backbone", backbones.weights())


def crops(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), np.uint8))


def test_the_bundle_gives_what_the_layers_give(keras, tiny: Path, tmp_path: Path):
    from training.backbone import build
    from training.tfjs import read_weights

    convert(Plan(tiny, tmp_path / "bundle", 64))
    wanted = build(read_weights(tiny), 64).predict(np.stack(crops(8)), verbose=0)
    found = run_raw(load_bundle(tmp_path / "bundle"), crops(8)).probs
    assert np.allclose(found, wanted, atol=1e-5)


def test_the_manifest_tells_the_figures_and_the_origin(keras, tiny: Path, tmp_path: Path):
    data = labelled_folder(tmp_path / "faces")
    other = labelled_folder(tmp_path / "other", count=5)
    out = tmp_path / "bundle"
    convert(Plan(tiny, out, 64, data, also=[other], against=[BUILTIN], cache=tmp_path / "cache"))
    bundle = load_bundle(out)
    validated = load_confusion(bundle).sum()
    assert 0 < bundle.metrics["n"] < 10
    assert 0 < validated < 10
    assert bundle.metrics["parity_max_difference"] <= 1e-4
    assert bundle.metrics["parity_crops"] == 30
    assert bundle.metrics["also"][0]["n"] == 5
    assert bundle.metrics["against"][0]["n"] == bundle.metrics["n"]
    provenance = json.loads((out / "manifest.json").read_text())["provenance"]
    assert set(provenance["sha256"]) == {"tiny.json", "tiny-0.bin", "tiny-1.bin"}
    card = (out / "MODEL_CARD.md").read_text()
    assert f"| mean absolute error, years | {bundle.metrics['mae']:.2f} [" in card
    assert str(tmp_path) not in card + (out / "manifest.json").read_text()


def test_without_faces_there_are_no_figures(keras, tiny: Path, tmp_path: Path):
    out = tmp_path / "bundle"
    convert(Plan(tiny, out, 64))
    bundle = load_bundle(out)
    assert bundle.temperature == 1.0
    assert set(bundle.metrics) == {"parity_max_difference", "parity_crops"}
    assert {path.name for path in out.iterdir()} == {
        "model.onnx",
        "manifest.json",
        "MODEL_CARD.md",
        "LICENSE",
    }


def test_a_graph_that_differs_is_refused(keras, tmp_path: Path):
    from training.backbone import build

    write_draft(tmp_path, build(backbones.weights(), 64), Identity("tiny", "1", bundles.TERMS, 1.04))
    with pytest.raises(ConfigurationError, match=r"differs from the Keras model by .*; at most 0\.0001"):
        require_parity(tmp_path, build(backbones.weights(seed=1), 64), crops(2))


def test_a_failure_on_the_way_leaves_nothing(keras, tiny: Path, tmp_path: Path):
    plan = Plan(tiny, tmp_path / "bundle", 64, labelled_folder(tmp_path / "faces"), cache=tmp_path / "cache")
    with pytest.raises(ConfigurationError, match="nowhere"):
        convert(replace(plan, also=[tmp_path / "nowhere"]))
    assert not [path for path in tmp_path.iterdir() if "bundle" in path.name]


def test_an_existing_output_is_left_alone(tiny: Path, tmp_path: Path):
    out = tmp_path / "bundle"
    out.mkdir()
    (out / "mine").write_text("kept")
    with pytest.raises(ConfigurationError, match="exists already"):
        convert(Plan(tiny, out, 64))
    assert (out / "mine").read_text() == "kept"


def test_the_command_names_folders_by_what_they_hold(tmp_path: Path):
    plan = Plan(tmp_path, tmp_path, 96, data=tmp_path, also=[tmp_path, tmp_path], against=[tmp_path], seed=3)
    assert command_line(plan) == (
        "instore-training convert --backbone BACKBONE --out BUNDLE --size 96 "
        "--data DATA --seed 3 --also OTHER OTHER --against BUNDLE"
    )
