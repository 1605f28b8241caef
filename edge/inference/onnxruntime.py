"""The age model on the CPU: ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from edge.bundle import Bundle
from edge.config import Precision
from edge.errors import ConfigurationError
from edge.inference.backend import AT_ONCE, cpu_device, require_batch, require_ports
from edge.inference.precision import graph_of
from edge.types import Image

ERRORS_ONLY = 3
"""ONNX Runtime's log severity: warnings are about the graph, and the graph is checked here."""

FAULTS = tuple(
    kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)
)
"""ONNX Runtime's exceptions, which have no common base class."""


class OnnxRuntimeBackend:
    """`AgeBackend` on ONNX Runtime's CPU provider, with `threads` threads in a call."""

    name = "onnxruntime"

    def __init__(
        self, bundle: Bundle, *, max_batch: int, threads: int, precision: Precision = "fp32"
    ) -> None:
        """precision: the graph of the bundle that is run. Raises ConfigurationError where it does not fit."""
        self.device = cpu_device(self.name, max_batch, threads, precision)
        self.max_batch = max_batch
        self._size = bundle.input_size
        bundle = replace(bundle, model_path=graph_of(bundle, precision))
        self._session: onnxruntime.InferenceSession | None = _open(bundle, threads)
        _check_graph(self._session, bundle)

    def infer(self, batch: Image) -> NDArray[np.float32]:
        """See `AgeBackend.infer`."""
        if self._session is None:
            raise RuntimeError("the backend is closed")
        require_batch(batch, self._size, self.max_batch)
        step = AT_ONCE[self.name]  # no slower than 8, whose layers keep 38 MB instead of 7
        parts = (batch[first : first + step] for first in range(0, len(batch), step))
        probs = [self._session.run(["age"], {"image": part})[0] for part in parts]
        return np.concatenate(probs, dtype=np.float32)

    def close(self) -> None:
        """See `AgeBackend.close`."""
        self._session = None


def _open(bundle: Bundle, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # It would keep a memory plan for every batch size, and batches have every size: 24 MB for no speed.
    options.enable_mem_pattern = False
    options.log_severity_level = ERRORS_ONLY
    # Idle threads sleep: the cores belong to decoding and detection between two batches.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            str(bundle.model_path), options, providers=["CPUExecutionProvider"]
        )
    except FAULTS as error:
        raise ConfigurationError(f"{bundle.model_path}: ONNX Runtime cannot open it: {error}") from error


def open_graph(graph: Path | bytes, threads: int = 0) -> onnxruntime.InferenceSession:
    """A session for an ONNX graph that is no age model, on the CPU; bytes stay in memory beside it.

    threads: that compute in a call; 0 for as many as there are cores. Raises ConfigurationError, which does
    not name the graph, where ONNX Runtime cannot run it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = ERRORS_ONLY
    try:
        source = str(graph) if isinstance(graph, Path) else graph
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except FAULTS as error:
        raise ConfigurationError(f"ONNX Runtime cannot open the graph: {error}") from error


def _check_graph(session: onnxruntime.InferenceSession, bundle: Bundle) -> None:
    found = [_describe(node) for node in (*session.get_inputs(), *session.get_outputs())]
    require_ports(bundle, found, byte="tensor(uint8)", real="tensor(float)")


def _describe(node: onnxruntime.NodeArg) -> str:
    # A dynamic axis has a name or none, as the exporter chose: shown as N.
    shape = ", ".join(str(n) if isinstance(n, int) else "N" for n in node.shape)
    return f"{node.name} {node.type} [{shape}]"
