"""A backend that changes while it is at work: what it is asked is always answered."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.bundle import Bundle
from edge.clock import SystemClock
from edge.config import BackendSetting, ModelSettings, PrecisionSetting
from edge.errors import ConfigurationError
from edge.inference import open_backend
from edge.inference import openvino as openvino_module
from edge.inference import tensorrt as tensorrt_module
from edge.inference.backend import AgeBackend, BackendError
from edge.inference.cuda import Cuda
from edge.inference.fallback import STEADY, Candidate, ServingBackend, serve
from edge.inference.reference_check import TOLERANCE
from edge.inference.tensorrt_library import Library
from edge.ops.reasons import BackendFault
from tests.edge.inference.contract import MAX_BATCH, BackendContract, pictures
from tests.fake_gpu import FakeCuda, FakeTensorRt
from tests.fakes import ManualClock, PaintedAges
from tests.patience import PATIENCE


class Gpu(PaintedAges):
    """A backend that fails when it is told to."""

    name = "gpu"

    def __init__(self) -> None:
        super().__init__()
        self.fault: BackendFault | None = None
        self.closed = False

    def infer(self, batch: np.ndarray) -> np.ndarray:
        if self.fault:
            raise BackendError(self.fault, "the GPU is gone")
        return super().infer(batch)

    def close(self) -> None:
        self.closed = True


class Stage:
    """A `ServingBackend` with all that it is told to call. gives: what its attempts meet, in turn."""

    def __init__(self, *gives: AgeBackend | Exception, clock: ManualClock | None = None) -> None:
        self.gives = list(gives)
        self.model = PaintedAges()
        self.clock = clock or ManualClock()
        self.changes: list[str] = []
        self.fallbacks: list[str] = []
        self.recovered = 0
        self.backend = ServingBackend(
            self.model, [Candidate(self._open)], clock=self.clock, rng=random.Random(0),
            recover=self._recover, on_change=lambda: self.changes.append(self.backend.name),
            on_fallback=self.fallbacks.append,
        )  # fmt: skip

    def _open(self, cancelled: Callable[[], bool]) -> AgeBackend:
        given = self.gives.pop(0) if self.gives else BackendError(BackendFault.LOST, "that was the last one")
        if isinstance(given, Exception):
            raise given
        return given

    def _recover(self) -> None:
        self.recovered += 1


def faces(count: int) -> np.ndarray:
    return np.full((count, 64, 64, 3), 60, np.uint8)


class TestServing(BackendContract):
    @pytest.fixture
    def backend(self, bundle: Bundle) -> Iterator[AgeBackend]:
        model = open_backend("onnxruntime", bundle, max_batch=MAX_BATCH)
        backend = ServingBackend(model, clock=ManualClock(), rng=random.Random(0))
        yield backend
        backend.close()

    @pytest.fixture
    def size(self, bundle: Bundle) -> int:
        return bundle.input_size


def test_serves_on_the_model_until_the_better_one_is_open():
    gpu = Gpu()
    stage = Stage(gpu)
    stage.backend.infer(faces(2))
    assert (stage.backend.name, stage.backend.accelerated) == ("painted", False)
    assert stage.backend.attempt() is None
    stage.backend.infer(faces(3))
    assert (stage.backend.name, stage.backend.accelerated) == ("gpu", True)
    assert (stage.model.batches, gpu.batches) == ([2], [3])
    assert stage.changes == ["gpu"]
    assert stage.fallbacks == []


@pytest.mark.parametrize("reason", [BackendFault.MEMORY, BackendFault.LOST, BackendFault.WRONG])
def test_a_gpu_that_fails_at_work_costs_no_crop_and_is_tried_again(reason: BackendFault):
    broken, mended = Gpu(), Gpu()
    stage = Stage(broken, mended)
    stage.backend.attempt()
    broken.fault = reason
    assert stage.backend.infer(faces(4)).shape == (4, 101)
    assert stage.model.batches == [4]
    assert stage.fallbacks == [reason]
    assert stage.changes == ["gpu", "painted"]
    assert 0.25 <= stage.backend.bury() <= 0.5
    assert (broken.closed, stage.recovered) == (True, reason == "lost")
    stage.backend.attempt()
    stage.backend.infer(faces(1))
    assert mended.batches == [1]
    assert stage.changes == ["gpu", "painted", "gpu"]


def test_a_gpu_that_fails_in_its_first_batch_is_tried_again():
    """That is where most fail, and it may be over before the thread that opened it has looked."""
    gpus = [Gpu(), Gpu(), Gpu()]
    for gpu in gpus[:2]:
        gpu.fault = BackendFault.MEMORY
    stage = Stage(*gpus)

    def first_batch() -> None:
        if stage.backend.accelerated:
            stage.backend.infer(faces(1))
        if stage.backend.accelerated:
            stage.backend.stop()

    stage.backend._on_change = first_batch
    stage.backend.run()
    assert stage.fallbacks == ["memory", "memory"]
    assert [gpu.closed for gpu in gpus] == [True, True, False]
    assert stage.backend.name == "gpu"


def test_a_gpu_that_fails_again_and_again_is_tried_ever_later():
    gpus = [Gpu() for _ in range(8)]
    stage = Stage(*gpus)
    pauses = []
    for gpu in gpus:
        stage.backend.attempt()
        gpu.fault = BackendFault.LOST
        stage.backend.infer(faces(1))
        pauses.append(stage.backend.bury())
    assert all(later > earlier for earlier, later in zip(pauses, pauses[2:], strict=False))
    assert 15 <= pauses[-1] <= 30


def test_a_gpu_that_had_worked_for_long_is_tried_again_soon():
    gpus = [Gpu() for _ in range(6)]
    stage = Stage(*gpus)
    for gpu in gpus:
        stage.backend.attempt()
        stage.clock.advance(STEADY)
        gpu.fault = BackendFault.LOST
        stage.backend.infer(faces(1))
        assert stage.backend.bury() <= 0.5


@pytest.mark.parametrize("reason", sorted(set(BackendFault) - {BackendFault.MEMORY, BackendFault.LOST}))
def test_what_needs_somebody_is_not_tried_again(reason: BackendFault, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    stage = Stage(BackendError(reason, "install a driver"))
    stage.backend.run()
    assert stage.fallbacks == [reason]
    assert "the age model stays on painted: install a driver" in caplog.text
    assert stage.backend.infer(faces(1)).shape == (1, 101)


@pytest.mark.parametrize("reason", [BackendFault.MEMORY, BackendFault.LOST])
def test_what_may_pass_is_tried_again(reason: BackendFault):
    stage = Stage(BackendError(reason, "full"), BackendError(reason, "full"), Gpu())
    pauses = [stage.backend.attempt(), stage.backend.attempt()]
    assert all(pause is not None and pause > 0.2 for pause in pauses)
    assert stage.backend.attempt() is None
    assert stage.backend.accelerated


def test_a_gpu_that_was_there_is_looked_for_until_it_is_back():
    gpu = Gpu()
    stage = Stage(
        gpu, BackendError(BackendFault.NO_GPU, "gone"), BackendError(BackendFault.DRIVER, "gone"), Gpu()
    )
    stage.backend.attempt()
    gpu.fault = BackendFault.LOST
    stage.backend.infer(faces(1))
    stage.backend.bury()
    assert stage.backend.attempt() is not None
    assert stage.backend.attempt() is not None
    assert stage.backend.attempt() is None
    assert stage.fallbacks == ["lost", "no_gpu", "driver"]


def test_a_model_that_tensorrt_cannot_read_stays_where_it_is():
    stage = Stage(ConfigurationError("model.onnx: tensorrt cannot read it"))
    stage.backend.run()
    assert stage.fallbacks == ["engine"]


def test_a_bug_of_the_better_one_is_not_taken_for_its_weather():
    class Buggy(Gpu):
        def infer(self, batch: np.ndarray) -> np.ndarray:
            raise KeyError("a bug")

    stage = Stage(Buggy())
    stage.backend.attempt()
    with pytest.raises(KeyError):
        stage.backend.infer(faces(1))


def test_no_batch_is_lost_while_backends_come_and_go():
    """Two threads, as in the daemon: one asks on and on, the other swaps and buries."""
    gpus = [Gpu() for _ in range(20)]
    stage = Stage(*gpus)
    thread = threading.Thread(target=stage.backend.run)
    thread.start()
    asked = 0
    for gpu in gpus:
        while not gpu.batches:
            asked += len(stage.backend.infer(faces(3)))
        gpu.fault = BackendFault.LOST
        asked += len(stage.backend.infer(faces(3)))
    stage.backend.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert sum(stage.model.batches) + sum(sum(gpu.batches) for gpu in gpus) == asked
    assert all(gpu.closed for gpu in gpus[:-1])


def test_stopped_while_it_builds_it_ends_and_keeps_nothing():
    late = Gpu()
    begun = threading.Event()

    def build(cancelled: Callable[[], bool]) -> AgeBackend:
        begun.set()
        while not cancelled():
            pass
        return late

    backend = ServingBackend(PaintedAges(), [Candidate(build)], clock=SystemClock(), rng=random.Random(0))
    thread = threading.Thread(target=backend.run)
    thread.start()
    assert begun.wait(PATIENCE)
    backend.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert late.closed
    assert not backend.accelerated


class TestServe:
    """By the name in a configuration, on a pretended GPU."""

    @pytest.fixture
    def gpu(self, pretended: Library, cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tensorrt_module, "libraries", lambda: iter([pretended]))
        monkeypatch.setattr(tensorrt_module, "Cuda", lambda: cuda)

    @pytest.fixture
    def open_it(self, bundle: Bundle, tmp_path: Path) -> Callable[..., ServingBackend]:
        def open_it(
            name: BackendSetting, precision: PrecisionSetting = "auto", **hooks: Any
        ) -> ServingBackend:
            model = ModelSettings(backend=name, precision=precision, max_batch=MAX_BATCH)
            return serve(model, bundle, engines=tmp_path, clock=ManualClock(), rng=random.Random(0), **hooks)

        return open_it

    @pytest.mark.parametrize("name", ["auto", "tensorrt"])
    @pytest.mark.usefixtures("gpu")
    def test_starts_on_onnx_runtime_and_goes_to_the_gpu(
        self, open_it: Callable[..., ServingBackend], name: str, bundle: Bundle, tmp_path: Path
    ):
        backend = open_it(name)
        batch = pictures(3, bundle.input_size)
        before = backend.infer(batch)
        assert backend.name == "onnxruntime"
        assert backend.attempt() is None
        assert (backend.name, backend.device) == ("tensorrt", "Pretended RTX, fp16")
        assert np.allclose(backend.infer(batch), before, atol=0.02)
        assert sorted(path.suffix for path in tmp_path.iterdir()) == [".engine", ".kernels"]

    @pytest.mark.usefixtures("gpu")
    def test_a_full_gpu_is_left_and_taken_again(
        self, open_it: Callable[..., ServingBackend], runtime: FakeCuda, bundle: Bundle
    ):
        fallbacks: list[str] = []
        backend = open_it("auto", on_fallback=fallbacks.append)
        backend.attempt()
        runtime.fails["cudaGraphLaunch"] = runtime.real.cudaError_t.cudaErrorMemoryAllocation
        assert backend.infer(pictures(2, bundle.input_size)).shape == (2, 101)
        assert (backend.name, fallbacks) == ("onnxruntime", ["memory"])
        backend.bury()
        assert runtime.held == 0
        runtime.fails.clear()
        backend.attempt()
        assert backend.name == "tensorrt"
        backend.close()
        assert runtime.held == 0

    @pytest.mark.usefixtures("gpu")
    def test_an_engine_whose_results_are_far_off_is_never_served(
        self, open_it: Callable[..., ServingBackend], trt: FakeTensorRt, runtime: FakeCuda
    ):
        trt.wrong = lambda probs: np.roll(probs, 5, axis=1)
        fallbacks: list[str] = []
        backend = open_it("auto", on_fallback=fallbacks.append)
        backend.run()
        assert (backend.name, fallbacks, runtime.held) == ("onnxruntime", ["wrong"], 0)

    @pytest.mark.parametrize(("name", "level"), [("auto", logging.INFO), ("tensorrt", logging.WARNING)])
    @pytest.mark.usefixtures("gpu")
    def test_without_a_gpu_it_says_why_and_serves_on(
        self, open_it: Callable[..., ServingBackend], runtime: FakeCuda, *, name: str, level: int,
        bundle: Bundle, caplog: pytest.LogCaptureFixture,
    ):  # fmt: skip
        caplog.set_level(logging.INFO)
        runtime.driver = 0
        backend = open_it(name)
        backend.attempt()
        (record,) = [r for r in caplog.records if "stays on onnxruntime" in r.getMessage()]
        assert record.levelno == level
        assert "no NVIDIA driver is loaded; one for CUDA 13 or newer is needed" in record.getMessage()
        assert backend.infer(pictures(1, bundle.input_size)).shape == (1, 101)

    @pytest.mark.usefixtures("gpu")
    def test_a_driver_that_comes_late_is_taken_where_a_gpu_was_asked_for(
        self, open_it: Callable[..., ServingBackend], runtime: FakeCuda, caplog: pytest.LogCaptureFixture
    ):
        driver, runtime.driver = runtime.driver, 0
        asked, auto = open_it("tensorrt"), open_it("auto")
        assert auto.attempt() is None
        assert all(asked.attempt() is not None for _ in range(5))
        assert caplog.text.count("no NVIDIA driver is loaded") == 1  # it is said once
        runtime.driver = driver
        assert asked.attempt() is None
        assert asked.name == "tensorrt"

    def test_openvino_takes_over_from_onnx_runtime(
        self, open_it: Callable[..., ServingBackend], bundle: Bundle
    ):
        backend = open_it("openvino", "int8")
        assert (backend.name, backend.accelerated) == ("onnxruntime", False)
        assert backend.attempt() is None
        assert (backend.name, backend.accelerated) == ("openvino", True)
        assert backend.infer(pictures(3, bundle.input_size)).shape == (3, 101)

    def test_without_openvino_it_says_why_and_serves_on(
        self, open_it: Callable[..., ServingBackend], bundle: Bundle, monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ):  # fmt: skip
        def absent() -> None:
            raise BackendError(BackendFault.LIBRARY, "OpenVINO is not installed")

        monkeypatch.setattr(openvino_module, "_openvino", absent)
        fallbacks: list[str] = []
        backend = open_it("openvino", on_fallback=fallbacks.append)
        backend.run()
        assert "the age model stays on onnxruntime: OpenVINO is not installed" in caplog.text
        assert (backend.name, fallbacks) == ("onnxruntime", ["library"])
        assert backend.infer(pictures(1, bundle.input_size)).shape == (1, 101)

    @pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
    def test_int8_takes_over_from_float32_once_it_was_compared(
        self, open_it: Callable[..., ServingBackend], name: str, bundle: Bundle
    ):
        backend = open_it(name, "int8")
        assert (backend.name, backend.device) == ("onnxruntime", "CPU, 1 thread, fp32")
        assert backend.attempt() is None
        assert (backend.name, backend.device) == (name, "CPU, 1 thread, int8")
        assert backend.infer(pictures(3, bundle.input_size)).shape == (3, 101)

    @pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
    def test_a_precision_that_is_too_far_from_float32_is_never_served(
        self, open_it: Callable[..., ServingBackend], name: str, bundle: Bundle,
        caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    ):  # fmt: skip
        monkeypatch.setitem(TOLERANCE, "int8", 0.01)  # as if this CPU cut off its sums
        fallbacks: list[str] = []
        backend = open_it(name, "int8", on_fallback=fallbacks.append)
        backend.run()
        assert (backend.name, backend.device) == ("onnxruntime", "CPU, 1 thread, fp32")
        assert (backend.accelerated, fallbacks) == (False, ["wrong"])
        (record,) = [record for record in caplog.records if "stays on onnxruntime" in record.getMessage()]
        assert record.levelno == logging.WARNING
        assert f"int8 on {name}: ages differ by 0." in record.getMessage()
        assert "allowed for int8: at most 0.01; it is not used" in record.getMessage()
        assert backend.infer(pictures(1, bundle.input_size)).shape == (1, 101)

    @pytest.mark.usefixtures("gpu")
    def test_a_full_gpu_is_tried_again_while_int8_serves(
        self, open_it: Callable[..., ServingBackend], runtime: FakeCuda
    ):
        fallbacks: list[str] = []
        backend = open_it("auto", "int8", on_fallback=fallbacks.append)
        runtime.fails["cudaMalloc"] = runtime.real.cudaError_t.cudaErrorMemoryAllocation
        assert backend.attempt() is not None
        assert (backend.device, fallbacks) == ("CPU, 1 thread, int8", ["memory"])
        runtime.fails.clear()
        assert backend.attempt() is None
        assert backend.device == "Pretended RTX, int8"

    def test_onnx_runtime_alone_looks_for_no_gpu(self, open_it: Callable[..., ServingBackend]):
        backend = open_it("onnxruntime")
        backend.run()
        assert backend.name == "onnxruntime"

    def test_a_precision_that_the_bundle_lacks_is_refused_at_the_start(self, bundle: Bundle, tmp_path: Path):
        plain = replace(bundle, variants={})
        with pytest.raises(ConfigurationError, match="'int8': the bundle 'instore-age' lacks it"):
            serve(
                ModelSettings(precision="int8"), plain, engines=tmp_path, clock=ManualClock(),
                rng=random.Random(0),
            )  # fmt: skip


@pytest.mark.usefixtures("library")
class TestOpenBackend:
    """One-shot commands: the backend is open when the call returns."""

    @pytest.mark.parametrize("name", ["auto", "onnxruntime", "openvino"])
    def test_a_precision_that_is_too_far_from_float32_is_replaced_by_it(
        self, name: str, bundle: Bundle, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setitem(TOLERANCE, "int8", 0.01)  # as if this CPU cut off its sums
        passed_over: list[str] = []
        backend = open_backend(name, bundle, precision="int8", on_passed_over=passed_over.append)
        assert (backend.name, backend.device) == ("onnxruntime", "CPU, 1 thread, fp32")
        assert "allowed for int8: at most 0.01; it is not used" in passed_over[-1]
        (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert passed_over[-1].partition(": ")[2] in record.getMessage()

    def test_auto_says_why_it_is_not_tensorrt(
        self, bundle: Bundle, cuda: Cuda, runtime: FakeCuda, caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ):  # fmt: skip
        caplog.set_level(logging.INFO)
        runtime.devices = 0
        monkeypatch.setattr(tensorrt_module, "Cuda", lambda: cuda)
        assert open_backend("auto", bundle).name == "onnxruntime"
        assert "tensorrt is not used: no NVIDIA GPU is visible" in caplog.text

    def test_tensorrt_by_name_is_that_or_nothing(
        self, bundle: Bundle, cuda: Cuda, runtime: FakeCuda, monkeypatch: pytest.MonkeyPatch
    ):
        runtime.devices = 0
        monkeypatch.setattr(tensorrt_module, "Cuda", lambda: cuda)
        with pytest.raises(BackendError, match=r"backend = 'tensorrt': no NVIDIA GPU is visible.*work here$"):
            open_backend("tensorrt", bundle)

    def test_every_flavour_is_named_with_its_fault(
        self,
        bundle: Bundle,
        cuda: Cuda,
        pretended: Library,
        runtime: FakeCuda,
        monkeypatch: pytest.MonkeyPatch,
    ):
        absent = BackendError(BackendFault.LIBRARY, "tensorrt is not installed")
        monkeypatch.setattr(tensorrt_module, "libraries", lambda: iter([absent, pretended]))
        monkeypatch.setattr(tensorrt_module, "Cuda", lambda: cuda)
        runtime.capability = (7, 0)
        with pytest.raises(BackendError, match=r"tensorrt is not installed; tensorrt_rtx .* runs on sm75"):
            open_backend("tensorrt", bundle)
