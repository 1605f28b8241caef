"""A store of two days, made once, and its page in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from edge.config import Settings
from edge.delivery.history import Reader
from edge.types import CameraState
from edge.web.access import Access
from edge.web.app import Page
from tests.edge.web.store import Store, settings
from tests.fakes import ManualClock

BEGIN, NOW = datetime(2026, 1, 30, 5, tzinfo=UTC), datetime(2026, 1, 31, 14, tzinfo=UTC)
PASSWORD = "correct horse battery"


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

    def __init__(self, path: Path, by: Settings, *, password: str | None = None) -> None:
        self.clock = ManualClock(NOW)
        self.stop = threading.Event()
        access = Access(password, self.clock)
        self.page = Page(Reader(path), lambda: by, access, self.clock, stop=self.stop)
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
