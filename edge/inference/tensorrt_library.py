"""TensorRT and TensorRT for RTX, as installed: the only module that imports either, and by name."""

from __future__ import annotations

import gc
import importlib
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Literal

from edge.errors import ConfigurationError
from edge.inference.backend import BackendError
from edge.inference.cuda import PACKAGES
from edge.ops.reasons import BackendFault

log = logging.getLogger(__name__)

RTX = "tensorrt_rtx"
FLAVOURS: dict[str, tuple[str, ...]] = {
    "tensorrt": ("tensorrt", "tensorrt_bindings"),
    RTX: (RTX, "tensorrt_rtx_bindings"),
}
"""The flavours that may be installed, the preferred one first, and the names of their modules."""

OLDEST = {"tensorrt": 10, RTX: 1}
"""The first major version of each with the interface that is used here."""

NEEDED = (
    "Builder.build_serialized_network", "Builder.create_builder_config", "Builder.create_network",
    "Builder.create_optimization_profile", "BuilderFlag.TF32",
    "ExecutionContextAllocationStrategy.USER_MANAGED", "IBuilderConfig.add_optimization_profile",
    "IBuilderConfig.clear_flag", "IBuilderConfig.progress_monitor", "IBuilderConfig.set_memory_pool_limit",
    "ICudaEngine.create_execution_context", "ICudaEngine.device_memory_size_v2",
    "ICudaEngine.get_tensor_name", "ICudaEngine.get_tensor_profile_shape", "ICudaEngine.num_io_tensors",
    "IExecutionContext.execute_async_v3", "IExecutionContext.set_device_memory",
    "IExecutionContext.set_input_shape", "IExecutionContext.set_tensor_address",
    "IProgressMonitor.phase_start", "MemoryPoolType.WORKSPACE", "NetworkDefinitionCreationFlag",
    "OnnxParser.parse", "Runtime.deserialize_cuda_engine",
)  # fmt: skip
"""The attributes that are used. 10.0 lacks some; one that a later version drops must not end the daemon."""


class Library:
    """One flavour of TensorRT, imported. module: such as `tensorrt`. Its errors are kept, not printed."""

    def __init__(self, flavour: str, module: Any) -> None:  # noqa: ANN401 (a module without types)
        self.flavour = flavour
        self.module = module
        self.version = str(module.__version__)
        self.logger = _logger(module)

    @property
    def for_others(self) -> bool:
        """Whether it builds engines for GPUs other than this machine's."""
        return self.flavour == RTX

    def capabilities(self) -> tuple[str, ...]:
        """The GPUs that it builds for by name, such as ('sm75', 'sm86')."""
        if not self.for_others:
            return ()
        names = self.module.ComputeCapability.__members__
        return tuple(sorted((n.lower() for n in names if n.startswith("SM")), key=lambda n: int(n[2:])))

    def make(self, kind: Literal["Builder", "Runtime"]) -> Any:  # noqa: ANN401
        """Make a builder or a runtime. Raises BackendError if TensorRT cannot, as on a full GPU."""
        self.listen()
        try:
            with _no_collection():
                return getattr(self.module, kind)(self.logger)
        except TypeError:  # what the bindings make of a null pointer
            raise self.refusal(f"cannot make a {kind}", otherwise=BackendFault.LOST) from None

    def refusal(self, what: str, *, otherwise: BackendFault = BackendFault.ENGINE) -> BackendError:
        """The error that it failed at `what`, with its own messages; these show whether memory is full."""
        why = self.complaint()
        full = "out of memory" in why.lower() or "outofmemory" in why.lower()
        return BackendError(BackendFault.MEMORY if full else otherwise, f"{self.flavour} {what} ({why})")

    def listen(self) -> None:
        """Forget the errors so far, before a call whose errors are to be reported."""
        self.logger.complaints.clear()

    def complaint(self) -> str:
        """Its errors since `listen`, in its own words."""
        return "; ".join(self.logger.complaints) or "it gives no reason"


def load_library(flavour: str, modules: Sequence[str] | None = None) -> Library:
    """Import one flavour. modules: instead of those of `FLAVOURS`.

    Raises BackendError if the package is absent, or does not load; the message says which.
    """
    for name in modules or FLAVOURS[flavour]:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name == name:
                continue
            raise _broken(name, error) from None
        except (ImportError, OSError) as error:  # a shared library is missing, or one of another version
            raise _broken(name, error) from None
        return _checked_library(flavour, name, module)
    raise BackendError(BackendFault.LIBRARY, f"{flavour} is not installed")


def libraries() -> Iterator[Library | BackendError]:
    """Every flavour in order of preference, imported one at a time, or the reason why it cannot be."""
    for flavour in FLAVOURS:
        try:
            yield load_library(flavour)
        except BackendError as error:
            yield error


def require_capability(library: Library, capability: str) -> None:
    """Raise ConfigurationError unless the library builds for GPUs of this capability by name."""
    if capability not in library.capabilities():
        raise ConfigurationError(
            f"{capability!r}: {library.flavour} {library.version} cannot build for it; allowed: "
            f"{', '.join(library.capabilities())} (compute capability 8.6 is sm86)"
        )


def _broken(name: str, error: Exception) -> BackendError:
    return BackendError(
        BackendFault.LIBRARY,
        f"{name} is installed but does not load ({error}); install its libraries: {PACKAGES}",
    )


def _checked_library(flavour: str, name: str, module: ModuleType) -> Library:
    version = str(getattr(module, "__version__", ""))
    if not hasattr(module, "Builder"):
        raise BackendError(BackendFault.LIBRARY, f"{name} is installed but is not TensorRT: {PACKAGES}")
    if int(version.partition(".")[0] or 0) < OLDEST[flavour]:
        raise BackendError(
            BackendFault.LIBRARY,
            f"{name} is version {version}; needed: {OLDEST[flavour]} or newer: {PACKAGES}",
        )
    if lacking := [name for name in NEEDED if not _has(module, name)]:
        raise BackendError(
            BackendFault.LIBRARY,
            f"{name} is version {version} and lacks {', '.join(lacking)}; install another one: {PACKAGES}",
        )
    return Library(flavour, module)


@contextmanager
def _no_collection() -> Iterator[None]:
    """No collection of garbage meanwhile: it would wait for ever to destroy an older runtime in a message of
    the library, which holds its own lock then."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _has(module: ModuleType, name: str) -> bool:
    part: Any = module
    for word in name.split("."):
        part = getattr(part, word, None)
    return part is not None


def _logger(trt: Any) -> Any:  # noqa: ANN401
    class Complaints(trt.ILogger):  # type: ignore[misc]  # the base has no types
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.complaints: deque[str] = deque(maxlen=4)

        def log(self, severity: Any, message: str) -> None:  # noqa: ANN401
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.complaints.append(message)
            log.debug("%s", message)

    return Complaints()
