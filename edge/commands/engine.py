"""`instore-edge engine build`: compiles the age model for GPUs, this machine's or named ones, and checks it.

Two checks against the float32 model on ONNX Runtime, on the reference crops: the graph that is compiled, on
ONNX Runtime as well, which needs no GPU; and the engine itself, where the GPU here is of its kind. Any other
has never run when it is written: the box that loads it checks it before it counts with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edge.bundle import Bundle
from edge.errors import ConfigurationError
from edge.inference import open_backend
from edge.inference.backend import BackendError, Precision
from edge.inference.cuda import Cuda, Gpu
from edge.inference.engine_build import build, graph_of, key_of, precision_of
from edge.inference.engine_store import EngineKey, EngineStore
from edge.inference.reference_check import Difference, compare, reference_crops, require_close
from edge.inference.tensorrt import TensorRtBackend
from edge.inference.tensorrt_library import Library, libraries, require_capability

Advance = Callable[[str, float], None]
"""Takes the name of an engine and how many per cent of it are built."""


@dataclass(frozen=True, slots=True)
class Built:
    """One engine. graph: its graph against the float32 model, both on ONNX Runtime.

    engine: the engine itself against it; None where it was not run, and `not_run` says why.
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
    on_progress: Advance = lambda name, percent: None,
) -> list[Built]:
    """Build an engine for each of `capabilities` (none: this machine's GPU) in each of `precisions`.

    Raises ConfigurationError on a capability or precision that cannot be, BackendError where TensorRT is not
    installed and, when all others are built, for those whose build fails or whose result is beyond the
    tolerance: nothing is stored of them.
    """
    wanted = tuple(dict.fromkeys(precision_of(name, bundle) for name in precisions))
    here, why = _gpu(cuda)
    if not capabilities and here is None:
        raise ConfigurationError(
            f"there is no GPU to build for ({why}): name those of the boxes, such as --for sm86,sm89"
        )
    targets = tuple(dict.fromkeys(capabilities)) or ((here.capability,) if here else ())
    library = _library(for_others=any(here is None or one != here.capability for one in targets))
    for capability in targets if library.for_others else ():
        require_capability(library, capability)
    yard = _Yard(
        bundle, library, store, here=here, why=why, max_batch=max_batch, cuda=cuda, now=now,
        on_progress=on_progress,
    )  # fmt: skip
    built: list[Built] = []
    faults: list[BackendError] = []
    for precision, capability in product(wanted, targets):
        try:
            built.append(yard.build(precision, capability))
        except BackendError as error:
            faults.append(error)
    if faults:
        others = f"; built: {', '.join(map(str, built))}" if built else ""
        raise BackendError(faults[0].reason, "; ".join(map(str, faults)) + others)
    return built


class _Yard:
    """What all engines of one command are built with, and measured against."""

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
        on_progress: Advance,
    ) -> None:
        self._bundle, self._library, self._store = bundle, library, store
        self._here, self._why, self._max_batch = here, why, max_batch
        self._cuda, self._now, self._on_progress = cuda, now, on_progress
        self._crops = reference_crops(bundle.input_size)
        self._model = open_backend("onnxruntime", bundle, max_batch=max_batch)
        self._graphs: dict[Precision, Difference] = {}

    def build(self, precision: Precision, capability: str) -> Built:
        """Build one, check it, and store it."""
        graph, key = self._graph(precision), self._key(precision, capability)
        name, begun = f"{precision} {capability}", self._now()
        plan = build(
            self._library,
            graph_of(self._bundle, precision),
            size=key.size,
            max_batch=key.max_batch,
            capability=capability,
            on_progress=lambda done: self._on_progress(name, 100 * done),
        )
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

    def _key(self, precision: Precision, capability: str) -> EngineKey:
        driver = self._here.driver if self._here else ""
        return key_of(
            self._bundle,
            self._library,
            capability=capability,
            driver=driver,
            precision=precision,
            max_batch=self._max_batch,
        )

    def _graph(self, precision: Precision) -> Difference:
        """How far the graph itself is from the float32 model, each of them run once."""
        if precision not in self._graphs:
            path = graph_of(self._bundle, precision)
            variant = open_backend(
                "onnxruntime", replace(self._bundle, model_path=path), max_batch=self._max_batch
            )
            self._graphs[precision] = compare(variant, self._model, self._crops)
            require_close(str(path), self._graphs[precision], precision)
        return self._graphs[precision]

    def _run(self, plan: bytes, precision: Precision, capability: str) -> tuple[Difference | None, str]:
        """Run the engine where that is possible; else why it is not."""
        if self._here is None:
            return None, f"there is no GPU here: {self._why}"
        if self._here.capability != capability:
            return None, f"the GPU here is {self._here.capability}"
        size, device = self._bundle.input_size, self._here.name
        backend = TensorRtBackend(
            self._library, self._cuda(), plan, size=size, max_batch=self._max_batch, device=device
        )
        try:
            found = compare(backend, self._model, self._crops)
        finally:
            backend.close()
        require_close(f"the engine for {capability}", found, precision)
        return found, ""


def render(built: Sequence[Built]) -> None:
    """A table for a person, on standard output."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("engine", "seconds", "MB", "graph", "run here"):
        table.add_column(heading, justify="left" if heading in ("engine", "run here") else "right")
    for one in built:
        ran = f"{one.engine.years:.2f} years" if one.engine else "[yellow]no[/]"
        table.add_row(
            str(one),
            f"{one.seconds:.1f}",
            f"{one.bytes / 1e6:.1f}",
            f"{one.graph.years:.2f} years",
            ran,
        )
    console = Console(highlight=False)
    console.print(table)
    console.print(
        "\ngraph, run here: mean distance of the expected ages from the float32 model on ONNX Runtime, over "
        f"{built[0].graph.crops} reference crops"
    )
    for why in sorted({one.not_run for one in built} - {""}):
        console.print(f"[yellow]never run[/]: {why}; the box that loads such an engine checks it first")
    console.print(
        f"built with {built[0].flavour} {built[0].version} into {Path(built[0].file).parent}", soft_wrap=True
    )


def _gpu(cuda: Callable[[], Cuda]) -> tuple[Gpu | None, str]:
    try:
        return cuda().gpu(), ""
    except BackendError as error:
        return None, str(error)


def _library(*, for_others: bool) -> Library:
    """The first that is installed and builds for what is asked."""
    reasons: list[str] = []
    for found in libraries():
        if isinstance(found, BackendError):
            reasons.append(str(found))
        elif for_others and not found.for_others:
            reasons.append(f"{found.flavour} {found.version} builds for the GPU of this machine only")
        else:
            return found
    raise BackendError("library", f"no TensorRT to build with: {'; '.join(reasons)}")
