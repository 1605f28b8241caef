"""From an ONNX graph to an engine, for this machine's GPU or for a named one.

TensorRT and TensorRT for RTX are strongly typed: an engine computes in the types of its graph, so FP16 and
INT8 are variants of the graph. TensorRT builds for the GPU that it runs on. TensorRT for RTX builds for named
ones and needs no GPU to do so; the last part is compiled where the engine is first loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge.bundle import sha256_of
from edge.errors import ConfigurationError
from edge.inference.backend import BackendError, Graph, ports
from edge.inference.engine_store import ANY_DRIVER, EngineKey
from edge.inference.tensorrt_library import Library, require_capability
from edge.ops.reasons import BackendFault

WORKSPACE = 1 << 30
"""Bytes of the GPU's memory that a layer may use for its intermediate results while engines are built."""

Advance = Callable[[float], None]
"""Takes how much of a build is done, 0..1."""


def key_of(graph: Graph, library: Library, *, capability: str, driver: str, max_batch: int) -> EngineKey:
    """The key of an engine of this graph. driver: this machine's; unused if any driver runs the engine."""
    return EngineKey(
        bundle=graph.model,
        graph=sha256_of(graph.path.read_bytes()),
        flavour=library.flavour,
        version=library.version,
        capability=capability,
        driver=ANY_DRIVER if library.for_others else driver,
        precision=graph.precision,
        size=graph.size,
        max_batch=max_batch,
    )


def build(
    library: Library,
    graph: Graph,
    *,
    max_batch: int,
    capability: str | None,
    on_progress: Advance = lambda done: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> bytes:
    """Compile a graph for batches of 1 to `max_batch` pictures.

    capability: the GPU it is for, such as 'sm86'; None: the one of this machine. Raises ConfigurationError on
    an unsupported capability, batch or graph, BackendError if the build fails or is cancelled.
    """
    if max_batch < 1:
        raise ConfigurationError(f"model.max_batch = {max_batch}: too small; allowed: 1 or more")
    trt = library.module
    builder = library.make("Builder")
    network = builder.create_network(_strongly_typed(trt))
    _parse(library, network, graph)
    config = _configured(library, builder, graph, max_batch, capability)
    # Kept in a variable: the builder holds no reference to it.
    monitor = _monitor(trt, on_progress, cancelled)
    config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        why = "it was cancelled" if cancelled() else library.complaint()
        of = f"{graph.path} for {capability}" if capability else str(graph.path)
        hint = "; try model.precision = 'fp16'" if "for Turing" in why else ""
        raise BackendError(BackendFault.ENGINE, f"{library.flavour} cannot build {of}: {why}{hint}")
    return bytes(memoryview(plan))


def _configured(library: Library, builder: Any, graph: Graph, max_batch: int, capability: str | None) -> Any:  # noqa: ANN401
    """How the builder is to compile the graph."""
    trt = library.module
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE)
    config.clear_flag(trt.BuilderFlag.TF32)  # fp32 means the full precision of float32
    if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)  # needed to capture CUDA graphs
    _target(library, config, capability)
    profile = builder.create_optimization_profile()
    profile.set_shape("image", *((n, graph.size, graph.size, 3) for n in (1, max_batch, max_batch)))
    config.add_optimization_profile(profile)
    return config


class BuildProgress:
    """How much of a build is done, from the nested phases that TensorRT reports.

    All steps of a phase count the same; a nested phase fills the step of its parent in which it began.
    Never decreases: TensorRT runs some phases more than once.
    """

    def __init__(self) -> None:
        self._phases: dict[str, tuple[str | None, int, int]] = {}
        self._done = 0.0

    def started(self, phase: str, parent: str | None, steps: int) -> float:
        """A phase of so many steps begins within `parent`; returns how much of the build is done, 0..1."""
        self._phases[phase] = (parent, 0, max(steps, 1))
        return self._so_far()

    def stepped(self, phase: str, step: int) -> float:
        """Step number `step`, from 0, is done."""
        if phase in self._phases:
            parent, _, steps = self._phases[phase]
            self._phases[phase] = (parent, min(step + 1, steps), steps)
        return self._so_far()

    def finished(self, phase: str) -> float:
        """The phase has ended."""
        parent, _, _ = self._phases.pop(phase, (None, 0, 1))
        if parent is None:
            self._done = 1.0
        return self._so_far()

    def _so_far(self) -> float:
        done = max((self._reached(phase) for phase in self._phases), default=0.0)
        self._done = max(self._done, min(done, 1.0))
        return self._done

    def _reached(self, phase: str) -> float:
        parent, step, steps = self._phases[phase]
        done = step / steps
        while parent in self._phases:
            parent, step, steps = self._phases[parent]
            done = (step + done) / steps
        return done


def _strongly_typed(trt: Any) -> int:  # noqa: ANN401
    # Version 10 needs the flag; later versions are always strongly typed and may drop it.
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _target(library: Library, config: Any, capability: str | None) -> None:  # noqa: ANN401
    if capability is None or not library.for_others:
        return
    require_capability(library, capability)
    config.num_compute_capabilities = 1
    config.set_compute_capability(library.module.ComputeCapability.__members__[capability.upper()], 0)


def _parse(library: Library, network: Any, graph: Graph) -> None:  # noqa: ANN401
    parser = library.module.OnnxParser(network, library.logger)
    if not parser.parse(graph.path.read_bytes()):
        faults = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise ConfigurationError(
            f"{graph.path}: {library.flavour} cannot read it: {faults or library.complaint()}"
        )
    tensors = [network.get_input(i) for i in range(network.num_inputs)]
    tensors += [network.get_output(i) for i in range(network.num_outputs)]
    found = [_described(tensor) for tensor in tensors]
    expected = ports(graph.size, graph.outputs, byte="UINT8", real="FLOAT")
    if found != expected:
        raise ConfigurationError(
            f"{graph.path}: inputs and outputs are {'; '.join(found)}; its manifest names "
            f"{'; '.join(expected)}: export the bundle again"
        )


def _described(tensor: Any) -> str:  # noqa: ANN401
    shape = ", ".join("N" if n < 0 else str(n) for n in tensor.shape)
    return f"{tensor.name} {tensor.dtype.name} [{shape}]"


def _monitor(trt: Any, on_progress: Advance, cancelled: Callable[[], bool]) -> Any:  # noqa: ANN401
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the base has no types
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._done = BuildProgress()

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            on_progress(self._done.started(phase, parent, steps))

        def step_complete(self, phase: str, step: int) -> bool:
            on_progress(self._done.stepped(phase, step))
            return not cancelled()

        def phase_finish(self, phase: str) -> None:
            on_progress(self._done.finished(phase))

    return Monitor()
