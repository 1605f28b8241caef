"""A track that goes on where another was lost is not missed again; anybody else is, however many come by."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations

import numpy as np
import pytest

from edge.quantities import MISSED, QUANTITIES
from edge.types import TrackMissed
from edge.vision.relations.fragments import Fragments
from edge.vision.relations.reentry import Sights
from tests.edge.vision.test_pipeline import ANN, HOPELESS, Stage, Where, standing
from tests.fakes import EPOCH, Person

LOST_AFTER = 3.0
OTHER = Person(tag=6, age=40, score=0.75, second=0.05)


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def box(x: float, size: float = 40) -> np.ndarray:
    return np.array([x, 50, x + size, 50 + size], np.float32)


def sights(
    begin: float, end: float, first: np.ndarray, last: np.ndarray | None = None, *, ended: bool = True
) -> Sights:
    return Sights(at(begin), first, first if last is None else last, at(end), ended=ended)


class TestContinues:
    def second(self, one: Sights, other: Sights) -> bool:
        fragments = Fragments(LOST_AFTER)
        assert not fragments.begin(one)
        return fragments.begin(other) is not None

    @pytest.mark.parametrize(("begin", "found"), [(2.0, False), (2.2, True), (5.0, True), (5.2, False)])
    def test_within_the_time_that_the_tracker_waits(self, begin: float, found: bool) -> None:
        """A track that is seen at the same moment is somebody beside the other."""
        assert self.second(sights(0, 2, box(0)), sights(begin, 9, box(0))) is found

    def test_as_long_as_somebody_hides_it(self) -> None:
        """The tracker waits for up to 8 s for it then."""
        held = sights(0, 2, box(0), ended=False)
        fragments = Fragments(LOST_AFTER)
        fragments.begin(held)
        fragments.pass_time(at(9))
        assert fragments.begin(sights(9, 12, box(0))) is held

    def test_of_the_visitor_whose_piece_the_track_before_was(self) -> None:
        fragments, visitor, piece = Fragments(LOST_AFTER), sights(0, 2, box(0)), sights(3, 5, box(0))
        fragments.begin(visitor)
        fragments.begin(piece)
        fragments.replace(piece, visitor)
        visitor.end = at(9)
        assert fragments.begin(sights(10, 12, box(0))) is visitor

    @pytest.mark.parametrize(("x", "found"), [(120, True), (-120, True), (130, False)])
    def test_within_three_faces_of_where_it_was_lost(self, x: float, found: bool) -> None:
        assert self.second(sights(0, 2, box(500), box(0)), sights(3, 9, box(x))) is found

    @pytest.mark.parametrize(("size", "found"), [(40, True), (60, True), (80, False)])
    def test_as_near_to_the_camera(self, size: float, found: bool) -> None:
        assert self.second(sights(0, 2, box(0)), sights(3, 9, box(0, size))) is found

    def test_each_is_continued_once(self) -> None:
        """Who stands there hides one of those who pass, and not all."""
        fragments = Fragments(LOST_AFTER)
        fragments.begin(sights(0, 2, box(0)))
        both = [fragments.begin(sights(3, 9, box(x))) is not None for x in (40, 0)]
        assert both == [True, False]

    def test_a_person_of_many_tracks_is_missed_once(self) -> None:
        fragments = Fragments(LOST_AFTER)
        one_after_the_other = [sights(2 * n, 2 * n + 1, box(20 * n)) for n in range(9)]
        assert [fragments.begin(one) for one in one_after_the_other] == [None, *one_after_the_other[:-1]]

    @pytest.mark.parametrize("now", [5.2, 1.8])
    def test_those_of_long_ago_and_of_before_the_clock_was_set_are_forgotten(self, now: float) -> None:
        fragments = Fragments(LOST_AFTER)
        fragments.begin(sights(0, 2, box(0)))
        fragments.pass_time(at(now))
        assert not fragments.begin(sights(3, 9, box(0)))

    def test_another_place_begins_with_nobody(self) -> None:
        fragments = Fragments(LOST_AFTER)
        fragments.begin(sights(0, 2, box(0)))
        fragments.forget()
        assert not fragments.begin(sights(3, 9, box(0)))


@dataclass(frozen=True, eq=False)
class Life:
    """A track. missed: whether it is no visit."""

    sights: Sights
    missed: bool


def _random_lives(rng: random.Random) -> list[Life]:
    begins = sorted(rng.sample(range(40), 10))
    return [
        Life(
            sights(
                begin,
                begin + rng.choice([0.5, 1.5, 6.5]),
                box(rng.choice([0, 90, 180])),
                ended=rng.random() < 0.7,
            ),
            rng.random() < 0.7,
        )
        for begin in begins
    ]


def _play(lives: Sequence[Life]) -> tuple[set[Life], list[list[Life]]]:
    """Which of these are missed, and which go on from each other."""
    fragments, missed = Fragments(LOST_AFTER), set[Life]()
    chains: dict[int, list[Life]] = {}
    for life in lives:
        continued = fragments.begin(life.sights)
        chains[id(life.sights)] = chain = chains[id(continued)] if continued else []
        chain.append(life)
        if life.missed and not continued:
            missed.add(life)
    return missed, list({id(chain): chain for chain in chains.values()}.values())


def test_a_track_or_several_that_go_on_from_each_other_change_two_for_which_the_noise_is_drawn() -> None:
    """Somebody is a track, or a part of a chain of them; those before and after may be others."""
    changes: dict[int, int] = {}
    for seed in range(100):
        lives = _random_lives(random.Random(seed))
        whole, chains = _play(lives)
        parts = [chain[i:j] for chain in chains for i, j in combinations(range(len(chain) + 1), 2)]
        for gone in parts:
            changed = len(whole ^ _play([one for one in lives if one not in gone])[0])
            changes[len(gone)] = max(changed, changes.get(len(gone), 0))
    assert max(changes) > 3
    assert changes[1] == changes[2] == max(changes.values()) == QUANTITIES[MISSED].most == 2


class TestVision:
    def reasons(self, places: dict[Person, Where], *overrides: str) -> list[str]:
        stage = Stage(places, "missed.enabled=true", *overrides).play(0, 12).finish()
        return [message.reason for message in stage.messages if isinstance(message, TrackMissed)]

    def jumps(self, seconds: float = 0.2) -> dict[Person, Where]:
        """Somebody from behind, whom the tracker loses where they turn up two and a half faces aside."""
        return {HOPELESS: standing(60, until=3), OTHER: standing(160, since=3 + seconds, until=6)}

    def test_who_is_lost_and_found_again_beside_it_is_missed_once(self) -> None:
        assert self.reasons(self.jumps()) == ["turned"]

    def test_who_comes_later_is_missed_as_well(self) -> None:
        assert self.reasons(self.jumps(1.8)) == ["turned", "turned"]

    def test_who_stands_beside_is_missed_as_well(self) -> None:
        assert self.reasons({HOPELESS: standing(60, until=6), OTHER: standing(160, since=3, until=6)}) == [
            "turned",
            "turned",
        ]

    def test_a_visitor_who_is_lost_is_not_missed_besides(self) -> None:
        assert self.reasons({ANN: standing(60, until=3), OTHER: standing(160, since=3.2, until=6)}) == []

    def test_none_is_counted_unless_it_is_enabled(self) -> None:
        assert self.reasons(self.jumps(), "missed.enabled=false") == []

    @pytest.mark.parametrize(
        ("min_face", "size", "reason"),
        [
            (16, 23, "small"),
            (16, 25, "turned"),
            (8, 23, "small"),
            (24, 35, "small"),
            (24, 37, "turned"),
            (40, 59, "small"),
            (40, 61, "turned"),
        ],
    )
    def test_small_is_near_the_smallest_face_that_is_looked_for(
        self, min_face: int, size: int, reason: str
    ) -> None:
        places = {HOPELESS: lambda t: (160.0, 90.0, float(size)) if t < 3 else None}
        assert self.reasons(places, f"detection.min_face={min_face}") == [reason]
