"""The face networks in the box's ONNX files compute what the files that they are made of compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigurationError
from edge.inference.onnxruntime import open_graph
from edge.vision.detect.networks import NETWORKS, Range, read_file
from edge.vision.second_opinion.face_check import INPUT, OUTPUT, OUTPUT_NETWORK, SIZE
from training.face_detectors import main, to_onnx, without_prelu


@pytest.mark.parametrize("range_", NETWORKS)
def test_the_shipped_graph_is_the_converted_network(keras, range_: Range):
    import tensorflow as tf

    network = NETWORKS[range_]
    interpreter = tf.lite.Interpreter(model_content=read_file(*network.mediapipe))
    interpreter.allocate_tensors()
    picture = np.random.default_rng(2).integers(0, 256, (1, network.size, network.size, 3), np.uint8)
    rgb = picture[..., ::-1] * np.float32(2 / 255) - 1
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], rgb)
    interpreter.invoke()
    expected = [interpreter.get_tensor(port["index"]) for port in interpreter.get_output_details()]
    boxes, scores = sorted(expected, key=lambda output: -output.shape[2])
    session = open_graph(read_file(*network.onnx))
    found = session.run(["boxes", "scores"], {"image": np.concatenate([picture, picture])})
    anchors = network.anchors()
    for raw in found[0]:
        assert np.abs(anchors.numbers(raw, np.arange(len(anchors))) - boxes[0]).max() < 1e-2
    assert np.abs(found[1] - scores).max() < 1e-3
    assert to_onnx(network) == read_file(*network.onnx)


def with_prelu(slope: np.ndarray) -> bytes:
    """A graph of one PRelu of planes (1, 4, 8, 8)."""
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    nodes = [helper.make_node("PRelu", ["x", "slope"], ["y"])]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 8, 8]) for name in "xy")
    graph = helper.make_graph(nodes, "bent", [x], [y], [numpy_helper.from_array(slope, "slope")])
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, ir_version=8, opset_imports=opsets).SerializeToString())


def test_the_larger_of_two_numbers_is_what_prelu_gives() -> None:
    import onnx

    graph = with_prelu(np.array([-0.7, 0, 0.3, 1], np.float32).reshape(1, 4, 1, 1))
    x = np.random.default_rng(3).normal(0, 1, (1, 4, 8, 8)).astype(np.float32)
    before, after = (open_graph(each).run(["y"], {"x": x})[0] for each in (graph, without_prelu(graph)))
    np.testing.assert_array_equal(after, before)
    assert [node.op_type for node in onnx.load_from_string(without_prelu(graph)).graph.node] == ["Mul", "Max"]


def test_a_slope_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match="slope: a slope above 1"):
        without_prelu(with_prelu(np.full((1, 4, 1, 1), 1.5, np.float32)))


def with_prelu_again(content: bytes) -> bytes:
    """The graph `content` with a PRelu in place of each Mul with a Max after it."""
    import onnx
    from onnx import helper

    model = onnx.load_from_string(content)
    larger = {node.input[1]: node for node in model.graph.node if node.op_type == "Max"}
    for node in [node for node in model.graph.node if node.op_type == "Mul"]:
        last = larger[node.output[0]]
        node.CopyFrom(helper.make_node("PRelu", list(node.input), list(last.output)))
        model.graph.node.remove(last)
    return bytes(model.SerializeToString())


def test_the_shipped_face_check_gives_what_it_gave_with_prelu() -> None:
    onnx = pytest.importorskip("onnx")
    shipped = read_file(*OUTPUT_NETWORK)
    before = with_prelu_again(shipped)
    kinds = [node.op_type for node in onnx.load_from_string(before).graph.node]
    assert kinds.count("PRelu") == 5
    pictures = np.random.default_rng(4).uniform(-1, 1, (4, SIZE, SIZE, 3)).astype(np.float32)
    expected, found = (
        open_graph(each).run([OUTPUT], {INPUT: pictures})[0] for each in (before, without_prelu(before))
    )
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(open_graph(shipped).run([OUTPUT], {INPUT: pictures})[0], expected)


def test_a_face_check_is_made_of_the_wheels_file_only(tmp_path: Path) -> None:
    other = tmp_path / "onet.onnx"
    other.write_bytes(read_file(*OUTPUT_NETWORK))
    with pytest.raises(ConfigurationError, match=f"its SHA-256 is {OUTPUT_NETWORK[1]}, expected d80f19b4"):
        main([str(other)])
