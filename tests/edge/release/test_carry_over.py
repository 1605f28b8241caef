"""Carry-over, rule by rule; `tests/privacy` attacks the whole of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge.brackets import DEFAULT_BRACKETS
from edge.release.carry_over import (
    UNCLASSIFIED,
    Released,
    Waiting,
    absorb,
    add,
    begin,
    joined_brackets,
    release,
    reshape,
    withheld,
)

START = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
TWO = ("0-24", "25+")
FOUR = ("0-17", "18-24", "25-34", "35+")


def at(periods: int) -> datetime:
    """The end of this many half hours."""
    return START + timedelta(minutes=30 * periods)


def cells(*counts: int, brackets: Sequence[str] = TWO) -> dict[str, int]:
    """These counts for the brackets in their order; one more is that of the unclassified."""
    return dict(zip((*brackets, UNCLASSIFIED), counts, strict=False))


def after(
    *windows: Mapping[str, int], brackets: Sequence[str] = TWO, minimum: int = 3
) -> tuple[Released, Waiting]:
    """One window a period, each with its release moment, the day's end at the last."""
    waiting = begin(brackets, START, minimum)
    released = withheld(brackets, minimum)
    for number, counts in enumerate(windows, start=1):
        released, waiting = release(add(waiting, counts), at(number), day_ends=number == len(windows))
    return released, waiting


def test_a_cell_is_released_once_and_whole() -> None:
    first, waiting = release(add(begin(TWO, START, 3), cells(2, 7)), at(1), day_ends=False)
    second, waiting = release(add(waiting, cells(1, 1)), at(2), day_ends=False)

    assert first.counts == {"0-24": None, "25+": 7}
    assert second.counts == {"0-24": 3, "25+": None}
    assert waiting.cells == {"0-24": 0, "25+": 1, UNCLASSIFIED: 0}
    assert (first.total, second.total, first.minimum) == (7, 3, 3)


def test_since_is_the_end_of_the_last_release_and_never_the_first_arrival() -> None:
    released, waiting = release(add(begin(TWO, START, 3), cells(0, 7)), at(1), day_ends=False)
    assert released.since == {"25+": START}

    _, waiting = release(waiting, at(2), day_ends=False)
    released, _ = release(add(waiting, cells(4, 4)), at(3), day_ends=False)
    assert released.since == {"0-24": START, "25+": at(1)}


def test_nothing_is_said_of_a_cell_that_waits_or_is_empty() -> None:
    one, _ = release(add(begin(TWO, START, 3), cells(2, 0)), at(1), day_ends=False)
    none, _ = release(begin(TWO, START, 3), at(1), day_ends=False)

    assert one == none == withheld(TWO, 3)
    assert one.total is None


def test_the_unclassified_are_a_cell() -> None:
    released, waiting = release(add(begin(TWO, START, 3), cells(1, 1, 5)), at(1), day_ends=False)

    assert (released.unclassified, released.total) == (5, 5)
    assert released.since == {UNCLASSIFIED: START}
    assert waiting.cells[UNCLASSIFIED] == 0


def test_windows_between_release_moments_wait_together() -> None:
    waiting = add(add(begin(TWO, START, 3), cells(2)), cells(2))

    assert release(waiting, at(1), day_ends=False)[0].counts == {"0-24": 4, "25+": None}


def test_what_waits_at_the_days_end_leaves_without_brackets() -> None:
    released, waiting = after(cells(2, 1), cells(0, 0, 1))

    assert (released.other, released.total) == (4, None)
    assert sum(waiting.cells.values()) == 0


def test_after_other_every_cell_counts_from_the_days_end() -> None:
    _, waiting = after(cells(2, 1, 1))

    released, _ = release(add(waiting, cells(3)), at(2), day_ends=False)
    assert released.since == {"0-24": at(1)}


@pytest.mark.parametrize(
    ("counts", "other"),
    [
        ((1, 1, 0), None),  # fewer than the minimum
        ((2, 1, 0), 3),
        ((2, 2, 0), 4),
        ((2, 2, 1), None),  # three cells of at most 2 with 5: each would be known to hold somebody
        ((2, 2, 2), None),  # with 6 each holds 2
    ],
)
def test_the_bounds_of_other(counts: Sequence[int], other: int | None) -> None:
    released, waiting = after(cells(*counts))

    assert released.other == other
    assert sum(waiting.cells.values()) == (sum(counts) if other is None else 0)


def test_a_cell_released_at_the_days_end_gives_other_no_room() -> None:
    """Two cells are left that hold 4 at most: `other` = 4 would say that each holds 2."""
    released, waiting = after(cells(2, 0, 2), cells(0, 5, 0))

    assert (released.counts["25+"], released.other) == (5, None)
    assert waiting.cells == {"0-24": 2, "25+": 0, UNCLASSIFIED: 2}


def test_a_cell_released_before_the_store_closed_gives_other_no_room() -> None:
    """Everybody knows that nobody came after it: the same corner, hours before the day's end."""
    waiting = begin(TWO, START, 3)
    _, waiting = release(add(waiting, cells(2, 5, 2)), at(1), day_ends=False)
    for night in (2, 3):
        waiting = add(waiting, {}, known_empty=True)
        released, waiting = release(waiting, at(night), day_ends=night == 3)

    assert released.other is None


def test_visits_in_a_window_that_should_hold_none_are_kept() -> None:
    waiting = add(begin(TWO, START, 3), cells(3), known_empty=True)

    assert release(waiting, at(1), day_ends=False)[0].counts["0-24"] == 3


def test_what_a_days_end_kept_back_is_not_released_at_the_next_where_nobody_came_between() -> None:
    """That a sum did not leave says where it lies; it must not leave afterwards beside other bounds."""
    _, waiting = after(cells(2, 2, 1))
    gone = begin(TWO, START, 3)
    gone = release(add(gone, cells(1)), at(1), day_ends=False)[1]

    released, _ = release(absorb(waiting, gone), at(2), day_ends=True)
    assert released.other is None


def test_neighbouring_brackets_leave_together_at_the_days_end() -> None:
    released, waiting = after(
        cells(4, 1, 0, 4, 1, 0, 0, 2, 3, brackets=DEFAULT_BRACKETS), brackets=DEFAULT_BRACKETS, minimum=5
    )

    assert released.groups == {"0-34": 9}
    assert (released.total, released.other) == (None, None)
    assert sum(waiting.cells.values()) == 6  # 3 of `35+` are too few, and two parts make no `other`


def test_groups_with_too_few_leave_as_other() -> None:
    released, _ = after(
        cells(1, 1, 0, 1, 1, 0, 0, 0, 3, brackets=DEFAULT_BRACKETS), brackets=DEFAULT_BRACKETS, minimum=5
    )

    assert (released.groups, released.other) == ({}, 7)


def test_a_released_bracket_gives_its_group_no_room() -> None:
    """Of `0-34` two cells of at most 2 are left."""
    released, waiting = after(cells(9, 9, 2, 2, brackets=FOUR), brackets=FOUR)

    assert released.counts == cells(9, 9, brackets=FOUR) | {"25-34": None, "35+": None}
    assert (released.groups, released.other) == ({}, None)
    assert sum(waiting.cells.values()) == 4


def test_a_group_that_stays_is_one_part_of_other() -> None:
    """Seven in four cells of at most 2 stay, for each would be known to hold somebody; so does the rest."""
    released, waiting = after(cells(2, 2, 2, 1, 2, brackets=FOUR), brackets=FOUR)

    assert (released.groups, released.other) == ({}, None)
    assert sum(waiting.cells.values()) == 9


@pytest.mark.parametrize(
    ("number", "labels"),
    [(2, []), (3, ["0-24"]), (5, ["0-44"]), (6, ["0-24", "25-54"]), (8, ["0-34", "35+"])],
)
def test_groups_are_of_three_brackets_or_more(number: int, labels: list[str]) -> None:
    groups = joined_brackets(DEFAULT_BRACKETS[:number])

    assert list(groups) == labels
    assert [cell for group in groups.values() for cell in group] == list(DEFAULT_BRACKETS[:number])[
        : number if labels else 0
    ]


def test_an_unchanged_shape_keeps_its_cells() -> None:
    waiting = add(begin(TWO, START, 3), cells(2, 1))

    assert reshape(waiting, TWO, 3, at(1)) is waiting


def test_four_that_waited_under_five_do_not_leave_under_three() -> None:
    waiting = reshape(add(begin(TWO, START, 5), cells(4)), TWO, 3, at(1))
    waiting = add(waiting, {})

    released, waiting = release(waiting, at(2), day_ends=True)
    assert (released.counts["0-24"], released.other) == (None, None)

    released, _ = release(add(waiting, cells(1)), at(3), day_ends=True)
    assert released.other == 5


def test_changed_brackets_lose_no_visit() -> None:
    waiting = reshape(add(begin(TWO, START, 3), cells(2, 9, 1)), FOUR, 3, at(1))

    assert (waiting.brackets, sum(waiting.cells.values()), waiting.leftover) == (FOUR, 0, 12)
    assert set(waiting.since.values()) == {at(1)}

    released, waiting = release(add(waiting, cells(1, brackets=FOUR)), at(2), day_ends=True)
    assert (released.other, waiting.leftover) == (13, 0)


def test_leftover_keeps_its_room_where_no_window_closed_since_the_release_moment() -> None:
    """All that it holds is known to be at most 2 in each of two cells: 4 would say that each held 2."""
    _, waiting = release(add(begin(TWO, START, 3), cells(2, 9, 2)), at(1), day_ends=False)
    waiting = reshape(waiting, ("0-34", "35+"), 3, at(1))

    released, _ = release(waiting, at(1), day_ends=True)
    assert released.other is None


def test_the_leftover_of_a_zone_that_is_gone_leaves_with_another() -> None:
    gone = add(begin(TWO, START, 3), cells(1, 1))
    waiting = absorb(add(begin(TWO, START, 3), cells(2)), gone)

    released, waiting = release(waiting, at(1), day_ends=True)
    assert (released.other, waiting.leftover) == (4, 0)


def test_the_leftovers_minimum_ends_with_it() -> None:
    waiting = reshape(add(begin(TWO, START, 5), cells(4, 1)), TWO, 3, at(1))
    released, waiting = release(waiting, at(1), day_ends=True)
    assert released.other == 5

    released, _ = release(add(waiting, cells(2, 1)), at(2), day_ends=True)
    assert released.other == 3


def test_minimum_one_withholds_nothing() -> None:
    released, waiting = release(add(begin(TWO, START, 1), cells(1, 0, 2)), at(1), day_ends=True)

    assert (released.counts, released.unclassified) == ({"0-24": 1, "25+": 0}, 2)
    assert (released.total, released.other, released.groups) == (3, None, {})
    assert set(released.since) == set(waiting.cells)


def test_minimum_two_is_a_minimum_of_its_own() -> None:
    released, _ = after(cells(2, 1, 0), minimum=2)

    assert released.counts == {"0-24": 2, "25+": None}


def test_what_waits_survives_a_restart_as_json() -> None:
    _, waiting = release(add(begin(TWO, START, 3), cells(2, 7)), at(1), day_ends=False)
    waiting = absorb(waiting, add(begin(TWO, START, 5), cells(4)))

    assert Waiting.model_validate_json(waiting.model_dump_json()) == waiting


@pytest.mark.parametrize("minimum", [0, -1])
def test_a_minimum_below_one_is_refused(minimum: int) -> None:
    with pytest.raises(ValueError, match=f"minimum = {minimum}: must be 1 or more"):
        begin(TWO, START, minimum)


@pytest.mark.parametrize("brackets", [("0+", "0+"), ("0+", UNCLASSIFIED)])
def test_a_label_that_occurs_twice_is_refused(brackets: Sequence[str]) -> None:
    with pytest.raises(ValueError, match="occurs twice"):
        begin(brackets, START, 3)


@pytest.mark.parametrize("counts", [{"25-34": 1}, {"0-24": -1}])
def test_counts_that_fit_no_cell_are_refused(counts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="counts"):
        add(begin(TWO, START, 3), counts)


def test_a_state_on_disk_that_holds_anything_else_is_refused() -> None:
    stored = begin(TWO, START, 3).model_dump_json()

    with pytest.raises(ValidationError):
        Waiting.model_validate_json(stored.replace('"0-24":0', '"0-24":-1', 1))
    with pytest.raises(ValidationError):
        Waiting.model_validate_json(stored[:-1] + ',"track":1}')


@given(
    windows=st.lists(st.lists(st.integers(0, 6), min_size=5, max_size=5), max_size=12),
    minimum=st.integers(1, 6),
    day=st.integers(1, 5),
)
def test_every_visit_is_released_once_or_waits(windows: list[list[int]], minimum: int, day: int) -> None:
    waiting, out = begin(FOUR, START, minimum), 0
    for number, counts in enumerate(windows, start=1):
        waiting = add(waiting, cells(*counts, brackets=FOUR))
        released, waiting = release(waiting, at(number), day_ends=number % day == 0)
        parts = [released.total or 0, *released.groups.values(), released.other or 0]
        assert minimum == 1 or all(n == 0 or n >= minimum for n in parts)
        out += sum(parts)

    assert out + sum(waiting.cells.values()) == sum(map(sum, windows))
