"""The plots of an evaluation, drawn from its figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from training.report import AMBER, BLUE, GREY, INK, Html, drawing, picture

Figures = Mapping[str, Any]


def confusion(figures: Figures) -> Html:
    """Shares of each true bracket by estimated one, with the counts."""
    labels = figures["confusion"]["brackets"]
    counts = np.array(figures["confusion"]["counts"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with drawing(1.2 + 0.5 * len(labels)) as (figure, axes):
        shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(labels)), labels)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_xlabel("estimated bracket")
        axes.set_ylabel("true bracket")
        for (row, column), share in np.ndenumerate(shares):
            if counts[row, column]:
                colour = "white" if share > 0.55 else INK
                label = f"{share:.0%} ({counts[row, column]})"
                axes.text(column, row, label, ha="center", va="center", color=colour, fontsize=9)
        axes.grid(visible=False)
        figure.colorbar(shown, label="share of the true bracket", pad=0.02)
    return picture(figure, "Confusion of true and estimated brackets")


def brackets(figures: Figures) -> Html:
    """Precision, recall and F1 of each bracket."""
    found = figures["by_bracket"]
    places = np.arange(len(found))
    with drawing(3.6) as (figure, axes):
        for offset, (name, colour) in enumerate((("precision", BLUE), ("recall", AMBER), ("f1", GREY))):
            heights = [own[name] or 0 for own in found.values()]
            label = "F1" if name == "f1" else name
            axes.bar(places + (offset - 1) * 0.27, heights, 0.25, label=label, color=colour)
        axes.set_xticks(places, [f"{label}\nn = {own['n']:,}" for label, own in found.items()])
        axes.set_ylim(0, 1)
        axes.set_ylabel("share")
        axes.set_xlabel("age bracket, and its faces in the data")
        _legend_above(axes)
    return picture(figure, "Precision, recall and F1 of each bracket")


def histogram(figures: Figures) -> Html:
    """The data's own histogram, true beside estimated."""
    labels = figures["confusion"]["brackets"]
    counts = np.array(figures["confusion"]["counts"])
    places = np.arange(len(labels))
    with drawing(3.4) as (figure, axes):
        axes.bar(places - 0.2, counts.sum(axis=1) / counts.sum(), 0.38, label="true", color=GREY)
        axes.bar(places + 0.2, counts.sum(axis=0) / counts.sum(), 0.38, label="estimated", color=BLUE)
        axes.set_xticks(places, labels)
        axes.set_xlabel("age bracket")
        axes.set_ylabel("share of all faces")
        _legend_above(axes)
    return picture(figure, "True and estimated shares of the brackets")


def reliability(figures: Figures) -> Html:
    """Accuracy of the estimated bracket by confidence, and the distribution of the confidence."""
    found = figures["reliability"]
    middles = [(own["low"] + own["high"]) / 2 for own in found]
    width = 0.94 * (found[0]["high"] - found[0]["low"])
    with drawing(4.2, columns=2) as (figure, (left, right)):
        left.bar(middles, [own["accuracy"] for own in found], width, color=BLUE, label="measured")
        left.plot([0, 1], [0, 1], color=AMBER, linestyle="--", label="confidence = accuracy")
        left.set_ylim(0, 1)
        left.set_ylabel("share in the right bracket")
        _legend_above(left)
        right.bar(middles, [own["n"] for own in found], width, color=GREY)
        right.set_ylabel("faces")
        for axes in (left, right):
            axes.set_xlim(0, 1)
            axes.set_xlabel("confidence: probability of the estimated bracket")
    return picture(figure, "Reliability of the estimated bracket, and distribution of the confidence")


def traits(figures: Figures, trait: str) -> Html:
    """Mean absolute error with its interval for each value of a trait."""
    found = figures["by_trait"][trait]
    middles = np.array([own["mae"] for own in found.values()])
    ends = np.array([own["intervals"]["mae"] for own in found.values()])
    places = np.arange(len(found))[::-1]
    with drawing(1.3 + 0.36 * len(found)) as (figure, axes):
        axes.errorbar(middles, places, xerr=np.abs(ends.T - middles), fmt="o", color=BLUE, capsize=4)
        axes.axvline(figures["mae"], color=GREY, linestyle="--", label=f"all faces: {figures['mae']:.2f}")
        axes.set_yticks(places, [f"{name} (n = {own['n']:,})" for name, own in found.items()])
        axes.set_ylim(-0.6, len(found) - 0.4)
        axes.grid(axis="x")
        axes.set_xlabel("mean absolute error in years, with 95 % interval")
        _legend_above(axes)
    return picture(figure, f"Mean absolute error by {trait}")


def face_sizes(figures: Figures) -> Html:
    """Error and brackets hit as the faces get smaller."""
    found = list(figures["by_face_size"].values())
    labels = [size if size == "full" else f"{size} px" for size in figures["by_face_size"]]
    places = np.arange(len(found))
    errors = [own["mae"] for own in found]
    with drawing(3.6, columns=2) as (figure, (left, right)):
        left.plot(places, errors, marker="o", color=BLUE)
        left.set_ylabel("mean absolute error, years")
        left.set_ylim(0, 1.15 * max(errors) or 1)
        right.plot(
            places, [own["within_one"] for own in found], marker="s", color=AMBER, label="right or next"
        )
        right.plot(places, [own["accuracy"] for own in found], marker="o", color=BLUE, label="right")
        right.set_ylabel("share of faces by bracket")
        right.set_ylim(0, 1.05)  # a point at 1 is fully visible
        _legend_above(right)
        for axes in (left, right):
            axes.set_xticks(places, labels)
            axes.set_xlabel("longer side of the face")
    return picture(figure, "Error and brackets by face size")


def crowds(figures: Figures) -> Html:
    """Error of the histogram by the size of the crowd."""
    found = list(figures["histogram"].values())
    places = np.arange(len(found))
    with drawing(3.6) as (figure, axes):
        axes.bar(places - 0.2, [own["same"] for own in found], 0.38, color=GREY, label="age mix of the data")
        axes.bar(places + 0.2, [own["shifted"] for own in found], 0.38, color=BLUE, label="any age mix")
        beyond = [own["shifted_p90"] for own in found]
        label = "any age mix: 90th percentile"
        axes.scatter(places + 0.2, beyond, marker="_", s=600, linewidths=2, color=AMBER, label=label)
        axes.set_xticks(places, [f"{int(people):,} people" for people in figures["histogram"]])
        axes.set_ylim(0, 1.1 * max(beyond) or 1)
        axes.set_xlabel("crowd")
        axes.set_ylabel("total variation (0 is exact)")
        _legend_above(axes, markerscale=0.4)
    return picture(figure, "Error of the histogram by size of the crowd")


def _legend_above(axes: Any, **options: Any) -> None:  # noqa: ANN401 (passed on to matplotlib)
    """Put the legend above the plot."""
    entries = len(axes.get_legend_handles_labels()[0])
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=entries, borderaxespad=0.2, **options)
