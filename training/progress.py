"""How far a long command has come."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int], None]
"""Told as (step, done, total) while a step goes on; the step in words, such as 'looking at pictures'."""


def silent(step: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@contextmanager
def bars() -> Iterator[Progress]:
    """A bar on stderr for each step, for the length of the block; nothing before the first step is told.

    Silent where stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = Bars(*columns, console=Console(file=sys.stderr))
    steps: dict[str, TaskID] = {}

    def tell(step: str, done: int, total: int) -> None:
        if step not in steps:
            shown.start()
            steps[step] = shown.add_task(step, total=total)
        shown.update(steps[step], completed=done, total=total)

    try:
        yield tell
    finally:
        if steps:
            shown.stop()
