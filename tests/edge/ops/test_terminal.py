"""Progress bars: one for each step, as long as there is a terminal."""

from __future__ import annotations

import io
import os
import sys
from types import SimpleNamespace

import pytest
import rich.progress

from edge.ops import terminal
from edge.ops.terminal import progress_bars


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """Every bar that was drawn on a simulated terminal, in its last state."""
    drawn: list[SimpleNamespace] = []

    class Progress:
        def __init__(self, *columns: object, **options: object) -> None:
            self.transient = options["transient"]

        def start(self) -> None:
            """Nothing is drawn."""

        stop = start

        def add_task(self, name: str, **fields: object) -> int:
            drawn.append(SimpleNamespace(name=name, transient=self.transient))
            return len(drawn) - 1

        def update(self, task: int, **fields: object) -> None:
            vars(drawn[task]).update(fields)

    monkeypatch.setattr(rich.progress, "Progress", Progress)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    return drawn


def test_a_bar_shows_how_much_is_done_and_how_much_there_is(bars: list[SimpleNamespace]) -> None:
    with progress_bars("faces") as progress:
        for step, done in (("reading", 1), ("training", 50), ("reading", 7), ("training", 100)):
            progress(step, done, 7 if step == "reading" else 100)
    assert [(bar.name, bar.total, bar.completed, bar.count) for bar in bars] == [
        ("reading", 7, 7, "7 of 7 faces"),
        ("training", 100, 100, "100 of 100 faces"),
    ]


def test_per_cent_need_no_total_beside_them(bars: list[SimpleNamespace]) -> None:
    with progress_bars("%") as progress:
        progress("composing", 50, 100)
    assert bars[0].count == "50 %"


def test_the_total_may_be_unknown(bars: list[SimpleNamespace]) -> None:
    with progress_bars("s") as progress:
        progress("clip", 3)
    assert (bars[0].total, bars[0].count) == (None, "3 s")


@pytest.mark.parametrize("keep", [False, True])
def test_bars_vanish_at_the_end_unless_they_are_kept(bars: list[SimpleNamespace], keep: bool) -> None:
    with progress_bars(keep=keep) as progress:
        progress("clip", 3)
    assert bars[0].transient is not keep


def test_without_a_terminal_nothing_is_drawn(
    bars: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    with progress_bars("s") as progress:
        progress("clip", 3)
    assert bars == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bars_of_a_terminal_that_keeps_them_stay_with_their_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With rich as it is."""
    screen = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", screen)
    with progress_bars("pictures", keep=True) as progress:
        progress("reading [all]", 1, 4)
        progress("reading [all]", 4, 4)
    assert "reading [all]" in screen.getvalue()
    assert "4 of 4 pictures" in screen.getvalue()


def test_output_that_takes_no_more_for_now_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    waits: list[int] = []

    def read_all(*_: object) -> None:
        waits.append(len(os.read(reader, 1 << 20)))

    monkeypatch.setattr("edge.ops.terminal.select.select", read_all)
    with terminal._Output(writer, "w") as output:
        taken = output.write(bytes(1 << 20))
        assert waits == []
        assert output.write(b"more") == 4
    assert waits == [taken]
    assert os.read(reader, 10) == b"more"
    os.close(reader)
