"""From a tiny backbone to a bundle, and what is left when that fails: nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import load_bundle, load_confusion
from edge.errors import ConfigurationError
from edge.inference import open_backend
from edge.preprocess import to_batch
from tests.training import backbones
from training.convert import Plan, command_line, convert, parity
from training.faces import read_faces, read_image
from training.staging import staged


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return backbones.write(tmp_path / "backbone", backbones.weights())


def test_the_bundle_gives_what_the_layers_give(keras, tiny: Path, faces: Path, tmp_path: Path):
    from training.backbone import build, read_weights

    out = tmp_path / "bundle"
    convert(Plan(tiny, out, 64, faces=faces, sample=10))
    bundle = load_bundle(out)
    batch = to_batch([read_image(face.path) for face in read_faces(faces)[:8]], 64)
    wanted = build(read_weights(tiny), 64).predict(batch, verbose=0)
    assert np.allclose(open_backend("onnxruntime", bundle).infer(batch), wanted, atol=1e-5)


def test_the_manifest_tells_the_figures_and_the_origin(keras, tiny: Path, faces: Path, tmp_path: Path):
    out = tmp_path / "bundle"
    convert(Plan(tiny, out, 64, faces=faces, sample=10, other_sizes=(80,)))
    bundle = load_bundle(out)
    assert bundle.input_size == 64
    assert bundle.metrics["n"] == 5
    assert bundle.metrics["parity_max_difference"] <= 1e-4
    assert set(bundle.metrics["other_sizes"]) == {"80"}
    assert load_confusion(bundle).sum() == 5
    provenance = json.loads((out / "manifest.json").read_text())["provenance"]
    assert set(provenance["sha256"]) == {"tiny.json", "tiny-0.bin", "tiny-1.bin"}
    assert provenance["made_with"].endswith("--size 64 --faces FACES --sample 10 --seed 0 --compare 80")
    card = (out / "MODEL_CARD.md").read_text()
    assert f"| mean absolute error, years | {bundle.metrics['mae']:.2f} |" in card
    assert str(tmp_path) not in card


def test_without_faces_there_are_no_figures(keras, tiny: Path, tmp_path: Path):
    out = tmp_path / "bundle"
    convert(Plan(tiny, out, 64))
    bundle = load_bundle(out)
    assert bundle.temperature == 1.0
    assert set(bundle.metrics) == {"parity_max_difference"}
    assert {path.name for path in out.iterdir()} == {
        "model.onnx",
        "manifest.json",
        "MODEL_CARD.md",
        "LICENSE",
    }


def test_a_graph_that_differs_is_refused(keras, tiny: Path, tmp_path: Path):
    from training.backbone import build

    convert(Plan(tiny, tmp_path / "bundle", 64))
    other = build(backbones.weights(seed=1), 64)
    crops = [np.full((64, 64, 3), 90, np.uint8)]
    with pytest.raises(ConfigurationError, match="differs from the Keras model"):
        parity(other, tmp_path / "bundle", crops)


def test_an_existing_output_is_left_alone(tiny: Path, tmp_path: Path):
    out = tmp_path / "bundle"
    out.mkdir()
    (out / "mine").write_text("kept")
    with pytest.raises(ConfigurationError, match="exists already"):
        convert(Plan(tiny, out, 64))
    assert (out / "mine").read_text() == "kept"


def test_a_failure_leaves_nothing(tmp_path: Path):
    def fail() -> None:
        with staged(tmp_path / "bundle") as folder:
            (folder / "half").write_text("written")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_good_end_leaves_the_folder_readable_by_all(tmp_path: Path):
    with staged(tmp_path / "bundle") as folder:
        (folder / "file").write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert (tmp_path / "bundle").stat().st_mode & 0o777 == 0o755


def test_a_parent_that_is_not_there_is_named(tiny: Path, tmp_path: Path):
    with pytest.raises(ConfigurationError, match="nowhere: cannot be written to"):
        convert(Plan(tiny, tmp_path / "nowhere" / "bundle", 64))


def test_the_command_names_folders_by_what_they_hold(tmp_path: Path):
    plan = Plan(tmp_path, tmp_path, 96, faces=tmp_path, photos=tmp_path, sample=7, seed=3)
    assert command_line(plan) == (
        "instore-training convert --backbone BACKBONE --out BUNDLE --size 96 "
        "--faces FACES --sample 7 --seed 3 --photos PHOTOS"
    )
