"""The `labels.csv` of a data set: one row a picture, which lies in `final_files/` beside it."""

from __future__ import annotations

import csv
from pathlib import Path

from edge.errors import ConfigurationError


def labels_file(folder: Path) -> Path:
    """Where the labels of the data set in `folder` are."""
    return folder / "labels.csv"


def picture(folder: Path, name: str) -> Path:
    """Where the data set in `folder` keeps the picture of this name."""
    return folder / "final_files" / name


def read_rows(folder: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of `labels.csv`, of which there is at least one; every one has these columns.

    Raises ConfigurationError that names the file and the missing column or the line cut short.
    """
    path = labels_file(folder)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is no text in UTF-8 ({error.reason})") from error
    if not rows:
        raise ConfigurationError(f"{path}: names no picture; wants a head line and one line a picture")
    for column in columns:
        if column not in rows[0]:
            raise ConfigurationError(f"{path}: has no column {column!r}; wants {' and '.join(columns)}")
        for line, row in enumerate(rows, start=2):
            if row[column] is None:
                raise ConfigurationError(f"{path}, line {line}: ends before {column}")
    return rows
