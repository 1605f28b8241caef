"""dlib's network for face recognition as Keras layers, from its weights for TensorFlow.js.

Davis King trained it to tell people apart (dlib_face_recognition_resnet_model_v1, CC0); @vladmandic/face-api
(MIT) publishes it with most weights in 8 bits. It is a residual network (He et al. 2015, arXiv 1512.03385)
with half the channels and 29 convolutions; each is followed by a scale and an offset of its channels.
"""

from __future__ import annotations

from typing import Any

from edge.errors import ConfigurationError
from training.tfjs import Weights

MEAN_RGB = (122.782, 117.001, 104.298)
"""Subtracted from the pixels, which are then divided by 255."""

BLOCKS = (
    ("conv32_1", "conv32_2", "conv32_3"),
    ("conv64_down", "conv64_1", "conv64_2", "conv64_3"),
    ("conv128_down", "conv128_1", "conv128_2"),
    ("conv256_down", "conv256_1", "conv256_2"),
    ("conv256_down_out",),
)
"""The names of the blocks; each row but the first begins with one that halves the picture."""

ASKED = ("conv256_down_out", "conv256_2", "conv128_2")
"""The blocks whose mean over the picture is a feature, beside what tells people apart."""


def build(weights: Weights, size: int) -> Any:  # noqa: ANN401 (Keras has no types)
    """The network: uint8 (N, size, size, 3) RGB -> float32 (N, 768).

    The means of the blocks `ASKED`, and the 128 numbers that tell people apart. It was made for 150 px, and
    accepts other sizes.

    Raises ConfigurationError where a weight is missing.
    """
    import keras

    layers = keras.layers
    image = keras.Input((size, size, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255, [-mean / 255 for mean in MEAN_RGB], name="scaled")(image)
    try:
        x = layers.ReLU()(_convolution(x, weights, "conv32_down", 2))
        x = layers.MaxPooling2D(3, 2)(x)
        means = {}
        for name in (name for row in BLOCKS for name in row):
            x = _block(x, weights, name)
            means[name] = layers.GlobalAveragePooling2D(name=f"{name}_mean")(x)
        people = layers.Dense(weights["fc"].shape[1], use_bias=False, name="fc")
        told = people(means[BLOCKS[-1][0]])
        people.set_weights([weights["fc"]])
    except KeyError as error:
        raise ConfigurationError(f"the network has no weight {error}: it is not dlib's") from error
    return keras.Model(image, layers.Concatenate()([*(means[name] for name in ASKED), told]))


def _block(x: Any, weights: Weights, name: str) -> Any:  # noqa: ANN401
    """Two convolutions beside the input, which a block that halves the picture averages."""
    import keras

    layers, halves = keras.layers, "_down" in name
    y = layers.ReLU()(_convolution(x, weights, f"{name}/conv1", 2 if halves else 1))
    y = _convolution(y, weights, f"{name}/conv2", 1)
    if halves:
        x = layers.AveragePooling2D(2)(x)
        short = [own - other for own, other in zip(x.shape[1:3], y.shape[1:3], strict=True)]
        y = layers.ZeroPadding2D([(0, missing) for missing in short])(y)
        if y.shape[3] > x.shape[3]:  # twice as many channels: the new ones begin at 0
            x = layers.Concatenate()([x, layers.Rescaling(0.0)(x)])
    return layers.ReLU(name=name)(layers.Add()([x, y]))


def _convolution(x: Any, weights: Weights, name: str, step: int) -> Any:  # noqa: ANN401
    """The convolution with its scale and offset in kernel and bias."""
    import keras

    kernel, scale = weights[f"{name}/conv/filters"], weights[f"{name}/scale/weights"]
    bias = weights[f"{name}/conv/bias"] * scale + weights[f"{name}/scale/biases"]
    layer = keras.layers.Conv2D(kernel.shape[3], kernel.shape[:2], step, "same" if step == 1 else "valid")
    y = layer(x)
    layer.set_weights([kernel * scale, bias])
    return y
