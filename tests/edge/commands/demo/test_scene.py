"""The composed scene: the same every time, true to its list of visits, and readable as a clip."""

from __future__ import annotations

import hashlib
import itertools
import re

import cv2
import numpy as np
import pytest

from edge.commands.demo import scene as demo_scene
from edge.commands.demo.line_zone import passages, seconds_in_zone
from edge.commands.demo.scene import (
    CAPTION,
    HEIGHT,
    PORTRAITS,
    VISITS,
    WIDTH,
    Key,
    Scene,
    Visit,
    compose,
    write_clip,
)
from edge.errors import OutsideError
from edge.types import Passages

MOMENTS = [index / 12 for index in range(45 * 12)]
PORTRAIT_FOLDER = demo_scene._FOLDER


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def moments_of(visit: Visit):
    return [face for t in MOMENTS if (face := visit.at(t)) is not None]


@pytest.mark.parametrize("t", [0.0, 8.2, 18.45])
def test_the_same_seed_gives_the_same_bytes(scene, t):
    frame = compose(scene, t)
    assert frame.shape == (720, 1280, 3)
    assert frame.dtype == np.uint8
    assert np.array_equal(frame, compose(Scene(), t))
    assert not np.array_equal(frame, compose(Scene(seed=8), t))


def test_no_frame_is_the_one_before_it_not_even_of_the_empty_room(scene):
    assert not scene.faces(0.0)
    assert not scene.faces(1 / 12)
    for first, second in itertools.pairwise(
        compose(scene, t) for t in (0.0, 1 / 12, 2 / 12, 6.0, 6 + 1 / 12)
    ):
        assert cv2.absdiff(first, second).mean() > 1


def test_eight_visitors_use_every_portrait():
    assert len(VISITS) == 8
    assert {visit.portrait for visit in VISITS} == set(PORTRAITS)


def test_a_portrait_never_meets_itself_and_stays_away_for_four_seconds():
    for portrait in PORTRAITS:
        own = sorted((visit for visit in VISITS if visit.portrait == portrait), key=lambda visit: visit.start)
        assert all(later.start - earlier.end >= 4 for earlier, later in itertools.pairwise(own))


@pytest.mark.parametrize("visit", VISITS, ids=lambda visit: f"{visit.portrait}-{visit.start:g}")
def test_each_visitor_comes_from_outside_stays_in_view_and_leaves(visit, scene):
    faces = moments_of(visit)
    assert not visit.at(visit.start).inside
    assert not visit.at(visit.end).inside
    assert visit.at(visit.start - 0.01) is None
    assert visit.at(visit.end + 0.01) is None
    assert visit.end < scene.duration
    clear = [face.inside and face.size >= 40 for face in faces]
    longest = max(len(list(run)) for good, run in itertools.groupby(clear) if good)
    assert longest >= 3 * 12


def test_nobody_comes_in_where_somebody_alike_has_just_gone_out():
    ways = [[(t, face) for t in MOMENTS if (face := visit.at(t)) and face.inside] for visit in VISITS]
    for one, other in itertools.permutations(ways, 2):
        (gone, last), (come, first) = one[-1], other[0]
        if 0 <= come - gone < 2 and abs(last.x - first.x) < WIDTH / 2:
            assert max(last.size, first.size) > 2 * min(last.size, first.size)


def test_three_come_in_over_the_line_and_two_go_out():
    """By the list of visits: two come and go on the left, one on the right."""
    assert passages(VISITS) == Passages(inward=3, outward=2)
    walked = [visit.at(visit.end).x - visit.at(visit.start).x for visit in VISITS]
    assert [round(abs(way) / WIDTH) for way in walked] == [0, 1, 1, 1, 1, 0, 1, 0]


def test_all_are_in_the_zone_for_seconds_and_no_stay_is_at_the_bound_of_a_step():
    stays = seconds_in_zone(VISITS)
    assert len(stays) == len(VISITS)
    assert min(stays) > 2
    assert sum(stay < 4.6 for stay in stays) == sum(stay > 5.4 for stay in stays) == 4


def test_faces_are_from_30_to_200_pixels_wide():
    sizes = [face.size for visit in VISITS for face in moments_of(visit)]
    assert min(sizes) == pytest.approx(30, abs=1)
    assert max(sizes) == pytest.approx(200, abs=1)


def test_visitors_stand_and_cross_at_different_depths(scene):
    crossings = 0
    for t in MOMENTS:
        for one, other in itertools.combinations(scene.faces(t).values(), 2):
            if abs(one.x - other.x) < 20:
                crossings += 1
                near, far = sorted((one.size, other.size), reverse=True)
                assert near > 1.3 * far
    assert crossings >= 3
    standing = [visit for visit in VISITS if any(a.x == b.x for a, b in itertools.pairwise(visit.keys))]
    assert len(standing) >= 5


def test_the_nearer_visitor_hides_the_farther_one_whatever_their_order():
    far = Visit("obama", (Key(0, 640, 60), Key(1, 640, 60)))
    near = Visit("hopper", (Key(0, 640, 180), Key(1, 640, 180)))
    one, other = (compose(Scene(visits), 0.5) for visits in ((far, near), (near, far)))
    alone = compose(Scene((near,)), 0.5)
    assert np.array_equal(one, other)
    chin = near.at(0.5)
    window = np.s_[int(chin.y) : int(chin.y) + 80, 600:680]
    assert np.array_equal(one[window], alone[window])


def test_the_truth_is_where_the_picture_changed():
    visit = Visit("biden", (Key(0, 300, 120), Key(1, 300, 120)))
    changed = cv2.absdiff(compose(Scene((visit,)), 0.5), compose(Scene((visit,)), 1.5)).max(axis=2) > 40
    face = visit.at(0.5)
    half = int(face.size / 2.5)
    box = np.s_[int(face.y) - half : int(face.y) + half, int(face.x) - half : int(face.x) + half]
    assert changed[box].mean() > 0.7
    assert changed[:, 700:].mean() < 0.01


def test_mirroring_and_light_change_the_picture():
    keys = (Key(0, 640, 150), Key(1, 640, 150))
    plain, mirrored, bright = (
        compose(Scene((Visit("collins", keys, *look),)), 0.5) for look in ((), (True,), (False, 1.2))
    )
    window = np.s_[250:650, 400:880]
    assert cv2.absdiff(plain[window], mirrored[window]).mean() > 10
    assert bright[window].mean() > plain[window].mean() + 3


def test_every_frame_says_that_it_is_composed(scene):
    assert CAPTION.startswith("composed scene")
    plate = demo_scene._caption()
    for t in (0.0, 16.0, 33.0):
        assert np.array_equal(compose(scene, t)[HEIGHT - len(plate) :, : plate.shape[1]], plate)
    assert plate.min() < 80
    assert plate.max() > 200


def test_the_clip_reads_back_as_written(tmp_path):
    short = Scene((Visit("obama", (Key(0, -100, 60), Key(1, 400, 90), Key(2, 1500, 90))),))
    told: list[float] = []
    path = tmp_path / "scene.mp4"
    assert write_clip(short, path, fps=10, progress=told.append) == 1
    assert told == sorted(told)
    assert told[-1] == 1.0
    clip = cv2.VideoCapture(str(path))
    frames = [frame for ok, frame in iter(clip.read, (False, None)) if ok]
    assert clip.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    clip.release()
    assert len(frames) == len(told) == 28
    assert frames[0].shape == (HEIGHT, WIDTH, 3)
    assert all(not np.array_equal(first, second) for first, second in itertools.pairwise(frames))
    assert cv2.absdiff(frames[10], compose(short, 1.0)).mean() < 5


def test_a_clip_that_cannot_be_written_names_the_path(tmp_path):
    with pytest.raises(OutsideError, match=r"absent.scene\.mp4"):
        write_clip(Scene(VISITS[:1]), tmp_path / "absent" / "scene.mp4")


def test_the_readme_knows_every_portrait_by_its_hash():
    readme = (PORTRAIT_FOLDER / "README.md").read_text(encoding="utf-8")
    named = dict(re.findall(r"^\| `(\w+\.png)` \| `([0-9a-f]{64})` \|$", readme, re.MULTILINE))
    shipped = {path.name: path for path in PORTRAIT_FOLDER.glob("*.png")}
    assert set(shipped) == {portrait.file for portrait in PORTRAITS.values()}
    for name, path in shipped.items():
        assert named[name] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.stat().st_size <= 300 * 1024


@pytest.mark.parametrize("name", PORTRAITS)
def test_a_portrait_is_cut_out_softly(name):
    portrait = PORTRAITS[name]
    picture = cv2.imread(str(PORTRAIT_FOLDER / portrait.file), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    alpha = picture[..., 3]
    assert picture.shape[2] == 4
    assert alpha[0, 0] == 0
    assert alpha[0, -1] == 0
    assert alpha[int(portrait.y), int(portrait.x)] == 255
    assert ((alpha > 20) & (alpha < 235)).any(axis=1)[: int(portrait.y)].mean() > 0.9
