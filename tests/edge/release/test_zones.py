"""Ages by zone: one message of each zone with every window, one day, one box; zones that come and go."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from edge.release.books.day import Day
from edge.release.checkpoint import decode_open, encode_open
from edge.types import ZoneCounts
from tests.gates import BRACKETS, MIDNIGHT, TOPICS, WINDOW, Box, of, rule, window

HALF = timedelta(minutes=30)
DAY = timedelta(days=1)
OFF = "privacy.minimum=1"
ZONES: Mapping[str, Mapping[str, int]] = {"shelf": {"65+": 3}, "till": {"18-64": 6}, "rest": {}}
NONE: Mapping[str, Mapping[str, int]] = {zone: {} for zone in ZONES}


def told(messages: list[dict[str, Any]]) -> dict[str, int]:
    """All visits that leave, by zone."""
    found: dict[str, int] = {}
    for m in of(messages, "counts"):
        numbers = [*m["counts"].values(), m["unclassified"], *m["groups"].values(), m["other"]]
        found[m["zone"]] = found.get(m["zone"], 0) + sum(n for n in numbers if n is not None)
    return found


class TestEveryZone:
    def test_has_a_message_of_every_window_on_its_own_topic(self) -> None:
        box = Box(rule(OFF))
        messages = of(box.put(zones=ZONES), "counts")
        assert [m["zone"] for m in messages] == ["shelf", "till", "rest"]
        assert [m["released"] for m in messages] == [3, 6, 0]
        assert len({m["window_id"] for m in messages}) == 3
        assert [m["sequence"] for m in messages] == [1, 1, 1]
        for zone in ZONES:
            assert {TOPICS.latest("door", zone), TOPICS.today("door", zone)} <= box.store.retained.keys()

    def test_waits_apart_and_has_its_own_rest_of_the_day(self) -> None:
        """Three cells of two visits each leave as `other` of their zone, never of two zones together."""
        box = Box()
        few = {"0-17": 2, "18-64": 2, "65+": 2}
        messages = box.put(zones={"shelf": few, "till": {"65+": 4}, "rest": {"65+": 5}})
        messages += box.put_until(MIDNIGHT + DAY, zones=NONE)
        assert told(messages) == {"shelf": 6, "till": 0, "rest": 5}

    def test_a_day_is_laid_out_once_and_not_with_every_window(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With opening hours its seconds are counted minute by minute: about 12 ms for a zone."""
        box = Box()
        box.put(zones=ZONES)
        with monkeypatch.context() as patch:
            patch.setattr(Day, "begin", None)
            messages = box.put(zones=ZONES)
        assert len(of(messages, "counts")) == len(ZONES)

    def test_the_visits_of_the_camera_are_those_of_its_zones(self) -> None:
        (message,) = of(Box(rule(OFF)).put(zones=ZONES), "flow", box=None)
        assert message["visits"] == 9

    def test_noise_is_drawn_for_each_zone(self) -> None:
        noise = {"privacy": {"method": "noise", "epsilon": 0.05}}
        box = Box(rule(**noise))
        messages = box.put_until(MIDNIGHT + 2 * HALF, zones=NONE)
        numbers = [tuple(m["counts"].values()) for m in of(messages, "counts", start="2026-01-31T00:00:00Z")]
        assert len(set(numbers)) == 3
        assert {m["zone"] for m in of(messages, "periods", period="hour", box=None)} == ZONES.keys()


class TestBox:
    def test_sums_all_zones_and_watches_the_camera_once(self) -> None:
        box = Box(rule(OFF))
        messages = box.put(zones=ZONES) + box.put_until(MIDNIGHT + DAY, zones=NONE)
        (day,) = of(messages, "periods", period="day", camera=None)
        assert day["figures"]["released"] == 9
        assert day["figures"]["counts"] == {"0-17": 0, "18-64": 6, "65+": 3}
        assert day["figures"]["covered_seconds"] == 86_400
        assert len(of(messages, "periods", period="hour", camera=None)) == 24

    def test_its_day_so_far_is_the_same_sum(self) -> None:
        import json

        box = Box(rule(OFF))
        box.put(zones=ZONES)
        today = json.loads(box.store.retained[TOPICS.box_today])
        assert (today["total"]["released"], today["total"]["covered_seconds"]) == (9, 300)
        assert [hour["released"] for hour in today["hours"]] == [9]


class TestComeAndGo:
    def test_zones_take_over_what_waits_in_the_whole_picture(self) -> None:
        box = Box()
        messages = box.put({"65+": 4, "18-64": 3})
        messages += box.put(zones=NONE) + box.put_until(MIDNIGHT + DAY, zones=NONE)
        assert told(messages) == {"all": 0, "shelf": 0, "till": 0, "rest": 7}
        assert box.store.retained[TOPICS.today("door", "all")] == b""

    def test_a_zone_that_goes_leaves_what_waits_to_the_rest(self) -> None:
        box = Box()
        messages = box.put(zones={"shelf": {"65+": 3}, "till": {"65+": 3}, "rest": {}})
        fewer = {"till": {}, "rest": {"0-17": 2}}
        messages += box.put(zones=fewer)
        messages += box.put_until(MIDNIGHT + DAY, zones={"till": {}, "rest": {}})
        assert told(messages) == {"shelf": 0, "till": 0, "rest": 5}
        assert box.store.retained[TOPICS.latest("door", "shelf")] == b""
        assert box.store.retained[TOPICS.latest("door", "till")] != b""

    def test_a_zone_that_comes_begins_empty_and_takes_nothing_from_the_others(self) -> None:
        box = Box()
        messages = box.put(zones={"till": {"65+": 4}, "rest": {}})
        more = {"till": {"65+": 1}, "shelf": {"65+": 5}, "rest": {}}
        messages += box.put(zones=more)
        messages += box.put_until(MIDNIGHT + HALF, zones={zone: {} for zone in more})
        assert told(messages) == {"till": 5, "shelf": 5, "rest": 0}

    def test_without_zones_again_all_that_waits_is_the_whole_picture_s(self) -> None:
        box = Box()
        messages = box.put(zones={"till": {"65+": 4}, "rest": {"65+": 3}})
        messages += box.put() + box.put_until(MIDNIGHT + DAY)
        assert told(messages) == {"till": 0, "rest": 0, "all": 7}

    def test_a_restart_goes_on_with_every_zone(self) -> None:
        box = Box()
        messages = box.put(zones={"till": {"65+": 4}, "rest": {"65+": 3}})
        box.restart()
        messages += box.put(zones={"till": {"65+": 1}, "rest": {"65+": 2}})
        messages += box.put_until(MIDNIGHT + HALF, zones={"till": {}, "rest": {}})
        assert told(messages) == {"till": 5, "rest": 5}


class TestNoiseComesAndGoes:
    """With the largest epsilon all noise is 0 but for one draw in ten billion."""

    @staticmethod
    def periods(first: dict[str, Any], second: dict[str, Any], gap: timedelta = WINDOW) -> Any:
        box = Box(rule("privacy.method=noise", "privacy.epsilon=100.0"))
        messages = box.put(**first)
        box.at = MIDNIGHT + gap
        messages += box.put(**second, last=True)
        return [
            (m["zone"], m["period"], m["day"], m["figures"]) for m in of(messages, "periods", camera="door")
        ]

    def test_the_hour_and_the_day_of_a_zone_that_is_gone_leave(self) -> None:
        found = self.periods({"zone": "old", "counts": {"65+": 9}}, {"zone": "new", "counts": {"65+": 4}})
        assert [(zone, period, one["released"]) for zone, period, _, one in found] == [
            ("old", "hour", 9),
            ("old", "day", 9),
            ("new", "hour", 4),
            ("new", "day", 4),
        ]
        assert {one["end"] for zone, _, _, one in found if zone == "old"} == {"2026-01-31T00:05:00Z"}

    def test_changed_brackets_begin_an_hour_and_a_day_whose_parts_add_up(self) -> None:
        halves = {"counts": {"40+": 4, "unclassified": 1}, "brackets": ("0-39", "40+")}
        found = self.periods({"counts": {"65+": 9}}, halves)
        assert [one["released"] for *_, one in found] == [9, 9, 5, 5]
        for *_, one in found:
            assert sum(one["counts"].values()) + one["unclassified"] == one["released"]

    def test_a_day_that_ended_while_the_box_was_off_has_its_own_date(self) -> None:
        found = self.periods({"counts": {"65+": 9}}, {"counts": {"65+": 4}}, gap=3 * DAY)
        assert [(day, one["open_seconds"]) for _, _, day, one in found] == [
            ("2026-01-31", 3600),
            ("2026-01-31", 3600),
            ("2026-02-03", 3600),
            ("2026-02-03", 3600),
        ]


class TestStored:
    def test_open_windows_keep_their_zones_over_a_restart(self) -> None:
        one = window(MIDNIGHT, zones=ZONES)
        assert decode_open(encode_open([one])) == [one]

    def test_a_checkpoint_of_one_zone_is_read(self) -> None:
        """As version 0.2 wrote it."""
        payload = (
            b'[{"site":"store","camera_id":"door","zone":"all","start":"2026-01-31T00:00:00Z",'
            b'"end":"2026-01-31T00:05:00Z","counts":{"0-17":0,"18-64":2,"65+":0},"unclassified":1,'
            b'"coverage":[300.0,3000,{}],"lines":{"door":[1,0]}}]'
        )
        (found,) = decode_open(payload)
        assert found.zones == {"all": ZoneCounts({"0-17": 0, "18-64": 2, "65+": 0}, 1)}
        assert found.start == MIDNIGHT

    @pytest.mark.parametrize("zones", [b"{}", b'{"a":[{"0-17":1},0],"b":[{"18+":1},0]}'])
    def test_a_window_without_zones_of_the_same_brackets_is_left_out(self, zones: bytes) -> None:
        payload = encode_open([window(MIDNIGHT, {"65+": 1})])
        start, end = payload.index(b'"zones":') + 8, payload.index(b',"coverage"')
        assert decode_open(payload[:start] + zones + payload[end:]) == []


def test_a_day_s_visits_are_all_told_once_whatever_zones_are_configured() -> None:
    """With the gate off every number is exact, so the sum over zones and changes is the sum of what came."""
    box = Box(rule(OFF))
    shapes = [{"all": {}}, ZONES, {"till": {}, "rest": {}}, {"rest": {}, "new": {}}, {"all": {}}]
    messages: list[dict[str, Any]] = []
    for number, shape in enumerate(shapes):
        for zone in shape:
            came = {name: {BRACKETS[number % 3]: number + 1} if name == zone else {} for name in shape}
            messages += box.put(zones=came)
    assert sum(told(messages).values()) == sum((n + 1) * len(shape) for n, shape in enumerate(shapes))
    assert box.at == MIDNIGHT + sum(map(len, shapes)) * WINDOW
