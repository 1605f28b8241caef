"""Set up in a real browser: zones drawn with mouse, finger and keyboard, written, and taken over."""

from __future__ import annotations

import json
import re
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from edge.web.server import WebServer
from tests.daemon import Daemon
from tests.edge.web.conftest import PASSWORD
from tests.edge.web.setup.scene import FILE, Ahead, Box, face_in_view, log_in, served_page
from tests.mosquitto import Mosquitto, Received, Subscriber, free_port
from tests.painted_daemon import write_crowd

HOSTILE = "<img src=x onerror=document.title='broken'>"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    yield Box(tmp_path, face_in_view())


@pytest.fixture
def served(box: Box) -> Iterator[WebServer]:
    with served_page(box, Ahead(), tools=box.tools) as server:
        yield server


def open_set_up(page: Page, url: str) -> None:
    log_in(page, url)
    page.get_by_role("link", name="Set up").click()
    expect(page.locator("#text")).to_have_value(re.compile("cameras"))


def picture(page: Page) -> Locator:
    return page.locator("#picture")


def press(page: Page, *places: tuple[float, float]) -> None:
    """Click at fractions of the picture."""
    area = picture(page).bounding_box()
    assert area
    for x, y in places:
        page.mouse.click(area["x"] + x * area["width"], area["y"] + y * area["height"])


def zones_of(box: Box, camera: int = 0) -> list[dict[str, Any]]:
    return tomllib.loads((box.folder / FILE).read_text())["cameras"][camera]["zones"]


def test_a_zone_is_drawn_with_the_mouse_and_written(
    page: Page, served: WebServer, box: Box, problems: list[str]
) -> None:
    open_set_up(page, served.url)
    page.get_by_role("button", name="New zone").click()
    press(page, (0.2, 0.2), (0.6, 0.2), (0.6, 0.7), (0.2, 0.7), (0.2, 0.2))
    page.locator("#shape-1-name").fill("shoes")
    page.locator("#shape-1-role").select_option("queue")
    area = picture(page).bounding_box()
    assert area
    page.locator("#corner-1-2").hover()
    page.mouse.down()
    page.mouse.move(area["x"] + 0.8 * area["width"], area["y"] + 0.9 * area["height"], steps=4)
    page.mouse.up()
    expect(page.locator("#words")).to_contain_text("shoes: ")
    expect(page.locator("#words")).to_contain_text('door: "in" leads to the bottom of the picture')
    page.get_by_role("button", name="Write").click()
    expect(page.locator("#says")).to_contain_text("the daemon has taken it over")
    (zone,) = zones_of(box)
    assert (zone["name"], zone["role"]) == ("shoes", "queue")
    expected = [[0.2, 0.2], [0.6, 0.2], [0.8, 0.9], [0.2, 0.7]]
    assert [pytest.approx(corner, abs=0.01) for corner in expected] == zone["polygon"]
    page.locator("#shape-1-name").fill("boots")
    expect(page.locator("#words")).to_contain_text("boots: ")
    page.get_by_role("button", name="Write").click()  # what the page itself has written is no other's change
    expect(page.locator("#write")).to_be_enabled()
    expect(page.locator("#faults")).to_have_text("")
    assert zones_of(box)[0]["name"] == "boots"
    (box.folder / FILE).write_text("[[cameras]]\nname = 'entrance'\nlines = []\nzones = []\n")
    page.get_by_role("button", name="Write").click()
    expect(page.locator("#faults")).to_contain_text("were changed meanwhile")
    assert len(problems) == 1 and "409" in problems.pop()  # the browser logs each refusal


def test_a_zone_and_a_line_are_drawn_by_keyboard_alone(page: Page, served: WebServer, box: Box) -> None:
    open_set_up(page, served.url)
    page.locator("#camera").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#camera")).to_have_value("till")
    page.locator("#new-zone").focus()
    page.keyboard.press("Enter")
    expect(picture(page)).to_be_focused()
    for keys in (("ArrowLeft", 20), ("ArrowUp", 20), ("ArrowRight", 30)):
        for _ in range(keys[1]):
            page.keyboard.press(keys[0])
        page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.locator("#corner-0-0").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#corner-0-0")).to_be_focused()
    page.locator("#new-line").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    for _ in range(10):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator("#words")).to_contain_text('"in" leads to the left of the picture')
    page.locator("#shape-1-turn").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#words")).to_contain_text('"in" leads to the right of the picture')
    page.locator("#write").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#says")).to_contain_text("the daemon has taken it over")
    (entry,) = tomllib.loads((box.folder / FILE).read_text())["cameras"]
    assert entry["zones"][0]["polygon"] == [[0.301, 0.51], [0.3, 0.3], [0.6, 0.3]]
    assert (entry["name"], entry["lines"][0]["from"]) == ("till", [0.5, 0.6])


def test_a_finger_moves_a_corner(page: Page, served: WebServer, box: Box) -> None:
    open_set_up(page, served.url)
    area = picture(page).bounding_box()
    assert area
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [
            {"x": area["x"] + x * area["width"], "y": area["y"] + y * area["height"]} for x, y in places
        ]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (0.2, 0.8))
    touch("touchMove", (0.3, 0.6))
    touch("touchMove", (0.4, 0.5))
    touch("touchEnd")
    expect(page.locator("#text")).to_have_value(re.compile(r"from = \[0\.(39|4)\d*, 0\.(49|5)"))


def test_what_is_not_valid_cannot_be_written(page: Page, served: WebServer, box: Box) -> None:
    open_set_up(page, served.url)
    page.get_by_role("button", name="New zone").click()
    press(page, (0.2, 0.2), (0.6, 0.7), (0.6, 0.2), (0.2, 0.7))
    page.get_by_role("button", name="Finish").click()
    expect(page.locator("#faults")).to_contain_text("crosses itself")
    expect(page.get_by_role("button", name="Write")).to_be_disabled()
    page.get_by_role("button", name="Remove zone-1").click()
    expect(page.get_by_role("button", name="Write")).to_be_enabled()
    expect(page.locator("#faults")).to_have_text("")


def test_names_are_never_code(page: Page, served: WebServer, box: Box) -> None:
    open_set_up(page, served.url)
    page.locator("#shape-0-name").fill(HOSTILE.replace("/", ""))
    expect(page.locator("#words")).to_contain_text("onerror")
    page.get_by_role("button", name="Write").click()
    expect(page.locator("#says")).to_contain_text("taken it over")
    page.reload()
    expect(page.locator("#shape-0-name")).to_have_value(HOSTILE)
    expect(page.locator(".name").first).to_have_text(HOSTILE)
    assert page.locator("img, main script").count() == 0
    assert "broken" not in page.title()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_no_fault(page: Page, served: WebServer, box: Box, scheme: Any, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    open_set_up(page, served.url)
    page.get_by_role("button", name="Make a picture").click()
    expect(page.locator("#picture image")).to_be_attached()
    page.locator("#corner-0-0").focus()
    assert [fault["id"] for fault in Axe().run(page).response["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="Check", exact=True).first.click()
    page.get_by_role("button", name="Run check").click()
    expect(page.get_by_role("row", name="camera till")).to_contain_text("ok")
    assert [fault["id"] for fault in Axe().run(page).response["violations"]] == []
    box.wait_for_preview(False)  # leaving the page ends the picture


STATUS, TODAY = "instore/store/box/status", "instore/store/box/today"


def last(messages: list[Received], topic: str) -> Any:
    """The newest payload on a topic."""
    found = [json.loads(message.payload) for message in messages if message.topic == topic]
    return found[-1] if found else {}


def seconds_behind(page: Page, subscriber: Subscriber) -> float:
    """How long after the broker's subscriber the page shows a new number."""
    count = len(subscriber.on(TODAY))
    sent = json.loads(subscriber.wait_for_topic(TODAY, count + 1)[-1])
    begun = time.monotonic()
    expect(page.locator(".card .big").first).to_have_text(str(sent["total"]["released"]))
    return time.monotonic() - begun


def test_the_daemon_takes_over_what_is_drawn_and_the_page_survives_restarts(
    page: Page, problems: list[str], tmp_path: Path
) -> None:
    """A real daemon and a real broker, which are ended and started again under the open page."""
    crowd = write_crowd(tmp_path / "crowd", 6, gap=10)
    port = free_port()
    (tmp_path / "page").write_text(PASSWORD)
    with Mosquitto(tmp_path / "broker") as broker, Subscriber(broker, "instore/#") as subscriber:
        tables = {
            "cameras": [{"name": "door", "source": str(crowd), "max_fps": 5.0, "loop": True}],
            "windows": {"length": 2, "lateness": 3.0},
            "privacy": {"minimum": 1},
            "metrics": {"enabled": False},
            "web": {"enabled": True, "port": port, "password_file": "page", "setup": True},
            "outbox": {"directory": str(tmp_path / "state")},
            "mqtt": {"host": broker.host, "port": broker.port},
        }
        with Daemon(tmp_path, tables, module="tests.painted_daemon") as daemon:
            daemon.wait_for_line(lambda line: "ready" in line)
            open_set_up(page, f"http://127.0.0.1:{port}/")
            page.get_by_role("button", name="Make a picture").click()
            subscriber.wait_for(lambda messages: last(messages, STATUS).get("preview") is True)
            expect(page.locator("#says")).to_have_text(re.compile(r": [1-9]\d* of 60 seconds"))
            page.get_by_role("button", name="End the picture").click()
            subscriber.wait_for(lambda messages: last(messages, STATUS).get("preview") is False)
            page.get_by_role("button", name="New zone").click()
            press(page, (0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9), (0.1, 0.1))
            page.locator("#shape-0-name").fill("shoes")
            expect(page.locator("#words")).to_contain_text("shoes")
            page.get_by_role("button", name="Write").click()
            expect(page.locator("#says")).to_contain_text("the daemon has taken it over")
            assert subscriber.wait_for_topic("instore/store/door/shoes/counts")
            page.get_by_role("link", name="Today").click()
            expect(page.get_by_role("status")).to_have_text("Live")
            assert min(seconds_behind(page, subscriber) for _ in range(3)) < 1.0
            broker.restart()
            seconds_behind(page, subscriber)
            daemon.kill()
            expect(page.get_by_role("status")).to_contain_text("No connection")
        with Daemon(tmp_path, tables, module="tests.painted_daemon") as daemon:
            daemon.wait_for_line(lambda line: "ready" in line)
            page.get_by_label("Password").fill(PASSWORD)  # the sessions were in the memory of the first
            page.keyboard.press("Enter")
            expect(page.get_by_role("row", name="door")).to_contain_text("up")
            page.get_by_role("link", name="Set up").click()
            expect(page.locator("#shape-0-name")).to_have_value("shoes")
            assert daemon.stop() == 0
    assert all("ERR_" in problem or "401" in problem for problem in problems), problems
    problems.clear()
