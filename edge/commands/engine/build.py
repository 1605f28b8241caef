"""Compiles the age model and the face networks for this machine's GPU or for others, and checks them.

The graph of the age model is compared with the float32 model on the reference crops, both on ONNX Runtime,
which needs no GPU. The engine itself is compared with ONNX Runtime where this machine has a GPU of its kind:
an age engine on these crops, a face engine on drawn faces. Other engines have not run when they are stored:
the box that loads one checks it first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, Protocol

from edge.bundle import Bundle
from edge.config import Precision
from edge.errors import ConfigurationError
from edge.inference import open_backend
from edge.inference.backend import Backend, BackendError, Graph
from edge.inference.cuda import Cuda, Gpu
from edge.inference.engine_build import build, key_of
from edge.inference.engine_store import EngineStore
from edge.inference.precision import age_graph, precision_of
from edge.inference.reference_check import Difference, compare, reference_crops, require_close
from edge.inference.tensorrt import TensorRtBackend
from edge.inference.tensorrt_library import Library, libraries, require_capability
from edge.ops.reasons import BackendFault
from edge.ops.terminal import Progress, silent
from edge.vision.detect.networks import MAX_BATCH, NETWORKS, Range, graph_of
from edge.vision.detect.same_faces import FaceDifference, require_same_faces


@dataclass(frozen=True, slots=True)
class Built:
    """One engine. network: `age`, or the range of a face network.

    graph: the difference of the age model's graph from the float32 model, both on ONNX Runtime; None for the
    face networks, whose graphs are float32 themselves. engine: the difference of the engine from ONNX
    Runtime; None where it was not run, for the reason in `not_run`.
    """

    network: str
    precision: Precision
    capability: str
    flavour: str
    version: str
    seconds: float
    bytes: int
    file: str
    graph: Difference | None
    engine: Difference | FaceDifference | None
    not_run: str

    def __str__(self) -> str:
        return f"{self.network} {self.precision} {self.capability}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class _Network(Protocol):
    """What is compiled for each GPU."""

    name: str
    graph: Graph
    max_batch: int

    def examine_graph(self) -> Difference | None:
        """How far the graph is from the float32 model; raises BackendError where that is too far."""

    def examine(self, what: str, backend: Backend) -> Difference | FaceDifference:
        """How far an engine is from ONNX Runtime; raises BackendError where that is too far."""


class _AgeModel:
    """The age model in one precision."""

    name = "age"

    def __init__(self, bundle: Bundle, precision: Precision, baseline: Backend) -> None:
        self.graph = age_graph(bundle, precision)
        self.max_batch = baseline.max_batch
        self._bundle, self._baseline = bundle, baseline
        self._crops = reference_crops(bundle.input_size)
        self._examined: Difference | None = None

    def examine_graph(self) -> Difference:
        """See `_Network.examine_graph`; the graph runs once for all GPUs."""
        if self._examined is None:
            alone = replace(self._bundle, model_path=self.graph.path)
            with closing(open_backend("onnxruntime", alone, max_batch=self.max_batch)) as variant:
                self._examined = compare(variant, self._baseline, self._crops)
        require_close(str(self.graph.path), self._examined, self.graph.precision)
        return self._examined

    def examine(self, what: str, backend: Backend) -> Difference:
        """See `_Network.examine`."""
        apart = compare(backend, self._baseline, self._crops)
        require_close(what, apart, self.graph.precision)
        return apart


class _FaceNetwork:
    """One of the face networks. Its graph is the float32 model itself."""

    max_batch = MAX_BATCH

    def __init__(self, range_: Range) -> None:
        self.name: str = range_
        self.graph = graph_of(range_)
        self._range: Range = range_

    def examine_graph(self) -> None:
        """See `_Network.examine_graph`."""

    def examine(self, what: str, backend: Backend) -> FaceDifference:
        """See `_Network.examine`."""
        return require_same_faces(what, backend, self._range)


def build_engines(
    bundle: Bundle,
    store: EngineStore,
    *,
    capabilities: Sequence[str] = (),
    precisions: Sequence[str] = ("auto",),
    max_batch: int = 8,
    cuda: Callable[[], Cuda] = Cuda,
    now: Callable[[], float] = time.monotonic,
    on_progress: Progress = silent,
) -> list[Built]:
    """Build engines for each of `capabilities` (empty: this machine's GPU): of the age model in each of
    `precisions`, and of the face networks.

    Raises ConfigurationError on a capability or precision that is not possible; BackendError where TensorRT
    is not installed, or, after all others are built, for engines whose build failed or whose results differ
    too much: none of these is stored.
    """
    wanted = tuple(dict.fromkeys(precision_of(name, bundle) for name in precisions))
    here, why = _gpu(cuda)
    targets = tuple(dict.fromkeys(capabilities)) or _own_capability(here, why)
    library = _library(for_others=any(here is None or one != here.capability for one in targets))
    for capability in targets if library.for_others else ():
        require_capability(library, capability)
    builder = _EngineBuilder(library, store, here=here, why=why, cuda=cuda, now=now, on_progress=on_progress)
    baseline = open_backend("onnxruntime", bundle, max_batch=max_batch)
    ages: list[_Network] = [_AgeModel(bundle, precision, baseline) for precision in wanted]
    faces: list[_Network] = [_FaceNetwork(range_) for range_ in NETWORKS]
    return _build_all(builder, product([*ages, *faces], targets))


def _build_all(builder: _EngineBuilder, wanted: Iterable[tuple[_Network, str]]) -> list[Built]:
    """Build each network for its GPU. Raises BackendError after all others where some cannot be used."""
    built: list[Built] = []
    faults: list[BackendError] = []
    for network, capability in wanted:
        try:
            built.append(builder.build(network, capability))
        except BackendError as error:
            faults.append(error)
    if faults:
        others = f"; built: {', '.join(map(str, built))}" if built else ""
        raise BackendError(faults[0].reason, "; ".join(map(str, faults)) + others)
    return built


def _own_capability(here: Gpu | None, why: str) -> tuple[str]:
    """This machine's. Raises ConfigurationError where it has no GPU, for the reason `why`."""
    if here is None:
        raise ConfigurationError(
            f"--for: not given, and there is no GPU to build for ({why}); "
            "name the GPUs of the boxes, such as --for sm86,sm89"
        )
    return (here.capability,)


class _EngineBuilder:
    """Builds and checks the engines of one command, with one library."""

    def __init__(
        self,
        library: Library,
        store: EngineStore,
        *,
        here: Gpu | None,
        why: str,
        cuda: Callable[[], Cuda],
        now: Callable[[], float],
        on_progress: Progress,
    ) -> None:
        self._library, self._store = library, store
        self._here, self._why = here, why
        self._cuda, self._now, self._on_progress = cuda, now, on_progress

    def build(self, network: _Network, capability: str) -> Built:
        """Build one engine, check it, and store it."""
        graph = network.graph
        examined = network.examine_graph()
        driver = self._here.driver if self._here else ""
        key = key_of(graph, self._library, capability=capability, driver=driver, max_batch=network.max_batch)
        begun = self._now()
        plan = self._compile(network, capability)
        seconds = self._now() - begun
        engine, not_run = self._run(network, plan, capability)
        return Built(
            network=network.name,
            precision=graph.precision,
            capability=capability,
            flavour=key.flavour,
            version=key.version,
            seconds=round(seconds, 3),
            bytes=len(plan),
            file=str(self._store.save(key, plan)),
            graph=examined,
            engine=engine,
            not_run=not_run,
        )

    def _compile(self, network: _Network, capability: str) -> bytes:
        step = f"{network.name} {network.graph.precision} {capability}"
        return build(
            self._library,
            network.graph,
            max_batch=network.max_batch,
            capability=capability,
            on_progress=lambda share: self._on_progress(step, 100 * share, 100),
        )

    def _run(
        self, network: _Network, plan: bytes, capability: str
    ) -> tuple[Difference | FaceDifference | None, str]:
        """The difference of the engine from ONNX Runtime, or None and why it cannot run here."""
        if self._here is None:
            return None, f"there is no GPU here: {self._why}"
        if self._here.capability != capability:
            return None, f"the GPU here is {self._here.capability}"
        backend = TensorRtBackend(
            self._library, self._cuda(), plan, graph=network.graph, max_batch=network.max_batch,
            device=self._here.name,
        )  # fmt: skip
        with closing(backend):
            return network.examine(f"the engine for {capability}", backend), ""


def _gpu(cuda: Callable[[], Cuda]) -> tuple[Gpu | None, str]:
    try:
        return cuda().gpu(), ""
    except BackendError as error:
        return None, str(error)


def _library(*, for_others: bool) -> Library:
    """The first installed TensorRT that can build for the targets. Raises BackendError without one."""
    reasons: list[str] = []
    for found in libraries():
        if isinstance(found, BackendError):
            reasons.append(str(found))
        elif for_others and not found.for_others:
            reasons.append(f"{found.flavour} {found.version} builds for the GPU of this machine only")
        else:
            return found
    raise BackendError(BackendFault.LIBRARY, f"no TensorRT can build this: {'; '.join(reasons)}")
