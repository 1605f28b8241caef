"""The commands `evaluate` and `compare`: read folders, write files, and print the results."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from edge.bundle import Bundle
from edge.config import Precision
from edge.errors import ConfigurationError
from edge.files import write_atomically
from edge.ops.terminal import Progress
from training.dataset.prepare import FEWEST
from training.evaluation import report
from training.evaluation.compare import Comparison, compare
from training.evaluation.evaluate import Evaluation, Figures, Options, evaluate
from training.evaluation.part import CHANGED, Split, open_part
from training.predict import in_precision
from training.staging import staged

STANDARD_OUTPUT = "-"

PLAIN = {
    "mae": ("mean absolute error, years", ".2f"),
    "median_ae": ("median absolute error, years", ".2f"),
    "cs5": ("within 5 years", ".1%"),
    "accuracy": ("right bracket", ".1%"),
    "within_one": ("right or next bracket", ".1%"),
    "ece": ("calibration error (ECE)", ".3f"),
    "histogram_tv": ("histogram error", ".3f"),
}
"""By figure: its name for people, and its format."""


@dataclass(frozen=True, slots=True)
class Request:
    """The data of an evaluation, and the destination of the figures.

    data: the folders of labelled faces. split: see `open_part`. json: a file, `-` for the standard output,
    None for nowhere.
    """

    data: Sequence[Path]
    split: Split | None
    cache: Path
    options: Options
    json: str | None


def run_evaluate(
    bundle: Bundle, precision: Precision, request: Request, out: Path | None, progress: Progress
) -> str:
    """Evaluate a bundle; write the report into the new folder `out`, and return the main figures as text.

    Raises ConfigurationError, before any work where something cannot be written.
    """
    chosen = in_precision(bundle, precision)
    require_writable(request.json)
    with staged(out) if out else nullcontext() as folder:
        part = open_part(request.data, bundle, request.split, request.cache, progress)
        evaluation = evaluate(chosen, part, request.options, progress)
        if folder:
            report.write(evaluation, folder)
    write_json(request.json, report.as_json(evaluation))
    return "\n".join([*_summary(evaluation), *([str(out / report.HTML)] if out else [])])


def run_compare(a: Bundle, b: Bundle, request: Request, progress: Progress) -> str:
    """Compare two bundles; figures and verdict as text. Raises ConfigurationError as `run_evaluate` does."""
    require_writable(request.json)
    found = compare(
        a,
        b,
        request.data,
        split=request.split,
        cache=request.cache,
        options=request.options,
        progress=progress,
    )
    write_json(request.json, found.as_json())
    return _side_by_side(found)


def require_writable(target: str | None) -> None:
    """Raise ConfigurationError where a file of this name cannot be made."""
    if not target or target == STANDARD_OUTPUT:
        return
    if not Path(target).parent.is_dir():
        raise ConfigurationError(
            f"--json {target}: the folder {Path(target).parent} does not exist; create it first"
        )
    if Path(target).is_dir():
        raise ConfigurationError(f"--json {target}: a folder; give a file")


def write_json(target: str | None, figures: Figures) -> None:
    """Write the figures to a file, whole or not at all; `-` is the standard output, None nowhere.

    An existing target that is no plain file, such as /dev/null or a pipe, is written in place.
    """
    content = json.dumps(figures, indent=2) + "\n"
    if target == STANDARD_OUTPUT:
        sys.stdout.write(content)
    elif target:
        try:
            _write(Path(target).resolve(), content)
        except OSError as error:
            raise ConfigurationError(f"--json {target}: cannot be written ({error.strerror})") from error


def _write(path: Path, content: str) -> None:
    if path.exists() and not path.is_file():
        path.write_text(content, encoding="utf-8")
        return
    write_atomically(path, content)


def _summary(evaluation: Evaluation) -> list[str]:
    figures, part = evaluation.figures, evaluation.part
    rows = [[words, format(figures[name], spec)] for name, (words, spec) in PLAIN.items()]
    head = f"{evaluation.bundle.name} {evaluation.bundle.version} on {part.prepared.source}"
    few = [f"too few faces for reliable figures; at least {FEWEST} are needed"] if len(part) < FEWEST else []
    changed = [CHANGED] if part.changed else []
    return [f"{head}, {_which(part.split)}, {figures['n']:,} faces", *few, *changed, *_aligned(rows)]


def _side_by_side(found: Comparison) -> str:
    head = ["", "A", "B", "B - A, jointly 95 %", "better"]
    rows = [
        [
            PLAIN[row.figure][0],
            format(row.a, PLAIN[row.figure][1]),
            format(row.b, PLAIN[row.figure][1]),
            " to ".join(_signed(end, PLAIN[row.figure][1]) for end in row.interval),
            row.better.upper() or "-",
        ]
        for row in found.rows
    ]
    return "\n".join(
        [
            f"A: {found.a.name} {found.a.version} ({found.a.folder})",
            f"B: {found.b.name} {found.b.version} ({found.b.folder})",
            f"{found.source}, {_which(found.split)}, {found.n:,} faces",
            *([CHANGED] if found.changed else []),
            "",
            *_aligned([head, *rows]),
            "",
            found.verdict,
        ]
    )


def _which(split: Split) -> str:
    return "all of it" if split == "all" else f"the {split} part"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines, the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]


def _signed(value: float, spec: str) -> str:
    return format(value, f"+{spec}")
