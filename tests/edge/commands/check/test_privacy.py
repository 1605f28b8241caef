"""What `check` says of what will leave, of the store's clock and of cameras on one host."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from edge.commands.check import privacy
from edge.commands.check.privacy import check_privacy, check_site, check_views
from edge.commands.check.verdict import Status, Verdict, attempt
from edge.config import Settings, load_settings
from edge.release.forecast import Forecast, Gauge, Traffic
from edge.release.noise.sampler import mean_error
from tests.fakes import ManualClock

DOOR = {"name": "door", "source": "rtsp://192.0.2.10/"}
THREE = [{"name": name, "source": f"rtsp://192.0.2.{n}/"} for n, name in enumerate("abc", 10)]


def configured(**tables: object) -> Settings:
    return load_settings(None, [], {"cameras": [DOOR], **tables})


def verdict(**tables: object) -> Verdict:
    return attempt("privacy", lambda: check_privacy(configured(**tables)))


def test_the_default_says_what_leaves_with_its_age_and_when() -> None:
    assert verdict() == Verdict(
        "privacy",
        Status.OK,
        "simulated, 12 hours a day: at 60 visits an hour 99 % leave with their bracket, half of them within "
        "20 minutes; at 20 an hour 96 % leave with their bracket, half of them within 40 minutes; visits "
        "without ages carry noise, mean error 0.3 by window, 0.5 by hour, 1.9 by day; epsilon of a visit: 4",
    )


def test_a_quiet_store_with_three_cameras_reads_ages_by_day() -> None:
    said = verdict(cameras=THREE).detail
    busy, quiet = said.split("; ")[:2]
    assert "at 60 visits an hour over 3 cameras 96 % leave" in busy
    assert "by day" not in busy
    assert quiet.endswith("(read ages by day, not by hour)")


def test_it_is_simulated_with_the_configured_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Gauge, Traffic]] = []

    def foresee(gauge: Gauge, traffic: Traffic) -> Forecast:
        asked.append((gauge, traffic))
        return Forecast(0.5, 0.25, 0.25, 10)

    monkeypatch.setattr(privacy, "forecast", foresee)
    group = [{**THREE[0], "group": "g"}, {**THREE[1], "group": "g", "ages": False}, THREE[2]]
    settings = configured(
        cameras=group,
        site={"opening_hours": "mon-fri 08:00-20:00, sat 10:00-16:00, sun closed"},
        windows={"brackets": ["0-17", "18+"], "length": 60},
        privacy={"minimum": 7, "release_every": 3600},
    )
    assert "simulated, 11 hours a day" in check_privacy(settings)
    gauge = Gauge(settings.windows.parsed_brackets, 7, 3600, 60)
    assert asked == [(gauge, Traffic(30, 11)), (gauge, Traffic(10, 11))]


def test_zones_share_the_visits_and_the_noise_of_a_camera() -> None:
    corners = [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]]
    zones = [{"name": role, "role": role, "polygon": corners} for role in ("area", "queue")]
    line = {"name": "door", "from": [0.1, 0.5], "to": [0.9, 0.5]}
    said = verdict(cameras=[{**DOOR, "zones": zones, "lines": [line]}]).detail
    assert "at 60 visits an hour evenly over 3 zones 96 % leave" in said
    assert (
        "; door: visits 0.9 by window, 2.4 by hour, 7.5 by day; each line's in and out 1.9 by window, "
        "5.0 by hour, 15.0 by day; each zone's entries 10.0 by hour, 30.0 by day; each step of dwell 5.0 by "
        "hour, 15.0 by day; each queue's person-seconds 1500.0 by hour, 4500.0 by day; each step of waiting "
        "10.0 by hour, 30.0 by day; "
    ) in said


def test_where_no_bracket_leaves_it_says_what_to_change() -> None:
    assert "at 20 an hour none leave with their bracket: use fewer brackets" in (
        verdict(privacy={"minimum": 1000}).detail
    )


def test_with_noise_it_says_the_error_of_a_bracket_and_the_whole_epsilon() -> None:
    said = verdict(privacy={"method": "noise", "epsilon": 2.0, "flow_epsilon": 3.5})
    assert said.status is Status.OK
    assert said.detail.startswith(
        "each bracket carries noise, mean error 1.9 by window, 0.9 by hour, 1.9 by day;"
    )
    assert said.detail.endswith("; epsilon of a visit: 5.5")
    assert mean_error(Fraction(1, 2)) == pytest.approx(1.919, abs=0.001)


def test_ages_by_attention_are_said_and_cost_the_brackets_a_third() -> None:
    noise = {"method": "noise", "ages_by": ["attention"]}
    said = verdict(privacy=noise, attention={"enabled": True}).detail
    assert said.startswith(
        "each bracket carries noise, mean error 4.0 by window, 2.9 by hour, 6.0 by day; "
        "each step of ages by attention 6.0 by hour, 12.0 by day;"
    )
    assert said.endswith("; epsilon of a visit: 5")


def test_with_reentry_the_noise_is_for_two_visits() -> None:
    said = verdict(privacy={"method": "noise"}, tracking={"reentry": 60}).detail
    assert "visits without ages carry noise, mean error 0.9 by window, 1.2 by hour, 4.0 by day" in said
    assert said.endswith("; epsilon of a visit: 5")


def test_a_gate_that_is_off_is_a_warning() -> None:
    said = verdict(privacy={"minimum": 1})
    assert said.status is Status.WARNING
    assert said.detail.startswith("privacy.minimum = 1: true counts leave the box")


def test_noise_with_a_minimum_of_1_is_not_off() -> None:
    assert verdict(privacy={"minimum": 1, "method": "noise"}).status is Status.OK


@pytest.mark.parametrize(
    ("site", "words"),
    [
        ({}, "store: the store's day starts at 00:00 UTC, next at 2026-03-29T00:00:00Z; no opening hours"),
        (
            {"name": "s7", "timezone": "Europe/Paris", "opening_hours": "mon-sat 08:00-20:00"},
            "s7: the store's day starts at 00:00 Europe/Paris, next at 2026-03-28T23:00:00Z; opening hours c",
        ),
        (
            {"timezone": "Europe/Paris", "day_starts": "02:30"},
            "day starts at 02:30 Europe/Paris, next at 2026-03-29T01:00:00Z",  # the clock skips 02:30
        ),
    ],
)
def test_the_stores_clock_is_said(site: dict[str, str], words: str) -> None:
    clock = ManualClock(datetime(2026, 3, 28, 12, tzinfo=UTC))
    said = attempt("site", lambda: check_site(configured(site=site), clock))
    assert said.status is Status.OK
    assert words in said.detail


def test_two_cameras_on_one_host_are_a_warning() -> None:
    two = [DOOR, {"name": "till", "source": "rtsp://192.0.2.10/2"}]
    said = attempt("views", lambda: check_views(configured(cameras=two)))
    assert said.status is Status.WARNING
    assert said.detail.startswith("cameras door, till are on one host, 192.0.2.10: ")
    grouped = [{**two[0], "group": "g"}, {**two[1], "group": "g", "ages": False}]
    assert attempt("views", lambda: check_views(configured(cameras=grouped))).status is Status.OK
    assert check_views(configured()) == "one camera"
