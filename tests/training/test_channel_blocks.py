"""A network laid out in blocks computes the same, and nothing in it leaves the blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge.inference.onnxruntime import open_graph
from training.channel_blocks import BLOCK, in_blocks

COLOURS, SIDE = 3, 8
WIDTHS = [(12, 12), (12, 20), (20, 28), (28, 70)]
"""Channels before and after each residual block: within a block of ONNX Runtime, over its end, by several."""


def network() -> Any:
    """A graph as tf2onnx writes one: residual blocks that grow, and an answer of 5 channels."""
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(4)
    nodes, constants = [], []

    def constant(name: str, values: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(values, name))
        return name

    def convolve(source: str, output: str, shape: tuple[int, ...], group: int = 1) -> str:
        pads = [shape[2] // 2] * 4
        kernel = constant(f"{output}.kernel", random.normal(0, 0.2, shape).astype(np.float32))
        bias = constant(f"{output}.bias", random.normal(0, 0.2, shape[0]).astype(np.float32))
        nodes.append(helper.make_node("Conv", [source, kernel, bias], [output], group=group, pads=pads))
        return output

    nodes.append(
        helper.make_node("Relu", [convolve("image", "first", (WIDTHS[0][0], COLOURS, 3, 3))], ["x0"])
    )
    for place, (had, has) in enumerate(WIDTHS):
        deep = convolve(f"x{place}", f"deep{place}", (had, 1, 3, 3), had)
        wide = convolve(deep, f"wide{place}", (has, had, 1, 1))
        source = f"x{place}"
        if has > had:
            amounts = constant(f"amounts{place}", np.array([0, 0, 0, 0, 0, has - had, 0, 0]))
            nodes.append(helper.make_node("Pad", [source, amounts], [f"padded{place}"]))
            source = f"padded{place}"
        nodes.append(helper.make_node("Add", [source, wide], [f"sum{place}"]))
        nodes.append(helper.make_node("Relu", [f"sum{place}"], [f"x{place + 1}"]))
    answer = convolve(f"x{len(WIDTHS)}", "answer", (5, WIDTHS[-1][1], 1, 1))
    nodes.append(helper.make_node("Transpose", [answer], ["rows"], perm=[0, 2, 3, 1]))
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("image", [1, COLOURS, SIDE, SIDE]), ("rows", [1, SIDE, SIDE, 5]))
    ]
    graph = helper.make_graph(nodes, "growing", ports[:1], ports[1:], constants)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def test_the_outputs_stay_and_every_convolution_has_whole_blocks() -> None:
    model = network()
    picture = np.random.default_rng(5).normal(0, 1, (1, COLOURS, SIDE, SIDE)).astype(np.float32)
    (before,) = open_graph(model.SerializeToString()).run(["rows"], {"image": picture})
    in_blocks(model.graph)
    (after,) = open_graph(model.SerializeToString()).run(["rows"], {"image": picture})
    assert np.abs(after - before).max() < 1e-5 * np.abs(before).max()
    assert not [node.op_type for node in model.graph.node if node.op_type == "Pad"]
    sizes = {each.name: tuple(each.dims) for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv" and node.output[0] != "answer":
            outputs, inputs = sizes[node.input[1]][:2]
            assert outputs % BLOCK == 0
            assert inputs in (1, COLOURS) or inputs % BLOCK == 0


def test_a_network_whose_channels_are_not_padded_is_left_as_it_is() -> None:
    model = network()
    padded = next(place for place, (had, has) in enumerate(WIDTHS) if has > had)
    end = next(place for place, node in enumerate(model.graph.node) if node.output[0] == f"x{padded}")
    del model.graph.node[end + 1 :]
    before = model.graph.SerializeToString()
    in_blocks(model.graph)
    assert model.graph.SerializeToString() == before
