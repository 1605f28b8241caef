"""Staff zones: who is first seen there, or stays, is staff; who passes is a visitor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

import numpy as np
import pytest

from edge.config import CameraSettings
from edge.vision.staff import StaffZones
from tests.fakes import EPOCH

SIZE = (1000, 500)
TILL = {"name": "till", "role": "staff", "polygon": [[0, 0], [0.3, 0], [0.3, 1], [0, 1]], "staff_after": 10.0}
DESK = {"name": "desk", "role": "staff", "polygon": [[0.7, 0], [1, 0], [1, 1], [0.7, 1]], "staff_after": 10.0}
MASK = {"name": "screen", "role": "ignore", "polygon": [[0.4, 0], [0.6, 0], [0.6, 1], [0.4, 1]]}


def is_staff(sights: Iterable[tuple[float, float]], *zones: Mapping[str, object], **more: object) -> bool:
    """Whether somebody is staff whose face is at x pixels at each of these (seconds, x)."""
    camera = {"name": "a", "source": "b", "zones": zones or (TILL, DESK, MASK), **more}
    stay = StaffZones(CameraSettings.model_validate(camera)).begin()
    for seconds, x in sights:
        box = np.array([x - 20, 230, x + 20, 270], np.float32)
        stay.see(box, SIZE, EPOCH + timedelta(seconds=seconds))
    return stay.is_staff


def standing(x: float, begin: float, end: float, step: float = 0.5) -> list[tuple[float, float]]:
    return [(begin + n * step, x) for n in range(round((end - begin) / step))]


@pytest.mark.parametrize(
    ("sights", "staff"),
    [
        ([(0, 100)], True),  # first seen behind the till
        ([(0, 100), (1, 500)], True),
        ([(0, 500), (1, 100), (2, 500)], False),  # passes
        ([(0, 500), *standing(100, 1, 11.5)], False),  # ten seconds
        ([(0, 500), *standing(100, 1, 12)], True),  # and longer
        ([(0, 500), *standing(100, 1, 7), *standing(500, 7, 30), *standing(100, 30, 37)], True),  # twice
        ([(0, 500), *standing(100, 1, 9), *standing(800, 9, 17)], False),  # in two zones
        ([(0, 500), (1, 100), (60, 100)], False),  # not seen in between
        (standing(500, 0, 60), False),  # an ignored zone makes nobody staff
        ([(5, 500), (4, 100), (3, 100)], False),  # the clock was set back
        ([], False),
    ],
)  # fmt: skip
def test_who_is_staff(sights: list[tuple[float, float]], staff: bool) -> None:
    assert is_staff(sights) is staff


def test_without_zones_nobody_is_staff() -> None:
    assert not is_staff(standing(100, 0, 100), MASK)


def test_the_anchor_decides() -> None:
    lower = {**TILL, "polygon": [[0, 0.6], [1, 0.6], [1, 1], [0, 1]]}
    assert not is_staff([(0, 500)], lower)
    assert is_staff([(0, 500)], lower, anchor=2.0)  # 80 px below 250: at 0.66 of the picture
