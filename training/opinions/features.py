"""Features of faces from networks trained elsewhere; they stay in memory and are never written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.errors import ConfigurationError
from edge.inference.onnxruntime import open_graph
from edge.ops.terminal import Progress
from edge.preprocess import resize
from edge.types import Image
from training import backbone
from training.dataset.looks import chunks
from training.opinions import resnet
from training.opinions.settings import NetworkSettings
from training.tfjs import read_weights
from training.train.batches import Examples
from training.train.targets import Floats

ASKING = "running network {} of {}"
CHUNK = 32
"""Pictures in a call of a network that accepts several."""

Ask = Callable[[Image], Floats]
"""From pictures, uint8 (n, S, S, 3) RGB, to features, float32 (n, D)."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network and its function from pictures to features."""

    settings: NetworkSettings
    ask: Ask


def opened(networks: Sequence[NetworkSettings]) -> list[Network]:
    """Open the networks; ConfigurationError where one is missing, damaged, or differs from its settings."""
    return [Network(settings, _open(settings)) for settings in networks]


def features(
    networks: Sequence[Network], examples: Examples, progress: Progress, *, mirrored: bool = False
) -> Floats:
    """The features of every example, or of its mirror image, from all networks, side by side, float32 (N, D).

    Raises ConfigurationError where a network gives a feature that is not a finite number.
    """
    columns = []
    for place, network in enumerate(networks, start=1):
        said = []
        for chunk in chunks(range(len(examples)), CHUNK):
            shown = np.stack([framed(examples.crop(i), network.settings) for i in chunk])
            said.append(network.ask(shown[:, :, ::-1] if mirrored else shown))
            progress(ASKING.format(place, len(networks)), chunk[-1] + 1, len(examples))
        columns.append(_finite(np.concatenate(said), network.settings))
    return np.concatenate(columns, axis=1)


def _finite(said: Floats, network: NetworkSettings) -> Floats:
    if not np.isfinite(said).all():
        origin = network.backbone or network.resnet or network.graph
        raise ConfigurationError(f"{origin}: gives a feature that is not a finite number")
    return said


def framed(crop: Image, network: NetworkSettings) -> Image:
    """The crop, uint8 (S, S, 3), at the size of the network's input, padded by repeating its border."""
    spare = network.size - network.side
    before, after = spare // 2, spare - spare // 2
    shrunk = resize(crop, network.side)
    return np.asarray(
        cv2.copyMakeBorder(shrunk, before, after, before, after, cv2.BORDER_REPLICATE), np.uint8
    )


def _open(network: NetworkSettings) -> Ask:
    if network.backbone:
        return _open_backbone(network.backbone, network.size)
    if network.resnet:
        return _answers(resnet.build(read_weights(network.resnet), network.size))
    if network.graph:
        return _open_graph(network.graph, network)
    raise ValueError("a network has neither a backbone nor a graph")


def _open_backbone(folder: Path, size: int) -> Ask:
    import keras

    model = backbone.build(read_weights(folder), size)
    last = [model.get_layer(name).output for name in ("pool", "features")]
    return _answers(keras.Model(model.input, keras.layers.Concatenate()(last)))


def _answers(model: Any) -> Ask:  # noqa: ANN401 (Keras has no types)
    import keras

    return lambda pictures: np.asarray(keras.ops.convert_to_numpy(model(pictures)), np.float32)


def _open_graph(path: Path, network: NetworkSettings) -> Ask:
    from google.protobuf.message import DecodeError

    try:
        session = open_graph(_with_outputs(path, network.outputs))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error
    except (DecodeError, LookupError, ConfigurationError) as error:
        raise ConfigurationError(f"{path}: not an ONNX graph that can be run ({error})") from error
    given = session.get_inputs()
    _require_pictures(path, given, network.size)
    alone = given[0].shape[0] == 1  # the graph accepts one picture in a call

    def ask(pictures: Image) -> Floats:
        shown = ((pictures.astype(np.float32) - network.mean) / network.scale).transpose(0, 3, 1, 2)
        groups = np.split(shown, len(shown)) if alone else [shown]
        return np.concatenate([_flat(session.run(list(network.outputs), {given[0].name: g})) for g in groups])

    return ask


def _flat(said: list[Any]) -> Floats:
    """The tensors of a call side by side, (n, D); of a map its mean over all positions."""
    return np.concatenate(
        [one.mean((2, 3)) if one.ndim == 4 else one.reshape(len(one), -1) for one in said], 1
    )


def _with_outputs(path: Path, names: tuple[str, ...]) -> bytes:
    """The graph of a file with these tensors as its outputs; LookupError where it has no such tensor."""
    import onnx

    model = onnx.load(path)
    made = [name for node in model.graph.node for name in node.output]
    if missing := [name for name in names if name not in made]:
        raise LookupError(f"no tensor {missing[0]!r}; the last ones are {', '.join(made[-3:])}")
    model.graph.ClearField("output")
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    return bytes(model.SerializeToString())


def _require_pictures(path: Path, given: list[Any], size: int) -> None:
    """Raise ConfigurationError unless the only input takes RGB pictures of this size, channels first."""
    expected = (3, size, size)
    shapes = [one.shape for one in given]
    fits = (
        len(given) == 1
        and given[0].type == "tensor(float)"
        and len(shapes[0]) == 4
        and all(
            not isinstance(own, int) or own == side for own, side in zip(shapes[0][1:], expected, strict=True)
        )
    )
    if not fits:
        found = ", ".join(f"{one.type} {one.shape}" for one in given)
        raise ConfigurationError(
            f"{path}: its inputs are {found}; needed: one tensor(float) [N, 3, {size}, {size}]"
        )
