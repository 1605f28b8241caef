"""The face networks of all cameras on a pretended GPU: TensorRT itself builds the engines."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from edge.config import load_settings
from edge.errors import ConfigurationError
from edge.inference import tensorrt
from edge.inference.backend import BackendError
from edge.inference.cuda import Cuda
from edge.inference.engine_build import build, key_of
from edge.inference.engine_store import EngineStore
from edge.inference.fallback import ServingBackend
from edge.inference.tensorrt_library import Library
from edge.ops.reasons import BackendFault
from edge.types import Faces
from edge.vision.detect import SharedDetectors, detectors_on, engine_of, wants_gpu
from edge.vision.detect import networks as networks_module
from edge.vision.detect.networks import MAX_BATCH, NETWORKS, Range, graph_of
from edge.vision.detect.onnx import NetworkDetector
from edge.vision.detect.same_faces import reference_pictures
from edge.vision.detect.served import BothNetworks, on_onnx_runtime, open_faces, serve_faces
from edge.vision.pipeline import build_detection
from tests.fake_gpu import Computed, FakeCuda, FakeTensorRt, session_of
from tests.fakes import EPOCH, ManualClock

RANGES: tuple[Range, ...] = ("far", "near")


@pytest.fixture
def gpu(trt: FakeTensorRt, pretended: Library, monkeypatch: pytest.MonkeyPatch) -> FakeTensorRt:
    monkeypatch.setattr(tensorrt, "Cuda", lambda: Cuda(trt.cuda))
    monkeypatch.setattr(tensorrt, "libraries", lambda: iter([pretended]))
    return trt


@pytest.fixture(scope="session")
def shipped(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Engines of both networks, as they are delivered with a box."""
    folder = tmp_path_factory.mktemp("shipped")
    for range_ in RANGES:
        graph = graph_of(range_)
        plan = build(library, graph, max_batch=MAX_BATCH, capability="sm86")
        FakeTensorRt.built[plan] = Computed(session_of(graph.path.read_bytes()), MAX_BATCH)
        key = key_of(graph, library, capability="sm86", driver="13.5", max_batch=MAX_BATCH)
        EngineStore(folder).save(key, plan)
    return folder


@pytest.fixture
def store(tmp_path: Path, shipped: Path) -> EngineStore:
    return EngineStore(tmp_path, [shipped])


class Served:
    """`serve_faces` with what it tells."""

    def __init__(self, store: EngineStore, setting: str = "auto") -> None:
        self.changes: list[str] = []
        self.fallbacks: list[str] = []
        self.backend: ServingBackend = serve_faces(
            setting, store, clock=ManualClock(), rng=random.Random(0),
            on_change=lambda: self.changes.append(self.backend.name), on_fallback=self.fallbacks.append,
        )  # fmt: skip


@pytest.fixture
def served(store: EngineStore, gpu: FakeTensorRt) -> Iterator[Served]:
    served = Served(store)
    yield served
    served.backend.close()


def assert_same(found: Faces, expected: Faces) -> None:
    assert len(found) == len(expected)
    for one, other in zip(astuple(found), astuple(expected), strict=True):
        assert np.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("range_", RANGES)
@pytest.mark.parametrize("capability", ["sm75", "sm86", "sm89", "sm120"])
def test_the_shipped_graphs_are_built_for_named_gpus(library: Library, range_: Range, capability: str):
    graph = graph_of(range_)
    plan = build(library, graph, max_batch=MAX_BATCH, capability=capability)
    assert len(plan) > graph.path.stat().st_size


def test_the_keys_of_both_networks_differ_and_hold_what_an_engine_depends_on(library: Library):
    far, near = (
        key_of(graph_of(range_), library, capability="sm86", driver="13.0", max_batch=MAX_BATCH)
        for range_ in RANGES
    )
    assert far.digest != near.digest
    for key, network in ((far, NETWORKS["far"]), (near, NETWORKS["near"])):
        assert key.graph == key.bundle == network.onnx[1]
        assert (key.size, key.max_batch, key.precision) == (network.size, MAX_BATCH, "fp32")
        assert key.driver == "any"


def test_a_graph_that_was_changed_on_the_disk_is_not_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for network in NETWORKS.values():
        (tmp_path / network.onnx[0]).write_bytes(b"another graph")
    monkeypatch.setattr(networks_module, "FOLDER", tmp_path)
    with pytest.raises(ConfigurationError, match="its SHA-256 is"):
        graph_of("far")


def test_both_networks_come_from_the_store_and_find_the_same_faces(gpu: FakeTensorRt, store: EngineStore):
    faces = open_faces(store)
    assert (faces.name, faces.device, faces.max_batch) == ("tensorrt", "Pretended RTX, fp32", MAX_BATCH)
    baseline = on_onnx_runtime()
    for range_ in RANGES:
        pictures = list(reference_pictures(NETWORKS[range_].size, 5))
        found, exact = (NetworkDetector(one, range_, 0.5).detect_all(pictures) for one in (faces, baseline))
        assert [len(one) for one in found] == [2] * 5
        for one, other in zip(found, exact, strict=True):
            assert_same(one, other)
    faces.close()
    assert gpu.cuda.held == 0


def test_engines_that_are_missing_are_built_once(gpu: FakeTensorRt, tmp_path: Path):
    open_faces(EngineStore(tmp_path)).close()
    first = sorted(path.name for path in tmp_path.iterdir())
    assert sorted(Path(name).suffix for name in first) == [".engine"] * 2 + [".kernels"] * 2
    judged = list(gpu.judged)
    open_faces(EngineStore(tmp_path)).close()
    assert gpu.judged == 2 * judged
    assert sorted(path.name for path in tmp_path.iterdir()) == first


def test_one_look_of_a_frame_is_one_batch(gpu: FakeTensorRt, store: EngineStore):
    faces = open_faces(store)
    pictures = list(reference_pictures(NETWORKS["far"].size, MAX_BATCH + 3))
    before = gpu.cuda.calls["cudaGraphLaunch"]
    NetworkDetector(faces, "far", 0.5).detect_all(pictures)
    assert gpu.cuda.calls["cudaGraphLaunch"] - before == 2
    faces.close()


def test_what_finds_other_faces_is_not_used_and_leaves_nothing(gpu: FakeTensorRt, store: EngineStore):
    gpu.wrong = lambda found: found * np.float32(0.9)
    with pytest.raises(
        BackendError, match="the far network finds other faces than on ONNX Runtime"
    ) as caught:
        open_faces(store)
    assert (caught.value.reason, gpu.cuda.held) == ("wrong", 0)


def test_one_network_without_the_other_is_not_kept(gpu: FakeTensorRt, store: EngineStore):
    """The far one is open when the near one is found to be wrong."""
    gpu.wrong = lambda found: found * np.float32(0.9) if found.shape[1] == 896 else found
    with pytest.raises(BackendError, match="the near network finds other faces"):
        open_faces(store)
    assert gpu.cuda.held == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(gpu: FakeTensorRt, store: EngineStore, value: float):
    faces = open_faces(store)
    gpu.wrong = lambda found: np.full_like(found, value)
    with pytest.raises(BackendError, match="the GPU returned values that are no numbers") as caught:
        faces.infer(reference_pictures(192, 1))
    assert caught.value.reason == "wrong"
    faces.close()


def test_serves_on_onnx_runtime_until_the_engines_are_ready(served: Served):
    assert (served.backend.name, served.backend.device) == ("onnxruntime", "CPU, 1 thread, fp32")
    assert served.backend.max_batch == MAX_BATCH
    (before,) = served.backend.infer(reference_pictures(192, 1))
    assert served.backend.attempt() is None
    assert (served.backend.name, served.changes, served.fallbacks) == ("tensorrt", ["tensorrt"], [])
    assert np.allclose(served.backend.infer(reference_pictures(192, 1))[0], before, atol=1e-3)


def test_a_gpu_that_fails_costs_no_look_and_is_counted_once(
    served: Served, gpu: FakeTensorRt, caplog: pytest.LogCaptureFixture
):
    served.backend.attempt()
    gpu.cuda.fails["cudaGraphLaunch"] = gpu.cuda.real.cudaError_t.cudaErrorIllegalAddress
    barrier = threading.Barrier(4)

    def look(range_: Range) -> list[Faces]:
        barrier.wait()
        pictures = list(reference_pictures(NETWORKS[range_].size, 3))
        return NetworkDetector(served.backend, range_, 0.5).detect_all(pictures)

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(look, ["far", "near", "far", "near"]):
            assert [len(faces) for faces in found] == [2, 2, 2]
    assert (served.changes, served.fallbacks) == (["tensorrt", "onnxruntime"], ["lost"])
    assert "tensorrt failed; face detection falls back to onnxruntime: cudaGraphLaunch" in caplog.text


def test_a_lost_gpu_is_freed_reset_and_taken_again(
    served: Served, gpu: FakeTensorRt, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("edge.inference.cuda.Cuda", lambda: Cuda(gpu.cuda))
    served.backend.attempt()
    gpu.cuda.fails["cudaGraphLaunch"] = gpu.cuda.real.cudaError_t.cudaErrorIllegalAddress
    served.backend.infer(reference_pictures(128, 1))
    assert served.backend.bury() > 0
    assert (gpu.cuda.held, gpu.cuda.resets) == (0, 1)
    gpu.cuda.fails.clear()
    assert served.backend.attempt() is None
    assert served.changes == ["tensorrt", "onnxruntime", "tensorrt"]


def test_without_a_gpu_it_stays_and_says_why(
    served: Served, runtime: FakeCuda, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    runtime.driver = 0
    assert served.backend.attempt() is None
    assert (served.backend.name, served.fallbacks) == ("onnxruntime", ["driver"])
    assert "face detection stays on onnxruntime: no NVIDIA driver is loaded" in caplog.text


def test_a_gpu_that_is_configured_by_name_is_waited_for(
    store: EngineStore, gpu: FakeTensorRt, runtime: FakeCuda
):
    runtime.driver = 0
    served = Served(store, "tensorrt")
    assert served.backend.attempt() is not None
    runtime.driver = 13050
    assert served.backend.attempt() is None
    assert served.backend.name == "tensorrt"
    served.backend.close()


def test_auto_stays_where_the_faces_differ_and_says_so(
    served: Served, gpu: FakeTensorRt, caplog: pytest.LogCaptureFixture
):
    gpu.wrong = lambda found: found + np.float32(0.5)
    assert served.backend.attempt() is None
    assert (served.backend.name, served.fallbacks) == ("onnxruntime", ["wrong"])
    (said,) = [record for record in caplog.records if "face detection stays" in record.getMessage()]
    assert said.levelno == logging.WARNING
    assert "the far network finds other faces than on ONNX Runtime" in said.getMessage()


def test_all_cameras_look_through_the_backend_that_is_served(monkeypatch: pytest.MonkeyPatch):
    looks: list[tuple[int, ...]] = []
    both = on_onnx_runtime()
    infer = both.infer

    def noting(batch: np.ndarray) -> np.ndarray:
        looks.append(batch.shape)
        return infer(batch)

    monkeypatch.setattr(both, "infer", noting)
    settings = load_settings(
        None, ("detection.engine=tensorrt",), {"cameras": [{"name": "a", "source": "0", "tile": 540}]}
    )
    scanner, opinion = build_detection(settings.cameras[0], settings, SharedDetectors(2, both))
    picture = np.zeros((1080, 1920, 3), np.uint8)
    scanner.scan(picture, EPOCH, np.zeros((0, 4), np.float32))
    opinion.examine(picture, np.array([[100, 100, 200, 200]], np.float32))
    opinion.close()
    scanner.close()
    far, near = looks
    assert far[0] > 3  # the whole picture and tiles, together
    assert (far[1:], near) == ((192, 192, 3), (1, 128, 128, 3))
    assert both.infer(np.zeros((1, 192, 192, 3), np.uint8)).shape == (1, 2304 * 17)  # it is still open


def test_the_setting_says_who_looks_for_a_gpu():
    assert [wants_gpu(setting, "x86_64") for setting in ("auto", "tensorrt", "onnxruntime", "mediapipe")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert not wants_gpu("auto", "aarch64")  # there auto is MediaPipe, with which no GPU was compared
    assert wants_gpu("tensorrt", "aarch64")
    assert engine_of("tensorrt") == "onnxruntime"
    assert isinstance(detectors_on("mediapipe", on_onnx_runtime())("near", 0.5), NetworkDetector)


def test_closing_both_closes_each():
    closed: list[str] = []

    class Network:
        name, device, max_batch = "n", "d", 1

        def __init__(self, what: str) -> None:
            self._what = what

        def infer(self, batch: np.ndarray) -> np.ndarray:
            raise BackendError(BackendFault.LOST, self._what)

        def close(self) -> None:
            closed.append(self._what)

    both = BothNetworks({"far": Network("far"), "near": Network("near")})
    with pytest.raises(BackendError, match="near"):
        both.infer(np.zeros((1, 128, 128, 3), np.uint8))
    both.close()
    assert closed == ["far", "near"]


def test_both_networks_close_once_and_for_all():
    both = on_onnx_runtime()
    both.close()
    both.close()
    with pytest.raises(RuntimeError, match="closed"):
        both.infer(np.zeros((1, 128, 128, 3), np.uint8))
