"""The model card of a bundle: its manifest in a form for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.bundle import Manifest
from edge.types import CommercialUse
from training.evaluation.shares import PEOPLE

Figures = Mapping[str, Any]

COMPARED = (
    ("mean absolute error, years", "mae", ".2f"),
    ("median absolute error, years", "median_ae", ".2f"),
    ("bias, years (below 0: too young)", "bias", "+.2f"),
    ("within 5 years", "cs5", ".1%"),
    ("right bracket", "accuracy", ".1%"),
    ("right or next bracket", "within_one", ".1%"),
    ("histogram error, 200 people, any age mix", "histogram_tv", ".3f"),
    ("expected calibration error", "ece", ".3f"),
    ("negative log-likelihood, nats", "nll", ".3f"),
)
"""Figures that stand side by side: what it is, its name, its format."""


_COMMERCIAL_USE: Mapping[CommercialUse, str] = {
    "allowed": "Commercial use is allowed by the terms of every part.",
    "forbidden": "Commercial use is forbidden.",
    "unknown": "The terms do not say that commercial use is allowed.",
}


@dataclass(frozen=True, slots=True)
class Story:
    """What the figures do not show.

    weights: how many. command: makes the bundle again. limits: of this model, beside those of all.
    origin: where it comes from and what it may be used for, paragraph by paragraph.
    """

    weights: int
    command: str
    limits: Sequence[str]
    origin: Sequence[str]


def render(manifest: Manifest, story: Story) -> str:
    """The card as Markdown, with every figure that the manifest holds and the command that makes them."""
    return "\n\n".join([*_head(manifest, story), *_figures(manifest, story), *_end(manifest, story)]) + "\n"


def _head(manifest: Manifest, story: Story) -> list[str]:
    size = manifest.input.size
    return [
        f"# Age model {manifest.name}, version {manifest.version}",
        "Estimates a distribution over single years of age, 0 to 100, from one face. It is made for counting "
        "visitors by age bracket, without a record of any single one. It is not made for decisions about a "
        "person, such as whether they are old enough to buy a product.",
        f"**Terms: {manifest.licence}. {_COMMERCIAL_USE[manifest.terms.commercial_use]}**",
        "## Input and output",
        f"- `image`: uint8 (N, {size}, {size}, 3), RGB. A square round the face box of MediaPipe's short-"
        f"range detector, side = {manifest.crop.scale} x the longer side of the box, resized by "
        f"`edge.preprocess` (version {manifest.input.preprocessing}).\n"
        f"- In the graph: {manifest.input.in_graph}.\n"
        "- `age`: float32 (N, 101), a softmax over the years 0..100.\n"
        f"- Temperature {manifest.temperature}: raise the probabilities to 1/{manifest.temperature} and "
        "normalise them again (`edge.bundle.calibrate`).\n"
        "- A visitor's bracket is that of the expected age, rounded to the nearest year.",
        f"The network is MobileNet-v1 with two dense layers: {story.weights:,} weights, float32, ONNX opset "
        "17." + _other_precisions(manifest),
    ]


def _other_precisions(manifest: Manifest) -> str:
    if not manifest.variants:
        return ""
    files = " and ".join(f"`{part.file}`" for part in manifest.variants.values())
    return f" The same in other precisions: {files}; 8-bit integers are in Q/DQ form, for the convolutions."


def _figures(manifest: Manifest, story: Story) -> list[str]:
    metrics = manifest.metrics
    parts = ["## Figures", f"Made by `{story.command}`."]
    if "mae" in metrics:
        parts += [
            *_beside_others(manifest),
            *_by_bracket(metrics["by_bracket"]),
            *_by_face_size(metrics["by_face_size"]),
            *_by_trait(metrics["by_trait"]),
            *_crowds(metrics["histogram"]),
            *_shares(metrics.get("shares", {})),
            *_variants(metrics),
        ]
    parts.append(
        f"Keras and ONNX Runtime differ by at most {metrics['parity_max_difference']:.1e} in any probability "
        f"on {metrics['parity_crops']} crops."
    )
    return parts


def _beside_others(manifest: Manifest) -> list[str]:
    """The model on every data set, beside the other bundles on the same pictures."""
    metrics = manifest.metrics
    names = _names([{"name": manifest.name, "version": manifest.version}, *metrics["against"]])
    parts = [
        f"The test part of the data, {metrics['n']:,} faces that were used for no choice; the temperature "
        "was fitted on the validation part. In square brackets: 95 % intervals from 1,000 bootstrap draws.",
        _side_by_side(names, [metrics, *metrics["against"]]),
    ]
    for place, found in enumerate(metrics["also"]):
        others = [other["also"][place] for other in metrics["against"]]
        parts += [
            f"All {found['n']:,} faces of {found['source']}, which were used for nothing else. Where only an "
            "age group is known, the error is the distance to it (0 inside) and the brackets are the groups:",
            _side_by_side(names, [found, *others]),
        ]
    made = zip(names[1:], (other.get("made_with") for other in metrics["against"]), strict=True)
    return parts + [f"{name} was made by `{command}`." for name, command in made if command]


def _names(bundles: Sequence[Figures]) -> list[str]:
    """What stands above each bundle's column: its name, with its version where two are called the same."""
    names = [own["name"] for own in bundles]
    return [
        f"{own['name']} {own['version']}" if names.count(own["name"]) > 1 else own["name"] for own in bundles
    ]


def _side_by_side(names: Sequence[str], columns: Sequence[Figures]) -> str:
    rows = [[label, *(_cell(own, name, spec) for own in columns)] for label, name, spec in COMPARED]
    return _table(["", *names], rows)


def _cell(own: Figures, name: str, spec: str) -> str:
    if name not in own["intervals"]:
        return format(own[name], spec)
    low, high = own["intervals"][name]
    return f"{own[name]:{spec}} [{low:{spec}}, {high:{spec}}]"


def _by_bracket(brackets: Mapping[str, Figures]) -> list[str]:
    rows = [
        [label, f"{own['n']:,}", *(_number(own.get(name)) for name in ("mae", "precision", "recall", "f1"))]
        for label, own in brackets.items()
    ]
    head = ["true bracket", "faces", "MAE, years", "precision", "recall", "F1"]
    return ["By bracket; `confusion.json` counts the validation part by single years:", _table(head, rows)]


def _by_face_size(sizes: Mapping[str, Figures]) -> list[str]:
    rows = [
        [
            size if size == "full" else f"{size} px",
            f"{own['mae']:.2f}",
            f"{own['cs5']:.1%}",
            f"{own['accuracy']:.1%}",
            f"{own['within_one']:.1%}",
        ]
        for size, own in sizes.items()
    ]
    head = ["face", "MAE, years", "within 5 years", "right bracket", "right or next"]
    return ["The same faces, reduced in size as if farther from the camera:", _table(head, rows)]


def _by_trait(traits: Mapping[str, Mapping[str, Figures]]) -> list[str]:
    rows = [
        [trait, value, f"{own['n']:,}", _cell(own, "mae", ".2f"), f"{own['bias']:+.2f}"]
        for trait, values in traits.items()
        for value, own in values.items()
    ]
    if not rows:
        return []
    return [
        "By the other labels of the data:",
        _table(["", "", "faces", "MAE, years", "bias, years"], rows),
    ]


def _crowds(crowds: Mapping[str, Figures]) -> list[str]:
    rows = [
        [f"{int(people):,}", f"{own['same']:.3f}", f"{own['shifted']:.3f}", f"{own['shifted_p90']:.3f}"]
        for people, own in crowds.items()
    ]
    return [
        "A store uses the shares of the brackets. Their total variation distance from the true shares (0.1: "
        "a tenth of the people are in a wrong bracket), over 500 random crowds each, with the age mix of the "
        "data and with age mixes drawn uniformly at random:",
        _table(["people", "same mix", "any mix", "any mix, 90th percentile"], rows),
    ]


def _shares(shares: Mapping[str, Figures]) -> list[str]:
    if not shares:
        return []
    names = ("counted", "em", "corrected")
    rows = [
        [kind, *(f"{own[name]:.3f}" for name in names), f"{own['covered']:.1%}"]
        for kind, own in shares.items()
    ]
    return [
        f"The same for crowds of {PEOPLE} people whose counts a box releases: as they are counted, by "
        "expectation and maximisation, and corrected as the box publishes them, with the share of the true "
        "shares that the 95 % intervals hold:",
        _table(["crowd", "counted", "EM", "corrected", "covered"], rows),
    ]


def _variants(metrics: Figures) -> list[str]:
    graphs = {"float32": metrics, **metrics["variants"]}
    rows = [
        [
            name,
            f"{own['mae']:.2f}",
            f"{own['cs5']:.1%}",
            f"{own['accuracy']:.1%}",
            f"{own['within_one']:.1%}",
            f"{own['milliseconds_per_face']:.1f}",
        ]
        for name, own in graphs.items()
    ]
    head = ["graph", "MAE, years", "within 5 years", "right bracket", "right or next", "ms per face"]
    note = "By precision; time per face with ONNX Runtime on one thread of the CPU that made this card:"
    return [note, _table(head, rows)]


def _end(manifest: Manifest, story: Story) -> list[str]:
    limits = [
        "It was measured on labelled photos, not on store cameras. It is less accurate on small, blurred, "
        "turned or covered faces, and some labels are estimates themselves.",
        "Its errors differ by age, as the tables show, and may differ between groups of people "
        "that were not measured. Use counts as shares of a crowd, not as facts about its members.",
        *story.limits,
    ]
    return [
        "## Limits",
        _bullets(limits),
        "## Origin and terms",
        *story.origin,
        *_terms(manifest),
        "## A model of your own",
        "With photos and a `labels.csv` of people who agreed to it, the same commands make a bundle under "
        "your own terms: `instore-training explore DATA --out REPORT`, `train CONFIG`, "
        "`export RUN --out BUNDLE`, `evaluate BUNDLE DATA --out REPORT`, `compare BUNDLE BUNDLE DATA`. "
        "Name the bundle's folder in the daemon's configuration.",
    ]


def _terms(manifest: Manifest) -> list[str]:
    parts = manifest.terms.parts
    if not parts:
        return [f"Terms of the bundle: {manifest.licence}."]
    rows = [[part.part, part.licence, part.commercial_use] for part in parts]
    credits = [part.credit for part in parts if part.credit]
    return [
        "The terms of all that the weights come from:",
        _table(["part", "licence", "commercial use"], rows),
        _COMMERCIAL_USE[manifest.terms.commercial_use],
        *(["Credit, to be kept with every copy of the bundle:", _bullets(credits)] if credits else []),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
