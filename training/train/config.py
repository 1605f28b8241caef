"""The configuration of a training run: TOML to validated settings, every fault named with what is allowed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge.bundle import bundle_folder
from edge.config.tables.toml import override, read_toml
from edge.config.validation_errors import faults
from edge.errors import ConfigurationError
from edge.types import CommercialUse

SIZES = range(64, 513, 16)
"""Input sizes in px; the last layers of a smaller one would see a single point."""


def _size(size: int) -> int:
    if size not in SIZES:
        raise ValueError(f"must be a multiple of {SIZES.step} from {SIZES[0]} to {SIZES[-1]}")
    return size


Size = Annotated[int, AfterValidator(_size)]
Count = Annotated[int, Field(ge=1)]
Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # Keras and numpy take no larger one
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A table of the TOML file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Settings = TypeVar("Settings", bound=Section)


class TermsSettings(Section):
    """What a data set may be used for; goes into the manifest and the card of the bundle.

    licence: its name or its terms. credit: the line that they require. commercial_use: whether a business may
    use what was learnt from the data; `unknown` is no permission.
    """

    licence: Annotated[str, Field(min_length=1)]
    credit: str = ""
    commercial_use: CommercialUse = "unknown"


class DataSet(Section):
    """One of several data sets.

    share: of the pictures that the network sees, relative to the shares of the other sets. terms: in place of
    the data set's `terms.txt`.
    """

    folder: Path
    share: Positive = 1.0
    terms: TermsSettings | None = None


class DataSettings(Section):
    """The labelled pictures, and how faces are cut from them.

    folder: a data set, and terms: in place of its `terms.txt`; or sets: several. Folders and cache are
    relative to where the command runs. size: side of the prepared crops in px, at least that of the model.
    scale: side of the crop over the longer side of the detector's box. seed: of the split.
    """

    folder: Path | None = None
    terms: TermsSettings | None = None
    sets: tuple[DataSet, ...] = ()
    cache: Path = Path("runs/cache")
    size: Size = 208
    scale: Annotated[float, Field(ge=0.5, le=4)] = 1.04
    seed: Seed = 0

    @model_validator(mode="after")
    def _some_data(self) -> Self:
        if bool(self.folder) == bool(self.sets):
            raise ValueError("exactly one of 'folder' and 'sets' is needed")
        if self.terms and self.sets:
            raise ValueError("'terms' is given beside 'sets': each of these has terms of its own")
        return self

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folder of each data set."""
        return (self.folder,) if self.folder else tuple(one.folder for one in self.sets)

    @property
    def terms_of_each(self) -> tuple[TermsSettings | None, ...]:
        """The stated terms of each data set."""
        return (self.terms,) if self.folder else tuple(one.terms for one in self.sets)

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of each data set, of all that the network sees; they sum to 1."""
        whole = sum(one.share for one in self.sets)
        return tuple(one.share / whole for one in self.sets) or (1.0,)


class ModelSettings(Section):
    """The network and what it starts from.

    backbone: folder of the published TensorFlow.js graph model. run: folder of a finished run, to continue
    from its weights. bundle: folder of a model bundle, or `builtin` for the shipped one, to continue from its
    graph's weights. With none of them, the same network starts from random weights, `width` times as wide.
    pooling: `average` over the last map of features, or `places`, a learnt weighted mean; the starting
    network may have either, but its weights for places are kept, and fit one size.
    frozen: how many pairs of layers, from the input on, keep their starting weights.
    """

    size: Size = 112
    backbone: Path | None = None
    run: Path | None = None
    bundle: Path | None = None
    width: Annotated[float, Field(gt=0, le=2)] = 1.0
    pooling: Literal["average", "places"] = "average"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    frozen: Annotated[int, Field(ge=0, le=13)] = 0

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        given = [repr(name) for name in ("backbone", "run", "bundle") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given; allowed: one of them")
        return self

    @property
    def bundle_folder(self) -> Path | None:
        """The folder of the bundle that the network starts from."""
        return bundle_folder(str(self.bundle), Path()) if self.bundle else None


class MergePart(Section):
    """A network whose weights are averaged with those of `model`; named by one of the same keys.

    share: of its weights in the mean.
    """

    run: Path | None = None
    bundle: Path | None = None
    backbone: Path | None = None
    share: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if len([place for place in (self.run, self.bundle, self.backbone) if place]) != 1:
            raise ValueError("exactly one of 'run', 'bundle' and 'backbone' is needed")
        return self


class LossSettings(Section):
    """The loss.

    kind: `distribution` (divergence from a label distribution, plus `expected` times the error of the
    expected age in years), `cross_entropy` (of the age alone) or `regression` (that error alone). sigma: of
    the label distribution, in years; each year of a group of years is equally likely, smoothed by it.
    """

    kind: Literal["distribution", "cross_entropy", "regression"] = "distribution"
    sigma: Positive = 2.0
    expected: NotNegative = 0.1

    @property
    def target_sigma(self) -> float:
        """The sigma of the targets: nearly 0 unless a distribution is taught."""
        return self.sigma if self.kind == "distribution" else 1e-3

    @property
    def weights(self) -> tuple[float, float]:
        """The weights of the divergence from the target and of the error of the expected age."""
        return {"distribution": (1.0, self.expected), "cross_entropy": (1.0, 0.0), "regression": (0.0, 1.0)}[
            self.kind
        ]


class TeacherSettings(Section):
    """A model whose estimates are taught as well: "distillation" (Hinton et al. 2015, arXiv 1503.02531).

    bundle: its folder, or `builtin`; its distributions for the face and for the mirrored face are averaged.
    opinions: instead of a bundle, a file of any model's estimates for each picture; see
    `training.train.teacher.Opinions`. share: of the teacher's estimate in the target; the rest is the
    label's. The error of the expected age is that from the label alone. composites: a folder of faces put
    together that `opinions` wrote beside its file; the teacher's estimate is all of their target.
    composites_share: of the pictures that the network sees.
    """

    bundle: Path | None = None
    opinions: Path | None = None
    share: Ratio = 0.5
    composites: Path | None = None
    composites_share: Annotated[float, Field(gt=0, lt=1)] = 0.4

    @model_validator(mode="after")
    def _one_teacher(self) -> Self:
        if self.bundle and self.opinions:
            raise ValueError("'bundle' and 'opinions' are given; allowed: one of them")
        if self.composites and not self.opinions:
            raise ValueError("'composites' is given without the 'opinions' beside which they were written")
        return self

    @property
    def folder(self) -> Path | None:
        """The folder of the teacher's bundle."""
        return bundle_folder(str(self.bundle), Path()) if self.bundle else None


class SamplingSettings(Section):
    """How often rare ages are drawn: by 1 / frequency ** power, the frequency smoothed over years."""

    power: Ratio = 0.5
    smoothing: Positive = 2.0


class AugmentSettings(Section):
    """Changes that make photos look like a store camera's; 0 turns one off.

    rotate: standard deviation in degrees. zoom, shift: standard deviations as shares of the side. small:
    share of pictures shrunk to between `smallest` px and the full side. blur, sharpen, compress, grey, erase:
    shares of pictures. light: standard deviation of the logarithms of gain, gamma and contrast. mix: share of
    pictures that another of about the same age is blended into.
    """

    flip: Ratio = 0.5
    rotate: Annotated[float, Field(ge=0, le=45)] = 8.0
    zoom: Annotated[float, Field(ge=0, le=0.5)] = 0.08
    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.03
    small: Ratio = 0.5
    smallest: Annotated[int, Field(ge=8, le=512)] = 24
    blur: Ratio = 0.3
    sharpen: Ratio = 0.0
    compress: Ratio = 0.5
    light: Annotated[float, Field(ge=0, le=1)] = 0.2
    grey: Ratio = 0.1
    erase: Ratio = 0.1
    mix: Ratio = 0.0
    wall: Ratio = 0.0


class OptimiserSettings(Section):
    """AdamW with a warm-up to the rates, then a cosine down to 0.

    warmup: share of all steps. clip: norm of the whole gradient. ema: decay of the moving average of the
    weights, which are validated and kept.
    """

    head_rate: Positive = 5e-4
    backbone_rate: Positive = 1.5e-4
    weight_decay: NotNegative = 0.01
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    clip: Positive = 5.0
    ema: Annotated[float, Field(gt=0, lt=1)] = 0.998


class LoopSettings(Section):
    """How long to train, in epochs of `epoch_steps` steps of `batch` pictures.

    batch: over all workers together. patience: epochs without a better validation before the run ends.
    precision: `auto` is mixed_float16 where there is a GPU, else float32.
    """

    batch: Count = 32
    epochs: Count = 10
    epoch_steps: Count = 500
    patience: Count = 5
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = "auto"


def _run_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ValueError(
            "must be a folder's name: 1 to 64 letters a to z or A to Z, digits, '.', '_' and '-', "
            "the first a letter or a digit"
        )
    return name


class TrainSettings(Section):
    """The whole configuration of a run; `name` is that of its folder under `runs`.

    merge: where given, nothing is trained: the weights of `model` and of these are averaged, and `tilt` x age
    is added to the logits, which moves uncertain estimates most.
    """

    name: Annotated[str, AfterValidator(_run_name)]
    runs: Path = Path("runs")
    seed: Seed = 0
    data: DataSettings
    model: ModelSettings = ModelSettings()
    merge: tuple[MergePart, ...] = ()
    tilt: Annotated[float, Field(ge=-1, le=1)] = 0.0
    loss: LossSettings = LossSettings()
    teacher: TeacherSettings = TeacherSettings()
    sampling: SamplingSettings = SamplingSettings()
    augment: AugmentSettings = AugmentSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    loop: LoopSettings = LoopSettings()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.data.size < self.model.size:
            raise ValueError(
                f"data.size = {self.data.size}: less than model.size = {self.model.size}, so crops would be "
                "enlarged; must be at least that"
            )
        if sum(part.share for part in self.merge) >= 1:
            raise ValueError(
                "merge: the shares sum to 1 or more; must be less: the rest is the share of [model]"
            )
        if self.tilt and not self.merge:
            raise ValueError(f"tilt = {self.tilt:g}: must be 0 without merge")
        return self

    @property
    def folder(self) -> Path:
        """Where the run is kept."""
        return self.runs / self.name


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainSettings:
    """Read a configuration, apply `KEY=VALUE` overrides, and validate.

    Raises ConfigurationError with one line for each fault.
    """
    return read_settings(TrainSettings, path, overrides)


def read_settings(kind: type[Settings], path: Path, overrides: Sequence[str]) -> Settings:
    """Settings of this kind from a file, as `load_config`."""
    table = read_toml(path)
    for assignment in overrides:
        override(table, assignment, example="loop.epochs=3")
    return validate(kind, table, str(path))


def validate(kind: type[Settings], table: dict[str, Any], name: str) -> Settings:
    """Settings from the tables of a file of this name; ConfigurationError as `load_config`."""
    try:
        # As JSON, where a string may stand for a path although the settings are strict.
        return kind.model_validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        raise ConfigurationError(faults(error, kind, name)) from None
