"""The page gets what was published of a day, put together, and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from edge.delivery.history import Message, Reader
from tests.edge.web.conftest import Browser
from tests.edge.web.store import Store


def day(browser: Browser, text: str = "") -> dict[str, Any]:
    found: dict[str, Any] = browser.ask(f"/api/day?day={text}")
    return found


def numbers(value: Any) -> set[int]:
    """Every whole number in it."""
    if isinstance(value, dict):
        return set().union(*map(numbers, value.values()))
    if isinstance(value, list):
        return set().union(*map(numbers, value))
    return {value} if isinstance(value, int) and not isinstance(value, bool) else set()


def test_the_open_day_is_what_today_says(browser: Browser, store: Store) -> None:
    view = day(browser)
    sent_to = {m.topic: m.body for m in retained(store)}
    assert (view["day"], view["is_today"]) == ("2026-01-31", True)
    places = [(age["camera"], age["zone"]) for age in view["ages"]]
    assert places == [(None, None), ("entrance", "all"), ("till", "queue")]
    shown = view["ages"][1]
    sent = sent_to["instore/store-7/entrance/all/today"]
    assert (shown["total"], shown["hours"]) == (sent["total"], sent["hours"])
    assert shown["total"]["released"] > 20


def retained(store: Store) -> list[Message]:
    return Reader(store.history._path).retained()


def test_a_day_that_has_ended_is_its_periods(browser: Browser, store: Store) -> None:
    view = day(browser, "2026-01-30")
    assert view["is_today"] is False
    sent = [
        m for m in store.payloads()
        if m["schema"] == "instore.periods/1" and m["day"] == "2026-01-30" and m.get("camera") == "till"
    ]  # fmt: skip
    shown = next(age for age in view["ages"] if age["camera"] == "till")
    assert [shown["total"]] == [m["figures"] for m in sent if m["period"] == "day"]
    assert shown["hours"] == [m["figures"] for m in sent if m["period"] == "hour"]


def test_every_number_by_age_was_published(browser: Browser, store: Store) -> None:
    """Nothing of what waits is in it: each value is in a message that left."""
    published = numbers(store.payloads()) | numbers([m.body for m in retained(store)])
    for text in ("2026-01-30", "2026-01-31"):
        view = day(browser, text)
        shown = numbers([view["ages"], view["flow"], view["occupancy"]])
        assert len(shown) > 20
        assert shown <= published


def test_what_waits_changes_nothing(browser: Browser, store: Store) -> None:
    before = browser.get("/api/day").data
    waiting = store.outbox.state("gate/")
    assert any(b'"waiting"' in payload for payload in waiting.values())
    store.gate.keep_open([store._window("entrance", "all", with_lines=True)])
    assert browser.get("/api/day").data == before


def test_hours_are_the_stores_with_its_opening(browser: Browser) -> None:
    hours = day(browser)["hours"]
    assert (hours[0]["label"], hours[0]["start"]) == ("00:00", "2026-01-30T23:00:00Z")
    assert [hour["label"] for hour in hours if hour["open_seconds"]] == [f"{n:02}:00" for n in range(8, 20)]


def test_cameras_have_a_state_and_how_long_they_watched(browser: Browser) -> None:
    entrance, till = day(browser)["cameras"]
    assert (entrance["state"], till["state"], till["reason"]) == ("up", "dark", "the lens is covered")
    covered = {start: seconds for start, _, seconds in till["coverage"]}
    assert covered["2026-01-31T11:00:00Z"] == 300
    assert covered["2026-01-31T10:00:00Z"] == 900


def test_in_and_out_and_who_is_inside_are_there(browser: Browser) -> None:
    view = day(browser)
    box = [one for one in view["flow"] if one["box"] and one["period"] == "hour"]
    assert any(one["entries"] for one in box)
    assert datetime.fromisoformat(view["occupancy"][-1]["end"]).hour == 14


def test_a_day_is_live_until_three_windows_are_missing(browser: Browser, store: Store) -> None:
    view = day(browser)
    windows = [
        one for one in store.payloads() if one["schema"] == "instore.flow/1" and one["period"] == "window"
    ]
    assert view["last"] == max(one["end"] for one in windows)
    late = datetime.fromisoformat(view["live_until"]) - datetime.fromisoformat(view["last"])
    assert late.total_seconds() == 3 * store.settings.windows.length + store.settings.windows.lateness
    assert day(browser, "2020-02-29")["last"] is None


def test_a_day_without_messages_is_empty(browser: Browser) -> None:
    view = day(browser, "2020-02-29")
    assert (view["ages"], view["flow"], len(view["hours"])) == ([], [], 24)


def test_what_is_no_day_is_refused(browser: Browser) -> None:
    for text in ("yesterday", "2026-02-30", "0001-01-01", "9999-12-31"):
        assert browser.get(f"/api/day?day={text}").status_code == 400


def test_a_damaged_history_is_said(browser: Browser, tmp_path: Any, store: Store) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(b"x" * 5000)
    answer = Browser(path, store.settings).get("/api/day")
    assert answer.status_code == 503
    assert "cannot be read" in answer.text
