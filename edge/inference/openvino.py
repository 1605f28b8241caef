"""The age model on the CPU: OpenVINO, where it is installed and configured."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.config import Precision
from edge.errors import ConfigurationError
from edge.inference.backend import BackendError, cpu_device, require_batch, require_ports
from edge.inference.precision import graph_of
from edge.ops.reasons import BackendFault
from edge.types import Image

PACKAGES = "pip install --no-deps 'openvino>=2026.4,<2027'"

CONVERTER = "openvino.tools.ovc"
"""A module that `import openvino` would load: its tools report every import to Intel (openvino-telemetry)."""


class OpenVinoBackend:
    """`AgeBackend` on OpenVINO's CPU plugin, with `threads` threads in a call.

    In int8 a third faster than ONNX Runtime, in float32 as fast (bench/results/bench.md).
    """

    name = "openvino"

    def __init__(
        self,
        bundle: Bundle,
        *,
        max_batch: int,
        threads: int,
        precision: Precision = "fp32",
        floats: Literal["f32", "bf16"] = "f32",
    ) -> None:
        """precision: the graph of the bundle that is run. floats: the type it computes in where the graph has
        floats; in bfloat16, its default on CPUs that have it, the error of ages is seven times that of
        float16.

        Raises BackendError where OpenVINO is not installed, ConfigurationError where the model does not
        fit its manifest.
        """
        self.device = cpu_device(self.name, max_batch, threads, precision)
        self.max_batch = max_batch
        self._size = bundle.input_size
        bundle = replace(bundle, model_path=graph_of(bundle, precision))
        self._request: Any = _compiled(bundle, threads, floats).create_infer_request()

    def infer(self, batch: Image) -> NDArray[np.float32]:
        """See `AgeBackend.infer`."""
        if self._request is None:
            raise RuntimeError("the backend is closed")
        require_batch(batch, self._size, self.max_batch)
        try:
            self._request.infer({"image": np.ascontiguousarray(batch)}, share_inputs=True)
        except RuntimeError as error:  # the one that OpenVINO raises
            raise BackendError(BackendFault.LOST, f"OpenVINO failed: {error}") from error
        return np.array(self._request.get_tensor("age").data, np.float32)

    def close(self) -> None:
        """See `AgeBackend.close`."""
        self._request = None


def _compiled(bundle: Bundle, threads: int, floats: str) -> Any:  # noqa: ANN401 (OpenVINO's own)
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": floats}
    core = _openvino().Core()
    try:
        model = core.read_model(str(bundle.model_path))
        ports = [_describe(port) for port in (*model.inputs, *model.outputs)]
        require_ports(bundle, ports, byte="uint8", real="float32")
        return core.compile_model(model, "CPU", settings)
    except RuntimeError as error:  # the one that OpenVINO raises
        raise ConfigurationError(f"{bundle.model_path}: OpenVINO cannot open it: {error}") from error


@cache
def _openvino() -> Any:  # noqa: ANN401 (OpenVINO's own)
    # None makes its import fail, which OpenVINO handles. It stays so for the life of the process.
    sys.modules.setdefault(CONVERTER, None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise BackendError(
            BackendFault.LIBRARY, f"OpenVINO is not installed ({error}): {PACKAGES}"
        ) from error
    return openvino


def _describe(port: Any) -> str:  # noqa: ANN401 (OpenVINO's own)
    shape = ", ".join("N" if n.is_dynamic else str(n.get_length()) for n in port.get_partial_shape())
    return f"{port.get_any_name()} {port.get_element_type().to_dtype().name} [{shape}]"
