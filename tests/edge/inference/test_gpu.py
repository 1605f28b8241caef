"""On a real GPU: `make test-gpu`. Everything that `tests/fake_gpu.py` pretends is done for real here."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import Bundle
from edge.clock import SystemClock
from edge.commands.engine.build import build_engines
from edge.config import ModelSettings, Precision
from edge.inference import open_backend
from edge.inference.backend import AgeBackend, BackendError
from edge.inference.cuda import Cuda, Memory
from edge.inference.engine_store import EngineStore
from edge.inference.fallback import serve
from edge.inference.reference_check import TOLERANCE, compare, reference_crops
from edge.inference.tensorrt import open_tensorrt
from tests.edge.inference.contract import MAX_BATCH, BackendContract, pictures

pytestmark = pytest.mark.gpu

PRECISIONS = ("fp32", "fp16", "int8")


@pytest.fixture(scope="module", autouse=True)
def gpu(bundle: Bundle, request: pytest.FixtureRequest) -> None:
    """Where nothing of this can run that is said once, and it is a failure: nothing was tested."""
    try:
        open_tensorrt(bundle, max_batch=MAX_BATCH).close()
    except BackendError as error:
        if error.reason not in ("library", "driver", "no_gpu"):
            return  # of interest: the tests tell
        why = f"these tests need an NVIDIA GPU and TensorRT: {error}"
        if request.config.option.markexpr == "gpu":
            pytest.exit(why, returncode=1)
        pytest.fail(why)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EngineStore:
    return EngineStore(tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="module")
def model(bundle: Bundle) -> AgeBackend:
    return open_backend("onnxruntime", bundle, max_batch=MAX_BATCH)


@pytest.fixture
def open_it(bundle: Bundle, store: EngineStore) -> Callable[..., AgeBackend]:
    def open_it(precision: str, max_batch: int = MAX_BATCH) -> AgeBackend:
        return open_tensorrt(bundle, precision=precision, max_batch=max_batch, store=store)

    return open_it


@pytest.mark.parametrize("precision", PRECISIONS)
class TestOnAGpu(BackendContract):
    alike = 5e-3  # each size has kernels of its own, and their sums in 16 and 8 bits another order

    @pytest.fixture
    def backend(self, open_it: Callable[..., AgeBackend], precision: str) -> Iterator[AgeBackend]:
        backend = open_it(precision)
        yield backend
        backend.close()

    @pytest.fixture
    def size(self, bundle: Bundle) -> int:
        return bundle.input_size


@pytest.mark.parametrize("precision", PRECISIONS)
def test_is_as_near_to_onnx_runtime_as_its_precision_allows(
    open_it: Callable[..., AgeBackend], model: AgeBackend, bundle: Bundle, precision: Precision
):
    backend = open_it(precision)
    apart = compare(backend, model, reference_crops(bundle.input_size))
    backend.close()
    assert apart.years <= TOLERANCE[precision]
    assert apart.worst_years <= 10 * TOLERANCE[precision]


def test_every_batch_up_to_the_largest_gives_the_same(open_it: Callable[..., AgeBackend], bundle: Bundle):
    """Sizes without a graph of their own are run as the next larger one: what lies behind must not matter."""
    backend = open_it("fp16", 20)
    batch = pictures(20, bundle.input_size)
    whole = backend.infer(batch)
    for count in range(1, 21):
        assert np.allclose(backend.infer(batch[:count]), whole[:count], atol=5e-3)
    backend.close()


def test_a_thousand_calls_take_no_memory(open_it: Callable[..., AgeBackend], bundle: Bundle):
    backend, cuda = open_it("fp16"), Cuda()
    batch = pictures(MAX_BATCH, bundle.input_size)
    backend.infer(batch)
    free, _ = cuda.call("cudaMemGetInfo")
    for _ in range(1000):
        backend.infer(batch)
    assert cuda.call("cudaMemGetInfo")[0] >= free - (1 << 20)
    backend.close()


def test_opening_and_closing_again_and_again_leaks_nothing(open_it: Callable[..., AgeBackend]):
    cuda = Cuda()
    open_it("fp16").close()
    free, _ = cuda.call("cudaMemGetInfo")
    for _ in range(10):
        open_it("fp16").close()
    assert cuda.call("cudaMemGetInfo")[0] >= free - (16 << 20)


def test_a_full_gpu_is_told_and_left_as_it_was():
    cuda = Cuda()
    free, total = cuda.call("cudaMemGetInfo")
    memory = Memory(cuda)
    with pytest.raises(BackendError) as caught:
        memory.device(2 * total)
    assert caught.value.reason == "memory"
    memory.close()
    assert cuda.call("cudaMemGetInfo")[0] >= free - (16 << 20)


def test_serves_on_the_gpu_and_opens_from_the_store_the_second_time(bundle: Bundle, tmp_path: Path):
    seconds = []
    for _ in range(2):
        backend = serve(
            ModelSettings(backend="tensorrt", max_batch=MAX_BATCH), bundle, engines=tmp_path,
            clock=SystemClock(), rng=random.Random(0),
        )  # fmt: skip
        begun = time.monotonic()
        assert backend.attempt() is None
        seconds.append(time.monotonic() - begun)
        assert backend.name == "tensorrt"
        backend.close()
    assert seconds[1] < seconds[0]


def test_the_command_runs_what_it_builds(bundle: Bundle, tmp_path: Path):
    for one in build_engines(bundle, EngineStore(tmp_path), precisions=PRECISIONS, max_batch=MAX_BATCH):
        assert one.engine is not None, one.not_run
        assert one.engine.years <= TOLERANCE[one.precision]


def test_is_faster_than_one_core(open_it: Callable[..., AgeBackend], bundle: Bundle, model: AgeBackend):
    """`python -m bench.run --only batching` has the figures."""
    batch = pictures(MAX_BATCH, bundle.input_size)
    for backend in (gpus := [open_it("fp16"), open_it("int8")]):
        assert seconds(backend, batch) < seconds(model, batch)
    for backend in gpus:
        backend.close()


def seconds(backend: AgeBackend, batch: np.ndarray) -> float:
    backend.infer(batch)
    begun = time.perf_counter()
    for _ in range(20):
        backend.infer(batch)
    return time.perf_counter() - begun
