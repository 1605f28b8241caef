"""The daemon in one process: its start, its end, and what happens when a thread fails."""

from __future__ import annotations

import json
import logging
import os
import random
import re
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from urllib.request import urlopen

import cv2
import numpy as np
import pytest

from edge.audit.book import FILE
from edge.capture import Source, open_source
from edge.clock import Clock, SystemClock
from edge.config import CameraSettings, Settings, load_settings
from edge.daemon import composition, counting_thread, shutdown
from edge.daemon.composition import Composition
from edge.daemon.parts import Parts
from edge.daemon.runtime import Runtime
from edge.daemon.status import STOPPED, days_held, warn_of_what_leaves
from edge.delivery import GOODBYE, Topics
from edge.delivery.history import History
from edge.delivery.outbox import NewMessage, Outbox, Row
from edge.errors import ConfigurationError
from edge.inference import tensorrt
from edge.inference.backend import BackendError
from edge.inference.cuda import Cuda
from edge.inference.fallback import ServingBackend, serve
from edge.inference.tensorrt_library import Library
from edge.ops.reasons import BackendFault
from edge.ops.systemd import Systemd
from edge.types import CameraState, CameraStatus, Frame, TrackEnded
from edge.vision.detect import SharedDetectors
from edge.vision.detect.served import serve_faces
from edge.vision.pipeline import Vision, VisionResult
from edge.web.setup.tools import Configured
from tests.edge.daemon.cameras.test_turns import in_line
from tests.fake_gpu import FakeCuda, FakeTensorRt
from tests.fakes import EPOCH, PaintedAges, PaintedFaces, Person, paint, painted_vision, seeing
from tests.mosquitto import free_port
from tests.patience import PATIENCE
from tests.samples import sample

VISITOR = Person(tag=7, age=30)
see = partial(painted_vision, people=[VISITOR])


def write_visit(path: Path, frames: int = 30) -> Path:
    """A painted visitor who stands for three seconds, without loss, so that the fakes can read the pixels."""
    path.mkdir()
    for number in range(frames):
        picture = np.full((240, 320, 3), 90 + number % 3, np.uint8)
        paint(picture, VISITOR, 160, 120, 60)
        cv2.imwrite(str(path / f"{number:03}.png"), picture)
    return path


def settings(folder: Path, *names: str, **tables: Any) -> Settings:
    clip = write_visit(folder / "visit")
    return load_settings(
        None,
        instead={
            "cameras": [{"name": name, "source": str(clip), "pace": "full"} for name in names],
            "mqtt": {"port": free_port(), "drain_timeout": 0.1},
            "metrics": {"port": 0},
            "outbox": {"directory": str(folder / "state")},
            "privacy": {"minimum": 1},
            **tables,
        },
    )


def stored(folder: Path) -> dict[str, int]:
    """The visitors in the outbox, by camera."""
    with sqlite3.connect(folder / "state" / "outbox.db") as db:
        rows = db.execute("SELECT payload FROM messages WHERE topic LIKE '%/counts'").fetchall()
    windows = [json.loads(payload) for (payload,) in rows]
    return {window["camera"]: window["released"] for window in windows}


@pytest.fixture(autouse=True)
def process_settings() -> Iterator[None]:
    """The daemon sets what holds for the whole process; other tests need it as it was."""
    threads, interval = cv2.getNumThreads(), sys.getswitchinterval()
    yield
    cv2.setNumThreads(threads)
    sys.setswitchinterval(interval)


def make(folder: Path, options: Settings, parts: Parts | None = None, **arguments: Any) -> Runtime:
    return Runtime(
        options,
        beside=folder,
        clock=arguments.pop("clock", None) or SystemClock(),
        rng=random.Random(0),
        parts=parts or seeing(see),
        **arguments,
    )


def wait_for(event: threading.Event) -> None:
    assert event.wait(PATIENCE)


def see_after(event: threading.Event) -> Callable[..., Vision]:
    """Builds a vision once this has happened."""

    def build(*parts: Any, **shared: Any) -> Vision:
        assert event.wait(PATIENCE)
        return see(*parts, **shared)

    return build


class Stop(threading.Event):
    """Is set when so many windows are stored: there is no broker to take them."""

    def outbox(self, windows: int) -> Callable[..., Outbox]:
        stop, counted = self, iter(range(1, windows))

        class Told(Outbox):
            def commit(self, messages: Sequence[NewMessage] = (), **more: Any) -> list[Row]:
                stored = super().commit(messages, **more)
                for row in stored:
                    if row.topic.endswith("/counts") and next(counted, None) is None:
                        stop.set()
                return stored

        return Told


def test_a_thread_that_fails_ends_the_process_and_keeps_the_others_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = threading.Event()

    def vision(camera: Any, *parts: Any, **shared: Any) -> Any:
        if camera.name == "broken":
            counted.wait(PATIENCE)  # until the other camera's visitor has been seen
            raise RuntimeError("a bug")
        made = see(camera, *parts, **shared)
        finish = made.finish

        def finish_and_note() -> Any:
            counted.set()
            return finish()

        monkeypatch.setattr(made, "finish", finish_and_note)
        return made

    daemon = make(tmp_path, settings(tmp_path, "good", "broken"), seeing(vision))
    with pytest.raises(RuntimeError, match="a bug"):
        daemon.run(threading.Event())
    assert stored(tmp_path) == {"good": 1}


def value(daemon: Runtime, name: str, **labels: str) -> float:
    found = sample(daemon.metrics, name, labels)
    assert found is not None, name
    return found


def test_without_a_gpu_it_counts_on_onnx_runtime_and_says_so(
    tmp_path: Path, runtime: FakeCuda, cuda: Cuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.driver = 0
    monkeypatch.setattr(tensorrt, "Cuda", lambda: cuda)
    tried, stop = threading.Event(), Stop()

    def serve_noting(*arguments: Any, **named: Any) -> ServingBackend:
        backend = serve(*arguments, **named)
        attempt = backend.attempt

        def attempt_and_note() -> float | None:
            pause = attempt()
            tried.set()
            return pause

        monkeypatch.setattr(backend, "attempt", attempt_and_note)
        return backend

    parts = seeing(see_after(tried), serve=serve_noting, outbox=stop.outbox(1))
    daemon = make(tmp_path, settings(tmp_path, "door", model={"backend": "tensorrt"}), parts)
    daemon.run(stop)
    assert stored(tmp_path) == {"door": 1}
    assert value(daemon, "instore_model_fallbacks_total", reason="driver") >= 1
    assert value(daemon, "instore_model_fallbacks_total", reason="lost") == 0
    assert value(daemon, "instore_model_accelerated") == 0


@pytest.mark.parametrize("driver", [13050, 0])
def test_the_face_networks_go_to_a_gpu_beside_the_age_model_and_that_is_told(
    tmp_path: Path,
    trt: FakeTensorRt,
    pretended: Library,
    monkeypatch: pytest.MonkeyPatch,
    driver: int,
) -> None:
    trt.cuda.driver = driver
    monkeypatch.setattr(tensorrt, "Cuda", lambda: Cuda(trt.cuda))
    monkeypatch.setattr(tensorrt, "libraries", lambda: iter([pretended]))
    tried, stop = threading.Event(), Stop()
    health: dict[str, Any] = {}

    def serve_noting(*arguments: Any, **named: Any) -> ServingBackend:
        backend = serve_faces(*arguments, **named)
        attempt = backend.attempt

        def attempt_and_note() -> float | None:
            pause = attempt()
            health.update(daemon._made.status.facts())
            tried.set()
            return pause

        monkeypatch.setattr(backend, "attempt", attempt_and_note)
        return backend

    parts = seeing(see_after(tried), serve_faces=serve_noting, outbox=stop.outbox(1))
    options = settings(tmp_path, "door", model={"backend": "onnxruntime"}, detection={"engine": "tensorrt"})
    daemon = make(tmp_path, options, parts)
    daemon.run(stop)
    assert stored(tmp_path) == {"door": 1}
    assert value(daemon, "instore_detector_accelerated") == bool(driver)
    fallbacks = value(daemon, "instore_detector_fallbacks_total", reason="driver")
    assert (fallbacks == 0) == bool(driver)
    (told,) = (
        sample.labels
        for metric in daemon.metrics.registry.collect()
        if metric.name == "instore_detector"
        for sample in metric.samples
    )
    assert told["backend"] == ("tensorrt" if driver else "onnxruntime")
    assert trt.cuda.held == 0
    assert health["runs_on"] == {"age_model": "onnxruntime", "face_detection": told["backend"]}


def test_the_frames_of_its_cameras_are_due_in_turns(tmp_path: Path) -> None:
    turns, stop = {}, Stop()

    def open_noting(camera: CameraSettings, turn: float | None, **named: Any) -> Source:
        turns[camera.name] = turn
        return open_source(camera, turn=turn, **named)

    parts = seeing(see, open_source=open_noting, outbox=stop.outbox(2))
    make(tmp_path, settings(tmp_path, "door", "gate"), parts).run(stop)
    assert turns == {"door": 0.0, "gate": 0.5}


def test_no_thread_of_a_camera_waits_for_the_history_s_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a switch comes back, all cameras change their states at once: 64 commits took 0.7 s."""
    writers: list[str] = []
    states: list[str] = []
    record, stop = History.record, Stop()

    def note(history: History, rows: Sequence[Row], retained: dict[str, bytes]) -> None:
        writers.append(threading.current_thread().name)
        states.extend(
            json.loads(p)["state"] for topic, p in retained.items() if topic.endswith("door/status")
        )
        record(history, rows, retained)

    monkeypatch.setattr(History, "record", note)
    monkeypatch.setattr(counting_thread, "CHECKPOINT", 1e6)  # which records states as well
    up = threading.Event()

    def wait_until_recorded(*parts: Any, **shared: Any) -> Vision:
        wait_for(up)
        return see(*parts, **shared)

    class Telling(SystemClock):
        def wait(self, event: threading.Event, seconds: float) -> bool:
            if "up" in states:
                up.set()
            return super().wait(event, seconds)

    parts = seeing(wait_until_recorded, outbox=stop.outbox(1))
    daemon = make(tmp_path, settings(tmp_path, "door"), parts, clock=Telling())
    assert daemon.run(stop) == 0
    assert [state for state in states if state != "down"] == ["up"]
    assert "counting" in writers
    assert not [name for name in writers if name.startswith(("capture", "vision"))]


def test_one_frame_more_than_cores_is_analysed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composition, "_cores", lambda: 2)
    names, stop = [f"door-{number}" for number in range(5)], Stop()
    all_in = threading.Barrier(3, lambda: in_line(daemon._made._turns, 2), PATIENCE)
    first_three = iter(range(3))

    def vision(*parts: Any, **shared: Any) -> Vision:
        made = see(*parts, **shared)
        process = made.process

        def process_together(frame: Frame) -> VisionResult:
            if next(first_three, None) is not None:
                all_in.wait()
            return process(frame)

        made.process = process_together  # type: ignore[method-assign]
        return made

    parts = seeing(vision, outbox=stop.outbox(len(names)))
    daemon = make(tmp_path, settings(tmp_path, *names), parts)
    assert daemon.run(stop) == 0
    assert next(first_three, None) is None


def test_a_sandbox_that_allows_no_priorities_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, stop = threading.Event(), Stop()

    def refuse(*_: object) -> None:
        asked.set()
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setpriority", refuse)
    parts = seeing(see_after(asked), outbox=stop.outbox(1))
    daemon = make(tmp_path, settings(tmp_path, "door"), parts)
    assert daemon.run(stop) == 0
    assert stored(tmp_path) == {"door": 1}


def test_the_age_model_goes_to_the_gpu_and_back_while_it_counts(
    tmp_path: Path, trt: FakeTensorRt, pretended: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt, "Cuda", lambda: Cuda(trt.cuda))
    still_full = BackendError(BackendFault.MEMORY, "the GPU is still full")
    found = iter([pretended])
    monkeypatch.setattr(tensorrt, "libraries", lambda: iter([next(found, still_full)]))
    swapped, stop = threading.Event(), Stop()

    def serve_noting(*arguments: Any, on_change: Callable[[], None], **named: Any) -> ServingBackend:
        def note() -> None:
            on_change()
            if backend.accelerated:
                trt.cuda.fails["cudaGraphLaunch"] = trt.cuda.real.cudaError_t.cudaErrorMemoryAllocation
            swapped.set()

        backend = serve(*arguments, on_change=note, **named)
        return backend

    # One visitor for each camera: the first batch fails on the GPU, whichever it is.
    parts = seeing(see_after(swapped), serve=serve_noting, outbox=stop.outbox(2))
    options = settings(tmp_path, "door", "gate", model={"max_batch": trt.max_batch})
    daemon = make(tmp_path, options, parts)
    daemon.run(stop)
    assert stored(tmp_path) == {"door": 1, "gate": 1}
    assert value(daemon, "instore_model_fallbacks_total", reason="memory") >= 1
    # Each crop was classified, those of the batch which failed as well: as many as without a GPU.
    assert value(daemon, "instore_batch_crops_sum") == 2 * daemon.settings.crops.per_visitor
    assert not any(
        sample.value
        for metric in daemon.metrics.private.collect()
        if metric.name == "instore_crops_dropped"
        for sample in metric.samples
        if sample.name.endswith("_total")
    )
    assert trt.cuda.held == 0
    assert sorted(path.suffix for path in (tmp_path / "state" / "engines").iterdir()) == [
        ".engine",
        ".kernels",
    ]


def test_an_engine_that_is_still_being_built_at_the_end_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build ends at its next step, whenever that is: Python must not take itself down around it."""
    building, end, stop = threading.Event(), threading.Event(), Stop()

    class Building(ServingBackend):
        def run(self) -> None:
            building.set()
            assert end.wait(PATIENCE)

    def build(*_: object, clock: Clock, rng: random.Random, **__: object) -> ServingBackend:
        return Building(PaintedAges(), clock=clock, rng=rng)

    monkeypatch.setattr(shutdown, "GOODBYE", 0.1)
    parts = seeing(see_after(building), serve=build, outbox=stop.outbox(1))
    daemon = make(tmp_path, settings(tmp_path, "door"), parts)
    try:
        assert daemon.run(stop) == 0
        assert daemon.hangs
    finally:
        end.set()
    assert stored(tmp_path) == {"door": 1}


def test_a_disk_that_is_slow_at_the_end_takes_no_count_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counting stores its window when its time is over: nothing is closed under it."""
    stop, go_on = threading.Event(), threading.Event()

    class Slow(Outbox):
        def commit(self, messages: Sequence[NewMessage] = (), **more: Any) -> list[Row]:
            if any(message.topic.endswith("/counts") for message in messages):
                stop.set()
                assert go_on.wait(PATIENCE)
            return super().commit(messages, **more)

    for name in ("CLASSIFYING_ENDS", "COUNTING_ENDS", "GOODBYE"):
        monkeypatch.setattr(shutdown, name, 0.05)
    daemon = make(tmp_path, settings(tmp_path, "door"), seeing(see, outbox=Slow))
    try:
        assert daemon.run(stop) == 0
        assert daemon.hangs
    finally:
        go_on.set()
    (counting,) = (thread for thread in threading.enumerate() if thread.name == "counting")
    counting.join(PATIENCE)
    assert daemon._made.threads.failure is None
    daemon._made.close()
    assert stored(tmp_path) == {"door": 1}


def test_metrics_and_health_are_served_while_it_runs(tmp_path: Path) -> None:
    daemon = make(tmp_path, settings(tmp_path, "door"))
    stop = threading.Event()
    thread = threading.Thread(target=daemon.run, args=(stop,))
    thread.start()
    try:
        base = f"http://127.0.0.1:{daemon.http_port}"
        with urlopen(f"{base}/healthz") as answer:
            health = json.load(answer)
        with urlopen(f"{base}/metrics") as answer:
            exposition = answer.read().decode()
    finally:
        stop.set()
        thread.join(PATIENCE)
    assert (health["status"], health["mqtt_connected"]) == ("ok", False)
    assert 'instore_frames_captured_total{camera="door"}' in exposition
    assert not thread.is_alive()


def test_stopped_at_once_it_ends_and_keeps_what_was_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = make(tmp_path, settings(tmp_path, "door"))
    stop = threading.Event()
    stop.set()
    caplog.clear()
    assert daemon.run(stop) == 0
    warned = [record.getMessage() for record in caplog.records if record.levelname != "INFO"]
    assert [line for line in warned if "camera door" in line] == []  # a stop is no fault of a camera


def test_a_camera_that_is_removed_and_added_again_is_announced_again(tmp_path: Path) -> None:
    """On the connection that there is: what has not changed is not sent again."""
    both = settings(tmp_path, "door", "till", home_assistant={"enabled": True})
    one = both.model_copy(update={"cameras": both.cameras[:1]})
    till = Topics.of(both).camera_announcement("till")
    made = Composition(
        both,
        beside=tmp_path,
        clock=SystemClock(),
        rng=random.Random(0),
        resumes=False,
        parts=seeing(see),
    )
    with closing(made):
        first = made.outbox.retained()[till]
        made.announce(one)
        cleared = made.outbox.retained_version
        assert made.outbox.retained()[till] == b""
        made.announce(both)
        assert made.outbox.retained(cleared) == {till: first}


def test_what_the_page_has_started_is_ended_with_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A still or a check that ends late must not say that the box is online, nor return into Python."""
    (tmp_path / "page").write_text("correct horse battery")
    web = {"enabled": True, "port": 0, "password_file": "page", "setup": True}
    made = Composition(
        settings(tmp_path, "door", web=web), beside=tmp_path, clock=SystemClock(), rng=random.Random(0),
        resumes=False, parts=seeing(see),
        configured=Configured(None, lambda _: pytest.fail("nothing is read"), lambda _: ()),
    )  # fmt: skip
    answered = threading.Event()
    with closing(made):
        tools = made._tools()
        assert tools and made.recorder
        said: list[str] = []
        monkeypatch.setattr(
            made.recorder,
            "record",
            lambda retained: said.extend(json.loads(p)["state"] for p in retained.values()),
        )
        tools.start("check", lambda: wait_for(answered))
        made.box_status("online")
        tools.on_preview(True)
        made.box_status("offline", "stopped")
        tools.on_preview(False)
        assert said == ["online", "online", "offline"]
        assert not made.wait_for_asked(made.clock.monotonic())
        answered.set()
        made.threads.join(made._asked, made.clock.monotonic() + PATIENCE)
        assert made.wait_for_asked(made.clock.monotonic() + PATIENCE)


def test_a_finished_audit_is_in_the_status_and_stays_there(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("correct horse battery")
    web = {"enabled": True, "port": 0, "password_file": "page", "audit": True}
    make = partial(
        Composition, beside=tmp_path, clock=SystemClock(),
        rng=random.Random(0), resumes=False, parts=seeing(see),
    )  # fmt: skip
    audited = settings(tmp_path, "door", web=web)
    with closing(make(audited)) as made:
        assert made.publisher and made.recorder
        tools = made._audit_tools()
        assert tools
        for name in ("door", "gone"):
            for _ in range(5):
                tools.book.add(name, tools.setup(name), 100, 90)
            assert tools.book.finish(name, tools.setup(name), date(2026, 1, 31))
        kept = tools.book.audit("door", tools.setup("door")).last
        tools.publish()
        assert made.publisher.renewals == 1
        worker = made._make_worker(made.settings.cameras[0], made.settings)
        with tools.visits("door") as visits:
            worker._count(TrackEnded("door", 1, EPOCH, timedelta(seconds=1)))
            worker._reach("door", EPOCH)
        assert (visits.ended, visits.reached) == ([EPOCH], EPOCH)
    with closing(make(audited)) as made:
        status = json.loads(made.statuses.box("online", made.clock.now()))
    assert kept and abs(kept.visits - 500) <= 50
    assert status["audits"] == {"door": kept.model_dump(mode="json")}
    (tmp_path / "state" / FILE).write_text("damaged")
    off = audited.model_copy(update={"web": audited.web.model_copy(update={"audit": False})})
    with closing(make(off)) as made:
        assert made.audits is None
        assert made._audit_tools() is None
        assert "audits" not in json.loads(made.statuses.box("online", made.clock.now()))


def test_a_reload_with_a_secret_that_is_not_there_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    options = settings(tmp_path, "door")
    (door,) = options.cameras
    options = options.model_copy(update={"cameras": (door.model_copy(update={"loop": True}),)})  # no end
    wrong = {"name": "till", "source": "rtsp://192.0.2.1/", "username": "viewer", "password_file": "nowhere"}
    loads = [
        load_settings(None, instead={**options.model_dump(), "cameras": [wrong]}),
        load_settings(
            None, instead={**options.model_dump(), "privacy": {"minimum": 9}, "log": {"level": "debug"}}
        ),
    ]
    daemon = make(tmp_path, options, load=lambda: loads.pop(0))
    stop, reload = threading.Event(), threading.Event()
    thread = threading.Thread(target=daemon.run, args=(stop, reload))
    reload.set()
    thread.start()
    while thread.is_alive() and len(loads) == 2:
        stop.wait(0.02)
    before = [camera.name for camera in daemon.cameras], daemon.settings
    reload.set()
    while thread.is_alive() and loads:
        stop.wait(0.02)
    stop.set()
    thread.join(PATIENCE)
    assert before == (["door"], options)
    rejected = "reload rejected; still running the previous configuration"
    assert f"{rejected}: camera 'till': password_file = 'nowhere'" in caplog.text
    reloads = partial(sample, daemon.metrics)
    assert reloads("instore_reloads_total", {"reason": "refused"}) == 1
    assert reloads("instore_reloads_total", {"reason": "applied"}) == 1
    assert daemon.settings.privacy.minimum == 9
    assert "reload applied: changed: privacy.minimum, log.level" in caplog.text
    assert logging.getLogger().level == logging.DEBUG
    assert (
        caplog.text.count("privacy.minimum = 1: true counts leave the box, also") == 1
    )  # not after the reload


def test_a_reload_takes_the_pages_password_or_refuses_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    file = tmp_path / "page"
    file.write_text("the first password\n")
    page = {"enabled": True, "port": 0, "password_file": "page"}
    daemon = make(tmp_path, settings(tmp_path, "door", web=page))
    assert daemon._made.web
    assert daemon._made.web.server
    access = daemon._made.web.server._access
    session = access.log_in("127.0.0.1", "the first password") or ""
    file.write_text("short\n")
    daemon._reloader.reload()
    assert "reload rejected; still running the previous configuration: web.password_file" in caplog.text
    assert access.knows(session)
    file.write_text("the second password\n")
    daemon._reloader.reload()
    assert "reload applied" in caplog.text
    assert not access.knows(session)
    assert access.log_in("127.0.0.1", "the second password")
    daemon._made.close()


def test_health_shows_what_a_reload_did_not_take_over(tmp_path: Path) -> None:
    options = settings(tmp_path, "door")
    table = options.model_dump()
    other = load_settings(None, instead={**table, "site": "another", "windows": {"length": 900}})
    wrong = {"name": "till", "source": "rtsp://192.0.2.1/", "username": "viewer", "password_file": "nowhere"}
    missing = load_settings(None, instead={**table, "cameras": [wrong]})
    loads = [other, missing, options]
    daemon = make(tmp_path, options, load=lambda: loads.pop(0))

    def shown() -> tuple[object, object]:
        daemon._reloader.reload()
        facts = daemon._made.status.facts()
        return facts["reload_rejected"], facts["needs_restart"]

    assert shown() == (False, ["site.name", "windows.length"])
    assert shown() == (True, ["site.name", "windows.length"])  # those of the last one that was applied
    assert shown() == (False, [])
    daemon._made.close()


def test_windows_that_a_full_outbox_drops_are_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = {"directory": str(tmp_path / "state"), "max_rows": 1}
    options = settings(tmp_path, "door", outbox=outbox, windows={"length": 1})
    daemon = make(tmp_path, options)
    stop = threading.Event()
    thread = threading.Thread(target=daemon.run, args=(stop,))
    thread.start()
    while thread.is_alive() and daemon.stored < 3:
        stop.wait(0.02)
    stop.set()
    thread.join(PATIENCE)
    dropped = sample(daemon.metrics, "instore_outbox_dropped_total")
    assert dropped is not None
    assert dropped >= 2 * daemon.stored - 1  # each window has its counts and its flow, and one row stays
    logged = re.findall(r"the outbox is full: the oldest (\d+) messages were dropped", caplog.text)
    assert sum(map(int, logged)) == dropped


def test_an_outbox_that_is_too_small_for_a_month_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = settings(tmp_path, "door", outbox={"directory": str(tmp_path / "state"), "max_rows": 7200})
    assert days_held(options) == 10
    stop = threading.Event()
    stop.set()
    make(tmp_path, options).run(stop)
    assert "the outbox holds 10.0 days of windows of these cameras; 30 days are recommended" in caplog.text


@pytest.mark.parametrize(("minimum", "is_off"), [(1, True), (5, False)])
def test_a_gate_that_is_off_shows_in_the_log_and_in_the_status(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, minimum: int, is_off: bool
) -> None:
    options = settings(tmp_path, "door", privacy={"minimum": minimum}, windows={"length": 60})
    stop, lines = threading.Event(), list[str]()

    class Told(Systemd):
        def ready(self, status: str) -> None:
            lines.append(status)
            stop.set()

    make(tmp_path, options, systemd=Told({})).run(stop)
    said = "privacy.minimum = 1: true counts leave the box"
    assert (f"{said}, also of single visitors" in caplog.text) is is_off
    assert [said in line for line in lines] == [is_off]


def test_cameras_on_one_host_are_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cameras = [{"name": name, "source": f"rtsp://nvr/{name}"} for name in ("door", "till")]
    warn_of_what_leaves(load_settings(None, instead={"cameras": cameras[:1]}))
    assert not caplog.records
    warn_of_what_leaves(load_settings(None, instead={"cameras": cameras}))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cameras door, till are on one host, nvr: if they can see the same visitors" in caplog.text


@pytest.mark.parametrize(("cameras", "length"), [(57, 300), (11, 60)])
def test_the_default_outbox_holds_a_month(cameras: int, length: int) -> None:
    tables = [{"name": f"camera{number}", "source": str(number)} for number in range(cameras)]
    assert days_held(load_settings(None, instead={"cameras": tables, "windows": {"length": length}})) >= 30


def test_a_port_in_use_does_not_stop_the_counting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    stop = Stop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = settings(tmp_path, "door", metrics={"port": port})
        daemon = make(tmp_path, options, seeing(see, outbox=stop.outbox(1)))
        assert daemon.http_port is None
        assert daemon.run(stop) == 0
    assert stored(tmp_path) == {"door": 1}
    assert f"metrics.port = {port}: cannot listen there: Address already in use" in caplog.text
    assert "no metrics are served, see the log" in caplog.text


def test_a_start_that_fails_gives_back_what_it_had_opened(tmp_path: Path) -> None:
    """The next one, in the same process, finds the state directory and the port free."""
    options = settings(tmp_path, "door", metrics={"port": free_port()})

    def fail(*_: object, **__: object) -> Outbox:
        raise ConfigurationError("the outbox cannot be used")

    for _ in range(2):
        with pytest.raises(ConfigurationError, match="the outbox cannot be used"):
            make(tmp_path, options, seeing(see, outbox=fail))
    stop = threading.Event()
    stop.set()
    assert make(tmp_path, options).run(stop) == 0


def test_what_the_cameras_share_is_opened_while_the_age_model_is(tmp_path: Path) -> None:
    serving, stop = threading.Event(), Stop()

    def serve_noting(*arguments: Any, **named: Any) -> ServingBackend:
        serving.set()
        return serve(*arguments, **named)

    parts = seeing(see, serve=serve_noting, outbox=stop.outbox(1))
    parts = replace(parts, open_ahead=lambda *_: wait_for(serving))
    daemon = make(tmp_path, settings(tmp_path, "door"), parts)
    assert daemon.run(stop) == 0
    assert stored(tmp_path) == {"door": 1}


def test_what_cannot_be_opened_ahead_is_reported_by_the_camera_that_needs_it(tmp_path: Path) -> None:
    def damaged(*_: object, **__: object) -> NoReturn:
        raise ConfigurationError("the network is damaged")

    daemon = make(tmp_path, settings(tmp_path, "door"), replace(seeing(damaged), open_ahead=damaged))
    with pytest.raises(ConfigurationError, match="the network is damaged"):
        daemon.run(threading.Event())


def test_a_start_that_fails_closes_what_was_opened_ahead(tmp_path: Path) -> None:
    began, far = threading.Event(), PaintedFaces([])

    def open_ahead(_cameras: object, _settings: object, detectors: SharedDetectors) -> None:
        wait_for(began)
        detectors.open_ahead("far", lambda: far)

    def fail(*_: object, **__: object) -> NoReturn:
        began.set()
        raise ConfigurationError("the age model cannot be opened")

    with pytest.raises(ConfigurationError, match="the age model cannot be opened"):
        make(tmp_path, settings(tmp_path, "door"), replace(seeing(see, serve=fail), open_ahead=open_ahead))
    assert far.closed


def test_a_network_that_hangs_while_it_is_opened_does_not_hold_up_the_end(
    tmp_path: Path,
) -> None:
    ends, stop = threading.Event(), Stop()

    def hang(_cameras: object, _settings: object, detectors: SharedDetectors) -> None:
        def make_slowly() -> PaintedFaces:
            ends.wait()
            return PaintedFaces([])

        detectors.open_ahead("far", make_slowly)

    daemon = make(
        tmp_path, settings(tmp_path, "door"), replace(seeing(see, outbox=stop.outbox(1)), open_ahead=hang)
    )
    begun = time.monotonic()
    try:
        assert daemon.run(stop) == 0
        assert daemon.hangs
        assert time.monotonic() - begun < composition.OPENING_ENDS
    finally:
        ends.set()


def test_all_that_the_end_waits_for_makes_less_than_ten_seconds() -> None:
    waits = [shutdown.VISION_ENDS, shutdown.CLASSIFYING_ENDS, shutdown.COUNTING_ENDS, shutdown.LEAVING_ENDS]
    drains = load_settings(None, (), {"cameras": [{"name": "door", "source": "0"}]}).mqtt.drain_timeout
    assert sum(waits) + drains + GOODBYE == 9.5


def test_a_source_that_hangs_and_reports_when_all_is_closed_is_ignored(tmp_path: Path) -> None:
    stop = Stop()
    daemon = make(tmp_path, settings(tmp_path, "door"), seeing(see, outbox=stop.outbox(1)))
    assert daemon.run(stop) == 0
    (lane,) = daemon._made.lanes
    watched = lane.worker.watched
    watched.report(CameraStatus("door", CameraState.DOWN, EPOCH, "no frame for 1 s"))
    assert watched.snapshot.status.reason == STOPPED
