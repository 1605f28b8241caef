"""The sections of the report, in their order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
import pandas as pd

from edge.errors import ConfigurationError
from edge.types import Image
from edge.vision.crops import GOOD_LIGHT
from training.dataset import Fault, FaultKind, Prepared, Survey
from training.dataset.catalogue import interval
from training.dataset.copies import members
from training.dataset.looks import decode
from training.dataset.prepare import is_cropped
from training.dataset.split import PARTS
from training.explore import plots
from training.report import Html, bullets, heading, headlines, page, paragraph, section, sheet, table, text
from training.terms import UNSTATED, licences

A_ROW = 10
"""Pictures side by side."""

EXAMPLES = 3
"""Faults of a kind that are named in the report; `faults.csv` has all."""

THIN = 0.05
"""A model learns a bracket with a smaller share of the pictures badly."""

UNSEEN = 0.1
"""In face crops, no face is found in about 1 of 100; a larger share means a fault of the data."""

BLURRED = 40.0
"""Sharpness of a face that is 32 px wide: see `edge.vision.crops`."""

WHAT_IS_DONE = {
    FaultKind.NO_FILE: "left out",
    FaultKind.NO_ROW: "left out",
    FaultKind.SURPLUS: "left out: it is unknown which field is the age",
    FaultKind.BAD_AGE: "left out",
    FaultKind.AGE_RANGE: "left out",
    FaultKind.EMPTY: "left out",
    FaultKind.UNREADABLE: "left out",
    FaultKind.COPY: "left out except the first",
    FaultKind.CONFLICT: "all left out: it is unknown which age is right",
    FaultKind.NEAR_COPY: "kept, on one side of the split",
    FaultKind.NO_FACE: "left out",
    FaultKind.SEVERAL_FACES: "kept; the label is assumed to describe the face in the middle",
}

SHOWN = (FaultKind.CONFLICT, FaultKind.NO_FACE, FaultKind.SEVERAL_FACES)
"""Kinds of faults that the report shows with pictures."""


def report(found: Survey, prepared: Prepared, rows: pd.DataFrame, seed: int) -> str:
    """The whole page. `rows` as `tabulate` makes them of the other two."""
    parts = [
        _headlines(found, prepared, rows),
        section("Main findings", bullets(_remarks(found, rows))),
        section("Ages", *_ages(rows)),
        *_traits(rows),
        section("Faces", *_samples(prepared, rows, seed)),
        section(
            "Size, sharpness and light", plots.pixels(rows), plots.quality(rows), *_extremes(prepared, rows)
        ),
        section("Faults", *_faults(found)),
    ]
    licence = licences(prepared.terms)
    terms = "" if licence == UNSTATED else f" Terms: {licence}."
    return page(
        f"Data report: {found.folder.resolve().name}",
        parts,
        lead=f"The pictures and labels of {found.layout}.{terms}",
        footer=f"Made by instore-training explore; split and samples drawn with seed {seed}. "
        "This page holds pictures of people: store it as you store the data.",
    )


def _headlines(found: Survey, prepared: Prepared, rows: pd.DataFrame) -> Html:
    return headlines(
        [
            ("Labelled", f"{found.labelled:,}", "pictures with an age"),
            ("Usable", f"{len(rows):,}", "pictures, each once"),
            ("Different", f"{len(set(prepared.groups.tolist())):,}", "photos among them"),
            ("Ages", f"{rows.low.min():g} to {rows.high.max():g}", f"median {rows.age.median():g} years"),
            ("Faults", f"{len(found.faults):,}", "found, listed below"),
        ]
    )


def _remarks(found: Survey, rows: pd.DataFrame) -> Iterator[str]:
    """The main findings, in sentences."""
    counts = _by_kind(found.faults)
    if conflicts := counts.get(FaultKind.CONFLICT):
        yield f"{len(conflicts):,} files are copies with different ages; none of them is used."
    if near := counts.get(FaultKind.NEAR_COPY):
        differ = ""
        if apart := [gap for gap in _gaps(found) if gap]:
            differ = f", {len(apart):,} of them with another age, by {np.median(apart):g} years in the median"
        yield f"{len(near):,} pictures are near-copies of another one{differ}."
    shares = rows.bracket.value_counts(normalize=True, sort=False)
    if thin := [f"{name} ({share:.1%})" for name, share in shares.items() if share < THIN]:
        yield f"Few or no pictures of {', '.join(thin)}: expect the largest errors there."
    known = rows[rows.low == rows.high]
    if len(known):
        common = known.age.value_counts(normalize=True)
        yield (
            f"The most common age is {common.index[0]:g}, with {common.iloc[0]:.1%} of the pictures. Ages "
            f"that end in 0 or 5 have {(known.age % 5 == 0).mean():.0%}: 20% is the even share; "
            "more means that ages were guessed."
        )
    yield (
        f"{(rows.sharpness < BLURRED).mean():.0%} of the faces are as blurred as one 32 px wide, "
        f"{(rows.light < GOOD_LIGHT[0]).mean():.0%} are dark and "
        f"{(rows.light > GOOD_LIGHT[1]).mean():.0%} too bright."
    )
    if not is_cropped(found.seen):
        yield "The pictures show surroundings; faces are cropped as a box crops them."
        return
    yield "The pictures are face crops and are used whole."
    if (unseen := len(counts.get(FaultKind.NO_FACE, []))) > UNSEEN * len(found.seen):
        yield f"No face was found in {unseen:,} of them: make sure that they are faces."


def _gaps(found: Survey) -> Iterator[float]:
    """Years between the labels of each near-copy and the first picture of its photo."""
    for group in members(found.groups):
        first, *others = (found.seen[i].row.middle for i in group)
        yield from (abs(other - first) for other in others)


def _ages(rows: pd.DataFrame) -> Iterator[Html]:
    if (rows.low == rows.high).any():
        yield plots.ages(rows)
    yield plots.by_bracket(rows)
    yield _split_table(rows)


def _split_table(rows: pd.DataFrame) -> Html:
    counts = pd.crosstab(rows.bracket, rows.split).reindex(columns=list(PARTS), fill_value=0)
    total = counts.sum()
    lines = [[str(name), *(f"{n:,}" for n in line), f"{line.sum():,}"] for name, line in counts.iterrows()]
    lines.append(["all", *(f"{n:,}" for n in total), f"{total.sum():,}"])
    return table(["bracket", *PARTS, "all"], lines)


def _traits(rows: pd.DataFrame) -> Iterator[Html]:
    names = [column.removeprefix("trait:") for column in rows if column.startswith("trait:")]
    drawn = [name for name in names if 1 < rows[f"trait:{name}"].nunique() <= plots.MOST_VALUES]
    if drawn:
        words = "Labels other than the age. They are used to report by group, never to train."
        yield section("Traits", paragraph(words), *(plots.trait(rows, name) for name in drawn))


def _samples(prepared: Prepared, rows: pd.DataFrame, seed: int) -> Iterator[Html]:
    yield paragraph("Drawn at random from each bracket, cut as the model will see them, with their ages.")
    order = np.random.default_rng(seed).permutation(len(rows))
    for name in rows.bracket.cat.categories:
        own = [i for i in order if rows.bracket.iat[i] == name][:A_ROW]
        if own:
            yield heading(f"{name} years")
            yield _crops(prepared, sorted(own, key=lambda i: rows.age.iat[i]))


def _extremes(prepared: Prepared, rows: pd.DataFrame) -> Iterator[Html]:
    for column, ascending, words in (
        ("sharpness", True, "The most blurred"),
        ("light", True, "The darkest"),
        ("light", False, "The lightest"),
    ):
        order = rows[column].sort_values(ascending=ascending, kind="stable").index[:A_ROW]
        yield heading(words)
        yield _crops(prepared, [int(i) for i in order])


def _crops(prepared: Prepared, indices: Iterable[int]) -> Html:
    return sheet((prepared.crops[i], interval(prepared.low[i], prepared.high[i])) for i in indices)


def _faults(found: Survey) -> Iterator[Html]:
    kinds = _by_kind(found.faults)
    if not kinds:
        yield paragraph("None: every row has a readable picture with a face, and no picture occurs twice.")
        return
    yield paragraph("All of them are listed in faults.csv beside this page.")
    yield _fault_table(kinds, cropped=is_cropped(found.seen))
    for kind in SHOWN:
        if named := kinds.get(kind, [])[:A_ROW]:
            yield heading(kind.value.capitalize())
            yield sheet((_picture(found, fault.name), fault.detail) for fault in named)
    if photos := members(found.groups)[: A_ROW // 2]:
        yield heading("Photos that occur several times, with their ages")
        same = [found.seen[i] for photo in photos for i in photo[:2]]
        yield sheet((_picture(found, one.name), interval(one.row.low, one.row.high)) for one in same)


def _fault_table(kinds: dict[FaultKind, list[Fault]], *, cropped: bool) -> Html:
    done = WHAT_IS_DONE | (
        {FaultKind.NO_FACE: "kept: the pictures are face crops already"} if cropped else {}
    )
    lines = [
        [kind.value, done[kind], _examples(kinds[kind]), f"{len(kinds[kind]):,}"]
        for kind in FaultKind
        if kind in kinds
    ]
    return table(["fault", "action", "examples", "count"], lines, words=3)


def _examples(faults: Sequence[Fault]) -> Html:
    named = (
        Html(f"<code>{text(fault.name)}</code>" + (f" {text(fault.detail)}" if fault.detail else ""))
        for fault in faults[:EXAMPLES]
    )
    return Html("<br>".join(named))


def _picture(found: Survey, name: str) -> Image:
    """The picture of this name, uint8 (H, W, 3) RGB."""
    image = decode((found.pictures / name).read_bytes())
    if image is None:
        raise ConfigurationError(f"{found.pictures / name}: the file changed while it was read")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _by_kind(faults: Sequence[Fault]) -> dict[FaultKind, list[Fault]]:
    kinds: dict[FaultKind, list[Fault]] = defaultdict(list)
    for fault in faults:
        kinds[fault.kind].append(fault)
    return kinds
