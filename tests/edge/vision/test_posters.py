"""Posters: a face that keeps its place for two minutes is a picture; whoever moves is a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from edge.vision.posters import Place

START = datetime(2026, 1, 1, tzinfo=UTC)
FACE = 50.0


def looked_at(offsets: np.ndarray, sizes: np.ndarray | None = None) -> Place:
    """Looks once a second at a face of 50 px, or of these sizes, moved to the right."""
    found = Place()
    sizes = np.full(len(offsets), FACE) if sizes is None else sizes
    for second, (x, size) in enumerate(zip(offsets, sizes, strict=True)):
        box = np.array([100 + x - size / 2, 100 - size / 2, 100 + x + size / 2, 100 + size / 2], np.float32)
        found.add(box, START + timedelta(seconds=second))
    return found


@pytest.mark.parametrize(("seconds", "poster"), [(119, False), (120, True), (600, True)])
def test_a_face_that_hangs_still_is_a_poster_after_two_minutes(seconds: int, poster: bool):
    jitter = np.random.default_rng(0).normal(0, 0.02 * FACE, seconds + 1)
    assert looked_at(jitter).is_poster is poster


def test_people_who_pass_and_hide_a_part_make_no_person_of_it():
    offsets = np.zeros(200)
    offsets[50:80] = 0.4 * FACE
    assert looked_at(offsets).is_poster


def test_somebody_at_a_till_who_moves_by_centimetres_is_a_person():
    sway = 0.15 * FACE * np.sin(np.arange(600) / 5)
    assert not looked_at(sway).is_poster


def test_somebody_who_comes_nearer_is_a_person():
    assert not looked_at(np.zeros(200), np.linspace(FACE, 1.6 * FACE, 200)).is_poster


def test_a_person_who_moves_after_minutes_was_one_all_along():
    offsets = np.concatenate([np.zeros(200), np.full(100, FACE)])
    assert looked_at(offsets[:200]).is_poster
    assert not looked_at(offsets).is_poster


def test_one_look_that_is_far_off_makes_no_person_of_a_poster_also_the_first():
    offsets = np.zeros(200)
    offsets[0] = 0.5 * FACE
    assert looked_at(offsets).is_poster
