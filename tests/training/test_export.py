"""A run of seconds on made-up pictures, exported, judged, and refused where it must be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge.bundle import BUILTIN, load_bundle, load_confusion
from edge.errors import ConfigurationError
from tests.training.evaluation.people import labelled_folder
from tests.training.train.made_up import settings
from training import card
from training.cli import main
from training.evaluation.part import CHANGED, open_part
from training.export import Plan, export
from training.predict import in_precision, run_calibrated


@pytest.fixture(scope="module")
def place(keras, tmp_path_factory) -> Path:
    """A folder with the data, the run and its bundle."""
    from training.train.job import train

    place = tmp_path_factory.mktemp("export")
    data = labelled_folder(place / "faces", count=40)
    (data / "terms.txt").write_text("Made up;\nfor tests only.\n")
    folders = {"folder": str(data), "cache": str(place / "cache")}
    loop, model = {"epochs": 1, "epoch_steps": 2}, {"pooling": "places"}
    train(settings(place / "runs", data=folders, loop=loop, model=model))
    export(Plan(place / "runs" / "tiny", place / "bundle", name="toy", against=[BUILTIN]))
    return place


def fault(plan: Plan) -> str:
    before = sorted(plan.out.parent.iterdir())
    with pytest.raises(ConfigurationError) as caught:
        export(plan)
    assert sorted(plan.out.parent.iterdir()) == before
    return str(caught.value)


def test_the_bundle_has_everything(place: Path):
    bundle = load_bundle(place / "bundle")
    assert (bundle.name, bundle.version, bundle.input_size) == ("toy", "1", 64)
    assert {path.name for path in bundle.folder.iterdir()} == {
        "model.onnx",
        "model.fp16.onnx",
        "model.int8.onnx",
        "manifest.json",
        "confusion.json",
        "MODEL_CARD.md",
    }
    assert load_confusion(bundle).sum() > 0


def test_parity_is_recorded(place: Path):
    metrics = load_bundle(place / "bundle").metrics
    assert metrics["parity_max_difference"] <= 1e-4
    assert metrics["parity_crops"] == 40  # all there are, of the 256 it would take


def test_each_variant_has_its_own_figures(place: Path):
    metrics = load_bundle(place / "bundle").metrics
    assert set(metrics["variants"]) == {"fp16", "int8"}
    for figures in metrics["variants"].values():
        assert {"n", "mae", "cs5", "accuracy", "within_one", "milliseconds_per_face"} <= figures.keys()
        assert figures["n"] == metrics["n"]


def test_each_variant_runs_on_a_box(place: Path):
    bundle = load_bundle(place / "bundle")
    part = open_part([place / "faces"], bundle, "test", place / "cache")
    for precision in ("fp16", "int8"):
        probs = run_calibrated(in_precision(bundle, precision), part.crops).probs
        assert probs.shape == (len(part), 101)


def test_a_variant_that_is_not_there_is_named(place: Path):
    with pytest.raises(ConfigurationError, match="has no variant 'fp16'; it has fp32"):
        in_precision(replace(load_bundle(place / "bundle"), variants={}), "fp16")


def test_the_figures_are_of_the_test_part_of_the_run(place: Path):
    bundle = load_bundle(place / "bundle")
    part = open_part([place / "faces"], bundle, None, place / "cache")
    assert part.split == "test"  # it knows its own data, and judges on what it has not seen
    assert part.trained_on
    assert len(part) == bundle.metrics["n"] == bundle.metrics["against"][0]["n"]


def test_a_part_of_data_that_changed_since_comes_with_a_warning(place: Path, tmp_path: Path, capsys):
    labelled_folder(tmp_path / "faces", count=39)
    words = [str(place / "bundle"), str(tmp_path / "faces"), "--cache", str(tmp_path / "cache"), "--json"]
    assert main(["evaluate", *words, str(tmp_path / "a.json"), "--out", str(tmp_path / "report")]) == 0
    assert CHANGED in capsys.readouterr().out
    assert CHANGED in (tmp_path / "report" / "report.html").read_text()
    part = open_part([place / "faces"], load_bundle(place / "bundle"), "test", place / "cache")
    assert not part.changed


def test_other_data_are_judged_on_whole(place: Path, tmp_path: Path):
    other = labelled_folder(tmp_path / "other", count=4)
    for picture in (other / "final_files").iterdir():
        picture.write_bytes(picture.read_bytes() + b"another file")
    part = open_part([other], load_bundle(place / "bundle"), None, tmp_path / "cache")
    assert (part.split, len(part), part.trained_on) == ("all", 4, False)


def test_the_card_and_the_manifest_say_what_it_was_made_from(place: Path):
    told = (place / "bundle" / "MODEL_CARD.md").read_text()
    manifest = json.loads((place / "bundle" / "manifest.json").read_text())
    assert manifest["licence"] == "faces (labels.csv): Made up; for tests only"
    assert manifest["licence"] in told
    assert manifest["terms"]["commercial_use"] == "unknown"
    assert manifest["terms"]["parts"] == manifest["provenance"]["data"]["terms"]
    assert manifest["provenance"]["config"]["loop"]["epoch_steps"] == 2
    assert "with a weight learnt for each channel and place" in told
    assert "faceres-deep 1" not in told  # beside it by name, without its version
    assert "| faceres-deep |" in told or "instore-age" in told
    assert str(place) not in told + json.dumps(manifest)


def test_the_card_says_how_the_bundle_beside_it_was_made(place: Path):
    metrics = load_bundle(place / "bundle").metrics
    (other,) = metrics["against"]
    assert other["made_with"].startswith("instore-training export RUN --out BUNDLE --name instore-age")
    text = (place / "bundle" / "MODEL_CARD.md").read_text()
    assert f"instore-age was made by `{other['made_with']}`." in text


def test_bundles_of_one_name_are_told_apart_in_the_card():
    same = [{"name": "ours", "version": "1"}, {"name": "ours", "version": "2"}]
    assert card._names([*same, {"name": "other", "version": "1"}]) == ["ours 1", "ours 2", "other"]


def test_a_run_on_groups_that_overlap_is_exported_in_brackets_that_hold_them(keras, tmp_path: Path, capsys):
    from training.train.job import train

    ages = [(5 + i % 40, 15 + i % 40) if i % 2 else (60 + i, 60 + i) for i in range(40)]
    rows = [f"{i}.png,{low}-{high}" for i, (low, high) in enumerate(ages)]
    data = labelled_folder(tmp_path / "faces", count=40)
    (data / "labels.csv").write_text("\n".join(["file_name,age_group", *rows]) + "\n")
    folders = {"folder": str(data), "cache": str(tmp_path / "cache")}
    train(settings(tmp_path / "runs", data=folders, loop={"epochs": 1, "epoch_steps": 1}))
    words = ["export", str(tmp_path / "runs" / "tiny"), "--out", str(tmp_path / "bundle")]
    assert main(words) == 2
    assert "overlap; name brackets that hold each of them whole (--brackets)" in capsys.readouterr().err
    assert main([*words, "--brackets", "0-59", "60+"]) == 0
    metrics = load_bundle(tmp_path / "bundle").metrics
    assert list(metrics["by_bracket"]) == ["0-59", "60+"]
    assert "--brackets 0-59 60+" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text()


def test_an_existing_output_is_refused(place: Path):
    assert "exists already" in fault(Plan(place / "runs" / "tiny", place / "bundle"))


def test_a_run_that_is_none_is_named(place: Path, tmp_path: Path):
    assert "give the folder of a finished run" in fault(Plan(tmp_path, tmp_path / "bundle"))
    assert "nowhere" in fault(Plan(tmp_path / "nowhere", tmp_path / "bundle"))


def test_a_run_that_is_not_finished_is_named(place: Path, tmp_path: Path):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "model.keras"):
        (run / name).write_bytes((place / "runs" / "tiny" / name).read_bytes())
    assert "this run is not finished; `instore-training train`" in fault(Plan(run, tmp_path / "bundle"))


def test_data_that_changed_since_are_refused(place: Path, tmp_path: Path):
    changed = labelled_folder(tmp_path / "faces", count=39)
    said = fault(Plan(place / "runs" / "tiny", tmp_path / "bundle", data=[changed]))
    assert "are not those of the run" in said


def test_a_bundle_to_set_beside_it_must_be_one(place: Path, tmp_path: Path):
    run = place / "runs" / "tiny"
    said = fault(Plan(run, tmp_path / "bundle", against=[tmp_path / "nobundle"]))
    assert "nobundle/manifest.json: cannot be read" in said
