"""The layers against a second reading of the same network."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.errors import ConfigurationError
from edge.preprocess import to_batch
from tests.training import backbones
from training.backbone import STRIDED, build
from training.tfjs import read_weights


@pytest.mark.parametrize(
    "name", ["conv_pw_2_bn/batchnorm_1/sub", "age_pred/kernel", "conv_dw_1/depthwise_kernel"]
)
def test_another_network_is_refused_with_what_it_lacks(keras, name: str):
    arrays = backbones.weights()
    del arrays[name]
    with pytest.raises(ConfigurationError, match="it is not the network of faceres-deep"):
        build(arrays, 64)


def by_hand(arrays: dict[str, np.ndarray], image: np.ndarray) -> np.ndarray:
    """Ages 1..100 of one uint8 (S, S, 3) RGB picture, in plain numpy from the paper's description."""

    def padded(x: np.ndarray, stride: int) -> np.ndarray:
        # TensorFlow's SAME: the odd row of padding goes below and to the right.
        total = max((-(-x.shape[0] // stride) - 1) * stride + 3 - x.shape[0], 0)
        return np.pad(x, ((total // 2, total - total // 2),) * 2 + ((0, 0),))

    def windows(x: np.ndarray, stride: int) -> np.ndarray:
        return np.lib.stride_tricks.sliding_window_view(padded(x, stride), (3, 3), (0, 1))[::stride, ::stride]

    def relu6(x: np.ndarray) -> np.ndarray:
        return np.clip(x, 0, 6)

    x = image[..., ::-1].astype(np.float64) - (103.939, 116.779, 123.68)
    x = np.einsum("yxcij,ijco->yxo", windows(x, 2), arrays["conv1/convolution/merged_input"])
    x = relu6(x + arrays["conv1_bn/batchnorm_1/sub"])
    for n in range(1, len(backbones.WIDTHS)):
        kernel = arrays[f"conv_dw_{n}/depthwise_kernel"][..., 0]
        x = np.einsum("yxcij,ijc->yxc", windows(x, 2 if n in STRIDED else 1), kernel)
        x = relu6(x * arrays[f"conv_dw_{n}_bn/batchnorm_1/mul"] + arrays[f"conv_dw_{n}_bn/batchnorm_1/sub"])
        x = x @ arrays[f"conv_pw_{n}/convolution/merged_input"][0, 0]
        x = relu6(x + arrays[f"conv_pw_{n}_bn/batchnorm_1/sub"])
    x = np.maximum(x.mean(axis=(0, 1)) @ arrays["feats/kernel"] + arrays["feats/bias"], 0)
    x = x @ arrays["age_pred/kernel"] + arrays["age_pred/bias"]
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


@pytest.mark.parametrize("size", [64, 80])
def test_the_layers_compute_what_the_description_says(keras, size: int):
    arrays = backbones.weights()
    batch = np.random.default_rng(1).integers(0, 256, (3, size, size, 3), np.uint8)
    probs = build(arrays, size).predict(batch, verbose=0)
    assert probs.shape == (3, 101)
    assert np.all(probs[:, 0] == 0)
    for found, image in zip(probs, batch, strict=True):
        assert np.allclose(found[1:], by_hand(arrays, image), atol=1e-5)


def run_graph(folder: Path, image: np.ndarray) -> np.ndarray:
    """Interpret the published graph node by node with TensorFlow's own operations."""
    tf = pytest.importorskip("tensorflow")
    model = json.loads((folder / "faceres-deep.json").read_text())
    values = {name: tf.constant(array) for name, array in read_weights(folder).items()}
    operations: dict[str, Callable[..., Any]] = {
        "Add": lambda _, x, y: x + y,
        "Mul": lambda _, x, y: x * y,
        "Relu": lambda _, x: tf.nn.relu(x),
        "Minimum": lambda _, x, y: tf.minimum(x, y),
        "Maximum": lambda _, x, y: tf.maximum(x, y),
        "Mean": lambda _, x, axes: tf.reduce_mean(x, axes),
        "Softmax": lambda _, x: tf.nn.softmax(x),
        "Conv2D": lambda a, x, k: tf.nn.conv2d(x, k, *window(a)),
        "DepthwiseConv2dNative": lambda a, x, k: tf.nn.depthwise_conv2d(x, k, *window(a)),
    }

    def text(value: str) -> str:
        return base64.b64decode(value).decode()

    def window(attributes: dict) -> tuple[list[int], str]:
        return [int(i) for i in attributes["strides"]["list"]["i"]], text(attributes["padding"]["s"])

    def fused(attributes, x, kernel, bias):
        extra = [text(s) for s in attributes["fused_ops"]["list"]["s"]]
        assert extra in (["BiasAdd"], ["BiasAdd", "Relu"])
        y = x @ kernel + bias
        return tf.nn.relu(y) if "Relu" in extra else y

    operations["_FusedMatMul"] = fused
    values["input_1"] = tf.constant(image)
    for node in model["modelTopology"]["node"]:
        if node["name"] not in values and not node["name"].startswith("gender"):
            values[node["name"]] = operations[node["op"]](node["attr"], *(values[i] for i in node["input"]))
    return values["age_pred/Softmax"].numpy()


@pytest.mark.data
def test_the_published_graph_gives_the_same_ages(keras, data: Path):
    pictures = sorted((data / "faces" / "faces" / "final_files").iterdir())[:4]
    batch = to_batch([cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in pictures], 160)
    bgr = batch[..., ::-1].astype(np.float32) - np.array([103.939, 116.779, 123.68], np.float32)
    wanted = run_graph(data / "backbone", bgr)
    found = build(read_weights(data / "backbone"), 160).predict(batch, verbose=0)
    assert np.allclose(found[:, 1:], wanted, atol=1e-5)
    assert np.all(found[:, 0] == 0)
