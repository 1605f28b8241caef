"""A bundle whose model knows how bright a picture is, and says that as an age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.bundle import (
    Bundle,
    CropGeometry,
    HashedFile,
    InputSpec,
    Manifest,
    PartTerms,
    load_bundle,
    sha256_of,
)

SIZE = 32
TERMS = (PartTerms(part="made up", licence="none"),)


def write(folder: Path, off: float = 0.0, name: str = "brightness", **provenance: Any) -> Bundle:
    """A model that takes the mean of all pixels, less 100 and plus `off`, for the age."""
    import onnx
    from onnx import TensorProto, helper

    def constant(label: str, values: Any) -> onnx.TensorProto:
        return onnx.numpy_helper.from_array(np.asarray(values, np.float32), label)

    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["grey"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Sub", ["grey", "darkest"], ["seen"]),
        helper.make_node("Unsqueeze", ["seen", "last"], ["column"]),
        helper.make_node("Sub", ["column", "years"], ["apart"]),
        helper.make_node("Mul", ["apart", "apart"], ["squared"]),
        helper.make_node("Mul", ["squared", "sharpness"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["age"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("age", TensorProto.FLOAT, ["N", 101])],
        [
            constant("darkest", 100.0 - off),
            onnx.numpy_helper.from_array(np.array([1], np.int64), "last"),
            constant("years", np.arange(101)),
            constant("sharpness", -0.5 / 2.0**2),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return finish(folder, name, provenance)


def finish(folder: Path, name: str, provenance: Mapping[str, Any]) -> Bundle:
    content = (folder / "model.onnx").read_bytes()
    manifest = Manifest(
        name=name,
        version="1",
        model=HashedFile(file="model.onnx", sha256=sha256_of(content)),
        input=InputSpec(size=SIZE, preprocessing=1),
        crop=CropGeometry(scale=1.04),
        temperature=1.0,
        licence="none",
        provenance=dict(provenance),
        metrics={},
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json(by_alias=True, exclude_none=True))
    return load_bundle(folder)


def crops(ages: Sequence[float], noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Pictures, uint8 (N, SIZE, SIZE, 3), that the model takes for these ages, off by a normal error."""
    random = np.random.default_rng(seed)
    seen = 100 + np.asarray(ages) + random.normal(0, noise, len(ages))
    flat = np.broadcast_to(seen[:, None, None, None], (len(ages), SIZE, SIZE, 3))
    return np.clip(flat.round(), 0, 255).astype(np.uint8)
