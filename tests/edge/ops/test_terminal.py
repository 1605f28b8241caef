"""Progress bars: one for each thing that is worked on, as long as there is a terminal."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from edge.ops import terminal
from edge.ops.terminal import progress_bars


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """Every bar that was drawn on a pretended terminal, as it stood last."""
    drawn: list[SimpleNamespace] = []

    class Progress:
        def __init__(self, *columns: object, **options: object) -> None:
            assert options["transient"]

        def __enter__(self) -> Progress:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing was drawn."""

        def add_task(self, name: str, total: float | None) -> int:
            drawn.append(SimpleNamespace(name=name, total=total, completed=0))
            return len(drawn) - 1

        def update(self, task: int, completed: float) -> None:
            drawn[task].completed = completed

    monkeypatch.setattr(terminal, "Progress", Progress)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    return drawn


def test_a_bar_knows_how_much_there_is(bars: list[SimpleNamespace]) -> None:
    with progress_bars("%", {"clip": 7}, others=100) as advance:
        for name, done in (("clip", 1), ("engine", 50), ("clip", 7), ("engine", 100)):
            advance(name, done)
    assert [(bar.name, bar.total, bar.completed) for bar in bars] == [("clip", 7, 7), ("engine", 100, 100)]


def test_what_nobody_knows_stays_open(bars: list[SimpleNamespace]) -> None:
    with progress_bars("s", {"clip": None}) as advance:
        advance("clip", 3)
        advance("other", 4)
    assert [bar.total for bar in bars] == [None, None]


def test_without_a_terminal_nothing_is_drawn(
    bars: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    with progress_bars("s", {"clip": 7}) as advance:
        advance("clip", 3)
    assert bars == []
