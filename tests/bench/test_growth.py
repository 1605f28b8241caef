"""How cost grows is measured and judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench import growth
from edge.vision.detect.mediapipe import MediaPipeDetector


@pytest.mark.parametrize("k", [0.0, 1.0, 2.0])
def test_the_exponent_of_a_power_is_its_own(k: float):
    assert growth.exponent([(1, 9.0), (10, 10.0**k), (20, 20.0**k)]) == pytest.approx(k)


def lowest_exponent(measure: Callable[[], growth.Curve], limit: float) -> float:
    """Of up to five trials: other work of the machine slows down one size or another."""
    found = growth.exponent(measure())
    for _ in range(4):
        if found >= limit:
            found = min(found, growth.exponent(measure()))
    return found


def test_tracks_cost_near_linear():
    limit = 2 * growth.LIMIT
    curve = growth.tracks_of_a_camera((25, 50), 3)
    assert [size for size, _ in curve] == [25, 50]
    assert lowest_exponent(lambda: growth.tracks_of_a_camera((25, 50, 100), 30), limit) < limit


def test_zones_cost_near_linear():
    assert lowest_exponent(lambda: growth.zones_of_a_box((16, 64, 256), 50), growth.LIMIT) < growth.LIMIT


def test_a_crowd_has_as_many_faces_as_it_says():
    detector = MediaPipeDetector("far", 0.5)
    tile = np.ascontiguousarray(growth.crowd(10, 0)[:540, :540])
    found = len(detector.detect(tile))
    detector.close()
    assert 2 <= found <= 4  # of three that are whole in it


def test_faces_in_a_frame_are_measured():
    curve = growth.faces_in_a_frame((1, 2), frames=2)
    assert [size for size, _ in curve] == [1, 2]
    assert min(cost for _, cost in curve) > 1


def test_cameras_of_a_box_are_measured(clip: Path):
    ((size, cost),) = growth.cameras_of_a_box(clip, (2,), seconds=1.0)
    assert size == 2
    assert cost > 0


def test_the_report_marks_what_grows_too_fast():
    line = [(1, 1.0), (2, 2.0)]
    text = growth.section({"cameras": line, "faces": line, "tracks": line, "zones": [(1, 1.0), (2, 4.0)]})
    rows = text.splitlines()[2:6]
    assert [row.rsplit("|", 2)[1].strip() for row in rows] == ["met", "met", "met", "**missed**"]
