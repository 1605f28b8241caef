"""The report's figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, MaxNLocator, MultipleLocator, NullFormatter
from numpy.typing import NDArray

from edge.crops import GOOD_LIGHT, GOOD_SHARPNESS, GOOD_SIZE
from training.dataset.split import PARTS
from training.report import AMBER, BLUE, GREEN, GREY, INK, Html, drawing, picture

Axes = Any
"""matplotlib has no types here."""

PART_COLOURS = dict(zip(PARTS, (BLUE, AMBER, GREEN), strict=True))

MOST_VALUES = 12
"""A trait with more values than this is no group to report by, but a name or a number."""


def ages(table: pd.DataFrame) -> Html:
    """How many pictures of each year of age, of those whose age is known to the year."""
    known = table[table.low == table.high]
    with drawing(3.2) as (figure, axes):
        counts = known.age.astype(int).value_counts().sort_index()
        axes.bar(counts.index, counts.to_numpy(), width=0.9, color=BLUE)
        axes.set(xlabel="age in years", ylabel="pictures", title="Pictures by year of age")
        axes.set_xlim(-1, max(100, counts.index.max() + 1))
        axes.xaxis.set_major_locator(MultipleLocator(10))
        _thousands(axes.yaxis)
        return picture(figure, "Histogram of ages in years")


def by_bracket(table: pd.DataFrame) -> Html:
    """How many pictures of each bracket, and in which part of the split they are."""
    counts = pd.crosstab(table.bracket, table.split).reindex(columns=list(PARTS), fill_value=0)
    counts = counts.reindex(table.bracket.cat.categories, fill_value=0)
    with drawing(3.2) as (figure, axes):
        base = np.zeros(len(counts))
        for part in PARTS:
            if counts[part].any():
                axes.bar(
                    counts.index, counts[part], bottom=base, color=PART_COLOURS[part], label=part, width=0.7
                )
            base += counts[part].to_numpy()
        for x, total in enumerate(base):
            share = total / len(table)
            axes.annotate(
                f"{total:,.0f}\n{share:.1%}", (x, total), (0, 4), textcoords="offset points", ha="center"
            )
        axes.set(
            xlabel="bracket",
            ylabel="pictures",
            title="Pictures by bracket and part",
            ylim=(0, base.max() * 1.25),
        )
        axes.legend(ncols=len(PARTS), loc="upper right", bbox_to_anchor=(1, 1.16))
        _thousands(axes.yaxis)
        return picture(figure, "Bars: pictures by age bracket, stacked by part of the split")


def trait(table: pd.DataFrame, name: str) -> Html:
    """How many pictures of each value of a trait, the commonest first, and their ages."""
    column = table[f"trait:{name}"].replace("", "not stated")
    counts = column.value_counts()
    with drawing(0.9 + 0.42 * len(counts), 2, sharey=True) as (figure, (left, right)):
        left.barh(counts.index, counts, color=BLUE, height=0.62)
        for y, count in enumerate(counts):
            words = f"{count:,}  ({_share(count / len(table))})"
            left.annotate(words, (count, y), (5, 0), textcoords="offset points", va="center")
        left.set(title=f"Pictures by {name}", xlabel="pictures", xlim=(0, counts.max() * 1.25))
        _boxes(right, [table.age[column == value].to_numpy() for value in counts.index])
        right.set(title=f"Age by {name}", xlabel="age in years (box: half of them; whiskers: 90 %)")
        for axes in (left, right):
            axes.grid(visible=False, axis="y")
            axes.grid(visible=True, axis="x")
        left.invert_yaxis()
        _thousands(left.xaxis)
        return picture(figure, f"Bars and boxes: pictures and ages by {name}")


def _boxes(axes: Axes, groups: list[NDArray[np.float32]]) -> None:
    axes.boxplot(
        groups,
        positions=range(len(groups)),
        orientation="horizontal",
        widths=0.55,
        whis=(5, 95),
        showfliers=False,
        manage_ticks=False,
        patch_artist=True,
        boxprops={"facecolor": "#b9d0e0", "edgecolor": INK, "linewidth": 0.9},
        medianprops={"color": INK},
        whiskerprops={"color": INK, "linewidth": 0.9},
        capprops={"color": INK, "linewidth": 0.9},
    )


def pixels(table: pd.DataFrame) -> Html:
    """How large pictures and faces are."""
    with drawing(2.9, 2) as (figure, (left, right)):
        _histogram(left, np.minimum(table.width, table.height), "shorter side in px", "Size of the pictures")
        faces = table.face.dropna()
        _histogram(right, faces, "longer side of the face's box in px", "Size of the faces")
        if len(faces):
            _mark(right, GOOD_SIZE, "more does not help", left_of=faces.max() < GOOD_SIZE)
        return picture(figure, "Histograms: sizes of pictures and faces")


def quality(table: pd.DataFrame) -> Html:
    """How sharp and how light the faces are, beside what the box takes for good."""
    with drawing(2.9, 2) as (figure, (left, right)):
        _histogram(
            left, table.sharpness.clip(lower=1), "variance of the Laplacian at 64 px", "Sharpness", log=True
        )
        _mark(left, GOOD_SHARPNESS, "sharp")
        _histogram(right, table.light, "mean grey level of the face, 0 to 255", "Light")
        for level, words in zip(GOOD_LIGHT, ("dim", "glaring"), strict=True):
            _mark(right, level, words, left_of=words == "dim")
        right.set_xlim(0, 255)
        return picture(figure, "Histograms: sharpness and light of the faces")


def _histogram(axes: Axes, values: pd.Series, label: str, title: str, *, log: bool = False) -> None:
    if len(values):
        most = 1.05 * float(values.max())
        low, high = (np.log10(float(values.min())), np.log10(most)) if log else (0, most)
        edges = np.linspace(low, high, 43)
        axes.hist(values, bins=10**edges if log else edges, color=BLUE, edgecolor="white", linewidth=0.4)
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
    """A line at `value`, named at its top; the axis grows to show it."""
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
    """At most seven marks, at whole numbers."""
    axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axis.set_major_formatter(_number)


def _share(value: float) -> str:
    return f"{value:.0%}" if value >= 0.005 else "<1%"


def _number(value: float, _: int) -> str:
    return f"{value:,.0f}"
