"""`evaluate` and `compare` as a person runs them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.training import bundles
from tests.training.dataset import folders
from tests.training.evaluation.people import labelled_folder
from training.cli import main


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with labelled pictures and two models."""
    place = tmp_path_factory.mktemp("place")
    labelled_folder(place / "faces")
    bundles.write(place / "one", name="one")
    bundles.write(place / "two", name="two", off=20)
    return place


def run(place: Path, command: str, *words: object) -> int:
    cache = ["--cache", str(place / "cache")]
    return main([command, *map(str, words), *cache])


def test_evaluate_writes_a_report_and_says_the_figures(place: Path, tmp_path: Path, capsys):
    assert run(place, "evaluate", place / "one", place / "faces", "--out", tmp_path / "report") == 0
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"report.html", "figures.json"}
    said = capsys.readouterr().out
    assert "one 1 on faces (labels.csv), all of it, 30 faces" in said
    assert "mean absolute error, years" in said
    assert str(tmp_path / "report" / "report.html") in said


def test_figures_of_a_few_faces_come_with_a_warning(place: Path, tmp_path: Path, capsys):
    few = labelled_folder(tmp_path / "few", count=4)
    assert run(place, "evaluate", place / "one", few, "--json", tmp_path / "a.json") == 0
    assert "too few faces for reliable figures; at least 20 are needed" in capsys.readouterr().out
    assert run(place, "evaluate", place / "one", place / "faces", "--json", tmp_path / "b.json") == 0
    assert "too few" not in capsys.readouterr().out


def test_the_figures_go_to_a_file_or_to_the_standard_output(place: Path, tmp_path: Path, capsys):
    assert run(place, "evaluate", place / "one", place / "faces", "--json", tmp_path / "a.json") == 0
    capsys.readouterr()
    assert run(place, "evaluate", place / "one", place / "faces", "--json", "-") == 0
    printed, written = json.loads(capsys.readouterr().out), json.loads((tmp_path / "a.json").read_text())
    del printed["milliseconds_per_face"], written["milliseconds_per_face"]
    assert printed == written
    assert {path.name for path in tmp_path.iterdir()} == {"a.json"}


def test_the_figures_go_through_a_link_and_into_a_pipe_and_leave_both(place: Path, tmp_path: Path):
    link, pipe = tmp_path / "link.json", tmp_path / "pipe"
    link.symlink_to(tmp_path / "a.json")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)  # open at both ends, so that neither waits
    try:
        for target in (link, pipe):
            assert run(place, "compare", place / "one", place / "one", place / "faces", "--json", target) == 0
        received = os.read(reader, 1 << 16)
    finally:
        os.close(reader)
    assert link.is_symlink()
    assert pipe.is_fifo()
    assert json.loads(received) == json.loads((tmp_path / "a.json").read_text())


def test_a_part_and_brackets_may_be_chosen(place: Path, capsys):
    words = ("--split", "test", "--brackets", "0-17", "18+", "--json", "-")
    assert run(place, "evaluate", place / "one", place / "faces", *words) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["data"]["split"] == "test"
    assert figures["n"] < 10
    assert list(figures["by_bracket"]) == ["0-17", "18+"]


def test_compare_sets_them_side_by_side_and_gives_a_verdict(place: Path, tmp_path: Path, capsys):
    words = (place / "one", place / "two", place / "faces", "--json", tmp_path / "c.json")
    assert run(place, "compare", *words) == 0
    said = capsys.readouterr().out
    figures = json.loads((tmp_path / "c.json").read_text())
    assert figures["n"] == 30
    assert figures["a"]["name"] == "one"
    assert figures["figures"]["mae"]["difference"] == pytest.approx(
        figures["figures"]["mae"]["b"] - figures["figures"]["mae"]["a"], abs=1e-3
    )
    assert figures["verdict"] in said
    assert "jointly 95 %" in said


def test_a_bundle_beside_itself_is_no_better(place: Path, capsys):
    assert run(place, "compare", place / "one", place / "one", place / "faces", "--json", "-") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["verdict"].startswith("No difference beyond noise")


def test_an_interruption_leaves_nothing_and_no_traceback(place: Path, tmp_path: Path, monkeypatch, capsys):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.evaluation.command.evaluate", interrupt)
    assert run(place, "evaluate", place / "one", place / "faces", "--out", tmp_path / "report") == 2
    assert "interrupted" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def somewhere(place: Path, tmp_path: Path, monkeypatch) -> Path:
    """The folder that the command runs in: two models, good data, and data with every fault."""
    for name in ("one", "two", "faces"):
        (tmp_path / name).symlink_to(place / name)
    (tmp_path / "empty").mkdir()
    folders.labels(tmp_path / "columns", "name,years", "a.png,3")
    wide = {f"{i}.png": folders.noise(i, width=200, height=80) for i in range(3)}
    folders.labels(tmp_path / "faceless", "file_name,real_age", *(f"{name},30" for name in wide))
    folders.pictures(tmp_path / "faceless" / "final_files", wide)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("evaluate", "nobundle", "faces", "--json", "-"), "nobundle/manifest.json: cannot be read"),
        (("evaluate", "one", "nowhere", "--json", "-"), "nowhere"),
        (("evaluate", "one", "empty", "--json", "-"), "no labelled faces found"),
        (("evaluate", "one", "faceless", "--json", "-"), "no face found in any of 3 pictures"),
        (("evaluate", "one", "columns", "--json", "-"), "needed: file_name and real_age"),
        (("evaluate", "one", "faces"), "nothing to write; give --out DIR, --json FILE or both"),
        (("evaluate", "one", "faces", "--out", "empty"), "empty: exists already"),
        (("evaluate", "one", "faces", "--out", "no/where"), "cannot be written to"),
        (("evaluate", "one", "faces", "--json", "no/where.json"), "the folder no does not exist"),
        (("evaluate", "one", "faces", "--json", "empty"), "--json empty: a folder"),
        (("evaluate", "one", "faces", "--json", "-", "--precision", "int8"), "has no variant 'int8'"),
        (
            ("evaluate", "one", "faces", "--json", "-", "--brackets", "0-17"),
            "--brackets 0-17: age 18 is in no",
        ),
        (("compare", "one", "nobundle", "faces"), "nobundle/manifest.json: cannot be read"),
        (("compare", "one", "two", "empty"), "no labelled faces found"),
    ],
)
def test_bad_input_is_named_with_status_2(words, named: str, place: Path, somewhere: Path, capsys):
    before = sorted(path.name for path in somewhere.iterdir())
    assert run(place, *words) == 2
    caught = capsys.readouterr()
    assert named in caught.err
    assert caught.out == ""
    assert sorted(path.name for path in somewhere.iterdir()) == before
