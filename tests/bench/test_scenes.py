"""Drawn scenes: the truth is what can be seen, the same number is the same scene, and all kinds occur."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from bench.scenes import CYCLE, HIDDEN, KINDS, Cast, Scene, Someone, draw


def scene(*people: Someone, pillars: tuple[tuple[float, float], ...] = ()) -> Scene:
    return Scene("test", 640, 360, 10.0, 4.0, list(people), pillars)


@pytest.fixture
def cast() -> Cast:
    return Cast(np.random.default_rng(0), 640, 360)


def test_every_kind_is_drawn_and_gives_pictures():
    for number in range(len(CYCLE)):
        if number and CYCLE[number] == CYCLE[number - 1]:
            continue
        drawn = draw(number)
        assert drawn.kind == CYCLE[number]
        assert drawn.clear
        ((t, image),) = islice(drawn.frames(), 1)
        assert (t, image.shape) == (0.0, (drawn.height, drawn.width, 3))
        assert image.dtype == np.uint8
    assert set(CYCLE) == set(KINDS)


def test_a_number_is_a_scene():
    first, second = ([image for _, image in islice(draw(3).frames(), 3)] for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], next(draw(len(CYCLE) + 3).frames())[1])


def test_who_stands_in_view_is_a_visitor(cast: Cast):
    assert scene(cast.stander(200, 4, 40), cast.stander(400, 4, 60)).visitors == 2


@pytest.mark.parametrize(("turned", "visitors"), [(((0, 4),), 0), (((1, 2),), 1)])
def test_a_back_is_none_and_a_turn_is_one(cast: Cast, turned: tuple[tuple[float, float]], visitors: int):
    assert scene(cast.stander(300, 4, 50, turned)).visitors == visitors


def test_a_picture_on_the_wall_is_none(cast: Cast):
    assert scene(cast.someone([0, 4], [300, 300], [50, 50], still=True)).visitors == 0


def test_who_stands_behind_somebody_or_a_pillar_is_none(cast: Cast):
    near, far = cast.stander(300, 4, 100), cast.stander(300, 4, 96)
    assert scene(near, far).visitors == 1
    assert scene(near, pillars=((200, 400),)).visitors == 0


def test_who_is_smaller_than_the_least_face_is_none(cast: Cast):
    assert scene(cast.stander(300, 4, 14)).visitors == 0


def test_a_short_view_is_not_clear(cast: Cast):
    assert not scene(cast.someone([0, 1], [300, 300], [50, 50])).clear
    assert scene(cast.someone([0, 3], [300, 300], [50, 50])).clear


@pytest.mark.parametrize(("kind", "visitors"), [("replaced", 3), ("returned", 2)])
def test_who_steps_out_from_behind_somebody_is_another_or_the_same(kind: str, visitors: int):
    assert kind in HIDDEN
    drawn = draw(600, kind)
    assert (drawn.kind, drawn.visitors, drawn.clear) == (kind, visitors, True)
    hidden = [drawn._hidden(t) for t in np.arange(0, drawn.seconds - 0.5, 0.2)]
    assert any(min(shares[:-1]) == 1 for shares in hidden)
