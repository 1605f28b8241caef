"""The benchmark: its sums are right, a real clip gives sane figures, and the report that is kept is whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest

from edge.bundle import Bundle, bundle_folder, load_bundle
from edge.cli import main
from edge.commands.bench.environment import environment
from edge.commands.bench.report import render
from edge.commands.bench.stage_times import ROWS, ClipTimes, bench
from edge.commands.demo.scene import Scene, compose
from edge.config import CameraSettings, Settings, load_settings
from edge.inference.backend import AgeBackend
from edge.inference.cuda import Cuda
from edge.ops.metrics import Metrics
from edge.types import AGES, FaceCrop, Frame, Image, Message, TrackEnded
from edge.vision.pipeline import Vision, VisionResult
from tests.fake_gpu import FakeCuda
from tests.fakes import ManualClock
from tests.synthetic_video import write_clip

DETECT = (0.010, 0.010, 0.030, 0.010)
"""Seconds that the scripted vision spends on its frames."""


class SlowVision:
    """Spends scripted times on frames and sees one visitor, who leaves at the end."""

    def __init__(self, clock: ManualClock, camera: str, metrics: Metrics) -> None:
        self._clock, self._camera, self._metrics = clock, camera, metrics
        self._script = iter(DETECT)
        self._last: Frame | None = None

    def process(self, frame: Frame) -> VisionResult:
        with self._metrics.timed("detect"):
            self._clock.advance(next(self._script))
        self._clock.advance(0.002)
        self._metrics.faces.labels(self._camera).inc(2)
        self._last = frame
        return VisionResult()

    def finish(self) -> list[Message]:
        assert self._last is not None
        at = self._last.captured_at
        self._metrics.tracks.labels(self._camera, "visitor").inc()
        crop = FaceCrop(self._camera, 1, np.zeros((32, 32, 3), np.uint8), 1.0)
        return [crop, TrackEnded(self._camera, 1, at, timedelta(seconds=1))]

    def close(self) -> None:
        pass


class SlowBackend:
    """Takes 40 ms a batch."""

    name, device, max_batch = "slow", "none", 8

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def infer(self, batch: Image) -> np.ndarray[Any, np.dtype[np.float32]]:
        self._clock.advance(0.040)
        return np.full((len(batch), AGES), 1 / AGES, np.float32)

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(bundle_folder("builtin", Path()))


@pytest.fixture
def measured(tmp_path: Path, bundle: Bundle) -> ClipTimes:
    clock = ManualClock()

    def make_vision(camera: CameraSettings, _: Settings, __: Bundle, metrics: Metrics) -> Vision:
        clock.advance(0.5)
        return cast(Vision, SlowVision(clock, camera.name, metrics))

    clip = write_clip(tmp_path / "numbers.avi", frames=len(DETECT), fps=10)
    (times,) = bench(
        load_settings(None, (), {"cameras": [{"name": "numbers", "source": str(clip)}]}),
        bundle,
        cast(AgeBackend, SlowBackend(clock)),
        beside=tmp_path,
        clock=clock,
        cpu_clock=lambda: 2 * clock.monotonic(),
        make_vision=make_vision,
    )
    return times


def test_each_part_is_given_the_time_it_took(measured: ClipTimes) -> None:
    detect = measured.stages["detect"]
    assert detect.mean_ms == pytest.approx(15)
    assert detect.p50_ms == pytest.approx(10)
    assert detect.p95_ms == pytest.approx(27)
    assert detect.share == pytest.approx(60 / 108)
    assert measured.stages["other"].mean_ms == pytest.approx(2)


def test_what_follows_the_last_frame_counts_in_the_mean_only(measured: ClipTimes) -> None:
    classify = measured.stages["classify"]
    assert classify.mean_ms == pytest.approx(40 / len(DETECT))
    assert classify.p95_ms == 0


def test_the_whole_leaves_out_the_loading_of_models(measured: ClipTimes) -> None:
    assert measured.load_seconds == pytest.approx(0.5)
    assert measured.seconds == pytest.approx(0.108)
    assert measured.fps == pytest.approx(len(DETECT) / 0.108)
    assert measured.cpu_ms_per_frame == pytest.approx(2 * 108 / len(DETECT))


def test_frames_faces_visitors_and_the_size_are_told(measured: ClipTimes) -> None:
    assert (measured.frames, measured.faces, measured.visitors) == (4, 8, 1)
    assert (measured.width, measured.height) == (192, 96)


def test_a_person_gets_a_row_for_every_part(measured: ClipTimes, capsys: pytest.CaptureFixture[str]) -> None:
    render([measured])
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert [row[0] for row in rows if row[0] in ROWS] == list(ROWS)
    assert ["all", "27.00"] in rows


def test_opencv_keeps_its_threads_afterwards(measured: ClipTimes) -> None:
    assert cv2.getNumThreads() == cv2.getNumberOfCPUs()


@pytest.fixture(scope="module")
def two_seconds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The composed scene where one visitor stands and another one comes: 2 s at 10 frames a second."""
    path = tmp_path_factory.mktemp("clips") / "scene.mp4"
    scene = Scene()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (1280, 720))
    for index in range(20):
        writer.write(compose(scene, 4.5 + index / 10))
    writer.release()
    return path


def run_bench(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["bench", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_real_clip_gives_sane_figures(two_seconds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run_bench(capsys, two_seconds, "--json")
    assert status == 0
    report = json.loads(out)
    assert {"cpu", "cores", "python", "mediapipe", "onnxruntime", "numpy"} <= report["environment"].keys()
    (clip,) = report["clips"]
    assert (clip["clip"], clip["width"], clip["height"], clip["frames"]) == ("scene", 1280, 720, 20)
    assert clip["faces"] >= 2 * clip["visitors"]
    assert clip["visitors"] == 2
    assert min(clip["seconds"], clip["cpu_seconds"], clip["load_seconds"]) > 0
    assert clip["fps"] == pytest.approx(20 / clip["seconds"], rel=0.01)
    assert_adds_up(clip)


def assert_adds_up(clip: dict[str, Any]) -> None:
    stages: dict[str, dict[str, float]] = clip["stages"]
    assert list(stages) == list(ROWS)
    for name in ("decode", "detect", "track", "crops", "classify", "aggregate"):
        assert stages[name]["mean_ms"] > 0, name
        assert stages[name]["p50_ms"] <= stages[name]["p95_ms"], name
    named = sum(times["mean_ms"] for name, times in stages.items() if name != "other")
    assert named <= 1000 * clip["seconds"] / clip["frames"]
    assert sum(times["share"] for times in stages.values()) == pytest.approx(1, abs=1e-4)


def test_a_setting_of_one_clip_is_obeyed(two_seconds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run_bench(capsys, two_seconds, "--json", "--set", "cameras.scene.max_fps=5")
    assert json.loads(out)["clips"][0]["frames"] in (10, 11)


@pytest.mark.parametrize(
    ("content", "status", "complaint"),
    [
        (None, 2, "there is no such file or folder"),
        (b"", 1, "is empty (0 bytes)"),
        (b"not a video" * 100, 1, "it is not a video, or is damaged"),
    ],
)
def test_a_bad_clip_is_named(
    content: bytes | None, status: int, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "bad.mp4"
    if content is not None:
        clip.write_bytes(content)
    got, out, err = run_bench(capsys, clip, "--json")
    assert (got, out) == (status, "")
    assert str(clip) in err
    assert complaint in err
    assert "Traceback" not in err


def test_what_was_measured_before_a_bad_clip_is_told(
    two_seconds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.mp4").touch()
    status, out, err = run_bench(capsys, two_seconds, tmp_path / "bad.mp4", "--json")
    assert status == 1
    assert "bad.mp4" in err
    assert [clip["clip"] for clip in json.loads(out)["clips"]] == ["scene"]


def test_ctrl_c_ends_without_a_traceback(
    two_seconds: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> Sequence[ClipTimes]:
        raise KeyboardInterrupt

    monkeypatch.setattr("edge.commands.bench.stage_times.bench", interrupted)
    status, out, err = run_bench(capsys, two_seconds)
    assert (status, out, err) == (1, "", "")


def test_figures_of_a_gpu_bear_its_name(cuda: Cuda, runtime: FakeCuda, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("edge.commands.bench.environment.Cuda", lambda: cuda)
    found = environment()
    assert found["gpu"] == "Pretended RTX (sm86), driver for CUDA 13.5"
    assert {"cuda-bindings", "tensorrt-rtx-cu13-bindings"} <= found.keys()
    runtime.devices = 0
    assert "gpu" not in environment()
