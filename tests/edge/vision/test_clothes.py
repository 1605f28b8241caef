"""The colour of what is worn: below the face, and unknown where it is not in the picture."""

from __future__ import annotations

import numpy as np
import pytest

from edge.vision.clothes import PATCHES, Outfits, colours, half_hidden, patches, with_parts

FACE = np.array([100, 40, 140, 80], np.float32)


def dressed(colour: tuple[int, int, int]) -> np.ndarray:
    """A picture that is grey down to the chin of `FACE`, and of this colour below."""
    image = np.full((180, 240, 3), 128, np.uint8)
    image[82:] = colour
    return image


@pytest.mark.parametrize(
    ("colour", "expected"),
    [((0, 0, 0), (0, 0, 0)), ((255, 255, 255), (255, 0, 0)), ((0, 0, 255), (76.2, -43.1, 127.5))],
)
def test_is_luma_and_chroma_of_the_chest(colour: tuple[int, int, int], expected: tuple[float, ...]):
    (found,) = colours(dressed(colour), FACE[None])
    assert found.dtype == np.float32
    assert found.tolist() == pytest.approx(expected, abs=0.1)


def test_the_face_is_no_part_of_it():
    image = dressed((30, 60, 90))
    without = colours(image, FACE[None])
    image[40:80, 100:140] = 255
    assert np.array_equal(colours(image, FACE[None]), without)


@pytest.mark.parametrize("shift", [(0, 90), (-125, 0), (125, 0), (0, 200), (-300, -300)])
def test_is_unknown_where_the_picture_shows_less_than_half_of_it(shift: tuple[int, int]):
    assert np.isnan(
        colours(dressed((30, 60, 90)), FACE[None] + np.tile(np.array(shift, np.float32), 2))
    ).all()


def test_of_nobody_there_is_none():
    assert colours(dressed((0, 0, 0)), np.zeros((0, 4), np.float32)).shape == (0, 3)


def test_is_unknown_where_a_nearer_person_may_hide_it():
    nearer = np.array([150, 45, 210, 105], np.float32)
    found = colours(dressed((0, 0, 255)), np.stack([FACE, nearer]))
    assert np.isnan(found[0]).all()
    assert not np.isnan(found[1]).any()


@pytest.mark.parametrize(("left", "seen"), [(170, True), (140, False)])
def test_a_part_is_known_beside_a_nearer_person(left: int, seen: bool):
    nearer, image = np.array([left, 45, left + 60, 105], np.float32), dressed((0, 0, 255))
    image[:, left - 30 :] = 0
    boxes = np.stack([FACE, nearer])
    whole = colours(image, boxes)
    found = with_parts(image, boxes, whole)
    assert np.isnan(whole[0]).all()
    assert not seen or found[0].tolist() == pytest.approx([76.2, -43.1, 127.5], abs=0.1)
    assert np.isnan(found[0]).any() != seen
    assert np.array_equal(found[1], whole[1])


def test_each_patch_of_the_chest_has_its_own_colour():
    image = dressed((0, 0, 0))
    image[104:, 120:] = 255  # to the right of the middle of the face, from the middle of the chest down
    (found,) = patches(image, FACE[None], colours(image, FACE[None]))
    assert (found.dtype, found.shape) == (np.float32, (PATCHES, 3))
    above, (left, middle, right) = found[:3, 0], found[3:, 0]
    assert above.tolist() == pytest.approx([0] * 3, abs=20)
    assert (left, middle, right) == pytest.approx((0, 128, 255), abs=20)


@pytest.mark.parametrize(
    ("shift", "known"),
    [
        ((0, 0), [1, 1, 1, 1, 1, 1]),
        ((0, 75), [1, 1, 1, 0, 0, 0]),  # the lower half is below the picture
        ((115, 0), [1, 1, 0, 1, 1, 0]),
        ((-112, 0), [0, 1, 1, 0, 1, 1]),
        ((-400, 0), [0, 0, 0, 0, 0, 0]),
    ],
)
def test_a_patch_is_unknown_where_the_picture_shows_less_than_half_of_it(
    shift: tuple[int, int], known: list[int]
):
    image = np.full((180, 240, 3), 90, np.uint8)
    boxes = FACE[None] + np.tile(np.array(shift, np.float32), 2)
    (found,) = patches(image, boxes, colours(image, boxes))
    assert (~np.isnan(found)).all(axis=1).tolist() == known
    assert found[np.array(known, bool), 0].tolist() == pytest.approx([90] * sum(known), abs=1)


def test_a_patch_is_unknown_where_a_nearer_person_may_hide_it():
    nearer = np.array([160, 45, 220, 105], np.float32)
    image, boxes = dressed((0, 0, 255)), np.stack([FACE, nearer])
    found, _ = patches(image, boxes, colours(image, boxes))
    assert np.isnan(found).any(axis=1).tolist() == [False, False, True, False, False, True]


def test_of_a_face_without_a_size_no_patch_is_known():
    image, boxes = dressed((0, 0, 0)), np.array([[100, 40, 100.4, 40.4], [100, 40, 100, 40]], np.float32)
    assert np.isnan(patches(image, boxes, colours(image, boxes))).all()


def test_of_nobody_there_are_no_patches():
    image, boxes = dressed((0, 0, 0)), np.zeros((0, 4), np.float32)
    assert patches(image, boxes, colours(image, boxes)).shape == (0, PATCHES, 3)


@pytest.mark.parametrize(("left", "hides"), [(150, True), (190, False)])
def test_a_face_is_half_hidden_beside_a_nearer_one_only(left: int, hides: bool):
    nearer = np.array([left, 45, left + 60, 105], np.float32)
    assert half_hidden(np.stack([FACE, nearer])).tolist() == [hides, False]


def worn(*seen: list[float]) -> Outfits:
    """What one visitor wears who was seen in these colours."""
    outfits = Outfits()
    outfits.start(np.array(seen[:1], np.float32))
    for colour in seen[1:]:
        outfits.add(np.array([0]), np.array([colour], np.float32))
    return outfits


@pytest.mark.parametrize(
    ("second", "mean"), [([60, 8, 0], [50, 6, 0]), ([np.nan, np.nan, np.nan], [40, 4, 0])]
)
def test_an_outfit_is_the_mean_of_its_first_sights(second: list[float], mean: list[float]):
    assert worn([40, 4, 0], second).unlike(np.array([mean], np.float32)).tolist() == [[0]]


@pytest.mark.parametrize(
    ("seen", "colour", "same"),
    [
        ([[80, 5, 5]] * 9, [98, 5, 5], True),  # in the shade
        ([[80, 5, 5]] * 9, [80, 5, -1], False),
        ([[80, 5, 5]], [80, 5, 0], True),  # seen once, it is less sure
        ([[80, 5, 5]] * 9, [80, 5, 0], False),
        ([[80, 0, 0], [80, 8, 8]] * 9, [80, 15, 4], True),  # a pattern
        ([[80, 60, 5]] * 9, [80, 54, 5], True),  # a strong colour in other light
    ],
)
def test_the_same_outfit_is_known_by_hue_rather_than_by_brightness(
    seen: list[list[float]], colour: list[float], same: bool
):
    ((apart,),) = worn(*seen).unlike(np.array([colour], np.float32))
    assert (apart < 1) == same


def test_what_was_not_seen_is_unlike_nothing():
    assert np.isnan(worn([np.nan] * 3).unlike(np.zeros((2, 3), np.float32))).all()


def of_patches(*colours: float) -> np.ndarray:
    """One visitor whose patches have so much luma, NaN where unknown."""
    seen = np.zeros((1, PATCHES, 3), np.float32)
    seen[0, :, 0] = colours
    seen[np.isnan(seen[..., 0])] = np.nan
    return seen


@pytest.mark.parametrize(
    ("first", "second", "known"),
    [
        ([80, 80, np.nan, np.nan, np.nan, np.nan], [80] * 6, True),
        ([80, np.nan, np.nan, np.nan, np.nan, np.nan], [80] * 6, False),
        ([80, 80, 80, np.nan, np.nan, np.nan], [np.nan, np.nan, 80, 80, 80, 80], False),
    ],
)
def test_patches_are_compared_where_both_show_a_third(first: list[float], second: list[float], known: bool):
    outfits = Outfits(PATCHES)
    outfits.start(of_patches(*first))
    assert outfits.unlike(of_patches(*second)).tolist() == (
        [[0.0]] if known else [[pytest.approx(np.nan, nan_ok=True)]]
    )


def test_one_patch_in_another_colour_is_no_other_person_and_half_of_them_are():
    outfits = Outfits(PATCHES)
    for _ in range(9):
        outfits.start(of_patches(*[80] * 6))
    (one,), (half,) = (
        outfits.unlike(of_patches(*seen))[0:1, 0] for seen in ([200] + [80] * 5, [200] * 3 + [80] * 3)
    )
    assert one == pytest.approx(3 / 6)
    assert half > 1


def test_patches_seen_one_after_the_other_are_all_known():
    outfits = Outfits(PATCHES)
    outfits.start(of_patches(80, 80, 80, *[np.nan] * 3))
    outfits.add(np.array([0]), of_patches(*[np.nan] * 3, 90, 90, 90))
    assert outfits.means[0, :, 0].tolist() == [80, 80, 80, 90, 90, 90]
    assert outfits.sights.tolist() == [2]


def test_outfits_of_many_are_those_of_each():
    seen = np.random.default_rng(1).normal(80, 10, (9, 4, 3)).astype(np.float32)
    seen[3, 2] = np.nan
    outfits = Outfits()
    outfits.start(seen[0, :1])
    outfits.start(seen[0, 1:])
    for frame in seen[1:]:
        outfits.add(np.arange(4), frame)
    outfits.keep(np.array([True, False, True, True]))
    each = [worn(*seen[:, one].tolist()).unlike(seen[-1])[0] for one in (0, 2, 3)]
    assert outfits.unlike(seen[-1]).tolist() == [one.tolist() for one in each]
