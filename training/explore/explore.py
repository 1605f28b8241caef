"""Writes the report: `report.html`, and `faults.csv` with every fault found."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from edge.ops.terminal import Progress
from training.dataset import Fault, Survey, cut, survey
from training.explore.sections import report
from training.explore.table import tabulate
from training.staging import staged

SIZE = 96
"""Side of the crops in px: enough to view and to measure."""

SCALE = 1.04
"""The crop scale of the shipped model."""


def explore(data: Path, out: Path, *, cache: Path, seed: int, progress: Progress) -> Survey:
    """Survey the labelled faces in `data` and write the folder `out`, which must not exist.

    Raises ConfigurationError as `training.dataset.prepare` does, and when `out` cannot be written.
    """
    with staged(out) as folder:
        found = survey(data, cache, progress)
        prepared = cut(found, size=SIZE, scale=SCALE, cache=cache, seed=seed, progress=progress)
        table = tabulate(found, prepared)
        (folder / "report.html").write_text(report(found, prepared, table, seed), encoding="utf-8")
        _write_faults(folder / "faults.csv", found.faults)
    return found


def _write_faults(path: Path, faults: Sequence[Fault]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["fault", "file_name", "detail"])
        writer.writerows([fault.kind.value, fault.name, fault.detail] for fault in faults)
