"""Each layout, and each way in which a row can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import ConfigurationError
from tests.training.dataset.folders import labels, noise, pictures
from training.dataset import Fault, FaultKind, find_reader
from training.dataset.readers import parse_age


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("34", (34, 34)),
        (" 34.5 ", (34.5, 34.5)),
        ("0", (0, 0)),
        ("120", (120, 120)),
        ("20-29", (20, 29)),
        ("20\u201329", (20, 29)),
        ("70+", (70, 100)),
        ("101+", (101, 101)),
        ("121", FaultKind.AGE_RANGE),
        ("-3", FaultKind.AGE_RANGE),
        ("100-130", FaultKind.AGE_RANGE),
        ("29-20", FaultKind.BAD_AGE),
        ("", FaultKind.BAD_AGE),
        ("nan", FaultKind.BAD_AGE),
        ("young", FaultKind.BAD_AGE),
    ],
)
def test_an_age_is_an_interval_of_years(text: str, wanted: object):
    assert parse_age(text) == wanted


def test_labels_csv_with_years(tmp_path: Path):
    labels(tmp_path, "file_name,real_age,gender,ethnicity", "a.png,34,female,", "b.png,7,male,asian")
    pictures(tmp_path / "final_files", {"a.png": noise(0), "b.png": noise(1)})
    catalogue = find_reader(tmp_path).read(tmp_path)
    assert [(r.file.name, r.low, r.high) for r in catalogue.rows] == [("a.png", 34, 34), ("b.png", 7, 7)]
    assert catalogue.rows[0].traits == {"gender": "female", "ethnicity": ""}
    assert list(catalogue.faults) == []


def test_labels_csv_takes_groups_and_years_together(tmp_path: Path):
    labels(tmp_path, "file_name,real_age,age_group", "a.png,,20-29", "b.png,7,")
    pictures(tmp_path / "final_files", {"a.png": noise(0), "b.png": noise(1)})
    rows = find_reader(tmp_path).read(tmp_path).rows
    assert [(r.low, r.high) for r in rows] == [(20, 29), (7, 7)]
    assert rows[0].traits == {}


def test_labels_csv_as_a_spreadsheet_saves_it(tmp_path: Path):
    labels(tmp_path, "\ufefffile_name,real_age", "a.png,34")
    pictures(tmp_path / "final_files", {"a.png": noise(0)})
    assert len(find_reader(tmp_path).read(tmp_path).rows) == 1


def test_blanks_round_what_the_head_says_do_not_matter(tmp_path: Path):
    labels(tmp_path, "file_name, real_age , gender", "a.png, 34, female")
    pictures(tmp_path / "final_files", {"a.png": noise(0)})
    (row,) = find_reader(tmp_path).read(tmp_path).rows
    assert (row.low, row.traits) == (34, {"gender": "female"})


def test_every_row_that_is_wrong_is_told(tmp_path: Path):
    rows = [
        "a.png,34",
        "gone.png,34",
        ",34",
        "../labels.csv,34",
        f"{tmp_path}/labels.csv,34",
        "b.png,old",
        "c.png,121",
        "d.png",
    ]
    labels(tmp_path, "file_name,real_age", *rows)
    pictures(tmp_path / "final_files", {f"{n}.png": noise(i) for i, n in enumerate("abcde")})
    (tmp_path / "final_files" / "notes.txt").write_text("no picture, and no fault")
    catalogue = find_reader(tmp_path).read(tmp_path)
    assert [r.file.name for r in catalogue.rows] == ["a.png"]
    assert list(catalogue.faults) == [
        Fault(FaultKind.NO_FILE, "gone.png"),
        Fault(FaultKind.NO_FILE, "(no name)"),
        Fault(FaultKind.NO_FILE, "../labels.csv"),
        Fault(FaultKind.NO_FILE, f"{tmp_path}/labels.csv"),
        Fault(FaultKind.BAD_AGE, "b.png", "'old'"),
        Fault(FaultKind.AGE_RANGE, "c.png", "'121'"),
        Fault(FaultKind.BAD_AGE, "d.png", "''"),
        Fault(FaultKind.NO_ROW, "e.png"),
    ]


def test_a_name_may_be_written_as_a_path_from_the_folder(tmp_path: Path):
    labels(tmp_path, "file_name,real_age", "./a.png,34")
    pictures(tmp_path / "final_files", {"a.png": noise(0)})
    catalogue = find_reader(tmp_path).read(tmp_path)
    assert [r.file.name for r in catalogue.rows] == ["a.png"]
    assert list(catalogue.faults) == []


def test_a_name_longer_than_a_disk_takes_is_a_row_without_a_file(tmp_path: Path):
    labels(tmp_path, "file_name,real_age", "a" * 300 + ".png,34")
    catalogue = find_reader(tmp_path).read(tmp_path)
    assert list(catalogue.faults) == [Fault(FaultKind.NO_FILE, "a" * 300 + ".png")]


def test_a_row_whose_fields_are_shifted_is_told(tmp_path: Path):
    rows = ["a.png,34,5,male", "b.png,34,male,", "c.png,34,male,,"]
    labels(tmp_path, "file_name,real_age,gender", *rows)
    pictures(tmp_path / "final_files", {f"{n}.png": noise(i) for i, n in enumerate("abc")})
    catalogue = find_reader(tmp_path).read(tmp_path)
    assert [(r.file.name, r.traits) for r in catalogue.rows] == [
        ("b.png", {"gender": "male"}),
        ("c.png", {"gender": "male"}),
    ]
    assert list(catalogue.faults) == [Fault(FaultKind.SURPLUS, "a.png")]


def test_utkface_file_names(tmp_path: Path):
    names = ["1_0_4_20170109150557335.jpg.chip.jpg", "110_1_20170120134639935.jpg", "readme_1.jpg"]
    pictures(tmp_path / "part1", {name: noise(i) for i, name in enumerate(names)})
    catalogue = find_reader(tmp_path).read(tmp_path)
    found = {r.file.name: (r.low, r.traits["gender"], r.traits["ethnicity"]) for r in catalogue.rows}
    assert found == {names[0]: (1, "male", "other"), names[1]: (110, "female", "")}
    assert list(catalogue.faults) == [Fault(FaultKind.NO_ROW, "part1/readme_1.jpg")]


def test_fairface_tables(tmp_path: Path):
    head = "file,age,gender,race,service_test"
    for part, row in (
        ("train", "train/1.jpg,20-29,Male,East Asian,True"),
        ("val", "val/1.jpg,more than 70,Female,White,False"),
    ):
        (tmp_path / f"fairface_label_{part}.csv").write_text(f"{head}\n{row}\n")
        pictures(tmp_path / part, {"1.jpg": noise(len(part))})
    first, second = find_reader(tmp_path).read(tmp_path).rows
    assert (first.low, first.high, first.traits) == (20, 29, {"gender": "male", "race": "east asian"})
    assert (second.low, second.high, second.file) == (70, 100, tmp_path / "val" / "1.jpg")
    assert (first.held_out, second.held_out) == (False, True)


def message(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        find_reader(folder).read(folder)
    return str(caught.value)


def test_a_folder_that_is_none(tmp_path: Path):
    assert message(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: is not a folder"


def test_an_empty_folder_says_what_was_looked_for(tmp_path: Path):
    assert "no labelled faces found; needed: a labels.csv beside final_files/" in message(tmp_path)


def test_a_folder_one_too_high_names_the_one_below(tmp_path: Path):
    labels(tmp_path / "inner", "file_name,real_age", "a.png,3")
    assert message(tmp_path).endswith(f"Did you mean {tmp_path / 'inner'}?")


@pytest.mark.parametrize("head", ["file_name,years", "name,real_age"])
def test_wrong_columns_are_told_with_the_right_ones(tmp_path: Path, head: str):
    labels(tmp_path, head, "a.png,3")
    columns = ", ".join(head.split(","))
    assert f"has the columns {columns}; needed: file_name and real_age (years) or age_group" in message(
        tmp_path
    )


def test_a_table_that_is_not_separated_by_commas_is_told_as_that(tmp_path: Path):
    labels(tmp_path, "file_name;real_age", "a.png;3")
    assert message(tmp_path).endswith("(such as 20-29), separated by commas and not by ';'")


def test_two_columns_of_one_name_are_refused(tmp_path: Path):
    labels(tmp_path, "file_name,real_age, real_age ,,", "a.png,3,40,,")
    assert message(tmp_path).endswith("two columns are named real_age; each needs a name of its own")


def test_a_table_without_rows(tmp_path: Path):
    labels(tmp_path, "file_name,real_age")
    assert "no row for a picture" in message(tmp_path)


def test_a_table_that_is_no_text(tmp_path: Path):
    labels(tmp_path, "")
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00")
    assert "not text in UTF-8" in message(tmp_path)
