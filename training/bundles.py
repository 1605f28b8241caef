"""Writes model bundles: the graph, its manifest, and what labelled faces say about it.

Each step takes the folder of a draft and its manifest, and gives the manifest with more in it. The draft can
be loaded as a bundle from the first step on: every figure is that of the files as they are shipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.bundle import (
    Bundle,
    CropGeometry,
    HashedFile,
    InputSpec,
    Manifest,
    PartTerms,
    Terms,
    calibrate,
    load_bundle,
    sha256_of,
)
from edge.errors import ConfigurationError
from edge.ops.terminal import Progress
from edge.preprocess import PREPROCESSING_VERSION
from edge.types import Image
from training import terms
from training.backbone import MEAN_RGB
from training.dataset import Surveys, survey_all
from training.evaluation.calibration import fit_temperature
from training.evaluation.evaluate import Figures, Options, evaluate, reporting
from training.evaluation.part import Part, Split, open_part, part_by_seed
from training.evaluation.scores import year_confusion
from training.onnx_export import to_onnx
from training.predict import BATCH, in_precision, run_bundle, run_raw
from training.provenance import made_with
from training.variants import CALIBRATION_CROPS, VARIANTS, write_fp16, write_int8

TOLERANCE = 1e-4
"""The most that a probability may differ between Keras and ONNX Runtime."""

PARITY_CROPS = 256

BRIEF = ("n", "mae", "median_ae", "bias", "cs5", "accuracy", "within_one", "ece", "nll", "histogram_tv")
"""The figures kept of what stands beside the model: other data, other bundles, other precisions."""

LONG = ("confusion", "reliability")
"""Figures that a report shows and a manifest does without."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a bundle is called, the terms of its parts, and its crops: `scale` detector boxes a side."""

    name: str
    version: str
    terms: tuple[PartTerms, ...]
    scale: float


@dataclass(frozen=True, slots=True)
class Source:
    """Data sets that were looked at, and the seed of their split."""

    found: Surveys
    seed: int
    cache: Path
    progress: Progress

    @classmethod
    def open(cls, folders: Sequence[Path], seed: int, cache: Path, progress: Progress) -> Source:
        """Look at the data in `folders`; ConfigurationError as `training.dataset.survey`."""
        return cls(survey_all(folders, cache, progress), seed, cache, progress)

    def part(self, bundle: Bundle, split: Split) -> Part:
        """A part of the data, cut as a box with `bundle` would."""
        return part_by_seed(
            self.found, bundle, split, seed=self.seed, cache=self.cache, progress=self.progress
        )


def write_draft(folder: Path, model: Any, identity: Identity) -> Manifest:  # noqa: ANN401 (Keras has no types)
    """Write a Keras model of the backbone's layers as a bundle without figures, at temperature 1."""
    (folder / "model.onnx").write_bytes(to_onnx(model))
    return write_manifest(
        folder,
        Manifest(
            name=identity.name,
            version=identity.version,
            model=hashed(folder / "model.onnx"),
            input=InputSpec(
                size=model.input_shape[1],
                preprocessing=PREPROCESSING_VERSION,
                in_graph=f"cast to float32, NHWC to NCHW, minus {MEAN_RGB} (R, G, B)",
            ),
            crop=CropGeometry(scale=identity.scale),
            temperature=1.0,
            licence=terms.line(identity.terms),
            terms=Terms.of(identity.terms),
            provenance={},
            metrics={},
        ),
    )


def require_parity(folder: Path, model: Any, crops: Sequence[Image]) -> float:  # noqa: ANN401
    """The largest difference of a probability between `model` and the draft, on crops of the model's size.

    Raises ConfigurationError above `TOLERANCE`.
    """
    wanted = np.asarray(model.predict(np.stack(crops), batch_size=BATCH, verbose=0))
    difference = float(np.abs(run_bundle(folder, crops).probs - wanted).max())
    if not difference <= TOLERANCE:
        raise ConfigurationError(
            f"the ONNX graph differs from the Keras model by {difference:.1e}; at most {TOLERANCE} is allowed"
        )
    return difference


def add_temperature(folder: Path, manifest: Manifest, validation: Part, progress: Progress) -> Manifest:
    """Fit the temperature on `validation`, and keep the confusion of its faces by single years."""
    raw = run_raw(load_bundle(folder), reporting("fitting the temperature", validation, progress)).probs
    temperature = round(fit_temperature(raw, validation.truth), 2)
    counted = year_confusion(calibrate(raw, temperature), validation.truth)
    confusion = None
    if counted.counts:
        (folder / "confusion.json").write_text(counted.model_dump_json() + "\n", encoding="utf-8")
        confusion = hashed(folder / "confusion.json")
    changes = {"temperature": temperature, "confusion": confusion}
    return write_manifest(folder, manifest.model_copy(update=changes))


def add_variants(folder: Path, manifest: Manifest, training: Part) -> Manifest:
    """Write the FP16 and the INT8 graph; faces of the training part show the ranges of the layers."""
    crops = list(training.spread(CALIBRATION_CROPS).crops)
    write_fp16(folder / "model.onnx", folder / "model.fp16.onnx")
    write_int8(folder / "model.onnx", folder / "model.int8.onnx", crops, manifest.input.size)
    variants = {name: hashed(folder / f"model.{name}.onnx") for name in VARIANTS}
    return write_manifest(folder, manifest.model_copy(update={"variants": variants}))


def measure(
    folder: Path, source: Source, also: Sequence[Path], against: Sequence[Path], options: Options
) -> Figures:
    """All figures of the draft for its manifest.

    On the test part of `source`, each variant too; on all faces of the data sets `also`, in brackets of their
    own; and of the bundles `against` on the same faces.
    """
    bundle = load_bundle(folder)
    test = source.part(bundle, "test")
    figures = evaluate(bundle, test, options, source.progress).figures
    quick = replace(options, face_sizes=(), share_crowds=0)
    own = replace(quick, brackets=None)
    return {
        "split": "test",
        **{name: value for name, value in figures.items() if name not in LONG},
        "variants": {
            name: _brief(in_precision(bundle, name), test, quick, source.progress)
            for name in VARIANTS
            if name in bundle.variants
        },
        "also": [_elsewhere(bundle, data, source, own) for data in also],
        "against": [_other(load_bundle(other), source, also, test, quick) for other in against],
    }


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write the manifest of the bundle in `folder`, and give it back."""
    content = manifest.model_dump_json(indent=2, by_alias=True, exclude_none=True)
    (folder / "manifest.json").write_text(content + "\n", encoding="utf-8")
    return manifest


def hashed(path: Path) -> HashedFile:
    """A file of a bundle, as its manifest names it."""
    return HashedFile(file=path.name, sha256=sha256_of(path.read_bytes()))


def _other(bundle: Bundle, source: Source, also: Sequence[Path], test: Part, options: Options) -> Figures:
    same = source.part(bundle, "test").having(test.keys)
    return {
        "name": bundle.name,
        "version": bundle.version,
        "made_with": made_with(bundle),
        **_brief(bundle, same, options, source.progress),
        "also": [_elsewhere(bundle, data, source, replace(options, brackets=None)) for data in also],
    }


def _elsewhere(bundle: Bundle, data: Path, source: Source, options: Options) -> Figures:
    part = open_part([data], bundle, "all", source.cache, source.progress)
    found = _brief(bundle, part, options, source.progress)
    return {"source": part.prepared.source, "terms": terms.licences(part.prepared.terms), **found}


def _brief(bundle: Bundle, part: Part, options: Options, progress: Progress) -> Figures:
    figures = evaluate(bundle, part, options, progress).figures
    kept = (*BRIEF, "intervals", "milliseconds_per_face")
    return {name: figures[name] for name in kept}
