"""Lines and zones on recordings, beside what a person sees there (`bench/recordings.py`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.recordings import PLACES, Place
from edge.bundle import Bundle
from edge.clock import SystemClock
from edge.commands.replay_driver import age_model, replay
from edge.config import Settings, load_settings
from edge.inference.backend import AgeBackend
from edge.release.messages import FLOW
from tests.integration.test_counts import CLIPS, needs_recordings

pytestmark = [needs_recordings, pytest.mark.data]


@dataclass(frozen=True)
class Found:
    """Where the measure is off: what it gives instead of the truth, and why."""

    entries: int
    seconds: int
    why: str


OFF = {
    "field/supermarket.mp4": Found(1, 3, "the cashier shows her face to the camera for three seconds only"),
}
"""The clips of which it is; passages are right on all."""


def _settings(place: Place) -> Settings:
    camera = {"name": Path(place.clip).stem, "source": str(CLIPS / place.clip), **place.settings}
    return load_settings(None, ("privacy.minimum=1",), {"cameras": [camera]})


@pytest.fixture(scope="module")
def model() -> Iterator[tuple[Bundle, AgeBackend]]:
    with age_model(_settings(PLACES[0]), Path()) as opened:
        yield opened


def _day(place: Place, model: tuple[Bundle, AgeBackend]) -> dict[str, Any]:
    """The flow of the clip's day."""
    released = replay(_settings(place), *model, beside=Path(), clock=SystemClock())
    messages = [json.loads(payload) for payload in released]
    (day,) = (one for one in messages if one["schema"] == FLOW and one["period"] == "day")
    return dict(day)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: Path(place.clip).stem)
def test_passages_and_stays_are_those_that_a_person_sees(
    place: Place, model: tuple[Bundle, AgeBackend]
) -> None:
    day = _day(place, model)
    line, zone = day["lines"]["line"], day["zones"]["zone"]
    assert (line["in"], line["out"]) == (place.passed.inward, place.passed.outward), place.seen
    off = OFF.get(place.clip)
    entries, seconds = (off.entries, off.seconds) if off else (place.entries, place.seconds)
    assert zone["entries"] == entries, off.why if off else place.seen
    assert zone["queue"]["person_seconds"] == pytest.approx(seconds, abs=max(1.0, 0.1 * seconds))
