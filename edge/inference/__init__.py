"""The age model behind one small protocol, opened by name; a backend's library is imported only then."""

from __future__ import annotations

from edge.bundle import Bundle
from edge.errors import ConfigurationError
from edge.inference.base import AgeBackend

BACKENDS = ("auto", "onnxruntime", "tensorrt")
"""The names that a configuration may hold."""


def open_backend(name: str, bundle: Bundle, *, max_batch: int = 8, threads: int = 1) -> AgeBackend:
    """Open the backend of this name on a checked bundle.

    max_batch: the most crops in one call. threads: CPU threads of one call, where the backend uses any.
    `auto` takes the best backend of this build. Raises ConfigurationError on an unknown or absent one, and
    when the model does not fit its manifest.
    """
    if name in ("auto", "onnxruntime"):
        from edge.inference.onnxruntime import OnnxRuntimeBackend

        return OnnxRuntimeBackend(bundle, max_batch=max_batch, threads=threads)
    if name == "tensorrt":
        raise ConfigurationError("backend 'tensorrt': this build has none; allowed: 'auto', 'onnxruntime'")
    raise ConfigurationError(f"backend {name!r} is unknown; allowed: {', '.join(map(repr, BACKENDS))}")
