"""What will the settings publish, and by which clock?"""

from __future__ import annotations

from collections.abc import Mapping

from edge.clock import Clock
from edge.commands.check.verdict import Warn
from edge.config import CameraSettings, Settings
from edge.config.views import shared_host_warning, shared_hosts
from edge.quantities import (
    AGES,
    AGES_BY_ATTENTION,
    AGES_BY_DWELL,
    ATTENTION,
    DWELL,
    GROUPS,
    IN,
    MISSED,
    OUT,
    QUANTITIES,
    QUEUE,
    VISITS,
    WAITING,
    ZONES,
)
from edge.release.forecast import Forecast, Gauge, Traffic, forecast
from edge.release.messages import Model
from edge.release.noise.ledger import Level, Shares
from edge.release.noise.sampler import mean_error
from edge.release.rule import Rule
from edge.store_time import OpeningHours

BUSY, QUIET = 60, 20
"""Visits an hour of the stores that are simulated: all cameras with ages together."""

LATE_MINUTES = 60.0
"""Where half of the visits are released later than this, the hours of a day are guesses."""

_ASSUMED_HOURS = 12.0
"""A day's open hours where none are configured."""

_NAMES = {
    ZONES: "each zone's entries",
    DWELL: "each step of dwell",
    QUEUE: "each queue's person-seconds",
    WAITING: "each step of waiting",
    ATTENTION: "each step of attention",
    GROUPS: "each size of groups",
    MISSED: "each reason of missed",
}
_ANY_MODEL = Model(name="any", version="any")
"""The rule is the same for every model; messages alone name it."""


def check_privacy(settings: Settings) -> str:
    """Raises `Warn` where the gate is off."""
    if settings.privacy.is_off:
        raise Warn(
            "privacy.minimum = 1: true counts leave the box, also of single visitors; "
            "set 2 or more, 5 is the default, where real visitors are counted"
        )
    rule = Rule.of(settings, _ANY_MODEL)
    return "; ".join(
        [
            _noisy_ages(rule.ages) if rule.ages else _ages(settings),
            f"visits without ages carry noise, mean error {_errors(rule.flow_shares(), VISITS)}",
            *_beside(settings, rule),
            f"epsilon of a visit: {float(rule.visit_epsilon):g}",
        ]
    )


def check_site(settings: Settings, clock: Clock) -> str:
    """The store's time zone, and when its day starts."""
    site = settings.site
    starts = f"{site.time.next_day_start(clock.now()):%Y-%m-%dT%H:%M:%SZ}"
    hours = "opening hours configured" if site.opening_hours else "no opening hours, so always open"
    return (
        f"{site.name}: the store's day starts at {site.day_starts} {site.timezone}, next at {starts}; {hours}"
    )


def check_views(settings: Settings) -> str:
    """Raises `Warn` where cameras on one host are in no common group."""
    if shared := shared_hosts(settings):
        raise Warn("; ".join(shared_host_warning(host, cameras) for host, cameras in shared.items()))
    number = len(settings.cameras)
    return "one camera" if number == 1 else f"{number} cameras, no two of them on one host without a group"


def _ages(settings: Settings) -> str:
    """The simulated store, at two rates."""
    hours = _hours(settings.site.opening) if settings.site.opening_hours else _ASSUMED_HOURS
    cameras = sum(camera.ages for camera in settings.cameras)
    zones = sum(len(camera.counted_zones) for camera in settings.cameras if camera.ages)
    gauge = Gauge(
        settings.windows.parsed_brackets,
        settings.privacy.minimum,
        settings.privacy.release_every,
        settings.windows.length,
    )
    busy, quiet = (forecast(gauge, Traffic(rate / zones, hours)) for rate in (BUSY, QUIET))
    over = f" over {cameras} cameras" if cameras > 1 else ""
    if zones > cameras:
        over = f" evenly over {zones} zones"
    return (
        f"simulated, {hours:g} hours a day: at {BUSY} visits an hour{over} {_summary(busy)}; "
        f"at {QUIET} an hour {_summary(quiet)}"
    )


def _summary(found: Forecast) -> str:
    if not found.with_bracket:
        return "none leave with their bracket: use fewer brackets, or lower privacy.minimum"
    share, median = f"{100 * found.with_bracket:.0f} %", f"{found.median_minutes:.0f} minutes"
    advice = " (read ages by day, not by hour)" if found.median_minutes > LATE_MINUTES else ""
    return f"{share} leave with their bracket, half of them within {median}{advice}"


def _noisy_ages(ages: Shares) -> str:
    crossed = [name for name in (AGES_BY_DWELL, AGES_BY_ATTENTION) if (Level.DAY, name) in ages]
    found = [f"each bracket carries noise, mean error {_errors(ages, AGES)}"]
    return "; ".join([*found, *(f"each step of {name} {_errors(ages, name)}" for name in crossed)])


def _beside(settings: Settings, rule: Rule) -> list[str]:
    """What lines, zones, attention and groups cost: the visits get less of the budget."""
    cells = {camera.name: settings.cells_of(camera) for camera in settings.cameras}
    return [
        _errors_of(camera, cells[camera.name], rule)
        for camera in settings.cameras
        if camera.lines or cells[camera.name]
    ]


def _errors_of(camera: CameraSettings, cells: Mapping[str, tuple[str, ...]], rule: Rule) -> str:
    shares = rule.flow_shares([*cells, *((IN, OUT) if camera.lines else ())])
    found = {"visits": _errors(shares, VISITS)}
    if camera.lines:
        found["each line's in and out"] = _errors(shares, IN, len(camera.lines))
    for quantity, name in _NAMES.items():
        if quantity in cells:
            parts = QUANTITIES[quantity].parts_of_visit(cells[quantity])
            found[name] = _errors(shares, quantity, parts)
    return f"{camera.name}: " + "; ".join(f"{name} {errors}" for name, errors in found.items())


def _errors(shares: Shares, quantity: str, cells: int = 1) -> str:
    """By level, in visits or the quantity's own unit. cells: how many share the epsilon."""
    unit = cells * QUANTITIES[quantity].most
    levels = [level for level in Level if (level, quantity) in shares]
    return ", ".join(f"{mean_error(shares[level, quantity] / unit):.1f} by {level}" for level in levels)


def _hours(opening: OpeningHours) -> float:
    """The mean open hours of the days on which the store opens; half an hour where it never does."""
    open_minutes = [sum(end - start for start, end in day) for day in opening.week if day]
    return round(sum(open_minutes) / len(open_minutes) / 60, 1) if open_minutes else 0.5
