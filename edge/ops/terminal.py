"""The standard streams, and progress on standard error: bars and a spinner, silent without a terminal."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from edge.errors import OutsideError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from rich.console import Console

# rich is imported in the functions: programs that show nothing need not load it.


class _Output(io.FileIO):
    """Standard output. Raises OutsideError where it cannot be written, and BrokenPipeError."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            while (written := super().write(data)) is None:  # the caller made it non-blocking, and it is full
                select.select([], [self], [])
        except BrokenPipeError:
            raise
        except OSError as error:
            null_output()
            raise OutsideError(f"standard output: cannot be written: {error.strerror}") from None
        return written


def null_output() -> None:
    """What is left of the output goes nowhere: Python would report its fault again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def prepare_streams() -> None:
    """Call it before any file is opened. What cannot be written to standard output raises OutsideError then.

    Streams that the caller has closed become the null device, or the next file or connection would get their
    number, and with it what libraries write there. Output that was asked for and is lost still is a fault.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # it gets the lowest number that is free
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - open until the process ends
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    given = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(1, "w", closefd=False)),
        encoding="utf-8",  # as the log: a locale such as C, in which Python would use ASCII, has no umlauts
        errors="surrogateescape",  # the name of a file that is not UTF-8 is written as it is
        line_buffering=given.isatty(),
    )


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
