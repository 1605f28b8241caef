"""Who is back soon, at the same place and in the same clothes, is one visitor; anybody else is another."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest

from edge.ops.metrics import Metrics
from edge.ops.reasons import TrackEnd
from edge.types import Frame, TrackEnded
from edge.vision.relations.reentry import SETTLED, Departed, Sights
from tests.edge.vision.test_pipeline import BACK
from tests.fakes import EPOCH, ManualClock, Person, bundle, paint, painted_vision, settings
from tests.gates import rule
from tests.samples import sample

FPS = 5
GREY, RED = (90, 90, 90), (30, 30, 200)
ANN, BEA = Person(tag=1, age=20), Person(tag=2, age=50)
SOON = "tracking.reentry=30"


@dataclass(frozen=True)
class Stay:
    """A person in view from `since` to `until` seconds, at x, y, in clothes of a BGR colour."""

    person: Person
    since: float
    until: float
    x: float = 160
    y: float = 60
    size: float = 40
    clothes: tuple[int, int, int] = GREY
    segment: int = 0


def frame(stays: Sequence[Stay], seconds: float, segment: int) -> Frame:
    image = np.zeros((180, 320, 3), np.uint8)
    for stay in stays:
        if stay.since <= seconds < stay.until:
            below, half = round(stay.y + stay.size / 2), round(stay.size)
            image[below:, max(round(stay.x) - half, 0) : round(stay.x) + half] = stay.clothes
            paint(image, stay.person, stay.x, stay.y, stay.size)
    return Frame("door", EPOCH + timedelta(seconds=seconds), image, segment=segment)


def fates(stays: Sequence[Stay], *overrides: str) -> dict[str, float]:
    """What became of the tracks of these stays, and how many ends were sent on."""
    configured = settings("tracking.lost_after=1.5", *overrides)
    metrics = Metrics(ManualClock(), ["door"])
    people = {stay.person for stay in stays}
    vision = painted_vision(configured.cameras[0], configured, bundle(), metrics, people=people)
    messages = []
    for number in range(round((max(stay.until for stay in stays) + 3) * FPS)):
        seconds = number / FPS
        segment = max((stay.segment for stay in stays if stay.since <= seconds), default=0)
        messages += vision.process(frame(stays, seconds, segment)).messages
    messages += vision.finish()
    counts = {
        str(end): sample(metrics, "instore_tracks_ended_total", {"camera": "door", "reason": end})
        for end in TrackEnd
    }
    sent = sum(isinstance(message, TrackEnded) for message in messages)
    assert sent == counts[TrackEnd.VISITOR]
    return {end: count for end, count in counts.items() if count}


FIRST = Stay(ANN, 1, 4)


class TestBack:
    def test_is_the_same_visitor(self) -> None:
        assert fates([FIRST, Stay(ANN, 10, 13)], SOON) == {"visitor": 1, "recounted": 1}

    def test_also_a_third_time(self) -> None:
        stays = [FIRST, Stay(ANN, 10, 13), Stay(ANN, 30, 33)]
        assert fates(stays, SOON) == {"visitor": 1, "recounted": 2}

    def test_a_step_further_on(self) -> None:
        assert fates([FIRST, Stay(ANN, 10, 13, x=220, size=46)], SOON) == {"visitor": 1, "recounted": 1}

    @pytest.mark.parametrize("until", [8.0, 5.2])
    def test_while_the_tracker_still_waits_for_who_left(self, until: float) -> None:
        """Also where they go again at once."""
        found = fates([FIRST, Stay(ANN, 4.2, until, x=275)], SOON)
        assert found == {"visitor": 1, "recounted": 1}


class TestOther:
    @pytest.mark.parametrize(
        "again",
        [
            Stay(BEA, 10, 13, clothes=RED),  # another person in other clothes
            Stay(ANN, 10, 13, x=35, size=30),  # elsewhere
            Stay(ANN, 10, 13, y=50, size=80),  # nearer
            Stay(ANN, 40, 43),  # too late
            Stay(ANN, 10, 13, segment=1),  # another picture
        ],
    )
    def test_is_another_visitor(self, again: Stay) -> None:
        assert fates([FIRST, again], SOON) == {"visitor": 2}

    def test_it_is_off_by_default(self) -> None:
        assert fates([FIRST, Stay(ANN, 10, 13)]) == {"visitor": 2}

    def test_one_who_left_is_one_of_two_who_come(self) -> None:
        stays = [FIRST, Stay(ANN, 10, 13, x=130), Stay(BEA, 10, 13, x=230)]
        assert fates(stays, SOON) == {"visitor": 2, "recounted": 1}

    def test_somebody_who_stayed_in_view_did_not_come_back(self) -> None:
        assert fates([Stay(BEA, 1, 14, x=220), FIRST], SOON) == {"visitor": 2}

    def test_a_back_of_a_head_does_not_take_the_place(self) -> None:
        stays = [FIRST, Stay(BACK, 8, 11), Stay(ANN, 15, 18)]
        assert fates(stays, SOON) == {"visitor": 1, "recounted": 1, "not_a_face": 1}


BOX = np.array([100, 100, 140, 140], np.float32)


def sights(begin: float, end: float, worn: tuple[float, float, float] = (90, 0, 0), x: float = 0) -> Sights:
    one = Sights.at(BOX + np.array([x, 0, x, 0], np.float32), EPOCH + timedelta(seconds=begin))
    one.see(one.first, np.array(worn, np.float32), EPOCH + timedelta(seconds=end))
    return one


class TestClothes:
    def test_of_another_hue_are_of_another_visitor(self) -> None:
        departed = Departed(30)
        departed.add(sights(0, 10))
        assert not departed.take_back(sights(15, 20, worn=(90, 12, 0)))
        assert departed.take_back(sights(15, 20, worn=(95, 1, 0)))

    def test_are_compared_once_with_those_of_each_who_left(self) -> None:
        departed, other = Departed(30), sights(15, 15, worn=(90, 12, 0))
        departed.add(sights(0, 10))
        assert not departed.take_back(other)
        other.worn = sights(15, 15).worn
        assert not departed.take_back(other)
        departed.add(sights(0, 10))
        assert departed.take_back(other)

    def test_that_a_hand_hides_at_the_last_sight_are_the_same(self) -> None:
        departed, before = Departed(30), Sights.at(BOX, EPOCH)
        for second in range(10):
            luma = 90 if second < 9 else 130
            before.see(BOX, np.array([luma, 0, 0], np.float32), EPOCH + timedelta(seconds=second))
        departed.add(before)
        assert departed.take_back(sights(15, 20))


class TestMemory:
    def test_what_is_known_of_who_left_is_forgotten(self) -> None:
        departed = Departed(30)
        departed.add(sights(0, 10))
        departed.pass_time(EPOCH + timedelta(seconds=40) + SETTLED)
        assert len(departed._left) == 1
        departed.pass_time(EPOCH + timedelta(seconds=41) + SETTLED)
        assert departed._left == []

    def test_also_when_the_clock_was_set_back(self) -> None:
        departed = Departed(30)
        departed.add(sights(0, 100))
        departed.pass_time(EPOCH + timedelta(seconds=50))
        assert departed._left == []

    def test_nothing_is_kept_where_it_is_off_or_clothes_are_unknown(self) -> None:
        for departed, one in ((Departed(0), sights(0, 10)), (Departed(30), sights(0, 10, (np.nan,) * 3))):
            departed.add(one)
            assert departed._left == []

    def test_of_several_the_last_is_taken_back(self) -> None:
        departed, first, last = Departed(60), sights(0, 10), sights(5, 20)
        departed.add(last)
        departed.add(first)
        assert departed.take_back(sights(25, 30))
        assert [one for _, one in departed._left] == [first]


def _random_visits(rng: random.Random) -> list[Sights]:
    begins = sorted(rng.sample(range(120), 8))
    return [
        sights(begin + n / 10, begin + rng.choice([2.0, 9.0]) + n / 10, x=rng.choice([0, 90, 180]))
        for n, begin in enumerate(begins)
    ]


def _counted(visits: Sequence[Sights]) -> set[int]:
    """Which of these visits are counted, by identity: each is judged from a second after it began until its
    track ends, as each of a visitor who is hidden does up to 8 s after its last sight.
    """
    departed, counted = Departed(30), {id(one) for one in visits}
    for one in visits:
        one.compared = 0
    moments = []
    for one in visits:
        held = 8 if one.first[0] == 190 else 1
        steps = range(1, round((one.end - one.begin).total_seconds()) + held)
        moments += [(one.begin + timedelta(seconds=n), False, one) for n in steps]
        moments.append((one.end + timedelta(seconds=held), True, one))
    for at, leaves, one in sorted(moments, key=lambda moment: moment[:2]):
        departed.pass_time(at)
        if id(one) in counted and departed.take_back(one):
            counted.remove(id(one))
        if leaves:
            departed.add(one)
    return counted


def test_a_visit_more_or_less_changes_two_at_most_for_which_the_noise_is_drawn() -> None:
    worst = 0
    for seed in range(150):
        visits = _random_visits(random.Random(seed))
        whole = _counted(visits)
        changes = (len(whole ^ _counted([one for one in visits if one is not gone])) for gone in visits)
        worst = max(worst, *changes)
    assert worst == rule(SOON).reach == 2
