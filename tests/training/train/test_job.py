"""The command `train`, from a file of settings to a finished run."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.bundle import BUILTIN, PartTerms, load_bundle
from edge.errors import ConfigurationError
from edge.ops.terminal import silent
from tests.training import backbones, bundles
from tests.training.train import made_up
from training.cli import main
from training.dataset import prepare
from training.demo_data import write_faces
from training.provenance import TrainingData
from training.train.batches import Examples
from training.train.config import load_config
from training.train.teacher import ASKING, ask_teacher

pytestmark = [
    # Keras 3.15 copies variables in a way that NumPy 2 will not know.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    # Without compiled steps the input pipeline is compiled all the same, and says so.
    pytest.mark.filterwarnings("ignore:Even though the `tf.config:UserWarning"),
]


def configured(root: Path) -> Path:
    """The configuration of a tiny run on the faces in `root`."""
    path = root / "tiny.toml"
    path.write_text(made_up.CONFIG.format(root=root))
    return path


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 60 faces in `faces/`."""
    root = tmp_path_factory.mktemp("drawn")
    write_faces(root / "faces", 60, seed=0)
    return root


@pytest.fixture(scope="module")
def finished(keras, drawn: Path) -> tuple[Path, str]:
    """The root of a finished run, trained as users train it, and what the command printed."""
    with redirect_stdout(io.StringIO()) as printed:
        assert train(configured(drawn)) == 0
    return drawn, printed.getvalue()


@pytest.fixture
def config(drawn: Path, eager: None, tmp_path: Path) -> Path:
    """The configuration of a run that is not yet trained."""
    shutil.copytree(drawn / "faces", tmp_path / "faces")
    return configured(tmp_path)


@pytest.fixture
def trained(finished: tuple[Path, str], config: Path, tmp_path: Path) -> Path:
    """The configuration of a finished run, in `tmp_path`."""
    for name in ("runs", "cache"):
        shutil.copytree(finished[0] / name, tmp_path / name)
    return config


def train(config: Path, *overrides: str) -> int:
    return main(["train", str(config), *(word for pair in overrides for word in ("--set", pair))])


def test_a_configuration_becomes_a_finished_run(finished: tuple[Path, str]):
    from training.train import load_run

    root, printed = finished
    assert "mean absolute error on validation" in printed
    run = load_run(root / "runs" / "tiny")
    assert (run.size, run.scale) == (64, 1.04)
    probs = np.asarray(run.model(np.zeros((2, 64, 64, 3), np.uint8)))
    assert probs.shape == (2, 101)
    assert np.allclose(probs.sum(1), 1, atol=1e-5)


def test_the_run_says_what_it_was_made_from(finished: tuple[Path, str]):
    from training.train import load_run

    info = load_run(finished[0] / "runs" / "tiny").info
    assert info["data"]["source"] == "faces (labels.csv)"
    assert [own["licence"] for own in info["data"]["terms"]] == ["Drawn by a program; free for any use"]
    assert sum(info["data"]["pictures"].values()) == 60
    assert len(info["split"]) == 64
    assert info["start"] == {"random": {"width": 0.1}}
    assert info["versions"].keys() >= {"keras", "tensorflow"}
    assert info["validation"].keys() >= {"mae", "cs5", "accuracy"}


def test_a_run_on_a_backbone_names_its_files_by_content(keras, config: Path, tmp_path: Path):
    folder = backbones.write(tmp_path / "backbone", backbones.weights())
    assert train(config, f"model.backbone={folder}") == 0
    info = json.loads((tmp_path / "runs" / "tiny" / "run.json").read_text())
    assert info["start"]["backbone"].keys() == {"tiny.json", "tiny-0.bin", "tiny-1.bin"}


def test_a_run_goes_on_from_another_but_not_across_its_split(trained: Path, tmp_path: Path, capsys):
    start = f"model.run={tmp_path / 'runs' / 'tiny'}"
    assert train(trained, "name=second", start) == 0
    info = json.loads((tmp_path / "runs" / "second" / "run.json").read_text())
    assert info["start"]["run"]["name"] == "tiny"
    assert train(trained, "name=third", start, "data.seed=1") == 2
    assert "was trained on pictures that are in this run's validation or test part" in capsys.readouterr().err


def drafted(tmp_path: Path) -> Path:
    """A bundle of the run `tiny`, without figures, which comes under terms of its own."""
    from training.bundles import Identity, write_draft, write_manifest
    from training.train import load_run

    run, folder = load_run(tmp_path / "runs" / "tiny"), tmp_path / "bundle"
    folder.mkdir()
    terms = PartTerms(part="photos of shops", licence="shops only", commercial_use="forbidden")
    manifest = write_draft(folder, run.model, Identity("first", "1", (terms,), 1.04))
    write_manifest(folder, manifest.model_copy(update={"provenance": {"data": run.info["data"]}}))
    return folder


def test_a_run_goes_on_from_a_bundle_and_its_terms_come_along(trained: Path, tmp_path: Path):
    from training.export import terms_of
    from training.train import load_run

    bundle = drafted(tmp_path)
    assert train(trained, "name=second", f"model.bundle={bundle}", "loop.epoch_steps=1") == 0
    run = load_run(tmp_path / "runs" / "second")
    assert run.info["start"]["bundle"]["sha256"] == load_bundle(bundle).sha256
    found = terms_of(run, TrainingData.read(run.info["data"]))
    assert [(own.part, own.licence, own.commercial_use) for own in found] == [
        ("faces (labels.csv)", "Drawn by a program; free for any use", "unknown"),
        ("photos of shops", "shops only", "forbidden"),
    ]


def test_the_licences_of_the_backbone_come_along_with_the_shipped_bundle(keras, config: Path, tmp_path: Path):
    from training.export import Plan, export

    assert train(config, "model.bundle=builtin", "loop.epoch_steps=1", "loop.batch=1") == 0
    manifest = export(Plan(tmp_path / "runs" / "tiny", tmp_path / "own", version="7"))
    shipped = load_bundle(BUILTIN)
    assert manifest.licence == (
        "faces (labels.csv): Drawn by a program; free for any use; " + shipped.licence
    )
    assert manifest.terms.parts[1:] == shipped.terms.parts
    assert manifest.terms.commercial_use == "forbidden"
    card = (tmp_path / "own" / "MODEL_CARD.md").read_text()
    assert f"continued from the bundle instore-age {load_bundle(BUILTIN).version}" in card
    assert (tmp_path / "own" / "LICENSE").read_bytes() == (BUILTIN / "LICENSE").read_bytes()


def test_weights_are_averaged_by_their_shares_and_tilted(trained: Path, tmp_path: Path):
    from training.export import terms_of
    from training.train import load_run
    from training.train.runs import read_model

    first = drafted(tmp_path)
    assert train(trained, "name=second", "seed=5") == 0
    merged = tmp_path / "merged.toml"
    part = f'\n[[merge]]\nrun = "{tmp_path}/runs/second"\nshare = 0.25\n'
    merged.write_text(trained.read_text() + part)
    assert train(merged, "name=merged", f"model.bundle={first}", "tilt=-0.5") == 0
    run = load_run(tmp_path / "runs" / "merged")
    a, b = (read_model(tmp_path / "runs" / name).get_weights() for name in ("tiny", "second"))
    wanted = [0.75 * x + 0.25 * y for x, y in zip(a, b, strict=True)]
    wanted[-1] = wanted[-1] - 0.5 * np.arange(101)
    for found, weight in zip(run.model.get_weights(), wanted, strict=True):
        assert np.allclose(found, weight, atol=1e-5)
    assert [part["share"] for part in run.info["start"]["parts"]] == [0.75, 0.25]
    assert run.info["validation"]["mae"] > 0
    found = terms_of(run, TrainingData.read(run.info["data"]))
    assert [own.part for own in found] == ["faces (labels.csv)", "photos of shops"]


def test_another_network_is_not_averaged(keras, config: Path, tmp_path: Path, capsys):
    folder = backbones.write(tmp_path / "backbone", backbones.weights())
    merged = tmp_path / "merged.toml"
    merged.write_text(config.read_text() + f'\n[[merge]]\nbackbone = "{folder}"\nshare = 0.25\n')
    assert train(merged) == 2
    assert "is another network than random weights" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_teacher_is_asked_once_and_named(trained: Path, tmp_path: Path):
    from training.export import terms_of
    from training.train import job, load_run

    bundle = drafted(tmp_path)
    for name, asked in (("taught", True), ("again", False)):
        told: list[str] = []
        overrides = [f"teacher.bundle={bundle}", f"name={name}", "loop.epoch_steps=1"]
        job.train(load_config(trained, overrides), lambda step, *_, told=told: told.append(step))
        assert (ASKING in told) == asked
    run = load_run(tmp_path / "runs" / "again")
    assert run.info["teacher"]["name"] == "first"
    assert terms_of(run, TrainingData.read(run.info["data"]))[-1].part == "photos of shops"


def test_a_teacher_says_the_mean_of_a_face_and_its_mirror_image(keras, tmp_path: Path):
    bundle = bundles.write(tmp_path / "teacher")
    crops = bundles.crops([20, 50])
    examples = Examples(crops, np.arange(2), np.zeros(2, np.float32), np.zeros(2, np.float32))
    settings = made_up.settings(
        tmp_path, data={"cache": str(tmp_path)}, teacher={"bundle": str(bundle.folder)}
    )
    opinions = ask_teacher(examples, "two", settings, silent).opinions
    assert opinions is not None
    assert np.allclose(opinions @ np.arange(101), [20, 50], atol=0.5)
    assert list(tmp_path.glob("teacher-*.npy"))


def keys_of(root: Path, *parts: str) -> list[str]:
    """SHA-256 of the pictures of these parts of the split."""
    prepared = prepare([root / "faces"], size=80, scale=1.04, cache=root / "cache", seed=0)
    return prepared.keys[np.isin(prepared.split, parts)].tolist()


def opinions(path: Path, keys: list[str], age: int, **changes: Any) -> Path:
    """A file of opinions that is sure of one age for every picture."""
    probs = np.zeros((len(keys), 101), np.float32)
    probs[:, age] = 1
    held: dict[str, Any] = {"keys": keys, "probs": probs, "source": "a network for faces", "terms": "MIT"}
    np.savez(path, **{name: value for name, value in {**held, **changes}.items() if value is not None})
    return path


def test_opinions_of_another_model_are_taught_and_named(keras, config: Path, tmp_path: Path, monkeypatch):
    from training.export import Plan, export
    from training.train import job, load_run

    keys = keys_of(tmp_path, "train")
    path = opinions(tmp_path / "others.npz", keys, 40, source="a network for faces,")
    seen: list[Examples] = []
    fit = vars(job)["fit"]

    def fit_and_note(settings: Any, learn: Examples, *rest: Any) -> Any:
        seen.append(learn)
        return fit(settings, learn, *rest)

    monkeypatch.setattr(job, "fit", fit_and_note)
    assert train(config, f"teacher.opinions={path}") == 0
    assert seen[0].opinions is not None
    assert (seen[0].opinions @ np.arange(101) == 40).all()
    run = load_run(tmp_path / "runs" / "tiny")
    assert run.info["teacher"]["opinions"] == "a network for faces"
    manifest = export(Plan(run.folder, tmp_path / "own", version="1"))
    assert manifest.licence.endswith("; a network for faces: MIT")
    assert "opinions" not in manifest.provenance["config"]["teacher"]
    told = (tmp_path / "own" / "MODEL_CARD.md").read_text()
    assert "it learnt from the estimates of a network for faces, for each face, with a share of 0.5." in told


def test_the_terms_of_a_teacher_come_along_with_the_run_that_it_taught(keras, config: Path, tmp_path: Path):
    from training.export import terms_of
    from training.train import load_run

    keys = keys_of(tmp_path, "train")
    path = opinions(tmp_path / "others.npz", keys, 40, terms="for schools only")
    assert train(config, f"teacher.opinions={path}") == 0
    assert train(config, "name=next", f"model.run={tmp_path}/runs/tiny") == 0
    run = load_run(tmp_path / "runs" / "next")
    found = terms_of(run, TrainingData.read(run.info["data"]))
    assert [own.licence for own in found] == ["Drawn by a program; free for any use", "for schools only"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"terms": None}, "not an .npz file with keys, probs, source and terms"),
        (
            {"probs": np.ones((1, 100))},
            "the shape of probs is (1, 100); it must be (1, 101), one row per key",
        ),
        ({"probs": np.full((1, 101), np.nan)}, "a row of probs is not a distribution"),
        ({}, "others.npz: has no opinion of "),
    ],
)
@pytest.mark.usefixtures("keras")
def test_opinions_that_cannot_be_taught_are_status_2(
    config: Path, tmp_path: Path, capsys, changes: dict[str, object], message: str
):
    path = opinions(tmp_path / "others.npz", ["00" * 32], 40, **changes)
    assert train(config, f"teacher.opinions={path}") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("keras")
def test_opinions_from_another_split_are_refused(config: Path, tmp_path: Path, capsys):
    path = opinions(tmp_path / "others.npz", keys_of(tmp_path, "train", "validation"), 40)
    assert train(config, f"teacher.opinions={path}") == 2
    said = capsys.readouterr().err
    assert "others.npz: holds opinions of pictures that are in this run's validation or test part" in said


@pytest.mark.usefixtures("keras")
def test_faces_put_together_from_judging_pictures_are_refused(config: Path, tmp_path: Path, capsys):
    folder = tmp_path / "made"
    folder.mkdir()
    keys = keys_of(tmp_path, "train")
    path = opinions(tmp_path / "others.npz", keys, 40)
    np.save(folder / "crops.npy", np.zeros((1, 64, 64, 3), np.uint8))
    np.save(folder / "probs.npy", np.eye(101, dtype=np.float32)[[40]])
    np.save(folder / "keys.npy", np.array([[keys[0], keys_of(tmp_path, "validation")[0]]]))
    assert train(config, f"teacher.opinions={path}", f"teacher.composites={folder}") == 2
    assert "made: holds faces made of pictures that are in this run's validation" in capsys.readouterr().err


def test_a_run_has_one_teacher(config: Path, capsys):
    assert train(config, "teacher.opinions=others.npz", "teacher.bundle=builtin") == 2
    assert "'bundle' and 'opinions' are given; allowed: one of them" in capsys.readouterr().err


def test_a_teacher_or_a_start_that_has_seen_the_judging_pictures_is_refused(
    trained: Path, tmp_path: Path, capsys
):
    bundle = drafted(tmp_path)
    for place in ("model.bundle", "teacher.bundle"):
        assert train(trained, "name=other", "data.seed=1", f"{place}={bundle}") == 2
        assert "pictures that are in this run's validation or test part" in capsys.readouterr().err


def test_a_finished_run_is_not_trained_again(finished: tuple[Path, str], capsys):
    assert train(finished[0] / "tiny.toml") == 2
    assert "this run is finished; give the new one another name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loop.epoch=3", "loop.epoch: unknown key; did you mean 'epochs'? allowed: batch,"),
        ("data.folder=nowhere", "nowhere"),
        ("model.backbone=nowhere", "nowhere: is not a folder"),
        ("model.run=nowhere", "give the folder of a finished run"),
        ("model.bundle=nowhere", "nowhere/manifest.json: cannot be read"),
        ("teacher.bundle=nowhere", "nowhere/manifest.json: cannot be read"),
        ("teacher.opinions=nowhere.npz", "nowhere.npz: cannot be read"),
    ],
)
@pytest.mark.usefixtures("keras")
def test_bad_settings_are_status_2_and_leave_no_run(
    config: Path, tmp_path: Path, capsys, override: str, message: str
):
    assert train(config, override) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_an_interrupted_run_says_how_to_go_on(keras, config: Path, tmp_path: Path, monkeypatch, capsys):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.train.job.fit", interrupt)
    assert train(config) == 2
    said = capsys.readouterr().err
    assert (
        f"interrupted; the same command continues after the last complete epoch in {tmp_path}/runs/tiny"
        in said
    )


def test_a_full_disk_is_told_and_leaves_the_last_good_file(keras, tmp_path: Path, monkeypatch):
    from training.train.runs import write_text

    write_text(tmp_path / "run.json", "good")

    def full(*_: object, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ConfigurationError, match="cannot be written to \\(No space left on device\\)"):
        write_text(tmp_path / "run.json", "half")
    assert (tmp_path / "run.json").read_text() == "good\n"


def test_a_model_that_a_full_disk_cut_short_does_not_stay_on_it(tmp_path: Path):
    from training.train.runs import write_model

    class Model:
        def save(self, path: Path) -> None:
            path.write_bytes(b"half of it")
            raise OSError(28, "No space left on device")

    with pytest.raises(ConfigurationError, match="cannot be written to"):
        write_model(Model(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_is_not_loaded(keras, tmp_path: Path):
    from training.train import load_run

    with pytest.raises(ConfigurationError, match="give the folder of a finished run"):
        load_run(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "run.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff"])
def test_a_damaged_file_of_a_run_is_named(name: str, content: bytes, tmp_path: Path):
    from training.train import load_run

    (tmp_path / "config.json").write_text(made_up.settings(tmp_path).model_dump_json())
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=name.replace(".", r"\.")):
        load_run(tmp_path)


def test_drawn_faces_are_the_same_for_the_same_seed(tmp_path: Path):
    for name in "ab":
        write_faces(tmp_path / name, 5, seed=3)
    drawn = sorted((tmp_path / "a").rglob("*.*"))
    assert len(drawn) > 5
    for path in drawn:
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
