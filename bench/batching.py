"""Batching: faces per second against batch size, for every backend and precision of the age model.

The backends that can run here take turns, so that other work on the machine slows all of them equally;
processor time leaves most of it out. A backend that cannot run keeps its row, and a line below gives the
reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.material import Material
from bench.tables import table
from edge.bundle import BUILTIN, Bundle, load_bundle
from edge.config import Precision
from edge.errors import InstoreError
from edge.inference import open_backend
from edge.inference.backend import PRECISIONS
from edge.inference.openvino import OpenVinoBackend
from edge.inference.precision import graph_of
from edge.inference.reference_check import difference, reference_crops
from edge.inference.tensorrt import open_tensorrt

SIZES = (1, 2, 4, 8, 16, 32)
BASE = "ONNX Runtime CPU fp32"
"""The baseline of the comparison: a box without a GPU."""

Report = dict[str, Any]
Infer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def measure(material: Material, *, quick: bool, step: Callable[[str], None]) -> Report:
    """The time of each backend for a face at each batch size; the reason of each that does not run here."""
    del material  # made-up faces: no backend takes longer for one than for another
    sizes, turns = ((1, 8), 5) if quick else (SIZES, 25)
    bundle = load_bundle(BUILTIN)
    running, not_run = _opened(bundle, max(sizes), step)
    crops = reference_crops(bundle.input_size, max(sizes))
    baseline = running[BASE](crops)
    backends: dict[str, Report] = {
        name: {"years": difference(infer(crops), baseline).years, "sizes": {}}
        for name, infer in running.items()
    }
    for size in sizes:
        step(f"batching: {size} at once")
        for name, found in _turns(running, crops[:size], turns).items():
            backends[name]["sizes"][str(size)] = found
    return {"backends": backends, "not_run": not_run}


def _opened(
    bundle: Bundle, max_batch: int, step: Callable[[str], None]
) -> tuple[dict[str, Infer], dict[str, str]]:
    """The backends that run here, by name, and the reason of each that does not."""
    running: dict[str, Infer] = {}
    not_run: dict[str, str] = {}
    for name, opener in _openers(bundle, max_batch):
        step(f"batching: opening {name}")
        try:
            running[name] = opener()
        except (InstoreError, ImportError, LookupError) as error:
            not_run[name] = str(error)
    return running, not_run


def _openers(bundle: Bundle, max_batch: int) -> Iterator[tuple[str, Callable[[], Infer]]]:
    variants = {name: replace(bundle, model_path=graph_of(bundle, name)) for name in PRECISIONS}
    for name, variant in variants.items():
        yield f"ONNX Runtime CPU {name}", partial(_onnxruntime, variant, max_batch)
    for name, variant in variants.items():
        yield f"OpenVINO CPU {name}", partial(_openvino, variant, max_batch)
    yield "OpenVINO CPU bf16", partial(_openvino, bundle, max_batch, "bf16")
    yield "ONNX Runtime CUDA fp32", partial(_onnxruntime_cuda, bundle.model_path)
    for precision in PRECISIONS:
        yield f"TensorRT {precision}", partial(_tensorrt, bundle, precision, max_batch)


def _onnxruntime(bundle: Bundle, max_batch: int) -> Infer:
    return open_backend("onnxruntime", bundle, max_batch=max_batch).infer


def _onnxruntime_cuda(path: Any) -> Infer:  # noqa: ANN401
    import onnxruntime

    if "CUDAExecutionProvider" not in (has := onnxruntime.get_available_providers()):
        raise LookupError(f"this ONNX Runtime has {', '.join(has)}")
    session = onnxruntime.InferenceSession(str(path), providers=["CUDAExecutionProvider"])
    return lambda batch: np.asarray(session.run(["age"], {"image": batch})[0])


def _openvino(bundle: Bundle, max_batch: int, floats: Any = "f32") -> Infer:  # noqa: ANN401
    return OpenVinoBackend(bundle, max_batch=max_batch, threads=1, floats=floats).infer


def _tensorrt(bundle: Bundle, precision: Precision, max_batch: int) -> Infer:
    return open_tensorrt(bundle, precision=precision, max_batch=max_batch).infer


def _turns(running: dict[str, Infer], batch: NDArray[np.uint8], turns: int) -> dict[str, Report]:
    """Every backend once in each turn: medians, and the median of each turn's ratio to `BASE`."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in running}
    for infer in running.values():
        infer(batch)
    for _ in range(turns):
        for name, infer in running.items():
            taken[name].append(_timed(infer, batch))
    base = taken[BASE]
    return {
        name: {
            "faces_per_s": len(batch) / median(wall for wall, _ in times),
            "cpu_ms_per_face": 1000 * median(cpu for _, cpu in times) / len(batch),
            "times_base": median(b[0] / t[0] for b, t in zip(base, times, strict=True)),
            "times_base_cpu": median(b[1] / t[1] for b, t in zip(base, times, strict=True)),
        }
        for name, times in taken.items()
    }


def _timed(infer: Infer, batch: NDArray[np.uint8]) -> tuple[float, float]:
    """Seconds of wall time and of processor time of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    infer(batch)
    return time.perf_counter() - wall, max(time.process_time() - cpu, 1e-9)


def section(found: Report) -> str:
    """The tables as Markdown."""
    backends: dict[str, Report] = found["backends"]
    sizes = list(next(iter(backends.values()))["sizes"])
    head = ("", *(f"{size} at once" for size in sizes), "years off")
    rows = [
        (name, *(f"{one['sizes'][size]['faces_per_s']:.0f}" for size in sizes), f"{one['years']:.2f}")
        for name, one in backends.items()
    ]
    rows += [(name, *["not run"] * len(sizes), "") for name in found["not_run"]]
    ratios = [
        (name, *(_ratio(one["sizes"][size]) for size in sizes))
        for name, one in backends.items()
        if name != BASE
    ]
    reasons: dict[str, list[str]] = {}
    for name, why in found["not_run"].items():
        reasons.setdefault(why, []).append(name)
    return "\n\n".join(
        [
            "Faces a second:",
            table(head, rows),
            f"Times as fast as {BASE}, by processor time (by wall time):",
            table(head[:-1], ratios),
            "One thread. Medians; each ratio compares two successive calls. Years off: mean difference "
            "of the expected ages from the float32 model on ONNX Runtime, on drawn faces.",
            *(f"Not run, {', '.join(names)}: {why}." for why, names in reasons.items()),
        ]
    )


def _ratio(one: Report) -> str:
    return f"{one['times_base_cpu']:.2f} ({one['times_base']:.2f})"
