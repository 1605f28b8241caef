"""The age model behind one small protocol, opened by name; a backend's library is imported only then."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import closing
from typing import get_args

from edge.bundle import Bundle
from edge.config import BackendSetting, ModelSettings, Precision
from edge.errors import ConfigurationError
from edge.inference.backend import AgeBackend, BackendError
from edge.inference.engine_store import EngineStore
from edge.ops.reasons import BackendFault

log = logging.getLogger(__name__)

# ONNX Runtime reads this variable when it is imported. Without it, the library looks up a telemetry host and
# keeps a permanent device id in the home folder; disable_telemetry_events() would come too late.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

BACKENDS: tuple[str, ...] = get_args(BackendSetting)
"""The names that a configuration may hold."""


def open_configured(
    model: ModelSettings,
    bundle: Bundle,
    *,
    store: EngineStore | None = None,
    on_passed_over: Callable[[str], None] = lambda why: None,
) -> AgeBackend:
    """Open the backend that `model` names; see `open_backend`."""
    return open_backend(
        model.backend,
        bundle,
        max_batch=model.max_batch,
        threads=model.threads,
        precision=model.precision,
        store=store,
        on_passed_over=on_passed_over,
    )


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
    """Open the backend of this name on a checked bundle, and wait until it is ready.

    max_batch: the most crops in one call. threads: CPU threads of one call, where the backend uses any.
    precision: `auto`, or one of the bundle's; a CPU takes int8 or fp32, see `cpu_precision`. store: of
    TensorRT's engines; where it has none, one is built. `auto` takes TensorRT where it works, else ONNX
    Runtime. What is too far from float32 on the reference crops is replaced by float32 on ONNX Runtime.
    on_passed_over is called with each reason why another backend or precision was taken, which is logged.

    Raises ConfigurationError on an unknown name or precision and when the model does not fit its manifest,
    BackendError where a named backend cannot work here.
    """
    require_known(name)
    from edge.inference.precision import cpu_precision

    on_cpu = cpu_precision(precision, bundle)
    if name in ("auto", "tensorrt"):
        from edge.inference.tensorrt import open_tensorrt

        try:
            return open_tensorrt(bundle, precision=precision, max_batch=max_batch, store=store)
        except BackendError as error:
            if name == "tensorrt" and error.reason != BackendFault.WRONG:
                raise _unusable(name, error) from error
            _pass_over("tensorrt", error, on_passed_over)
    try:
        cpu_name = "openvino" if name == "openvino" else "onnxruntime"
        return open_on_cpu(cpu_name, bundle, max_batch=max_batch, threads=threads, precision=on_cpu)
    except BackendError as error:
        if error.reason != BackendFault.WRONG:
            raise
        _pass_over(cpu_name, error, on_passed_over)
    return open_on_cpu("onnxruntime", bundle, max_batch=max_batch, threads=threads, precision="fp32")


def open_on_cpu(
    name: str, bundle: Bundle, *, max_batch: int, threads: int, precision: Precision
) -> AgeBackend:
    """ONNX Runtime or OpenVINO. Float32 on ONNX Runtime is the baseline; all else is compared with it.

    Raises BackendError with the reason `wrong` where the ages are too far off, `library` without OpenVINO;
    ConfigurationError where the model does not fit its manifest.
    """
    from edge.inference.onnxruntime import OnnxRuntimeBackend
    from edge.inference.reference_check import require_agreement

    backend: AgeBackend
    if name == "openvino":
        from edge.inference.openvino import OpenVinoBackend

        backend = OpenVinoBackend(bundle, max_batch=max_batch, threads=threads, precision=precision)
    else:
        backend = OnnxRuntimeBackend(bundle, max_batch=max_batch, threads=threads, precision=precision)
        if precision == "fp32":
            return backend
    with closing(OnnxRuntimeBackend(bundle, max_batch=max_batch, threads=threads)) as baseline:
        require_agreement(f"{precision} on {name}", backend, baseline, bundle.input_size, precision)
    return backend


def require_known(name: str) -> None:
    """Raise ConfigurationError unless a backend has this name."""
    if name not in BACKENDS:
        allowed = ", ".join(map(repr, BACKENDS))
        raise ConfigurationError(f"model.backend = {name!r}: no such backend; allowed: {allowed}")


def _unusable(name: str, error: BackendError) -> BackendError:
    return BackendError(
        error.reason, f"model.backend = {name!r}: {error}; 'auto' and 'onnxruntime' work here"
    )


def _pass_over(name: str, error: BackendError, on_passed_over: Callable[[str], None]) -> None:
    on_passed_over(f"{name}: {error}")
    level = logging.WARNING if error.reason == BackendFault.WRONG else logging.INFO
    log.log(level, "%s is not used: %s", name, error)
