"""The demo's output: a live view on a terminal, one line per event elsewhere, and a summary.

Pure functions from a `ViewState` to a rich renderable or to lines. Windows are drawn only from the payloads
that the broker returned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich import box
from rich.bar import Bar
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from edge.commands.demo.flow_view import Row, flow_table, summary_line

COMPOSED_NOTICE = "The scene is composed from public-domain portraits; no camera is used."
PRIVACY_NOTICE = "privacy.minimum = 1: every count is shown, without noise; the default is 5."
WITHHELD = "withheld"
_ACCENT, _DIM = "cyan", "bright_black"
_STATE_STYLE = {"up": "green", "down": "red", "frozen": "yellow", "dark": "magenta"}
_CHART_WIDTH = 33
_TALL = 30  # lines of a terminal that has room for one more frame


@dataclass(frozen=True, slots=True)
class CameraRow:
    """One camera now: its state and why, frames per second, faces in view, visitors counted so far."""

    name: str
    state: str
    fps: float
    faces: int
    visitors: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """The window that is open; elapsed: the share of it that has passed, 0..1."""

    start: datetime
    end: datetime
    elapsed: float


@dataclass(frozen=True, slots=True)
class ViewState:
    """Everything the view shows.

    notices: lines below the title. windows: counts payloads as received, oldest first, one for each window of
    a camera. flow: the camera's lines and zones.
    broker_fault: why it cannot be heard; empty while it can.
    brackets: names of the age brackets, for the chart before the first window. elapsed, seconds: how long the
    demo has run and will run, in seconds. expected: the number of visitors in the scene, where it is known.
    """

    notices: Sequence[str] = ()
    cameras: Sequence[CameraRow] = ()
    window: OpenWindow | None = None
    windows: Sequence[Mapping[str, Any]] = ()
    flow: Sequence[Row] = ()
    brackets: Sequence[str] = ()
    broker: str = ""
    broker_fault: str = ""
    elapsed: float = 0.0
    seconds: float | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """The sum of all windows. withheld: the number of windows without a total."""

    windows: int
    visitors: int
    unclassified: int
    withheld: int
    brackets: Mapping[str, int]


def totals(state: ViewState) -> Totals:
    """Add up the published counts; a withheld count adds nothing."""
    names = [*state.brackets, *(name for payload in state.windows for name in _counts(payload))]
    brackets = dict.fromkeys(sorted(names, key=_lowest_age), 0)
    for payload in state.windows:
        for name, count in _counts(payload).items():
            brackets[name] += count or 0
    return Totals(
        windows=len(state.windows),
        visitors=sum(_total(payload) or 0 for payload in state.windows),
        unclassified=sum(payload.get("unclassified") or 0 for payload in state.windows),
        withheld=sum(_total(payload) is None for payload in state.windows),
        brackets=brackets,
    )


def render(state: ViewState) -> RenderableType:
    """The live view; it adapts to the size of the terminal, from 80 x 24 upwards."""
    return _LiveView(state)


def summary(state: ViewState) -> RenderableType:
    """What stays on the screen when the demo has ended."""
    sums = totals(state)
    visitors = "1 visitor" if sums.visitors == 1 else f"{sums.visitors} visitors"
    verdict = Text(f"{visitors} counted", style="bold")
    if state.expected is not None:
        right = sums.visitors == state.expected
        verdict.append(f" of {state.expected} in the scene", style="bold green" if right else "bold red")
    windows = "1 window" if sums.windows == 1 else f"{sums.windows} windows"
    flow = [summary_line(row, beside_truth=True) for row in state.flow]
    facts = [f"{windows} received from {state.broker or 'the broker'}{_because(state)}"]
    if sums.withheld:
        facts.append(f"{sums.withheld} of them withheld: fewer visitors than privacy.minimum")
    facts.append(f"ran for {_seconds(state.elapsed)}")
    body = Group(verdict, *flow, *(Text(fact, style=_DIM) for fact in facts), Text(), _chart(sums))
    return Panel(body, title=_title("summary"), title_align="left", border_style=_ACCENT, padding=(1, 2))


def plain_lines(before: ViewState | None, now: ViewState) -> list[str]:
    """One line per event since `before`: the start, a fault, a camera's new state, a window received."""
    lines: list[str] = []
    if before is None:
        lines += [*now.notices, f"broker: {now.broker}"]
    if now.broker_fault and (before is None or now.broker_fault != before.broker_fault):
        lines.append(f"broker {now.broker}{_because(now)}")
    known = [_plain_camera(camera) for camera in before.cameras] if before else []
    lines += [line for camera in now.cameras if (line := _plain_camera(camera)) not in known]
    seen = len(before.windows) if before else 0
    lines += [_plain_window(payload) for payload in now.windows[seen:]]
    return lines + (_plain_flow(before.flow, now.flow) if before else [])


def _plain_flow(before: Sequence[Row], now: Sequence[Row]) -> list[str]:
    """The lines and zones whose numbers have changed."""
    said = [summary_line(row).plain for row in before]
    return [text for row in now if (text := summary_line(row).plain) not in said]


def _because(state: ViewState) -> str:
    return f": {state.broker_fault}" if state.broker_fault else ""


def _plain_camera(camera: CameraRow) -> str:
    return f"camera {camera.name}: {camera.state}" + (f", {camera.reason}" if camera.reason else "")


class _LiveView:
    """The whole view; the table of windows gets the lines that the other parts leave free."""

    def __init__(self, state: ViewState) -> None:
        self._state = state

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        state = self._state
        flow = [_flow(state.flow, options.size.height)] if state.flow else []
        above = Group(_header(state), _cameras(state.cameras), *flow, _open_window(state.window))
        used = len(console.render_lines(above, options.update(height=None), pad=False))
        yield above
        sums = totals(state)
        # One line less than the terminal has: a live view as high as the terminal scrolls it.
        room = options.size.height - used - 2
        wanted = max(sums.windows, len(sums.brackets) + 1, 8) + 3
        yield _lower(state, sums, max(min(room, wanted), 4))
        style = "red" if state.broker_fault else _DIM
        yield Text(f" {state.broker}{_because(state)}", style=style, no_wrap=True, overflow="ellipsis")


def _header(state: ViewState) -> RenderableType:
    clock = (
        _seconds(state.elapsed) if state.seconds is None else f"{state.elapsed:.0f} / {state.seconds:.0f} s"
    )
    line = Table.grid(expand=True)
    line.add_column(ratio=1)
    line.add_column(justify="right", no_wrap=True)
    line.add_row(Text(" InStore demo", style=f"bold {_ACCENT}"), Text(f"{clock} ", style="bold"))
    return Group(line, *(Text(f" {notice}", style="yellow") for notice in state.notices))


def _cameras(cameras: Sequence[CameraRow]) -> RenderableType:
    table = Table(box=None, expand=True, pad_edge=False, padding=(0, 1), header_style=_DIM)
    table.add_column("camera", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("state", min_width=6)
    for name in ("frames/s", "faces now", "visitors"):
        table.add_column(name, justify="right", no_wrap=True)
    for camera in cameras:
        state = Text(camera.state, style=_STATE_STYLE.get(camera.state, ""))
        figures = (f"{camera.fps:.1f}", str(camera.faces), str(camera.visitors))
        camera_and_why = Text(camera.name, style="bold").append(f"  {camera.reason}", f"not bold {_DIM}")
        table.add_row(camera_and_why, state, *figures)
    body = table if cameras else Text("no camera yet", style=_DIM)
    return Panel(body, title=_title("cameras"), title_align="left", box=box.ROUNDED, border_style=_DIM)


def _flow(rows: Sequence[Row], height: int) -> RenderableType:
    """Lines and zones; without a frame where the terminal is low."""
    if height < _TALL:
        return flow_table(rows, most=3)
    body = flow_table(rows, most=8)
    return Panel(
        body, title=_title("lines and zones"), title_align="left", box=box.ROUNDED, border_style=_DIM
    )


def _open_window(window: OpenWindow | None) -> RenderableType:
    if window is None:
        return Text(" no window is open yet", style=_DIM)
    share = min(max(window.elapsed, 0.0), 1.0)
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(no_wrap=True)
    line.add_column(ratio=1)
    line.add_column(justify="right", no_wrap=True)
    span = Text(f" open window {window.start:%H:%M:%S} to {window.end:%H:%M:%S} UTC")
    bar = ProgressBar(total=1.0, completed=share, complete_style=_ACCENT, finished_style=_ACCENT)
    line.add_row(span, bar, Text(f"{share:.0%} "))
    return line


def _lower(state: ViewState, sums: Totals, height: int) -> RenderableType:
    windows = Panel(
        _windows(state.windows, rows=height - 3),
        title=_title("windows from the broker"),
        subtitle=Text(f"{sums.windows} so far", style=_DIM),
        title_align="left",
        subtitle_align="right",
        box=box.ROUNDED,
        border_style=_DIM,
        height=height,
    )
    ages = Panel(
        _chart(sums, frame=True),
        title=_title("ages, all windows"),
        title_align="left",
        box=box.ROUNDED,
        border_style=_DIM,
        height=height,
    )
    side_by_side = Table.grid(expand=True)
    side_by_side.add_column(ratio=1)
    side_by_side.add_column(width=_CHART_WIDTH)
    side_by_side.add_row(windows, ages)
    return side_by_side


def _windows(payloads: Sequence[Mapping[str, Any]], rows: int) -> RenderableType:
    """The newest windows, the newest on top."""
    if not payloads:
        return Text("none yet; a window is published when it closes", style=_DIM)
    table = Table(box=None, expand=True, pad_edge=False, padding=(0, 1, 0, 0), header_style=_DIM)
    table.add_column("from", no_wrap=True)
    table.add_column("camera", no_wrap=True, overflow="ellipsis", max_width=10)
    table.add_column("total", justify="right", no_wrap=True)
    table.add_column("ages", ratio=1, no_wrap=True, overflow="ellipsis")
    for payload in list(payloads)[: -max(rows, 1) - 1 : -1]:
        total = _total(payload)
        figure = (
            Text("-", style="yellow") if total is None else Text(str(total), style="bold" if total else _DIM)
        )
        table.add_row(
            _time(payload.get("start")), Text(str(payload.get("camera", ""))), figure, _ages(payload)
        )
    return table


def _ages(payload: Mapping[str, Any]) -> Text:
    """The brackets of one window that are not empty, such as `35-44: 2`."""
    if _total(payload) is None:
        return Text(WITHHELD, style="yellow")
    parts = Text(" ").join(
        Text.assemble((f"{name}: ", _DIM), (WITHHELD, "yellow") if count is None else (str(count), _ACCENT))
        for name, count in _named_counts(payload)
        if count != 0
    )
    return parts or Text("nobody", style=_DIM)


def _chart(sums: Totals, *, frame: bool = False) -> RenderableType:
    """One bar per age bracket over all windows. frame: fit into the live view's panel."""
    if not sums.brackets:
        return Text("no counts yet", style=_DIM)
    peak = max(*sums.brackets.values(), sums.unclassified, 1)
    width = _CHART_WIDTH - 19 if frame else 30
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True, min_width=8)
    table.add_column(width=width)
    table.add_column(justify="right", no_wrap=True, min_width=2)
    for name, count in sums.brackets.items():
        table.add_row(
            Text(name), Bar(peak, 0, count, width=width, color=_ACCENT), Text(str(count), style="bold")
        )
    bar = Bar(peak, 0, sums.unclassified, width=width, color=_DIM)
    table.add_row(Text("unsure", style=_DIM), bar, Text(str(sums.unclassified), style=_DIM))
    return table


def _plain_window(payload: Mapping[str, Any]) -> str:
    total = _total(payload)
    visitors = WITHHELD if total is None else f"{total} visitor{'' if total == 1 else 's'}"
    ages = "" if not total else f" ({_ages(payload).plain})"
    seconds = payload.get("coverage", {}).get("seconds", 0)
    span = f"{_time(payload.get('start'))} to {_time(payload.get('end'))}"
    return (
        f"window {span} UTC from {payload.get('camera', '')}: {visitors}{ages}, watched {_seconds(seconds)}"
    )


def _total(payload: Mapping[str, Any]) -> int | None:
    """All visitors that a window released; None where it released nothing."""
    parts = [payload.get("released"), payload.get("other"), *(payload.get("groups") or {}).values()]
    numbers = [part for part in parts if part is not None]
    return sum(numbers) if numbers else None


def _counts(payload: Mapping[str, Any]) -> Mapping[str, int | None]:
    counts: Mapping[str, int | None] = payload.get("counts") or {}
    return counts


def _named_counts(payload: Mapping[str, Any]) -> list[tuple[str, int | None]]:
    """The brackets from young to old, then the unclassified."""
    counts = sorted(_counts(payload).items(), key=lambda item: _lowest_age(item[0]))
    return [*counts, ("unsure", payload.get("unclassified", 0))]


def _lowest_age(bracket: str) -> int:
    """The lowest age of a bracket such as `25-34` or `65+`; 1000 for a name without a number."""
    found = re.match(r"\d+", bracket)
    return int(found[0]) if found else 1000


def _time(moment: object) -> str:
    """The time of day of an RFC 3339 time; any other text unchanged."""
    try:
        return f"{datetime.fromisoformat(str(moment)):%H:%M:%S}"
    except ValueError:
        return str(moment)


def _seconds(value: float) -> str:
    return f"{value:.0f} s"


def _title(words: str) -> Text:
    return Text(f" {words} ", style=f"bold {_ACCENT}")
