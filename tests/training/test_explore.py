"""The report of a small made-up data set: what it says, what it holds, and what is left when it fails."""

from __future__ import annotations

import csv
import errno
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pandas", reason="what draws reports is not installed: make install-training")

from edge.ops.terminal import silent
from tests.training.dataset.folders import labels, noise, pictures, portrait, years
from training.cli import main
from training.dataset import cut, survey
from training.explore.table import brackets, measure, tabulate


def made_up(folder: Path) -> Path:
    """Sixty pictures, one copy, one near-copy, one that is no picture, and a row without a file."""
    years(folder, {f"{i:02}.png": i for i in range(60)})
    files = folder / "final_files"
    shutil.copy(files / "03.png", files / "04.png")
    pictures(files, {"06.png": noise(5, 96, 96)})
    (files / "07.png").write_bytes(b"nothing")
    (files / "08.png").unlink()
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return made_up(tmp_path / "<data>")


def explore(data: Path, out: Path) -> int:
    return main(["explore", str(data), "--out", str(out), "--cache", str(out.parent / "cache")])


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the made-up data."""
    folder = tmp_path_factory.mktemp("explored")
    assert explore(made_up(folder / "<data>"), folder / "report") == 0
    return folder / "report"


def test_the_report_says_what_the_data_hold(out: Path):
    page = (out / "report.html").read_text()
    assert "Data report: &lt;data&gt;" in page
    for words in ("copies with different ages", "row without a file", "no picture", "18-24 years"):
        assert words in page
    assert page.count('class="plot"') == 4
    assert page.count("data:image/jpeg") > 80


def test_every_fault_is_listed(out: Path):
    with (out / "faults.csv").open() as file:
        found = {(row["fault"], row["file_name"], row["detail"]) for row in csv.DictReader(file)}
    assert found >= {
        ("row without a file", "08.png", ""),
        ("no picture", "07.png", "7 bytes that are no picture"),
        ("copies with different ages", "03.png", "ages 3, 4"),
        ("copies with different ages", "04.png", "ages 3, 4"),
        ("near-copy", "06.png", "of 05.png, ages 5 and 6"),
    }


def test_the_report_loads_nothing_from_outside(out: Path):
    page = (out / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]{0,20})', page)
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert "<script" not in page


def test_the_same_data_and_seed_give_the_same_report(out: Path, data: Path, tmp_path: Path, capsys):
    assert explore(data, tmp_path / "again") == 0
    assert "report.html: 56 of 59 labelled pictures are usable" in capsys.readouterr().out
    assert (tmp_path / "again" / "report.html").read_bytes() == (out / "report.html").read_bytes()


def test_near_copies_of_one_age_are_told_without_a_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder):
    folder = years(tmp_path / "data", {f"{i}.png": 5 + i // 2 for i in range(30)})
    pictures(folder / "final_files", {"1.png": noise(0, 96, 96)})
    assert explore(folder, tmp_path / "report") == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "1 pictures are near-copies of another one." in page
    assert not [one for one in recwarn if one.category is RuntimeWarning]


def test_groups_are_shown_as_they_are(tmp_path: Path):
    groups = ["0-2", "20-29", "70+"]
    rows = [f"{i}.png,{groups[i % 3]},{'' if i % 2 else 'f'}" for i in range(30)]
    folder = labels(tmp_path / "data", "file_name,age_group,gender", *rows)
    pictures(folder / "final_files", {f"{i}.png": noise(i) for i in range(30)})
    assert explore(folder, tmp_path / "report") == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "70+ years" in page
    assert "65+ years" not in page
    assert page.count('class="plot"') == 4


def test_a_row_of_the_table_is_a_picture(data: Path, tmp_path: Path):
    found = survey(data, tmp_path / "cache", silent)
    prepared = cut(found, size=64, scale=1.04, cache=tmp_path / "cache", seed=0)
    rows = tabulate(found, prepared)
    assert rows.age.tolist() == prepared.low.tolist()
    assert rows.width.tolist()[:3] == [48, 48, 48]
    faces = [one.look.faces for one in found.seen]
    assert rows.face.isna().tolist() == [count == 0 for count in faces]
    assert rows["trait:gender"].tolist() == ["f"] * len(rows)


def test_brackets_are_the_defaults_for_years_and_the_groups_themselves_for_groups():
    low, high = np.array([3, 34, 60], np.float32), np.array([9, 34, 69], np.float32)
    assert brackets(low, high).tolist() == ["0-12", "25-34", "65+"]
    assert brackets(low[[2, 0]], high[[2, 0]]).categories.tolist() == ["3-9", "60-69"]


def test_sharpness_and_light_tell_pictures_apart():
    sharp = portrait(0)
    soft = np.full_like(sharp, 40)
    assert measure(sharp)[0] > 100 > measure(soft)[0]
    assert measure(soft)[1] == pytest.approx(40, abs=1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder.mkdir(), "no labelled faces found"),
        (lambda folder: labels(folder, "file_name,years", "a.png,3"), "has the columns file_name, years"),
        (lambda folder: years(folder, {"a.png": 1, "b.png": 2, "c.png": 3}), "3 usable pictures"),
        (lambda folder: years(folder, {f"{i}.png": 4 for i in range(30)}), "all 30 pictures have the age 4"),
    ],
    ids=["empty", "columns", "three pictures", "one age"],
)
def test_bad_data_are_status_2_and_leave_nothing(make, words: str, tmp_path: Path, capsys):
    make(tmp_path / "data")
    assert explore(tmp_path / "data", tmp_path / "report") == 2
    assert words in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} <= {"data", "cache"}


def test_a_report_that_is_there_is_not_overwritten(data: Path, tmp_path: Path, capsys):
    (tmp_path / "report").mkdir()
    assert explore(data, tmp_path / "report") == 2
    assert "exists already" in capsys.readouterr().err


def test_a_full_disk_is_status_2_and_leaves_nothing(data: Path, tmp_path: Path, monkeypatch, capsys):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert explore(data, tmp_path / "report") == 2
    assert "report: cannot be written (No space left on device)" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"<data>", "cache"}
