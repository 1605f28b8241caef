"""An exported graph takes its pictures apart before it computes with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge.inference.onnxruntime import open_graph
from training.onnx_export import canonicalise, planes_first

SIDE = 8
MEAN = np.array([-123.68, -116.779, -103.939], np.float32)


def network() -> Any:
    """A graph as Keras writes it: the mean is taken off pictures, then they are planes."""
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.random.default_rng(1).normal(0, 1, (4, 3, 3, 3)).astype(np.float32)
    constants = {"one": np.array(1, np.float32), "mean": MEAN, "kernel": kernel}
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "one"], ["scaled"]),
        helper.make_node("Add", ["scaled", "mean"], ["centred"]),
        helper.make_node("Transpose", ["centred"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["age"]),
    ]
    ports = [
        helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE, SIDE, 3]),
        helper.make_tensor_value_info("age", TensorProto.FLOAT, ["N", 4, SIDE - 2, SIDE - 2]),
    ]
    initial = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "age", ports[:1], ports[1:], initial)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def test_a_picture_is_split_into_planes_before_the_mean_is_taken_off_it() -> None:
    model = network()
    picture = np.random.default_rng(2).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    (before,) = open_graph(model.SerializeToString()).run(["age"], {"image": picture})
    planes_first(model.graph)
    assert [node.op_type for node in model.graph.node] == ["Cast", "Transpose", "Mul", "Add", "Conv"]
    (after,) = open_graph(model.SerializeToString()).run(["age"], {"image": picture})
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ({"Cast"}, "begins with Mul, Add, Transpose, not Cast"),
        ({"Mul", "Add"}, "begins with Cast, Transpose, not Cast"),
        ({"Transpose"}, "begins with no Transpose, not Cast"),
    ],
)
def test_a_graph_that_begins_in_another_way_is_refused(gone: set[str], told: str) -> None:
    model = network()
    for node in [node for node in model.graph.node if node.op_type in gone]:
        model.graph.node.remove(node)
        for user in model.graph.node:
            user.input[:] = [node.input[0] if name == node.output[0] else name for name in user.input]
    with pytest.raises(ValueError, match=told):
        planes_first(model.graph)


def test_a_graph_that_also_divides_is_refused() -> None:
    model = network()
    model.graph.node[1].op_type = "Div"
    with pytest.raises(ValueError, match="begins with Cast, Div, Add, Transpose, not Cast"):
        planes_first(model.graph)


def test_the_same_graph_with_other_remarks_gives_the_same_bytes() -> None:
    plain, told = network(), network()
    told.graph.doc_string = "converted from b'__inference___call___1279'"
    told.graph.node[1].doc_string = "the second step"
    for model in (plain, told):
        canonicalise(model.graph, {"image": "image", "age": "age"}, "age")
    assert told.SerializeToString() == plain.SerializeToString()
