"""Persons of recordings who leave through a door and are back, or whom others follow (`bench.reentry`)."""

from __future__ import annotations

import pytest

from bench.reentry import Door, Person, persons
from tests.integration.test_counts import CLIPS, needs_recordings

pytestmark = [needs_recordings, pytest.mark.data]

PAUSE = 3.0


@pytest.fixture(scope="module")
def corridor() -> list[Person]:
    """Three who walk up: a woman in black, a man in a light blue shirt, a woman in a dark blue dress."""
    return persons(CLIPS, "corridor-three.gif")


@pytest.fixture(scope="module")
def door() -> Door:
    return Door.of(CLIPS)


@pytest.mark.parametrize("light", [1.0, 0.9])
def test_who_is_back_soon_is_counted_once(corridor: list[Person], door: Door, light: float) -> None:
    shirt = corridor[1]
    assert door.visits(door.visit(shirt), door.visit(shirt, light), pause=PAUSE) == 1


def test_another_person_at_the_same_door_is_counted(corridor: list[Person], door: Door) -> None:
    black, shirt, _ = corridor
    assert door.visits(door.visit(black), door.visit(shirt), pause=PAUSE) == 2
