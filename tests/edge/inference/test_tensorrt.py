"""TensorRT on a pretended GPU: the contract of all backends, and what a real one may do to us."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.bundle import Bundle
from edge.inference import open_backend
from edge.inference import tensorrt as tensorrt_module
from edge.inference.backend import AgeBackend, BackendError
from edge.inference.cuda import Cuda
from edge.inference.engine_build import build, key_of
from edge.inference.engine_store import EngineStore
from edge.inference.precision import age_graph
from edge.inference.reference_check import require_agreement
from edge.inference.tensorrt import Agree, TensorRtBackend, graph_sizes, open_engine, open_tensorrt
from edge.inference.tensorrt_library import Library
from edge.ops.reasons import BackendFault
from tests.edge.inference.contract import MAX_BATCH, BackendContract, pictures
from tests.fake_gpu import FakeCuda, FakeTensorRt, _Engine

Open = Callable[..., TensorRtBackend]


@pytest.fixture
def open_plan(pretended: Library, cuda: Cuda, plan: bytes, bundle: Bundle) -> Open:
    def open_it(content: bytes = plan, max_batch: int = MAX_BATCH) -> TensorRtBackend:
        graph = age_graph(bundle, "fp16")
        return TensorRtBackend(pretended, cuda, content, graph=graph, max_batch=max_batch, device="pretended")

    return open_it


def agree_with(model: AgeBackend, bundle: Bundle) -> Agree:
    return lambda what, backend: require_agreement(what, backend, model, bundle.input_size, "fp16")


@pytest.fixture
def model(bundle: Bundle) -> AgeBackend:
    return open_backend("onnxruntime", bundle, max_batch=MAX_BATCH)


class TestTensorRt(BackendContract):
    @pytest.fixture
    def backend(self, open_plan: Open) -> Iterator[AgeBackend]:
        backend = open_plan()
        yield backend
        backend.close()

    @pytest.fixture
    def size(self, bundle: Bundle) -> int:
        return bundle.input_size


class TestTensorRtWithoutGraphs(TestTensorRt):
    @pytest.fixture(autouse=True)
    def forbid_graphs(self, trt: FakeTensorRt) -> None:
        trt.capturable = False


class TestTheOtherFlavour(TestTensorRt):
    """As far as the two are alike: the module is that of TensorRT for RTX, under the other's name."""

    @pytest.fixture
    def pretended(self, trt: FakeTensorRt) -> Library:
        return Library("tensorrt", trt)

    def test_has_no_kernels_to_keep(self, backend: TensorRtBackend):
        assert backend.kernels() is None


class TestAnEarlyVersion(TestTheOtherFlavour):
    """Without a configuration of the runtime."""

    @pytest.fixture(autouse=True)
    def take_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(_Engine, "create_runtime_config")


def test_gives_what_the_graph_gives_on_onnx_runtime(open_plan: Open, trt: FakeTensorRt, bundle: Bundle):
    batch = pictures(3, bundle.input_size)
    (wanted,) = trt.session.run(["age"], {"image": batch})
    assert np.allclose(open_plan().infer(batch), wanted, atol=1e-3)


def test_takes_no_memory_in_a_call_and_launches_one_graph(open_plan: Open, runtime: FakeCuda, bundle: Bundle):
    backend = open_plan()
    before = runtime.calls.copy()
    for count in (1, 3, MAX_BATCH):
        backend.infer(pictures(count, bundle.input_size))
    assert runtime.calls - before == {"cudaGraphLaunch": 3, "cudaStreamSynchronize": 3}


def test_a_graph_that_cannot_be_captured_costs_speed_alone(
    open_plan: Open, runtime: FakeCuda, bundle: Bundle
):
    runtime.fails["cudaGraphInstantiate"] = runtime.real.cudaError_t.cudaErrorNotSupported
    assert open_plan().infer(pictures(2, bundle.input_size)).shape == (2, 101)
    assert runtime.calls["cudaGraphLaunch"] == 0


def test_gives_back_all_that_it_took(open_plan: Open, runtime: FakeCuda):
    backend = open_plan()
    assert runtime.held > 5
    backend.close()
    assert runtime.held == 0


IN_TURN = ["graph", "context", "engine", "memory", "stream"]
"""A graph launches kernels of its context, and all use the buffers."""


def in_turn(runtime: FakeCuda) -> list[str]:
    return [what for what, _ in groupby(runtime.gone)]


def test_gives_back_first_what_uses_the_rest(open_plan: Open, runtime: FakeCuda):
    backend = open_plan()
    backend.close()
    assert in_turn(runtime) == IN_TURN
    assert runtime.gone.count("context") == len(graph_sizes(MAX_BATCH))


def test_a_failure_that_somebody_still_holds_holds_no_context(
    open_plan: Open, runtime: FakeCuda, bundle: Bundle
):
    backend = open_plan()
    runtime.fails["cudaGraphLaunch"] = runtime.real.cudaError_t.cudaErrorIllegalAddress
    with pytest.raises(BackendError) as caught:  # its traceback has the frames of `infer`
        backend.infer(pictures(1, bundle.input_size))
    backend.close()
    assert in_turn(runtime) == IN_TURN
    assert caught.value.reason == "lost"


def test_what_failed_while_it_was_opened_goes_in_the_same_turn(
    open_plan: Open, runtime: FakeCuda, trt: FakeTensorRt
):
    trt.runs = False
    with pytest.raises(BackendError, match="cannot run the engine"):
        open_plan()
    assert in_turn(runtime) == ["context", "engine", "memory", "stream"]


def test_a_capture_that_fails_leaves_nothing(open_plan: Open, runtime: FakeCuda, trt: FakeTensorRt):
    begin = runtime.do_stream_begin_capture

    def begin_and_break(stream: int, mode: object) -> tuple[()]:
        trt.runs = False
        return begin(stream, mode)

    runtime.do_stream_begin_capture = begin_and_break  # type: ignore[method-assign]
    with pytest.raises(BackendError):  # the second batch size, run before its own capture
        open_plan()
    assert runtime.held == 0


@pytest.mark.parametrize("function", ["cudaHostAlloc", "cudaMalloc", "cudaStreamSynchronize"])
def test_gives_back_what_it_took_before_it_failed(open_plan: Open, runtime: FakeCuda, function: str):
    runtime.fails[function] = runtime.real.cudaError_t.cudaErrorMemoryAllocation
    with pytest.raises(BackendError, match=f"{function}: out of memory.*lower model.max_batch") as caught:
        open_plan()
    assert caught.value.reason == "memory"
    assert runtime.held == 0


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("cudaErrorMemoryAllocation", "memory"),
        ("cudaErrorDevicesUnavailable", "lost"),
        ("cudaErrorIllegalAddress", "lost"),
        ("cudaErrorUnknown", "lost"),
    ],
)
def test_a_gpu_that_fails_at_work_is_told_with_its_reason(
    open_plan: Open, runtime: FakeCuda, bundle: Bundle, status: str, reason: str
):
    backend = open_plan()
    runtime.fails["cudaGraphLaunch"] = getattr(runtime.real.cudaError_t, status)
    with pytest.raises(BackendError, match=f"cudaGraphLaunch: .*{status}") as caught:
        backend.infer(pictures(1, bundle.input_size))
    assert caught.value.reason == reason


def test_an_engine_that_does_not_run_is_told(open_plan: Open, trt: FakeTensorRt, bundle: Bundle):
    trt.runs = False
    with pytest.raises(BackendError, match="cannot run the engine") as caught:
        open_plan()
    assert caught.value.reason == "lost"


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_values_that_are_no_probabilities_are_refused(
    open_plan: Open, trt: FakeTensorRt, bundle: Bundle, value: float
):
    backend = open_plan()
    trt.wrong = lambda probs: np.full_like(probs, value)
    with pytest.raises(BackendError, match="not probabilities") as caught:
        backend.infer(pictures(2, bundle.input_size))
    assert caught.value.reason == "wrong"


def test_a_plan_cut_short_is_refused_by_tensorrt_itself(open_plan: Open, plan: bytes, runtime: FakeCuda):
    for content in (plan[: len(plan) // 2], b"no plan" * 100):
        with pytest.raises(BackendError, match=r"or it is for another GPU \(.*Serialization"):
            open_plan(content)
    assert runtime.held == 0


def test_a_plan_of_another_profile_is_refused(open_plan: Open, plan: bytes, runtime: FakeCuda):
    with pytest.raises(BackendError, match=rf"from \(1, .* to \({MAX_BATCH}, .*; expected: \(1, "):
        open_plan(plan, MAX_BATCH + 1)
    assert runtime.held == 0


def test_batch_sizes_with_graphs_waste_a_fifth_at_most():
    assert graph_sizes(1) == (1,)
    assert graph_sizes(8) == (1, 2, 3, 4, 5, 6, 7, 8)
    assert graph_sizes(9) == (1, 2, 3, 4, 5, 6, 7, 8, 9)
    for most in (16, 100, 256):
        sizes = graph_sizes(most)
        assert sizes[-1] == most
        assert list(sizes) == sorted(set(sizes))
        for count in range(1, most + 1):
            assert next(n for n in sizes if n >= count) <= 1.25 * count


class TestOpening:
    """From a bundle to a backend, by way of the store."""

    @pytest.fixture
    def open_it(
        self, pretended: Library, cuda: Cuda, bundle: Bundle, model: AgeBackend, tmp_path: Path
    ) -> Callable[[], TensorRtBackend]:
        def open_it() -> TensorRtBackend:
            return open_engine(
                age_graph(bundle, "fp16"), pretended, cuda, cuda.gpu(), agree=agree_with(model, bundle),
                max_batch=MAX_BATCH, store=EngineStore(tmp_path),
            )  # fmt: skip

        return open_it

    def test_builds_once(self, open_it: Open, trt: FakeTensorRt, tmp_path: Path):
        assert open_it().device == "Pretended RTX, fp16"
        first = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        assert sorted(path.suffix for path in first) == [".engine", ".kernels"]
        open_it()
        assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == first
        assert trt.judged[0] == trt.judged[1]
        assert trt.kernels == [b"kernels"]

    def test_kernels_that_no_longer_fit_are_replaced(self, open_it: Open, trt: FakeTensorRt, tmp_path: Path):
        """Of another GPU of the same capability, or an older driver: the library refuses them."""
        open_it()
        trt.compiled = b"for the GPU that was put in its place"
        open_it()
        (path,) = tmp_path.glob("*.kernels")
        assert path.read_bytes().endswith(trt.compiled)
        open_it()
        assert trt.kernels == [b"kernels", trt.compiled]

    def test_builds_anew_what_was_damaged(self, open_it: Open, trt: FakeTensorRt, tmp_path: Path):
        open_it()
        (path,) = tmp_path.glob("*.engine")
        path.write_bytes(path.read_bytes()[:-1000])
        open_it()
        assert len(trt.judged) == 2  # the damaged one was never shown to TensorRT
        assert path.stat().st_size > len(trt.judged[1])

    def test_builds_anew_what_tensorrt_does_not_load(
        self, open_it: Open, trt: FakeTensorRt, tmp_path: Path, pretended: Library, bundle: Bundle
    ):
        graph = age_graph(bundle, "fp16")
        key = key_of(graph, pretended, capability="sm86", driver="13.5", max_batch=MAX_BATCH)
        EngineStore(tmp_path).save(key, b"whole, but of some other program")
        assert open_it().infer(pictures(1, bundle.input_size)).shape == (1, 101)
        assert EngineStore(tmp_path).load(key) == trt.judged[-1]

    def test_builds_anew_what_was_kept_and_gives_wrong_results(
        self, open_it: Open, trt: FakeTensorRt, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
    ):
        open_it()
        built: list[bytes] = []

        def noting(*arguments: Any, **named: Any) -> bytes:
            built.append(build(*arguments, **named))
            return built[-1]

        monkeypatch.setattr(tensorrt_module, "build", noting)
        times = iter(range(100))

        def once(probs: np.ndarray) -> np.ndarray:
            opened = next(times) >= MAX_BATCH + 32 // MAX_BATCH  # the kept one warms up and is compared
            return probs if opened else np.roll(probs, 3, axis=1)

        trt.wrong = once
        assert open_it().infer(pictures(1, bundle.input_size)).shape == (1, 101)
        assert trt.judged[0] == trt.judged[1]
        assert trt.judged[2:] == built  # which may be the same bytes: TensorRT chooses by time
        assert len(built) == 1

    def test_refuses_an_engine_whose_results_are_far_off(
        self, open_it: Open, trt: FakeTensorRt, runtime: FakeCuda
    ):
        trt.wrong = lambda probs: np.roll(probs, 3, axis=1)
        with pytest.raises(
            BackendError, match=r"ages differ by [23]\.\d\d years from float32 on.*not used"
        ) as caught:
            open_it()
        assert caught.value.reason == "wrong"
        assert runtime.held == 0

    def test_works_without_a_disk_to_write_to(
        self, pretended: Library, cuda: Cuda, bundle: Bundle, model: AgeBackend, tmp_path: Path
    ):
        (tmp_path / "file").write_text("in the way")
        backend = open_engine(
            age_graph(bundle, "fp16"), pretended, cuda, cuda.gpu(), agree=agree_with(model, bundle),
            max_batch=MAX_BATCH, store=EngineStore(tmp_path / "file" / "engines"),
        )  # fmt: skip
        assert backend.infer(pictures(1, bundle.input_size)).shape == (1, 101)

    def test_names_the_gpus_that_it_runs_on(self, open_it: Open, runtime: FakeCuda):
        runtime.capability = (9, 0)
        with pytest.raises(BackendError, match=r"runs on sm75, .*; Pretended RTX is sm90") as caught:
            open_it()
        assert caught.value.reason == "no_gpu"

    def test_tells_which_flavour_it_is_and_why_no_other(
        self, pretended: Library, cuda: Cuda, bundle: Bundle, monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ):  # fmt: skip
        caplog.set_level(logging.INFO)
        absent = BackendError(BackendFault.LIBRARY, "tensorrt is not installed")
        monkeypatch.setattr(tensorrt_module, "libraries", lambda: iter([absent, pretended]))
        monkeypatch.setattr(tensorrt_module, "Cuda", lambda: cuda)
        open_tensorrt(bundle, max_batch=MAX_BATCH).close()
        assert (
            f"TensorRT is tensorrt_rtx {pretended.version}; not used: tensorrt is not installed"
            in caplog.text
        )

    def test_what_is_thrown_below_the_bindings_is_told(
        self,
        pretended: Library,
        cuda: Cuda,
        runtime: FakeCuda,
        bundle: Bundle,
        monkeypatch: pytest.MonkeyPatch,
    ):
        def throw(*_: object) -> None:
            raise RuntimeError("std::bad_alloc")

        monkeypatch.setattr(_Engine, "get_tensor_profile_shape", throw)
        monkeypatch.setattr(tensorrt_module, "libraries", lambda: iter([pretended]))
        monkeypatch.setattr(tensorrt_module, "Cuda", lambda: cuda)
        with pytest.raises(BackendError, match="tensorrt_rtx: std::bad_alloc") as caught:
            open_tensorrt(bundle, max_batch=MAX_BATCH)
        assert caught.value.reason == "engine"
        assert runtime.held == 0
