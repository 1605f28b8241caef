"""The configuration of `instore-training opinions`: its networks, pictures and heads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from training.train.config import (
    SIZES,
    Count,
    DataSettings,
    LossSettings,
    NotNegative,
    Positive,
    SamplingSettings,
    Section,
    Seed,
    read_settings,
)

Name = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, lt=1)]


class NetworkSettings(Section):
    """A network trained elsewhere, used with its weights as they are; its last layers give the features.

    backbone: folder of the published TensorFlow.js graph model, or of another training of it; features: the
    mean of the last map, and the layer after it. Or resnet: folder of the weights of dlib's network for
    recognition, which is made for 150 px; features: see `training.opinions.resnet`. Or graph: an ONNX file
    with one input, float32 (N or 1, 3, size, size) RGB; outputs: its tensors to use as features, of a map
    the mean over all positions. size: side of the input in px. face: side in px of the crop in it, padded by
    repeating its border. mean, scale: a graph gets (pixel - mean) / scale. source, terms: the origin of the
    network and its terms of use.
    """

    backbone: Path | None = None
    resnet: Path | None = None
    graph: Path | None = None
    outputs: tuple[Name, ...] = ()
    size: Annotated[int, Field(ge=SIZES[0], le=SIZES[-1])] = 160
    face: Count | None = None
    mean: float = 127.5
    scale: Positive = 127.5
    source: Name
    terms: Name

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if len([kind for kind in (self.backbone, self.resnet, self.graph) if kind]) != 1:
            raise ValueError("exactly one of 'backbone', 'resnet' and 'graph' is needed")
        if bool(self.graph) != bool(self.outputs):
            raise ValueError("'outputs' names tensors of a 'graph'; give both or neither")
        if self.side > self.size:
            raise ValueError(f"face = {self.face} is more than size = {self.size}: the face would be cut off")
        return self

    @property
    def side(self) -> int:
        """Side in px of the crop in the network's input."""
        return self.face or self.size


class HeadSettings(Section):
    """The small networks from features to ages: one hidden layer with dropout, then ages.

    folds: parts of the pictures; each has heads that learned from the other parts. count: heads of a part,
    whose distributions are averaged. mirror: whether they learn from the mirrored faces as well, and are
    asked about both. hidden: units. drop_in, drop: dropout before and after the hidden layer. rate: of
    AdamW, with cosine decay to 0.
    """

    folds: Annotated[int, Field(ge=2, le=20)] = 3
    count: Count = 1
    mirror: bool = False
    hidden: Count = 256
    drop_in: Share = 0.2
    drop: Share = 0.5
    rate: Positive = 1e-3
    weight_decay: NotNegative = 0.02
    batch: Count = 128
    epochs: Count = 15


class CompositeSettings(Section):
    """Faces put together from two, see `training.opinions.composites`. count: how many; none by default."""

    count: Annotated[int, Field(ge=0)] = 0


class OpinionSettings(Section):
    """The whole configuration; `seed` sets the folds, the heads and the composites."""

    seed: Seed = 0
    data: DataSettings
    networks: Annotated[tuple[NetworkSettings, ...], Field(min_length=1)]
    heads: HeadSettings = HeadSettings()
    composites: CompositeSettings = CompositeSettings()
    loss: LossSettings = LossSettings()
    sampling: SamplingSettings = SamplingSettings()

    @model_validator(mode="after")
    def _shrinks(self) -> Self:
        most = max(network.side for network in self.networks)
        if most > self.data.size:
            raise ValueError(
                f"data.size = {self.data.size}: less than the {most} px of a network, so crops would be "
                "enlarged; must be at least that"
            )
        return self


def load_config(path: Path, overrides: Sequence[str] = ()) -> OpinionSettings:
    """Read a configuration as `training.train.config.load_config` does."""
    return read_settings(OpinionSettings, path, overrides)
