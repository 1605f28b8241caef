"""The model bundle: a folder with an ONNX age model and a manifest that describes it.

    model.onnx       input `image` uint8 (N, S, S, 3) RGB, output `age` float32 (N, 101), a softmax
    manifest.json    a `Manifest`: hashes, input size, crop geometry, temperature, provenance, metrics
    confusion.json   counts of validation faces by true and estimated year: a `Confusion`
    MODEL_CARD.md    the same for readers

`load_bundle` refuses a folder in which any of this does not match, so that a box counts only with the model
that was evaluated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge.errors import ConfigurationError
from edge.files import read_bounded
from edge.preprocess import PREPROCESSING_VERSION
from edge.types import AGES, CommercialUse

BUILTIN = Path(__file__).parent / "models" / "age"
"""The folder of the shipped bundle."""

SCHEMA: Literal["instore.bundle/1"] = "instore.bundle/1"

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Probabilities = NDArray[np.float32]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class HashedFile(_Part):
    """A file of the bundle: its name in the folder and the SHA-256 of its bytes."""

    file: FileName
    sha256: Sha256


class InputSpec(_Part):
    """The input of the graph: uint8 RGB squares of `size` px, resized by this version of `edge.preprocess`.

    in_graph: the preprocessing inside the graph in words, for readers only.
    """

    name: Literal["image"] = "image"
    dtype: Literal["uint8"] = "uint8"
    channels: Literal["RGB"] = "RGB"
    size: Annotated[int, Field(ge=32, le=512)]
    preprocessing: int
    in_graph: str = ""


class OutputSpec(_Part):
    """The output of the graph: a softmax over single years of age."""

    name: Literal["age"] = "age"
    classes: Literal[101] = 101


class CropGeometry(_Part):
    """How faces are cut out: a centred square, side = `scale` x the longer side of the detector's box."""

    detector: Literal["mediapipe-short-range"] = "mediapipe-short-range"
    scale: Annotated[float, Field(gt=0.5, lt=4)]


class Confusion(_Part):
    """Validation faces as [true year, estimated year, count]; pairs that never occurred are left out.

    The estimate is the expected age of the calibrated distribution, rounded to the nearest year.
    """

    counts: list[tuple[Annotated[int, Field(ge=0, lt=AGES)], Annotated[int, Field(ge=0, lt=AGES)], int]]


class PartTerms(_Part):
    """The terms of one thing that the weights come from: a data set, a network or a teacher.

    part: its name. licence: its terms in a line. credit: the line that they require beside the model, or ''.
    """

    part: Annotated[str, Field(min_length=1)]
    licence: Annotated[str, Field(min_length=1)]
    credit: str = ""
    commercial_use: CommercialUse = "unknown"


class Terms(_Part):
    """The terms of all that the weights come from; `commercial_use` follows from the parts."""

    commercial_use: CommercialUse = "unknown"
    parts: Annotated[tuple[PartTerms, ...], Field(strict=False)] = ()  # a list in JSON

    @classmethod
    def of(cls, parts: Sequence[PartTerms]) -> Self:
        """Commercial use is forbidden where one part forbids it, and allowed only where all allow it."""
        return cls(commercial_use=_commercial_use(parts), parts=tuple(parts))

    @model_validator(mode="after")
    def _follows(self) -> Self:
        if self.commercial_use != (due := _commercial_use(self.parts)):
            raise ValueError(f"commercial_use = {self.commercial_use!r}: by its parts it is {due!r}")
        return self


def _commercial_use(parts: Sequence[PartTerms]) -> CommercialUse:
    said = {part.commercial_use for part in parts}
    if "forbidden" in said:
        return "forbidden"
    return "allowed" if said == {"allowed"} else "unknown"


UNKNOWN_TERMS = Terms()


class Manifest(_Part):
    """`manifest.json`, as the training package writes it and the box reads it."""

    schema_: Annotated[Literal["instore.bundle/1"], Field(alias="schema")] = SCHEMA
    name: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(min_length=1)]
    model: HashedFile
    variants: dict[Literal["fp16", "int8"], HashedFile] = {}
    input: InputSpec
    output: OutputSpec = OutputSpec()
    crop: CropGeometry
    temperature: Annotated[float, Field(gt=0, le=100)]
    confusion: HashedFile | None = None
    licence: Annotated[str, Field(min_length=1)]
    terms: Terms = UNKNOWN_TERMS
    provenance: dict[str, Any]
    metrics: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _known_schema(cls, data: Any) -> Any:  # noqa: ANN401 (anything JSON can hold)
        found = data.get("schema", SCHEMA) if isinstance(data, Mapping) else SCHEMA
        if found != SCHEMA:
            raise ValueError(f"schema = {found!r}: unknown; allowed: {SCHEMA!r}")
        return data


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was checked: its hashes, schema and preprocessing version match.

    input_size: side in px of the square that the model takes. temperature: for `calibrate`. crop_scale: side
    of the square crop over the longer side of the short-range face box. variants: other precisions of the
    same model, by name. licence: one line. metrics: as measured when the bundle was made. terms: what it may
    be used for; unknown in bundles of older versions.
    """

    folder: Path
    name: str
    version: str
    sha256: str
    input_size: int
    temperature: float
    crop_scale: float
    model_path: Path
    variants: Mapping[str, Path]
    confusion_path: Path | None
    licence: str
    metrics: Mapping[str, Any]
    terms: Terms = UNKNOWN_TERMS


def bundle_folder(name: str, beside: Path) -> Path:
    """The folder that a configuration names: `builtin`, or a path relative to `beside`."""
    return BUILTIN if name == "builtin" else beside / name


def load_bundle(folder: Path) -> Bundle:
    """Read and check the bundle in `folder`.

    Raises ConfigurationError, which names the file, what is wrong and what is allowed.
    """
    manifest = _read_manifest(folder / "manifest.json")
    if manifest.input.preprocessing != PREPROCESSING_VERSION:
        raise ConfigurationError(
            f"{folder / 'manifest.json'}: input.preprocessing = {manifest.input.preprocessing}: "
            f"the version of another program; allowed: {PREPROCESSING_VERSION}; export the model again"
        )
    return Bundle(
        folder=folder,
        name=manifest.name,
        version=manifest.version,
        sha256=manifest.model.sha256,
        input_size=manifest.input.size,
        temperature=manifest.temperature,
        crop_scale=manifest.crop.scale,
        model_path=_checked(folder, manifest.model),
        variants={name: _checked(folder, part) for name, part in manifest.variants.items()},
        confusion_path=_checked(folder, manifest.confusion) if manifest.confusion else None,
        licence=manifest.licence,
        metrics=manifest.metrics,
        terms=manifest.terms,
    )


def load_confusion(bundle: Bundle) -> NDArray[np.int64]:
    """Validation counts (101, 101): rows are true years of age, columns estimated ones.

    All zeros if the bundle has none. Raises ConfigurationError if the file is not a `Confusion`.
    """
    table = np.zeros((AGES, AGES), np.int64)
    if bundle.confusion_path is None:
        return table
    try:
        confusion = Confusion.model_validate_json(_read(bundle.confusion_path))
    except ValidationError as error:
        raise ConfigurationError(f"{bundle.confusion_path}: {_first_fault(error)}") from error
    for true, estimated, count in confusion.counts:
        table[true, estimated] += count
    return table


def calibrate(probs: Probabilities, temperature: float) -> Probabilities:
    """Age distributions (N, 101) at this temperature: p ** (1 / T), normalised again.

    The same as dividing the logits by T (Guo et al. 2017, arXiv 1706.04599); T > 1 flattens.
    """
    powered = np.power(probs.astype(np.float64), 1 / temperature)
    return np.asarray(powered / powered.sum(axis=1, keepdims=True), np.float32)


def sha256_of(content: bytes) -> str:
    """The SHA-256 of these bytes, in lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _read_manifest(path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(_read(path))
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {_first_fault(error)}") from error


def _checked(folder: Path, part: HashedFile) -> Path:
    path = folder / part.file
    found = sha256_of(_read(path))
    if found != part.sha256:
        raise ConfigurationError(
            f"{path}: its SHA-256 is {found}, and {part.sha256} in {folder / 'manifest.json'}: "
            "the file was changed or damaged; install the bundle again"
        )
    return path


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}); a model bundle is a folder with "
            "manifest.json and the files that it names"
        ) from error


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] in ("json_invalid", "missing", "value_error"):
        said = fault["msg"].removeprefix("Value error, ")
        return f"{where}: {said}" if where else said
    return f"{where} = {fault['input']!r}: {fault['msg']}"
