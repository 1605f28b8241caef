"""A GPU for machines that have none: only what runs on it is pretended.

`FakeCuda` stands for `cuda.bindings.runtime`. Every call is first made to the real bindings with the very
same arguments, which must take them and answer that there is no driver; then memory is host memory, and a
stream is a list of work that is done when somebody waits for it, so that a missing wait or copy shows.
`FakeTensorRt` is the real module but for what needs a device: engines are built, and plans judged, by
TensorRT itself; a loaded plan computes the graph that it was built of on ONNX Runtime. Its stand-ins refuse
what the real ones do not take.
"""

from __future__ import annotations

import ctypes
import itertools
import re
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime

_SIGNATURE = re.compile(r"^(?:\d+\. )?(\w+)\(self: [\w.]+(?:, (.*))?\) -> ", re.MULTILINE)


class FakeCuda:
    """See the module. fails: the status, by name of a function, that it gives instead of working."""

    def __init__(self, real: Any, *, driver: int = 13050, capability: tuple[int, int] = (8, 6)) -> None:
        self.real = real
        self.driver = driver
        self.devices = 1
        self.capability = capability
        self.fails: dict[str, Any] = {}
        self.calls: Counter[str] = Counter()
        self.blocks: dict[int, Any] = {}
        self.handles: set[int] = set()
        self.resets = 0
        self.gone: list[str] = []
        """What was given back or destroyed, in turn, also of TensorRT's."""
        self._streams: dict[int, list[Callable[[], None]]] = {}
        self._recording: dict[int, list[Callable[[], None]]] = {}
        self._graphs: dict[int, list[Callable[[], None]]] = {}
        self._free_handles = itertools.count(0x6000, 8)
        self._ask = real.cudaDriverGetVersion()[1] == 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.real, name)
        if not re.match(r"cuda[A-Z]\w+$", name) or isinstance(real, type | int):
            return real
        fake = getattr(self, "do" + re.sub("([A-Z])", r"_\1", name.removeprefix("cuda")).lower())

        def call(*arguments: object) -> tuple[Any, ...]:
            self.calls[name] += 1
            if self._ask and name not in ("cudaDriverGetVersion", "cudaRuntimeGetVersion"):
                status = real(*arguments)[0]
                known = (self.real.cudaError_t.cudaErrorInsufficientDriver, self.real.cudaError_t.cudaSuccess)
                assert status in known, f"{name}{arguments}: {status}"
            if name in self.fails:
                return (self.fails[name], None)
            results = fake(*arguments)
            return (self.real.cudaError_t.cudaSuccess, *results)

        return call

    def put(self, stream: int, work: Callable[[], None]) -> None:
        """Put work into the stream, or into the graph that is being captured of it."""
        self._recording.get(stream, self._streams[stream]).append(work)

    def is_stream(self, stream: int) -> bool:
        """Whether it was created and not destroyed."""
        return stream in self._streams

    def at(self, address: int, size: int) -> ctypes.Array[Any]:
        """The bytes there; they must belong to one block."""
        for start, block in self.blocks.items():
            if start <= address and address + size <= start + len(block):
                return (ctypes.c_uint8 * size).from_address(address)
        raise AssertionError(f"{size} bytes at {address:#x} were never allocated")

    @property
    def held(self) -> int:
        """Blocks and handles that were not given back."""
        return len(self.blocks) + len(self.handles)

    def do_driver_get_version(self) -> tuple[int]:
        return (self.driver,)

    def do_runtime_get_version(self) -> tuple[int]:
        return (13050,)

    def do_get_device_count(self) -> tuple[int]:
        return (self.devices,)

    def do_get_device_properties(self, device: int) -> tuple[Any]:
        assert device == 0
        facts = self.real.cudaDeviceProp()
        facts.name, (facts.major, facts.minor) = b"Pretended RTX".ljust(256, b"\0"), self.capability
        return (facts,)

    def do_device_reset(self) -> tuple[()]:
        self.resets += 1
        return ()

    def do_get_error_string(self, status: Any) -> tuple[bytes]:
        return (self.real.cudaGetErrorString(status)[1],)

    def do_stream_create_with_flags(self, flags: int) -> tuple[Any]:
        assert flags == self.real.cudaStreamNonBlocking
        handle = next(self._free_handles)
        self.handles.add(handle)
        self._streams[handle] = []
        return (self.real.cudaStream_t(handle),)

    def do_stream_destroy(self, stream: int) -> tuple[()]:
        self.gone.append("stream")
        self.handles.remove(int(stream))
        del self._streams[int(stream)]
        return ()

    def do_malloc(self, size: int) -> tuple[int]:
        block = (ctypes.c_uint8 * size)(*([0xAB] * min(size, 64)))
        self.blocks[ctypes.addressof(block)] = block
        return (ctypes.addressof(block),)

    def do_host_alloc(self, size: int, flags: int) -> tuple[int]:
        assert flags == self.real.cudaHostAllocDefault
        return self.do_malloc(size)

    def do_free(self, address: int) -> tuple[()]:
        self.gone.append("memory")
        del self.blocks[address]
        return ()

    do_free_host = do_free

    def do_memcpy_async(self, to: int, source: int, size: int, kind: Any, stream: int) -> tuple[()]:
        assert kind in (
            self.real.cudaMemcpyKind.cudaMemcpyHostToDevice,
            self.real.cudaMemcpyKind.cudaMemcpyDeviceToHost,
        )

        def copy() -> None:
            ctypes.memmove(self.at(to, size), self.at(source, size), size)

        self.put(stream, copy)
        return ()

    def do_stream_synchronize(self, stream: int) -> tuple[()]:
        assert stream in self._streams, "the stream is gone"
        assert stream not in self._recording, "waiting is not allowed while a graph is captured"
        work, self._streams[stream] = self._streams[stream], []
        for item in work:
            item()
        return ()

    def do_stream_begin_capture(self, stream: int, mode: Any) -> tuple[()]:
        assert mode == self.real.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._recording[stream] = []
        return ()

    def do_stream_end_capture(self, stream: int) -> tuple[Any]:
        return (self.real.cudaGraph_t(self._new_graph(self._recording.pop(stream))),)

    def _new_graph(self, work: list[Callable[[], None]]) -> int:
        handle = next(self._free_handles)
        self._graphs[handle] = work
        self.handles.add(handle)
        return handle

    def do_graph_instantiate(self, graph: Any, flags: int) -> tuple[Any]:
        assert flags == 0
        return (self.real.cudaGraphExec_t(self._new_graph(self._graphs[int(graph)])),)

    def do_graph_destroy(self, graph: Any) -> tuple[()]:
        del self._graphs[int(graph)]
        self.handles.remove(int(graph))
        return ()

    def do_graph_exec_destroy(self, graph: Any) -> tuple[()]:
        assert not any(self._streams.values()), "a graph must not go while there is work in a stream"
        self.gone.append("graph")
        del self._graphs[int(graph)]
        self.handles.remove(int(graph))
        return ()

    def do_graph_launch(self, graph: Any, stream: int) -> tuple[()]:
        assert int(graph) in self.handles
        self._streams[stream].extend(self._graphs[int(graph)])
        return ()


@dataclass
class Computed:
    """What a plan computes: a graph, for batches of up to `max_batch`."""

    session: onnxruntime.InferenceSession
    max_batch: int

    @property
    def size(self) -> int:
        return self.session.get_inputs()[0].shape[1]

    @property
    def names(self) -> list[str]:
        return ["image", *(output.name for output in self.session.get_outputs())]


@lru_cache(maxsize=8)
def session_of(graph: bytes) -> onnxruntime.InferenceSession:
    """On one thread: several would wait for each other wherever other tests run beside this one."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options)


@lru_cache(maxsize=64)
def _results(
    session: onnxruntime.InferenceSession, content: bytes, shape: tuple[int, ...]
) -> list[np.ndarray]:
    """The outputs for a batch of these bytes: every engine that is opened is asked about the same faces."""
    return session.run(None, {"image": np.frombuffer(content, np.uint8).reshape(shape)})


class FakeTensorRt:
    """See the module. graph: the ONNX file that plans compute which were built elsewhere. built: what all
    others compute. wrong: what becomes of an output.
    """

    built: ClassVar[dict[bytes, Computed]] = {}

    def __init__(self, real: Any, cuda: FakeCuda, graph: Path, *, max_batch: int) -> None:
        self.real, self.cuda = real, cuda
        self.max_batch = max_batch
        self.session = session_of(graph.read_bytes())
        self.wrong: Callable[[np.ndarray], np.ndarray] = lambda probs: probs
        self.capturable = True
        self.runs = True
        self.judged: list[bytes] = []
        self.kernels: list[bytes] = []
        self.compiled = b"kernels"
        self.Runtime = lambda logger: _Runtime(self, logger)
        self.Builder, self.OnnxParser = _noting(self, real)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def _noting(trt: FakeTensorRt, real: Any) -> tuple[type, type]:
    """The real builder and parser, which note what a plan is built of."""
    seen: dict[str, Any] = {}

    class Builder(real.Builder):
        def create_optimization_profile(self) -> Any:
            seen["profile"] = super().create_optimization_profile()
            return seen["profile"]

        def build_serialized_network(self, network: Any, config: Any) -> Any:
            plan = super().build_serialized_network(network, config)
            if plan is not None:
                most = seen.pop("profile").get_shape("image")[2][0]
                trt.built[bytes(memoryview(plan))] = Computed(session_of(seen["graph"]), most)
            return plan

    class OnnxParser(real.OnnxParser):
        def parse(self, content: bytes) -> bool:
            seen["graph"] = content
            return super().parse(content)

    return Builder, OnnxParser


class _Stand:
    """A stand-in for an object of the real class of this name: it has that one's names and arguments only."""

    def __init__(self, trt: FakeTensorRt, kind: str) -> None:
        self._trt, self._kind = trt, getattr(trt.real, kind)

    def __getattribute__(self, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if name.startswith("_"):
            return value
        real = getattr(object.__getattribute__(self, "_kind"), name)  # AttributeError: it has no such name
        if not callable(value) or isinstance(real, property):
            return value

        def call(*arguments: object) -> Any:
            _require_signature(name, real.__doc__ or "", arguments)
            return value(*arguments)

        return call


def _require_signature(name: str, doc: str, arguments: tuple[object, ...]) -> None:
    """Raise TypeError unless a signature in a docstring of pybind11 takes these arguments."""
    signatures = [parameters for found, parameters in _SIGNATURE.findall(doc) if found == name]
    assert signatures, f"{name}: no signature in {doc!r}"
    for parameters in signatures:
        wanted = [p.split(": ", 1)[1] for p in re.split(r", (?=\w+: )", parameters)] if parameters else []
        required = [kind for kind in wanted if " = " not in kind]
        if len(required) <= len(arguments) <= len(wanted) and all(
            _is_a(value, kind) for value, kind in zip(arguments, wanted, strict=False)
        ):
            return
    raise TypeError(f"{name}{arguments}: the real one takes {signatures}")


def _is_a(value: object, kind: str) -> bool:
    kind = kind.partition(" = ")[0]
    simple = {"str": str, "tuple": tuple, "bool": bool}
    if kind in simple:
        return isinstance(value, simple[kind])
    if kind == "typing.SupportsInt":
        return isinstance(value, int)
    if kind == "typing_extensions.Buffer":
        return isinstance(value, bytes)
    stand = getattr(value, "_kind", type(value))
    return stand.__name__ == re.split("[.:]+", kind)[-1]


class _Runtime(_Stand):
    def __init__(self, trt: FakeTensorRt, logger: Any) -> None:
        super().__init__(trt, "Runtime")
        self._complaints = logger.complaints
        self._real = trt.real.Runtime(logger)

    def deserialize_cuda_engine(self, plan: bytes) -> _Engine | None:
        """What the real one thinks of the plan; that it finds no driver is no fault of the plan."""
        self._trt.judged.append(plan)
        if self._trt.cuda._ask:
            assert self._real.deserialize_cuda_engine(plan) is None
            if any("Serialization" in complaint for complaint in self._complaints):
                return None
            self._complaints.clear()
        return _Engine(self._trt, self._trt.built.get(plan))


class _Engine(_Stand):
    device_memory_size_v2 = 4096

    def __init__(self, trt: FakeTensorRt, computed: Computed | None = None) -> None:
        super().__init__(trt, "ICudaEngine")
        self._computed = computed or Computed(trt.session, trt.max_batch)
        weakref.finalize(self, trt.cuda.gone.append, "engine")

    @property
    def num_io_tensors(self) -> int:
        return len(self._computed.names)

    def get_tensor_name(self, index: int) -> str:
        return self._computed.names[index]

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        assert (name, profile) == ("image", 0)
        size, most = self._computed.size, self._computed.max_batch
        return [(n, size, size, 3) for n in (1, most, most)]

    def create_runtime_config(self) -> _Config:
        return _Config(self._trt)

    def create_execution_context(self, config: Any) -> _Context:
        """With a configuration, or with a strategy alone, as in early versions of TensorRT 10."""
        strategy = getattr(config, "_strategy", config)
        assert strategy == self._trt.real.ExecutionContextAllocationStrategy.USER_MANAGED
        return _Context(self._trt, self)


class _Config(_Stand):
    dynamic_shapes_kernel_specialization_strategy: Any = None

    def __init__(self, trt: FakeTensorRt) -> None:
        super().__init__(trt, "IRuntimeConfig")
        self._strategy: Any = None

    def set_execution_context_allocation_strategy(self, strategy: Any) -> None:
        self._strategy = strategy

    def create_runtime_cache(self) -> _Kernels:
        return _Kernels(self._trt)

    def set_runtime_cache(self, cache: _Kernels) -> bool:
        return True


class _Kernels(_Stand):
    def __init__(self, trt: FakeTensorRt) -> None:
        super().__init__(trt, "IRuntimeCache")

    def deserialize(self, blob: bytes) -> bool:
        self._trt.kernels.append(blob)
        return blob == self._trt.compiled

    def serialize(self) -> bytes:
        return self._trt.compiled


class _Context(_Stand):
    def __init__(self, trt: FakeTensorRt, engine: _Engine) -> None:
        super().__init__(trt, "IExecutionContext")
        self._engine = engine  # as the bindings do
        weakref.finalize(self, trt.cuda.gone.append, "context")
        self._shape: tuple[int, ...] = ()
        self._addresses: dict[str, int] = {}
        self._scratch = (0, 0)

    def set_device_memory(self, memory: int, size: int) -> None:
        self._trt.cuda.at(memory, size)
        self._scratch = (memory, size)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shape = shape
        return name == "image" and 1 <= shape[0] <= self._engine._computed.max_batch

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return name in self._engine._computed.names

    def is_stream_capturable(self, stream: int) -> bool:
        return self._trt.capturable and self._trt.cuda.is_stream(stream)

    def execute_async_v3(self, stream: int) -> bool:
        assert self._scratch[1] >= _Engine.device_memory_size_v2
        if self._trt.runs:
            shape = self._shape
            self._trt.cuda.put(stream, lambda: self._compute(shape))
        return self._trt.runs

    def _compute(self, shape: tuple[int, ...]) -> None:
        assert shape == self._shape, "the context of a graph was changed after its capture"
        size = int(np.prod(shape))
        content = bytes(self._trt.cuda.at(self._addresses["image"], size))
        computed = self._engine._computed
        _, *names = computed.names
        for name, exact in zip(names, _results(computed.session, content, shape), strict=True):
            found = self._trt.wrong(exact.copy()).astype(np.float32)
            room = self._trt.cuda.at(self._addresses[name], found.nbytes)
            ctypes.memmove(room, found.tobytes(), len(room))
