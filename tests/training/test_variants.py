from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import Bundle, load_bundle
from tests.training import backbones, bundles
from training.predict import run_raw
from training.variants import write_fp16, write_int8

SIZE = 64


@pytest.fixture(scope="module", params=["average", "places"])
def bundle(keras, tmp_path_factory, request) -> Bundle:
    """A tiny network of the shipped one's kind, as a bundle."""
    from training.bundles import Identity, write_draft
    from training.train.network import fitted

    folder = tmp_path_factory.mktemp("bundle")
    model = fitted(tiny(), SIZE, request.param)
    write_draft(folder, model, Identity("tiny", "1", bundles.TERMS, 1.04))
    return load_bundle(folder)


def tiny():
    from training.backbone import build

    weights = backbones.weights()
    weights["age_pred/kernel"] /= 50  # noise for weights makes it certain; a trained model is not
    return build(weights, SIZE)


def crops(count: int = 16) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return list(random.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8))


def difference(bundle: Bundle, path: Path) -> float:
    other = run_raw(replace(bundle, model_path=path), crops()).probs
    return float(np.abs(other - run_raw(bundle, crops()).probs).sum(axis=1).max() / 2)


def types(path: Path) -> set[str]:
    import onnx

    weights = onnx.load(path).graph.initializer
    return {onnx.TensorProto.DataType.Name(constant.data_type) for constant in weights}


def test_fp16_has_half_precision_weights_and_changes_next_to_nothing(bundle: Bundle, tmp_path: Path):
    write_fp16(bundle.model_path, tmp_path / "fp16.onnx")
    assert {"FLOAT", "FLOAT16"} & types(tmp_path / "fp16.onnx") == {"FLOAT16"}
    assert difference(bundle, tmp_path / "fp16.onnx") < 0.02


def test_int8_has_quantised_convolutions_and_is_close(bundle: Bundle, tmp_path: Path):
    write_int8(bundle.model_path, tmp_path / "int8.onnx", crops(), SIZE)
    assert "INT8" in types(tmp_path / "int8.onnx")
    assert difference(bundle, tmp_path / "int8.onnx") < 0.2


def test_int8_is_in_the_form_that_tensorrt_takes(bundle: Bundle, tmp_path: Path):
    """Q/DQ nodes, zero points of 0, and no operator of ONNX Runtime's own."""
    import onnx

    write_int8(bundle.model_path, tmp_path / "int8.onnx", crops(), SIZE)
    graph = onnx.load(tmp_path / "int8.onnx")
    assert [(o.domain, o.version) for o in graph.opset_import] == [("", 17)]
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in graph.graph.node}
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.graph.initializer}
    zeros = [constants[n.input[2]] for n in graph.graph.node if n.op_type == "DequantizeLinear"]
    assert zeros
    assert all(not zero.any() for zero in zeros)


def test_no_sum_of_two_products_of_int8_can_exceed_sixteen_bits(bundle: Bundle, tmp_path: Path):
    """CPUs without VNNI add two products of a byte and a weight in 16 bits, depthwise convolutions apart."""
    write_int8(bundle.model_path, tmp_path / "int8.onnx", crops(), SIZE)
    largest = largest_weights(tmp_path / "int8.onnx")
    assert 2 * 255 * largest["dense"] <= 32767
    assert largest["depthwise"] == 127


def largest_weights(path: Path) -> dict[str, int]:
    import onnx

    graph = onnx.load(path).graph
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    made_by = {node.output[0]: node for node in graph.node}
    found = {"dense": 0, "depthwise": 0}
    for node in (node for node in graph.node if node.op_type == "Conv"):
        weights = constants[made_by[node.input[1]].input[0]].astype(int)
        kind = "depthwise" if any(a.name == "group" and a.i > 1 for a in node.attribute) else "dense"
        found[kind] = max(found[kind], int(np.abs(weights).max()))
    return found


def test_int8_gives_the_mean_of_float32(bundle: Bundle, tmp_path: Path):
    """Rounding shifts the means of the layers; corrected biases take the shift out of the ages."""
    write_int8(bundle.model_path, tmp_path / "int8.onnx", crops(), SIZE)
    mean = {
        path: run_raw(replace(bundle, model_path=path), crops()).probs @ np.arange(101)
        for path in (bundle.model_path, tmp_path / "int8.onnx")
    }
    exact, rounded = mean.values()
    assert abs(float((rounded - exact).mean())) < 0.3
