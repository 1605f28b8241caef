"""The audit of the page: who may use it, that the person counts first, and what is shown and kept."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
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
from edge.web.audit.rounds import LONGEST, MARGIN, UNATTENDED
from tests.edge.web.audit.scene import AuditedBox
from tests.edge.web.conftest import PASSWORD, Browser
from tests.edge.web.setup.scene import Ahead, face_in_view
from tests.patience import PATIENCE

FRAMES = 8


class User(Browser):
    """Somebody who has logged in and makes audits."""

    def __init__(self, box: AuditedBox) -> None:
        self.box, self.ahead = box, Ahead()
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

    def end(self) -> None:
        self.post("/api/audit/end", {})
        self.wait_for("asked")

    def round(self, seen: int) -> Any:
        """A whole round."""
        self.begin()
        self.end()
        self.ahead.by += self.box.settings.tracking.lost_after + MARGIN
        assert self.post("/api/audit/count", {"seen": seen}).status_code == 200
        return self.wait_for("done")


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
        user.box.leave(0.5, 1.5, 2.0, 60.0)
        user.end()
        user.ahead.by += user.box.settings.tracking.lost_after + MARGIN
        user.post("/api/audit/count", {"seen": 4})
        found = user.wait_for("done")
        assert (found["seen"], found["counted"]) == (4, 3)
        (entrance, till) = user.ask("/api/audit")["cameras"]
        assert (entrance["sums"]["seen"], entrance["sums"]["counted"]) == (4, 3)
        assert till["sums"]["rounds"] == 0

    def test_nothing_of_the_box_is_answered_before_the_person_has_counted(self, user: User) -> None:
        user.begin(pictures=2)
        user.box.leave(*[0.5] * 7)
        assert user.post("/api/audit/count", {"seen": 3}).status_code == 409  # the picture is still there
        user.end()
        user.ahead.by += UNATTENDED - 10
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
        assert user.wait_for("asked")["counted"] is None
        user.box.leave(0.0)
        user.ahead.by += user.box.settings.tracking.lost_after + MARGIN
        user.wait_for("done")

    def test_a_round_may_be_left_out_before_the_count_and_not_after(self, user: User) -> None:
        user.begin()
        assert user.post("/api/audit/drop", {}).status_code == 200
        user.box.wait_for_preview(False)
        user.box.wait_until(lambda: user.post("/api/audit/begin", {"camera": "entrance"}).status_code == 200)
        user.box.wait_until(lambda: user.ask("/api/audit/round").get("pictures", 0) >= 1)
        user.end()
        user.post("/api/audit/count", {"seen": 1})
        assert user.post("/api/audit/drop", {}).status_code == 409
        user.ahead.by += UNATTENDED - 10
        user.wait_for("done")
        assert user.ask("/api/audit")["cameras"][0]["sums"]["rounds"] == 1

    def test_a_camera_without_a_picture_gives_no_round(self, user: User) -> None:
        assert user.post("/api/audit/begin", {"camera": "till"}).status_code == 200
        user.post("/api/audit/end", {})
        assert "no picture" in user.wait_for("failed")["reason"]
        assert not user.box.state.exists()

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
        for _ in range(int(LONGEST / 20) + 1):
            user.ahead.by += 20
            user.ask("/api/audit/round")
        user.wait_for("asked")


def _steps(part: Any) -> float:
    """The share of neighbours in a row that differ; JPEG blurs the edges of blocks."""
    return float((np.abs(np.diff(part.astype(int), axis=1)).max(axis=2) > 6).mean())


class TestResult:
    def test_rounds_add_up_until_there_are_thirty(self, user: User) -> None:
        user.round(20)
        assert user.post("/api/audit/publish", {"camera": "entrance"}).status_code == 409
        user.box.leave(*[0.0] * 9)
        user.begin(pictures=2)
        user.box.leave(*[0.5] * 9)
        user.end()
        user.ahead.by += user.box.settings.tracking.lost_after + MARGIN
        user.post("/api/audit/count", {"seen": 14})
        user.wait_for("done")
        sums = user.ask("/api/audit")["cameras"][0]["sums"]
        assert (sums["rounds"], sums["seen"], sums["counted"]) == (2, 34, 9)
        assert sums["error"]["share"] == pytest.approx(-25 / 34, abs=1e-3)
        answer = user.post("/api/audit/publish", {"camera": "entrance"})
        assert answer.json
        entrance = answer.json["cameras"][0]
        assert entrance["last"]["visits"] == 30
        assert entrance["last"]["error"] == -50
        assert entrance["sums"]["rounds"] == 0  # the next audit has visitors of its own
        assert user.box.published == 1
        assert user.post("/api/audit/publish", {"camera": "entrance"}).status_code == 409

    def test_what_is_kept_is_counts_alone(self, user: User) -> None:
        user.round(5)
        assert oct(user.box.state.stat().st_mode & 0o777) == "0o600"
        kept = json.loads(user.box.state.read_text())
        assert set(kept["cameras"]["entrance"]["sums"]) == {
            *("rounds", "seen", "counted", "missed", "extra", "squares", "products", "seen_squares")
        }
        assert kept["cameras"]["entrance"]["last"] is None
