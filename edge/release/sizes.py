"""How large the messages become, for the command that checks the broker: built as full as they can get."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from edge.config import DAY, Settings
from edge.release.messages import Figures, Model, Periods, Today, encode, window_id
from edge.release.rule import Rule

_MOST_HOURS = 25
"""Of a store's day, where the clock is set back."""

_MANY = 99_999
"""Visits of a cell."""

_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_MODEL = Model(name="m" * 32, version="v" * 8)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of the largest payloads. row: of messages that wait for the broker. today: of the box's day."""

    row: int
    today: int


def largest(settings: Settings) -> Sizes:
    """The largest payloads under these settings, with many visits in every bracket."""
    rule, figures = Rule.of(settings, _MODEL), _full(settings)
    rows = [
        len(encode(_periods(rule, camera.name, zone, figures)))
        for camera in settings.cameras
        for zone in camera.counted_zones
    ]
    return Sizes(max(rows), len(encode(_today(rule, figures))))


def _full(settings: Settings) -> Figures:
    brackets = settings.windows.brackets
    return Figures(
        start=_MOMENT,
        end=_MOMENT,
        counts=dict.fromkeys(brackets, _MANY),
        unclassified=_MANY,
        groups={f"{older}-{younger}": _MANY for older, younger in pairwise(brackets)},
        other=_MANY,
        released=_MANY,
        covered_seconds=DAY * len(settings.cameras) - 0.001,
        open_seconds=DAY,
    )


def _periods(rule: Rule, camera: str, zone: str, figures: Figures) -> Periods:
    return Periods(
        site=rule.site,
        camera=camera,
        zone=zone,
        window_id=window_id(rule.site),
        sequence=_MANY,
        period="hour",
        day=_MOMENT.date(),
        timezone=rule.time.timezone.key,
        figures=figures,
        model=_MODEL,
        privacy=rule.privacy(),
    )


def _today(rule: Rule, figures: Figures) -> Today:
    return Today(
        site=rule.site,
        box=rule.box,
        day=_MOMENT.date(),
        timezone=rule.time.timezone.key,
        until=_MOMENT,
        total=figures,
        hours=[figures] * _MOST_HOURS,
        basis="released",
        model=_MODEL,
        privacy=rule.privacy(),
    )
