"""How the demo shows lines and zones: one line of text for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rich.table import Table
from rich.text import Text

from edge.types import Passages

NOISY = "with noise"
WITHHELD_YET = "nothing is published before the hour ends"
EARLY = "sent when the hour ends"
_ACCENT, _DIM = "cyan", "bright_black"


@dataclass(frozen=True, slots=True)
class LineRow:
    """The passages over a line so far. expected: the scene's, where they are known. exact: without noise."""

    name: str
    passed: Passages
    expected: Passages | None = None
    exact: bool = True


@dataclass(frozen=True, slots=True)
class ZoneRow:
    """The visits of a zone so far.

    entries: None where nothing may be shown yet. dwell: visits by the lower bound of their step in seconds,
    all steps. sent: the broker has these numbers. exact: without noise.
    """

    name: str
    entries: int | None = None
    dwell: Mapping[int, int] = field(default_factory=dict)
    sent: bool = False
    exact: bool = True


Row = LineRow | ZoneRow


def flow_table(rows: Sequence[Row], most: int) -> Table:
    """One or more rows, up to `most` of them; of more, the last one says how many are left out."""
    table = Table.grid(padding=(0, 1))
    table.add_column(style=_DIM, no_wrap=True, width=5)
    longest = min(max(len(row.name) for row in rows), 16)
    table.add_column(style="bold", no_wrap=True, overflow="ellipsis", width=longest)
    table.add_column(no_wrap=True, overflow="ellipsis")
    shown = rows if len(rows) <= most else rows[: most - 1]
    for row in shown:
        numbers = _passages(row) if isinstance(row, LineRow) else _stays(row)
        table.add_row(f" {_kind(row)}", Text(row.name), numbers)
    if len(shown) < len(rows):
        table.add_row("", "", Text(f"and {len(rows) - len(shown)} more", style=_DIM))
    return table


def summary_line(row: Row, *, beside_truth: bool = False) -> Text:
    """The row with its kind and name, for the summary and for plain output."""
    numbers = (
        _passages(row, row.expected if beside_truth else None) if isinstance(row, LineRow) else _stays(row)
    )
    return Text(f"{_kind(row)} {row.name}: ").append_text(numbers)


def _kind(row: Row) -> str:
    return "line" if isinstance(row, LineRow) else "zone"


def _passages(row: LineRow, truth: Passages | None = None) -> Text:
    """Such as `in 3  out 2`; beside the truth `in 3 of 3  out 2 of 2`."""
    text = Text()
    _number(text, "in", row.passed.inward, truth.inward if truth else None)
    _number(text.append("  "), "out", row.passed.outward, truth.outward if truth else None)
    return text if row.exact else text.append(f"  {NOISY}", _DIM)


def _number(text: Text, name: str, found: int, truth: int | None) -> None:
    text.append(f"{name} ", _DIM)
    if truth is None:
        text.append(str(found), f"bold {_ACCENT}")
    else:
        text.append(f"{found} of {truth}", "bold green" if found == truth else "bold red")


def _stays(row: ZoneRow) -> Text:
    """Such as `2 entries  stayed  0-5 s: 1  5-15 s: 1`, then how far these numbers may be relied on."""
    if row.entries is None:
        return Text(WITHHELD_YET, style=_DIM)
    parts = [(str(row.entries), f"bold {_ACCENT}"), (" entry" if row.entries == 1 else " entries", _DIM)]
    steps = [(step, visits) for step, visits in _steps(row.dwell) if visits]
    parts += [("  stayed", _DIM)] * bool(steps)
    for step, visits in steps:
        parts += [(f"  {step}: ", _DIM), (str(visits), f"bold {_ACCENT}")]
    parts += [(f"  {NOISY}", _DIM)] * (not row.exact) + [(f"  ({EARLY})", _DIM)] * (not row.sent)
    return Text.assemble(*parts)


def _steps(dwell: Mapping[int, int]) -> Iterator[tuple[str, int]]:
    """The visits of each step, named such as `5-15 s` or `600+ s`."""
    for low, high in pairwise([*dwell, None]):
        yield f"{low}+ s" if high is None else f"{low}-{high} s", dwell[low or 0]
