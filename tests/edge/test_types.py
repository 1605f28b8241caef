"""Values are checked where they are made: shapes, dtypes, times in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from edge.types import (
    CameraState,
    CameraStatus,
    Coverage,
    FaceCrop,
    Faces,
    Frame,
    Progress,
    Track,
    TrackState,
    WindowCounts,
    ZoneCounts,
)
from tests.fakes import EPOCH

IMAGE = np.zeros((4, 6, 3), np.uint8)
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - that it bears no zone is the point
WINTER = EPOCH.astimezone(timezone(timedelta(hours=1)))


def window(**changes: Any) -> WindowCounts:
    fields = {
        "site": "s", "camera_id": "c", "start": EPOCH, "end": EPOCH + timedelta(minutes=5),
        "zones": {"all": ZoneCounts({"0-12": 2, "13+": 3}, 4)}, "coverage": Coverage(),
    }  # fmt: skip
    return WindowCounts(**{**fields, **changes})


@pytest.mark.parametrize(
    "image", [IMAGE.astype(np.float32), IMAGE[..., 0], IMAGE[..., :2]], ids=["float", "grey", "two channels"]
)
def test_a_frame_wants_a_colour_picture(image: np.ndarray):
    with pytest.raises(ValueError, match=r"Frame\.image: .*; expected uint8 \(any, any, 3\)"):
        Frame("c", EPOCH, image)


def test_a_frame_may_not_be_written_to():
    frame = Frame("c", EPOCH, IMAGE.copy())
    with pytest.raises(ValueError, match="read-only"):
        frame.image[0, 0] = 1


@pytest.mark.parametrize("at", [NAIVE, WINTER], ids=["no zone", "another zone"])
def test_times_are_aware_and_in_utc(at: datetime):
    makers = [
        lambda: Frame("c", at, IMAGE.copy()),
        lambda: Progress("c", at),
        lambda: CameraStatus("c", CameraState.UP, at),
        lambda: window(start=at),
        lambda: window(end=at),
    ]
    for make in makers:
        with pytest.raises(ValueError, match="not an aware time in UTC"):
            make()


def test_faces_belong_together():
    two = np.zeros((2, 4), np.float32)
    with pytest.raises(ValueError, match=r"Faces\.score: .*; expected float32 \(2\)"):
        Faces(two, np.zeros(1, np.float32), np.zeros((2, 6, 2), np.float32))
    with pytest.raises(ValueError, match=r"Faces\.keypoints"):
        Faces(two, np.zeros(2, np.float32), np.zeros((2, 5, 2), np.float32))


def test_no_faces_are_faces_too():
    assert len(Faces.empty()) == 0
    assert Faces.empty().xyxy.shape == (0, 4)
    assert len(Faces.empty().select(np.zeros(0, np.bool_))) == 0


def test_faces_are_selected_together():
    faces = Faces(
        np.arange(8, dtype=np.float32).reshape(2, 4),
        np.array([0.1, 0.2], np.float32),
        np.stack([np.full((6, 2), n, np.float32) for n in range(2)]),
    )
    second = faces.select(np.array([False, True]))
    assert second.xyxy.tolist() == [[4, 5, 6, 7]]
    assert second.score.tolist() == [np.float32(0.2)]
    assert second.keypoints[0, 0].tolist() == [1, 1]


def test_a_track_has_one_box():
    with pytest.raises(ValueError, match=r"Track\.xyxy: .*; expected float32 \(4\)"):
        Track(1, np.zeros((1, 4), np.float32), TrackState.LOST, EPOCH, EPOCH)


def test_a_crop_is_square():
    with pytest.raises(ValueError, match="expected a square"):
        FaceCrop("c", 1, IMAGE, 0.5)


def test_a_window_counts_the_unclassified_too():
    assert window().total == 9


def test_a_window_ends_after_it_begins():
    with pytest.raises(ValueError, match="is not before end"):
        window(end=EPOCH)
