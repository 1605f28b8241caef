"""What a person sees at a terminal: progress bars and tables, colours only where there is one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Advance = Callable[[str, float], None]
"""Takes what is worked on and how far it is, in its own unit."""


def stderr_console() -> Console:
    """The terminal of standard error; plain text where that is none."""
    return Console(stderr=True, highlight=False)


@contextmanager
def progress_bars(
    unit: str, totals: Mapping[str, float | None], *, others: float | None = None
) -> Iterator[Advance]:
    """A bar for each of `totals` (None: nobody knows how much there is); silent without a terminal.

    others: how much there is of what is not in `totals`.
    """
    if not sys.stderr.isatty():
        yield lambda name, done: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} " + unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr_console(), transient=True) as progress:
        bars: dict[str, TaskID] = {}

        def advance(name: str, done: float) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=totals.get(name, others))
            progress.update(bars[name], completed=done)

        yield advance


@contextmanager
def spinner() -> Iterator[Callable[[str], None]]:
    """A line that turns while something is done; it shows what. Silent without a terminal."""
    if not sys.stderr.isatty():
        yield lambda what: None
        return
    with stderr_console().status("") as status:
        yield lambda what: status.update(f"{escape(what)} ...")
