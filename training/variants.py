"""The same model in other precisions: float16, and 8-bit integers in Q/DQ form.

ONNX Runtime's own converters make them. They live in the package that the box runs the model with, so the
rule that one module imports it has this one exception; no box imports `training`.

8 bits are exact on every x86 CPU, by the weights that are stored. A CPU without VNNI multiplies an unsigned
byte (up to 255) by a signed weight, adds two such products and stores the sum in 16 bits. With weights of up
to 127 the sum can exceed 32,767 and is cut off there: the shipped model was 5.5 years off on such CPUs. With
weights of up to 64 it cannot (2 x 255 x 64 = 32,640). A depthwise convolution adds no such pairs and keeps
the whole range; with half of it the model would be 2.4 years off.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge.preprocess import to_batch
from edge.types import Image

VARIANTS: tuple[Literal["fp16", "int8"], ...] = ("fp16", "int8")

CALIBRATION_CROPS = 256
"""Crops that give the range of every layer and the biases; more did not change the figures."""

BATCH = 8
"""Crops in one run while biases are corrected."""


def write_fp16(model: Path, out: Path) -> None:
    """Write the float32 graph `model` as float16 inside; its input and output keep their types."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(_tidied(convert_float_to_float16(onnx.load(model), keep_io_types=True)), out)


def write_int8(model: Path, out: Path, crops: Sequence[Image], size: int) -> None:
    """Write the float32 graph `model` with its convolutions in 8 bits; ranges and biases come from `crops`.

    Signed and symmetric, a scale for each channel of the weights, biases in float32: the one form of Q/DQ
    that TensorRT takes too. The dense layers at the end stay in float32: they cost nothing, and decide most.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "model.onnx"
        quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
        _quantise(prepared, out, crops, size)
        floats, integers = onnx.load(prepared), onnx.load(out)
    _correct_biases(integers, floats, to_batch(crops, size))
    onnx.save(_tidied(integers), out)


def _quantise(prepared: Path, out: Path, crops: Sequence[Image], size: int) -> None:
    """Write `prepared` with Q/DQ nodes round its convolutions and their activations."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the base has no types
        def __init__(self) -> None:
            self._waiting: Iterator[Image] = iter(crops)

        def get_next(self) -> dict[str, Image] | None:
            crop = next(self._waiting, None)
            return None if crop is None else {"image": to_batch([crop], size)}

    reduced = {"quant_type": QuantType.QInt8, "symmetric": True, "axis": 0, "reduce_range": True}
    convolutions = _convolutions(onnx.load(prepared))
    quantize_static(
        str(prepared),
        str(out),
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Clip", "Relu"],
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "TensorQuantOverrides": {c.input[1]: [reduced] for c in convolutions if not _depthwise(c)},
        },
    )


def _correct_biases(integers: Any, floats: Any, batch: Image) -> None:  # noqa: ANN401
    """Change the biases so that every convolution gives the same mean as in float32, channel by channel.

    Rounded weights shift these means, and a shift moves every age the same way. From the first convolution
    to the last, as each sees what those before it give. batch: uint8 (N, S, S, 3).
    """
    from onnx import numpy_helper

    ours = [node for node in _convolutions(integers) if len(node.input) > 2]
    wanted = _channel_means(floats, [node.output[0] for node in ours], batch)
    constants = {constant.name: constant for constant in integers.graph.initializer}
    for node in ours:
        found = _channel_means(integers, [node.output[0]], batch)
        bias = constants[node.input[2]]
        corrected = numpy_helper.to_array(bias) + wanted[node.output[0]] - found[node.output[0]]
        bias.CopyFrom(numpy_helper.from_array(corrected.astype(np.float32), bias.name))


def _channel_means(graph: Any, names: Sequence[str], batch: Image) -> dict[str, NDArray[np.float64]]:  # noqa: ANN401
    """The mean of each channel, (C,), of the tensors `names` (N, C, H, W) of a graph over a batch."""
    import onnxruntime
    from onnx.utils import Extractor

    part = Extractor(graph).extract_model(["image"], names)
    session = onnxruntime.InferenceSession(part.SerializeToString(), providers=["CPUExecutionProvider"])
    totals = dict.fromkeys(names, np.float64(0))
    for start in range(0, len(batch), BATCH):
        for name, values in zip(
            names, session.run(names, {"image": batch[start : start + BATCH]}), strict=True
        ):
            totals[name] = totals[name] + values.sum((0, 2, 3)) / np.prod(values.shape[2:])
    return {name: np.asarray(total / len(batch)) for name, total in totals.items()}


def _convolutions(graph: Any) -> list[Any]:  # noqa: ANN401
    return [node for node in graph.graph.node if node.op_type == "Conv"]


def _depthwise(convolution: Any) -> bool:  # noqa: ANN401
    return any(a.name == "group" and a.i > 1 for a in convolution.attribute)


def _tidied(graph: Any) -> Any:  # noqa: ANN401 (ONNX's protobuf has no types)
    """The graph without the operator sets that the converters name and do not use."""
    import onnx

    used = {node.domain for node in graph.graph.node}
    kept = [opset for opset in graph.opset_import if opset.domain in used]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
    onnx.checker.check_model(graph, full_check=True)
    return graph
