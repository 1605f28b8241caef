"""Who looks at the camera: the pose of heads whose pose is known, and the time of looks."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from datetime import timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edge.config import AttentionSettings, CameraSettings
from edge.quantities import ATTENTION, Contribution
from edge.vision.attention import HEAD, PITCH, SURE, Gaze, Target, direction, head_pose
from edge.vision.second_opinion import Opinion
from tests.fakes import EPOCH

BOX = np.array([0, 0, 40, 40], np.float32)


def seen(yaw: float, pitch: float, *, roll: float = 0.0, size: float = 30.0) -> np.ndarray:
    """The points (6, 2) of the model's own head, seen from afar."""
    y, p, r = np.radians([yaw, pitch / PITCH, roll])
    turn = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    nod = np.array([[1, 0, 0], [0, math.cos(p), math.sin(p)], [0, -math.sin(p), math.cos(p)]])
    lean = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    placed = HEAD @ (turn @ nod @ lean).T
    return (size * placed[:, :2] + 200).astype(np.float32)


def opinion(yaw: float, pitch: float = 0.0, score: float = 0.9) -> Opinion:
    return Opinion(score, BOX, seen(yaw, pitch))


@cache
def rendered() -> np.ndarray:
    """Yaw, pitch, score and the points that the short-range model found on heads of `bench.heads`.

    None of these persons is one that the model of a head was fitted to.
    """
    with (Path(__file__).parent / "heads.csv").open(encoding="utf-8") as file:
        return np.array([[float(value) for value in row.values()] for row in csv.DictReader(file)])


def errors(rows: np.ndarray) -> np.ndarray:
    """What the pose is off by, (N, 2): yaw and pitch in degrees."""
    found = [head_pose(points) for points in rows[:, 3:].reshape(-1, 6, 2).astype(np.float32)]
    return np.array(found) - rows[:, :2]


class TestPose:
    @pytest.mark.parametrize("yaw", [-60, -20, 0, 35, 75])
    @pytest.mark.parametrize("pitch", [-30, 0, 20])
    def test_of_the_model_itself_is_exact(self, yaw: float, pitch: float) -> None:
        assert head_pose(seen(yaw, pitch)) == pytest.approx((yaw, pitch), abs=0.01)

    def test_neither_size_nor_place_nor_a_leaning_head_matter(self) -> None:
        assert head_pose(seen(20, 10, size=200.0) + 50) == pytest.approx((20, 10), abs=0.01)
        assert head_pose(seen(20, 10, roll=25)) == pytest.approx((20, 10), abs=0.01)

    def test_points_that_are_one_point_have_none(self) -> None:
        assert all(map(math.isnan, head_pose(np.full((6, 2), 7, np.float32))))

    def test_on_rendered_heads_is_off_by_less_than_six_degrees(self) -> None:
        rows = rendered()
        towards = rows[(np.abs(rows[:, 0]) < 45) & (rows[:, 2] >= SURE)]
        assert len(towards) > 60
        assert (np.abs(errors(towards)).mean(axis=0) < 6).all()

    def test_rendered_heads_that_are_turned_away_do_not_look_at_the_camera(self) -> None:
        rows = rendered()
        target = Target(CameraSettings(name="a", source="0"), AttentionSettings(enabled=True))
        looks = np.array([target.holds(_opinion_of(row)) for row in rows])
        aside = np.degrees(np.arccos([direction(yaw, pitch)[2] for yaw, pitch in rows[:, :2]]))
        assert looks[aside < 20].mean() > 0.9
        assert looks[aside > 50].mean() < 0.1


def _opinion_of(row: np.ndarray) -> Opinion:
    return Opinion(row[2], BOX, row[3:].reshape(6, 2).astype(np.float32))


def gaze(**settings: object) -> Gaze:
    camera = CameraSettings.model_validate(
        {"name": "a", "source": "0", "target": settings.pop("target", [0, 0])}
    )
    return Target(camera, AttentionSettings.model_validate({"enabled": True, **settings})).begin()


def looked(looks: Iterable[tuple[float, Opinion]], **settings: object) -> float:
    """The seconds of attention after these looks, each at its second."""
    one = gaze(**settings)
    for seconds, what in looks:
        one.see(what, EPOCH + timedelta(seconds=seconds))
    return one.spent.total_seconds()


def staring(what: Opinion, begin: float, end: float) -> list[tuple[float, Opinion]]:
    return [(second, what) for second in np.arange(begin, end + 0.01, 0.25).tolist()]


AT, AWAY = opinion(5, 5), opinion(60)


@pytest.mark.parametrize(
    ("looks", "seconds"),
    [
        (staring(AT, 0, 2.75), 3),
        (staring(AWAY, 0, 3), 0),
        (staring(opinion(0, 0, score=0.6), 0, 3), 0),  # not sure of the face
        (staring(Opinion.no_face(BOX), 0, 3), 0),
        ([*staring(AT, 0, 0.75), *staring(AWAY, 1, 4), *staring(AT, 4.25, 5)], 2),  # twice
        ([*staring(AWAY, 0, 1), (1.25, AT), *staring(AWAY, 1.5, 3)], 0),  # one look may be wrong
        ([(0, AT), (1, AT), (2.5, AT), (3, AT)], 3),  # not seen for longer than a second
        ([(5, AT), (4, AT), (4.5, AT)], 1),  # the clock was set back
        ([], 0),
    ],
)
def test_time_of_attention(looks: list[tuple[float, Opinion]], seconds: float) -> None:
    assert looked(looks) == pytest.approx(seconds)


def test_looks_at_a_part_of_the_visit_are_added():
    one, other = gaze(), gaze()
    for (seconds, what), into in zip(staring(AT, 0, 5.5), [one] * 12 + [other] * 11, strict=True):
        into.see(what, EPOCH + timedelta(seconds=seconds))
    one.take(other)
    one.see(AT, EPOCH + timedelta(seconds=5.75))
    assert one.spent.total_seconds() == pytest.approx(3 + 2.75 + 0.25)


class TestTarget:
    def test_the_angle_decides(self) -> None:
        assert looked(staring(opinion(25), 0, 1.75)) == 2
        assert looked(staring(opinion(25), 0, 1.75), angle=20.0) == 0

    def test_a_screen_below_the_camera_is_looked_at_by_heads_that_nod(self) -> None:
        below = {"target": [0.0, 35.0]}
        assert looked(staring(opinion(0, 40), 0, 1.75), **below) == 2
        assert looked(staring(opinion(0, -5), 0, 1.75), **below) == 0
        assert looked(staring(opinion(0, 40), 0, 1.75)) == 0

    def test_a_screen_to_the_right_in_the_picture(self) -> None:
        assert looked(staring(opinion(50), 0, 1.75), target=[40.0, 0.0]) == 2
        assert looked(staring(opinion(-10), 0, 1.75), target=[40.0, 0.0]) == 0


class TestContribution:
    @pytest.mark.parametrize(("seconds", "step"), [(0, 0), (0.75, 0), (1, 1), (4.5, 2), (40, 30)])
    def test_is_one_step_of_the_histogram(self, seconds: float, step: int) -> None:
        one = gaze()
        one.spent = timedelta(seconds=seconds)
        assert one.contributions() == (Contribution(ATTENTION, f"looked/{step}"),)

    def test_is_none_unless_it_is_enabled(self) -> None:
        assert gaze(enabled=False).contributions() == ()
