"""The scanner: which tiles are searched when, and every face once, whole and in the picture's pixels."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from edge.types import Boxes, Faces
from edge.vision.detect import FaceDetector, Scanner, plan_tiles
from edge.vision.detect.scan import TILES_PER_FRAME, WHOLE_EVERY
from tests.fakes import EPOCH, PaintedFaces, Person, paint

WIDTH, HEIGHT, TILE = 1920, 1080, 480
TILES = plan_tiles(WIDTH, HEIGHT, TILE)
NOBODY = np.zeros((0, 4), np.float32)
ANN = Person(tag=1, age=20)


class FarSighted(FaceDetector):
    """Finds painted people in tiles only, as a detector that shrinks the whole picture too far."""

    def __init__(self, *people: Person) -> None:
        self._near = PaintedFaces(people)
        self.looks = self._near.looks

    def detect(self, image: np.ndarray) -> Faces:
        found = self._near.detect(image)
        return found if image.shape[1] <= TILE else Faces.empty()

    def close(self) -> None:
        """Nothing is held."""


class Halves(FarSighted):
    """Finds painted people in the halves of a small picture only."""

    def detect(self, image: np.ndarray) -> Faces:
        return super().detect(image) if image.shape[1] < 640 else Faces.empty()


def scanner(detector: FaceDetector, **changes: Any) -> Scanner:
    """A scanner that searches the whole in every frame that needs it."""
    options = {"tile": TILE, "full_scan_every": 1.0, "min_face": 20, "whole_every": 0.0, **changes}
    return Scanner(detector, **options)


def blank() -> np.ndarray:
    return np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def scene(*places: tuple[Person, float, float, float]) -> np.ndarray:
    image = blank()
    for person, x, y, size in places:
        paint(image, person, x, y, size)
    return image


def look(scan: Scanner, image: np.ndarray, seconds: float = 0.0, tracks: Boxes = NOBODY) -> Faces:
    return scan.scan(image, EPOCH + timedelta(seconds=seconds), tracks)


class TestWhere:
    def looks(self, *frames: tuple[np.ndarray, float, Boxes], **changes: Any) -> list[int]:
        """Tiles searched in each frame; the whole picture is looked at besides."""
        detector = PaintedFaces([])
        scan = scanner(detector, **changes)
        counts = []
        for image, seconds, tracks in frames:
            detector.looks.clear()
            look(scan, image, seconds, tracks)
            assert detector.looks[0] == (image.shape[1], image.shape[0])
            counts.append(len(detector.looks) - 1)
        return counts

    @pytest.mark.parametrize(("fps", "most"), [(3, 5), (5, 3), (25, 1)])
    def test_everywhere_at_first_and_then_in_a_few_tiles_of_each_frame(self, fps: int, most: int):
        counts = self.looks(*[(blank(), n / fps, NOBODY) for n in range(2 * fps + 1)])
        assert counts[0] == 15
        assert max(counts[1:]) == most
        assert sum(counts[1:]) == pytest.approx(2 * 15, abs=15 / fps)

    @pytest.mark.parametrize("fps", [3, 10])
    def test_in_every_tile_within_the_time_of_a_full_scan_and_a_frame(self, fps: int):
        """A person in each tile, whom only a search of this tile finds, comes between two frames."""
        for tile in TILES[::7]:
            x, y = ((tile[:2] + tile[2:]) / 2).tolist()
            scan = scanner(FarSighted(ANN))
            look(scan, blank())
            seen = [len(look(scan, scene((ANN, x, y, 40)), n / fps)) for n in range(1, fps + 2)]
            assert any(seen)

    def test_everywhere_after_a_gap_and_when_the_scanner_starts_again(self):
        scan = scanner(detector := PaintedFaces([]))
        counts = []
        for seconds in (0.0, 0.2, 5.0, 5.2):
            detector.looks.clear()
            look(scan, blank(), seconds)
            counts.append(len(detector.looks) - 1)
        assert counts == [15, 3, 15, 3]  # three, so that they are not due in one frame again
        scan.restart()
        detector.looks.clear()
        look(scan, blank(), 5.4)
        assert len(detector.looks) == 16

    def test_everywhere_in_each_frame_where_no_time_is_between_full_scans(self):
        assert self.looks((blank(), 0, NOBODY), (blank(), 0.2, NOBODY), full_scan_every=0.0) == [15, 15]

    def test_everywhere_when_the_clock_went_back(self):
        frames = [(blank(), t, NOBODY) for t in (100, 50, 50.01)]
        assert self.looks(*frames) == [15, 15, 0]

    def test_in_the_tile_of_a_track(self):
        track = np.array([[100, 100, 140, 140]], np.float32)
        assert self.looks((blank(), 0, NOBODY), (blank(), 0.01, track)) == [15, 1]

    def test_where_something_moves(self):
        moved = blank()
        moved[10:110, 10:110] = 200
        frames = [(blank(), 0, NOBODY), (moved, 0.01, NOBODY), (moved, 0.02, NOBODY)]
        assert self.looks(*frames) == [15, 1, 0]

    def test_in_a_few_tiles_only_however_much_moves(self):
        other = np.full_like(blank(), 255)
        assert self.looks((blank(), 0, NOBODY), (other, 0.01, NOBODY)) == [15, TILES_PER_FRAME]

    def test_not_in_tiles_where_there_are_none(self):
        small = blank()[:480, :640].copy()
        assert self.looks((small, 0, NOBODY), (blank(), 0.1, NOBODY), tile=480) == [2, 15]
        assert self.looks((blank(), 0, NOBODY), tile=0) == [0]

    @pytest.mark.parametrize(("fps", "frames"), [(10, [0, 3, 6, 9]), (5, [0, 2, 4, 6, 8]), (2, [*range(10)])])
    def test_in_the_whole_at_times_where_the_tiles_leave_something_out(self, fps: int, frames: list[int]):
        detector = PaintedFaces([])
        scan = scanner(detector, full_scan_every=100.0, whole_every=WHOLE_EVERY)
        noise = [np.full_like(blank(), level) for level in (60, 200)]
        whole = []
        for frame in range(10):
            detector.looks.clear()
            look(scan, noise[frame % 2], frame / fps)
            whole += [frame] * detector.looks.count((WIDTH, HEIGHT))
        assert whole == frames

    def test_in_the_whole_in_each_frame_where_no_tile_holds_a_track_whole(self):
        detector = PaintedFaces([])
        scan = scanner(detector, full_scan_every=100.0, whole_every=WHOLE_EVERY)
        near = np.array([[100, 100, 500, 500]], np.float32)
        for frame in range(5):
            look(scan, blank(), frame / 10, near)
        assert detector.looks.count((WIDTH, HEIGHT)) == 5

    def test_every_track_has_its_turn(self):
        people = [Person(tag=n + 1, age=20) for n in range(10)]
        centres = (TILES[::2, :2] + TILES[::2, 2:])[: len(people)] / 2
        places = [(p, x, y, 40) for p, (x, y) in zip(people, centres.tolist(), strict=False)]
        tracks = np.array([[x - 20, y - 20, x + 20, y + 20] for _, x, y, _ in places], np.float32)
        scan = scanner(FarSighted(*people), full_scan_every=100.0)
        look(scan, scene(*places))
        seen = [len(look(scan, scene(*places), t / 10, tracks)) for t in range(1, 9)]
        assert max(seen) <= 2 * TILES_PER_FRAME
        assert min(seen) >= 1


class TestTimes:
    """The seconds from one search of a tile to the next, tiles with tracks among them, all changing."""

    def worst(self, steps: list[float], *, tracks: bool = False, **changes: Any) -> float:
        rng = np.random.default_rng(2)
        searched = Noting(blank())
        scan = scanner(searched, full_scan_every=1.0, **changes)
        for step in steps:
            searched.seconds += step
            corners = rng.uniform(0, 1000, (2 if tracks else 0, 2)).astype(np.float32)
            look(scan, searched.image, searched.seconds, np.concatenate([corners, corners + 40], axis=1))
        assert len(searched.gaps) == len(TILES) + 1
        return max(searched.gaps.values())

    @pytest.mark.parametrize("tracks", [False, True])
    @pytest.mark.parametrize("fps", [1, 1.5, 2, 3, 5, 7, 9.5, 25])
    def test_are_a_full_scan_at_most_at_an_even_rate(self, fps: float, tracks: bool):
        assert self.worst([round(1 / fps, 6)] * round(6 * fps), tracks=tracks) <= 1.01

    @pytest.mark.parametrize("fps", [1, 2, 5])
    def test_and_up_to_one_frame_more_where_frames_come_unevenly(self, fps: float):
        steps = (np.random.default_rng(1).uniform(0.5, 1.5, round(10 * fps)) / fps).tolist()
        assert self.worst(steps) < 1 + max(steps)
        assert self.worst(steps, tracks=True) < 1 + max(steps)

    def test_few_are_searched_in_a_frame_all_the_same(self):
        searched = Noting(blank())
        scan = scanner(searched)
        for number in range(41):
            searched.seconds = number / 10
            searched.count = 0
            look(scan, searched.image, searched.seconds)
            assert number == 0 or searched.count <= 1 + 2
        assert searched.count


class Noting(FaceDetector):
    """Finds nobody, and notes when which part of the one image was searched."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self.seconds = 0.0
        self.count = 0
        self.gaps: dict[tuple[int, tuple[int, ...]], float] = {}
        self._last: dict[tuple[int, tuple[int, ...]], float] = {}

    def detect(self, part: np.ndarray) -> Faces:
        view = part.ctypes.data - self.image.ctypes.data, part.shape
        gap = self.seconds - self._last.get(view, self.seconds)
        self.gaps[view] = max(gap, self.gaps.get(view, 0.0))
        self._last[view] = self.seconds
        self.count += 1
        return Faces.empty()

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (1, 3000)])
def test_the_smallest_pictures_are_searched_as_others(width: int, height: int):
    scan = scanner(detector := PaintedFaces([]), still_scan_every=10.0)
    for number in range(3):
        look(scan, np.full((height, width, 3), 40 * number, np.uint8), number)
    assert len(detector.looks) >= 3


class TestStill:
    """What shows nothing new is passed over: never what holds a track, and nothing for ever."""

    def looks(self, *frames: tuple[np.ndarray, float, Boxes], **changes: Any) -> list[int]:
        """Views searched in each frame, the whole picture among them."""
        detector = PaintedFaces([])
        scan = scanner(detector, still_scan_every=10.0, **changes)
        counts = []
        for image, seconds, tracks in frames:
            detector.looks.clear()
            look(scan, image, seconds, tracks)
            counts.append(len(detector.looks))
        return counts

    def test_an_empty_aisle_is_searched_once_in_ten_seconds_one_view_after_the_other(self):
        still = [(blank(), n / 5, NOBODY) for n in range(101)]
        first, *others = self.looks(*still)
        assert first == 16
        assert max(others) == 1
        assert sum(others) == 2 * 16

    def test_a_small_picture_has_the_whole_and_two_halves(self):
        small = blank()[:480, :640].copy()
        assert sum(self.looks(*[(small, n / 5, NOBODY) for n in range(16)])) == 3
        assert sum(self.looks(*[(small, n / 5, NOBODY) for n in range(16)], tile=0)) == 1

    def test_a_track_is_looked_at_in_every_frame_however_still(self):
        track = np.array([[100, 100, 140, 140]], np.float32)
        frames = [(blank(), n / 5, track) for n in range(9)]
        assert min(self.looks(*frames)) == 1
        small = [(image[:480, :640].copy(), t, tracks) for image, t, tracks in frames]
        assert self.looks(*small) == [3] + [1] * 8

    @pytest.mark.parametrize(("size", "views"), [(26, 2), (28, 1)])
    def test_in_a_small_picture_a_faint_face_is_followed_in_its_half(self, size: int, views: int):
        """Up to eight of the detector's 192 pixels: 26.7 of 640."""
        track = np.array([[100, 100, 100 + size, 100 + size]], np.float32)
        small = [(blank()[:480, :640].copy(), n / 5, track) for n in range(9)]
        assert self.looks(*small) == [3] + [views] * 8

    def test_the_whole_is_passed_over_where_its_tiles_show_all_that_is_new(self):
        small = blank()[:480, :852].copy()
        moved = small.copy()
        moved[10:200, 10:100] = 200  # in the left tile alone
        assert self.looks((small, 0, NOBODY), (moved, 0.2, NOBODY)) == [3, 1]
        track = np.array([[100, 100, 140, 140]], np.float32)
        assert self.looks((small, 0, NOBODY), (moved, 0.2, track), (moved, 1.0, track)) == [3, 1, 2]

    @pytest.mark.parametrize(("size", "views"), [(120, 1), (121, 2)])
    def test_but_not_with_a_face_that_tiles_may_cut(self, size: int, views: int):
        track = np.array([[100, 100, 100 + size, 110]], np.float32)
        assert self.looks((blank(), 0, NOBODY), (blank(), 0.2, track)) == [16, views]

    def test_nor_where_more_moves_than_may_be_searched(self):
        other = np.full_like(blank(), 255)
        assert self.looks((blank(), 0, NOBODY), (other, 0.01, NOBODY)) == [16, 1 + TILES_PER_FRAME]

    def test_what_came_is_looked_at_at_once_and_then_no_more(self):
        came = blank()
        came[10:110, 10:110] = 200
        assert self.looks((blank(), 0, NOBODY), (came, 0.2, NOBODY), (came, 0.4, NOBODY)) == [16, 1, 0]

    def test_the_smallest_face_alone_brings_a_full_scan_there(self):
        frames = [(blank(), 0, NOBODY), (scene((ANN, 960, 540, 20)), 1.0, NOBODY)]
        first, second = self.looks(*frames)
        assert first == 16
        assert 1 <= second <= 6

    def test_what_comes_too_slowly_for_two_frames_to_tell_adds_up(self):
        frames = [(np.full_like(blank(), 100 + n), n / 5, NOBODY) for n in range(14)]
        counts = self.looks(*frames)
        assert max(counts[1:12]) <= 1
        assert counts[12] > TILES_PER_FRAME

    def test_noise_is_nothing(self):
        noise = np.random.default_rng(1).normal(120, 5, (4, HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8)
        assert self.looks(*[(image, n / 5, NOBODY) for n, image in enumerate(noise)])[1:] == [0] * 3

    def test_all_is_searched_when_the_clock_was_set_back(self):
        frames = [(blank(), 100, NOBODY), (blank(), 50, NOBODY), (blank(), 50.2, NOBODY)]
        assert self.looks(*frames) == [16, 16, 0]

    def test_another_size_begins_anew(self):
        small = blank()[:480, :640].copy()
        assert self.looks((small, 0, NOBODY), (blank(), 0.2, NOBODY), (small, 0.4, NOBODY)) == [3, 16, 3]


class TestWhat:
    @pytest.mark.parametrize(("x", "y"), [(30, 30), (960, 540), (445, 300), (1890, 1050), (700, 1060)])
    def test_a_face_is_found_once_whole_and_where_it_is(self, x: float, y: float):
        faces = look(scanner(FarSighted(ANN)), scene((ANN, x, y, 40)))
        assert faces.xyxy.tolist() == [[x - 20, y - 20, x + 20, y + 20]]
        # The right eye is at 0.3, 0.4 of the box.
        assert faces.keypoints[0, 0].tolist() == pytest.approx([x - 8, y - 4])

    def test_a_face_at_the_picture_s_edge_is_kept_though_it_is_cut(self):
        (box,) = look(scanner(FarSighted(ANN)), scene((ANN, 0, 1080, 80))).xyxy.tolist()
        assert box == [0, 1040, 40, 1080]

    def test_a_face_cut_by_inner_edges_is_left_to_the_other_tiles(self):
        left_edge = float(TILES[1][0])
        detector = FarSighted(ANN)
        scan = scanner(detector, full_scan_every=100.0)
        look(scan, blank())
        # The track is held by tile 1 only; the face hangs over that tile's edge.
        track = np.array([[700, 200, 740, 240]], np.float32)
        image = blank()
        look(scan, image, 0.01)
        detector.looks.clear()
        image[200:230, int(left_edge) - 15 : int(left_edge) + 15] = (30, 100, 1)
        assert len(look(scan, image, 0.02, track)) == 0
        assert len(detector.looks) == 2

    def test_the_whole_and_its_tiles_see_a_large_face_once(self):
        assert len(look(scanner(PaintedFaces([ANN])), scene((ANN, 960, 540, 400)))) == 1

    def test_two_faces_side_by_side_are_two(self):
        bea = Person(tag=2, age=50)
        faces = look(scanner(FarSighted(ANN, bea)), scene((ANN, 500, 300, 40), (bea, 540, 300, 40)))
        assert sorted(faces.xyxy[:, 0].tolist()) == [480, 520]

    @pytest.mark.parametrize("tone_grey", [False, True])
    def test_a_grey_picture_is_shown_in_the_tone_of_skin_where_that_is_asked_for(self, tone_grey: bool):
        class Shown(PaintedFaces):
            def detect(self, image: np.ndarray) -> Faces:
                shown.append(image[0, 0].tolist())
                return super().detect(image)

        shown: list[list[int]] = []
        grey, coloured = np.full((HEIGHT, WIDTH, 3), 128, np.uint8), np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        coloured[..., 2] = 150
        scan = scanner(Shown([]), tone_grey=tone_grey)
        look(scan, grey)
        blue, green, red = shown[-1]
        assert (red > green > blue) is tone_grey
        look(scan, coloured, 1.0)
        assert shown[-1] == [90, 90, 150]

    def test_the_better_view_of_a_face_stays(self):
        class Graded(PaintedFaces):
            def detect(self, image: np.ndarray) -> Faces:
                found = super().detect(image)
                return Faces(found.xyxy, found.score * (0.5 if image.shape[1] > TILE else 1), found.keypoints)

        (score,) = look(scanner(Graded([ANN])), scene((ANN, 960, 540, 100))).score.tolist()
        assert score == pytest.approx(0.9)

    @pytest.mark.parametrize(("size", "found"), [(26, 1), (38, 1), (42, 0)])
    def test_the_halves_of_a_small_picture_add_small_faces_that_the_whole_misses(
        self, size: float, found: int
    ):
        image = scene((ANN, 300, 300, size))[:480, :640].copy()
        assert len(look(scanner(Halves(ANN)), image)) == found

    def test_the_whole_decides_the_box_of_a_face_that_it_shows(self):
        class Larger(PaintedFaces):
            def detect(self, image: np.ndarray) -> Faces:
                found, grown = super().detect(image), 0 if image.shape[1] == 640 else 3
                larger = np.array([-grown, -grown, grown, grown], np.float32)
                return Faces(found.xyxy + larger, found.score + grown, found.keypoints)

        image = scene((ANN, 300, 300, 32))[:480, :640].copy()
        (box,) = look(scanner(Larger([ANN])), image).xyxy
        assert box.tolist() == [284, 284, 316, 316]

    def test_a_missed_face_is_followed_in_its_half_and_one_of_the_whole_is_not(self):
        image = scene((ANN, 200, 200, 32))[:480, :640].copy()
        track = np.array([[184, 184, 216, 216]], np.float32)
        scan = scanner(Halves(ANN))
        assert [len(look(scan, image, n / 5, track if n else NOBODY)) for n in range(9)] == [1] * 9
        scan = scanner(Halves(ANN))
        assert [len(look(scan, image, n / 5, track)) for n in range(9)] == [0] * 9

    def test_a_missed_face_that_a_half_loses_for_a_moment_is_found_again(self):
        """Else it is kept out as one of the whole's until its track ends, and then is somebody new."""
        image, empty = scene((ANN, 200, 200, 32))[:480, :640].copy(), blank()[:480, :640]
        track = np.array([[184, 184, 216, 216]], np.float32)
        scan = scanner(Halves(ANN))
        shown = [empty if n in (2, 3, 6) else image for n in range(9)]
        found = [len(look(scan, picture, n / 5, track if n else NOBODY)) for n, picture in enumerate(shown)]
        assert found == [1, 1, 0, 0, 1, 1, 0, 1, 1]

    @pytest.mark.parametrize(("size", "found"), [(19, 0), (20, 1)])
    def test_smaller_faces_than_asked_for_are_passed_over(self, size: float, found: int):
        assert len(look(scanner(FarSighted(ANN)), scene((ANN, 300, 300, size)))) == found

    def test_nobody_is_nobody(self):
        assert len(look(scanner(PaintedFaces([])), blank())) == 0


def test_closing_closes_the_detector():
    detector = PaintedFaces([])
    scanner(detector).close()
    assert detector.closed
