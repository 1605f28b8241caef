"""The age model behind one small protocol, opened by name; a backend's library is imported only then."""

from __future__ import annotations

import logging

from edge.bundle import Bundle
from edge.errors import ConfigurationError
from edge.inference.base import AgeBackend, BackendError
from edge.inference.engines import EngineStore

log = logging.getLogger(__name__)

BACKENDS = ("auto", "onnxruntime", "tensorrt")
"""The names that a configuration may hold."""


def open_backend(
    name: str,
    bundle: Bundle,
    *,
    max_batch: int = 8,
    threads: int = 1,
    precision: str = "auto",
    store: EngineStore | None = None,
) -> AgeBackend:
    """Open the backend of this name on a checked bundle.

    max_batch: the most crops in one call. threads: CPU threads of one call, where the backend uses any.
    precision, store: of TensorRT's engines, which are built where the store has none, and wait for that.
    `auto` takes the first that works, and logs why the others do not. Raises ConfigurationError on an unknown
    one and when the model does not fit its manifest, BackendError where a named one cannot work here.
    """
    if name not in BACKENDS:
        raise ConfigurationError(f"backend {name!r} is unknown; allowed: {', '.join(map(repr, BACKENDS))}")
    from edge.inference.onnxruntime import OnnxRuntimeBackend

    # Opened for TensorRT, too: every engine is checked against it.
    model = OnnxRuntimeBackend(bundle, max_batch=max_batch, threads=threads)
    if name == "onnxruntime":
        return model
    from edge.inference.tensorrt import open_tensorrt

    try:
        return open_tensorrt(bundle, model, precision=precision, max_batch=max_batch, store=store)
    except BackendError as error:
        if name != "auto":
            raise BackendError(
                error.reason, f"backend {name!r}: {error}; 'auto' and 'onnxruntime' work without"
            ) from error
        log.info("backend 'auto' is onnxruntime; tensorrt does not work here: %s", error)
        return model
