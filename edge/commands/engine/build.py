"""Compiles the age model for this machine's GPU or for others, and checks it.

Two checks compare results on the reference crops with those of the float32 model on ONNX Runtime: one of the
graph that is compiled, also on ONNX Runtime, which needs no GPU; and one of the engine itself, where this
machine has a GPU of its kind. Other engines have not run when they are stored: the box that loads one checks
it first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from edge.bundle import Bundle
from edge.config import Precision
from edge.errors import ConfigurationError
from edge.inference import open_backend
from edge.inference.backend import BackendError
from edge.inference.cuda import Cuda, Gpu
from edge.inference.engine_build import build, key_of
from edge.inference.engine_store import EngineKey, EngineStore
from edge.inference.precision import age_graph, precision_of
from edge.inference.reference_check import Difference, compare, reference_crops, require_close
from edge.inference.tensorrt import TensorRtBackend
from edge.inference.tensorrt_library import Library, libraries, require_capability
from edge.ops.reasons import BackendFault
from edge.ops.terminal import Progress, silent


@dataclass(frozen=True, slots=True)
class Built:
    """One engine. graph: the difference of its graph from the float32 model, both on ONNX Runtime.

    engine: the difference of the engine from it; None where it was not run, for the reason in `not_run`.
    """

    precision: Precision
    capability: str
    flavour: str
    version: str
    seconds: float
    bytes: int
    file: str
    graph: Difference
    engine: Difference | None
    not_run: str

    def __str__(self) -> str:
        return f"{self.precision} {self.capability}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


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
    """Build an engine for each of `capabilities` (empty: this machine's GPU) in each of `precisions`.

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
    builder = _EngineBuilder(
        bundle, library, store, here=here, why=why, max_batch=max_batch, cuda=cuda, now=now,
        on_progress=on_progress,
    )  # fmt: skip
    built: list[Built] = []
    faults: list[BackendError] = []
    for precision, capability in product(wanted, targets):
        try:
            built.append(builder.build(precision, capability))
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
    """Builds and checks the engines of one command, with one library and one set of reference results."""

    def __init__(
        self,
        bundle: Bundle,
        library: Library,
        store: EngineStore,
        *,
        here: Gpu | None,
        why: str,
        max_batch: int,
        cuda: Callable[[], Cuda],
        now: Callable[[], float],
        on_progress: Progress,
    ) -> None:
        self._bundle, self._library, self._store = bundle, library, store
        self._here, self._why, self._max_batch = here, why, max_batch
        self._cuda, self._now, self._on_progress = cuda, now, on_progress
        self._crops = reference_crops(bundle.input_size)
        self._baseline = open_backend("onnxruntime", bundle, max_batch=max_batch)
        self._graphs: dict[Precision, Difference] = {}

    def build(self, precision: Precision, capability: str) -> Built:
        """Build one engine, check it, and store it."""
        graph, key = self._graph(precision), self._key(precision, capability)
        begun = self._now()
        plan = self._compile(key, precision, capability)
        seconds = self._now() - begun
        engine, not_run = self._run(plan, precision, capability)
        return Built(
            precision=precision,
            capability=capability,
            flavour=key.flavour,
            version=key.version,
            seconds=round(seconds, 3),
            bytes=len(plan),
            file=str(self._store.save(key, plan)),
            graph=graph,
            engine=engine,
            not_run=not_run,
        )

    def _compile(self, key: EngineKey, precision: Precision, capability: str) -> bytes:
        return build(
            self._library,
            age_graph(self._bundle, precision),
            max_batch=key.max_batch,
            capability=capability,
            on_progress=lambda share: self._on_progress(f"{precision} {capability}", 100 * share, 100),
        )

    def _key(self, precision: Precision, capability: str) -> EngineKey:
        driver = self._here.driver if self._here else ""
        return key_of(
            age_graph(self._bundle, precision),
            self._library,
            capability=capability,
            driver=driver,
            max_batch=self._max_batch,
        )

    def _graph(self, precision: Precision) -> Difference:
        """The difference of the graph itself from the float32 model; each graph runs once."""
        if precision not in self._graphs:
            path = age_graph(self._bundle, precision).path
            variant = open_backend(
                "onnxruntime", replace(self._bundle, model_path=path), max_batch=self._max_batch
            )
            self._graphs[precision] = compare(variant, self._baseline, self._crops)
            require_close(str(path), self._graphs[precision], precision)
        return self._graphs[precision]

    def _run(self, plan: bytes, precision: Precision, capability: str) -> tuple[Difference | None, str]:
        """The difference of the engine from the float32 model, or None and why it cannot run here."""
        if self._here is None:
            return None, f"there is no GPU here: {self._why}"
        if self._here.capability != capability:
            return None, f"the GPU here is {self._here.capability}"
        graph, device = age_graph(self._bundle, precision), self._here.name
        backend = TensorRtBackend(
            self._library, self._cuda(), plan, graph=graph, max_batch=self._max_batch, device=device
        )
        try:
            found = compare(backend, self._baseline, self._crops)
        finally:
            backend.close()
        require_close(f"the engine for {capability}", found, precision)
        return found, ""


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
