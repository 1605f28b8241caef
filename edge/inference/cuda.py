"""The GPU's memory, stream and graphs: the only module that imports cuda-bindings.

One device: the first visible one (`CUDA_VISIBLE_DEVICES`). Every call is checked; a failed one raises
BackendError with the reason for its status.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from edge.inference.backend import BackendError
from edge.ops.reasons import BackendFault

PACKAGES = "pip install 'instore-analytics[tensorrt]'"

_REASONS: dict[str, BackendFault] = {
    "cudaErrorInsufficientDriver": BackendFault.DRIVER,
    "cudaErrorSystemDriverMismatch": BackendFault.DRIVER,
    "cudaErrorStubLibrary": BackendFault.DRIVER,
    "cudaErrorCallRequiresNewerDriver": BackendFault.DRIVER,
    "cudaErrorCompatNotSupportedOnDevice": BackendFault.DRIVER,
    "cudaErrorUnsupportedPtxVersion": BackendFault.DRIVER,
    "cudaErrorJitCompilerNotFound": BackendFault.DRIVER,
    "cudaErrorNoDevice": BackendFault.NO_GPU,
    "cudaErrorInvalidDevice": BackendFault.NO_GPU,
    "cudaErrorMemoryAllocation": BackendFault.MEMORY,
}

_ADVICE: dict[BackendFault, str] = {
    BackendFault.DRIVER: "install an NVIDIA driver for this version of CUDA or a newer one",
    BackendFault.NO_GPU: "check that this service may use the GPU (DeviceAllow, CUDA_VISIBLE_DEVICES)",
    BackendFault.MEMORY: "the GPU's memory is full; stop other programs on the GPU, or lower model.max_batch",
    BackendFault.LOST: "look for NVRM messages in the kernel log; check that /dev/nvidia-uvm exists",
}


@dataclass(frozen=True, slots=True)
class Gpu:
    """What an engine depends on. capability: such as 'sm86'. driver: its CUDA version, '13.0'."""

    name: str
    capability: str
    driver: str


class _Users:
    """What this process has on the device: models that are being opened, and memory. A reset waits for it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._count = 0
        self._reset: Callable[[], None] | None = None

    def enter(self) -> None:
        with self._guard:
            self._count += 1

    def leave(self) -> None:
        with self._guard:
            self._count -= 1
            self._reset_if_unused()

    def reset(self, reset: Callable[[], None]) -> None:
        with self._guard:
            self._reset = reset
            self._reset_if_unused()

    def _reset_if_unused(self) -> None:
        if self._reset is not None and not self._count:
            self._reset()
            self._reset = None


_USERS: WeakKeyDictionary[Any, _Users] = WeakKeyDictionary()
"""By CUDA's runtime, of which a process has one."""


class Cuda:
    """CUDA's runtime, checked. `runtime` stands in for `cuda.bindings.runtime` in tests."""

    def __init__(self, runtime: Any = None) -> None:  # noqa: ANN401 (a module without types)
        """Raises BackendError where cuda-bindings is not installed or does not load."""
        self.runtime = runtime or _runtime()
        self._users = _USERS.setdefault(self.runtime, _Users())

    @contextmanager
    def used(self) -> Iterator[None]:
        """No reset comes while the block runs."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        """No reset comes before `leave`."""
        self._users.enter()

    def leave(self) -> None:
        """The end of what began with `enter`."""
        self._users.leave()

    def call(self, name: str, *arguments: object) -> Any:  # noqa: ANN401 (whatever the function gives)
        """Call the function of this name; returns its result, None without one, or a tuple of several."""
        status, *results = getattr(self.runtime, name)(*arguments)
        if int(status) != 0:
            raise self._failed(name, status)
        return results[0] if len(results) == 1 else tuple(results) or None

    def gpu(self) -> Gpu:
        """The device that would be used. Raises BackendError where there is none, with the reason."""
        driver, needed = (self.call(f"cuda{which}GetVersion") for which in ("Driver", "Runtime"))
        if not driver:
            raise BackendError(
                BackendFault.DRIVER,
                f"no NVIDIA driver is loaded; one for CUDA {needed // 1000} or newer is needed",
            )
        if driver // 1000 < needed // 1000:
            raise BackendError(
                BackendFault.DRIVER,
                f"the NVIDIA driver supports CUDA {_version(driver)}, "
                f"cuda-bindings needs {_version(needed)}: {_ADVICE[BackendFault.DRIVER]}",
            )
        if not self.call("cudaGetDeviceCount"):
            raise BackendError(
                BackendFault.NO_GPU, f"no NVIDIA GPU is visible: {_ADVICE[BackendFault.NO_GPU]}"
            )
        facts = self.call("cudaGetDeviceProperties", 0)
        name = facts.name.decode(errors="replace") if isinstance(facts.name, bytes) else str(facts.name)
        return Gpu(name.rstrip("\0"), f"sm{facts.major}{facts.minor}", _version(driver))

    def reset(self) -> None:
        """Reset the device for this process, after which a permanent failure may be gone.

        At once, or when the last of its models is freed: others have lost the device as well, and notice it
        in their next batch.
        """
        self._users.reset(self._reset)

    def _reset(self) -> None:
        with suppress(BackendError):
            self.call("cudaDeviceReset")

    def _failed(self, name: str, status: Any) -> BackendError:  # noqa: ANN401 (an enum without types)
        what = str(getattr(status, "name", status))
        reason = _REASONS.get(what, BackendFault.LOST)
        text = self.runtime.cudaGetErrorString(status)[1]
        text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        return BackendError(reason, f"{name}: {text} ({what}): {_ADVICE[reason]}")


class Memory:
    """The buffers, the stream and the graphs of one engine. `close` frees them in reverse order."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._undo: list[Callable[[], object]] = []
        self._graphs: list[object] = []
        cuda.enter()
        try:
            self.stream = int(cuda.call("cudaStreamCreateWithFlags", cuda.runtime.cudaStreamNonBlocking))
        except BackendError:
            cuda.leave()
            raise
        self._undo += [cuda.leave, lambda: cuda.call("cudaStreamDestroy", self.stream)]

    def pinned(self, shape: tuple[int, ...], dtype: type[np.generic]) -> tuple[int, NDArray[Any]]:
        """Pinned host memory, which the device reads at full speed: its address, and an array of it."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = int(self._cuda.call("cudaHostAlloc", size, self._cuda.runtime.cudaHostAllocDefault))
        self._undo.append(lambda: self._cuda.call("cudaFreeHost", address))
        content = memoryview((ctypes.c_uint8 * size).from_address(address))
        return address, np.frombuffer(content, dtype).reshape(shape)

    def device(self, size: int) -> int:
        """The address of `size` bytes on the device."""
        address = int(self._cuda.call("cudaMalloc", max(size, 1)))
        self._undo.append(lambda: self._cuda.call("cudaFree", address))
        return address

    def upload(self, to: int, source: int, size: int) -> None:
        """Copy to the device, in the stream's order."""
        kind = self._cuda.runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._cuda.call("cudaMemcpyAsync", to, source, size, kind, self.stream)

    def download(self, to: int, source: int, size: int) -> None:
        """Copy from the device, in the stream's order."""
        kind = self._cuda.runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._cuda.call("cudaMemcpyAsync", to, source, size, kind, self.stream)

    def wait(self) -> None:
        """Wait until the stream has finished all its work."""
        self._cuda.call("cudaStreamSynchronize", self.stream)

    def capture(self, work: Callable[[], None]) -> object:
        """Record what `work` puts into the stream as a graph for `launch`; nothing runs now."""
        cuda = self._cuda
        # Other threads may use CUDA meanwhile: the limits of a capture apply to this thread only.
        mode = cuda.runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        cuda.call("cudaStreamBeginCapture", self.stream, mode)
        with ExitStack() as undo:
            undo.callback(self._abandon_capture)
            work()
            undo.pop_all()
        graph = cuda.call("cudaStreamEndCapture", self.stream)
        try:
            ready = cuda.call("cudaGraphInstantiate", graph, 0)
        finally:
            cuda.call("cudaGraphDestroy", graph)
        self._graphs.append(ready)
        return ready

    def _abandon_capture(self) -> None:
        with suppress(BackendError):  # the stream must leave the capture, even where that fails as well
            self._cuda.call("cudaGraphDestroy", self._cuda.call("cudaStreamEndCapture", self.stream))

    def launch(self, graph: object) -> None:
        """Run a captured graph, in the stream's order."""
        self._cuda.call("cudaGraphLaunch", graph, self.stream)

    def drop_graphs(self) -> None:
        """Wait for all work, then free the graphs: before the kernels that they launch are freed."""
        with suppress(BackendError):
            self.wait()
        while self._graphs:
            with suppress(BackendError):
                self._cuda.call("cudaGraphExecDestroy", self._graphs.pop())

    def close(self) -> None:
        """Free everything; errors of a lost device are ignored."""
        if self._undo:
            self.drop_graphs()
        while self._undo:
            with suppress(BackendError):
                self._undo.pop()()


def _runtime() -> Any:  # noqa: ANN401 (a module without types)
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise BackendError(
            BackendFault.LIBRARY, f"cuda-bindings does not load ({error}): {PACKAGES}"
        ) from None
    return runtime


def _version(number: int) -> str:
    """13050 is 13.5."""
    return f"{number // 1000}.{number % 1000 // 10}"
