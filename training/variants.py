"""The same model in other precisions: float16, and 8-bit integers in Q/DQ form.

ONNX Runtime's own converters make them. They live in the package that the box runs the model with, so the
rule that one module imports it has this one exception; no box imports `training`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from edge.preprocess import to_batch
from edge.types import Image

VARIANTS: tuple[Literal["fp16", "int8"], ...] = ("fp16", "int8")

CALIBRATION_CROPS = 256
"""Crops that show the range of every layer; more did not change the figures."""


def write_fp16(model: Path, out: Path) -> None:
    """Write the float32 graph `model` as float16 inside; its input and output keep their types."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(_tidied(convert_float_to_float16(onnx.load(model), keep_io_types=True)), out)


def write_int8(model: Path, out: Path, crops: Sequence[Image], size: int) -> None:
    """Write the float32 graph `model` with its convolutions in 8 bits, ranges taken from `crops`.

    Signed and symmetric, a scale for each channel of the weights, biases in float32: the one form of Q/DQ
    that TensorRT takes too. The dense layers at the end stay in float32: they cost nothing, and decide most.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the base has no types
        def __init__(self) -> None:
            self._waiting: Iterator[Image] = iter(crops)

        def get_next(self) -> dict[str, Image] | None:
            crop = next(self._waiting, None)
            return None if crop is None else {"image": to_batch([crop], size)}

    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "model.onnx"
        quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(out),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Clip", "Relu"],
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
        )
    onnx.save(_tidied(onnx.load(out)), out)


def _tidied(graph: Any) -> Any:  # noqa: ANN401 (ONNX's protobuf has no types)
    """The graph without the operator sets that the converters name and do not use."""
    import onnx

    used = {node.domain for node in graph.graph.node}
    kept = [opset for opset in graph.opset_import if opset.domain in used]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
    onnx.checker.check_model(graph, full_check=True)
    return graph
