"""The age model behind one small protocol, opened by name; a backend's library is imported only then."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edge.bundle import Bundle
from edge.errors import ConfigurationError
from edge.inference.backend import AgeBackend, BackendError
from edge.inference.engine_store import EngineStore

log = logging.getLogger(__name__)

# ONNX Runtime reads it while modules of this package load it. Without it, the library looks up a telemetry
# host and keeps a permanent device id in the home folder; disable_telemetry_events() comes too late for that.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

BACKENDS = ("auto", "onnxruntime", "openvino", "tensorrt")
"""The names that a configuration may hold."""


def open_backend(
    name: str,
    bundle: Bundle,
    *,
    max_batch: int = 8,
    threads: int = 1,
    precision: str = "auto",
    store: EngineStore | None = None,
    on_passed_over: Callable[[str], None] = lambda why: None,
) -> AgeBackend:
    """Open the backend of this name on a checked bundle.

    max_batch: the most crops in one call. threads: CPU threads of one call, where the backend uses any.
    precision: `auto`, or one of the bundle's; see `cpu_graph` for the CPU. store: of TensorRT's engines;
    where it has none, one is built and waited for. `auto` takes TensorRT where it works, else ONNX
    Runtime, and logs why; on_passed_over hears of that.

    Raises ConfigurationError on an unknown name or precision and when the model does not fit its manifest,
    BackendError where a named backend cannot work here.
    """
    if name not in BACKENDS:
        raise ConfigurationError(f"backend {name!r} is unknown; allowed: {', '.join(map(repr, BACKENDS))}")
    from edge.inference.onnxruntime import OnnxRuntimeBackend

    on_cpu = replace(bundle, model_path=cpu_graph(bundle, precision))
    if name == "openvino":
        from edge.inference.openvino import OpenVinoBackend

        return OpenVinoBackend(on_cpu, max_batch=max_batch, threads=threads)
    if name != "onnxruntime":
        from edge.inference.tensorrt import open_tensorrt

        try:
            return open_tensorrt(bundle, precision=precision, max_batch=max_batch, store=store)
        except BackendError as error:
            if name != "auto":
                raise BackendError(
                    error.reason, f"backend {name!r}: {error}; 'auto' and 'onnxruntime' work without"
                ) from error
            on_passed_over(f"tensorrt: {error}")
            log.info("backend 'auto' is onnxruntime; tensorrt does not work here: %s", error)
    return OnnxRuntimeBackend(on_cpu, max_batch=max_batch, threads=threads)


def cpu_graph(bundle: Bundle, precision: str) -> Path:
    """The ONNX file that a CPU runs at this setting: 8 bits where they are asked for, else float32.

    Half as wide floats are slower there, see bench/results/bench.md. Raises ConfigurationError on a
    precision that the bundle lacks.
    """
    from edge.inference.engine_build import graph_of, precision_of

    return graph_of(bundle, "int8" if precision_of(precision, bundle) == "int8" else "fp32")
