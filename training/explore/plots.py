"""The report's figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import LogLocator, MaxNLocator, MultipleLocator, NullFormatter

from edge.vision.crops import GOOD_LIGHT, GOOD_SHARPNESS, GOOD_SIZE
from training.dataset.split import PARTS
from training.report import AMBER, BLUE, GREEN, GREY, INK, Html, drawing, picture

Axes = Any
"""matplotlib has no types here."""

PART_COLOURS = dict(zip(PARTS, (BLUE, AMBER, GREEN), strict=True))

SOLID = {"color": BLUE, "alpha": 1, "edgecolor": "white", "linewidth": 0.4}
"""Bars of a histogram."""

BOXES = {
    "whis": (5, 95),
    "width": 0.55,
    "showfliers": False,
    "color": "#b9d0e0",
    "saturation": 1,
    "linecolor": INK,
    "linewidth": 0.9,
}
"""Box plots: the whiskers span 90 %."""

MOST_VALUES = 12
"""A trait with more values than this does not group people: it is a name or a number."""


def ages(table: pd.DataFrame) -> Html:
    """Pictures by year of age, of those whose age is known to the year."""
    known = table[table.low == table.high]
    with drawing(3.2) as (figure, axes):
        sns.histplot(x=known.age.astype(int), discrete=True, shrink=0.9, ax=axes, **SOLID)
        axes.set(xlabel="age in years", ylabel="pictures", title="Pictures by year of age")
        axes.set_xlim(-1, max(100, known.age.max() + 1))
        axes.xaxis.set_major_locator(MultipleLocator(10))
        _thousands(axes.yaxis)
        return picture(figure, "Histogram of ages in years")


def by_bracket(table: pd.DataFrame) -> Html:
    """Pictures by bracket and by part of the split."""
    totals = table.bracket.value_counts(sort=False)
    parts = [part for part in PARTS if (table.split == part).any()]
    with drawing(3.2) as (figure, axes):
        sns.histplot(
            table,
            x="bracket",
            hue="split",
            hue_order=parts[::-1],  # seaborn stacks from the last one up
            multiple="stack",
            palette=PART_COLOURS,
            shrink=0.7,
            ax=axes,
            alpha=1,
            linewidth=0,
        )
        for x, total in enumerate(totals):
            share = total / len(table)
            axes.annotate(
                f"{total:,.0f}\n{share:.1%}", (x, total), (0, 4), textcoords="offset points", ha="center"
            )
        axes.set(
            xlabel="bracket",
            ylabel="pictures",
            title="Pictures by bracket and part",
            ylim=(0, totals.max() * 1.25),
        )
        sns.move_legend(
            axes, "upper right", ncols=len(parts), title=None, reverse=True, bbox_to_anchor=(1, 1.16)
        )
        _thousands(axes.yaxis)
        return picture(figure, "Bars: pictures by age bracket, stacked by part of the split")


def trait(table: pd.DataFrame, name: str) -> Html:
    """Pictures by value of a trait, the most common first, and their ages."""
    column = table[f"trait:{name}"].replace("", "not stated")
    counts = column.value_counts()
    with drawing(0.9 + 0.42 * len(counts), 2, sharey=True) as (figure, (left, right)):
        sns.countplot(y=column, order=counts.index, width=0.62, color=BLUE, saturation=1, ax=left)
        for y, count in enumerate(counts):
            words = f"{count:,}  ({_share(count / len(table))})"
            left.annotate(words, (count, y), (5, 0), textcoords="offset points", va="center")
        left.set(title=f"Pictures by {name}", xlabel="pictures", ylabel="", xlim=(0, counts.max() * 1.25))
        sns.boxplot(x=table.age, y=column, order=counts.index, ax=right, **BOXES)
        right.set(
            title=f"Age by {name}", xlabel="age in years (box: half of them; whiskers: 90 %)", ylabel=""
        )
        for axes in (left, right):
            axes.grid(visible=False, axis="y")
            axes.grid(visible=True, axis="x")
        _thousands(left.xaxis)
        return picture(figure, f"Bars and boxes: pictures and ages by {name}")


def pixels(table: pd.DataFrame) -> Html:
    """Sizes of the pictures and of the faces."""
    with drawing(2.9, 2) as (figure, (left, right)):
        _histogram(left, np.minimum(table.width, table.height), "shorter side in px", "Size of the pictures")
        faces = table.face.dropna()
        _histogram(right, faces, "longer side of the face's box in px", "Size of the faces")
        if len(faces):
            _mark(right, GOOD_SIZE, "large enough", left_of=faces.max() < GOOD_SIZE)
        return picture(figure, "Histograms: sizes of pictures and faces")


def quality(table: pd.DataFrame) -> Html:
    """Sharpness and light of the faces, with the box's limits of good quality."""
    with drawing(2.9, 2) as (figure, (left, right)):
        _histogram(
            left, table.sharpness.clip(lower=1), "variance of the Laplacian at 64 px", "Sharpness", log=True
        )
        _mark(left, GOOD_SHARPNESS, "sharp")
        _histogram(right, table.light, "mean grey level of the face, 0 to 255", "Light")
        for level, words in zip(GOOD_LIGHT, ("dark", "bright"), strict=True):
            _mark(right, level, words, left_of=words == "dark")
        right.set_xlim(0, 255)
        return picture(figure, "Histograms: sharpness and light of the faces")


def _histogram(axes: Axes, values: pd.Series, label: str, title: str, *, log: bool = False) -> None:
    if len(values):
        # The axis starts at 0, so that pictures of one size make a bar and not a line.
        whole = None if log else (0, 1.05 * float(values.max()))
        sns.histplot(x=values, bins=42, binrange=whole, log_scale=log, ax=axes, **SOLID)
    else:
        axes.text(0.5, 0.5, "none found", ha="center", color=GREY, transform=axes.transAxes)
    axes.set(xlabel=label, ylabel="pictures", title=title)
    axes.margins(y=0.14)  # room for the names of marks
    _thousands(axes.yaxis)
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_major_formatter(_number)
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(left=0)
        _thousands(axes.xaxis)


def _mark(axes: Axes, value: float, words: str, *, left_of: bool = False) -> None:
    """A line at `value` with a label at its top; the axis grows to show it."""
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.8 * value), max(high, 1.25 * value))
    axes.axvline(value, color=AMBER, linewidth=1.6)
    axes.annotate(
        words,
        (value, 1),
        (-4 if left_of else 4, -2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if left_of else "left",
        va="top",
        color="#8a5a0b",
    )


def _thousands(axis: Axes) -> None:
    """At most seven ticks, at whole numbers."""
    axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axis.set_major_formatter(_number)


def _share(value: float) -> str:
    return f"{value:.0%}" if value >= 0.005 else "<1%"


def _number(value: float, _: int) -> str:
    return f"{value:,.0f}"
