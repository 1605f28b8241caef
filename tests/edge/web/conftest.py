"""A store of two days, made once, and its page in this process."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, expect, sync_playwright
from playwright.sync_api import Page as Tab
from werkzeug.test import Client, TestResponse

from edge.clock import Clock
from edge.config import Settings
from edge.delivery.history import Reader
from edge.types import CameraState
from edge.web.access import Access
from edge.web.app import Page
from edge.web.audit.tools import AuditTools
from edge.web.setup.tools import Tools
from tests.edge.web.store import Store, settings
from tests.fakes import ManualClock
from tests.patience import PATIENCE

BEGIN, NOW = datetime(2026, 1, 30, 5, tzinfo=UTC), datetime(2026, 1, 31, 14, tzinfo=UTC)
PASSWORD = "correct horse battery"
MINE = PATIENCE * 1000  # Playwright counts milliseconds


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("store")
    made = Store(folder, settings(folder), BEGIN)
    made.open_until(NOW)
    made.camera("till", CameraState.DARK, "the lens is covered")
    yield made
    made.close()


class Browser:
    """Asks the page, as this computer itself; `clock` stands until somebody waits."""

    def __init__(
        self,
        path: Path,
        by: Settings,
        *,
        password: str | None = None,
        clock: Clock | None = None,
        tools: Tools | None = None,
        audit: AuditTools | None = None,
    ) -> None:
        self.clock = ManualClock(NOW)
        self.stop = threading.Event()
        self.access = Access(password, clock or self.clock)
        self.page = Page(
            Reader(path), lambda: by, self.access, clock or self.clock,
            stop=self.stop, tools=tools, audit=audit,
        )  # fmt: skip
        self._client = Client(self.page)

    def ask(self, path: str) -> Any:
        """The JSON of an answer."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json

    def get(self, path: str, host: str = "localhost:9109", **more: Any) -> TestResponse:
        return self._client.get(path, base_url=f"http://{host}", **more)

    def post(self, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self._client.post(path, json=body, base_url="http://localhost:9109", **more)

    def log_in(self, password: str = PASSWORD) -> TestResponse:
        return self.post("/api/login", {"password": password})


@pytest.fixture
def browser(store: Store) -> Browser:
    return Browser(store.history._path, store.settings)


@pytest.fixture
def guarded(store: Store) -> Browser:
    """A page with a password."""
    return Browser(store.history._path, store.settings, password=PASSWORD)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("chromium is not installed: make system-packages")
    with sync_playwright() as driver:
        yield driver.chromium.launch(executable_path=program, args=["--no-sandbox"])


@pytest.fixture
def context(chromium: Chromium) -> Iterator[BrowserContext]:
    with chromium.new_context() as made:
        made.set_default_timeout(MINE)
        expect.set_options(timeout=MINE)
        yield made


@pytest.fixture
def problems() -> list[str]:
    """What the browser found wrong with the page, or with the connection."""
    return []


@pytest.fixture
def page(context: BrowserContext, problems: list[str]) -> Iterator[Tab]:
    """An empty tab; its test fails where a program of the page does, or its policy forbids something."""
    tab = context.new_page()
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    yield tab
    assert problems == []
