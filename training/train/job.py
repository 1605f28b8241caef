"""`instore-training train`: from a configuration to a finished run and its description."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.brackets import DEFAULT_BRACKETS, parse_brackets
from edge.bundle import PartTerms, load_bundle
from edge.errors import ConfigurationError
from edge.ops.terminal import Progress, silent
from edge.preprocess import PREPROCESSING_VERSION
from training import terms
from training.dataset import Prepared, Surveys, cut_all, survey_all
from training.evaluation.scores import judge, summary
from training.evaluation.truth import Truth, own_brackets
from training.provenance import TrainingData, came_from_backbone, sketch
from training.tfjs import hashes, model_file
from training.train.batches import Examples
from training.train.callbacks import read_history
from training.train.composites import Composites
from training.train.config import DataSettings, ModelSettings, TeacherSettings, TrainSettings
from training.train.loop import fit
from training.train.merge import merge, parts
from training.train.runs import HISTORY, INFO, read_info, read_model, require_unfinished, write_text
from training.train.teacher import Opinions, ask_teacher
from training.train.workers import is_chief

PACKAGES = ("tensorflow", "keras", "numpy", "opencv-python", "mediapipe")


def train(settings: TrainSettings, progress: Progress = silent) -> Path:
    """Prepare the data, train, measure the best model on the validation part, and finish the run's folder.

    Of several workers the chief alone writes. Raises ConfigurationError on unusable settings or data,
    DivergedError when the loss is not a number.
    """
    _require_start(settings)
    opinions = Opinions.read(settings.teacher.opinions) if settings.teacher.opinions else None
    composites = Composites.read(settings.teacher.composites) if settings.teacher.composites else None
    found = survey_all(settings.data.folders, settings.data.cache, progress)
    learning = _cut(found, settings.data, settings.data.size, progress)
    judging = _cut(found, settings.data, settings.model.size, progress)
    started = [_start(own, learning) for own, _ in parts(settings)]
    teacher = _teacher(settings.teacher, opinions, learning)
    if composites:
        made_of = composites.keys.ravel().tolist()
        _require_unjudged(f"{settings.teacher.composites}: holds faces made of", made_of, learning)
    held_out = examples(judging, "validation")
    if settings.merge:
        folder = merge(settings)
    else:
        learn = _taught(learning, opinions, settings, progress)
        if composites:
            learn = composites.joined_to(learn, len(settings.data.shares))
        folder = fit(settings, learn, held_out, progress)
    if is_chief():
        origin: dict[str, Any] = {"start": _joined(started, settings)}
        origin |= {"teacher": teacher} if teacher else {}
        info = {**_describe(settings, learning), **origin, **_results(folder, held_out, settings)}
        write_text(folder / INFO, json.dumps(info, indent=2))
    return folder


def _require_start(settings: TrainSettings) -> None:
    """Raise early, before the slow steps, if the run is finished or cannot start."""
    require_unfinished(settings.folder)
    for model, _ in parts(settings):
        if model.run:
            read_info(model.run)
        if model.backbone:
            model_file(model.backbone)
        if model.bundle_folder:
            load_bundle(model.bundle_folder)
    if settings.teacher.folder:
        load_bundle(settings.teacher.folder)


def examples(prepared: Prepared, part: str) -> Examples:
    """The pictures of one part of the split: 'train', 'validation' or 'test'."""
    own = np.flatnonzero(prepared.split == part)
    return Examples(prepared.crops, own, prepared.low[own], prepared.high[own], prepared.sets[own])


def _cut(found: Surveys, data: DataSettings, size: int, progress: Progress) -> Prepared:
    return cut_all(found, size=size, scale=data.scale, cache=data.cache, seed=data.seed, progress=progress)


def _describe(settings: TrainSettings, prepared: Prepared) -> dict[str, Any]:
    """The description of data, start and teacher, for `run.json`."""
    parts, counts = np.unique(prepared.split, return_counts=True)
    data = TrainingData(
        source=prepared.source,
        terms=_terms(settings.data, prepared),
        seed=settings.data.seed,
        pictures=dict(zip(parts.tolist(), counts.tolist(), strict=True)),
        sketch=sketch(prepared.keys[prepared.split == "train"].tolist()),
    )
    return {
        "name": settings.name,
        "seed": settings.seed,
        "data": data.as_json(),
        "split": prepared.split_hash(),
        "splits": list(prepared.splits),
        "preprocessing": PREPROCESSING_VERSION,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _terms(data: DataSettings, prepared: Prepared) -> tuple[PartTerms, ...]:
    """Those of each data set: as the configuration states them, else as they are stated beside the labels."""
    return tuple(
        terms.of_data(read.part, own.licence, own.credit, own.commercial_use) if own else read
        for read, own in zip(prepared.terms, data.terms_of_each, strict=True)
    )


def _start(model: ModelSettings, prepared: Prepared) -> dict[str, Any]:
    """The description of the starting weights; for a run, with its data and its own start.

    Raises ConfigurationError when that run was trained on pictures of this run's validation or test part.
    """
    if model.run:
        before = read_info(model.run)
        _require_apart(model.run, TrainingData.read(before["data"]), prepared)
        kept = ("name", "seed", "data", "start", "teacher")
        return {"run": {name: before[name] for name in kept if name in before}}
    if model.bundle_folder:
        return {"bundle": _bundle(model.bundle_folder, prepared)}
    if model.backbone:
        return {"backbone": hashes(model.backbone)}
    return {"random": {"width": model.width}}


def _taught(
    prepared: Prepared, opinions: Opinions | None, settings: TrainSettings, progress: Progress
) -> Examples:
    """The training pictures, with the teacher's estimates, if there is one."""
    learn = examples(prepared, "train")
    if opinions:
        return replace(learn, opinions=opinions.of(prepared.keys[learn.rows].tolist()))
    return ask_teacher(learn, prepared.split_hash(), settings, progress)


def _teacher(
    settings: TeacherSettings, opinions: Opinions | None, prepared: Prepared
) -> dict[str, Any] | None:
    """The description of the teacher; raises as `_start`."""
    if settings.folder:
        return _bundle(settings.folder, prepared)
    if opinions:
        _require_unjudged(f"{opinions.file}: holds opinions of", opinions.keys, prepared)
        own = terms.of_data(opinions.source, opinions.terms)
        return {"opinions": opinions.source, "sha256": opinions.sha256, "terms": terms.dumped([own])}
    return None


def _joined(started: Sequence[dict[str, Any]], settings: TrainSettings) -> dict[str, Any]:
    """The start of a run that was trained, or all networks that were averaged."""
    if not settings.merge:
        return started[0]
    shares = [share for _, share in parts(settings)]
    return {"parts": [{"share": s, "start": own} for s, own in zip(shares, started, strict=True)]}


def _bundle(folder: Path, prepared: Prepared) -> dict[str, Any]:
    """The description of a bundle that the run learns from; raises as `_start`."""
    bundle = load_bundle(folder)
    data = TrainingData.of(bundle)
    if data:
        _require_apart(folder, data, prepared)
    return {
        **{name: getattr(bundle, name) for name in ("name", "version", "sha256")},
        "terms": terms.dumped(terms.of_bundle(bundle)),
        "data": data.as_json() if data else None,
        "backbone": came_from_backbone(bundle),
    }


def _require_apart(folder: Path, data: TrainingData, prepared: Prepared) -> None:
    """Raise ConfigurationError if training on `data` used pictures of this run's validation or test part."""
    if data.shares(_judging(prepared)):
        raise ConfigurationError(
            f"{folder}: was trained on pictures that are in this run's validation or test part; "
            "set data.folder and data.seed as they were there"
        )


def _require_unjudged(holds: str, keys: Sequence[str], prepared: Prepared) -> None:
    """Raise ConfigurationError if what a file `holds` comes from this run's validation or test part."""
    if not set(keys).isdisjoint(_judging(prepared)):
        raise ConfigurationError(
            f"{holds} pictures that are in this run's validation or test part; "
            "set data.folder and data.seed as they were for it"
        )


def _judging(prepared: Prepared) -> list[str]:
    """SHA-256 of the pictures of the validation and test parts."""
    return [str(key) for key in prepared.keys[prepared.split != "train"]]


def _results(folder: Path, held_out: Examples, settings: TrainSettings) -> dict[str, Any]:
    """The best epoch, and its figures on the validation part."""
    history = read_history(folder / HISTORY)
    if not history:  # nothing was trained
        return {"epochs": 0, "best_epoch": 0, "validation": _figures(read_model(folder), held_out, settings)}
    best = min(history, key=lambda line: line["val_mae"])
    figures = {"mae": best["val_mae"], **_figures(read_model(folder), held_out, settings)}
    return {"epochs": len(history), "best_epoch": best["epoch"], "validation": figures}


def _figures(model: Any, held_out: Examples, settings: TrainSettings) -> dict[str, float]:  # noqa: ANN401
    """See `training.evaluation.scores.summary`; none where age groups overlap, which no brackets fit."""
    truth = Truth.of(held_out.low, held_out.high)
    try:
        brackets = own_brackets(truth, parse_brackets(DEFAULT_BRACKETS))
    except ConfigurationError:
        return {}
    crops = held_out.read(settings.model.size)
    return summary(judge(model.predict(crops, batch_size=settings.loop.batch, verbose=0), truth, brackets))
