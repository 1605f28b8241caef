"""The shipped bundle on real faces: what a swapped channel or a wrong mean would spoil without any error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.bundle import BUILTIN, load_bundle
from edge.detect.mediapipe import MediaPipeDetector
from training.faces import read_faces, read_image, sample
from training.measure import measure_groups, measure_years, run_bundle
from training.photos import cut_faces, read_photos
from training.scores import expected_ages


def test_half_fits_the_temperature_and_half_gives_the_figures(faces: Path):
    found = measure_years(BUILTIN, sample(read_faces(faces), 7, seed=0))
    assert found.metrics["n"] == 4
    assert found.confusion is not None
    assert sum(count for _, _, count in found.confusion.counts) == 4
    assert found.metrics["milliseconds_per_face"] > 0


@pytest.mark.data
def test_real_faces_get_the_ages_that_the_card_promises(data: Path):
    chosen = sample(read_faces(data / "faces" / "faces"), 200, seed=1)
    crops = [read_image(face.path) for face in chosen]
    ages = np.array([face.age for face in chosen])

    def error(pictures: list[np.ndarray]) -> float:
        return float(np.abs(expected_ages(run_bundle(BUILTIN, pictures).probs) - ages).mean())

    promised = load_bundle(BUILTIN).metrics["mae"]
    assert error(crops) == pytest.approx(promised, abs=1.2)  # three standard errors of 200 faces
    assert error([np.ascontiguousarray(crop[..., ::-1]) for crop in crops]) > error(crops)


@pytest.mark.data
def test_photos_cut_as_on_a_box_give_the_figures_of_the_card(data: Path):
    bundle = load_bundle(BUILTIN)
    detector = MediaPipeDetector("near", 0.5)
    crops = cut_faces(read_photos(data / "cross"), detector, bundle.crop_scale, bundle.input_size)
    detector.close()
    scores = measure_groups(BUILTIN, crops, bundle.temperature)
    promised = bundle.metrics["groups"]
    assert scores["n"] == promised["n"]
    assert scores["mae"] == pytest.approx(promised["mae"], abs=0.1)
    assert scores["accuracy"] == pytest.approx(promised["accuracy"], abs=0.02)
