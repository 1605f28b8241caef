"""From FairFace as its authors publish it to a bundle whose terms allow commercial use, on drawn faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.bundle import load_bundle, sha256_of
from tests.training import backbones
from training import terms
from training.cli import main
from training.dataset import prepare
from training.demo_data import draw_face

CONFIG = Path(__file__).parents[2] / "training" / "configs" / "fairface.toml"
GROUPS = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")
QUICK = {
    "model.size": 64,
    "data.size": 64,
    "model.frozen": 0,
    "loop.batch": 4,
    "loop.epochs": 1,
    "loop.epoch_steps": 2,
}


def publish(folder: Path, part: str, count: int) -> None:
    """Drawn faces in the layout, and with the column heads and words, of FairFace."""
    random = np.random.default_rng(len(part))
    rows = ["file,age,gender,race,service_test"]
    (folder / part).mkdir(parents=True)
    for number in range(1, count + 1):
        place = number % len(GROUPS)
        name = f"{part}/{number}.jpg"
        face = draw_face(min(10 * place, 100), random)
        assert cv2.imwrite(str(folder / name), cv2.cvtColor(face, cv2.COLOR_RGB2BGR))
        rows.append(f"{name},{GROUPS[place]},{('Male', 'Female')[number % 2]},East Asian,{number % 3 == 0}")
    (folder / f"fairface_label_{part}.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def place(keras, tmp_path_factory) -> Path:
    """A folder with the stand-in, its report and the bundle; the small backbone counts as published."""
    place = tmp_path_factory.mktemp("fairface")
    publish(place / "fairface", "train", 54)
    publish(place / "fairface", "val", 18)
    backbones.write(place / "faceres-deep", backbones.weights())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        files = [sha256_of(file.read_bytes()) for file in (place / "faceres-deep").iterdir()]
        patch.setattr(terms, "PUBLISHED", frozenset(files))
        overrides = [word for key, value in QUICK.items() for word in ("--set", f"{key}={value}")]
        assert main(["explore", "fairface", "--out", "explored"]) == 0
        assert main(["train", str(CONFIG), *overrides]) == 0
        assert main(["export", "runs/fairface", "--out", "bundle"]) == 0
    return place


def manifest(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "bundle" / "manifest.json").read_text())
    return found


def test_what_the_authors_hold_out_is_the_test_part(place: Path):
    found = prepare([place / "fairface"], size=64, scale=1.04, cache=place / "runs" / "cache", seed=0)
    tested = {name.partition("/")[0] for name in found.files[found.split == "test"].tolist()}
    learnt = {name.partition("/")[0] for name in found.files[found.split != "test"].tolist()}
    assert (tested, learnt) == ({"val"}, {"train"})
    assert manifest(place)["metrics"]["n"] == (found.split == "test").sum() > 0


def test_the_figures_are_by_the_authors_groups(place: Path):
    assert list(manifest(place)["metrics"]["by_bracket"]) == [*GROUPS[:-1], "70+"]


def test_the_bundle_allows_commercial_use_and_carries_the_credit(place: Path):
    found = load_bundle(place / "bundle").terms
    assert found.commercial_use == "allowed"
    assert [(part.part, part.licence) for part in found.parts] == [
        ("fairface (FairFace)", "CC BY 4.0"),
        ("faceres-deep", "MIT and Apache-2.0"),
    ]
    card = (place / "bundle" / "MODEL_CARD.md").read_text()
    assert "Commercial use is allowed by the terms of every part." in card
    assert "- FairFace by Kimmo Kärkkäinen and Jungseock Joo (https://github.com/joojs/fairface)" in card
    assert (place / "bundle" / "LICENSE").is_file()


def test_the_bundle_is_evaluated_on_what_the_authors_hold_out(place: Path, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert main(["evaluate", "bundle", "fairface", "--out", "judged", "--json", "judged.json"]) == 0
    judged = json.loads((place / "judged.json").read_text())
    assert (judged["data"]["split"], judged["n"]) == ("test", manifest(place)["metrics"]["n"])
    assert "commercial use: allowed" in (place / "judged" / "report.html").read_text()


def test_weights_that_were_not_published_have_no_known_terms():
    found = terms.of_backbone({"ours.json": "0" * 64})
    assert (found.part, found.commercial_use) == ("backbone (ours.json)", "unknown")
    assert terms.of_backbone({sha256: sha256 for sha256 in terms.PUBLISHED}) == terms.BACKBONE
