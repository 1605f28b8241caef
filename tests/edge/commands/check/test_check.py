"""The verdicts on the machine, the outbox and the port, where a daemon runs and where none does."""

from __future__ import annotations

import json
import os
import shutil
import socket
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Literal, cast

import cv2
import numpy as np
import pytest

from edge.bundle import BUILTIN, PartTerms, Terms, load_bundle
from edge.capture.video import NO_DEVICE
from edge.clock import SystemClock
from edge.commands.check import port as port_module
from edge.commands.check import state
from edge.commands.check.camera import advice, check_camera
from edge.commands.check.command import render
from edge.commands.check.configuration import check_configuration
from edge.commands.check.host import check_clock, check_service
from edge.commands.check.model import check_model, check_terms
from edge.commands.check.port import check_port
from edge.commands.check.state import check_disk, check_outbox, state_folder
from edge.commands.check.verdict import Live, Status, Verdict, Warn, attempt
from edge.config import LineSettings, Settings, ZoneSettings, load_settings
from edge.delivery.outbox import Outbox
from edge.errors import ConfigurationError, InstoreError
from edge.inference import tensorrt
from edge.inference.backend import AgeBackend
from edge.inference.cuda import Cuda
from edge.inference.reference_check import TOLERANCE
from edge.inference.tensorrt_library import Library
from edge.ops import machine
from edge.ops.http import HttpServer
from edge.vision.second_opinion import face_check
from edge.vision.setup.words import line_in_words, zone_in_words
from tests.fake_gpu import FakeCuda, FakeTensorRt
from tests.fakes import ManualClock
from tests.messages import Text
from tests.mosquitto import free_port
from tests.synthetic_video import write_clip


def configured(**tables: object) -> Settings:
    return load_settings(None, [], {"cameras": [{"name": "door", "source": "0"}], **tables})


def outbox_verdict(folder: Path) -> Verdict:
    settings = configured(outbox={"directory": "state"})
    return attempt("outbox", lambda: check_outbox(settings, folder, SystemClock()))


def port_verdict(port: int, host: str = "127.0.0.1") -> Verdict:
    settings = configured(metrics={"host": host, "port": port})
    return attempt("metrics", lambda: check_port(settings))


def open_outbox(folder: Path) -> Outbox:
    return Outbox(folder / "state" / "outbox.db", 100, 100_000)


def test_a_secret_that_ends_with_a_blank_is_a_warning(tmp_path: Path) -> None:
    settings = configured(mqtt={"username": "box", "password_file": "secret"})
    (tmp_path / "secret").write_text("hunter2 \n")
    verdict = attempt("configuration", lambda: check_configuration(settings, tmp_path, {}))
    assert verdict.status is Status.WARNING
    assert "mqtt.password_file = 'secret'" in verdict.detail
    assert "hunter2" not in verdict.detail
    (tmp_path / "secret").write_text("hunter2\n")
    verdict = attempt("configuration", lambda: check_configuration(settings, tmp_path, {}))
    assert verdict == Verdict("configuration", Status.OK, "valid; site store, box box")


def test_windows_that_close_before_hidden_visitors_end_are_a_warning(tmp_path: Path) -> None:
    settings = configured(windows={"lateness": 3.0})
    verdict = attempt("configuration", lambda: check_configuration(settings, tmp_path, {}))
    assert verdict.status is Status.WARNING
    assert verdict.detail == (
        "windows.lateness = 3.0: a visitor whom somebody nearer hides at a window's end may count in the "
        "next window; 8 or more avoids it while the camera gives pictures"
    )


def test_a_variable_that_looks_like_a_key_and_is_none_is_a_warning(tmp_path: Path) -> None:
    variables = {"INSTORE_VERSION": "1.2", "INSTORE_EDGE_SERVICE_HOST": "192.0.2.1", "INSTORE_BOX": "b"}
    verdict = attempt("configuration", lambda: check_configuration(configured(), tmp_path, variables))
    assert verdict == Verdict(
        "configuration", Status.WARNING, "INSTORE_VERSION: ignored, because it names no key"
    )


def test_a_camera_with_too_small_pictures_is_a_warning(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.random.default_rng(7).integers(0, 255, (90, 120, 3), np.uint8))
    settings = configured(cameras=[{"name": "door", "source": str(tmp_path), "loop": True}])
    verdict = attempt("camera", lambda: check_camera(settings.cameras[0], settings, tmp_path, ManualClock()))
    assert verdict.status is Status.WARNING
    assert "pictures of 120x90 are too small for detection.min_face = 16" in verdict.detail


def test_a_camera_that_no_gpu_decodes_though_it_should_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.capture.video._nvdec", lambda: None)
    clip = str(write_clip(tmp_path / "clip.avi", 60))
    settings = configured(cameras=[{"name": "door", "source": clip, "decoder": "nvdec"}])
    camera = settings.cameras[0]
    verdict = attempt("camera", lambda: check_camera(camera, settings, tmp_path, ManualClock(), faces=False))
    assert verdict.status is Status.WARNING
    assert NO_DEVICE in verdict.detail


@pytest.mark.parametrize(
    ("rate", "max_fps", "lines", "advised"),
    [
        (25.0, 10.0, 1080, "max_fps = 10 analyses 10 of them: let the camera send about as many"),
        (15.0, 10.0, 1080, ""),
        (10.0, 10.0, 2160, "2160 lines take long to decode: use the camera's second stream"),
        (0.0, 10.0, 480, ""),
    ],
)
def test_a_camera_that_sends_more_than_is_needed_is_advised_to_send_less(
    rate: float, max_fps: float, lines: int, advised: str
) -> None:
    assert advice(rate, max_fps, lines).startswith(advised)
    assert bool(advice(rate, max_fps, lines)) is bool(advised)


def test_an_outbox_to_be_is_not_made(tmp_path: Path) -> None:
    verdict = outbox_verdict(tmp_path)
    assert verdict.status is Status.OK
    assert verdict.detail.endswith("outbox.db: does not exist yet; the daemon creates it")
    assert list((tmp_path / "state").iterdir()) == []


def test_an_outbox_is_opened_and_let_go(tmp_path: Path) -> None:
    with closing(open_outbox(tmp_path)) as outbox:
        outbox.commit([Text("door", "w")])
    verdict = outbox_verdict(tmp_path)
    assert verdict.status is Status.OK
    assert verdict.detail.endswith("outbox.db: messages that wait to be sent: 1")
    open_outbox(tmp_path).close()


def test_a_damaged_outbox_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "outbox.db").write_bytes(b"no database" * 1000)
    verdict = outbox_verdict(tmp_path)
    assert verdict.status is Status.FAILED
    assert "outbox.db: is not an SQLite database" in verdict.detail


def test_the_outbox_of_a_running_daemon_is_as_it_should_be(tmp_path: Path) -> None:
    with closing(open_outbox(tmp_path)):
        verdict = outbox_verdict(tmp_path)
    assert verdict.status is Status.OK
    assert "in use by the running daemon" in verdict.detail


def test_a_free_port_is_told() -> None:
    port = free_port()
    free = f"http://127.0.0.1:{port}/metrics: the port is free"
    assert port_verdict(port) == Verdict("metrics", Status.OK, free)
    assert port_verdict(0).detail == "metrics.port = 0: the daemon takes a free port"


def test_the_port_of_a_running_daemon_is_as_it_should_be() -> None:
    server = HttpServer(
        "127.0.0.1", 0, {"/healthz": lambda _accept: (HTTPStatus.SERVICE_UNAVAILABLE, "a/b", b"")}
    )
    server.start()
    verdict = port_verdict(server.port)
    server.stop()
    assert verdict == Verdict(
        "metrics", Status.OK, f"http://127.0.0.1:{server.port}/metrics: served by the running daemon"
    )


def test_a_port_that_another_program_has_is_told(monkeypatch) -> None:
    monkeypatch.setattr(port_module, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        verdict = port_verdict(port)
    assert verdict.status is Status.FAILED
    assert f"metrics.port = {port}: cannot listen there" in verdict.detail


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder, not there yet, of a service that is installed."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    (tmp_path / "unit").touch()
    monkeypatch.setattr(state, "SERVICE_UNITS", [tmp_path / "nowhere", tmp_path / "unit"])
    monkeypatch.setattr(state, "SERVICE_STATE", tmp_path / "service")
    return tmp_path / "service"


def test_a_service_that_is_installed_says_where_the_outbox_is(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert state_folder(configured(), tmp_path) == installed
    assert state_folder(configured(outbox={"directory": "own"}), tmp_path) == tmp_path / "own"
    monkeypatch.setenv("STATE_DIRECTORY", "/elsewhere")
    assert state_folder(configured(), tmp_path) == Path("/elsewhere")


def test_before_the_first_start_nothing_is_made_in_its_place(installed: Path, tmp_path: Path) -> None:
    verdict = attempt("outbox", lambda: check_outbox(configured(), tmp_path, SystemClock()))
    assert verdict == Verdict(
        "outbox", Status.OK, f"{installed}: does not exist yet; the service creates it at its first start"
    )
    assert attempt("disk", lambda: check_disk(configured(), tmp_path)).status is Status.OK
    assert not installed.exists()


@pytest.mark.parametrize(
    ("free", "status", "words"),
    [
        (1 << 40, Status.OK, "1024.0 GiB free, enough"),
        (5 << 20, Status.WARNING, "5 MiB free, but the outbox may grow by 1.0 GiB"),
    ],
)
def test_a_disk_that_the_outbox_may_fill_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: Status, words: str
) -> None:
    monkeypatch.setattr(machine, "free_bytes", lambda folder: free)
    settings = configured(outbox={"directory": "."})
    verdict = attempt("disk", lambda: check_disk(settings, tmp_path))
    assert verdict.status is status
    assert words in verdict.detail


@pytest.mark.parametrize("directory", [".", "missing/too"])
def test_a_read_only_disk_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: str
) -> None:
    monkeypatch.setattr(machine, "is_read_only", lambda folder: folder == tmp_path)
    settings = configured(outbox={"directory": directory})
    verdict = attempt("disk", lambda: check_disk(settings, tmp_path))
    assert verdict.status is Status.FAILED
    assert f"{tmp_path} is on a file system that is mounted read-only; mount it" in verdict.detail


def test_missing_rights_for_the_folder_of_the_outbox_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = configured(outbox={"directory": "missing"})
    assert attempt("disk", lambda: check_disk(settings, tmp_path)).status is Status.OK
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    verdict = attempt("disk", lambda: check_disk(settings, tmp_path))
    assert verdict.status is Status.FAILED
    assert f"missing: does not exist, and this user may not make it in {tmp_path}; make it" in verdict.detail


@pytest.mark.parametrize(
    ("synchronised", "status", "words"),
    [
        (True, Status.OK, "synchronised with a time server"),
        (False, Status.WARNING, "not synchronised; enable systemd-timesyncd or chrony"),
        (None, Status.OK, "does not report"),
    ],
)
def test_a_clock_that_is_not_synchronised_is_a_warning(
    synchronised: bool | None, status: Status, words: str
) -> None:
    verdict = attempt("clock", lambda: check_clock(ManualClock(), lambda: synchronised))
    assert verdict.status is status
    assert verdict.detail.startswith("1970-01-01T00:00:00Z")
    assert words in verdict.detail


def test_this_machine_tells_of_its_clock_and_its_disk(tmp_path: Path) -> None:
    assert machine.is_clock_synchronised() in (True, False, None)
    assert machine.free_bytes(tmp_path) > 0
    with pytest.raises(OSError, match="nowhere"):
        machine.free_bytes(tmp_path / "nowhere")


RUNNING = {
    "LoadState": "loaded", "ActiveState": "active", "SubState": "running", "UnitFileState": "enabled",
    "NRestarts": "2", "Result": "success", "StatusText": "1 of 1 cameras up",
}  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "status", "words"),
    [
        ({}, Status.OK, "active (running), enabled, restarted 2 times: 1 of 1 cameras up"),
        ({"LoadState": "not-found"}, Status.WARNING, "not installed"),
        ({"ActiveState": "inactive", "SubState": "dead", "NRestarts": "0"}, Status.WARNING, "enable --now"),
        (
            {"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"},
            Status.FAILED, "'exit-code'; `journalctl -u instore-edge.service` shows",
        ),
        ({"ActiveState": "failed", "NRestarts": "0", "UnitFileState": ""}, Status.FAILED, "not enabled"),
    ],
)  # fmt: skip
def test_the_service_is_as_systemd_says(facts: dict[str, str], status: Status, words: str) -> None:
    verdict = attempt("service", lambda: check_service(lambda unit: {**RUNNING, **facts}))
    assert verdict.status is status
    assert words in verdict.detail


def test_a_machine_without_systemd_is_none_the_worse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "_BOOTED", tmp_path / "nowhere")
    assert attempt("service", lambda: check_service(machine.show_unit)) == Verdict(
        "service", Status.OK, "this machine does not run systemd"
    )


def test_the_table_shows_what_a_detail_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets in it are no markup."""
    warned, failed = Verdict("clock", Status.WARNING, "odd"), Verdict("b", Status.FAILED, "x")
    render([Verdict("camera a", Status.OK, "fine [bold]"), warned, failed])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [
        ["ok", "camera", "a", "fine", "[bold]"],
        ["warning", "clock", "odd"],
        ["failed", "b", "x"],
    ]


def test_the_model_says_what_it_is_not_on_and_why(
    tmp_path: Path, runtime: FakeCuda, cuda: Cuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.devices = 0
    monkeypatch.setattr(tensorrt, "Cuda", lambda: cuda)
    said = check_model(configured(), tmp_path, SystemClock())
    assert " ms per face; not on tensorrt: no NVIDIA GPU is visible: check that this service may" in said
    with pytest.raises(InstoreError, match="'tensorrt': no NVIDIA GPU is visible"):
        check_model(configured(model={"backend": "tensorrt"}), tmp_path, SystemClock())
    assert said.endswith("; faces are found on mediapipe")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    auto = configured(model={"backend": "onnxruntime"}, detection={"engine": "auto"})
    said = check_model(auto, tmp_path, SystemClock())
    assert "; faces are found on onnxruntime, not on tensorrt: no NVIDIA GPU is visible" in said
    named = configured(model={"backend": "onnxruntime"}, detection={"engine": "tensorrt"})
    with pytest.raises(Warn, match="; faces are found on onnxruntime, not on tensorrt: no NVIDIA GPU is vis"):
        check_model(named, tmp_path, SystemClock())
    other = configured(model={"backend": "onnxruntime"}, detection={"engine": "onnxruntime"})
    said = check_model(other, tmp_path, SystemClock())
    assert "not on" not in said
    assert said.endswith("; faces are found on onnxruntime")


def test_in_the_daemon_its_own_backend_is_named_and_no_other_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.commands.check.model.open_configured", lambda *_, **__: pytest.fail("opened"))
    backend = cast("AgeBackend", SimpleNamespace(name="onnxruntime", device="CPU, 1 thread, fp32"))
    live = Live(backend, is_connected=True, faces_on="tensorrt (Pretended RTX, fp32)")
    said = check_model(configured(), tmp_path, SystemClock(), live)
    assert said.endswith(
        " on onnxruntime (CPU, 1 thread, fp32); faces are found on tensorrt (Pretended RTX, fp32)"
    )
    with pytest.raises(Warn, match=r" on onnxruntime \(CPU"):
        check_model(configured(model={"backend": "tensorrt"}), tmp_path, SystemClock(), live)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError("x"), ValueError("x")])
def test_what_the_system_raises_is_a_verdict(error: Exception) -> None:
    """Raised out of a test that the page has started, it ended the daemon."""

    def test() -> str:
        raise error

    assert attempt("model", test) == Verdict("model", Status.FAILED, f"{type(error).__name__}: {error}")


def bundle_with(folder: Path, *parts: PartTerms) -> Settings:
    """Settings with a copy of the shipped bundle whose terms are these."""
    shutil.copytree(BUILTIN, folder / "bundle")
    path = folder / "bundle" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"terms": Terms.of(parts).model_dump()}))
    return configured(model={"bundle": "bundle"})


def test_terms_that_forbid_commercial_use_are_a_warning(tmp_path: Path) -> None:
    verdict = attempt("terms", lambda: check_terms(configured(), tmp_path))
    shipped = load_bundle(BUILTIN)
    assert verdict.status is Status.WARNING
    assert verdict.detail.startswith(
        f"the terms of instore-age {shipped.version} forbid commercial use (faces (labels.csv), "
        "aaf (labels.csv): UTKFace, for non-commercial research only; All-Age-Faces, no terms stated, for "
        "research only); a shop needs a model whose terms allow it: "
    )


def test_terms_that_are_silent_on_commercial_use_are_a_warning(tmp_path: Path) -> None:
    settings = bundle_with(tmp_path, PartTerms(part="faces", licence="not stated"))
    with pytest.raises(
        Warn, match=r"do not say that commercial use is allowed \(faces: not stated\); a shop"
    ):
        check_terms(settings, tmp_path)


def test_terms_that_allow_commercial_use_are_fine_and_their_credit_is_shown(tmp_path: Path) -> None:
    part = PartTerms(part="faces", licence="CC BY 4.0", credit="Faces by Ann", commercial_use="allowed")
    said = check_terms(bundle_with(tmp_path, part), tmp_path)
    assert said.endswith("allow commercial use; they require this credit: Faces by Ann")


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_the_model_says_what_int8_gains_and_when_it_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    settings = configured(model={"backend": backend, "precision": "int8"})
    said = check_model(settings, tmp_path, SystemClock())
    assert f" on {backend} (CPU, 1 thread, int8), " in said
    assert " ms per face; this CPU gains " in said
    monkeypatch.setitem(TOLERANCE, "int8", 0.01)
    with pytest.raises(Warn) as warned:
        check_model(settings, tmp_path, SystemClock())
    assert " on onnxruntime (CPU, 1 thread, fp32), " in str(warned.value)
    assert f"; not on {backend}: int8 on {backend}: ages differ by 0." in str(warned.value)


def test_the_model_is_tried_on_the_daemons_engines_and_leaves_none(
    tmp_path: Path, trt: FakeTensorRt, pretended: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt, "Cuda", lambda: Cuda(trt.cuda))
    monkeypatch.setattr(tensorrt, "libraries", lambda: iter([pretended]))
    settings = configured(
        model={"max_batch": trt.max_batch}, outbox={"directory": "state"}, detection={"engine": "tensorrt"}
    )
    said = check_model(settings, tmp_path, SystemClock())
    assert "on tensorrt (Pretended RTX, fp16), " in said
    assert said.endswith("; faces are found on tensorrt (Pretended RTX, fp32)")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("start", "end", "side"),
    [
        ((0.2, 0.8), (0.8, 0.8), "bottom"),
        ((0.8, 0.8), (0.2, 0.8), "top"),
        ((0.5, 0.2), (0.5, 0.8), "left"),
        ((0.5, 0.8), (0.5, 0.2), "right"),
        ((0.2, 0.2), (0.8, 0.8), "lower left"),
    ],
)
def test_a_line_is_described_by_the_side_that_in_leads_to(
    start: tuple[float, float], end: tuple[float, float], side: str
) -> None:
    line = LineSettings(name="door", from_=start, to=end)
    assert line_in_words(line) == f'"in" leads to the {side} of the picture'
    entrance = line.model_copy(update={"entrance": True})
    assert line_in_words(entrance).endswith("; counts as the store's footfall")


Role = Literal["area", "queue", "staff", "ignore"]


@pytest.mark.parametrize(
    ("role", "says"),
    [
        ("area", "25.0% of the picture; visits that are longest here are counted by this name"),
        (
            "queue",
            "25.0% of the picture; visits that are longest here are counted by this name; length and waiting "
            "time are measured",
        ),
        ("ignore", "25.0% of the picture; made black: nothing looks at it"),
        ("staff", "25.0% of the picture; people who are first seen there, or stay for 60 s, are not counted"),
    ],
)
def test_a_zone_is_described_by_what_happens_there(role: Role, says: str) -> None:
    quarter = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))
    assert zone_in_words(ZoneSettings(name="till", role=role, polygon=quarter)) == says


def test_a_damaged_face_check_is_told_with_the_model_also_where_no_camera_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face_check, "OUTPUT_NETWORK", ("absent.onnx", "0" * 64))
    face_check._opened.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match=r"absent\.onnx: .*install the package again"):
            check_model(configured(), tmp_path, SystemClock())
    finally:
        face_check._opened.cache_clear()
