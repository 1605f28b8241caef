"""The demo's view: every state fits its terminal, withheld is never shown as a number."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from edge.commands.demo.flow_view import LineRow, Row, ZoneRow
from edge.commands.demo.view import (
    COMPOSED_NOTICE,
    PRIVACY_NOTICE,
    CameraRow,
    OpenWindow,
    ViewState,
    plain_lines,
    render,
    summary,
    totals,
)
from edge.types import Passages

BRACKETS = ("0-12", "13-17", "18-24", "25-34", "35-44", "45-54", "55-64", "65+")
OPEN = OpenWindow(
    datetime(2026, 1, 31, 8, 0, 50, tzinfo=UTC), datetime(2026, 1, 31, 8, 1, tzinfo=UTC), elapsed=0.63
)


def window(second, counts, *, unclassified=0, camera="scene"):
    """A counts payload as a subscriber parses it; `counts` None: all withheld."""
    total = None if counts is None else sum(counts.values()) + unclassified
    shown = dict.fromkeys(BRACKETS) if counts is None else dict.fromkeys(BRACKETS, 0) | counts
    return {
        "camera": camera,
        "start": f"2026-01-31T08:{second // 60:02}:{second % 60:02}Z",
        "end": f"2026-01-31T08:{(second + 10) // 60:02}:{(second + 10) % 60:02}Z",
        "counts": shown,
        "released": total,
        "unclassified": None if counts is None else unclassified,
        "coverage": {"seconds": 10, "frames_analysed": 120, "frames_dropped": {}},
    }


EMPTY = ViewState(notices=(COMPOSED_NOTICE, PRIVACY_NOTICE), brackets=BRACKETS, broker="mosquitto 2.0.11")
FULL = replace(
    EMPTY,
    cameras=(CameraRow("scene", "up", 12.04, 2, 6), CameraRow("door", "down", 0, 0, 0)),
    window=OPEN,
    windows=[
        window(0, {}),
        window(10, {"45-54": 1}),
        window(20, {"35-44": 1, "65+": 1}, unclassified=1),
        window(30, None),
        window(40, {"65+": 1, "35-44": 1}),
    ],
    flow=[
        LineRow("door", Passages(1, 2), Passages(3, 2)),
        ZoneRow("shelf", 3, {0: 1, 5: 2, 15: 0, 600: 0}),
    ],
    elapsed=56.3,
    seconds=70,
    expected=6,
)
CROWDED = replace(
    FULL,
    cameras=[CameraRow(f"camera-with-a-long-name-{n}", "frozen", 25, 99, 12345) for n in range(4)],
    windows=[
        window(10 * n, dict.fromkeys(BRACKETS, 1000 + n), camera="a-very-long-camera-name") for n in range(90)
    ],
    flow=[
        *(LineRow(f"line-with-a-long-name-{n}", Passages(10**6, -(10**6)), exact=False) for n in range(8)),
        *(ZoneRow(f"zone-{n}", 10**6, dict.fromkeys((0, 5, 15, 30, 60, 120, 600), 10**6)) for n in range(16)),
    ],
    broker="mosquitto 2.0.11 at mqtt://127.0.0.1:40123 " * 4,
)
STATES = {"empty": EMPTY, "full": FULL, "crowded": CROWDED, "nothing": ViewState()}


def drawn(renderable, width=80, height=24) -> str:
    screen = io.StringIO()
    console = Console(width=width, height=height, file=screen, force_terminal=True, color_system=None)
    console.print(renderable)
    return screen.getvalue()


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_every_state_fits_the_terminal(state, width, height):
    lines = drawn(render(state), width, height).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= height - 1
    assert max(map(len, drawn(summary(state), width, height).splitlines())) <= width


def test_the_notices_stand_in_full_at_eighty_columns():
    lines = [line.strip() for line in drawn(render(EMPTY)).splitlines()]
    assert COMPOSED_NOTICE in lines
    assert PRIVACY_NOTICE in lines
    assert "composed" in COMPOSED_NOTICE
    assert "privacy.minimum = 1" in PRIVACY_NOTICE


def test_cameras_the_open_window_and_the_time_are_shown():
    text = drawn(render(FULL))
    scene = next(line for line in text.splitlines() if "scene " in line and "up" in line)
    assert scene.split()[1:-1] == ["scene", "up", "12.0", "2", "6"]
    assert "open window 08:00:50 to 08:01:00 UTC" in text
    assert "63%" in text
    assert "56 / 70 s" in text
    assert "mosquitto 2.0.11" in text


def test_the_newest_window_is_on_top_and_withheld_is_no_number():
    rows = [
        line for line in drawn(render(FULL), 120, 40).splitlines() if " 08:00:" in line and "scene" in line
    ]
    assert [row.split()[1] for row in rows] == [f"08:00:{s}0" for s in (4, 3, 2, 1, 0)]
    assert "35-44: 1 65+: 1" in rows[0]
    assert rows[1].split()[2:5] == ["scene", "-", "withheld"]
    assert "unsure: 1" in rows[2]
    assert rows[4].split()[3:5] == ["0", "nobody"]


def test_one_withheld_bracket_beside_a_published_total():
    payload = window(0, {"65+": 7})
    payload["counts"]["0-12"] = None
    assert "0-12: withheld 65+: 7" in drawn(render(replace(FULL, windows=[payload])), 120, 40)


def test_a_full_list_keeps_the_newest_windows():
    text = drawn(render(CROWDED))
    assert "90 so far" in text
    assert "08:14:50" in text
    assert "08:00:00" not in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_a_line_a_zone_and_how_long_visitors_stayed_are_shown_in_full(width, height):
    rows = [line.strip(" │") for line in drawn(render(FULL), width, height).splitlines()]
    assert "line door  in 1  out 2" in rows
    assert "zone shelf 3 entries  stayed  0-5 s: 1  5-15 s: 2  (sent when the hour ends)" in rows
    assert any("unsure" in row for row in rows)


def test_numbers_with_noise_are_marked_and_a_withheld_zone_has_none():
    flow: list[Row] = [LineRow("door", Passages(3, -2), exact=False), ZoneRow("shelf")]
    text = drawn(render(replace(FULL, flow=flow)))
    assert "in 3  out -2  with noise" in text
    assert "shelf nothing is published before the hour ends" in text


def test_lines_and_zones_that_find_no_room_are_counted():
    assert "and 22 more" in drawn(render(CROWDED))
    assert "and 17 more" in drawn(render(CROWDED), 120, 40)


def test_totals_leave_out_what_was_withheld():
    sums = totals(FULL)
    assert (sums.windows, sums.visitors, sums.unclassified, sums.withheld) == (5, 6, 1, 1)
    assert dict(sums.brackets) == dict.fromkeys(BRACKETS, 0) | {"35-44": 2, "45-54": 1, "65+": 2}


def test_brackets_go_from_young_to_old_whatever_order_they_come_in():
    payload = {"counts": {"65+": 1, "5-17": 0, "18-64": 2, "0-4": 0}, "released": 3}
    assert list(totals(ViewState(windows=[payload])).brackets) == ["0-4", "5-17", "18-64", "65+"]


def test_the_longest_bar_is_the_largest_bracket():
    chart = drawn(summary(FULL)).splitlines()
    bar = {name: next(line for line in chart if f" {name} " in line).count("█") for name in BRACKETS}
    assert bar["35-44"] == bar["65+"] > bar["45-54"] > bar["0-12"] == 0


@pytest.mark.parametrize(("expected", "words"), [(6, "of 6 in the scene"), (None, "6 visitors counted")])
def test_the_summary_holds_the_count_against_the_truth(expected, words):
    text = drawn(summary(replace(FULL, expected=expected)))
    assert words in text
    assert "5 windows received from mosquitto" in text
    assert "1 of them withheld" in text
    assert ("in the scene" in text) == (expected is not None)
    assert "line door: in 1 of 3  out 2 of 2" in text
    assert "zone shelf: 3 entries" in text


def test_what_a_broker_sends_is_never_taken_for_markup():
    text = drawn(render(replace(FULL, windows=[window(0, {"65+": 1}, camera="[red]x[/]")])), 120, 40)
    assert "[red]x[/]" in text


def test_plain_lines_tell_each_event_once():
    start = replace(FULL, windows=FULL.windows[:1], cameras=FULL.cameras[:1])
    assert plain_lines(None, start) == [
        COMPOSED_NOTICE,
        PRIVACY_NOTICE,
        "broker: mosquitto 2.0.11",
        "camera scene: up",
        "window 08:00:00 to 08:00:10 UTC from scene: 0 visitors, watched 10 s",
    ]
    assert plain_lines(start, replace(start, elapsed=57)) == []
    assert plain_lines(start, FULL) == [
        "camera door: down",
        "window 08:00:10 to 08:00:20 UTC from scene: 1 visitor (45-54: 1), watched 10 s",
        "window 08:00:20 to 08:00:30 UTC from scene: 3 visitors (35-44: 1 65+: 1 unsure: 1), watched 10 s",
        "window 08:00:30 to 08:00:40 UTC from scene: withheld, watched 10 s",
        "window 08:00:40 to 08:00:50 UTC from scene: 2 visitors (35-44: 1 65+: 1), watched 10 s",
    ]


def test_plain_lines_tell_what_has_changed_of_lines_and_zones():
    now = replace(FULL, flow=[LineRow("door", Passages(2, 2)), FULL.flow[1]])
    assert plain_lines(FULL, now) == ["line door: in 2  out 2"]
    assert plain_lines(None, replace(now, windows=[], cameras=[]))[-1] == "broker: mosquitto 2.0.11"


def test_a_camera_that_comes_back_is_told_again():
    down = replace(FULL, cameras=(CameraRow("scene", "down", 0, 0, 6),))
    up = replace(FULL, cameras=(CameraRow("scene", "up", 12, 0, 6),))
    assert plain_lines(down, up) == ["camera scene: up"]


def test_the_reason_of_a_camera_that_is_down_is_told() -> None:
    down = replace(FULL, cameras=(CameraRow("yard", "down", 0, 0, 0, "cannot be reached: timed out"),))
    assert "cannot be reached: timed out" in drawn(render(down), 100, 30)
    assert plain_lines(FULL, down)[0] == "camera yard: down, cannot be reached: timed out"


def test_a_camera_s_new_reason_is_told() -> None:
    opened = replace(FULL, cameras=(CameraRow("yard", "down", 0, 0, 0, "not opened yet"),))
    refused = replace(FULL, cameras=(CameraRow("yard", "down", 0, 0, 0, "cannot be reached"),))
    assert plain_lines(opened, refused) == ["camera yard: down, cannot be reached"]
    assert plain_lines(refused, refused) == []


def test_a_broker_that_cannot_be_heard_is_told() -> None:
    deaf = replace(FULL, broker_fault="cannot be reached: Connection refused")
    said = "mosquitto 2.0.11: cannot be reached: Connection refused"
    assert plain_lines(FULL, deaf) == [f"broker {said}"]
    assert plain_lines(deaf, deaf) == plain_lines(deaf, FULL) == []
    assert said in drawn(render(deaf), 100, 30)
    assert f"received from {said}" in drawn(summary(deaf), 100, 30)
