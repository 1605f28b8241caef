"""A box with Set up: a camera whose frames come at once, and the folder of its configuration."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from playwright.sync_api import Page

from edge.capture import LatestFrame
from edge.clock import Clock, SystemClock
from edge.commands.demo.scene import Scene, compose
from edge.config import CameraSettings, Settings, load_settings
from edge.config.load import load
from edge.types import Boxes, Frame, Image
from edge.web.server import WebServer
from edge.web.setup.tools import Configured, Finder, Tools
from tests.edge.web.conftest import PASSWORD
from tests.fakes import EPOCH
from tests.patience import PATIENCE

FILE = "conf.d/90-page.toml"
BASE = """
[site]
name = "store-7"
[[cameras]]
name = "entrance"
source = "0"
[[cameras.lines]]
name = "door"
from = [0.2, 0.8]
to = [0.8, 0.8]
[[cameras]]
name = "till"
source = "1"
[web]
password_file = "page"
setup = true
"""
VISIBLE = 3.0
"""Seconds into the demo's scene at which a face is in it."""


def face_in_view(frames: int = 64) -> list[Frame]:
    """A minute in which somebody stands still, with a shadow that moves along the floor."""
    picture = cv2.resize(compose(Scene(), VISIBLE), (640, 360), interpolation=cv2.INTER_AREA)
    return [Frame("entrance", EPOCH + timedelta(seconds=n), _at(picture, n)) for n in range(frames)]


def _at(picture: object, second: int) -> Image:
    image = np.array(picture, np.uint8)
    image[350:, second * 8 : second * 8 + 8] = 0
    return image


class Film:
    """In place of `LatestFrame`: every frame in turn, then none."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = list(frames)

    def take(self, timeout: float) -> Frame | None:
        if self._frames:
            return self._frames.pop(0)
        threading.Event().wait(min(timeout, 0.02))
        return None


class Nobody:
    """A finder that finds nothing."""

    def __call__(self, frame: Frame) -> Boxes:
        return np.zeros((0, 4), np.float32)

    likely = __call__

    def close(self) -> None:
        """Nothing is held."""


class Ahead(SystemClock):
    """The machine's clock, which a test sets ahead."""

    def __init__(self) -> None:
        self.by = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.by


class Box:
    """What the daemon gives to Set up. previews: what was said of previews, in order."""

    def __init__(
        self,
        folder: Path,
        frames: Sequence[Frame] = (),
        find: Callable[[], Finder] = Nobody,
        *,
        base: str = BASE,
    ) -> None:
        self.path = folder / "config.toml"
        self.path.write_text(base.lstrip())
        (folder / "page").write_text(PASSWORD)
        self.folder = folder
        self.previews: queue.Queue[bool] = queue.Queue()
        self.reloads = 0
        self.rejected = False
        self.faults = 0
        self.failure: BaseException | None = None
        self._frames, self._find = frames, find
        self.settings = load_settings(self.path)
        self.tools = Tools(
            Configured(self.path, self.load, self.check), watch=self.watch, find=self.find, start=self.start,
            on_preview=self.previews.put, on_fault=self.fault, reload=self.reload,
            rejected=lambda: self.rejected,
        )  # fmt: skip

    def load(self, drafts: Mapping[Path, str]) -> Settings:
        return load(self.path, drafts=drafts).settings

    def fault(self) -> None:
        self.faults += 1

    def reload(self) -> None:
        self.reloads += 1
        self.settings = load_settings(self.path)

    def check(self, settings: Settings) -> list[dict[str, str]]:
        names = [camera.name for camera in settings.cameras]
        return [{"what": f"camera {name}", "status": "ok", "detail": "640x360"} for name in names]

    def find(self, camera: CameraSettings) -> Finder:
        return self._find()

    @contextmanager
    def watch(self, camera: str) -> Iterator[LatestFrame]:
        frames = [frame for frame in self._frames if frame.camera_id == camera]
        yield cast("LatestFrame", Film(frames))

    def start(self, name: str, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - kept for the test, which fails for it
                self.failure = error

        threading.Thread(target=guarded, name=name, daemon=True).start()

    def wait_for_preview(self, runs: bool) -> None:
        while self.previews.get(timeout=PATIENCE) is not runs:
            pass

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that is said by a thread."""
        for _ in range(int(PATIENCE / 0.01)):
            if holds():
                return
            threading.Event().wait(0.01)
        raise AssertionError("it did not come")


def drawn(**more: Any) -> dict[str, Any]:
    """A zone of the entrance, as the browser sends it."""
    zone = {"name": "shoes", "role": "area", "polygon": [[0.1, 0.1], [0.4, 0.1], [0.4, 0.4]]}
    return {"camera": "entrance", "lines": [], "zones": [zone], **more}


@contextmanager
def served_page(box: Box, clock: Clock, **parts: Any) -> Iterator[WebServer]:
    """The page of the box on a free port, with these parts: `tools`, `audit`."""
    web = box.settings.web.model_copy(update={"port": 0})
    server = WebServer(
        box.folder / "none", box.settings.model_copy(update={"web": web}), beside=box.folder,
        clock=clock, current=lambda: box.settings, **parts,
    )  # fmt: skip
    server.start()
    yield server
    server.stop()
    assert box.failure is None


def log_in(page: Page, url: str) -> None:
    """Open the page, with its password."""
    page.goto(url)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
