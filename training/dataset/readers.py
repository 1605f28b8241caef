"""Readers: one for each layout in which labelled faces come."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import NamedTuple, Protocol

from edge.errors import ConfigurationError
from training.dataset.catalogue import GROUP_END, OLDEST, Catalogue, Fault, FaultKind, Labelled
from training.labels import PICTURES, SURPLUS, labels_file, read_table

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
"""Other files are not pictures; the labels need not name them."""

Row = Mapping[str, str]


class Entry(NamedTuple):
    """A row: the file's name, the text of its age or the fault of the row, its traits, and whether the
    authors of the data set keep it apart, to test on.
    """

    name: str
    age: str | FaultKind
    traits: Row
    held_out: bool = False


class Reader(Protocol):
    """Knows one layout."""

    name: str

    def matches(self, folder: Path) -> bool:
        """Whether `folder` has this layout."""

    def read(self, folder: Path) -> Catalogue:
        """The catalogue of `folder`. Raises ConfigurationError where it cannot be read."""


class LabelsCsv:
    """`labels.csv` (file_name; real_age or age_group, or both; traits) beside the folder `final_files`."""

    name = "labels.csv"

    def matches(self, folder: Path) -> bool:
        return labels_file(folder).is_file()

    def read(self, folder: Path) -> Catalogue:
        path = labels_file(folder)
        rows = read_table(path)
        columns = rows[0].keys() - {SURPLUS}
        ages = [c for c in ("real_age", "age_group") if c in columns]
        if "file_name" not in columns or not ages:
            raise _columns(path, rows[0], "file_name and real_age (years) or age_group (such as 20-29)")
        traits = [c for c in rows[0] if c in columns - {"file_name", *ages}]
        entries = (Entry(row["file_name"], _age(row, *ages), {t: row[t] for t in traits}) for row in rows)
        return _catalogue(folder / PICTURES, entries)


class FairFace:
    """FairFace's `fairface_label_*.csv` (file, age, gender, race) beside its folders of pictures.

    What its authors publish for validation, `fairface_label_val.csv`, is held out.
    """

    name = "FairFace"
    HELD_OUT = "fairface_label_val.csv"

    def matches(self, folder: Path) -> bool:
        return any(self._tables(folder))

    def read(self, folder: Path) -> Catalogue:
        return _catalogue(folder, self._entries(folder))

    def _tables(self, folder: Path) -> Iterator[Path]:
        return iter(sorted(folder.glob("fairface_label_*.csv")))

    def _entries(self, folder: Path) -> Iterator[Entry]:
        for path in self._tables(folder):
            rows = read_table(path)
            if not {"file", "age"} <= rows[0].keys():
                raise _columns(path, rows[0].keys(), "file and age")
            for row in rows:
                traits = {t: row.get(t, "").lower() for t in ("gender", "race")}
                yield Entry(row["file"], _age(row, "age"), traits, path.name == self.HELD_OUT)


class UTKFace:
    """UTKFace's file names: `age_gender_race_date.jpg`, anywhere below the folder."""

    name = "UTKFace"
    GENDERS = ("male", "female")
    RACES = ("white", "black", "asian", "indian", "other")
    PATTERN = re.compile(r"(?P<age>\d+)_(?P<gender>[01])_(?:(?P<race>[0-4])_)?\d{8,}")

    def matches(self, folder: Path) -> bool:
        return any(self.PATTERN.match(file.name) for file in _pictures(folder))

    def read(self, folder: Path) -> Catalogue:
        named = [(file, self.PATTERN.match(file.name)) for file in _pictures(folder)]
        entries = [Entry(str(f.relative_to(folder)), m["age"], self._traits(m)) for f, m in named if m]
        return _catalogue(folder, entries)

    def _traits(self, found: re.Match[str]) -> Row:
        race = found["race"]  # a few files of the data set lack it
        return {
            "gender": self.GENDERS[int(found["gender"])],
            "ethnicity": self.RACES[int(race)] if race else "",
        }


READERS: tuple[Reader, ...] = (LabelsCsv(), FairFace(), UTKFace())


def find_reader(folder: Path) -> Reader:
    """The reader for `folder`. Raises ConfigurationError, which names the layouts, where none fits."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: is not a folder")
    for reader in READERS:
        if reader.matches(folder):
            return reader
    raise ConfigurationError(
        f"{folder}: no labelled faces found; needed: a labels.csv beside final_files/, FairFace's "
        f"fairface_label_*.csv, or pictures named as UTKFace's, age_gender_race_date.jpg{_hint(folder)}"
    )


def parse_age(text: str) -> tuple[float, float] | FaultKind:
    """The interval of ages that `34`, `20-29` or `70+` means, in years; or its fault."""
    text = text.strip()
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)", text):
        low = high = float(found[1])
    elif found := re.fullmatch(r"(\d+)\s*[-\u2013]\s*(\d+)", text):
        low, high = float(found[1]), float(found[2])
    elif found := re.fullmatch(r"(\d+)\s*\+", text):
        low = float(found[1])
        high = max(low, float(GROUP_END))
    else:
        return FaultKind.AGE_RANGE if re.fullmatch(r"-\d+(\.\d+)?", text) else FaultKind.BAD_AGE
    if high < low:
        return FaultKind.BAD_AGE
    return (low, high) if high <= OLDEST else FaultKind.AGE_RANGE


def _age(row: Row, *columns: str) -> str | FaultKind:
    """The first non-empty field of a row among these columns; the fault where fields are shifted."""
    if SURPLUS in row:
        return FaultKind.SURPLUS
    return next((row[c] for c in columns if row[c]), "").replace("more than 70", "70+")  # as FairFace has it


def _catalogue(pictures: Path, entries: Iterable[Entry]) -> Catalogue:
    """Sort rows into usable ones and faults, and find the files without a row."""
    there = {str(file.relative_to(pictures)): file for file in _pictures(pictures)}
    rows: list[Labelled] = []
    faults: list[Fault] = []
    named = set()
    for name, age, traits, held_out in entries:
        plain = str(PurePath(name))  # `./a.jpg` is `a.jpg`
        file = there.get(plain) or pictures / plain
        named.add(plain)
        if not _inside(name) or not _is_file(file):
            faults.append(Fault(FaultKind.NO_FILE, name or "(no name)"))
            continue
        match age if isinstance(age, FaultKind) else parse_age(age):
            case FaultKind() as kind:
                faults.append(Fault(kind, name, "" if kind is age else repr(age)))
            case low, high:
                rows.append(Labelled(file, low, high, traits, held_out))
    faults += [Fault(FaultKind.NO_ROW, name) for name in there if name not in named]
    return Catalogue(pictures, rows, faults)


def _inside(name: str) -> bool:
    """Whether `name` is a path that stays in the folder it is relative to."""
    path = PurePath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than any that a disk takes
        return False


def _pictures(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())


def _columns(path: Path, found: Iterable[str], wanted: str) -> ConfigurationError:
    found = [column for column in found if column != SURPLUS]
    hint = next((f", separated by commas and not by {mark!r}" for mark in ";\t" if mark in found[0]), "")
    return ConfigurationError(f"{path}: has the columns {', '.join(found)}; needed: {wanted}{hint}")


def _hint(folder: Path) -> str:
    """A hint where the data set is one folder below."""
    below = [f for f in sorted(folder.iterdir()) if f.is_dir() and any(r.matches(f) for r in READERS)]
    return f". Did you mean {below[0]}?" if below else ""
