"""The second opinion and the verdict: a back of a head never becomes a face, and a face stays one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.types import Faces
from edge.vision.detect import FaceDetector
from edge.vision.second_opinion import PANEL, QUORUM, FaceVerdict, SecondOpinion
from tests.fakes import PaintedFaces, Person, paint, straight_on

ANN = Person(tag=1, age=20, second=0.8)
BOX = np.array([280, 180, 320, 220], np.float32)


class At(FaceDetector):
    """Gives these boxes and scores whatever it is shown, and remembers what that was."""

    def __init__(self, *found: tuple[tuple[float, float, float, float], float]) -> None:
        boxes = np.array([box for box, _ in found], np.float32).reshape(-1, 4)
        self._faces = Faces(boxes, np.array([s for _, s in found], np.float32), straight_on(boxes))
        self.shown: list[np.ndarray] = []

    def detect(self, image: np.ndarray) -> Faces:
        self.shown.append(image)
        return self._faces

    def close(self) -> None:
        """Nothing is held."""


def picture(x: float = 300, y: float = 200) -> np.ndarray:
    image = np.zeros((400, 600, 3), np.uint8)
    paint(image, ANN, x, y, 40)
    return image


class TestSecondOpinion:
    def test_shows_twice_the_box_and_answers_in_the_picture_s_pixels(self):
        detector = PaintedFaces([ANN], second=True)
        opinion = SecondOpinion(detector).examine(picture(), BOX)
        assert detector.looks == [(80, 80)]
        assert opinion.score == pytest.approx(0.8)
        assert opinion.xyxy.tolist() == BOX.tolist()
        assert opinion.keypoints[0].tolist() == pytest.approx([292, 196])

    @pytest.mark.parametrize(("x", "y"), [(4, 4), (596, 396), (4, 396)])
    def test_also_at_the_picture_s_edge(self, x: float, y: float):
        box = np.array([x - 20, y - 20, x + 20, y + 20], np.float32)
        opinion = SecondOpinion(PaintedFaces([ANN], second=True)).examine(picture(x, y), box)
        # The edge is repeated outside, so the face reaches as far as the region does.
        assert opinion.score == pytest.approx(0.8)

    @pytest.mark.parametrize("shift", [(-200, 0), (0, -200), (400, 300), (-300, -300)])
    def test_of_a_box_outside_the_picture_is_that_nothing_is_there(self, shift: tuple[int, int]):
        box = np.array([0, 0, 40, 40], np.float32) + np.tile(np.array(shift, np.float32), 2) * 3
        opinion = SecondOpinion(PaintedFaces([ANN], second=True)).examine(picture(), box)
        assert (opinion.score, opinion.keypoints.shape) == (0, (0, 2))

    def test_of_a_point_is_no_fault(self):
        assert SecondOpinion(At()).examine(picture(), np.array([5, 5, 5, 5], np.float32)).score == 0

    def test_is_the_asked_box_where_it_sees_nothing(self):
        opinion = SecondOpinion(At()).examine(picture(), BOX)
        assert (opinion.score, opinion.xyxy.tolist(), opinion.keypoints.shape) == (0, BOX.tolist(), (0, 2))

    def test_does_not_take_a_neighbour_s_face(self):
        # The region is 80 px wide and the box its middle: a centre 20 px away is half a side, no longer near.
        assert SecondOpinion(At(((0, 20, 40, 60), 0.9))).examine(picture(), BOX).score == 0
        assert SecondOpinion(At(((1, 20, 41, 60), 0.9))).examine(picture(), BOX).score == pytest.approx(0.9)

    def test_takes_the_best_of_the_near_ones(self):
        faces = At(((18, 18, 58, 58), 0.6), ((22, 22, 62, 62), 0.7), ((0, 0, 10, 10), 0.9))
        opinion = SecondOpinion(faces).examine(picture(), BOX)
        assert opinion.score == pytest.approx(0.7)
        assert opinion.xyxy.tolist() == [282, 182, 322, 222]


class TestWiderRegions:
    """The box is 40 px, the regions 120 and 240 px: each model's face is in the middle of its own."""

    WIDE = (40.0, 40.0, 80.0, 80.0)
    WIDEST = (100.0, 100.0, 140.0, 140.0)
    PLACE = straight_on(BOX[None])[0]

    def scores(self, *models: At, place: np.ndarray = PLACE) -> list[float]:
        return list(SecondOpinion(*models).in_wider_regions(picture(), BOX, place))

    def test_are_three_times_the_box_and_then_six_times_for_the_first_model(self):
        second, first = At((self.WIDE, 0.8)), At((self.WIDEST, 0.9))
        assert self.scores(second, first) == pytest.approx([0.8, 0.9])
        assert second.shown[0].shape == (120, 120, 3)
        assert first.shown[0].shape == (240, 240, 3)

    @pytest.mark.parametrize(("pixels", "scores"), [(7.9, [0.8, 0.9]), (8.1, [])])
    def test_end_where_the_models_see_eyes_nose_and_mouth_in_other_places(
        self, pixels: float, scores: list[float]
    ):
        """A fifth of 40 px; on the back of a head each model imagines a face elsewhere."""
        moved = self.PLACE + np.array([pixels, 0], np.float32)
        found = self.scores(At((self.WIDE, 0.8)), At((self.WIDEST, 0.9)), place=moved)
        assert found == pytest.approx(scores)

    def test_end_where_the_first_model_sees_them_in_another_place(self):
        beside = At(((109.0, 100.0, 149.0, 140.0), 0.9))
        assert self.scores(At((self.WIDE, 0.8)), beside) == pytest.approx([0.8])

    def test_do_not_ask_the_ears(self):
        ears = self.PLACE.copy()
        ears[4:] += 30
        assert self.scores(At((self.WIDE, 0.8)), place=ears) == pytest.approx([0.8])

    def test_are_none_without_a_face(self):
        first = At((self.WIDEST, 0.9))
        assert self.scores(At(), first) == []
        assert first.shown == []

    def test_are_asked_for_one_after_the_other(self):
        first = At((self.WIDEST, 0.9))
        assert next(SecondOpinion(At((self.WIDE, 0.8)), first).in_wider_regions(picture(), BOX, self.PLACE))
        assert first.shown == []


def settled(pairs: list[tuple[float, float]], threshold: float = 0.7) -> bool:
    verdict = FaceVerdict(threshold)
    for first, second in pairs:
        verdict.add(first, second)
    return verdict.is_face


class TestFaceVerdict:
    def test_needs_a_quorum(self):
        assert not settled([(0.9, 0.9)] * (QUORUM - 1))
        assert settled([(0.9, 0.9)] * QUORUM)

    def test_is_the_geometric_mean_against_the_threshold(self):
        assert settled([(0.7, 0.7)] * QUORUM, threshold=0.7 - 1e-9)
        assert settled([(0.98, 0.51)] * QUORUM)
        assert not settled([(0.96, 0.51)] * QUORUM)

    def test_is_sure_of_a_good_look_and_after_the_verdict_of_any(self):
        verdict = FaceVerdict(0.7)
        assert (verdict.sure(0.7, 0.71), verdict.sure(0.7, 0.69)) == (True, False)
        for _ in range(QUORUM):
            verdict.add(0.9, 0.9)
        assert verdict.sure(0.5, 0.0)

    def test_is_doubted_while_every_score_of_a_whole_panel_is_low(self):
        verdict = FaceVerdict(0.7)
        for _ in range(PANEL):
            assert not verdict.doubted
            verdict.add(0.6, 0.6)
        assert verdict.doubted
        verdict.add(0.9, 0.9)
        assert not verdict.doubted

    def test_is_for_good(self):
        assert settled([(0.9, 0.9)] * QUORUM + [(0.5, 0.0)] * 50)

    def test_may_come_late(self):
        assert settled([(0.9, 0.0)] * 50 + [(0.9, 0.9)] * QUORUM)

    def test_of_a_back_of_a_head_is_never_a_face(self):
        # Second opinions as they were measured (5th, 50th, 95th percentile), under a sure detector.
        seconds = [0.25, 0.54, 0.54, 0.71, 0.40, 0.54, 0.60, 0.25, 0.71, 0.54, 0.50, 0.71, 0.54, 0.30] * 10
        assert not settled([(0.75, second) for second in seconds])

    def test_does_not_fall_for_glances_that_err_now_and_then(self):
        poor, good = (0.6, 0.5), (0.75, 0.95)
        assert not settled([poor, poor, good, poor, good] * 20)

    @given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=30))
    def test_without_a_panel_that_agrees_it_is_none(self, pairs: list[tuple[float, float]]):
        good = [(a * b) ** 0.5 >= 0.7 for a, b in pairs]
        ever = any(
            sum(good[max(i - PANEL, 0) : i]) * 2 >= min(PANEL, i) for i in range(QUORUM, len(good) + 1)
        )
        # The median of an even number lies between two glances, so half of them may be below.
        if not ever:
            assert not settled(pairs)
