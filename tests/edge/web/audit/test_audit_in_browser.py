"""The audit in a real browser: begin, count, end, compare, publish; with the keyboard alone as well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from edge.web.server import WebServer
from tests.edge.web.audit.scene import AuditedBox
from tests.edge.web.setup.scene import Ahead, face_in_view, log_in, served_page


@pytest.fixture
def box(tmp_path: Path) -> AuditedBox:
    return AuditedBox(tmp_path, face_in_view(40))


@pytest.fixture
def clock(box: AuditedBox) -> Ahead:
    return box.clock


@pytest.fixture
def served(box: AuditedBox, clock: Ahead) -> Iterator[WebServer]:
    with served_page(box, clock, audit=box.audit) as server:
        yield server


def open_audit(page: Page, url: str) -> None:
    log_in(page, url)
    page.get_by_role("link", name="Audit").click()
    expect(page.get_by_role("heading", name="Count visitors yourself")).to_be_visible()


def faults(page: Page) -> list[str]:
    """What axe finds, in both schemes; and whether the page is wider than a phone."""
    found = []
    page.set_viewport_size({"width": 390, "height": 900})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        found += [fault["id"] for fault in Axe().run(page).response["violations"]]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return found


def test_a_round_by_keyboard_alone(page: Page, served: WebServer, box: AuditedBox, clock: Ahead) -> None:
    for _ in range(4):
        box.book.add("entrance", box.setup, 6, 6)
    open_audit(page, served.url)
    page.locator("#begin").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#live")).to_be_visible()
    expect(page.locator("#one")).to_be_focused()
    for _ in range(31):
        page.keyboard.press("Space")
    page.locator("#less").press("Enter")
    expect(page.locator("#number")).to_have_text("30")
    assert faults(page) == []
    expect(page.locator("#live")).to_have_attribute("src", re.compile(r"=([3-9]|\d\d)$"))
    box.leave(*[0.5] * 28)
    for _second in range(4):
        with page.expect_response("**/api/audit/round"):
            box.pass_time(20)
    with page.expect_response(re.compile("picture")):
        pass
    page.locator("#end").press("Enter")
    expect(page.get_by_label("Your count")).to_have_value("30")
    expect(page.locator("#live")).to_be_hidden()
    assert faults(page) == []
    expect(page.get_by_label("Your count")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#says")).to_have_text("The box ends its count.")
    box.pass_time(10)
    expect(page.locator("#says")).to_have_text("You counted 30, the box 28.")
    row = page.get_by_role("row", name="entrance")
    expect(row).to_contain_text("-4 % (95 % interval ")
    assert faults(page) == []
    page.get_by_role("button", name="Publish a result").press("Enter")
    expect(row).to_contain_text(re.compile(r"\d{4}-\d\d-\d\d: -4 % of 50 visitors"))
    expect(page.locator("#says")).to_contain_text("status has a new result of entrance")
    assert box.published == 1


def test_leaving_the_page_drops_the_round(page: Page, served: WebServer, box: AuditedBox) -> None:
    open_audit(page, served.url)
    page.get_by_role("button", name="Begin a round").click()
    box.wait_for_preview(True)
    page.get_by_role("link", name="Today").click()
    box.wait_for_preview(False)
    assert not box.state.exists()
