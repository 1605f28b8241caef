"""Progress on the terminal of standard error: bars and a spinner; both are silent without a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

# rich is imported in the functions: programs that show nothing need not load it.


class Progress(Protocol):
    """Reports that `done` of `total` units of a step are done; total: None where it is not known."""

    def __call__(self, step: str, done: float, total: float | None = None, /) -> None: ...


def silent(step: str, done: float, total: float | None = None, /) -> None:
    """Progress that is not shown."""


def stderr_console() -> Console:
    """The terminal of standard error; plain text where it is not a terminal."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextmanager
def progress_bars(unit: str = "", *, keep: bool = False) -> Iterator[Progress]:
    """A function that draws a bar for each step, named after it, and counts in `unit`.

    keep: leave the bars on the screen at the end. The first bar appears with the first report.
    """
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    name, count = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[count]}")
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    bars = Bars(name, BarColumn(), count, *times, console=stderr_console(), transient=not keep)
    steps: dict[str, TaskID] = {}

    def report(step: str, done: float, total: float | None = None, /) -> None:
        if step not in steps:
            bars.start()
            steps[step] = bars.add_task(step, total=total, count="")
        bars.update(steps[step], completed=done, total=total, count=_count(done, total, unit))

    try:
        yield report
    finally:
        if steps:
            bars.stop()


def _count(done: float, total: float | None, unit: str) -> str:
    """Such as `3 of 10 s`, `50 %`, `7`."""
    of = "" if total is None or unit == "%" else f" of {total:.0f}"
    return f"{done:.0f}{of} {unit}".rstrip()


@contextmanager
def spinner() -> Iterator[Callable[[str], None]]:
    """A function that shows what is being done beside a spinner."""
    if not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.markup import escape

    with stderr_console().status("") as status:
        yield lambda what: status.update(f"{escape(what)} ...")
