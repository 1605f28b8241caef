"""`instore-edge audit` of recordings: asked before it is answered, and never written down."""

from __future__ import annotations

import io
import json
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from edge.audit.book import FILE, AuditBook
from edge.cli import main
from edge.commands import replay_driver
from edge.commands.audit import command
from tests.edge.commands.test_replay import ANN, BEA, record
from tests.fakes import painted_vision


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A recording of two visitors, and a vision that sees painted ones."""
    vision = partial(painted_vision, people=[ANN, BEA])
    visitors = partial(replay_driver.visitors, make_vision=vision)
    monkeypatch.setattr(replay_driver, "visitors", visitors)
    return str(record(tmp_path / "door", 6, (ANN, 1, 3), (BEA, 2, 5)))


def audit(monkeypatch: pytest.MonkeyPatch, answers: str, *words: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(answers))
    return main(["audit", *words, "--set", "cameras.door.tile=0"])


def test_the_box_answers_after_the_person(
    clip: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(monkeypatch, "3\n", clip) == 0
    said = capsys.readouterr()
    assert said.err == "Your count of the visitors in door: "
    assert said.out == (
        "door: 3 by you, 2 by the box\n"
        "error of the box: no error is stated below 30 visitors and 5 rounds; 1 round so far\n"
    )


def test_with_enough_visitors_there_is_an_error(
    clip: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path(clip).parent.rglob("*"))
    monkeypatch.setattr(command, "_counts", lambda _: {f"door-{n}": 2 for n in range(5)})
    assert audit(monkeypatch, "8\n" * 5, clip, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["seen"], found["counted"], found["rounds"], found["reason"]) == (40, 10, 5, None)
    assert found["error"] == {"share": -75, "low": -86, "high": -57}
    assert sorted(Path(clip).parent.rglob("*")) == before


def test_a_count_that_is_none_is_asked_for_again(
    clip: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(monkeypatch, f"two\n{'9' * 5000}\n2\n", clip) == 0
    assert "'two': is no count; allowed: 0 to 999" in capsys.readouterr().err


def test_without_a_count_the_box_says_nothing(
    clip: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(monkeypatch, "", clip) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "your count: none was entered" in said.err


def test_the_audits_of_the_box_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.toml"
    config.write_text("cameras = [{name = 'door', source = '0'}]\noutbox = {directory = '.'}\n")
    words = ["audit", "--config", str(config)]
    assert main(words) == 0
    assert capsys.readouterr().out.endswith("0 rounds so far; last result: none\n")
    book = AuditBook(tmp_path / FILE, lambda _: 0)
    for _ in range(5):
        book.add("door", "", 8, 7)
    book.finish("door", "", date(2026, 1, 31))
    book.add("door", "", 3, 3)
    assert main(words) == 0
    assert capsys.readouterr().out == (
        "door: 6 rounds: -12 %, 95 % interval -25 % to +0 %; last result: 2026-01-31: -12 % of 40 visitors\n"
    )
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["door"]["last"]["visits"] == 40
    (tmp_path / FILE).write_text("{")
    assert main(words) == 1
    assert "is damaged" in capsys.readouterr().err
