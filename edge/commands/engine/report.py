"""The table of the engines that were built, for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edge.commands.engine.build import Built
from edge.inference.reference_check import Difference
from edge.vision.detect.same_faces import FaceDifference


def render(built: Sequence[Built]) -> None:
    """Print a table on standard output."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("engine", "seconds", "MB", "graph", "run here"):
        table.add_column(heading, justify="left" if heading in ("engine", "run here") else "right")
    for one in built:
        ran = _difference(one.engine) or "[yellow]no[/]"
        table.add_row(
            str(one),
            f"{one.seconds:.1f}",
            f"{one.bytes / 1e6:.1f}",
            _difference(one.graph) or "itself",
            ran,
        )
    console = Console(highlight=False)
    console.print(table)
    console.print(
        "\ngraph, run here: mean difference of the expected ages, or largest one of the faces' scores, from "
        "float32 on ONNX Runtime, over drawn faces"
    )
    for why in sorted({one.not_run for one in built} - {""}):
        console.print(f"[yellow]not run[/]: {why}; a box that loads such an engine checks it first")
    console.print(
        f"built with {built[0].flavour} {built[0].version} into {Path(built[0].file).parent}", soft_wrap=True
    )


def _difference(found: Difference | FaceDifference | None) -> str:
    if found is None:
        return ""
    return f"{found.years:.2f} years" if isinstance(found, Difference) else f"{found.score:.3f}"
