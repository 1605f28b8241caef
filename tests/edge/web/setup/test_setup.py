"""Set up: who may use it, what becomes of a still, and what is written."""

from __future__ import annotations

import os
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.config import CameraSettings, load_settings
from edge.errors import ConfigurationError
from edge.inference.onnxruntime import FAULTS
from edge.types import Boxes, Frame
from edge.vision.detect.mediapipe import MediaPipeDetector
from edge.vision.detect.onnx import OnnxDetector
from edge.vision.setup.still import GREY, WIDEST, DetectorError, FaceLikes
from edge.web.setup.drawing import drawing_of
from edge.web.setup.stills import LONGEST, UNATTENDED
from tests.edge.web.conftest import PASSWORD, Browser
from tests.edge.web.setup.scene import FILE, Ahead, Box, Nobody, drawn, face_in_view
from tests.patience import PATIENCE


class User(Browser):
    """Somebody who has logged in. box: whose page it is."""

    def __init__(self, box: Box) -> None:
        self.box, self.ahead = box, Ahead()
        super().__init__(
            box.folder / "none", box.settings, password=PASSWORD, clock=self.ahead, tools=box.tools
        )
        self.page._settings = lambda: box.settings
        self.page._setup._settings = lambda: box.settings
        assert self.log_in().status_code == 200

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return super().post(path, body, **more)

    def make_still(self, until: str = "ready") -> Any:
        """Ask for a still, and wait as the page does."""
        answer = self.post("/api/setup/still", {"camera": "entrance"})
        assert answer.status_code == 200
        pause = threading.Event()
        for _ in range(int(PATIENCE / 0.05)):
            found = self.ask("/api/setup/still")
            assert self.box.failure is None
            if found["state"] in (until, "none"):
                break
            pause.wait(0.05)
        assert found["state"] == until, found
        return found

    def write(self, body: dict[str, Any]) -> Any:
        """Write a drawing that was begun on what there is now."""
        cameras = {one["name"]: one["version"] for one in self.ask("/api/setup")["cameras"]}
        return self.post("/api/setup/write", {"version": cameras.get(body["camera"], "gone"), **body})

    def picture(self, number: int) -> Any:
        return self.get(f"/api/setup/picture?number={number}")


@pytest.fixture(scope="module")
def minute() -> list[Frame]:
    return face_in_view()


@pytest.fixture
def box(tmp_path: Path, minute: list[Frame]) -> Box:
    return Box(tmp_path, minute)


@pytest.fixture
def user(box: Box) -> Iterator[User]:
    user = User(box)
    yield user
    user.stop.set()
    user.page.close()


class TestWho:
    ASKED = ("/setup", "/check", "/api/setup", "/api/setup/still", "/api/setup/picture", "/api/setup/check")
    SENT = ("draft", "write", "still", "still/end", "check")

    def test_without_the_key_there_is_no_set_up(self, guarded: Browser) -> None:
        guarded.log_in()
        assert [guarded.get(path).status_code for path in self.ASKED] == [404] * len(self.ASKED)
        assert [guarded.post(f"/api/setup/{path}", {}).status_code for path in self.SENT] == [404] * 5

    def test_the_key_needs_a_password(self) -> None:
        tables = {"cameras": [{"name": "door", "source": "0"}], "web": {"setup": True}}
        with pytest.raises(ConfigurationError, match="Set up needs 'password_file'"):
            load_settings(None, instead=tables)

    def test_nobody_without_a_session_gets_anything(self, user: User) -> None:
        user.post("/api/logout", {})
        assert user.get("/setup").status_code == 303
        assert [user.get(path).status_code for path in self.ASKED[2:]] == [401] * 4
        assert [user.post(f"/api/setup/{path}", {}).status_code for path in self.SENT] == [401] * 5

    def test_another_site_cannot_make_a_browser_write(self, user: User) -> None:
        elsewhere = {"Origin": "http://elsewhere.example"}
        for path in self.SENT:
            assert user.post(f"/api/setup/{path}", drawn(), headers=elsewhere).status_code == 403
        answer = user._client.post("/api/setup/write", data="{}", base_url="http://localhost:9109")
        assert answer.status_code == 400  # a form cannot send JSON
        assert not (user.box.folder / FILE).exists()


class TestStill:
    def test_the_face_of_who_stays_is_covered(self, tmp_path: Path, minute: list[Frame]) -> None:
        box = Box(tmp_path, minute)
        box.tools = _replaced(box, find=FaceLikes)
        user = User(box)
        found = user.make_still()
        answer = user.picture(found["number"])
        still = cv2.imdecode(np.frombuffer(answer.data, np.uint8), cv2.IMREAD_COLOR)
        assert still is not None and max(still.shape) <= WIDEST
        (left, top, right, bottom), *_ = (_faces(minute[0]) * WIDEST / 640).round().astype(int)
        assert right - left > 8
        assert (still[top:bottom, left:right] == GREY).all()
        assert len(_faces(Frame("still", minute[0].captured_at, np.asarray(still, np.uint8)))) == 0
        user.stop.set()

    def test_a_still_on_which_faces_are_left_is_never_shown(
        self, tmp_path: Path, minute: list[Frame]
    ) -> None:
        places = iter(range(20, 10_000, 7))

        class Elsewhere:
            """Finds another place each time, so that covering ends nothing."""

            def __call__(self, frame: Frame) -> Boxes:
                x = next(places) % 400
                return np.array([(x, 40, x + 3, 43)], np.float32)

            likely = __call__

            def close(self) -> None:
                """Nothing is held."""

        user = User(Box(tmp_path, minute, Elsewhere))
        found = user.make_still("failed")
        assert found["reason"] == "not shown: something like a face is left on it"
        assert user.picture(found["number"]).status_code == 404
        user.stop.set()

    def test_it_is_in_memory_only_and_never_cached(self, user: User, monkeypatch: Any) -> None:
        opened: list[tuple[object, int]] = []
        hook = os.open
        before = sorted(user.box.folder.rglob("*"))

        def watched(path: Any, flags: int, *more: Any, **named: Any) -> int:
            opened.append((path, flags))
            return hook(path, flags, *more, **named)

        monkeypatch.setattr(os, "open", watched)
        monkeypatch.setattr(cv2, "imwrite", lambda *_: pytest.fail("a picture is written"))
        answer = user.picture(user.make_still()["number"])
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Type"] == "image/png"
        assert [path for path, flags in opened if flags & (os.O_WRONLY | os.O_RDWR)] == []
        assert sorted(user.box.folder.rglob("*")) == before

    def test_it_goes_with_the_session(self, user: User) -> None:
        number = user.make_still()["number"]
        user.box.wait_for_preview(True)
        user.post("/api/logout", {})
        user.box.wait_for_preview(False)
        user.log_in()
        assert user.picture(number).status_code == 404
        assert user.ask("/api/setup/still") == {"state": "none"}

    @pytest.mark.parametrize("seconds", [UNATTENDED, LONGEST])
    def test_it_goes_where_nobody_looks_any_more_and_with_the_time(self, user: User, seconds: float) -> None:
        number = user.make_still()["number"]
        assert user.picture(number).status_code == 200
        user.ahead.by += seconds + 1
        user.box.wait_for_preview(False)
        assert user.picture(number).status_code == 404

    def test_it_ends_when_it_is_asked_to(self, user: User) -> None:
        number = user.make_still()["number"]
        user.post("/api/setup/still/end", {})
        assert user.picture(number).status_code == 404
        user.box.wait_for_preview(False)

    def test_another_session_does_not_get_it(self, user: User, box: Box) -> None:
        number = user.make_still()["number"]
        other = user._client
        user._client = type(other)(user.page)
        assert user.log_in().status_code == 200
        assert user.picture(number).status_code == 404
        assert user.ask("/api/setup/still") == {"state": "none"}
        assert user.post("/api/setup/still", {"camera": "entrance"}).status_code == 409

    @pytest.mark.parametrize(
        "error", [OSError("no space left"), DetectorError("the detector failed"), MemoryError("no memory")]
    )
    def test_a_fault_outside_makes_none_and_is_counted(self, tmp_path: Path, error: Exception) -> None:
        """The test's `start` is the daemon's: what its thread raises would end the daemon."""

        def broken() -> Any:
            raise error

        user = User(Box(tmp_path, (), broken))
        assert user.make_still("failed")["reason"] == f"not made: {error}"
        assert user.box.faults == 1
        user.post("/api/setup/still/end", {})
        user.box.wait_for_preview(False)

    @pytest.mark.parametrize(
        ("engine", "detector", "error"),
        [
            ("onnxruntime", OnnxDetector, FAULTS[0]("no kernel")),
            ("mediapipe", MediaPipeDetector, RuntimeError("no graph")),
            ("mediapipe", MediaPipeDetector, MemoryError("no memory")),
        ],
    )
    def test_a_detector_that_fails_on_a_picture_is_a_fault_outside(
        self, monkeypatch: Any, minute: list[Frame], engine: str, detector: type, error: Exception
    ) -> None:
        def broken(*_: object) -> Any:
            raise error

        monkeypatch.setattr(detector, "detect", broken)
        find = FaceLikes(CameraSettings(name="door", source="0"), engine)
        with closing(find), pytest.raises(DetectorError, match=f"the detector failed: .*{error}"):
            find(minute[0])

    def test_a_bug_in_the_thread_of_a_still_ends_the_daemon(self, tmp_path: Path) -> None:
        def broken() -> Any:
            raise ValueError("a bug")

        box = Box(tmp_path, (), broken)
        User(box).post("/api/setup/still", {"camera": "entrance"})
        box.wait_until(lambda: box.failure is not None)
        assert str(box.failure) == "a bug"
        assert box.faults == 0

    def test_a_session_has_one_thread_and_one_detector_at_a_time(self, tmp_path: Path) -> None:
        opened, go_on = list[int](), threading.Event()

        class Slow(Nobody):
            def __init__(self) -> None:
                opened.append(1)
                assert go_on.wait(PATIENCE)

        user, box = (made := User(Box(tmp_path, (), Slow))), made.box
        for _ in range(20):
            assert user.post("/api/setup/still", {"camera": "entrance"}).json["state"] == "making"
        assert sum(thread.name.startswith("still") for thread in threading.enumerate()) == 1
        go_on.set()
        user.post("/api/setup/still/end", {})
        box.wait_for_preview(False)
        assert len(opened) <= 2  # those that were replaced before their turn open none
        assert box.previews.empty()

    def test_the_last_that_is_said_of_previews_is_true(self, user: User, monkeypatch: Any) -> None:
        """A still that is asked for while the one before goes: its preview was said to have ended."""
        said, asked = list[bool](), list[bool]()

        def on_preview(runs: bool) -> None:
            if not runs and not asked:
                asked.append(True)
                again.start()
                again.join(0.2)  # its preview must not be said before this returns
            said.append(runs)

        again = threading.Thread(target=lambda: user.post("/api/setup/still", {"camera": "entrance"}))
        stills = user.page._setup._stills
        monkeypatch.setattr(stills, "_tools", _replaced(user.box, on_preview=on_preview))
        user.make_still()
        user.post("/api/setup/still/end", {})
        user.box.wait_until(lambda: said[-1:] == [True] and len(said) == 3)
        assert said == [True, False, True]
        again.join(PATIENCE)

    def test_where_no_thread_starts_the_next_still_is_made(self, user: User, monkeypatch: Any) -> None:
        def none_starts(name: str, work: Any) -> None:
            raise RuntimeError("can't start new thread")

        stills = user.page._setup._stills
        monkeypatch.setattr(stills, "_tools", replace(stills._tools, start=none_starts))
        with pytest.raises(RuntimeError, match="new thread"):
            user.post("/api/setup/still", {"camera": "entrance"})
        monkeypatch.undo()
        user.make_still()
        user.post("/api/setup/still/end", {})

    def test_a_camera_without_pictures_makes_none(self, user: User) -> None:
        user.box._frames = ()
        assert user.post("/api/setup/still", {"camera": "till"}).json["state"] == "making"
        user.ahead.by += UNATTENDED + 1
        user.box.wait_for_preview(False)
        assert user.post("/api/setup/still", {"camera": "none"}).status_code == 400


class TestConfiguration:
    def test_the_draft_is_the_file_and_says_what_it_does(self, user: User) -> None:
        answer = user.post("/api/setup/draft", drawn()).json
        (entry,) = tomllib.loads(answer["text"])["cameras"]
        assert entry["zones"] == drawn()["zones"]
        assert entry["lines"] == []
        assert answer["faults"] == []
        assert answer["words"] == [
            "shoes: 4.5% of the picture; visits that are longest here are counted by this name"
        ]
        assert not (user.box.folder / FILE).exists()

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (drawn(zones=[{**drawn()["zones"][0], "name": ""}]), "zones[0].name = ''"),
            (drawn(zones=[{**drawn()["zones"][0], "polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}]), "crosses"),
            (drawn(zones=[{**drawn()["zones"][0], "name": "rest"}]), "a zone is named 'rest'"),
            (drawn(zones=drawn()["zones"] * 2), "two zones are named 'shoes'"),
            (drawn(source="rtsp://192.0.2.1/"), "source: unknown key"),
            (drawn(lines=[{"name": "a", "from": [0, 0], "to": [0, 0.001]}]), "of the picture apart"),
        ],
    )
    def test_what_is_not_valid_is_said_and_not_written(self, user: User, body: Any, says: str) -> None:
        answer = user.post("/api/setup/draft", body).json
        assert says in " ".join(answer["faults"])
        refused = user.write(body)
        assert refused.status_code == 409 and says in refused.json["error"]
        assert not (user.box.folder / FILE).exists() and user.box.reloads == 0

    def test_thousands_of_faults_take_no_time_from_the_cameras(self, user: User) -> None:
        """As many as a body may have: they took ten seconds, in which nothing else ran."""
        begun = time.process_time()
        answer = user.post("/api/setup/draft", drawn(**{f"k{n}": 0 for n in range(6500)})).json
        assert time.process_time() - begun < 2
        assert len(answer["faults"]) == 51
        assert answer["faults"][-1] == "drawn: 6450 more"

    def test_what_is_written_is_read_by_the_daemon(self, user: User) -> None:
        assert user.write(drawn()).json == {"path": str(user.box.folder / FILE)}
        assert user.box.reloads == 1
        entrance, till = user.box.settings.cameras
        assert [zone.name for zone in entrance.zones] == ["shoes"]
        assert (entrance.lines, till.lines) == ((), ())
        assert user.box.path.read_text().count("door") == 1  # the other file is as it was
        user.write({**drawn(), "camera": "till"})
        assert [len(camera.zones) for camera in user.box.settings.cameras] == [1, 1]

    def test_what_somebody_else_has_written_is_not_lost(self, user: User) -> None:
        """Two people draw on what they saw: the second learns of the first."""
        seen = user.ask("/api/setup")["cameras"][0]["version"]
        other = {**drawn(), "version": seen, "lines": [{"name": "a", "from": [0, 0], "to": [1, 1]}]}
        user.page._setup._tools = _replaced(user.box, reload=lambda: None)  # it takes a moment
        assert user.post("/api/setup/write", other).status_code == 200
        for body in ({**drawn(), "version": seen}, {**drawn(), "version": "made up"}):
            refused = user.post("/api/setup/write", body)
            assert refused.status_code == 409 and "were changed meanwhile" in refused.json["error"]
        unsaid = user.post("/api/setup/write", drawn())
        assert unsaid.status_code == 428 and unsaid.json["error"].startswith("version: missing; send")
        assert "[1.0, 1.0]" in (user.box.folder / FILE).read_text()
        again = user.ask("/api/setup")["cameras"][0]["version"]
        assert user.post("/api/setup/write", {**drawn(), "version": again}).status_code == 200
        till = user.ask("/api/setup")["cameras"][1]["version"]
        assert (
            user.post("/api/setup/write", {**drawn(), "camera": "till", "version": till}).status_code == 200
        )

    def test_two_who_write_at_once_write_both(self, user: User, monkeypatch: Any) -> None:
        """Each reads the file, and writes it with the camera of its own."""
        between = threading.Barrier(2)

        def met(path: Path, text: str) -> None:
            with suppress(threading.BrokenBarrierError):
                between.wait(0.2)  # both have read: only where nothing keeps them apart
            path.write_text(text)

        monkeypatch.setattr("edge.web.setup.drawing.write_atomically", met)
        names = ("entrance", "till")
        file, in_force = user.page._setup._file, user.box.settings
        drawings = [
            drawing_of({**drawn(), "camera": camera.name, "version": file.version(camera)})
            for camera in in_force.cameras
        ]
        threads = [threading.Thread(target=file.write, args=(drawing, in_force)) for drawing in drawings]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        entries = tomllib.loads((user.box.folder / FILE).read_text())["cameras"]
        assert sorted(entry["name"] for entry in entries) == sorted(names)

    def test_a_camera_that_waits_for_a_reload_keeps_its_lines_and_zones(self, user: User) -> None:
        user.write({**drawn(), "camera": "till"})
        both = user.box.settings
        user.box.settings = both.model_copy(update={"cameras": both.cameras[:1]})  # as before it was added
        user.write(drawn())
        entries = tomllib.loads((user.box.folder / FILE).read_text())["cameras"]
        assert [entry["name"] for entry in entries] == ["till", "entrance"]

    def test_a_file_that_is_more_than_the_pages_is_left_alone(self, user: User) -> None:
        (user.box.folder / "conf.d").mkdir()
        (user.box.folder / FILE).write_text("[mqtt]\nhost = 'mine'\n")
        refused = user.write(drawn())
        assert (
            refused.status_code == 409 and "holds keys that the page does not write" in refused.json["error"]
        )
        assert "mine" in (user.box.folder / FILE).read_text()

    def test_a_later_file_that_goes_over_it_is_said(self, user: User) -> None:
        (user.box.folder / "conf.d").mkdir()
        (user.box.folder / "conf.d" / "95.toml").write_text("[[cameras]]\nname = 'entrance'\nzones = []\n")
        assert "goes over what is drawn" in user.write(drawn()).json["error"]

    def test_a_link_leads_to_where_the_service_may_write(self, user: User) -> None:
        (user.box.folder / "conf.d").mkdir()
        (user.box.folder / "state").mkdir()
        target = user.box.folder / "state" / "page.toml"
        (user.box.folder / FILE).symlink_to(target)
        assert user.write(drawn()).json == {"path": str(target)}
        assert (user.box.folder / FILE).is_symlink()
        assert [zone.name for zone in user.box.settings.cameras[0].zones] == ["shoes"]

    def test_a_folder_that_cannot_be_written_is_named(self, user: User) -> None:
        (user.box.folder / "conf.d").symlink_to("/proc/self")
        refused = user.write(drawn())
        assert refused.status_code == 409 and "cannot be written" in refused.json["error"]


def test_check_is_a_page(user: User) -> None:
    assert user.ask("/api/setup/check") == {"runs": False, "verdicts": []}
    assert user.post("/api/setup/check", {}).status_code == 202
    for _ in range(int(PATIENCE / 0.01)):
        found = user.ask("/api/setup/check")
        if not found["runs"]:
            break
        threading.Event().wait(0.01)
    assert [verdict["what"] for verdict in found["verdicts"]] == ["camera entrance", "camera till"]


def _replaced(box: Box, **more: Any) -> Any:
    return replace(box.tools, **more)


def _faces(frame: Frame) -> Boxes:
    """The faces that a person would see, by the detector at its usual score."""
    detector = MediaPipeDetector("far", 0.5)
    try:
        return detector.detect(frame.image).xyxy
    finally:
        detector.close()
