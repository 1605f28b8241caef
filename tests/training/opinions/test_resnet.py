"""The layers against a second reading of the same network."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import ConfigurationError
from training.opinions.resnet import BLOCKS, MEAN_RGB, build

NAMES = [name for row in BLOCKS for name in row]


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Of the same network with 2, 4, 8 and 16 channels."""
    random = np.random.default_rng(seed)

    def convolution(name: str, side: int, before: int, after: int) -> dict[str, np.ndarray]:
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(
            ("conv/bias", "scale/weights", "scale/biases"), (after,)
        )
        shapes["conv/filters"] = (side, side, before, after)
        scale = np.sqrt(1 / (side * side * before))
        return {
            f"{name}/{part}": random.normal(0, scale if len(shape) == 4 else 0.5, shape).astype(np.float32)
            for part, shape in shapes.items()
        }

    named = convolution("conv32_down", 7, 3, 2)
    before = 2
    for name in NAMES:
        after = int(name.split("_")[0].removeprefix("conv")) // 16
        named |= convolution(f"{name}/conv1", 3, before, after)
        named |= convolution(f"{name}/conv2", 3, after, after)
        before = after
    return named | {"fc": random.normal(size=(before, 5)).astype(np.float32)}


def by_hand(arrays: dict[str, np.ndarray], image: np.ndarray) -> np.ndarray:
    """The features of one uint8 (S, S, 3) picture, in plain numpy from dlib's description."""

    def windows(x: np.ndarray, side: int, step: int) -> np.ndarray:
        return np.lib.stride_tricks.sliding_window_view(x, (side, side), (0, 1))[::step, ::step]

    def convolved(x: np.ndarray, name: str, step: int) -> np.ndarray:
        kernel = arrays[f"{name}/conv/filters"]
        if step == 1:
            x = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        y = np.einsum("yxcij,ijco->yxo", windows(x, len(kernel), step), kernel) + arrays[f"{name}/conv/bias"]
        return y * arrays[f"{name}/scale/weights"] + arrays[f"{name}/scale/biases"]

    def relu(x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0)

    def enlarged(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return np.pad(x, [(0, new - old) for new, old in zip(shape, x.shape, strict=True)])

    x = relu(convolved((image - np.array(MEAN_RGB)) / 255, "conv32_down", 2))
    x = windows(x, 3, 2).max((3, 4))
    means = {}
    for name in NAMES:
        halves = "_down" in name
        y = convolved(relu(convolved(x, f"{name}/conv1", 2 if halves else 1)), f"{name}/conv2", 1)
        if halves:
            x = windows(x, 2, 2).mean((3, 4))
        shape = tuple(np.maximum(x.shape, y.shape))
        x = relu(enlarged(x, shape) + enlarged(y, shape))
        means[name] = x.mean((0, 1))
    asked = [means[name] for name in ("conv256_down_out", "conv256_2", "conv128_2")]
    return np.concatenate([*asked, asked[0] @ arrays["fc"]])


@pytest.mark.parametrize("size", [150, 160])
def test_features_are_those_of_the_network(keras, size: int):
    arrays = weights()
    crops = np.random.default_rng(1).integers(0, 256, (2, size, size, 3), np.uint8)
    said = np.asarray(build(arrays, size)(crops))
    wanted = np.stack([by_hand(arrays, crop) for crop in crops])
    assert np.ptp(wanted) > 1
    assert np.allclose(said, wanted, rtol=1e-3, atol=1e-3)


def test_another_network_is_refused_with_what_it_lacks(keras):
    arrays = weights()
    del arrays["conv64_2/conv2/scale/biases"]
    with pytest.raises(ConfigurationError, match=r"conv64_2/conv2/scale/biases"):
        build(arrays, 150)
