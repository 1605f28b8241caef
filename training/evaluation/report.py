"""An evaluation as one HTML page and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.evaluation import plots
from training.evaluation.bootstrap import DRAWS
from training.evaluation.evaluate import Evaluation, Figures
from training.evaluation.part import CHANGED
from training.evaluation.shares import MINIMUM, PEOPLE
from training.report import heading, headlines, page, paragraph, section, table
from training.terms import licences

HTML = "report.html"
JSON = "figures.json"


def write(evaluation: Evaluation, folder: Path) -> None:
    """Write the report and the figures into an existing folder."""
    (folder / HTML).write_text(render(evaluation), encoding="utf-8")
    (folder / JSON).write_text(to_json(evaluation), encoding="utf-8")


def as_json(evaluation: Evaluation) -> Figures:
    """The figures, and of what they are."""
    bundle, part = evaluation.bundle, evaluation.part
    return {
        "bundle": {
            "name": bundle.name,
            "version": bundle.version,
            "sha256": bundle.sha256,
            "graph": bundle.model_path.name,
            "temperature": bundle.temperature,
            "licence": bundle.licence,
        },
        "data": {
            "source": part.prepared.source,
            "terms": licences(part.prepared.terms),
            "split": part.split,
            "trained_on": part.trained_on,
        },
        **evaluation.figures,
    }


def to_json(evaluation: Evaluation) -> str:
    """The same as text."""
    return json.dumps(as_json(evaluation), indent=2) + "\n"


def render(evaluation: Evaluation) -> str:
    """The page."""
    bundle, figures = evaluation.bundle, evaluation.figures
    parts = [
        *_remarks(evaluation),
        _headlines(figures),
        _histogram(figures),
        *_shares(figures),
        _brackets(figures),
        _calibration(figures),
        _sizes(figures),
        *_traits(figures),
    ]
    title = f"{bundle.name} {bundle.version} on {evaluation.part.prepared.source}"
    return page(title, parts, lead=_lead(evaluation), footer=_terms(evaluation))


def _lead(evaluation: Evaluation) -> str:
    bundle, part = evaluation.bundle, evaluation.part
    which = "all faces" if part.split == "all" else f"the {part.split} part"
    known = part.truth.known
    labels = "years" if known.all() else "years and age groups" if known.any() else "age groups"
    return (
        f"{len(part):,} faces ({which}), labelled by {labels}, cropped and classified as a box does it: "
        f"{bundle.model_path.name} at {bundle.input_size} px, temperature {bundle.temperature:g}. "
        f"Ranges are 95 % intervals, from {DRAWS:,} bootstrap draws of the faces."
    )


def _terms(evaluation: Evaluation) -> str:
    terms, bundle = licences(evaluation.part.prepared.terms), evaluation.bundle
    use = bundle.terms.commercial_use
    return f"Terms of the data: {terms}. Terms of the model: {bundle.licence}; commercial use: {use}."


def _remarks(evaluation: Evaluation) -> list[str]:
    part = evaluation.part
    parts: list[str] = []
    if part.trained_on and part.split != "test":
        parts.append(
            paragraph(
                "The model was trained or selected on some of these pictures: the figures are too good. "
                "Use the test part.",
                "warning",
            )
        )
    elif part.changed:
        parts.append(paragraph(CHANGED, "warning"))
    if not part.truth.known.all():
        parts.append(
            paragraph(
                "Where only the age group of a face is known, its error is the distance in years from the "
                "expected age to the group, 0 inside.",
                "note",
            )
        )
    return parts


def _headlines(figures: Figures) -> str:
    def share(name: str) -> tuple[str, str]:
        low, high = figures["intervals"][name]
        return f"{figures[name]:.1%}", f"{low:.1%} to {high:.1%}"

    low, high = figures["intervals"]["mae"]
    boxes = [
        ("mean error, years (MAE)", f"{figures['mae']:.2f}", f"{low:.2f} to {high:.2f}"),
        ("median error, years", f"{figures['median_ae']:.2f}", f"bias {figures['bias']:+.2f}"),
        ("within 5 years (CS@5)", *share("cs5")),
        ("right bracket", *share("accuracy")),
        ("right or next bracket", *share("within_one")),
        ("histogram error", f"{figures['histogram_tv']:.3f}", "200 people, any age mix"),
        ("calibration error (ECE)", f"{figures['ece']:.3f}", "0 is calibrated"),
        ("time for a face", f"{figures['milliseconds_per_face']:.1f} ms", "one CPU thread, batches of 8"),
    ]
    return headlines(boxes)


def _histogram(figures: Figures) -> str:
    rows = [
        [f"{int(people):,}", f"{own['same']:.3f}", f"{own['shifted']:.3f}", f"{own['shifted_p90']:.3f}"]
        for people, own in figures["histogram"].items()
    ]
    return section(
        "The histogram of a crowd",
        paragraph(
            "A store uses the share of each bracket. The error is the total variation distance between "
            "estimated and true shares: 0.10 means that a tenth of the people are in a wrong bracket. 500 "
            "crowds of each size are drawn from these faces, with the age mix of the data and with age "
            "mixes drawn uniformly at random."
        ),
        plots.crowds(figures),
        table(["people", "same mix", "any mix", "any mix, 90th percentile"], rows),
        paragraph("All faces together, as one crowd:"),
        plots.histogram(figures),
    )


def _shares(figures: Figures) -> list[str]:
    if not figures["shares"]:
        return []
    rows = [
        [
            kind,
            *(f"{own[name]:.3f}" for name in ("counted", "em", "corrected", "width")),
            f"{own['covered']:.1%}",
        ]
        for kind, own in figures["shares"].items()
    ]
    return [
        section(
            "Corrected shares",
            paragraph(
                f"Crowds of {PEOPLE} people, drawn from these faces; brackets of fewer than {MINIMUM} visits "
                "wait, as on a box. The total variation from the true shares: as they are counted, by "
                "expectation and maximisation, and corrected as a box publishes them; then how wide the 95 % "
                "intervals are, and how many of the true shares they hold. The confusion comes from the "
                "bundle's validation faces."
            ),
            table(["crowd", "counted", "EM", "corrected", "width", "covered"], rows),
        )
    ]


def _brackets(figures: Figures) -> str:
    rows = [
        [label, f"{own['n']:,}", *(_number(own[name]) for name in ("mae", "precision", "recall", "f1"))]
        for label, own in figures["by_bracket"].items()
    ]
    return section(
        "By bracket",
        paragraph(
            "Precision: of the faces estimated to be in a bracket, the share that is. Recall: of the faces "
            "that are in it, the share estimated so."
        ),
        plots.brackets(figures),
        table(["bracket", "faces", "MAE, years", "precision", "recall", "F1"], rows),
        plots.confusion(figures),
    )


def _calibration(figures: Figures) -> str:
    return section(
        "Calibration",
        paragraph(
            "Bars on the dashed line mean that confidence and accuracy agree. The confidence is the "
            f"probability of the bracket that holds the expected age. ECE {figures['ece']:.3f}, negative "
            f"log-likelihood of the true age {figures['nll']:.2f} nats."
        ),
        plots.reliability(figures),
    )


def _sizes(figures: Figures) -> str:
    full = figures["by_face_size"]["full"]["mae"]
    rows = [
        [
            size if size == "full" else f"{size} px",
            f"{own['mae']:.2f}",
            f"{own['mae'] - full:+.2f}",
            f"{own['cs5']:.1%}",
            f"{own['accuracy']:.1%}",
            f"{own['within_one']:.1%}",
        ]
        for size, own in figures["by_face_size"].items()
    ]
    return section(
        "By face size",
        paragraph("The same faces, shrunk as if they had been farther from the camera."),
        plots.face_sizes(figures),
        table(
            ["face", "MAE, years", "against full", "within 5 years", "right bracket", "right or next"], rows
        ),
    )


def _traits(figures: Figures) -> list[str]:
    found = figures["by_trait"]
    if not found:
        return []
    parts = []
    for trait, values in found.items():
        first, _, second = trait.partition(" / ")
        if second:
            parts.append(_grid(figures, first, second))
        else:
            parts += [heading(trait), plots.traits(figures, trait), _by_value(trait, values)]
    note = (
        "Mean absolute error in years with its 95 % bootstrap interval, laid out as NIST's evaluation of age "
        "estimation does. Faces whose trait is not known are left out. Where intervals overlap widely, a "
        "difference may be chance; where few faces are, the interval says so."
    )
    return [section("By " + " and ".join(t for t in found if " / " not in t), paragraph(note), *parts)]


def _by_value(trait: str, values: Mapping[str, Any]) -> str:
    rows = [
        [
            value,
            f"{own['n']:,}",
            _with_interval(own, "mae", ".2f"),
            f"{own['bias']:+.2f}",
            _with_interval(own, "cs5", ".1%"),
            _with_interval(own, "accuracy", ".1%"),
        ]
        for value, own in values.items()
    ]
    return table([trait, "faces", "MAE, years", "bias", "within 5 years", "right bracket"], rows)


def _grid(figures: Figures, first: str, second: str) -> str:
    """MAE for every pair of values: the trait with more values down, the other across."""
    found = figures["by_trait"]
    down, across = sorted((first, second), key=lambda trait: -len(found[trait]))

    def cell(row: str, column: str) -> str:
        name = f"{row} / {column}" if down == first else f"{column} / {row}"
        own = found[f"{first} / {second}"].get(name)
        return f"{_with_interval(own, 'mae', '.2f')}, n = {own['n']:,}" if own else "none"

    columns = list(found[across])
    rows = [
        [row, *(cell(row, column) for column in columns), _with_interval(own, "mae", ".2f")]
        for row, own in found[down].items()
    ]
    last = ["all", *(_with_interval(found[across][column], "mae", ".2f") for column in columns)]
    rows.append([*last, _with_interval(figures, "mae", ".2f")])
    return table([down, *columns, "all"], rows)


def _with_interval(own: Mapping[str, Any], name: str, spec: str) -> str:
    low, high = own["intervals"][name]
    return f"{own[name]:{spec}} [{low:{spec}}, {high:{spec}}]"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"
