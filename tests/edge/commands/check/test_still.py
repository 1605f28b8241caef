"""The still of a camera: no face is on it, and lines and zones are where they are configured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.commands.check.still import check_still, drawn
from edge.commands.check.verdict import Warn
from edge.commands.demo.scene import Scene, compose
from edge.config import CameraSettings
from edge.errors import ConfigurationError
from edge.types import KEYPOINTS, Boxes, CameraState, Faces, Frame, Image
from edge.vision.setup.still import (
    GREY,
    LIKELY,
    WIDEST,
    FaceLikes,
    NoStillError,
    Taking,
    composed,
    without_faces,
)
from tests.fakes import EPOCH, ManualClock

WALL = 90
LINE = {"name": "door", "from": [0.2, 0.5], "to": [0.8, 0.5]}


def camera(source: Path | str = "x", **more: object) -> CameraSettings:
    return CameraSettings.model_validate({"name": "door", "source": str(source), **more})


def picture(*visitors: tuple[int, int]) -> Image:
    """A wall, and white squares of 40 px at these places."""
    image = np.full((540, 960, 3), WALL, np.uint8)
    for x, y in visitors:
        image[y : y + 40, x : x + 40] = 255
    return image


def white_squares(frame: Frame) -> Boxes:
    """A detector of the squares."""
    count, _, stats, _ = cv2.connectedComponentsWithStats((frame.image[..., 0] > 200).astype(np.uint8))
    boxes = [(x, y, x + w, y + h) for x, y, w, h, area in stats[1:count] if area > 400]
    return np.array(boxes, np.float32).reshape(-1, 4)


def clip(path: Path, show: Callable[[int], Image], seconds: int = 62) -> Path:
    """A recording of one picture a second."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 1.0, show(0).shape[1::-1])
    for second in range(seconds):
        image = show(second)
        image[520:, second * 15 : second * 15 + 15] = 0  # a shadow moves along the floor
        writer.write(image)
    writer.release()
    return path


def still_of(recording: Path, find: Callable[[Frame], Boxes] = white_squares) -> Image:
    target = recording.with_suffix(".png")
    says = check_still(camera(recording), recording.parent, ManualClock(), find, target)
    assert "480x270, the median of 61 pictures" in says
    assert target.stat().st_mode & 0o777 == 0o600
    return np.asarray(cv2.imread(str(target)), np.uint8)


def test_who_passes_is_not_on_it(tmp_path: Path) -> None:
    still = still_of(
        clip(tmp_path / "a.avi", lambda second: picture((second * 15, 200))), lambda frame: NOBODY
    )
    assert still.shape == (270, WIDEST, 3)
    assert np.abs(still.astype(int) - WALL).max() < 12


def test_who_stays_is_covered_with_a_margin(tmp_path: Path) -> None:
    still = still_of(clip(tmp_path / "a.avi", lambda second: picture((400, 200))))
    assert still.max() <= GREY + 12
    assert np.abs(still[90:130, 190:230].astype(int) - GREY).max() < 3
    assert np.abs(still[:60].astype(int) - WALL).max() < 12


def test_who_is_found_only_now_and_then_is_covered_as_well(tmp_path: Path) -> None:
    def seldom(frame: Frame) -> Boxes:
        return white_squares(frame) if round(frame.captured_at.timestamp()) % 10 == 0 else NOBODY

    assert still_of(clip(tmp_path / "a.avi", lambda second: picture((400, 200))), seldom).max() <= GREY + 12


def test_less_than_a_minute_makes_none(tmp_path: Path) -> None:
    recording = clip(tmp_path / "a.avi", lambda second: picture(), seconds=30)
    with pytest.raises(Warn, match="needs 40 pictures that differ, of a minute; got 30"):
        still_of(recording)
    assert not recording.with_suffix(".png").exists()


def frames(count: int, state: CameraState = CameraState.UP) -> list[Frame]:
    noise = np.random.default_rng(0)
    return [
        Frame("door", EPOCH + timedelta(seconds=n), noise.integers(0, 255, (90, 160, 3), np.uint8), state)
        for n in range(count)
    ]


def is_enough(taken: Iterable[Frame]) -> bool:
    taking = Taking(lambda frame: NOBODY)
    for frame in taken:
        taking.add(frame)
    return taking.is_enough


def test_a_camera_that_hangs_makes_none() -> None:
    (first,) = frames(1)
    assert not is_enough(replace(one, image=first.image) for one in frames(100))
    assert not is_enough(frames(100, state=CameraState.FROZEN))


def test_a_clock_that_is_set_makes_none_of_a_few_pictures() -> None:
    ahead = [replace(one, captured_at=one.captured_at + timedelta(hours=1)) for one in frames(62)]
    assert not is_enough([*frames(5), *ahead[:30]])
    assert not is_enough([*ahead[:30], *frames(45)])
    assert is_enough([*ahead[:30], *frames(62)])
    assert is_enough([*frames(5), *ahead])


def test_a_gap_is_no_part_of_the_minute() -> None:
    """Else somebody who came after an outage would be in half of the pictures, and on the still."""
    seconds = [0.9 * n for n in range(19)] + [45 + 0.9 * n for n in range(21)]
    apart = [
        replace(one, captured_at=EPOCH + timedelta(seconds=at))
        for one, at in zip(frames(40), seconds, strict=True)
    ]
    assert not is_enough(apart)
    assert not is_enough([*frames(40)[:20], *frames(70)[24:]])
    assert is_enough([*frames(40)[:20], *frames(70)[22:]])  # a frame or two may be lost


def test_each_second_weighs_the_same_where_pictures_are_missing() -> None:
    """Somebody is there for 26 of 62 s, and on 26 of 40 pictures."""
    seconds = [float(n) for n in range(26)] + [25 + 2.7 * n for n in range(1, 15)]
    somebody, nobody, covered = picture((400, 200)), picture(), np.zeros((540, 960), np.bool_)
    taken = [(somebody if at < 26 else nobody, covered) for at in seconds]
    assert (composed(taken, seconds) == WALL).all()


def test_what_is_found_on_pictures_close_to_each_other_is_covered() -> None:
    """Also where each second is nearest to another picture."""
    found, plain = np.ones((4, 4), np.bool_), np.full((4, 4, 3), WALL, np.uint8)
    seconds = sorted([float(n) for n in range(41)] + [n + 0.5 for n in range(10)])
    taken = [(plain, found if at % 1 else ~found) for at in seconds]
    assert (composed(taken, seconds) == GREY).all()


def test_a_picture_that_changes_its_size_is_a_warning() -> None:
    larger = Frame("door", EPOCH + timedelta(seconds=4), np.zeros((180, 160, 3), np.uint8))
    with pytest.raises(NoStillError, match="size of the picture changed"):
        is_enough([*frames(3), larger])


def test_a_tall_picture_is_small_as_well() -> None:
    tall = Frame("door", EPOCH, np.zeros((2000, 500, 3), np.uint8))
    taking = Taking(lambda frame: NOBODY)
    taking.add(tall)
    assert taking.taken[0][0].shape == (WIDEST, 120, 3)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    recording = clip(tmp_path / "a.avi", lambda second: picture())
    target = tmp_path / "missing" / "still.png"
    with pytest.raises(ConfigurationError, match=f"--picture {target}: cannot be written"):
        check_still(camera(recording), tmp_path, ManualClock(), white_squares, target)


@pytest.mark.parametrize("engine", ["mediapipe", "onnxruntime"])
def test_the_real_detector_finds_the_people_of_the_scene(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the configured engine: the other's library may not be installed, or not work here."""
    unused = "MediaPipeDetector" if engine == "onnxruntime" else "OnnxDetector"
    monkeypatch.setattr(
        f"edge.vision.detect.{'mediapipe' if engine == 'onnxruntime' else 'onnx'}.{unused}", None
    )
    image = compose(Scene(), 3.0)
    find = FaceLikes(camera(), engine)
    try:
        found = find(Frame("door", EPOCH, np.asarray(image, np.uint8)))
    finally:
        find.close()
    assert len(found) >= 1


@pytest.mark.parametrize(("blue", "lefts"), [(WALL, [40, 400]), (WALL + 60, [40])])
def test_a_picture_without_colour_is_searched_in_both_tones(
    monkeypatch: pytest.MonkeyPatch, blue: int, lefts: list[float]
) -> None:
    """A face that is found in one of them alone is covered."""

    def detect(_: object, image: Image) -> Faces:
        left = 400 if image[0, 0, 2] > image[0, 0, 0] else 40
        box = np.array([(left, 200, left + 40, 240)], np.float32)
        return Faces(box, np.array([LIKELY], np.float32), np.zeros((1, KEYPOINTS, 2), np.float32))

    monkeypatch.setattr("edge.vision.detect.onnx.OnnxDetector.detect", detect)
    image = picture()
    image[..., 0] = blue
    with closing(FaceLikes(camera(tile=0), "onnxruntime")) as find:
        for look in (find, find.likely):
            assert sorted(look(Frame("door", EPOCH, image))[:, 0].tolist()) == lefts


def test_a_face_that_only_the_still_shows_is_covered() -> None:
    of = Frame("door", EPOCH, picture())
    still = without_faces(picture((400, 200)), of, white_squares)
    assert (still[200:240, 400:440] == GREY).all()
    assert still.max() == GREY


def test_a_still_on_which_faces_are_found_again_and_again_is_none() -> None:
    places = iter(range(0, 800, 100))

    def elsewhere(frame: Frame) -> Boxes:
        left = next(places)
        return np.array([(left, 10, left + 30, 40)], np.float32)

    with pytest.raises(NoStillError, match="something like a face is left"):
        without_faces(picture(), Frame("door", EPOCH, picture()), elsewhere)


def test_lines_and_zones_are_drawn_where_they_are() -> None:
    zone = {"name": "till", "role": "staff", "polygon": [[0.1, 0.1], [0.4, 0.1], [0.4, 0.4], [0.1, 0.4]]}
    plain = composed([(np.full((270, 480, 3), WALL, np.uint8), np.zeros((270, 480), np.bool_))], [0.0])
    shown = drawn(plain, camera(lines=[LINE], zones=[zone]))
    changed = np.abs(shown.astype(int) - plain).max(axis=2) > 0
    assert changed[135, 100:380].all()  # the line
    assert changed[136:170, 240].any() and not changed[100:128, 230:250].any()  # its arrow leads downwards
    assert changed[27, 50:190].all() and changed[30:108, 48].all()  # two sides of the zone
    assert (plain == WALL).all()


def test_a_region_is_drawn_in_its_own_pixels() -> None:
    plain = np.full((270, 480, 3), WALL, np.uint8)
    shown = drawn(plain, camera(lines=[LINE], roi=[0.0, 0.5, 1.0, 1.0]))
    assert (shown[0, 100:380] != WALL).any(axis=1).all()  # the middle of the whole is the region's top


NOBODY = np.zeros((0, 4), np.float32)
