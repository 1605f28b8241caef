"""The table of a clip's times, for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from edge.commands.bench.stage_times import ROWS, ClipTimes


def render(results: Sequence[ClipTimes]) -> None:
    """Print a table for each clip on standard output."""
    console = Console(highlight=False)
    for times in results:
        console.print(_headline(times))
        console.print(_table(times))


def _headline(times: ClipTimes) -> str:
    return (
        f"\n[bold]{times.clip}[/]  {times.width}x{times.height}, {times.frames} frames analysed, "
        f"{times.faces} faces, {times.visitors} visitors\n"
        f"[bold]{times.fps:.1f}[/] frames per second, {times.cpu_ms_per_frame:.1f} ms of CPU time each; "
        f"models loaded in {times.load_seconds:.1f} s\n"
    )


def _table(times: ClipTimes) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("ms per frame", "mean", "p50", "p95", "share", ""):
        table.add_column(heading, justify="left" if heading in ("ms per frame", "") else "right")
    for name, stage in times.stages.items():
        figures = (f"{ms:.2f}" for ms in (stage.mean_ms, stage.p50_ms, stage.p95_ms))
        table.add_row(name, *figures, f"{stage.share:.0%}", f"[dim]{ROWS[name]}[/]")
    table.add_row("all", f"{1000 / times.fps:.2f}", style="bold")
    return table
