"""The tracker on faces whose truth is known: positions in pixels, times in seconds from a fixed start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.types import KEYPOINTS, Faces, Track, TrackState
from edge.vision.clothes import PATCHES
from edge.vision.track import Tracker, TrackerSettings

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
SIZE = 50.0
WALK = 8.75 * SIZE  # pixels per second of someone who crosses the view at 1.4 m/s

Face = tuple[float, float, float]  # centre x, y and side, in pixels


def faces(*found: Face | NDArray[np.float64], score: float = 0.9) -> Faces:
    x, y, side = np.array(found, np.float32).reshape(-1, 3).T
    corners = np.stack([x - side / 2, y - side / 2, x + side / 2, y + side / 2], axis=1)
    boxes = corners.astype(np.float32)
    n = len(boxes)
    return Faces(
        boxes.astype(np.float32), np.full(n, score, np.float32), np.zeros((n, KEYPOINTS, 2), np.float32)
    )


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def ids(tracks: Iterable[Track]) -> dict[int, int]:
    """Face index -> track id."""
    return {track.face: track.track_id for track in tracks if track.face is not None}


def only(tracks: Sequence[Track]) -> Track:
    assert len(tracks) == 1, [(track.track_id, track.state) for track in tracks]
    return tracks[0]


def stand(tracker: Tracker, until: float, fps: float = 10, x: float = 300.0) -> Track:
    """Show one still face from 0 s to `until`, the last frame included; the track of the last frame."""
    for index in range(round(until * fps) + 1):
        tracks = tracker.update(faces((x, 300, SIZE)), at(index / fps))
    return only(tracks)


def test_a_face_becomes_a_confirmed_track_at_its_third_frame():
    tracker = Tracker()
    states = [only(tracker.update(faces((300, 300, SIZE)), at(i / 10))).state for i in range(4)]
    assert states == [TrackState.TENTATIVE, TrackState.TENTATIVE, TrackState.CONFIRMED, TrackState.CONFIRMED]


def test_one_frame_is_enough_where_the_settings_say_so():
    tracker = Tracker(TrackerSettings(confirm_hits=1))
    assert only(tracker.update(faces((300, 300, SIZE)), at(0))).state is TrackState.CONFIRMED


def test_a_track_tells_what_it_saw_and_when():
    tracker = Tracker()
    track = stand(tracker, until=0.5)
    assert (track.track_id, track.face) == (1, 0)
    assert (track.first_seen, track.last_seen) == (at(0), at(0.5))
    assert track.xyxy.tolist() == [275, 275, 325, 325]


def test_the_face_index_is_the_one_of_this_frame():
    tracker = Tracker()
    left, right = (200.0, 300.0, SIZE), (800.0, 300.0, SIZE)
    before = ids(tracker.update(faces(left, right), at(0)))
    after = ids(tracker.update(faces(right, left), at(0.1)))
    assert (before[0], before[1]) == (after[1], after[0])


def test_nothing_in_nothing_out():
    tracker = Tracker()
    assert tracker.update(Faces.empty(), at(0)) == []
    assert tracker.update(Faces.empty(), at(0)) == []
    assert tracker.finish() == []


@pytest.mark.parametrize("fps", [5, 10, 30])
@pytest.mark.parametrize("speed", [0.0, WALK / 2, WALK])
def test_an_id_survives_a_second_of_missed_detections(fps, speed):
    tracker = Tracker()
    states = []
    for index in range(3 * fps):
        t = index / fps
        found = faces() if 1 <= t < 2 else faces((100 + speed * t, 300, SIZE))
        track = only(tracker.update(found, at(t)))
        assert track.track_id == 1
        states.append(track.state)
    assert states[fps : 2 * fps] == [TrackState.LOST] * fps
    assert states[2 * fps] is TrackState.CONFIRMED


@pytest.mark.parametrize("fps", [5, 10, 15])
@pytest.mark.parametrize("speed", [WALK / 4, WALK / 2, WALK])
def test_two_people_who_cross_keep_their_ids(fps, speed):
    tracker, meet = Tracker(), 600 / speed
    seen: list[dict[int, int]] = []
    for index in range(int(2 * meet * fps)):
        t = index / fps
        near, far = (100 + speed * t, 300.0, SIZE * 1.2), (1300 - speed * t, 310.0, SIZE)
        hidden = abs(t - meet) < 0.25 or abs(near[0] - far[0]) < SIZE
        seen.append(ids(tracker.update(faces(near) if hidden else faces(near, far), at(t))))
    assert seen[0] == seen[-1] == {0: 1, 1: 2}
    assert {number for frame in seen for number in frame.values()} == {1, 2}


def test_an_id_survives_a_stop_out_of_sight():
    tracker = Tracker()
    for index in range(40):
        t = index / 10
        x = 100 + WALK * min(t, 1.5)
        track = only(tracker.update(faces() if 1.3 <= t < 1.8 else faces((x, 300, SIZE)), at(t)))
        assert track.track_id == 1
    assert track.state is TrackState.CONFIRMED


@pytest.mark.parametrize("fps", [5, 15])
def test_an_id_survives_the_growth_of_an_approach(fps):
    tracker = Tracker()
    for index in range(3 * fps):
        t = index / fps
        side = 30 / (1 - 0.28 * t)  # 30 to 190 px in 3 s at a steady pace
        assert only(tracker.update(faces((640, 300 + side, side)), at(t))).track_id == 1


def test_walkers_keep_their_ids_at_five_frames_a_second():
    tracker, step = Tracker(), WALK / 5
    assert step > SIZE  # no overlap from frame to frame
    for index in range(12):
        tracks = tracker.update(
            faces((100 + step * index, 200, SIZE), (1200 - step * index, 400, SIZE)), at(index / 5)
        )
        assert ids(tracks) == {0: 1, 1: 2}


def test_neighbours_side_by_side_keep_their_ids():
    tracker = Tracker()
    rng = np.random.default_rng(0)
    for index in range(50):
        row = [(200 + x * 1.5 * SIZE + index * 20, 300, SIZE) for x in range(4)]
        jittered = np.array(row) + rng.normal(0, 3, (4, 3))
        assert ids(tracker.update(faces(*jittered), at(index / 10))) == {0: 1, 1: 2, 2: 3, 3: 4}


def test_a_face_of_another_size_is_another_visitor():
    tracker = Tracker()
    stand(tracker, until=1)
    for moment in (1.1, 1.2, 1.3):  # first it may be another view of the same face
        assert ids(tracker.update(faces((300, 300, 3 * SIZE)), at(moment))) == {}
    assert ids(tracker.update(faces((300, 300, 3 * SIZE)), at(1.5))) == {0: 2}


def test_a_second_box_of_a_face_starts_no_track_and_keeps_the_first_alive():
    """A face at the edge of a tile, or half hidden, is found twice: in its size and 1.4 times as large."""
    tracker = Tracker()
    stand(tracker, until=1)
    both = faces((300, 300, SIZE), (330, 285, 1.4 * SIZE))
    assert ids(tracker.update(both, at(1.1))) == {0: 1}
    assert ids(tracker.update(faces((300, 300, SIZE)), at(1.2))) == {0: 1}


def test_behind_a_nearer_face_a_track_keeps_a_face_of_half_the_size():
    """What is not hidden of a face is found as a smaller one."""
    tracker = Tracker()
    for number in range(10):
        tracker.update(faces((300, 300, 2 * SIZE), (370, 240, SIZE)), at(number / 5))
    assert ids(tracker.update(faces((300, 300, 2 * SIZE), (375, 232, 0.6 * SIZE)), at(2))) == {0: 1, 1: 2}


def test_a_lost_track_is_predicted_and_then_removed_once():
    tracker = Tracker(TrackerSettings(lost_after=1.5))
    for index in range(11):
        tracker.update(faces((100 + 20 * index, 300, SIZE)), at(index / 10))
    lost = only(tracker.update(faces(), at(1.2)))
    assert (lost.state, lost.face, lost.last_seen) == (TrackState.LOST, None, at(1))
    assert 310 < (lost.xyxy[0] + lost.xyxy[2]) / 2 < 345
    assert only(tracker.update(faces(), at(2.5))).state is TrackState.LOST
    removed = only(tracker.update(faces(), at(2.6)))
    assert (removed.state, removed.face, removed.last_seen) == (TrackState.REMOVED, None, at(1))
    assert tracker.update(faces(), at(2.7)) == []


def test_a_gap_longer_than_the_patience_ends_a_track_though_the_face_is_back():
    tracker = Tracker(TrackerSettings(lost_after=1.5))
    stand(tracker, until=1)
    new, old = tracker.update(faces((300, 300, SIZE)), at(3))
    assert (new.track_id, new.state, new.first_seen) == (2, TrackState.TENTATIVE, at(3))
    assert (old.track_id, old.state) == (1, TrackState.REMOVED)


def test_a_face_that_jumps_away_and_comes_to_rest_keeps_its_id():
    """Faster than the filter expects: a face size up within a tenth of a second, as in a jump."""
    tracker = Tracker()
    for number, y in enumerate([300, 300, 300, 365, 300, 362, 300, 300]):
        tracks = tracker.update(faces((300, y, SIZE)), at(number / 10))
    assert only(tracks).track_id == 1


@pytest.mark.parametrize(("y", "side"), [(385, SIZE), (352, SIZE * 1.5)])
def test_too_far_away_or_of_another_size_it_is_another_face(y, side):
    tracker = Tracker()
    for number in range(4):
        tracker.update(faces((300, 300, SIZE)), at(number / 10))
    assert ids(tracker.update(faces((300, y, side)), at(0.4))) == {0: 2}


def test_a_jump_takes_no_face_that_fits_another_track():
    tracker = Tracker()
    for number in range(10):
        tracker.update(faces((300, 300, SIZE), (360, 300, SIZE)), at(number / 10))
    assert ids(tracker.update(faces((360, 300, SIZE)), at(1))) == {0: 2}


def test_who_is_hidden_in_a_queue_for_two_and_a_half_seconds_is_the_same_visitor():
    tracker = Tracker()
    stand(tracker, until=1)
    for index in range(24):
        tracker.update(faces(), at(1.1 + index / 10))
    assert ids(tracker.update(faces((305, 302, SIZE)), at(3.5))) == {0: 1}


def test_a_longer_patience_waits_for_a_face_that_comes_back_where_it_was():
    tracker = Tracker(TrackerSettings(lost_after=10))
    stand(tracker, until=1)
    for index in range(80):
        tracker.update(faces(), at(1.1 + index / 10))
    assert only(tracker.update(faces((300, 300, SIZE)), at(9.1))).track_id == 1


UNKNOWN = np.full((1, 3), np.nan, np.float32)
RED, GREEN = [76.0, -43, 127], [150.0, -85, -107]


@pytest.mark.parametrize(
    ("away", "before", "after", "known"),
    [
        (2.0, RED, RED, True),
        (2.0, RED, GREEN, False),
        (1.0, RED, GREEN, False),
        (0.5, RED, GREEN, True),  # so soon the place is enough
        (2.0, RED, [90.0, -40, 120], True),  # in other light
        (2.0, [80.0, 5, 5], [84.0, -3, -1], False),  # as bright, of another hue
        (2.0, RED, [np.nan] * 3, True),
        (2.0, [np.nan] * 3, GREEN, True),
    ],
)
def test_who_comes_in_other_clothes_where_somebody_left_is_another(away, before, after, known):
    tracker, face = Tracker(), faces((300, 300, SIZE))
    for number in range(5):
        tracker.update(face, at(number / 10), np.array([before], np.float32))
    tracks = tracker.update(face, at(0.4 + away), np.array([after], np.float32))
    assert ids(tracks) == {0: 1 if known else 2}


def test_clothes_are_those_of_when_they_could_last_be_seen():
    tracker, face = Tracker(), faces((300, 300, SIZE))
    for number, worn in enumerate([RED, RED, GREEN, GREEN, [np.nan] * 3]):
        tracker.update(face, at(number / 10), np.array([worn], np.float32))
    assert ids(tracker.update(face, at(2.4), np.array([GREEN], np.float32))) == {0: 1}


NEAR = 2 * SIZE


def hide(tracker: Tracker, until: float, *, clothes: Sequence[float] = RED, away: bool = False) -> float:
    """One stands from 0 s on, and somebody nearer stops before them at 1 s; the time of the last frame.

    away: whether the nearer one walks on at once, and out of the picture.
    """
    for index in range(round(until * 10) + 1):
        x = 300 + 4 * SIZE * abs(1 - index / 10) if away or index < 10 else 300.0
        shown = [(x, 330.0, NEAR), (300.0, 300.0, SIZE)][: 2 if x > 300 + 1.6 * SIZE and index < 10 else 1]
        worn = np.array([GREEN, clothes][: len(shown)], np.float32)
        tracker.update(faces(*shown), at(index / 10), worn)
    return until


@pytest.mark.parametrize(("until", "same"), [(5.0, True), (8.0, True), (10.0, False)])
def test_who_is_hidden_by_somebody_nearer_is_waited_for(until: float, same: bool):
    tracker = Tracker()
    seconds = hide(tracker, until) + 0.1
    worn = np.array([GREEN, RED], np.float32)
    tracks = tracker.update(faces((150, 330, NEAR), (320, 305, 0.8 * SIZE)), at(seconds), worn)
    assert ids(tracks)[1] == (2 if same else 3)


def step_out(
    tracker: Tracker, since: float, worn: Sequence[Sequence[float]], parts: Sequence[float] = RED
) -> int:
    """Somebody steps out beside the one nearer, in a frame for each of these clothes; the id in the last."""
    for index, own in enumerate(worn):
        clothes = np.array([GREEN, own], np.float32)
        part = np.array([GREEN, parts], np.float32)
        found = faces((300, 330, NEAR), (370, 305, SIZE))
        tracks = tracker.update(
            found, at(since + index / 10), clothes, part if np.isnan(own).any() else clothes
        )
    return ids(tracks).get(1, 0)


UNSEEN = [np.nan] * 3


@pytest.mark.parametrize(
    ("hidden", "worn", "expected"),
    [
        (3.0, [UNSEEN], 2),
        (5.0, [UNSEEN] * 5, 0),
        (5.0, [UNSEEN] * 12, 3),
        (5.0, [UNSEEN] * 5 + [RED], 2),
        (5.0, [UNSEEN] * 5 + [GREEN], 3),
        (5.0, [[80.0, -30, 100]], 3),  # 1.7 times as far off as clothes that are the same
    ],
)
def test_who_steps_out_after_long_is_who_was_hidden_in_the_same_clothes_only(hidden, worn, expected: int):
    """Else the hidden one may have left behind the nearer one, and another have come."""
    tracker = Tracker()
    seconds = hide(tracker, 1 + hidden) + 0.1
    assert step_out(tracker, seconds, worn, UNSEEN) == expected


@pytest.mark.parametrize(("part", "expected"), [(RED, 2), (GREEN, 3)])
def test_who_was_hidden_for_long_is_known_by_a_part_of_the_clothes(part: Sequence[float], expected: int):
    tracker = Tracker()
    seconds = hide(tracker, 6) + 0.1
    assert step_out(tracker, seconds, [UNSEEN], part) == expected


@pytest.mark.parametrize("hidden", [3.0, 5.0, 7.0])
def test_who_was_hidden_for_long_is_the_same_where_clothes_are_never_seen(hidden: float):
    """The camera may be at the height of faces, or the person near its lower edge."""
    tracker = Tracker()
    seconds = hide(tracker, 1 + hidden, clothes=UNSEEN) + 0.1
    assert step_out(tracker, seconds, [UNSEEN], UNSEEN) == 2


def test_who_was_hidden_for_a_moment_is_not_waited_for_after_that():
    tracker = Tracker()
    seconds = hide(tracker, 5, away=True) + 0.1
    assert ids(tracker.update(faces((300, 300, SIZE)), at(seconds)))[0] == 3


@pytest.mark.parametrize(("after", "same"), [(RED, True), (GREEN, False), ([np.nan] * 3, True)])
def test_in_other_clothes_it_is_not_who_was_hidden(after: Sequence[float], same: bool):
    tracker = Tracker()
    seconds = hide(tracker, 4) + 0.1
    worn = np.array([GREEN, after], np.float32)
    tracks = tracker.update(faces((150, 330, NEAR), (320, 305, SIZE)), at(seconds), worn)
    assert ids(tracks)[1] == (2 if same else 3)


def test_a_face_in_other_clothes_is_no_sudden_move():
    """Something on the edge of the pillar behind which somebody walked looks like a face for one frame."""
    tracker = Tracker()
    for number in range(8):
        walker = faces((300 + 0.4 * SIZE * number, 300, SIZE))
        tracker.update(walker, at(number / 10), np.array([GREEN], np.float32))
    tracker.update(faces((420, 360, 0.9 * SIZE)), at(0.9), np.array([RED], np.float32))
    out = faces((300 + 0.4 * SIZE * 15, 300, SIZE))
    assert ids(tracker.update(out, at(1.5), np.array([GREEN], np.float32))) == {0: 1}


def test_who_comes_out_half_hidden_is_known_in_the_next_frame():
    """The pillar hides a part before and after; first it lends its colour, so that another track begins."""
    tracker = Tracker()
    for number, side in enumerate([*[SIZE] * 8, 0.85 * SIZE, 0.65 * SIZE]):
        walker = faces((300 + 0.4 * SIZE * number - (SIZE - side) / 2, 300, side))
        tracker.update(walker, at(number / 10), np.array([GREEN], np.float32))
    out = faces((300 + 7.75 * SIZE, 300, 0.7 * SIZE))
    assert ids(tracker.update(out, at(1.9), np.array([RED], np.float32))) == {0: 2}
    whole = faces((300 + 8 * SIZE, 300, SIZE))
    assert ids(tracker.update(whole, at(2.0), np.array([GREEN], np.float32))) == {0: 1}


def test_a_face_that_flickered_is_soon_forgotten():
    tracker = Tracker()
    tracker.update(faces((300, 300, SIZE)), at(0))
    assert only(tracker.update(faces(), at(1.2))).state is TrackState.TENTATIVE
    assert only(tracker.update(faces(), at(1.3))).state is TrackState.REMOVED


@pytest.mark.parametrize(("clothes", "known"), [(GREEN, True), (RED, False), (None, False)])
def test_who_is_hidden_after_the_first_sight_is_the_same_in_the_same_clothes_only(clothes, known):
    """Walks past at 5 face sizes a second; somebody hides the face for most of the first second."""
    tracker = Tracker()
    tracker.update(faces((300, 300, SIZE)), at(0), np.array([GREEN], np.float32))
    worn = None if clothes is None else np.array([clothes], np.float32)
    tracker.update(faces(), at(0.6))
    for seconds in (0.8, 1.0):
        tracks = tracker.update(faces((300 + 5 * SIZE * seconds, 300, SIZE)), at(seconds), worn)
    assert [track.track_id for track in tracks if track.face is not None] == [1 if known else 2]


@pytest.mark.parametrize(("clothes", "known"), [(GREEN, True), (RED, False)])
def test_who_turns_round_out_of_sight_is_the_same_in_the_same_clothes_only(clothes, known):
    """Walks at 5 face sizes a second, is hidden, and comes out behind the place of the last sight."""
    tracker = Tracker()
    for number in range(10):
        tracker.update(faces((300 + SIZE * number / 2, 300, SIZE)), at(number / 10), np.array([GREEN]))
    tracker.update(faces(), at(1.0))
    back = faces((300 + 0.3 * SIZE, 300, SIZE))
    assert ids(tracker.update(back, at(1.8), np.array([clothes]))) == {0: 1 if known else 2}


def test_who_was_lost_long_ago_does_not_win_a_face_that_just_moved():
    """Two in the same clothes at one place: the second drops by a face size."""
    tracker = Tracker()
    for number in range(5):
        tracker.update(faces((300, 300, SIZE)), at(number / 10), np.array([GREEN]))
    tracker.update(faces(), at(0.8))
    for number in range(3):
        tracker.update(faces((300, 300 - 6 * SIZE, SIZE)), at(0.9 + number / 10), UNKNOWN)
    moved = faces((300, 300 - 4.7 * SIZE, SIZE))
    assert ids(tracker.update(moved, at(1.2), np.array([GREEN]))) == {0: 2}


def step_aside(worn: Sequence[float], apart: float, gap: float) -> Iterator[list[Track]]:
    """Somebody in red stands until 1 s, and comes out of hiding by half: the clothes show 0.2 s later."""
    tracker = Tracker()
    for number in range(11):
        yield tracker.update(faces((300, 300, SIZE)), at(number / 10), np.array([RED], np.float32))
    out = faces((300 + apart * SIZE, 300, 0.55 * SIZE))
    for number in range(6):
        seen = UNKNOWN if number < 2 else np.array([worn], np.float32)
        yield tracker.update(out, at(1 + gap + number / 10), seen)


@pytest.mark.parametrize(
    ("worn", "apart", "gap", "same"),
    [
        (RED, 1.0, 0.5, True),
        (RED, 2.8, 0.5, True),
        (RED, 3.2, 0.5, False),
        (RED, 1.8, 1.7, True),
        (RED, 2.2, 1.7, False),
        (GREEN, 1.0, 0.5, False),
        ([np.nan] * 3, 1.0, 0.5, False),
    ],
)
def test_where_a_track_was_lost_another_is_that_one_once_the_same_clothes_are_seen(worn, apart, gap, same):
    *_, tracks = step_aside(worn, apart, gap)
    assert ids(tracks) == {0: 1 if same else 2}


def test_who_follows_another_in_the_same_clothes_and_is_seen_whole_is_somebody_else():
    """In a queue that moves up each shows as soon as the one before has turned away."""
    tracker, seconds = Tracker(), 0.0
    for number in range(4):
        for _ in range(50):
            place = faces((300 + 2.9 * SIZE * (number % 2), 300, SIZE))
            tracks = tracker.update(place, at(seconds), np.array([RED], np.float32))
            seconds += 0.1
        seconds += 0.1
    assert ids(tracks) == {0: 4}


def test_a_track_that_is_another_ends_and_tells_which():
    (resumed,) = (tracks for tracks in step_aside(RED, 1.0, 0.5) if any(track.resumes for track in tracks))
    kept, ended = resumed
    assert (kept.track_id, kept.state, kept.face) == (1, TrackState.CONFIRMED, 0)
    assert (kept.first_seen, kept.last_seen) == (at(0), at(1.8))
    assert (ended.track_id, ended.state, ended.resumes) == (2, TrackState.REMOVED, 1)


@pytest.mark.parametrize(("shown", "same"), [([0, 1], True), ([0], False)])
def test_a_third_of_the_clothes_is_enough_to_know_who_was_lost(shown: list[int], same: bool):
    tracker = Tracker()
    hidden = np.full((1, PATCHES, 3), np.nan, np.float32)
    hidden[0, shown] = RED
    for number in range(11):
        tracker.update(faces((300, 300, SIZE)), at(number / 10), np.array([RED], np.float32))
    for number in range(6):
        out = faces((300 + 1.0 * SIZE, 300, 0.55 * SIZE))
        tracks = tracker.update(out, at(1.5 + number / 10), UNKNOWN, UNKNOWN, hidden)
    assert ids(tracks) == {0: 1 if same else 2}


@pytest.mark.parametrize("others", [0, 8])
def test_where_many_people_are_a_face_far_from_where_somebody_was_expected_is_somebody_else(others: int):
    tracker = Tracker()
    crowd = [(300 + 1.6 * SIZE * (index - 3.5), 300 + 2.5 * SIZE, SIZE) for index in range(others)]
    for number in range(11):
        tracker.update(faces((300, 300, SIZE), *crowd), at(number / 10))
    tracker.update(faces(*crowd), at(1.3))
    tracks = tracker.update(faces(*crowd, (300 + 3.25 * SIZE, 300, SIZE)), at(1.6))
    assert ids(tracks)[others] == (1 if not others else others + 2)


def test_a_track_that_began_beside_another_is_somebody_else():
    tracker, worn = Tracker(), np.array([RED, RED], np.float32)
    both = faces((300, 300, SIZE), (300 + 1.5 * SIZE, 300, SIZE))
    for number in range(3):
        tracker.update(both, at(number / 10), np.full((2, 3), np.nan, np.float32))
    for number in range(3, 9):
        alone = both.select(np.array([1]))
        tracks = tracker.update(alone, at(number / 10), worn[:1])
    assert ids(tracks) == {0: 2}


def test_a_visitor_who_stands_is_followed_at_one_frame_a_second():
    assert stand(Tracker(), until=9, fps=1).state is TrackState.CONFIRMED


def test_a_low_score_continues_a_track_but_starts_none():
    tracker = Tracker(TrackerSettings(start_score=0.6))
    assert tracker.update(faces((300, 300, SIZE), score=0.5), at(0)) == []
    tracker.update(faces((300, 300, SIZE), score=0.7), at(0.1))
    assert ids(tracker.update(faces((300, 300, SIZE), score=0.5), at(0.2))) == {0: 1}


def test_a_confirmed_track_wins_a_face_from_a_tentative_one():
    tracker = Tracker()
    tracker.update(faces((300, 300, SIZE), (320, 300, SIZE)), at(0))
    for moment in (0.1, 0.2):
        twins = tracker.update(faces((300, 300, SIZE)), at(moment))
    assert [track.state for track in twins] == [TrackState.CONFIRMED, TrackState.TENTATIVE]
    assert ids(tracker.update(faces((320, 300, SIZE)), at(0.3))) == {0: 1}


def test_finish_removes_every_live_track_and_no_id_comes_again():
    tracker = Tracker()
    tracker.update(faces((200, 300, SIZE), (800, 300, SIZE)), at(0))
    ended = tracker.finish()
    assert [(track.track_id, track.state) for track in ended] == [
        (1, TrackState.REMOVED),
        (2, TrackState.REMOVED),
    ]
    assert tracker.finish() == []
    assert ids(tracker.update(faces((200, 300, SIZE)), at(0.1))) == {0: 3}


def test_two_trackers_do_not_share_ids():
    first, second = Tracker(), Tracker()
    assert ids(first.update(faces((200, 300, SIZE)), at(0))) == {0: 1}
    assert ids(second.update(faces((200, 300, SIZE)), at(0))) == {0: 1}


@pytest.mark.parametrize("back", [0.15, 2.0, 3600.0])
def test_a_clock_that_steps_back_neither_loses_nor_freezes_tracks(back):
    tracker = Tracker(TrackerSettings(lost_after=1.5))
    stand(tracker, until=1)
    for index in range(20):
        track = only(tracker.update(faces((300, 300, SIZE)), at(1.1 - back + index / 10)))
        assert (track.track_id, track.state) == (1, TrackState.CONFIRMED)
    assert track.last_seen == at(3.0 - back)
    assert track.last_seen - track.first_seen == timedelta(seconds=2.9)  # the frame of the step took no time
    assert only(tracker.update(faces(), at(4.4 - back))).state is TrackState.LOST
    assert only(tracker.update(faces(), at(4.6 - back))).state is TrackState.REMOVED


def test_a_time_may_repeat():
    tracker = Tracker()
    for _ in range(5):
        track = only(tracker.update(faces((300, 300, SIZE)), at(0)))
    assert (track.track_id, track.first_seen, track.last_seen) == (1, at(0), at(0))


coordinate = st.floats(-100, 2000, width=32)
face = st.tuples(coordinate, coordinate, st.floats(0, 500, width=32))
frame = st.tuples(st.lists(face, max_size=5), st.floats(0.125, 1, width=32), st.floats(-2, 3))


@given(st.lists(frame, max_size=30), st.booleans())
def test_whatever_comes_every_track_lives_one_orderly_life(frames, dressed):
    tracker, now, given_out = Tracker(), 0.0, 0
    confirmed: set[int] = set()
    over: set[int] = set()
    for found, score, step in frames:
        now += step
        worn = np.tile(np.array(RED, np.float32), (len(found), 1)) if dressed else None
        tracks = tracker.update(faces(*found, score=score), at(now), worn)
        seen = [track.face for track in tracks if track.face is not None]
        assert len(seen) == len(set(seen)) and set(seen) <= set(range(len(found)))
        assert len({track.track_id for track in tracks}) == len(tracks)
        for track in tracks:
            assert track.track_id not in over
            assert track.first_seen <= track.last_seen <= at(now)
            assert np.isfinite(track.xyxy).all()
            check_state(track, confirmed, over)
        newest = max((track.track_id for track in tracks), default=given_out)
        given_out = max(given_out, newest)
    for track in tracker.finish():
        check_state(track, confirmed, over)
    assert over == set(range(1, given_out + 1))


def check_state(track: Track, confirmed: set[int], over: set[int]) -> None:
    """The state fits what came before, and is noted."""
    match track.state:
        case TrackState.TENTATIVE:
            assert track.track_id not in confirmed
        case TrackState.CONFIRMED:
            assert track.face is not None
            confirmed.add(track.track_id)
        case TrackState.LOST:
            assert track.face is None and track.track_id in confirmed
        case TrackState.REMOVED:
            assert track.face is None and track.track_id not in over
            over.add(track.track_id)
