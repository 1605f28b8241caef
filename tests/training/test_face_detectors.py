"""The face networks in the box's ONNX files compute what MediaPipe's files compute."""

from __future__ import annotations

import numpy as np
import pytest

from edge.inference.onnxruntime import open_graph
from edge.vision.detect.networks import NETWORKS, Range, read_file
from training.face_detectors import to_onnx


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
