"""The second opinion and the verdict: a back of a head never becomes a face, and a face stays one."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.commands.demo.scene import PORTRAITS
from edge.geometry import cut_out
from edge.types import Faces
from edge.vision.detect import FaceDetector
from edge.vision.detect.networks import FOLDER
from edge.vision.second_opinion import FaceVerdict, NetworkCheck, Opinion, SecondOpinion, face_check
from tests.fakes import PaintedFaces, Person, paint, straight_on
from tests.patience import PATIENCE

PORTRAIT = PORTRAITS["obama"]

ANN = Person(tag=1, age=20, second=0.8)
BOX = np.array([280, 180, 320, 220], np.float32)


class At(FaceDetector):
    """Gives these boxes and scores whatever it is shown."""

    def __init__(self, *found: tuple[tuple[float, float, float, float], float]) -> None:
        boxes = np.array([box for box, _ in found], np.float32).reshape(-1, 4)
        self._faces = Faces(boxes, np.array([s for _, s in found], np.float32), straight_on(boxes))

    def detect(self, image: np.ndarray) -> Faces:
        return self._faces

    def close(self) -> None:
        """Nothing is held."""


def picture(x: float = 300, y: float = 200) -> np.ndarray:
    image = np.zeros((400, 600, 3), np.uint8)
    paint(image, ANN, x, y, 40)
    return image


def ask(detector: FaceDetector, image: np.ndarray, box: np.ndarray) -> Opinion:
    """The opinion on one box."""
    (opinion,) = SecondOpinion(detector).examine(image, box[None])
    return opinion


class TestSecondOpinion:
    def test_shows_twice_the_box_and_answers_in_the_picture_s_pixels(self):
        detector = PaintedFaces([ANN], second=True)
        opinion = ask(detector, picture(), BOX)
        assert detector.looks == [(80, 80)]
        assert opinion.score == pytest.approx(0.8)
        assert opinion.xyxy.tolist() == BOX.tolist()
        assert opinion.keypoints[0].tolist() == pytest.approx([292, 196])

    @pytest.mark.parametrize(("x", "y"), [(4, 4), (596, 396), (4, 396)])
    def test_also_at_the_picture_s_edge(self, x: float, y: float):
        box = np.array([x - 20, y - 20, x + 20, y + 20], np.float32)
        opinion = ask(PaintedFaces([ANN], second=True), picture(x, y), box)
        # The edge is repeated outside, so the face reaches as far as the region does.
        assert opinion.score == pytest.approx(0.8)

    @pytest.mark.parametrize("shift", [(-200, 0), (0, -200), (400, 300), (-300, -300)])
    def test_of_a_box_outside_the_picture_is_that_nothing_is_there(self, shift: tuple[int, int]):
        box = np.array([0, 0, 40, 40], np.float32) + np.tile(np.array(shift, np.float32), 2) * 3
        opinion = ask(PaintedFaces([ANN], second=True), picture(), box)
        assert (opinion.score, opinion.keypoints.shape) == (0, (0, 2))

    def test_of_a_point_is_no_fault(self):
        assert ask(At(), picture(), np.array([5, 5, 5, 5], np.float32)).score == 0

    def test_of_several_boxes_is_one_of_each(self):
        image, ben = picture(), Person(tag=2, age=20, second=0.6)
        paint(image, ben, 450, 200, 60)
        boxes = np.array([[420, 170, 480, 230], BOX, [0, 0, 40, 40]], np.float32)
        detector = PaintedFaces([ANN, ben], second=True)
        opinions = SecondOpinion(detector).examine(image, boxes)
        assert [opinion.score for opinion in opinions] == pytest.approx([0.6, 0.8, 0])
        assert np.array_equal([opinion.xyxy for opinion in opinions], boxes)
        assert SecondOpinion(detector).examine(image, boxes[:0]) == []

    def test_is_the_asked_box_where_it_sees_nothing(self):
        opinion = ask(At(), picture(), BOX)
        assert (opinion.score, opinion.xyxy.tolist(), opinion.keypoints.shape) == (0, BOX.tolist(), (0, 2))

    def test_does_not_take_a_neighbour_s_face(self):
        # The region is 80 px wide and the box its middle: a centre 20 px away is half a side, no longer near.
        assert ask(At(((0, 20, 40, 60), 0.9)), picture(), BOX).score == 0
        assert ask(At(((1, 20, 41, 60), 0.9)), picture(), BOX).score == pytest.approx(0.9)

    def test_takes_the_best_of_the_near_ones(self):
        faces = At(((18, 18, 58, 58), 0.6), ((22, 22, 62, 62), 0.7), ((0, 0, 10, 10), 0.9))
        opinion = ask(faces, picture(), BOX)
        assert opinion.score == pytest.approx(0.7)
        assert opinion.xyxy.tolist() == [282, 182, 322, 222]


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    picture = cv2.imread(str(FOLDER.parents[1] / "commands" / "demo" / "portraits" / PORTRAIT.file))
    assert picture is not None
    return np.asarray(picture, np.uint8)


@pytest.fixture(scope="module")
def face_box() -> np.ndarray:
    half = PORTRAIT.width / 2
    left, top = PORTRAIT.x - half, PORTRAIT.y - half
    return np.array([left, top, left + 2 * half, top + 2 * half], np.float32)


class TestNetworkCheck:
    """On a real face: an official portrait in the public domain."""

    def test_is_sure_of_a_face_and_denies_what_is_none(self, face: np.ndarray, face_box: np.ndarray):
        check = NetworkCheck()
        beside = face_box + np.tile([face_box[2] - face_box[0], 0], 2).astype(np.float32)
        assert check(face, face_box) > 0.99
        assert check(face, beside) < 0.1

    def test_sees_a_face_whatever_its_size_and_place(self, face: np.ndarray, face_box: np.ndarray):
        check = NetworkCheck()
        for pixels in (16, 48, 200):
            scale = pixels / float(face_box[2] - face_box[0])
            small = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            assert check(np.asarray(small, np.uint8), face_box * np.float32(scale)) > 0.9

    def test_does_not_see_one_that_lies_on_its_side(self, face: np.ndarray, face_box: np.ndarray):
        """Turned by a quarter: guards that x and y are not mixed up."""
        middle = (face_box[:2] + face_box[2:]) / 2
        side = round(float((face_box[2:] - face_box[:2]).max()))
        upright = cut_out(face, round(middle[0] - side), round(middle[1] - side), 2 * side)
        box = np.array([side / 2, side / 2, 1.5 * side, 1.5 * side], np.float32)
        check = NetworkCheck()
        assert check(upright, box) > 0.99
        assert check(np.ascontiguousarray(np.rot90(upright, 3)), box) < 0.6

    @pytest.mark.parametrize("box", [(-500, -500, -400, -400), (5, 5, 5, 5), (600, 600, 9000, 9000)])
    def test_of_what_is_outside_or_empty_is_no_face(self, face: np.ndarray, box: tuple[int, ...]):
        assert NetworkCheck()(face, np.array(box, np.float32)) < 0.5


def settled(looks: Iterable[float], threshold: float = 0.7) -> bool:
    verdict = FaceVerdict(threshold)
    for likely in looks:
        verdict.add(likely)
    return verdict.is_face


class TestFaceVerdict:
    def test_comes_with_the_second_sure_look(self):
        assert not settled([1.0])
        assert settled([1.0] * 2)

    def test_needs_more_looks_where_each_is_less_sure(self):
        """0.9 is 1.35 logits above 0.7, and 3 are needed; 0.8 is 0.54 above."""
        assert settled([0.9] * 3)
        assert not settled([0.8] * 5)
        assert settled([0.8] * 6)

    def test_never_comes_from_looks_below_the_threshold(self):
        assert not settled([0.69] * 1000)

    def test_comes_four_looks_after_a_back_has_turned_round_for_good(self):
        looks = [0.01] * 50
        assert not settled([*looks, *[0.99] * 3])
        assert settled([*looks, *[0.99] * 4])

    def test_is_doubted_once_as_much_as_can_be_speaks_against_a_face(self):
        verdict = FaceVerdict(0.7)
        verdict.add(0.01)
        assert not verdict.doubted
        verdict.add(0.01)
        assert verdict.doubted
        verdict.add(0.9)
        assert not verdict.doubted

    def test_is_for_good(self):
        assert settled([0.99] * 2 + [0.0] * 50)

    def test_of_people_drawn_from_behind_is_never_a_face(self):
        """Looks at a drawn man in profile, as they were measured: one or two in a row seem sure."""
        looks = [0.1, 0.07, 0.81, 0.28, 0.51, 0.54, 0.34, 0.4, 0.67, 0.72, 0.75, 0.38, 0.3, 0.63, 0.84, 0.91]
        assert not settled(looks * 10)

    @pytest.mark.parametrize("threshold", [0.0, 0.3, 0.98, 1.0])
    def test_of_any_threshold_counts_sure_faces_and_not_what_is_surely_none(self, threshold: float):
        assert settled([1.0] * 10, threshold)
        assert not settled([0.0] * 10, threshold)

    @given(st.lists(st.floats(0, 1), max_size=30))
    def test_without_two_looks_above_the_threshold_it_is_none(self, looks: list[float]):
        if sum(likely > 0.7 for likely in looks) < 2:
            assert not settled(looks)

    def test_is_not_spoiled_by_a_look_without_a_number(self):
        assert settled([float("nan"), *[1.0] * 4])


def test_cameras_that_start_together_share_one_network(monkeypatch: pytest.MonkeyPatch):
    start = threading.Barrier(4)
    opened: list[int] = []

    def open_slowly() -> object:
        opened.append(1)
        return object()

    def ask(_: int) -> object:
        start.wait(PATIENCE)
        return face_check.network_check()

    monkeypatch.setattr(face_check, "NetworkCheck", open_slowly)
    face_check._opened.cache_clear()
    try:
        with ThreadPoolExecutor(4) as pool:
            assert len(set(map(id, pool.map(ask, range(4))))) == 1
        assert len(opened) == 1
    finally:
        face_check._opened.cache_clear()
