"""The network while it learns, and the same network as it is shipped.

While it learns, 1x1 convolutions are dense layers, which take half the time on a CPU, and it gives logits.
As shipped it is what `training.backbone.build` makes: pixels in, a softmax over ages out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError
from edge.types import AGES
from training import backbone
from training.tfjs import Weights, read_weights
from training.train.config import ModelSettings

WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
"""Channels of MobileNet-v1 1.0 after the first convolution and after each pair of layers."""

FEATURES = 256
HEAD = ("features", "age")
"""The layers that see the whole face; the others are the backbone."""


def starting_model(settings: ModelSettings, seed: int) -> Any:  # noqa: ANN401 (Keras has no types)
    """The network as it is shipped, with the weights that the run starts from.

    Raises ConfigurationError when the starting network is missing, damaged, or does not fit.
    """
    if settings.run:
        from training.train.runs import read_model

        model = read_model(settings.run)
    elif settings.bundle_folder:
        from training.onnx_import import from_bundle

        model = from_bundle(settings.bundle_folder)
    else:
        known = settings.backbone
        weights = read_weights(known) if known else random_weights(settings.width, seed)
        model = backbone.build(weights, settings.size)
        _learn_age_zero(model)
    return fitted(model, settings.size, settings.pooling)


def trainable(shipped: Any, settings: ModelSettings, dtype: str) -> Any:  # noqa: ANN401
    """The network to be trained: uint8 (N, S, S, 3) -> logits float32 (N, 101), same weights, same names."""
    import keras

    def twin(layer: Any) -> Any:  # noqa: ANN401
        config = {**layer.get_config(), "dtype": dtype}
        if is_pointwise(layer):
            return keras.layers.Dense(layer.filters, name=layer.name, dtype=dtype)
        if isinstance(layer, keras.layers.InputLayer):
            return layer
        return type(layer).from_config(config)

    copy = keras.models.clone_model(shipped, clone_function=twin)
    features = copy.get_layer("features").output
    # `SeedEpochs` sets the seed; but Keras' torch backend does without where none was given.
    features = keras.layers.Dropout(settings.dropout, seed=0, name="dropout")(features)
    logits = keras.layers.Dense(AGES, name="age", dtype="float32")(features)
    model = keras.Model(copy.inputs, logits, name="age_logits")
    copy_weights(shipped, model)
    _freeze(model, settings.frozen)
    return model


def fitted(shipped: Any, size: int, pooling: backbone.Pooling) -> Any:  # noqa: ANN401
    """The same network for pictures of `size` px; only weights for places depend on that.

    Where it gets new ones, its output stays the same. Raises ConfigurationError where it has weights for
    places that would be lost.
    """
    import keras

    own = shipped.input_shape[1]
    if backbone.pooling_of(shipped) == "places" and (size, pooling) != (own, "places"):
        raise ConfigurationError(
            f"model.pooling = {pooling!r} and model.size = {size}: the starting network has weights for "
            f"places at {own} px; set model.pooling = 'places' and model.size = {own}"
        )
    widths = [layer.filters for layer in shipped.layers if type(layer) is keras.layers.Conv2D]
    model = backbone.network(widths, shipped.get_layer("features").units, size, pooling)
    copy_weights(shipped, model)
    return model


def copy_weights(source: Any, target: Any) -> None:  # noqa: ANN401
    """Copy every layer's weights to the layer of the same name, 1x1 convolutions to dense ones or back."""
    for layer in source.layers:
        if layer.get_weights():
            other = target.get_layer(layer.name)
            shapes = [weight.shape for weight in other.get_weights()]
            pairs = zip(layer.get_weights(), shapes, strict=True)
            other.set_weights([weight.reshape(shape) for weight, shape in pairs])


def copy_averages(model: Any, averages: Sequence[Any], target: Any) -> None:  # noqa: ANN401
    """As `copy_weights`, with these values in place of the trainable variables of `model`."""
    by_path = {v.path: a.numpy() for v, a in zip(model.trainable_variables, averages, strict=True)}
    for layer in model.layers:
        if layer.weights:
            own = [by_path.get(weight.path, weight.numpy()) for weight in layer.weights]
            other = target.get_layer(layer.name)
            other.set_weights([a.reshape(w.shape) for a, w in zip(own, other.weights, strict=True)])


def is_pointwise(layer: Any) -> bool:  # noqa: ANN401
    """Whether `layer` is a 1x1 convolution of stride 1, which is a dense layer over channels."""
    import keras

    return (
        type(layer) is keras.layers.Conv2D and layer.kernel_size == (1, 1) and tuple(layer.strides) == (1, 1)
    )


def random_weights(width: float, seed: int) -> Weights:
    """Weights to start from without a backbone (He et al. 2015, arXiv 1502.01852), named as in its file."""
    random = np.random.default_rng(seed)
    widths = [max(round(channels * width), 4) for channels in WIDTHS]
    features = max(round(FEATURES * width), 16)

    def normal(*shape: int, fan_in: int, gain: float = 1.0) -> NDArray[np.float32]:
        return np.asarray(random.normal(0, gain * np.sqrt(2 / fan_in), shape), np.float32)

    named: dict[str, NDArray[np.float32]] = {
        # Pixels reach the first layer unscaled, hence the gain: 64 is their standard deviation.
        "conv1/convolution/merged_input": normal(3, 3, 3, widths[0], fan_in=27, gain=1 / 64),
        "conv1_bn/batchnorm_1/sub": np.zeros(widths[0], np.float32),
        "feats/kernel": normal(widths[-1], features, fan_in=widths[-1]),
        "feats/bias": np.zeros(features, np.float32),
        "age_pred/kernel": normal(features, AGES - 1, fan_in=features, gain=0.1),
        "age_pred/bias": np.zeros(AGES - 1, np.float32),
    }
    for n, (before, after) in enumerate(pairwise(widths), start=1):
        named |= {
            f"conv_dw_{n}/depthwise_kernel": normal(3, 3, before, 1, fan_in=9),
            f"conv_dw_{n}_bn/batchnorm_1/mul": np.ones(before, np.float32),
            f"conv_dw_{n}_bn/batchnorm_1/sub": np.zeros(before, np.float32),
            f"conv_pw_{n}/convolution/merged_input": normal(1, 1, before, after, fan_in=before),
            f"conv_pw_{n}_bn/batchnorm_1/sub": np.zeros(after, np.float32),
        }
    return named


def _learn_age_zero(model: Any) -> None:  # noqa: ANN401
    """Start age 0, which the backbone cannot output, with the weights of age 1."""
    head = model.get_layer("age")
    kernel, bias = head.get_weights()
    kernel[:, 0], bias[0] = kernel[:, 1], bias[1]
    head.set_weights([kernel, bias])


def _freeze(model: Any, pairs: int) -> None:  # noqa: ANN401
    """Freeze the first convolution and this many pairs of layers."""
    names = ["conv1"] if pairs else []
    names += [f"conv_{kind}_{n}" for n in range(1, pairs + 1) for kind in ("dw", "pw")]
    for name in names:
        model.get_layer(name).trainable = False
