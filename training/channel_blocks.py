"""A network laid out for ONNX Runtime, which computes convolutions in blocks of channels.

Where a residual block has more channels than its input, the graph adds the input padded with zeros. For that
ONNX Runtime leaves its layout of blocks, and it returns to it afterwards. So all numbers of
channels are filled up to whole blocks with weights of zero, and a convolution that adds a block becomes two:
one is added to the input as it is, the other gives what is new. The outputs are the same up to rounding.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 16
"""Channels of a block with AVX-512, and of two with AVX2, where blocks of 8 save another twentieth."""

COLOURS = 3

NEW_CHANNELS = 5
"""Where a constant of Pad for (N, C, H, W), four beginnings and four ends, has the channels at the end."""

Constants = dict[str, NDArray[Any]]
Node = Any
"""ONNX's protobuf has no types."""


def in_blocks(graph: Any) -> None:  # noqa: ANN401 (as `Node`)
    """Lay out a graph whose paddings add channels; one without any is left as it is."""
    from onnx import numpy_helper

    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    nodes = [deepcopy(node) for node in graph.node]
    pads = [node for node in nodes if node.op_type == "Pad" and _adds_channels(constants[node.input[1]])]
    if not pads:
        return
    channels = {node.output[0]: len(constants[node.input[2]]) for node in nodes if node.op_type == "Conv"}
    for conv in [node for node in nodes if node.op_type == "Conv"]:
        _fill(conv, constants, is_answer=_is_answer(nodes, conv))
    for pad in pads:
        nodes = _without(pad, nodes, channels, constants)
    _write(graph, nodes, constants)


def _adds_channels(amounts: NDArray[np.int64]) -> bool:
    """Whether a constant of Pad adds channels at the end, and nothing else."""
    return bool(np.flatnonzero(amounts).tolist() == [NEW_CHANNELS])


def _is_answer(nodes: list[Node], conv: Node) -> bool:
    """Whether the output of a convolution is the network's: it is turned into rows."""
    return any(node.op_type == "Transpose" for node in nodes if conv.output[0] in node.input)


def _fill(conv: Node, constants: Constants, *, is_answer: bool) -> None:
    """Give a convolution whole blocks of outputs and inputs; not of answers and colours."""
    _, kernel, bias = conv.input
    group = next(each for each in conv.attribute if each.name == "group")
    outputs, inputs = constants[kernel].shape[:2]
    if not is_answer:
        outputs = _whole(outputs)
    if group.i > 1:
        group.i = outputs
    elif inputs != COLOURS:
        inputs = _whole(inputs)
    constants[kernel] = _filled(constants[kernel], outputs, inputs)
    constants[bias] = _filled(constants[bias], outputs)


def _whole(channels: int) -> int:
    return -(-channels // BLOCK) * BLOCK


def _filled(values: NDArray[Any], *lengths: int) -> NDArray[Any]:
    """The array with zeros at the ends of its first axes, which have these lengths then."""
    ends = [length - had for length, had in zip(lengths, values.shape, strict=False)]
    return np.pad(values, [(0, end) for end in ends] + [(0, 0)] * (values.ndim - len(ends)))


def _without(pad: Node, nodes: list[Node], channels: dict[str, int], constants: Constants) -> list[Node]:
    """The nodes without a padding: what it pads is added to as many channels of the convolution.

    channels: that each convolution had before it was filled.
    """
    (add,) = _users(nodes, pad)
    (relu,) = _users(nodes, add)
    conv = next(node for node in nodes if node.output[0] in add.input and node is not pad)
    had = _whole(channels[conv.output[0]] - int(constants[pad.input[1]][NEW_CHANNELS]))
    new = _parts(conv, pad.input[0], relu.output[0], had, constants)
    kept = [node for node in nodes if node not in (pad, conv, add)]
    place = kept.index(relu)
    return [*kept[:place], *new, *kept[place + 1 :]]


def _users(nodes: list[Node], node: Node) -> list[Node]:
    return [each for each in nodes if node.output[0] in each.input]


def _parts(conv: Node, added: str, output: str, had: int, constants: Constants) -> list[Node]:
    """The nodes that give `output`: `had` channels with `added`, and those that are new."""
    from onnx.helper import make_node

    if had == len(constants[conv.input[2]]):
        return [conv, *_sum(added, conv.output[0], output)]
    old, new = f"{output}_old", f"{output}_new"
    return [
        _part(conv, slice(had), f"{old}_conv", constants),
        *_sum(added, f"{old}_conv", old),
        _part(conv, slice(had, None), f"{new}_conv", constants),
        make_node("Relu", [f"{new}_conv"], [new]),
        make_node("Concat", [old, new], [output], axis=1),
    ]


def _sum(added: str, to: str, output: str) -> list[Node]:
    from onnx.helper import make_node

    return [
        make_node("Add", [added, to], [f"{output}_sum"]),
        make_node("Relu", [f"{output}_sum"], [output]),
    ]


def _part(conv: Node, channels: slice, output: str, constants: Constants) -> Node:
    """A convolution that gives some channels of this one."""
    part = deepcopy(conv)
    names = [f"{output}_kernel", f"{output}_bias"]
    for name, whole in zip(names, conv.input[1:], strict=True):
        constants[name] = constants[whole][channels]
    part.input[1:], part.output[:] = names, [output]
    return part


def _write(graph: Any, nodes: list[Node], constants: Constants) -> None:  # noqa: ANN401 (as `Node`)
    from onnx import numpy_helper

    used = {name for node in nodes for name in node.input}
    kept = [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used]
    for field, values in ((graph.node, nodes), (graph.initializer, kept)):
        del field[:]
        field.extend(values)
    graph.ClearField("value_info")
