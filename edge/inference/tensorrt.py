"""Networks on an NVIDIA GPU, from engines that were built for it or are built now."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.errors import OutsideError
from edge.inference.backend import Backend, BackendError, Graph, require_batch
from edge.inference.cuda import Cuda, Gpu, Memory
from edge.inference.engine_build import build, key_of
from edge.inference.engine_store import EngineKey, EngineStore
from edge.inference.onnxruntime import OnnxRuntimeBackend
from edge.inference.precision import age_graph, precision_of
from edge.inference.reference_check import require_agreement
from edge.inference.tensorrt_library import RTX, Library, libraries
from edge.ops.reasons import BackendFault
from edge.types import Image

log = logging.getLogger(__name__)

Agree = Callable[[str, Backend], None]
"""Takes what to call a backend in messages, and the backend. Raises BackendError where its results are too
far from those of float32 on ONNX Runtime."""


_OF_THE_GPU = (BackendFault.MEMORY, BackendFault.LOST)
"""Faults that are the same for every flavour of TensorRT."""

_OPENING = threading.Lock()
"""Networks are opened one after the other: engines are chosen by the times that they take on the GPU."""


def graph_sizes(max_batch: int) -> tuple[int, ...]:
    """The batch sizes that get a CUDA graph: all up to 8, then four for each doubling, and the largest.

    Others are run as the next larger one; at most a fifth of the work is wasted.
    """
    sizes = [n for n in range(1, max_batch) if n <= 8 or n % (1 << (n.bit_length() - 3)) == 0]
    return (*sizes, max_batch)


@dataclass(slots=True)
class _BatchSlot:
    """One batch size: its execution context and its work as a CUDA graph; None where none was captured.

    Each has a context of its own, as a graph holds the settings of its context.
    """

    context: Any
    size: int
    graph: object | None = None


@dataclass(slots=True)
class _Output:
    """One output: its address on the device, and in pinned memory the address of what is copied back."""

    name: str
    at: int
    copied_to: int
    found: NDArray[np.float32]


class TensorRtBackend:
    """`Backend` on the GPU. Memory is taken and graphs are captured when it is opened, none in a call."""

    name = "tensorrt"

    def __init__(
        self,
        library: Library,
        cuda: Cuda,
        plan: bytes,
        *,
        graph: Graph,
        max_batch: int,
        device: str,
        kernels: bytes | None = None,
    ) -> None:
        """plan: from `build` on `graph`. kernels: from an earlier backend on the same plan, GPU and driver.

        Raises BackendError on a plan of another version, GPU or profile, and on every error of the GPU.
        """
        self.max_batch = max_batch
        self.device = device
        self._library = library
        self._graph = graph
        self._size = graph.size
        self._closed = False
        self._slots: list[_BatchSlot] = []
        self._outputs: list[_Output] = []
        self._runtime: Any = None
        self._engine: Any = None
        self._config: Any = None
        self._kernels: Any = None
        self.compiled = False
        """Whether kernels were compiled, so that `kernels` has something new to store."""
        self._memory = Memory(cuda)
        with ExitStack() as undo:
            undo.callback(self.close)
            self._load(plan, kernels)
            self._make_buffers()
            self._make_slots()
            undo.pop_all()

    def infer(self, batch: Image) -> NDArray[np.float32]:
        """See `Backend.infer`."""
        if self._closed:
            raise RuntimeError("the backend is closed")
        require_batch(batch, self._size, self.max_batch)
        count = len(batch)
        slot = next(slot for slot in self._slots if slot.size >= count)
        self._images[:count] = batch
        if slot.graph is None:
            self._enqueue(slot)
        else:
            self._memory.launch(slot.graph)
        self._memory.wait()
        found = np.concatenate([one.found[:count].reshape(count, -1) for one in self._outputs], axis=1)
        if fault := self._graph.fault(found):
            raise BackendError(BackendFault.WRONG, f"the GPU returned {fault}")
        return found

    def kernels(self) -> bytes | None:
        """The kernels that were compiled on this machine, for the next start; None where there are none."""
        if self._kernels is None:
            return None
        found = self._kernels.serialize()
        return None if found is None else bytes(memoryview(found))

    def close(self) -> None:
        """See `Backend.close`."""
        if self._closed:
            return
        self._closed = True
        # Graphs, then contexts, then the engine: each needs the next one, and the buffers below all of them.
        # Any other order ends the process. A traceback may hold a slot, so each slot drops its context here.
        self._memory.drop_graphs()
        while self._slots:
            self._slots.pop().context = None
        self._config = self._kernels = self._engine = self._runtime = None
        self._memory.close()

    def _load(self, plan: bytes, kernels: bytes | None) -> None:
        trt = self._library.module
        self._runtime = self._library.make("Runtime")
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise self._library.refusal(
                "cannot load the engine: another version built it, or it is for another GPU"
            )
        self._check_profile()
        by_us = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if not hasattr(self._engine, "create_runtime_config"):  # early versions of TensorRT 10
            self._config = by_us
            return
        self._config = self._engine.create_runtime_config()
        self._config.set_execution_context_allocation_strategy(by_us)
        if self._library.flavour == RTX:
            # Every kernel is ready before its graph is captured, not while visitors wait.
            strategies = trt.DynamicShapesKernelSpecializationStrategy
            self._config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
            self._kernels = self._config.create_runtime_cache()
            self.compiled = kernels is None or not self._kernels.deserialize(kernels)
            if self.compiled and kernels is not None:
                log.info("the stored kernels are for another GPU or driver; they are compiled again")
            self._config.set_runtime_cache(self._kernels)

    def _check_profile(self) -> None:
        names = {self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)}
        if names != {"image", *self._graph.outputs}:
            raise BackendError(BackendFault.ENGINE, f"the engine's inputs and outputs are {sorted(names)}")
        low, _, high = (tuple(d) for d in self._engine.get_tensor_profile_shape("image", 0))
        expected = ((1, self._size, self._size, 3), (self.max_batch, self._size, self._size, 3))
        if (low, high) != expected:
            raise BackendError(
                BackendFault.ENGINE,
                f"the engine takes batches from {low} to {high}; expected: {expected[0]} to {expected[1]}",
            )

    def _make_buffers(self) -> None:
        images = (self.max_batch, self._size, self._size, 3)
        self._images_at, self._images = self._memory.pinned(images, np.uint8)
        self._images[:] = 0
        self._input = self._memory.device(self._images.nbytes)
        for name, shape in self._graph.outputs.items():
            copied_to, found = self._memory.pinned((self.max_batch, *shape), np.float32)
            at = self._memory.device(found.nbytes)
            self._outputs.append(_Output(name, at, copied_to, found))
        # One scratch for all contexts: they run one after the other, in one stream.
        self._scratch_bytes = int(self._engine.device_memory_size_v2)
        self._scratch = self._memory.device(self._scratch_bytes)

    def _make_slots(self) -> None:
        for size in graph_sizes(self.max_batch):
            slot = self._slot(size)
            self._enqueue(slot)  # the first run does extra work, which must not be part of the graph
            self._memory.wait()
            slot.graph = self._captured(slot)

    def _slot(self, size: int) -> _BatchSlot:
        self._library.listen()
        slot = _BatchSlot(self._engine.create_execution_context(self._config), size)
        if slot.context is None:
            raise self._library.refusal("cannot make an execution context")
        self._slots.append(slot)
        slot.context.set_device_memory(self._scratch, self._scratch_bytes)
        ready = (
            slot.context.set_input_shape("image", (size, self._size, self._size, 3))
            and slot.context.set_tensor_address("image", self._input)
            and all(slot.context.set_tensor_address(each.name, each.at) for each in self._outputs)
        )
        if not ready:
            raise self._library.refusal(f"does not accept a batch of {size}")
        return slot

    def _captured(self, slot: _BatchSlot) -> object | None:
        if hasattr(slot.context, "is_stream_capturable") and not slot.context.is_stream_capturable(
            self._memory.stream
        ):
            log.info("batches of %d run without a CUDA graph: the engine does not support one", slot.size)
            return None
        try:
            return self._memory.capture(lambda: self._enqueue(slot))
        except BackendError as error:  # slower without; a lost GPU shows in the next call
            log.info("batches of %d run without a CUDA graph: %s", slot.size, error)
            return None

    def _enqueue(self, slot: _BatchSlot) -> None:
        self._memory.upload(self._input, self._images_at, self._images[: slot.size].nbytes)
        self._library.listen()
        if not slot.context.execute_async_v3(self._memory.stream):
            raise self._library.refusal("cannot run the engine", otherwise=BackendFault.LOST)
        for each in self._outputs:
            self._memory.download(each.copied_to, each.at, each.found[: slot.size].nbytes)


def open_tensorrt(
    bundle: Bundle,
    *,
    precision: str = "auto",
    max_batch: int = 8,
    store: EngineStore | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> TensorRtBackend:
    """The age model on the GPU, compared with ONNX Runtime on the reference crops; see `open_on_gpu`.

    Raises ConfigurationError on a precision that the bundle lacks, and on a model that does not fit its
    manifest.
    """
    graph = age_graph(bundle, precision_of(precision, bundle))

    def agree(what: str, backend: Backend) -> None:
        with closing(OnnxRuntimeBackend(bundle, max_batch=max_batch, threads=1)) as baseline:
            require_agreement(what, backend, baseline, graph.size, graph.precision)

    return open_on_gpu(graph, agree=agree, max_batch=max_batch, store=store, cancelled=cancelled)


def open_on_gpu(
    graph: Graph,
    *,
    agree: Agree,
    max_batch: int,
    store: EngineStore | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> TensorRtBackend:
    """A network on the first flavour of TensorRT that works.

    Raises BackendError with the reasons why no flavour works, ConfigurationError on a graph that does not
    fit its description.
    """
    cuda = Cuda()
    with _OPENING, cuda.used():
        return _first_that_works(
            graph, cuda, agree=agree, max_batch=max_batch, store=store, cancelled=cancelled
        )


def _first_that_works(
    graph: Graph,
    cuda: Cuda,
    *,
    agree: Agree,
    max_batch: int,
    store: EngineStore | None,
    cancelled: Callable[[], bool],
) -> TensorRtBackend:
    gpu = cuda.gpu()  # first: the import of TensorRT takes 100 MB
    faults: list[BackendError] = []
    for library in libraries():
        if isinstance(library, BackendError):
            faults.append(library)
            continue
        try:
            backend = open_engine(
                graph, library, cuda, gpu, agree=agree, max_batch=max_batch, store=store, cancelled=cancelled
            )
        except BackendError as error:
            if error.reason in _OF_THE_GPU:
                raise
            faults.append(error)
        except RuntimeError as error:  # the bindings raise it for every C++ exception
            faults.append(BackendError(BackendFault.ENGINE, f"{library.flavour}: {error}"))
        else:
            skipped = "".join(f"; not used: {fault}" for fault in faults)
            log.info("TensorRT is %s %s%s", library.flavour, library.version, skipped)
            return backend
    worst = faults[-1]
    raise BackendError(worst.reason, "; ".join(map(str, faults)))


def open_engine(
    graph: Graph,
    library: Library,
    cuda: Cuda,
    gpu: Gpu,
    *,
    agree: Agree,
    max_batch: int,
    store: EngineStore | None,
    cancelled: Callable[[], bool] = lambda: False,
) -> TensorRtBackend:
    """The network on this GPU, from the store where it has the engine, else built and stored.

    An engine may come from another machine, untested: it is used only if its results `agree`. Raises
    BackendError; ConfigurationError on a graph that does not fit its description.
    """
    _refuse_other_gpus(library, gpu)
    key = key_of(graph, library, capability=gpu.capability, driver=gpu.driver, max_batch=max_batch)
    device = f"{gpu.name}, {graph.precision}"
    kernels_key = replace(key, driver=gpu.driver)
    kernels = store.load(kernels_key, "kernels") if store else None

    def opened(plan: bytes) -> TensorRtBackend:
        backend = TensorRtBackend(
            library, cuda, plan, graph=graph, max_batch=max_batch, device=device, kernels=kernels
        )
        with ExitStack() as undo:
            undo.callback(backend.close)
            agree(f"the engine on {device}", backend)
            undo.pop_all()
        if store is not None and backend.compiled and (made := backend.kernels()):
            _keep(store, kernels_key, made, "kernels")
        return backend

    if store is not None and (plan := store.load(key)) is not None:
        try:
            return opened(plan)
        except BackendError as error:
            if error.reason not in (BackendFault.ENGINE, BackendFault.WRONG):
                raise
            log.warning("%s; the engine is built again", error)
            store.discard(key)
    return opened(_built(library, graph, key, store, cancelled))


def _refuse_other_gpus(library: Library, gpu: Gpu) -> None:
    if library.for_others and gpu.capability not in library.capabilities():
        raise BackendError(
            BackendFault.NO_GPU,
            f"{library.flavour} {library.version} runs on {', '.join(library.capabilities())}; "
            f"{gpu.name} is {gpu.capability}",
        )


def _keep(store: EngineStore, key: EngineKey, content: bytes, kind: str = "engine") -> None:
    """Store it if the disk allows; otherwise it is made again at the next start."""
    try:
        store.save(key, content, kind)
    except OutsideError as error:
        log.warning("%s; it is made again at the next start", error)


def _built(
    library: Library, graph: Graph, key: EngineKey, store: EngineStore | None, cancelled: Callable[[], bool]
) -> bytes:
    log.info(
        "building an engine of %s: %s, %s, %s %s",
        *(graph.path.name, key.precision, key.capability, key.flavour, key.version),
    )
    plan = build(library, graph, max_batch=key.max_batch, capability=key.capability, cancelled=cancelled)
    if store is not None:
        _keep(store, key, plan)
    return plan
