"""The shipped bundle on real faces: what a swapped channel or a wrong mean would spoil without any error."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.bundle import BUILTIN, load_bundle
from training.evaluation.evaluate import Options, evaluate
from training.evaluation.part import open_part
from training.evaluation.scores import expected_ages
from training.labels import labels_file, picture, read_table
from training.predict import run_calibrated


def some_faces(folder: Path, count: int) -> tuple[list[np.ndarray], np.ndarray]:
    table = read_table(labels_file(folder))
    rows = [table[i] for i in np.random.default_rng(1).permutation(len(table))[:count]]
    images = [cv2.imread(str(picture(folder, row["file_name"]))) for row in rows]
    kept = [(image, min(int(row["real_age"]), 100)) for image, row in zip(images, rows, strict=True)]
    return [cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image, _ in kept], np.array([age for _, age in kept])


@pytest.mark.data
def test_real_faces_get_the_ages_that_the_card_promises(data: Path):
    bundle = load_bundle(BUILTIN)
    crops, ages = some_faces(data / "faces" / "faces", 200)

    def error(pictures: list[np.ndarray]) -> float:
        return float(np.abs(expected_ages(run_calibrated(bundle, pictures).probs) - ages).mean())

    assert error(crops) == pytest.approx(bundle.metrics["mae"], abs=1.2)  # three standard errors of 200 faces
    assert error([np.ascontiguousarray(crop[..., ::-1]) for crop in crops]) > error(crops)


@pytest.mark.data
def test_photos_cut_as_on_a_box_give_the_figures_of_the_card(data: Path, tmp_path: Path):
    bundle = load_bundle(BUILTIN)
    part = open_part([data / "cross"], bundle, "all", tmp_path / "cache")
    found = evaluate(bundle, part, Options(face_sizes=())).figures
    promised = next(own for own in bundle.metrics["also"] if own["source"].startswith("cross"))
    for figure in ("n", "mae", "accuracy", "within_one"):
        assert found[figure] == pytest.approx(promised[figure], abs=0.01)
