"""A small ONNX network, which says of a picture its mean colour, and its colours at each place."""

from __future__ import annotations

from pathlib import Path


def write(path: Path, size: int, batch: int | str = "N", name: str = "picture") -> Path:
    """One input, float32 (batch, 3, size, size); tensors: the picture `seen`, its half `left`, and `mean`."""
    from onnx import TensorProto, helper, save

    nodes = [
        helper.make_node("Slice", [name, "from", "to", "columns"], ["left"]),
        helper.make_node("Identity", [name], ["seen"]),
        helper.make_node("GlobalAveragePool", ["seen"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["mean"]),
    ]
    numbers = [
        helper.make_tensor(key, TensorProto.INT64, [1], [value])
        for key, value in (("from", 0), ("to", size // 2), ("columns", 3))
    ]
    picture = helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 3, size, size])
    mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, [batch, 3])
    model = helper.make_model(
        helper.make_graph(nodes, "colours", [picture], [mean], numbers),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    save(model, path)
    return path
