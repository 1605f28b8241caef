"""A bundle's ONNX graph as the Keras model that it was made from, to train it further."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.bundle import load_bundle
from edge.errors import ConfigurationError
from training import backbone
from training.predict import run_raw

Floats = NDArray[np.float32]

TOLERANCE = 1e-4
"""The most that a probability may differ between the graph and the model that was read from it."""

PROBES = 4
"""Pictures of noise on which both must agree."""


def from_bundle(folder: Path) -> Any:  # noqa: ANN401 (Keras has no types)
    """The model of a bundle that this package made: uint8 (N, S, S, 3) RGB -> float32 (N, 101) softmax.

    Raises ConfigurationError where the bundle is damaged, or its graph is not the network of this package.
    """
    bundle = load_bundle(folder)
    try:
        model = _model(list(_weights(bundle.model_path)), bundle.input_size)
    except (ValueError, IndexError, KeyError) as error:
        raise _foreign(bundle.model_path, str(error)) from error
    noise = np.random.default_rng(0).integers(0, 256, (PROBES, *model.input_shape[1:]), np.uint8)
    gap = np.abs(np.asarray(model.predict(noise, verbose=0)) - run_raw(bundle, noise).probs).max()
    if not gap <= TOLERANCE:
        raise _foreign(bundle.model_path, f"its probabilities would differ by {gap:.1e}")
    return model


def _model(weights: list[Floats], size: int) -> Any:  # noqa: ANN401
    """The network that has these weights, in its order; ValueError if none has."""
    *kernels, features, _ = [weight for weight in weights if weight.ndim > 1]
    pooling: backbone.Pooling = "average" if len(kernels) % 2 else "places"  # pairs after the first one
    widths = [kernel.shape[-1] for kernel in (kernels[0], *kernels[2::2])]
    model = backbone.network(widths, features.shape[-1], size, pooling)
    model.set_weights(weights)
    return model


def _weights(path: Path) -> Iterator[Floats]:
    """Kernel, and bias if any, of each layer, in the graph's order and in Keras' shapes."""
    import onnx

    graph = onnx.load(path).graph
    constants = {value.name: onnx.numpy_helper.to_array(value) for value in graph.initializer}
    for place, node in enumerate(graph.node):
        if node.op_type == "Conv":
            kernel, *bias = (constants[name] for name in node.input[1:])
            depthwise = kernel.shape[1] == 1 < kernel.shape[2]
            yield kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
            yield from bias
        elif node.op_type == "MatMul":
            yield constants[node.input[1]]
            yield constants[graph.node[place + 1].input[1]]


def _foreign(path: Path, fault: str) -> ConfigurationError:
    return ConfigurationError(f"{path}: is not the network that this package trains ({fault})")
