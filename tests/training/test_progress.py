"""Bars for a person at a terminal, and nothing for a file or a pipe."""

from __future__ import annotations

import io

import pytest

from training.progress import bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(err: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", err)
    with bars() as progress:
        progress("looking at pictures", 1, 4)
        progress("looking at pictures", 4, 4)
    return err.getvalue()


def test_a_terminal_sees_a_bar(monkeypatch):
    shown = told(Terminal(), monkeypatch)
    assert "looking at pictures" in shown
    assert "4/4" in shown


def test_a_pipe_gets_nothing(monkeypatch):
    assert told(io.StringIO(), monkeypatch) == ""
