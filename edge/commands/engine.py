"""`instore-edge engine build`: compiles the age model for this machine's GPU or for others, and checks it.

Two checks compare results on the reference crops with those of the float32 model on ONNX Runtime: one of the
graph that is compiled, also on ONNX Runtime, which needs no GPU; and one of the engine itself, where this
machine has a GPU of its kind. Other engines have not run when they are stored: the box that loads one checks
it first.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.table import Table

from edge.bundle import Bundle, bundle_folder, load_bundle
from edge.commands.options import add_common, add_json, config_folder
from edge.config import Precision, PrecisionSetting, load_settings, state_directory
from edge.errors import ConfigurationError
from edge.inference import open_backend
from edge.inference.backend import BackendError
from edge.inference.cuda import Cuda, Gpu
from edge.inference.engine_build import build, key_of
from edge.inference.engine_store import EngineKey, EngineStore
from edge.inference.precision import graph_of, precision_of
from edge.inference.reference_check import Difference, compare, reference_crops, require_close
from edge.inference.tensorrt import TensorRtBackend
from edge.inference.tensorrt_library import Library, libraries, require_capability
from edge.ops.terminal import Progress, progress_bars, silent

PRECISIONS: tuple[str, ...] = get_args(PrecisionSetting)

EXAMPLES = (
    "instore-edge engine build                                # for the GPU of this machine",
    "instore-edge engine build --for sm86,sm89 --out engines  # for other machines' GPUs",
    "instore-edge engine build --for sm86 --precision fp16,int8 --json",
)


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


def configure(parser: argparse.ArgumentParser) -> None:
    """Add `build` and its options."""
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    summary = "Compile the age model for this machine's GPU or, without one, for GPUs named with --for."
    build = commands.add_parser("build", help=summary, description=summary)
    add_common(build, EXAMPLES)
    build.add_argument(
        "--for",
        dest="capabilities",
        type=_capabilities,
        default=[],
        metavar="SM,...",
        help="compute capabilities of the GPUs, such as sm86 (default: this machine's)",
    )
    build.add_argument(
        "--precision",
        type=_precisions,
        default=[],
        metavar="NAME,...",
        help=f"one or more of {', '.join(PRECISIONS)} (default: model.precision)",
    )
    build.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where to store the engines (default: the daemon's own folder)",
    )
    add_json(build)
    build.set_defaults(command=_command)


def _command(arguments: argparse.Namespace) -> int:
    folder = config_folder(arguments)
    # An engine depends on the model alone: a configuration without cameras will do.
    no_camera = {"cameras": [{"name": "none", "source": "0"}]}
    settings = load_settings(arguments.config, arguments.set, beneath=no_camera)
    own = state_directory(settings, folder) / "engines"
    # The daemon's own folder keeps the newest few; a folder that is named keeps every engine.
    store = EngineStore(arguments.out, kept=None, for_others=True) if arguments.out else EngineStore(own)
    with progress_bars("%") as progress:
        built = build_engines(
            load_bundle(bundle_folder(settings.model.bundle, folder)),
            store,
            capabilities=arguments.capabilities,
            precisions=arguments.precision or [settings.model.precision],
            max_batch=settings.model.max_batch,
            on_progress=progress,
        )
    if arguments.json:
        sys.stdout.write(json.dumps([engine.as_dict() for engine in built], indent=2) + "\n")
    else:
        render(built)
    return 0


def _capabilities(text: str) -> list[str]:
    names = [name.strip().lower() for name in text.split(",")]
    for name in names:
        if not re.fullmatch(r"sm[0-9]{2,3}", name):
            raise argparse.ArgumentTypeError(
                f"{name!r} is not a compute capability; separate several with commas, such as sm86,sm89"
            )
    return names


def _precisions(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in PRECISIONS:
            raise argparse.ArgumentTypeError(f"{name!r} is not a precision; allowed: {', '.join(PRECISIONS)}")
    return names


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
            graph_of(self._bundle, precision),
            size=key.size,
            max_batch=key.max_batch,
            capability=capability,
            on_progress=lambda share: self._on_progress(f"{precision} {capability}", 100 * share, 100),
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
        """The difference of the graph itself from the float32 model; each graph runs once."""
        if precision not in self._graphs:
            path = graph_of(self._bundle, precision)
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
        size, device = self._bundle.input_size, self._here.name
        backend = TensorRtBackend(
            self._library, self._cuda(), plan, size=size, max_batch=self._max_batch, device=device
        )
        try:
            found = compare(backend, self._baseline, self._crops)
        finally:
            backend.close()
        require_close(f"the engine for {capability}", found, precision)
        return found, ""


def render(built: Sequence[Built]) -> None:
    """Print a table on standard output."""
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
        "\ngraph, run here: mean difference of the expected ages from float32 on ONNX Runtime, over "
        f"{built[0].graph.crops} reference crops"
    )
    for why in sorted({one.not_run for one in built} - {""}):
        console.print(f"[yellow]not run[/]: {why}; a box that loads such an engine checks it first")
    console.print(
        f"built with {built[0].flavour} {built[0].version} into {Path(built[0].file).parent}", soft_wrap=True
    )


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
    raise BackendError("library", f"no TensorRT can build this: {'; '.join(reasons)}")
