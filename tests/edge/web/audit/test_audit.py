"""The audit of the page: who may use it, that the person counts first, and what is shown and kept."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.config import load_settings
from edge.errors import ConfigurationError, OutsideError
from edge.types import Frame
from edge.vision.detect.mediapipe import MediaPipeDetector
from edge.vision.setup.masked import WIDEST, LiveFaces
from edge.vision.track import HIDDEN_FOR
from edge.web.audit import rounds, tools
from edge.web.audit.rounds import LONGEST, SHORTEST, UNATTENDED
from edge.web.audit.rounds import PATIENCE as WAITS
from edge.web.audit.tools import setup_of
from tests.edge.web.audit.scene import AuditedBox
from tests.edge.web.conftest import PASSWORD, Browser
from tests.edge.web.setup.scene import face_in_view
from tests.patience import PATIENCE

FRAMES = 8
STEP = 20.0
"""Seconds in one leap of the clock; a page that asks for nothing for 30 is gone."""


class User(Browser):
    """Somebody who has logged in and makes audits."""

    def __init__(self, box: AuditedBox) -> None:
        self.box, self.ahead = box, box.clock
        super().__init__(
            box.folder / "none", box.settings, password=PASSWORD, clock=self.ahead, audit=box.audit
        )
        assert self.log_in().status_code == 200

    def wait_for(self, state: str) -> Any:
        """The round, as the page waits for it."""
        pause = threading.Event()
        for _ in range(int(PATIENCE / 0.02)):
            found = self.ask("/api/audit/round")
            assert self.box.failure is None
            if found["state"] == state:
                return found
            pause.wait(0.02)
        raise AssertionError(found)

    def begin(self, pictures: int = 1) -> None:
        """Begin a round, and look at so many pictures."""
        assert self.post("/api/audit/begin", {"camera": "entrance"}).status_code == 200
        self.box.wait_until(lambda: self.ask("/api/audit/round").get("pictures", 0) >= pictures)

    def last(self, seconds: float) -> None:
        """Look on for so long, and at one more picture."""
        for _ in range(int(seconds / STEP) + 1):
            self.box.pass_time(STEP)
            pictures = self.ask("/api/audit/round")["pictures"]
        self.box.wait_until(lambda: self.ask("/api/audit/round")["pictures"] >= pictures + 2)

    def end(self) -> None:
        self.last(SHORTEST)
        self.post("/api/audit/end", {})
        self.wait_for("asked")

    def come_to_the_end(self) -> None:
        """Let the camera pass the end of the tracks."""
        self.box.pass_time(HIDDEN_FOR.total_seconds() + 1)

    def count(self, seen: int) -> Any:
        """Enter a count, and wait for the box's."""
        self.come_to_the_end()
        assert self.post("/api/audit/count", {"seen": seen}).status_code == 200
        return self.wait_for("done")

    def round(self, seen: int) -> Any:
        """A whole round."""
        self.begin()
        self.end()
        return self.count(seen)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures come sooner one after another."""
    monkeypatch.setattr(rounds, "EVERY", 0.02)


@pytest.fixture(scope="module")
def minute() -> list[Frame]:
    return face_in_view(FRAMES)


@pytest.fixture
def box(tmp_path: Path, minute: list[Frame]) -> AuditedBox:
    return AuditedBox(tmp_path, minute)


@pytest.fixture
def user(box: AuditedBox) -> Iterator[User]:
    user = User(box)
    yield user
    user.stop.set()
    user.page.close()
    assert box.failure is None


class TestWho:
    ASKED = ("/audit", "/api/audit", "/api/audit/round", "/api/audit/picture")
    SENT = ("begin", "end", "drop", "count", "publish")

    def test_without_the_key_there_is_no_audit(self, guarded: Browser) -> None:
        guarded.log_in()
        assert [guarded.get(path).status_code for path in self.ASKED] == [404] * len(self.ASKED)
        assert [guarded.post(f"/api/audit/{path}", {}).status_code for path in self.SENT] == [404] * 5

    def test_the_key_needs_a_password(self) -> None:
        tables = {"cameras": [{"name": "door", "source": "0"}], "web": {"audit": True}}
        with pytest.raises(ConfigurationError, match="the audit needs 'password_file'"):
            load_settings(None, instead=tables)

    def test_nobody_without_a_session_gets_anything(self, user: User) -> None:
        user.post("/api/logout", {})
        assert user.get("/audit").status_code == 303
        assert [user.get(path).status_code for path in self.ASKED[1:]] == [401] * 3
        assert [user.post(f"/api/audit/{path}", {}).status_code for path in self.SENT] == [401] * 5

    def test_another_session_gets_neither_picture_nor_round(self, user: User) -> None:
        user.begin()
        user._client = type(user._client)(user.page)
        assert user.log_in().status_code == 200
        assert user.get("/api/audit/picture").status_code == 404
        assert user.ask("/api/audit/round") == {"state": "none"}
        assert user.post("/api/audit/begin", {"camera": "entrance"}).status_code == 409
        assert user.post("/api/audit/begin", {"camera": "none"}).status_code == 400


class TestBlind:
    def test_the_box_counts_who_left_while_the_picture_was_there(self, user: User) -> None:
        user.box.leave(-1.0, 0.0)  # before, and with the first picture
        user.begin(pictures=3)
        user.box.leave(0.5, 1.5, 60.0, 900.0)
        user.end()
        found = user.count(4)
        assert (found["seen"], found["counted"]) == (4, 3)
        (entrance, till) = user.ask("/api/audit")["cameras"]
        assert (entrance["sums"]["rounds"], till["sums"]["rounds"]) == (1, 0)
        sums = user.box.book.audit("entrance", user.box.setup).sums
        assert (sums.seen, sums.counted) == (4, 3)

    def test_nothing_of_the_box_is_answered_before_the_person_has_counted(self, user: User) -> None:
        user.begin(pictures=2)
        user.box.leave(*[0.5] * 7)
        assert user.post("/api/audit/count", {"seen": 3}).status_code == 409  # the picture is still there
        user.end()
        user.come_to_the_end()
        user.wait_for("asked")
        answers = [user.get("/api/audit/round").text, user.get("/api/audit").text]
        assert all('"counted":7' not in answer for answer in answers)
        assert user.post("/api/audit/count", {"seen": "7"}).status_code == 400
        assert user.post("/api/audit/count", {"seen": 3}).status_code == 200
        assert user.post("/api/audit/count", {"seen": 7}).status_code == 409  # there is no second try
        assert user.wait_for("done")["counted"] == 7

    def test_the_box_waits_for_the_tracks_that_end(self, user: User) -> None:
        user.begin()
        user.end()
        user.post("/api/audit/count", {"seen": 1})
        user.ahead.by += UNATTENDED - 10  # the camera is late
        assert user.wait_for("asked")["counted"] is None
        user.box.leave(30.0)
        user.box.pass_time(0)
        assert user.wait_for("done")["counted"] == 1

    def test_a_camera_that_does_not_come_to_the_end_gives_no_round(self, user: User) -> None:
        user.begin()
        user.end()
        user.post("/api/audit/count", {"seen": 1})
        for _ in range(4):
            user.ask("/api/audit/round")
            user.ahead.by += WAITS / 3
        assert "did not come to the end" in user.wait_for("failed")["reason"]
        assert not user.box.state.exists()

    def test_a_round_may_be_left_out_before_the_count_and_not_after(self, user: User) -> None:
        user.begin()
        assert user.post("/api/audit/drop", {}).status_code == 200
        user.box.wait_for_preview(False)
        user.box.wait_until(lambda: user.post("/api/audit/begin", {"camera": "entrance"}).status_code == 200)
        user.box.wait_until(lambda: user.ask("/api/audit/round").get("pictures", 0) >= 1)
        user.end()
        user.post("/api/audit/count", {"seen": 1})
        assert user.post("/api/audit/drop", {}).status_code == 409
        user.come_to_the_end()
        user.wait_for("done")
        assert user.ask("/api/audit")["cameras"][0]["sums"]["rounds"] == 1

    def test_a_camera_without_a_picture_gives_no_round(self, user: User) -> None:
        assert user.post("/api/audit/begin", {"camera": "till"}).status_code == 200
        user.post("/api/audit/end", {})
        assert "no picture" in user.wait_for("failed")["reason"]
        assert not user.box.state.exists()

    def test_a_short_round_shows_no_number(self, user: User) -> None:
        user.begin(pictures=2)
        user.box.leave(*[0.5] * 7)
        user.post("/api/audit/end", {})
        found = user.wait_for("failed")
        assert (found["reason"], found["counted"]) == (
            "not done: the round was shorter than 60 s, so it is left out", None,
        )  # fmt: skip
        assert not user.box.state.exists()

    @pytest.mark.parametrize("seconds", [-3.0, 20.0])
    def test_a_clock_that_is_set_in_a_round_gives_none(self, user: User, seconds: float) -> None:
        user.begin()
        user.box.set_by = seconds
        assert "the clock of the box was set" in user.wait_for("failed")["reason"]

    @pytest.mark.parametrize("seconds", [-40.0, 20.0])
    def test_nor_does_one_that_is_set_before_the_tracks_have_ended(self, user: User, seconds: float) -> None:
        """Set back, visitors who come later would be of the round; set ahead, it would not be waited for."""
        user.begin()
        user.end()
        user.box.pass_time(1)
        user.box.set_by = seconds
        user.box.pass_time(1)
        assert "the clock of the box was set" in user.wait_for("failed")["reason"]

    def test_settings_that_change_in_a_round_give_none(self, user: User) -> None:
        user.begin()
        user.end()
        user.box.setup = "another"
        user.come_to_the_end()
        user.post("/api/audit/count", {"seen": 3})
        assert "settings of the camera" in user.wait_for("failed")["reason"]

    def test_where_no_thread_starts_the_next_round_may_begin(self, box: AuditedBox, monkeypatch: Any) -> None:
        monkeypatch.setattr(box, "start", lambda *_: _fail(RuntimeError("can't start new thread")))
        user = User(AuditedBox(box.folder, ()))
        begin = partial(user.post, "/api/audit/begin", {"camera": "entrance"})
        object.__setattr__(user.box.audit, "start", box.start)
        with pytest.raises(RuntimeError, match="new thread"):
            begin()
        object.__setattr__(user.box.audit, "start", user.box.start)
        assert begin().status_code == 200
        user.stop.set()
        user.page.close()

    def test_a_fault_of_the_pictures_library_ends_the_round_alone(self, user: User, monkeypatch: Any) -> None:
        monkeypatch.setattr(cv2, "imencode", lambda *_: _fail(cv2.error("out of memory")))
        user.post("/api/audit/begin", {"camera": "entrance"})
        assert user.wait_for("failed")["reason"] == "not done: out of memory"

    def test_a_detector_that_does_not_open_gives_none(self, tmp_path: Path) -> None:
        """The test's `start` is the daemon's: what its thread raises would end the daemon."""

        def broken() -> Any:
            raise OutsideError("no graph")

        user = User(AuditedBox(tmp_path, (), broken))
        user.post("/api/audit/begin", {"camera": "entrance"})
        assert user.wait_for("failed")["reason"] == "not done: no graph"
        user.box.wait_for_preview(True)
        user.box.wait_for_preview(False)


class TestPicture:
    def test_faces_are_coarse(self, tmp_path: Path, minute: list[Frame]) -> None:
        camera = AuditedBox(tmp_path).settings.cameras[0]
        box = AuditedBox(tmp_path, minute, lambda: LiveFaces(camera))
        user = User(box)
        user.begin()
        answer = user.get("/api/audit/picture")
        assert answer.headers["Cache-Control"] == "no-store"
        shown = cv2.imdecode(np.frombuffer(answer.data, np.uint8), cv2.IMREAD_COLOR)
        assert shown is not None and max(shown.shape) == WIDEST
        detector = MediaPipeDetector("far", 0.3)
        (face, *_) = detector.detect(minute[0].image).xyxy * WIDEST / 640
        left, top, right, bottom = face.round().astype(int)
        assert right - left > 8
        plain = cv2.resize(minute[0].image, shown.shape[1::-1], interpolation=cv2.INTER_AREA)
        fine, coarse = (_steps(image[top:bottom, left:right]) for image in (plain, shown))
        assert coarse < fine / 3
        detector.close()
        user.post("/api/audit/drop", {})
        user.box.wait_for_preview(True)
        user.box.wait_for_preview(False)

    def test_it_is_in_memory_only_and_goes_with_the_round(self, user: User, monkeypatch: Any) -> None:
        opened: list[object] = []
        hook = os.open
        before = sorted(user.box.folder.rglob("*"))

        def watched(path: Any, flags: int, *more: Any, **named: Any) -> int:
            opened.extend([path] if flags & (os.O_WRONLY | os.O_RDWR) else [])
            return hook(path, flags, *more, **named)

        monkeypatch.setattr(os, "open", watched)
        monkeypatch.setattr(cv2, "imwrite", lambda *_: pytest.fail("a picture is written"))
        user.begin()
        assert user.get("/api/audit/picture").status_code == 200
        assert opened == []
        user.end()
        assert (user.get("/api/audit/picture").status_code, user.get("/api/audit/picture").data) == (204, b"")
        assert sorted(user.box.folder.rglob("*")) == before
        assert [user.box.previews.get(timeout=PATIENCE) for _ in range(2)] == [True, False]

    @pytest.mark.parametrize(
        "leave",
        [
            lambda user: user.post("/api/logout", {}),
            lambda user: setattr(user.ahead, "by", UNATTENDED + 1),
        ],
        ids=["logged out", "gone"],
    )
    def test_it_goes_where_nobody_is_there(self, user: User, leave: Any) -> None:
        user.begin()
        leave(user)
        user.box.wait_for_preview(True)
        user.box.wait_for_preview(False)
        user.log_in()
        assert user.ask("/api/audit/round") == {"state": "none"}
        assert not user.box.state.exists()

    def test_a_round_ends_with_its_time(self, user: User) -> None:
        user.begin()
        user.last(SHORTEST)
        for _ in range(int(LONGEST / STEP) + 1):
            user.box.pass_time(STEP)
            user.ask("/api/audit/round")
        user.wait_for("asked")
        assert user.ask("/api/audit/round")["seconds"] >= LONGEST


def _fail(error: Exception) -> Any:
    raise error


def _steps(part: Any) -> float:
    """The share of neighbours in a row that differ; JPEG blurs the edges of blocks."""
    return float((np.abs(np.diff(part.astype(int), axis=1)).max(axis=2) > 6).mean())


class TestResult:
    def test_rounds_add_up_until_there_are_enough(self, user: User) -> None:
        book, setup = user.box.book, user.box.setup
        for _ in range(4):
            book.add("entrance", setup, 10, 8)
        sums = user.ask("/api/audit")["cameras"][0]["sums"]
        assert (sums["rounds"], sums["error"]) == (4, None)
        assert user.post("/api/audit/publish", {"camera": "entrance"}).status_code == 409
        user.round(0)
        found = user.ask("/api/audit")["cameras"][0]
        assert found["sums"]["error"]["share"] == -20
        assert found["since"] == {"rounds": 5, "is_enough": True}
        answer = user.post("/api/audit/publish", {"camera": "entrance"})
        assert answer.json
        entrance = answer.json["cameras"][0]
        assert (entrance["last"]["visits"], entrance["last"]["error"], entrance["last"]["epsilon"]) == (
            40, -20, 1,
        )  # fmt: skip
        assert entrance["sums"] == found["sums"]
        assert entrance["since"] == {
            "rounds": 0,
            "is_enough": False,
        }
        assert user.box.published == 1
        assert user.post("/api/audit/publish", {"camera": "entrance"}).status_code == 409

    def test_no_count_is_answered_but_that_of_a_round_to_its_session(self, user: User) -> None:
        user.box.leave(5, 6, 7)
        assert user.round(4)["counted"] == 3
        user._client = type(user._client)(user.page)
        assert user.log_in().status_code == 200
        assert user.ask("/api/audit/round") == {"state": "none"}
        sums = user.ask("/api/audit")["cameras"][0]["sums"]
        assert sums == {
            "rounds": 1,
            "error": None,
            "level": 0.95,
            "reason": "no error is stated below 30 visitors and 5 rounds; 1 round so far",
        }

    def test_what_is_kept_is_counts_alone(self, user: User) -> None:
        user.round(5)
        assert oct(user.box.state.stat().st_mode & 0o777) == "0o600"
        kept = json.loads(user.box.state.read_text())
        assert set(kept["cameras"]["entrance"]["sums"]) == {
            *("rounds", "seen", "counted", "missed", "extra", "squares", "products", "seen_squares")
        }
        assert kept["cameras"]["entrance"]["last"] is None
        assert kept["version"] == 1


def test_the_audit_is_of_a_camera_as_it_counts_now(box: AuditedBox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines change nobody who is counted; no secret is in it. A later version may count others."""
    camera, settings = box.settings.cameras[0], box.settings
    setup = setup_of(camera, settings, "faces 1")
    assert (
        setup_of(camera.model_copy(update={"lines": (), "password_file": "p"}), settings, "faces 1") == setup
    )
    score = settings.detection.model_copy(update={"min_score": 0.6})
    others = {
        setup_of(camera.model_copy(update={"source": "1"}), settings, "faces 1"),
        setup_of(camera, settings.model_copy(update={"detection": score}), "faces 1"),
        setup_of(camera, settings, "faces 2"),
    }
    monkeypatch.setattr(tools, "COUNTED_AS", tools.COUNTED_AS + 1)
    others.add(setup_of(camera, settings, "faces 1"))
    assert len(others - {setup}) == 4
    assert re.fullmatch("[0-9a-f]{16}", setup)
