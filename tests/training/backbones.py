"""Small TensorFlow.js graph models with random weights, laid out as the published one is."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np

WIDTHS = (4, 6, 8)
"""Channels after the first convolution and after each pair of layers; the second pair halves the picture."""


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (rng.normal(size=shape) * scale).astype(np.float32)

    named = {
        "age_pred/kernel": normal(5, 100),
        "age_pred/bias": normal(100),
        "feats/kernel": normal(WIDTHS[-1], 5),
        "feats/bias": normal(5),
        "gender_pred/kernel": normal(5, 1),
        "gender_pred/bias": normal(1),
        "conv1/convolution/merged_input": normal(3, 3, 3, WIDTHS[0], scale=0.02),
        "conv1_bn/batchnorm_1/sub": normal(WIDTHS[0]),
        "conv1_relu/Cast": np.array(6, np.float32),
    }
    for n, (before, after) in enumerate(pairwise(WIDTHS), start=1):
        named |= {
            f"conv_dw_{n}/depthwise_kernel": normal(3, 3, before, 1),
            f"conv_dw_{n}_bn/batchnorm_1/mul": normal(before),
            f"conv_dw_{n}_bn/batchnorm_1/sub": normal(before),
            f"conv_pw_{n}/convolution/merged_input": normal(1, 1, before, after),
            f"conv_pw_{n}_bn/batchnorm_1/sub": normal(after),
        }
    named["global_pooling/Mean/reduction_indices"] = np.array([1, 2], np.int32)
    return named


def write(folder: Path, arrays: dict[str, np.ndarray], split: int = 2) -> Path:
    """Write `arrays` as a model whose binary data are spread over `split` files."""
    content = b"".join(array.tobytes() for array in arrays.values())
    specs = [
        {"name": name, "shape": list(array.shape), "dtype": str(array.dtype)}
        for name, array in arrays.items()
    ]
    step = -(-len(content) // split)
    names = [f"tiny-{i}.bin" for i in range(split)]
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        (folder / name).write_bytes(content[i * step : (i + 1) * step])
    model = {"format": "graph-model", "weightsManifest": [{"paths": names, "weights": specs}]}
    (folder / "tiny.json").write_text(json.dumps(model))
    return folder
