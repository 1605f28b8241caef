from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edge.inference.backend import BackendError
from edge.inference.cuda import Cuda, Gpu, Memory
from tests.fake_gpu import FakeCuda


def refused(cuda: Cuda) -> BackendError:
    with pytest.raises(BackendError) as caught:
        cuda.gpu()
    return caught.value


def test_tells_what_an_engine_depends_on(cuda: Cuda):
    assert cuda.gpu() == Gpu("Pretended RTX", "sm86", "13.5")


def test_no_driver(runtime: FakeCuda, cuda: Cuda):
    runtime.driver = 0
    assert refused(cuda).reason == "driver"
    assert "no NVIDIA driver is loaded; one for CUDA 13 or newer" in str(refused(cuda))


def test_a_driver_that_is_too_old(runtime: FakeCuda, cuda: Cuda):
    runtime.driver = 12040
    assert refused(cuda).reason == "driver"
    assert "the NVIDIA driver supports CUDA 12.4, cuda-bindings needs 13.5: install" in str(refused(cuda))


def test_no_gpu(runtime: FakeCuda, cuda: Cuda):
    runtime.devices = 0
    assert refused(cuda).reason == "no_gpu"
    assert "no NVIDIA GPU is visible: check that this service may use" in str(refused(cuda))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("cudaErrorNoDevice", "no_gpu"),
        ("cudaErrorInsufficientDriver", "driver"),
        ("cudaErrorCallRequiresNewerDriver", "driver"),
        ("cudaErrorCompatNotSupportedOnDevice", "driver"),
        ("cudaErrorJitCompilerNotFound", "driver"),
        ("cudaErrorStubLibrary", "driver"),
        ("cudaErrorSystemDriverMismatch", "driver"),
        ("cudaErrorUnsupportedPtxVersion", "driver"),
        ("cudaErrorUnknown", "lost"),
    ],
)
def test_the_reason_is_that_of_the_status(runtime: FakeCuda, cuda: Cuda, status: str, reason: str):
    runtime.fails["cudaGetDeviceCount"] = getattr(runtime.real.cudaError_t, status)
    assert refused(cuda).reason == reason
    assert status in str(refused(cuda))


def test_bindings_that_are_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(
        BackendError, match=r"cuda-bindings does not load .*instore-analytics\[tensorrt\]"
    ) as caught:
        Cuda()
    assert caught.value.reason == "library"


def test_a_reset_that_fails_is_no_fault_of_its_own(runtime: FakeCuda, cuda: Cuda):
    cuda.reset()
    runtime.fails["cudaDeviceReset"] = runtime.real.cudaError_t.cudaErrorUnknown
    cuda.reset()
    assert runtime.resets == 1


def test_where_no_gpu_is_the_command_that_needs_one_says_so_once(pytestconfig: pytest.Config):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/edge/inference", "-m", "gpu", "-p", "no:cacheprovider"],
        cwd=pytestconfig.rootpath,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.count("these tests need an NVIDIA GPU and TensorRT: no NVIDIA") == 1


def test_a_reset_waits_until_no_model_has_anything_on_the_device(runtime: FakeCuda, cuda: Cuda):
    """It would pull the memory away from under the others, whose kernels may be at work."""
    ages, faces = Memory(cuda), Memory(cuda)
    faces.device(64)
    ages.close()
    Cuda(runtime).reset()
    assert runtime.resets == 0
    faces.close()
    faces.close()
    assert runtime.resets == 1
    Memory(cuda).close()
    assert runtime.resets == 1


def test_a_reset_waits_while_a_model_is_being_opened(runtime: FakeCuda, cuda: Cuda):
    with cuda.used():
        Cuda(runtime).reset()
        assert runtime.resets == 0
    assert runtime.resets == 1


def test_memory_that_could_not_be_taken_holds_up_no_reset(runtime: FakeCuda, cuda: Cuda):
    runtime.fails["cudaStreamCreateWithFlags"] = runtime.real.cudaError_t.cudaErrorMemoryAllocation
    with pytest.raises(BackendError):
        Memory(cuda)
    cuda.reset()
    assert runtime.resets == 1
