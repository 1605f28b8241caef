"""The gate: what leaves with which window, once, and what waits outlives every end of the process."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge.brackets import DEFAULT_BRACKETS
from edge.delivery.outbox import Outbox
from edge.delivery.topics import Topics
from edge.errors import OutsideError
from edge.release.carry_over import begin
from edge.release.gate import Gate, MemoryStore, NewMessage, Store
from edge.release.released import ReleasedWindow, release_window
from edge.release.rows import Rows
from edge.release.rule import Rule
from edge.types import Coverage, Passages
from tests.gates import BRACKETS, MIDNIGHT, TOPICS, WINDOW, Box, of, rule, window
from tests.messages import Text

HALF = timedelta(minutes=30)
TWO: tuple[tuple[str, dict[str, Any]], ...] = (("door", {}), ("till", {}))
PARIS = {"site": {"name": "store", "timezone": "Europe/Paris"}}


def cells(message: dict[str, Any]) -> dict[str, int]:
    """What a counts message releases, `unclassified` and `other` among it."""
    found = {**message["counts"], **message["groups"]}
    found |= {name: message[name] for name in ("unclassified", "other")}
    return {cell: n for cell, n in found.items() if n is not None}


def released(messages: Sequence[dict[str, Any]]) -> int:
    """All visits that counts messages release."""
    return sum(sum(cells(message).values()) for message in of(list(messages), "counts"))


@pytest.fixture(params=["memory", "outbox"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every store that the gate is used with."""
    if request.param == "memory":
        yield MemoryStore()
        return
    with closing(Outbox(tmp_path / "outbox.db", 100, 1 << 20)) as outbox:
        yield outbox


class TestStores:
    def test_keep_a_row_once_and_state_by_name(self, store: Store) -> None:
        store.commit([Text("t", "a"), Text("t", "b")], state={"gate/x": b"1", "open": b"2"})
        store.commit([Text("t", "a")], retained={"r": b"3"}, state={"gate/x": b"4"})
        assert store.knows("t", "a") and not store.knows("t", "c") and not store.knows("u", "a")
        assert store.state("gate/") == {"gate/x": b"4"}
        assert store.state("open") == {"open": b"2"}

    def test_count_the_rows_of_each_topic(self, store: Store) -> None:
        sequences: list[int] = []

        class Noted(Text):
            def encode(self, sequence: int) -> bytes:
                sequences.append(sequence)
                return b"payload"

        store.commit([Noted("t", "a"), Noted("u", "a"), Noted("t", "b"), Noted("t", "a")])
        assert sequences == [1, 1, 2]


class TestCarryOver:
    def test_a_cell_leaves_at_a_release_moment_once_with_the_start_of_its_waiting(self) -> None:
        box = Box()
        first = box.put({"18-64": 3}) + box.put({"18-64": 3, "65+": 4})
        before = box.put_until(MIDNIGHT + HALF - WINDOW)
        moment = box.put()
        later = box.put_until(MIDNIGHT + 2 * HALF)

        assert released(first) == released(before) == released(later) == 0
        (message,) = of(moment, "counts")
        assert cells(message) == {"18-64": 6}
        assert message["since"] == {"18-64": "2026-01-31T00:00:00Z"}
        assert (message["released"], message["counts"]["65+"]) == (6, None)

    def test_what_is_too_little_waits_for_the_next_moment(self) -> None:
        box = Box()
        assert released(box.put({"65+": 4}) + box.put_until(MIDNIGHT + HALF)) == 0
        (message,) = of(box.put({"65+": 1}) + box.put_until(MIDNIGHT + 2 * HALF), "counts")[-1:]
        assert cells(message) == {"65+": 5}
        assert message["since"] == {"65+": "2026-01-31T00:00:00Z"}

    def test_the_day_ends_by_the_store_s_clock(self) -> None:
        box = Box(rule(**{"site": {"name": "store", "timezone": "Asia/Kathmandu"}}))
        ends = datetime(2026, 1, 31, 18, 15, tzinfo=UTC)  # midnight there
        messages = box.put({"0-17": 2, "18-64": 2, "65+": 2}) + box.put_until(ends)
        (last,) = of(messages, "counts")[-1:]
        assert released(messages) == sum(cells(last).values()) == 6
        assert last["end"] == "2026-01-31T18:15:00Z"

    def test_a_lowered_minimum_releases_nothing_that_was_counted_under_the_larger(self) -> None:
        box = Box()
        box.put({"65+": 4})
        box.gate.rule = rule("privacy.minimum=3")
        messages = box.put({"18-64": 3}) + box.put_until(MIDNIGHT + HALF)
        assert [cells(m) for m in of(messages, "counts") if cells(m)] == [{"18-64": 3}]

    def test_the_end_of_a_recording_is_the_end_of_its_day(self) -> None:
        box = Box()
        counts = {"0-12": 3, "18-24": 7, "65+": 2}
        (message,) = of(box.put(counts, brackets=DEFAULT_BRACKETS, last=True), "counts")
        assert cells(message) == {"18-24": 7, "other": 5}

    def test_zones_and_cameras_wait_apart(self) -> None:
        box = Box(rule(cameras=TWO))
        for camera, zone in (("door", "entry"), ("till", "checkout")):
            box.gate.put(window(MIDNIGHT + HALF - WINDOW, {"65+": 3}, camera=camera, zone=zone))
        assert released(box.take()) == 0

    def test_an_hour_of_the_box_sums_all_its_cameras(self) -> None:
        """One camera closes the day before the other: its hours must wait for those of the other."""
        box, messages = Box(rule(cameras=TWO, windows={"length": 900, "brackets": list(BRACKETS)})), []
        box.at = MIDNIGHT + timedelta(hours=21)
        while box.at < MIDNIGHT + timedelta(days=1):
            for camera, zone in (("door", "all"), ("till", "queue")):
                box.gate.put(window(box.at, {"65+": 2}, camera=camera, zone=zone, end=box.at + 3 * WINDOW))
            box.at += 3 * WINDOW
            messages += box.take()
        hours = of(messages, "periods", period="hour")
        starts = {hour["figures"]["start"] for hour in hours}
        assert len(starts) == 3
        for start in starts:
            parts = [hour for hour in hours if hour["figures"]["start"] == start]
            (sums,) = (hour["figures"] for hour in parts if hour["box"])
            cameras = [hour["figures"] for hour in parts if hour["camera"]]
            assert sums["released"] == sum(figures["released"] for figures in cameras) > 0
            assert sums["covered_seconds"] == sum(figures["covered_seconds"] for figures in cameras)

    def test_a_renamed_zone_takes_over_what_waits_and_its_topics_are_cleared(self) -> None:
        box = Box()
        box.put({"65+": 4}, zone="old")
        messages = box.put({"65+": 4}, zone="new") + box.put(zone="new", last=True)
        assert [cells(m) for m in of(messages, "counts") if cells(m)] == [{"other": 8}]
        cleared = {topic for topic, payload in box.store.retained.items() if not payload}
        assert cleared == {TOPICS.latest("door", "old"), TOPICS.today("door", "old")}
        assert [m["figures"]["end"] for m in of(messages, "periods", zone="old", period="day")] == [
            "2026-01-31T00:05:00Z"
        ]

    def test_changed_brackets_leave_what_waits_to_the_next_other(self) -> None:
        box = Box()
        box.put({"65+": 4})
        halves = ("0-39", "40+")
        messages = box.put({"40+": 3}, brackets=halves) + box.put(brackets=halves, last=True)
        assert released(messages) == 7
        assert [m["other"] for m in of(messages, "counts")] == [None, 7]

    def test_a_gate_that_is_off_tells_every_window_exactly(self) -> None:
        box = Box(rule("privacy.minimum=1"))
        messages = box.put({"65+": 1})
        (message,) = of(messages, "counts")
        assert message["counts"] == {"0-17": 0, "18-64": 0, "65+": 1}
        assert (message["unclassified"], message["released"]) == (0, 1)
        assert [m["visits"] for m in of(messages, "flow", period="window")] == [1, 1]  # camera and box
        assert message["privacy"]["method"] == "none"


class TestDays:
    def test_a_day_of_23_hours_has_23_hours_that_add_up(self) -> None:
        box = Box(rule(**PARIS))
        box.at = datetime(2026, 3, 28, 23, tzinfo=UTC)
        end = datetime(2026, 3, 29, 22, tzinfo=UTC)
        messages: list[dict[str, Any]] = []
        while box.at < end:
            messages += box.put({"0-17": 1, "18-64": 2, "unclassified": 1})
        hours = of(messages, "periods", period="hour", camera="door")
        (day,) = of(messages, "periods", period="day", camera="door")
        assert len(hours) == 23
        assert {hour["day"] for hour in hours} == {day["day"]} == {"2026-03-29"}
        for cell in BRACKETS:
            total = sum(hour["figures"]["counts"][cell] or 0 for hour in hours)
            assert total == (day["figures"]["counts"][cell] or 0)
        assert sum(hour["figures"]["released"] for hour in hours) == day["figures"]["released"]
        assert day["figures"]["released"] == released(messages) == 4 * 23 * 12
        assert day["figures"]["covered_seconds"] == 23 * 3600

    def test_what_waited_at_the_day_s_start_is_in_the_day_and_what_waits_is_not(self) -> None:
        box = Box()
        yesterday = box.put({"65+": 4}) + box.put_until(MIDNIGHT + timedelta(days=1))
        today = box.put({"65+": 1}) + box.put_until(MIDNIGHT + timedelta(days=2))
        (first,) = of(yesterday, "periods", period="day", camera="door")
        (second,) = of(today, "periods", period="day", camera="door")
        assert first["figures"]["released"] is None
        assert (second["figures"]["counts"]["65+"], second["figures"]["released"]) == (5, 5)

    def test_opening_hours_stand_beside_the_coverage(self) -> None:
        site = {"name": "store", "opening_hours": "mon-sun 08:30-20:00"}
        box = Box(rule(site=site))
        messages = box.put_until(MIDNIGHT + timedelta(days=1))
        hours = of(messages, "periods", period="hour", camera="door")
        assert [hour["figures"]["open_seconds"] for hour in hours][7:10] == [0, 1800, 3600]
        assert {hour["figures"]["covered_seconds"] for hour in hours} == {3600}

    def test_today_is_retained_and_ends_with_the_day(self) -> None:
        box = Box()
        box.put({"65+": 9})
        box.put_until(MIDNIGHT + HALF)
        topic = TOPICS.today("door", "all")
        assert b'"day":"2026-01-31"' in box.store.retained[topic]
        assert b'"65+":9' in box.store.retained[topic]
        box.put_until(MIDNIGHT + timedelta(days=1))
        assert b'"day":"2026-02-01"' in box.store.retained[topic]
        assert b'"released":null' in box.store.retained[topic]

    def test_the_day_of_a_recording_stays_when_it_has_ended(self) -> None:
        box = Box(rule(cameras=TWO))
        for camera in ("door", "till"):
            box.gate.put(window(MIDNIGHT, {"65+": 6}, camera=camera, last=True))
        assert b'"65+":6' in box.store.retained[TOPICS.today("door", "all")]
        assert b'"65+":12' in box.store.retained[TOPICS.box_today]

    def test_a_box_that_was_off_when_the_day_ended_closes_it_later(self) -> None:
        box = Box()
        box.put({"65+": 4})
        box.at += timedelta(days=3)
        messages = box.put({"65+": 1})
        assert [m["day"] for m in of(messages, "periods", period="day", camera="door")] == ["2026-01-31"]
        assert released(messages) == 0


class TestClockSetBack:
    """It showed 02:00, then 01:00 again: what was counted until then is of an hour of its own."""

    @staticmethod
    def set_back(by: Rule, first: datetime) -> list[dict[str, Any]]:
        box = Box(by)
        box.at = first
        messages = box.put({"65+": 6}, lines={"door": Passages(6, 0)})
        box.at = MIDNIGHT + 2 * HALF
        messages += box.put({"65+": 2}, lines={"door": Passages(2, 0)})
        return messages + box.put({"65+": 1}, lines={"door": Passages(1, 0)}, last=True)

    @pytest.mark.parametrize("by", [rule(), rule("privacy.method=noise"), rule("privacy.minimum=1")])
    @pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(hours=26)])
    def test_a_camera_may_end_before_the_hour_that_it_began(self, by: Rule, ahead: timedelta) -> None:
        messages = self.set_back(by, MIDNIGHT + ahead)
        spans = [(m["start"], m["end"]) for m in of(messages, "flow", period="hour", camera="door")]
        assert [start < end for start, end in spans] == [True, True]
        assert spans[1] == ("2026-01-31T01:00:00Z", "2026-01-31T01:10:00Z")

    def test_windows_of_the_earlier_time_are_not_of_the_later_hour(self) -> None:
        messages = self.set_back(rule("privacy.minimum=1"), MIDNIGHT + timedelta(hours=2))
        hours = of(messages, "flow", period="hour", camera="door")
        assert [(m["visits"], m["lines"]["door"]["in"]) for m in hours] == [(6, 6), (3, 3)]
        (day,) = of(messages, "flow", period="day", camera="door")
        assert (day["visits"], day["start"], day["end"]) == (
            9,
            "2026-01-31T01:00:00Z",
            "2026-01-31T02:05:00Z",
        )

    def test_the_day_by_age_begins_at_the_earlier_time(self) -> None:
        messages = self.set_back(rule("privacy.minimum=1"), MIDNIGHT + timedelta(hours=2))
        hours = of(messages, "periods", period="hour", camera="door")
        assert [h["figures"]["counts"]["65+"] for h in hours] == [3, 6]
        (day,) = of(messages, "periods", period="day", camera="door")
        assert (day["figures"]["released"], day["figures"]["start"]) == (9, "2026-01-31T01:00:00Z")

    def test_a_day_that_was_not_reached_keeps_its_own_visits(self) -> None:
        messages = self.set_back(rule("privacy.minimum=1"), MIDNIGHT + timedelta(hours=26))
        days = of(messages, "periods", period="day", camera="door")
        assert [(d["day"], d["figures"]["released"]) for d in days] == [("2026-02-01", 6), ("2026-01-31", 3)]
        flows = of(messages, "flow", period="day", camera="door")
        assert [m["visits"] for m in flows] == [6, 3]


class TestBox:
    def test_its_flow_and_periods_are_the_sums_of_its_cameras(self) -> None:
        box = Box(rule(cameras=TWO))
        messages: list[dict[str, Any]] = []
        while box.at < MIDNIGHT + timedelta(days=1):
            messages += box.put({"65+": 2}, camera="door")
            box.at -= WINDOW
            messages += box.put({"18-64": 3}, camera="till")
        for period in ("window", "hour", "day"):
            parts: dict[str, int] = {}
            for message in of(messages, "flow", period=period):
                sign = 1 if message["box"] is None else -1
                parts[message["start"]] = parts.get(message["start"], 0) + sign * message["visits"]
            assert set(parts.values()) == {0}
        (day,) = of(messages, "periods", period="day", box="box")
        assert day["figures"]["counts"] == {"0-17": None, "18-64": 864, "65+": 576}
        assert day["figures"]["open_seconds"] == 86_400  # the store is open once

    def test_a_sum_waits_for_the_slowest_camera(self) -> None:
        box = Box(rule(cameras=TWO))
        assert of(box.put(camera="door"), "flow", box="box") == []
        box.at -= WINDOW
        assert len(of(box.put(camera="till"), "flow", box="box", period="window")) == 1

    def test_of_a_group_of_views_one_has_ages_and_is_counted(self) -> None:
        views = (("door", {"group": "hall"}), ("wide", {"group": "hall", "ages": False}))
        box = Box(rule("privacy.minimum=1", cameras=views))
        messages = box.put({"65+": 2}, camera="door")
        box.at -= WINDOW
        messages += box.put({"65+": 2}, camera="wide")
        assert [m["camera"] for m in of(messages, "counts")] == ["door"]
        assert [m["visits"] for m in of(messages, "flow", box="box", period="window")] == [2]
        assert [m["visits"] for m in of(messages, "flow", camera="wide", period="window")] == [2]


class TestNoise:
    def test_every_cell_of_every_window_has_noise_and_says_how_much(self) -> None:
        box = Box(rule("privacy.method=noise", "privacy.epsilon=2.0"))
        (message,) = of(box.put({"65+": 2}), "counts")
        assert None not in message["counts"].values()
        assert message["privacy"]["method"] == "noise"
        assert message["privacy"]["epsilon"] == 0.5  # a quarter of it for windows
        assert message["privacy"]["visit_epsilon"] == 6.0  # with the flow's 4

    def test_hours_and_days_have_noise_of_their_own(self) -> None:
        box = Box(rule("privacy.method=noise"))
        messages = box.put_until(MIDNIGHT + timedelta(days=1))
        hours = of(messages, "periods", period="hour", camera="door")
        (day,) = of(messages, "periods", period="day", camera="door")
        windows = [m["counts"]["65+"] for m in of(messages, "counts")]
        assert len(hours) == 24
        own = [hour["figures"]["counts"]["65+"] for hour in hours]
        assert own != [sum(windows[12 * i : 12 * i + 12]) for i in range(24)]
        assert day["figures"]["counts"]["65+"] != sum(own)

    def test_a_number_is_drawn_once_also_over_a_restart(self) -> None:
        box = Box()
        first = of(box.put({"65+": 2}), "flow")
        assert len(first) == 2
        box.restart()
        box.at -= WINDOW
        assert box.put({"65+": 2}) == []
        assert box.gate.put(window(MIDNIGHT, {"65+": 2})) is False

    def test_a_time_that_was_drawn_is_refused_under_another_window_length(self) -> None:
        box = Box()
        box.put({"65+": 2})
        box.gate.put(window(MIDNIGHT, {"65+": 2}, end=MIDNIGHT + timedelta(minutes=10)))
        assert of(box.take(), "flow", period="window", camera="door") == []


class TestEnds:
    def test_a_restart_between_any_two_windows_changes_nothing(self) -> None:
        plain, restarted = Box(), Box()
        expected, found = [], []
        for i in range(300):
            counts = {"0-17": i % 2, "18-64": i % 3, "65+": (i % 7) // 3}
            expected += of(plain.put(counts), "counts") + of(plain.take(), "periods")
            restarted.restart()
            found += of(restarted.put(counts), "counts") + of(restarted.take(), "periods")
        assert found == expected
        assert released(found) > 300

    def test_a_disk_that_refuses_changes_nothing_and_the_window_may_be_put_again(self) -> None:
        class Refusing(MemoryStore):
            refuses = False

            def commit(
                self,
                messages: Sequence[NewMessage] = (),
                *,
                retained: Mapping[str, bytes] | None = None,
                state: Mapping[str, bytes] | None = None,
            ) -> None:
                if self.refuses:
                    raise OutsideError("the disk is full")
                super().commit(messages, retained=retained, state=state)

        store, plain = Refusing(), Box()
        box = Box(store=store)
        for _ in range(6):
            store.refuses = True
            with pytest.raises(OutsideError):
                box.put({"65+": 2})
            store.refuses = False
            assert of(box.put({"65+": 2}), "counts") == of(plain.put({"65+": 2}), "counts")

    def test_open_windows_outlive_the_process_unless_they_were_stored(self, store: Store) -> None:
        one, two = window(MIDNIGHT, {"65+": 2}), window(MIDNIGHT + WINDOW, {"18-64": 1})
        gate = Gate(store, rule(), TOPICS)
        assert gate.left_open() == []
        gate.keep_open([one, two])
        gate.put(one)
        assert Gate(store, rule(), TOPICS).left_open() == [two]

    def test_a_state_that_the_disk_has_damaged_is_said_and_started_again(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        store.commit(state={"gate/camera/door": b"{", "gate/box": b"[]", "open": b'[{"site":1}]'})
        gate = Gate(store, rule(), TOPICS)
        assert gate.left_open() == []
        assert gate.put(window(MIDNIGHT))
        said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert len(said) == 3
        assert all("cannot be read" in line for line in said)

    def test_of_a_state_that_cannot_be_read_no_count_is_logged(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        gate = Gate(store, rule(), TOPICS)
        gate.put(window(MIDNIGHT, {"65+": 1}))
        gate.keep_open([window(MIDNIGHT + WINDOW, {"65+": 1})])
        for name, state in {**store.state("gate/camera/"), **store.state("open")}.items():
            table = json.loads(state)
            one = table[0] if isinstance(table, list) else table["zones"]["all"]["waiting"]
            one["added_later"] = {"65+": 77123}  # by a version that counts something more
            store.commit(state={name: json.dumps(table).encode()})
        assert Gate(store, rule(), TOPICS).left_open() == []
        for name in ("gate/camera/door", "open"):
            store.commit(state={name: b'[77123, {"65+":77123'})
        assert Gate(store, rule(), TOPICS).left_open() == []
        said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert len(said) == 4
        assert "zones.all.waiting.added_later: Extra inputs are not permitted" in said[0]
        assert not any("77123" in line for line in said)


class _Addressed(MemoryStore):
    """Keeps the topic of each row as well."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def commit(self, messages: Sequence[NewMessage] = (), **more: Any) -> None:
        super().commit(messages, **more)
        self.sent += [(row.topic, json.loads(row.encode(1))) for row in messages]


class TestRenamedSite:
    def test_an_open_window_keeps_the_names_and_topics_that_it_was_made_for(self) -> None:
        store = _Addressed()
        before = Gate(store, rule(), TOPICS)
        before.keep_open([window(MIDNIGHT, {"18-64": 9})])
        after = Gate(store, rule(site="other"), Topics("instore", "other", "box"))
        (left,) = after.left_open()
        assert after.put(left)
        assert {topic.split("/")[1] for topic, _ in store.sent} == {"store", "other"}  # the window, the box
        assert all(topic.startswith(f"instore/{message['site']}/") for topic, message in store.sent)
        assert [topic for topic in store.retained if topic.endswith("door/all/latest")] == []

    def test_a_window_that_was_stored_under_the_old_name_is_not_stored_again(self) -> None:
        """A kill between the window and the next checkpoint leaves it in both."""
        store = MemoryStore()
        before = Gate(store, rule(), TOPICS)
        one = window(MIDNIGHT, {"18-64": 9})
        before.keep_open([one])
        before.put(one)
        after = Gate(store, rule(site="other"), Topics("instore", "other", "box"))
        assert after.left_open() == []


class TestTypes:
    def test_true_counts_cannot_become_a_row(self) -> None:
        """mypy refuses it: were it allowed, the ignored error would be an unused one."""
        with pytest.raises(AttributeError):
            Rows(rule(), TOPICS).counts(window(MIDNIGHT))  # type: ignore[arg-type]

    def test_only_the_gate_makes_a_released_window(self) -> None:
        found, _ = release_window(
            window(MIDNIGHT), "all", begin(BRACKETS, MIDNIGHT, 5), releases=True, day_ends=False
        )
        fields = {name: getattr(found, name) for name in ReleasedWindow.__slots__}
        with pytest.raises(TypeError, match=r"only edge\.release\.released makes one"):
            ReleasedWindow(**fields, seal=object())  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            ReleasedWindow(**fields)
        with pytest.raises(ValueError, match="InitVar 'seal' must be specified"):
            replace(found, zone="elsewhere")  # type: ignore[call-arg]  # that is the fault

    def test_an_outage_is_no_empty_window(self) -> None:
        (message,) = of(Box().put(coverage=Coverage()), "counts")
        assert message["coverage"] == {"seconds": 0, "frames_analysed": 0, "frames_dropped": {}}
