"""What the demo makes of the messages that come back: windows of several zones, lines, zones, noise."""

from __future__ import annotations

from datetime import timedelta

from edge.commands.demo.flow_view import LineRow, ZoneRow
from edge.commands.demo.line_zone import LINE, ZONE
from edge.commands.demo.received import Received, Stays
from edge.config import CameraSettings
from edge.quantities import DWELL, ZONES, Contribution
from edge.types import Passages, TrackEnded
from tests.gates import MIDNIGHT, Box, rule, window

PLACES = {"lines": [LINE], "zones": [ZONE]}
CAMERA = CameraSettings.model_validate({"name": "door", "source": "0", **PLACES})
STEPS = {0: 1, 5: 2, 15: 0, 30: 0, 60: 0, 120: 0, 300: 0, 600: 0}
TALLIES = {ZONES: {"shelf": 4}, DWELL: {f"shelf/{step}": visits for step, visits in STEPS.items()}}


def sent(minimum: int, *, last: bool) -> list[bytes]:
    """The payloads of one window with visitors in two zones: `last` ends the day with it."""
    box = Box(rule(f"privacy.minimum={minimum}", cameras=[("door", PLACES)]))
    box.gate.put(
        window(
            MIDNIGHT,
            zones={"shelf": {"0-17": 1, "65+": 2}, "rest": {"65+": 1, "unclassified": 1}},
            lines={"door": Passages(3, 2)},
            tallies=TALLIES,
            last=last,
        )
    )
    return box.store.take()


def received(payloads: list[bytes]) -> Received:
    found = Received()
    for payload in payloads:
        found.take(payload)
    return found


def test_the_zones_of_a_window_are_one_window_once_its_flow_is_there() -> None:
    payloads = sent(1, last=False)
    early = received([one for one in payloads if b"instore.flow/1" not in one])
    assert early.windows == []
    found = received([*payloads, *payloads])
    (whole,) = found.windows
    assert (whole["released"], whole["unclassified"], whole["counts"]["65+"]) == (5, 1, 3)
    assert not found.is_complete


def test_lines_are_the_sum_of_the_windows_beside_the_truth() -> None:
    truth = {"door": Passages(4, 2)}
    assert received(sent(1, last=False)).lines(CAMERA, truth) == [
        LineRow("door", Passages(3, 2), Passages(4, 2), exact=True)
    ]
    assert not received(sent(5, last=False)).lines(CAMERA, {})[0].exact


def test_zones_are_those_of_the_hour_once_it_has_ended() -> None:
    stays, ended = Stays(), received(sent(1, last=True))
    assert ended.is_complete
    assert ended.zones(CAMERA, stays) == [ZoneRow("shelf", 4, STEPS, sent=True, exact=True)]
    before = received(sent(1, last=False)).zones(CAMERA, stays)
    assert before == [ZoneRow("shelf", 0, dict.fromkeys(STEPS, 0))]


def test_where_the_gate_is_on_nothing_is_shown_before_the_hour_ends() -> None:
    assert received(sent(5, last=False)).zones(CAMERA, None) == [ZoneRow("shelf")]
    (row,) = received(sent(5, last=True)).zones(CAMERA, None)
    assert (row.entries is not None, row.sent, row.exact) == (True, True, False)


def test_what_is_none_of_ours_is_left_out() -> None:
    assert received([b"{}", b"\xff", b'{"schema":"instore.counts/2"}']).windows == []


def test_stays_are_of_the_visitors_who_have_left() -> None:
    stays = Stays()
    queue = stays.queue(4)
    for step in (0, 5, 5):
        added = (Contribution(ZONES, "shelf"), Contribution(DWELL, f"shelf/{step}"))
        queue.put(TrackEnded("door", 1, MIDNIGHT, timedelta(seconds=9), (), added))
    assert isinstance(queue.take(0), TrackEnded)
    (row,) = Received().zones(CAMERA, stays)
    assert (row.entries, row.dwell[0], row.dwell[5], row.sent) == (3, 1, 2, False)
