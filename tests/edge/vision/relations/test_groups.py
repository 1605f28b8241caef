"""Who came together is a group; a visit more or less changes few of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest

from edge.quantities import GROUPS, QUANTITIES
from edge.types import GroupEnded
from edge.vision.relations.groups import Groups
from tests.fakes import EPOCH

STEP = 0.5
MAX_AGE = 15


@dataclass(frozen=True)
class Stay:
    """A face in view from `since` to before `until` seconds, at x, in pixels. counted: it is a visit."""

    since: float
    until: float
    x: float = 0.0
    size: float = 40.0
    counted: bool = True


def groups(*stays: Stay) -> list[tuple[int, float]]:
    """The size of each group, and when the last of it was seen last."""
    return [(one.size, (one.at - EPOCH).total_seconds()) for one, _ in _play(stays)]


def _play(stays: Iterable[Stay], *, forgets: bool = True) -> list[tuple[GroupEnded, float]]:
    """The groups, and when each was known."""
    ordered = sorted(stays, key=lambda stay: stay.since)
    found, known = list[tuple[GroupEnded, float]](), Groups("door", enabled=True)
    for number in range(round((max((s.until for s in ordered), default=0) + 4) / STEP)):
        seconds = number * STEP
        now = EPOCH + timedelta(seconds=seconds)
        known.see([(n, _box(s)) for n, s in enumerate(ordered) if s.since <= seconds < s.until], now)
        for n, stay in enumerate(ordered):
            if seconds - stay.since >= MAX_AGE and seconds < stay.until:
                known.settle(n, now, counted=stay.counted)
            if stay.until == seconds:
                known.end(n, now - timedelta(seconds=STEP), counted=stay.counted)
        found += [(one, seconds) for one in known.complete(now)]
    assert list(known.complete(None)) == []  # all were known by then
    assert not forgets or known._came == {}
    assert not known._overdue
    return found


def _box(stay: Stay) -> np.ndarray:
    half = stay.size / 2
    return np.array([stay.x - half, 100 - half, stay.x + half, 100 + half], np.float32)


class TestTogether:
    def test_two_side_by_side_are_a_group(self) -> None:
        assert groups(Stay(1, 6), Stay(2, 8, x=100)) == [(2, 7.5)]

    def test_a_run_of_four(self) -> None:
        family = [Stay(1 + n, 10, x=80 * n) for n in range(4)]
        assert groups(*family) == [(4, 9.5)]

    @pytest.mark.parametrize(
        "other",
        [
            Stay(3.5, 8, x=100),  # later
            Stay(1, 8, x=300),  # elsewhere
            Stay(1, 8, x=100, size=80),  # nearer to the camera
        ],
    )
    def test_others_come_alone(self, other: Stay) -> None:
        assert sorted(groups(Stay(1, 6), other)) == [(1, 5.5), (1, 7.5)]

    def test_who_is_no_visit_is_in_no_group(self) -> None:
        assert groups(Stay(1, 6), Stay(1.5, 7, x=50, counted=False), Stay(2, 8, x=100)) == [(2, 7.5)]

    def test_who_was_never_seen_beside_the_other_is_in_no_group(self) -> None:
        assert groups(Stay(1, 2), Stay(2.5, 5)) == [(1, 1.5), (1, 4.5)]


class TestKnown:
    def test_a_group_waits_for_its_last(self) -> None:
        assert groups(Stay(1, 14), Stay(1, 5, x=100)) == [(2, 13.5)]

    def test_a_long_stay_holds_up_only_who_came_with_it(self) -> None:
        found = groups(Stay(0, 14), Stay(5, 8), Stay(10, 12))
        assert found == [(1, 7.5), (1, 11.5), (1, 13.5)]

    @pytest.mark.parametrize("counted", [True, False])
    def test_a_face_that_stays_holds_up_nobody_for_longer_than_the_maximum_age(self, counted: bool) -> None:
        found = _play([Stay(1, 90, counted=counted), Stay(1, 5, x=100), Stay(60, 62, x=100)])
        assert [(one.size, at) for one, at in found] == [(1 + counted, 1 + MAX_AGE), (1, 62.5)]

    @pytest.mark.parametrize("settled", [True, False])
    def test_beside_a_face_that_stays_those_who_left_are_forgotten(self, settled: bool) -> None:
        known, poster = Groups("door", enabled=True), (0, _box(Stay(0, 1)))
        for n in range(1, 20):
            now = EPOCH + timedelta(seconds=5 * n)
            known.see([poster, (n, _box(Stay(0, 1, x=300)))], now)
            if settled:
                known.settle(0, now, counted=False)
            known.end(n, now, counted=True)
            list(known.complete(now + timedelta(seconds=3)))
            assert len(known._came) == (0 if settled else 2)  # it, and who came with it

    def test_at_the_end_of_the_stream_all_are_known(self) -> None:
        known = Groups("door", enabled=True)
        known.see([(1, _box(Stay(0, 1)))], EPOCH)
        known.end(1, EPOCH, counted=True)
        assert list(known.complete(EPOCH)) == []  # somebody may come with them
        assert [one.size for one in known.complete(None)] == [1]

    def test_without_it_nothing_is_kept(self) -> None:
        known = Groups("door", enabled=False)
        known.see([(1, _box(Stay(0, 1)))], EPOCH)
        assert known._came == {}


def _random_stays(rng: random.Random) -> list[Stay]:
    stays = []
    since = 0.0
    for _ in range(rng.randint(2, 7)):
        since += rng.choice([0.5, 1.0, 1.5, 2.5])
        counted, until = rng.random() < 0.9, since + rng.choice([2, 4, 20])
        stays.append(Stay(since, until, x=rng.choice([0, 120, 240, 600]), counted=counted))
    return stays


def test_what_is_forgotten_would_change_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds = [_random_stays(random.Random(seed)) for seed in range(100)]
    found = [_play(stays) for stays in worlds]
    monkeypatch.setattr(Groups, "_forget", lambda _: None)
    assert [_play(stays, forgets=False) for stays in worlds] == found


def test_a_visit_more_or_less_changes_no_more_groups_than_the_noise_is_drawn_for() -> None:
    """Random worlds, each visit left out: sizes, ends, and the moments at which groups are known."""
    worst = 0
    for seed in range(150):
        stays = _random_stays(random.Random(seed))
        whole = Counter(_play(stays))
        for left_out in range(len(stays)):
            rest = Counter(_play(s for n, s in enumerate(stays) if n != left_out))
            worst = max(worst, ((whole - rest) + (rest - whole)).total())
    assert 2 < worst <= QUANTITIES[GROUPS].most
